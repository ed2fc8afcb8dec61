//! Keeps requests for somebody's word, and invitations.

use async_trait::async_trait;

use super::approval::{Asking, Decision};
use super::invitation::{InvitationId, InvitationState};
use super::progress::RegistrationId;
use super::store::{Lease, RegistrationStoreDown};
use crate::clock::Timestamp;
use crate::identity::{CustomerId, PlatformId, UserId};

/// A link that was mailed to somebody who may decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalLink {
    /// Digest of the token in it.
    pub digest: String,
    /// The registration that it decides about.
    pub registration: RegistrationId,
    /// Who was written to.
    pub user: UserId,
}

/// Letters that went out, and what is next.
#[derive(Debug, Clone, Copy)]
pub struct LettersSent {
    /// How many rounds there were by now.
    pub letters: u32,
    /// When the request is looked at again.
    pub next: Timestamp,
}

/// A decision about a request.
#[derive(Debug, Clone)]
pub struct NewDecision {
    /// What was decided.
    pub decision: Decision,
    /// By whom: `link:<user>`, `operator`, `time`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What came of deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is decided so.
    Now,
    /// It was decided before.
    Before(Decision),
    /// It is not waiting: its time is over, or it never waited.
    NotWaiting,
}

/// A new invitation.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// Digest of the token in its link.
    pub digest: String,
    /// The platform.
    pub platform: PlatformId,
    /// Digest of the folded address.
    pub email_digest: String,
    /// Into which customer.
    pub customer: CustomerId,
    /// On which host.
    pub host: String,
    /// [`super::invitation::InvitationText`], sealed.
    pub sealed: String,
    /// When.
    pub at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// An invitation as the store has it.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Into which customer.
    pub customer: CustomerId,
    /// On which host.
    pub host: String,
    /// [`super::invitation::InvitationText`], sealed.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
    /// How it stands at the time of asking.
    pub state: InvitationState,
}

/// Keeps requests for somebody's word.
#[async_trait]
pub trait ApprovalStore: Send + Sync {
    /// How far the asking about a registration is; none where nobody is asked.
    async fn asking(&self, id: &RegistrationId) -> Result<Option<Asking>, RegistrationStoreDown>;

    /// Keeps a link that is about to be mailed.
    async fn add_approval_link(
        &self,
        link: &ApprovalLink,
        at: Timestamp,
    ) -> Result<(), RegistrationStoreDown>;

    /// The link with this digest.
    async fn approval_link(
        &self,
        digest: &str,
    ) -> Result<Option<ApprovalLink>, RegistrationStoreDown>;

    /// Gives the lease back after letters went out, until the next move; `Ok(false)` when the
    /// lease is over or the request is decided.
    async fn letters_sent(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        sent: LettersSent,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Decides, once: the registration goes on, or is closed, in the same transaction.
    async fn decide(
        &self,
        id: &RegistrationId,
        new: &NewDecision,
    ) -> Result<Decided, RegistrationStoreDown>;
}

/// Keeps invitations.
#[async_trait]
pub trait InvitationStore: Send + Sync {
    /// Keeps a new invitation.
    async fn add_invitation(&self, new: &NewInvitation) -> Result<(), RegistrationStoreDown>;

    /// The newest invitation of an address that can be used.
    async fn open_invitation(
        &self,
        platform: &PlatformId,
        email_digest: &str,
        now: Timestamp,
    ) -> Result<Option<Invitation>, RegistrationStoreDown>;

    /// The invitation whose link has this digest.
    async fn invitation_by_link(
        &self,
        digest: &str,
        now: Timestamp,
    ) -> Result<Option<Invitation>, RegistrationStoreDown>;

    /// Invitations, the newest first.
    async fn invitations(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Invitation>, RegistrationStoreDown>;

    /// Takes an invitation back; `Ok(false)` when it cannot be used any more.
    async fn revoke_invitation(
        &self,
        id: &InvitationId,
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;
}
