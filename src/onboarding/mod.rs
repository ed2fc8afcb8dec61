//! Becoming a customer: from a proven identity to a working account.
//!
//! [`resolve()`] says what comes next, [`form`] what is asked, [`answers`] whether a submission is
//! valid, [`plan`] which steps it takes; `provision` carries those out as a durable job that any
//! node resumes. Sessions are not its business: `login` asks [`Onboarding::next_step`].

pub mod abuse;
pub mod answers;
pub mod approval;
mod asking;
pub mod asking_store;
pub mod attribute_store;
mod attributes;
pub mod conditions;
mod deciding;
pub mod draft;
mod duties;
pub mod duty_store;
mod email_link;
mod errands;
mod fault_point;
pub mod form;
pub mod funnel;
mod hooking;
pub mod invitation;
mod inviting;
mod letters;
mod local;
mod look_up;
mod partner;
pub mod password;
mod pause;
pub mod plan;
pub mod progress;
pub mod proof_store;
mod proving;
mod provision;
mod registering;
pub mod resolve;
mod resume;
pub mod sql;
mod stopped;
pub mod store;
mod submission;
#[cfg(test)]
mod tests;
mod undoing;
mod values;
mod vat;
mod verifying;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::audit::{Audit, Event, EventKind};
use crate::clock::SharedClock;
use crate::database::Node;
use crate::hooks::RegistrationHook;
use crate::identity::{Account, Issuer, PlatformId, ProviderId, Subject, VerifiedIdentity};
use crate::mail::{Courier, CourierError, Letters};
use crate::outbox::Outbox;
use crate::platform::{Platform, PlatformError};
use crate::policy::{Policy, PolicySource};
use crate::seal::KeyRing;
use crate::telemetry::metrics::Metrics;
use resolve::{Outcome, Reason, resolve};
use store::Who;

pub use abuse::{Abuse, HeldBack, LetterFor, abuse_key};
pub use answers::{FieldProblem, FieldProblemKind};
pub use approval::{Asked, Decision};
pub use asking_store::{ApprovalStore, Decided, InvitationStore};
pub use attribute_store::AttributeStore;
pub use attributes::{Arrival, AttributeCarrier, claimed};
pub use deciding::{BehindLink, OperatorView, Request};
pub use duties::{DutyError, SignedIn};
pub use duty_store::DutyStore;
pub use email_link::{LinkError, LinkRequest, LinkStep, MailedLink, SpentLink};
pub use errands::TooBusy;
pub use form::{FormField, RegistrationForm, Scope};
pub use funnel::FunnelStore;
pub use hooking::Prefilled;
pub use invitation::{InvitationId, InvitationState};
pub use inviting::{InvitationBehindLink, InvitationView, InviteError, NewInvite};
pub use local::{LocalError, NewPasswordError};
pub use progress::{Failure, RegistrationId, State, StepKind, StepState};
pub use proof_store::ProofStore;
pub use proving::{DIGITS as CODE_DIGITS, as_digits as code_digits};
pub use resolve::{Resolution, TurnedAway};
pub use store::{Lease, RegistrationStore, RegistrationStoreDown};

/// What onboarding is made of.
pub struct OnboardingParts {
    /// The system behind us.
    pub platform: Arc<dyn Platform>,
    /// Links and registrations.
    pub store: Arc<dyn RegistrationStore>,
    /// Mailed codes.
    pub proofs: Arc<dyn ProofStore>,
    /// What people accepted and confirmed later.
    pub duties: Arc<dyn DutyStore>,
    /// What claims changed of users.
    pub attributes: Arc<dyn AttributeStore>,
    /// Who came to the form and has not sent it.
    pub funnel: Arc<dyn FunnelStore>,
    /// Requests for somebody's word.
    pub approvals: Arc<dyn ApprovalStore>,
    /// Invitations.
    pub invitations: Arc<dyn InvitationStore>,
    /// What the operator decided.
    pub policy: Arc<dyn PolicySource>,
    /// Writes letters.
    pub letters: Arc<dyn Letters>,
    /// Sends them.
    pub courier: Arc<dyn Courier>,
    /// Holds back those who ask for too much.
    pub abuse: Abuse,
    /// Asked before a registration is accepted, if anybody is.
    pub hook: Option<Arc<dyn RegistrationHook>>,
    /// Where webhooks wait, if anybody wants them.
    pub webhooks: Option<Arc<Outbox>>,
    /// Where what is due waits.
    pub outbox: Arc<Outbox>,
    /// Counts.
    pub metrics: Metrics,
    /// Keeps events.
    pub audit: Arc<dyn Audit>,
    /// Seals drafts and codes.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: SharedClock,
    /// The names of identity providers, for letters.
    pub provider_names: BTreeMap<ProviderId, String>,
    /// The origin of each host, for links in letters.
    pub origins: BTreeMap<String, String>,
    /// This process, in leases.
    pub node: Node,
}

