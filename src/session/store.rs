//! The seam to where sessions are kept, and what is kept there.

use std::sync::Arc;

use async_trait::async_trait;

use super::{RecentSessions, SessionKey};
use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};

/// What a store keeps of a session. Only the index fields are readable without the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The digest of the id.
    pub key: SessionKey,
    /// The sealed record, base64url.
    pub sealed: String,
    /// For revocation and listing.
    pub index: SessionIndex,
    /// When it ends if nothing is seen of it.
    pub idle_until: Timestamp,
    /// When it ends whatever is seen of it.
    pub ends_at: Timestamp,
}

/// What revocation and listing need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIndex {
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// The identity provider's `sid`.
    pub idp_sid: Option<String>,
    /// The host on which it lives.
    pub host: String,
    /// The platform user, once there is one.
    pub account: Option<String>,
    /// A coarse word for the device ("Firefox on Linux").
    pub device: String,
    /// When it began.
    pub created_at: Timestamp,
}

/// The store cannot answer.
#[derive(Debug, thiserror::Error)]
#[error("the session store does not answer")]
pub struct StoreDown(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl StoreDown {
    /// With its cause.
    pub fn because(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Keeps sessions, and remembers consumed login attempts.
///
/// A session that was ended stays ended: no method may revive a deleted key. Every method answers
/// within about a second, if only with [`StoreDown`].
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a new session and its sealed tokens; with `replaces`, the old one is deleted in the
    /// same step and nothing is kept if it was gone already (`Ok(false)`).
    async fn insert(
        &self,
        session: &StoredSession,
        tokens: Option<&str>,
        replaces: Option<&SessionKey>,
    ) -> Result<bool, StoreDown>;

    /// Keeps another sealed record of a session; nothing is kept if it is gone (`Ok(false)`).
    async fn reseal(&self, session: &StoredSession) -> Result<bool, StoreDown>;

    /// The session, unless it is over at `now`.
    async fn load(
        &self,
        key: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreDown>;

    /// The sealed tokens of a session that is not over at `now`, base64url.
    async fn tokens(&self, key: &SessionKey, now: Timestamp) -> Result<Option<String>, StoreDown>;

    /// Keeps other sealed tokens of a session; nothing is kept if it is gone, or never had any
    /// (`Ok(false)`).
    async fn keep_tokens(&self, key: &SessionKey, tokens: &str) -> Result<bool, StoreDown>;

    /// Moves the idle end of a session that still exists; it was seen at `now`.
    async fn touch(
        &self,
        key: &SessionKey,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<(), StoreDown>;

    /// Ends a session.
    async fn delete(&self, key: &SessionKey) -> Result<(), StoreDown>;

    /// Ends all sessions of a subject, or those with one `sid`; gives their keys.
    async fn delete_of(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        idp_sid: Option<&str>,
    ) -> Result<Vec<SessionKey>, StoreDown>;

    /// Ends the oldest sessions of a subject beyond the `keep` newest; gives their keys.
    async fn evict(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        keep: u32,
    ) -> Result<Vec<SessionKey>, StoreDown>;

    /// Remembers a login attempt as consumed until `expires_at`; `Ok(false)` when it was already.
    async fn consume_attempt(
        &self,
        id: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreDown>;

    /// Forgets what is over. Called now and then; correctness does not depend on it.
    async fn sweep(&self, now: Timestamp) -> Result<(), StoreDown>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreDown>;

    /// Begins to tell `recent` what ends, here and on other nodes, for as long as it is kept.
    /// Called once, inside the runtime.
    fn announce_to(&self, recent: &Arc<RecentSessions>);
}
