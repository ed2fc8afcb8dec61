//! Vestibule, an OpenID Connect gateway that registers first-time customers in the platform
//! behind it.
//!
//! The proxy asks access, which weighs policy and session; strangers go to login, new customers
//! through onboarding, which makes them in the platform and sends mail; pages are what people
//! see; rate limits slow abuse. `ARCHITECTURE.md` says who may import whom, and
//! `tests/architecture.rs` holds it.

// They panic where nobody reads (`| head`): `cli::say` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod clock;
pub mod database;
pub mod expression;
pub mod identity;
pub mod in_hand;
pub mod language;
pub mod operator_file;
pub mod outbound;
pub mod outbox;
pub mod paths;
pub mod redis_link;
pub mod seal;
pub mod spelling;
pub mod telemetry;

pub mod audit;
pub mod captcha;
pub mod hooks;
pub mod mail;
pub mod platform;
pub mod policy;
pub mod rate_limit;
pub mod roster;
pub mod session;

pub mod access;
pub mod login;
pub mod onboarding;

pub mod admin;
pub mod pages;
pub mod proxy;

pub mod config;

pub mod assemble;
pub mod cli;
pub mod demo;

#[cfg(test)]
#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
