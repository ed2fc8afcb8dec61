//! Keeps mailed codes and links, and counts tries: whatever proves that somebody is who they say.

use async_trait::async_trait;

use super::email_link::LinkStep;
use super::store::RegistrationStoreDown;
use crate::clock::Timestamp;

/// A code that was mailed.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// Its id.
    pub id: String,
    /// What it is bound to, digested.
    pub context: String,
    /// Whose proof it asks for, digested.
    pub target: String,
    /// The digest of the code, sealed.
    pub sealed: String,
    /// How often it may be tried.
    pub tries: u32,
    /// When it was sent.
    pub at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

impl NewCode {
    /// Nothing to be proven: a try that counts, by who tries and what is tried, digested.
    pub fn of_try(context: String, target: String, at: Timestamp) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            context,
            target,
            sealed: String::new(),
            tries: 0,
            at,
            expires_at: at,
        }
    }
}

/// A code that is being tried; the try is already counted.
#[derive(Debug, Clone)]
pub struct TriedCode {
    /// Its id.
    pub id: String,
    /// The digest of the code, sealed.
    pub sealed: String,
    /// How often it may still be tried.
    pub tries_left: u32,
}

/// A mailed link that counts.
#[derive(Debug, Clone)]
pub struct KeptLink {
    /// Its id.
    pub id: String,
    /// Whose address it was mailed to, digested.
    pub target: String,
    /// What it is for, sealed.
    pub sealed: String,
}

/// How many codes and password tries are let through.
#[derive(Debug, Clone, Copy)]
pub struct ProofLimits {
    /// Since when they are counted.
    pub since: Timestamp,
    /// The most for one identity and user.
    pub per_context: u32,
    /// The most for one user, whoever asks.
    pub per_target: u32,
}

/// Keeps mailed codes and counts tries.
#[async_trait]
pub trait ProofStore: Send + Sync {
    /// Keeps a code; older ones of the same context no longer count. `Ok(false)` when too many
    /// were sent.
    async fn remember_code(
        &self,
        code: &NewCode,
        limits: ProofLimits,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Counts a try on the newest code of a context, unless it is spent, over, or out of tries.
    async fn try_code(
        &self,
        context: &str,
        now: Timestamp,
    ) -> Result<Option<TriedCode>, RegistrationStoreDown>;

    /// Spends a code; `Ok(false)` when it was spent already.
    async fn spend_code(&self, id: &str, now: Timestamp) -> Result<bool, RegistrationStoreDown>;

    /// Forgets what is older than a moment and over by then; nothing counts it any more.
    async fn forget_before(&self, moment: Timestamp) -> Result<(), RegistrationStoreDown>;

    /// Counts a try, of a password or without a check; `Ok(false)` when there were too many.
    async fn count_try(
        &self,
        attempt: &NewCode,
        limits: ProofLimits,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Keeps a link.
    async fn remember_link(
        &self,
        step: LinkStep,
        link: &NewCode,
    ) -> Result<(), RegistrationStoreDown>;

    /// The link of a context, unless it is spent or over.
    async fn find_link(
        &self,
        step: LinkStep,
        context: &str,
        now: Timestamp,
    ) -> Result<Option<KeptLink>, RegistrationStoreDown>;

    /// Spends a link by its id, and all others of the same step and target; `Ok(false)` when it was
    /// spent already or is over.
    async fn spend_link(
        &self,
        step: LinkStep,
        id_and_target: (&str, &str),
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Lets a spent link count again by its id; the others of its step and target stay spent.
    async fn give_link_back(&self, id: &str) -> Result<(), RegistrationStoreDown>;
}
