//! Keeps account links, registrations with their steps, and receipts.
//!
//! Every change to a registration under way names the lease under which it is made and has no
//! effect once that lease is over.

use std::net::IpAddr;

use async_trait::async_trait;

use super::answers::Acceptance;
use super::approval::{Asked, Asking};
use super::invitation::InvitationId;
use super::progress::{Failure, RecordedStep, RegistrationId, State, StepKind};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, Node};
use crate::identity::{Account, Issuer, PlatformId, Subject, UserId, VerifiedIdentity};
use crate::outbox::Prepared;
use crate::policy::Agreement;

pub use super::proof_store::{NewCode, ProofLimits, ProofStore, TriedCode};

/// The store cannot answer.
#[derive(Debug, thiserror::Error)]
#[error("the registration store does not answer")]
pub struct RegistrationStoreDown(#[from] pub DatabaseError);

/// Whose link or registration it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The platform.
    pub platform: PlatformId,
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
}

impl Who {
    /// Whose link it is once this user of the platform is theirs.
    #[must_use]
    pub fn as_local_user(&self, user: &UserId) -> Self {
        Self {
            platform: self.platform.clone(),
            issuer: Issuer::of_platform(&self.platform),
            subject: Subject::new(user.as_str()),
        }
    }

    /// Whose link it is that an applicant's registration writes, which has made this user.
    #[must_use]
    pub fn registered_as(&self, applicant: &VerifiedIdentity, user: &UserId) -> Self {
        if applicant.is_by_mail() {
            self.as_local_user(user)
        } else {
            self.clone()
        }
    }
}

/// How a link came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkedBy {
    /// A registration made the user.
    Registration,
    /// A registration made the user, with an address that nobody had proven: it gives way to
    /// whoever proves it.
    UnprovenRegistration,
    /// The owner of an existing user gave proof.
    Proof,
    /// An operator said so.
    Operator,
}

impl LinkedBy {
    /// The word used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::UnprovenRegistration => "unproven_registration",
            Self::Proof => "proof",
            Self::Operator => "operator",
        }
    }
}

/// A new account link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Whose.
    pub who: Who,
    /// Where it leads.
    pub account: Account,
    /// How it came about.
    pub by: LinkedBy,
    /// When.
    pub at: Timestamp,
}

/// A registration as it is submitted.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// Its id, also the mark of what it makes.
    pub id: RegistrationId,
    /// Whose.
    pub who: Who,
    /// Digest of the folded address.
    pub email_digest: String,
    /// On which host.
    pub host: String,
    /// Language tag.
    pub language: &'static str,
    /// The sealed draft.
    pub sealed: String,
    /// The chosen password, sealed, where one was chosen.
    pub sealed_password: Option<String>,
    /// The policy that judged it.
    pub policy_version: String,
    /// The steps, in order.
    pub steps: Vec<StepKind>,
    /// The accepted agreements.
    pub receipts: Vec<Receipt>,
    /// A link that leads to a user that is gone, and goes with the submission.
    pub stale_link: Option<Account>,
    /// Whose word it waits for first, and how far the asking is.
    pub asking: Option<(Asked, Asking)>,
    /// The invitation that it uses up.
    pub invitation: Option<InvitationId>,
    /// When.
    pub at: Timestamp,
}

/// A receipt for an accepted agreement.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// What was accepted.
    pub accepted: Acceptance,
    /// The version as the operator named it, if so.
    pub named_version: Option<String>,
    /// The text that was accepted.
    pub text: String,
    /// From where.
    pub client: IpAddr,
}

impl Receipt {
    /// The receipt of an agreement; none when it has no such text.
    pub fn of(agreement: &Agreement, accepted: Acceptance, client: IpAddr) -> Option<Self> {
        Some(Self {
            text: agreement.texts.get(&accepted.language)?.markdown.clone(),
            named_version: agreement.named_version.clone(),
            accepted,
            client,
        })
    }
}

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is kept, and under way.
    Opened,
    /// This identity has one under way.
    UnderWay(RegistrationId),
    /// This identity is linked.
    Linked,
    /// Another identity has one under way with the same address.
    EmailBusy,
}