/// Becoming a customer.
pub struct Onboarding {
    parts: OnboardingParts,
    work: Notify,
    /// Letters that are written after the answer.
    errands: errands::Errands,
}

/// What comes next for an identity.
#[derive(Debug, Clone)]
pub enum NextStep {
    /// Signed in with this account.
    SignedIn(Account),
    /// The registration page.
    Register(Box<RegistrationForm>),
    /// Proof that an existing user is theirs.
    Prove(ProofOffer),
    /// A registration is under way; the progress page.
    UnderWay(RegistrationId),
    /// Nobody gets in this way.
    TurnedAway(TurnedAway),
}

/// How the owner of an existing user can prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofOffer {
    /// The address that the platform has, all but the first letter hidden.
    pub masked_email: String,
    /// Whether a code mailed to that address proves anything.
    pub by_mail: bool,
    /// Whether the platform can check that user's password.
    pub by_password: bool,
    /// How many digits a code has.
    pub digits: usize,
    /// How long a code is valid.
    pub minutes: u64,
}

/// How a registration stands, for its own page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressReport {
    /// The registration; also what to quote.
    pub id: RegistrationId,
    /// How far.
    pub standing: ProgressStanding,
    /// Its steps, in order.
    pub steps: Vec<(StepKind, StepState)>,
}

/// How far a registration is, in the words of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressStanding {
    /// Being worked on.
    Working,
    /// Being worked on for longer than usual.
    Slow,
    /// Nothing is made before somebody agrees.
    Waiting(Asked),
    /// The account works.
    Completed,
    /// It failed for good; the form can be sent again.
    Failed(Failure),
}

