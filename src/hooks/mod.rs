//! The operator's own say in registrations, by HTTP: asked before one is accepted, told when one
//! is complete. The exact JSON is in `docs/hooks.md`.
//!
//! Where it is asked stands in `vestibule.toml` alone, so that nothing a stranger sends chooses an
//! address. What comes back is bounded in size and in form, and is judged like what a person
//! typed: a hook can fill in, change, refuse and block, and can do nothing that a form could not.

pub mod contract;
mod endpoint;
mod signature;
pub mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

pub use contract::{Answer, Question};
pub use endpoint::HookEndpoint;
pub use signature::HookSecret;

/// Where the operator's endpoints are.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// Asked before a registration is accepted.
    pub before: Option<Url>,
    /// Told of what happened.
    pub after: Option<Url>,
    /// Signs both.
    pub secret: HookSecret,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One try.
    pub timeout: Duration,
    /// Further tries where nobody answered, or with a fault of the endpoint's own.
    pub retries: u8,
}

/// Why the endpoint has no say this time.
#[derive(Debug, thiserror::Error)]
pub enum HookDown {
    /// Nobody answers, or not in time, or too much.
    #[error("the hook's endpoint does not answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answers with an error.
    #[error("the hook's endpoint answered {0}")]
    Status(u16),
    /// It answers with something else than the contract says.
    #[error("the hook's endpoint answered what the contract does not have: {0}")]
    Garbled(String),
}

/// Somebody who is asked before a registration is accepted.
#[async_trait]
pub trait RegistrationHook: Send + Sync {
    /// Asks; the answer is one that the contract has for such a question.
    async fn ask(&self, question: &Question, patience: Patience) -> Result<Answer, HookDown>;
}
