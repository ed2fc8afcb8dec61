//! Whoever issues bearer tokens, as seen from here.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::super::jwt::TokenProblem;
use super::super::provider::{ProviderError, Readiness};
use super::claims::AccessProblem;
use crate::clock::Timestamp;
use crate::identity::{Issuer, ProviderId, VerifiedIdentity};

/// What a token says, once it was found good.
#[derive(Debug)]
pub struct VerifiedToken {
    /// Who, with all claims.
    pub identity: VerifiedIdentity,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// The origins that it is for, where it is not for all.
    pub origins: Option<Vec<String>>,
    /// When it ends.
    pub ends_at: Timestamp,
    /// How long this may be believed without asking again.
    pub believed_for: Duration,
}

/// Why a token is not good.
#[derive(Debug, thiserror::Error)]
pub enum BadToken {
    /// It has no valid form or signature.
    #[error("the token is not genuine")]
    Token(#[from] TokenProblem),
    /// What it says does not hold.
    #[error("the token is not for this gateway")]
    Claims(#[from] AccessProblem),
    /// Its issuer says that it is not active.
    #[error("the issuer says that the token is not active")]
    Inactive,
}

/// Why it is not known whether a token is good.
#[derive(Debug, thiserror::Error)]
pub enum TokenTrouble {
    /// It is not.
    #[error(transparent)]
    Bad(#[from] BadToken),
    /// Its issuer cannot be asked.
    #[error("the issuer cannot be asked")]
    Down(#[from] ProviderError),
}

/// Whoever issues bearer tokens.
#[async_trait]
pub trait TokenIssuer: Send + Sync {
    /// Its configured id.
    fn id(&self) -> &ProviderId;

    /// Its issuer identifier.
    fn issuer(&self) -> &Issuer;

    /// Whether it is asked about tokens that only it understands.
    fn introspects(&self) -> bool;

    /// A number that is another one whenever its keys are others.
    fn keys_changed(&self) -> u64;

    /// Judges a token.
    async fn verify(&self, token: &SecretString) -> Result<VerifiedToken, TokenTrouble>;

    /// Whether it can be used.
    fn readiness(&self) -> Readiness;
}