/// Onboarding cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] RegistrationStoreDown),
    /// The platform cannot answer.
    #[error("the platform could not be asked")]
    Platform(#[from] PlatformError),
    /// The operator's hook has to be asked, and does not answer.
    #[error("the operator's hook does not answer")]
    Hook,
    /// What is to be kept cannot be sealed.
    #[error("the registration could not be sealed")]
    Seal(#[from] crate::seal::CannotOpen),
}

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Fields have problems; what was typed is shown again.
    #[error("{} fields have problems", .problems.len())]
    Invalid {
        /// The form, with what was typed.
        form: Box<RegistrationForm>,
        /// The problems, in page order.
        problems: Vec<FieldProblem>,
    },
    /// There is a field that the form does not have: not sent by our page.
    #[error("the form has no such field")]
    UnknownField,
    /// Too many partner codes were tried.
    #[error("too many codes were tried")]
    HeldBack(HeldBack),
    /// The operator's hook lets nobody in this way.
    #[error("the operator's hook has blocked it")]
    Blocked {
        /// What the page says.
        message: String,
    },
    /// Something else comes next than the registration page.
    #[error("the registration page is not what comes next")]
    Elsewhere(Box<NextStep>),
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

/// Why a proof was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The code or password is wrong.
    #[error("the proof is wrong")]
    Wrong,
    /// No code is valid: none was sent, it is over, spent or out of tries.
    #[error("no code is valid")]
    NoCode,
    /// Too many codes or tries.
    #[error("too many codes or tries")]
    TooOften,
    /// Too much was asked for from this network, for this address or by this identity.
    #[error("too much was asked for at once")]
    HeldBack(HeldBack),
    /// Something else comes next than a proof.
    #[error("a proof is not what comes next")]
    Elsewhere(Box<NextStep>),
    /// The letter could not be sent.
    #[error("the letter could not be sent")]
    Mail(#[from] CourierError),
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

/// How a linked account stands with the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountStanding {
    /// The platform lets the user in; the account as it has it today.
    Active(Account),
    /// The platform has disabled the user.
    Disabled,
    /// The platform has no such user.
    Gone,
}

impl Onboarding {
    /// Puts the parts together.
    pub fn new(parts: OnboardingParts) -> Self {
        Self {
            parts,
            work: Notify::new(),
            errands: errands::Errands::default(),
        }
    }

    /// The platform that it is for.
    pub fn platform_id(&self) -> &PlatformId {
        self.parts.platform.id()
    }

    /// What strangers are asked to wait for.
    pub fn abuse(&self) -> &Abuse {
        &self.parts.abuse
    }

    /// What comes first for an identity that has just been proven, with the audit of what was found.
    pub async fn first_step(
        &self,
        identity: &VerifiedIdentity,
        host: &str,
    ) -> Result<NextStep, OnboardingError> {
        let resolution = self.resolution(identity, host).await?;
        self.note(identity, host, &resolution).await;
        self.step(identity, host, resolution).await
    }

    /// What comes next for an identity on a host. Whoever may join a known customer, and of whom
    /// nothing has to be asked, is registered at once.
    pub async fn next_step(
        &self,
        identity: &VerifiedIdentity,
        host: &str,
    ) -> Result<NextStep, OnboardingError> {
        let resolution = self.resolution(identity, host).await?;
        self.step(identity, host, resolution).await
    }

    async fn step(
        &self,
        identity: &VerifiedIdentity,
        host: &str,
        resolution: Resolution,
    ) -> Result<NextStep, OnboardingError> {
        log_reason(&resolution, identity.vouched_by().as_str(), host);
        match resolution.outcome {
            Outcome::Register(form) if form.joins() && form.asks_nothing() => {
                let stale_link = resolution.stale_link;
                self.join_at_once(identity, host, (form, stale_link)).await
            }
            Outcome::Register(form) => {
                self.came_to_the_form(identity, host).await;
                let form = self.with_what_failed(identity, form).await?;
                Ok(NextStep::Register(Box::new(form)))
            }
            outcome => Ok(self.as_step(outcome)),
        }
    }

    /// What the policy says about an identity on a host, with the rule that says so; changes
    /// nothing.
    pub async fn resolution(
        &self,
        identity: &VerifiedIdentity,
        host: &str,
    ) -> Result<Resolution, OnboardingError> {
        let policy = self.parts.policy.current();
        self.resolve_by(&policy, identity, host).await
    }

    /// The account that an identity is linked to, as the link has it.
    pub async fn linked_account(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<Account>, OnboardingError> {
        Ok(self.parts.store.link(&self.who(identity)).await?)
    }

    /// How the account of an identity stands today; one that it is no longer linked to is gone.
    pub async fn account_standing(
        &self,
        (issuer, subject): (&Issuer, &Subject),
        account: &Account,
    ) -> Result<AccountStanding, OnboardingError> {
        let who = Who {
            platform: account.platform.clone(),
            issuer: issuer.clone(),
            subject: subject.clone(),
        };
        let link = self.parts.store.link(&who).await?;
        if link.is_none_or(|linked| linked.user != account.user) {
            return Ok(AccountStanding::Gone);
        }
        Ok(match self.parts.platform.user(&account.user).await? {
            Some(user) if user.enabled => AccountStanding::Active(user.as_account_of(account)),
            Some(_) => AccountStanding::Disabled,
            None => AccountStanding::Gone,
        })
    }

    async fn resolve_by(
        &self,
        policy: &Policy,
        identity: &VerifiedIdentity,
        host: &str,
    ) -> Result<Resolution, OnboardingError> {
        let lookups = self.look_up(identity, &policy.onboarding).await?;
        let form = policy.forms.of(host);
        Ok(resolve(identity, &lookups, &policy.onboarding, form))
    }

    fn who(&self, identity: &VerifiedIdentity) -> Who {
        Who {
            platform: self.parts.platform.id().clone(),
            issuer: identity.issuer().clone(),
            subject: identity.subject().clone(),
        }
    }

    fn as_step(&self, outcome: Outcome) -> NextStep {
        match outcome {
            Outcome::SignedIn(account) => NextStep::SignedIn(account),
            Outcome::UnderWay(id) => NextStep::UnderWay(id),
            Outcome::Register(form) => NextStep::Register(Box::new(form)),
            Outcome::Prove(user) => NextStep::Prove(self.offer(&user)),
            Outcome::TurnedAway(why) => NextStep::TurnedAway(why),
        }
    }

    /// Keeps what an operator will ask about.
    async fn note(&self, identity: &VerifiedIdentity, host: &str, resolution: &Resolution) {
        let mut event = self.event(EventKind::AccountGone, &self.who(identity));
        event.host = Some(host.to_owned());
        if let Some(gone) = &resolution.stale_link {
            event.account = Some(gone.clone());
            self.keep(event).await;
        } else if resolution.reason == Reason::LinkedToDisabled {
            event.kind = EventKind::AccountDisabled;
            self.keep(event).await;
        }
    }

    fn event(&self, kind: EventKind, who: &Who) -> Event {
        let mut event = Event::new(self.parts.clock.now(), kind);
        event.who = Some((who.issuer.clone(), who.subject.clone()));
        event
    }

    async fn keep(&self, event: Event) {
        self.parts.audit.keep(event).await;
    }
}

fn log_reason(resolution: &Resolution, provider: &str, host: &str) {
    let Resolution {
        reason, outcome, ..
    } = resolution;
    if matches!(reason, Reason::ExclusionFailed { .. }) {
        tracing::warn!(%reason, provider, host, "somebody was turned away by an error");
    } else if matches!(outcome, Outcome::TurnedAway(_)) {
        log_turned_away(reason, provider, host);
    } else {
        tracing::debug!(%reason, provider, host, "the next step was resolved");
    }
}

/// The condition of an exclusion may name people; its name does not.
fn log_turned_away(reason: &Reason, provider: &str, host: &str) {
    let reason = match reason {
        Reason::Excluded { rule, .. } => format!("exclusion `{rule}` holds"),
        other => other.to_string(),
    };
    tracing::info!(reason, provider, host, "somebody was turned away");
}
