//! Logs, metrics and readiness: what operators see of a running gateway.

pub mod logs;
pub mod metrics;
mod readiness;

pub use readiness::{Finding, Probe, Readiness};