/// A registration as the store has it.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// Whose.
    pub who: Who,
    /// On which host.
    pub host: String,
    /// How far.
    pub state: State,
    /// Why it fails or failed.
    pub failure: Option<Failure>,
    /// The sealed draft; empty once completed.
    pub sealed: String,
    /// The chosen password, sealed, until the platform has it.
    pub sealed_password: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<RecordedStep>,
    /// How often in a row the platform could not be reached.
    pub attempts: u32,
    /// When it is tried next.
    pub next_try_at: Timestamp,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Registration {
    /// The user that it has made, once it is complete.
    pub fn made_user(&self) -> Option<UserId> {
        let mut steps = self.steps.iter();
        let made = steps.find(|step| step.kind == StepKind::CreateUser)?;
        let user = made.outcome.clone().map(UserId::new);
        user.filter(|_| self.state == State::Completed)
    }

    /// Whether somebody who was asked said no.
    pub fn was_rejected(&self) -> bool {
        self.state == State::Failed && self.failure == Some(Failure::Rejected)
    }
}

/// The right to carry a registration on, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it: a node and a random part.
    pub owner: String,
    /// Until when.
    pub until: Timestamp,
}

/// What came of closing a registration with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Closed and linked.
    Completed,
    /// The lease is over.
    LeaseLost,
    /// The identity is linked to another account.
    LinkedElsewhere,
}

/// Keeps account links and registrations.
#[async_trait]
pub trait RegistrationStore: Send + Sync {
    /// The account that an identity is linked to.
    async fn link(&self, who: &Who) -> Result<Option<Account>, RegistrationStoreDown>;

    /// All identities that are linked to a user.
    async fn linked_to(
        &self,
        platform: &PlatformId,
        user: &UserId,
    ) -> Result<Vec<(Issuer, Subject)>, RegistrationStoreDown>;

    /// Links, unless the identity is linked or has a registration under way (`Ok(false)`); a link
    /// to `stale` goes first.
    async fn add_link(
        &self,
        link: &NewLink,
        stale: Option<&Account>,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Keeps a submission with its steps and receipts, all or nothing.
    async fn open(&self, new: &NewRegistration) -> Result<Opened, RegistrationStoreDown>;

    /// The newest registration of an identity.
    async fn newest(&self, who: &Who) -> Result<Option<Registration>, RegistrationStoreDown>;

    /// A registration by its id.
    async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Registration>, RegistrationStoreDown>;

    /// Registrations that nobody carries on and that are due, the most overdue first.
    async fn due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RegistrationId>, RegistrationStoreDown>;

    /// Takes the lease of a registration that is due and free.
    async fn take(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Registration>, RegistrationStoreDown>;

    /// Writes how a step stands, and renews the lease; `Ok(false)` when the lease is over.
    async fn record_step(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        change: &StepChange,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Gives the lease back until the next try; `Ok(false)` when the lease is over.
    async fn postpone(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        next_try_at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;

    /// From provisioning to undoing, with the reason; `Ok(false)` when the lease is over.
    async fn begin_undoing(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        why: &Failure,
    ) -> Result<bool, RegistrationStoreDown>;

    /// From undoing to failed; `Ok(false)` when the lease is over.
    async fn fail(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Closes the registration, erases its draft, writes the link and puts the announcement into
    /// the outbox, in one transaction.
    async fn complete(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        (link, announcement): (&NewLink, Option<&Prepared>),
    ) -> Result<Completion, RegistrationStoreDown>;

    /// Gives back the leases of earlier processes at a node's place; its own stay.
    async fn release(&self, node: &Node) -> Result<(), RegistrationStoreDown>;

    /// An operator's retry: a failed registration starts over, unless the identity is linked or
    /// has another one under way, or somebody who was asked did not agree (`Ok(false)`).
    async fn retry(
        &self,
        id: &RegistrationId,
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Registrations in a state, the newest first.
    async fn list(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Registration>, RegistrationStoreDown>;
}

/// How a step stands after a change.
#[derive(Debug, Clone)]
pub struct StepChange {
    /// The step's position, from 0.
    pub position: usize,
    /// How it stands.
    pub state: super::progress::StepState,
    /// The id that the platform gave.
    pub outcome: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Whether the platform now has the password, which is then erased here.
    pub erases_password: bool,
}
