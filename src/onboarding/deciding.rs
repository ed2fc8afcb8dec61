//! Somebody's word about a registration: by the link of a letter, or by an operator.
//!
//! A link only shows until its button is pressed; the first answer counts, and what follows from it
//! is carried out like everything else of a registration.

use serde::Serialize;
use serde_json::Value;

use super::approval::{Asked, Decision};
use super::asking_store::{ApprovalLink, Decided, NewDecision};
use super::draft::Draft;
use super::progress::{RegistrationId, State};
use super::store::Registration;
use super::{Onboarding, OnboardingError};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::clock::Timestamp;
use crate::identity::AccountType;
use crate::seal;

/// Longer tokens are none of ours.
const LONGEST_TOKEN: usize = 128;

/// What is behind the link of a letter to an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BehindLink {
    /// A request that waits for an answer.
    Open(Request),
    /// A request that was answered.
    Answered(Decision),
    /// Nothing, or nothing any more.
    Nothing,
}

/// Somebody's request to join a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the applicant is called.
    pub applicant: String,
    /// The applicant's address.
    pub email: String,
    /// Whether the address is proven.
    pub email_is_proven: bool,
    /// The name of the identity provider.
    pub provider: String,
    /// The customer.
    pub customer: String,
    /// When it was asked.
    pub asked_at: Timestamp,
}

/// A registration as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorView {
    /// Its id.
    pub id: RegistrationId,
    /// How far.
    pub state: State,
    /// Why it fails or failed.
    pub reason: Option<String>,
    /// On which host.
    pub host: String,
    /// The identity provider's issuer.
    pub issuer: String,
    /// The subject there.
    pub subject: String,
    /// The applicant's name; none once the draft is erased.
    pub name: Option<String>,
    /// The applicant's address; none once the draft is erased.
    pub email: Option<String>,
    /// The chosen account type; none once the draft is erased.
    pub account_type: Option<AccountType>,
    /// Whose word it waits for, or waited for.
    pub asked: Option<&'static str>,
    /// The customer that it joins by asking.
    pub customer: Option<String>,
    /// What was typed; none once the draft is erased.
    pub answers: Option<Value>,
    /// The steps, with their states.
    pub steps: Vec<(String, String)>,
    /// How often in a row the platform could not be reached.
    pub attempts: u32,
    /// When it was submitted, UTC milliseconds.
    pub created_at: i64,
    /// When it last changed, UTC milliseconds.
    pub updated_at: i64,
    /// When it is looked at next, UTC milliseconds.
    pub next_try_at: i64,
}

impl Onboarding {
    /// What is behind a link; looking changes nothing.
    pub async fn behind_link(
        &self,
        token: &str,
        client: &ClientContext,
    ) -> Result<BehindLink, OnboardingError> {
        let Some((link, registration)) = self.link_and_registration(token, client).await? else {
            return Ok(BehindLink::Nothing);
        };
        let asking = self.parts.approvals.asking(&registration.id).await?;
        let Some(asking) = asking else {
            return Ok(BehindLink::Nothing);
        };
        if let Some(decision) = asking.decision {
            return Ok(BehindLink::Answered(decision));
        }
        if registration.state != State::AwaitingApproval
            || self.parts.clock.now() >= asking.expires_at
            || !self.still_decides(&link, &registration).await?
        {
            return Ok(BehindLink::Nothing);
        }
        let draft = Draft::open(&self.parts.keys, &registration.id, &registration.sealed)?;
        let customer = match &draft.asked {
            Some(Asked::Administrators(customer)) => customer.name.clone(),
            Some(Asked::BackOffice) | None => return Ok(BehindLink::Nothing),
        };
        Ok(BehindLink::Open(Request {
            email_is_proven: proves(&draft),
            provider: self.provider_name(&draft.identity),
            applicant: draft.name,
            email: draft.email.into(),
            customer,
            asked_at: registration.created_at,
        }))
    }

    /// Decides by the link of a letter.
    pub async fn decide_by_link(
        &self,
        token: &str,
        decision: Decision,
        client: &ClientContext,
    ) -> Result<Decided, OnboardingError> {
        let found = self.link_and_registration(token, client).await?;
        let Some((link, registration)) = found else {
            return Ok(Decided::NotWaiting);
        };
        if !self.still_decides(&link, &registration).await? {
            return Ok(Decided::NotWaiting);
        }
        let by = format!("link:{}", link.user);
        let decided = self.decide(&registration, decision, by).await?;
        if decided == Decided::Now {
            let mut event = self.event(EventKind::RegistrationDecided, &registration.who);
            event.registration = Some(registration.id.as_str().to_owned());
            event.host = Some(client.host.clone());
            event.client_address = Some(client.client);
            event.reference = Some(client.reference.clone());
            event.detail = serde_json::json!({
                "decision": decision.as_str(), "by": "link", "user": link.user,
            });
            self.keep(event).await;
        }
        Ok(decided)
    }

    /// An operator decides; none when there is no such registration.
    pub async fn decide_by_operator(
        &self,
        id: &RegistrationId,
        decision: Decision,
    ) -> Result<Option<Decided>, OnboardingError> {
        let Some(registration) = self.parts.store.registration(id).await? else {
            return Ok(None);
        };
        let by = "operator".to_owned();
        let decided = self.decide(&registration, decision, by).await?;
        if decided == Decided::Now {
            self.note_operator(&registration, decision.as_str()).await;
        }
        Ok(Some(decided))
    }

    /// An operator's retry of a registration that failed; none when there is no such registration.
    pub async fn retry(&self, id: &RegistrationId) -> Result<Option<bool>, OnboardingError> {
        let Some(registration) = self.parts.store.registration(id).await? else {
            return Ok(None);
        };
        let now = self.parts.clock.now();
        let is_retried = self.parts.store.retry(id, now).await?;
        if is_retried {
            self.work.notify_one();
            self.note_operator(&registration, "retry").await;
        }
        Ok(Some(is_retried))
    }

    /// Registrations, the newest first.
    pub async fn registrations(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<OperatorView>, OnboardingError> {
        let found = self.parts.store.list(state, limit).await?;
        Ok(found.into_iter().map(|one| self.shown(one)).collect())
    }

    /// One registration.
    pub async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<OperatorView>, OnboardingError> {
        let found = self.parts.store.registration(id).await?;
        Ok(found.map(|one| self.shown(one)))
    }

    /// The link of a token with its registration, where it was mailed for this host.
    async fn link_and_registration(
        &self,
        token: &str,
        client: &ClientContext,
    ) -> Result<Option<(ApprovalLink, Registration)>, OnboardingError> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        let digest = seal::digest(token.as_bytes());
        let Some(link) = self.parts.approvals.approval_link(&digest).await? else {
            return Ok(None);
        };
        let registration = self.parts.store.registration(&link.registration).await?;
        let registration = registration.filter(|found| found.host == client.host);
        Ok(registration.map(|registration| (link, registration)))
    }

    /// Whether the platform still lets whoever has the link decide who belongs to the customer:
    /// letters outlive employments. Nothing is asked about what is answered.
    async fn still_decides(
        &self,
        link: &ApprovalLink,
        registration: &Registration,
    ) -> Result<bool, OnboardingError> {
        if registration.state != State::AwaitingApproval {
            return Ok(true);
        }
        let draft = Draft::open(&self.parts.keys, &registration.id, &registration.sealed)?;
        let Some(Asked::Administrators(customer)) = &draft.asked else {
            return Ok(false);
        };
        let deciding = self.parts.platform.administrators(&customer.id).await?;
        Ok(deciding.iter().any(|one| one.user == link.user))
    }

    async fn decide(
        &self,
        registration: &Registration,
        decision: Decision,
        by: String,
    ) -> Result<Decided, OnboardingError> {
        let new = NewDecision {
            decision,
            by,
            at: self.parts.clock.now(),
        };
        let decided = self.parts.approvals.decide(&registration.id, &new).await?;
        if decided == Decided::Now {
            tracing::info!(registration = %registration.id, decision = decision.as_str(),
                "a request was answered");
            self.work.notify_one();
        }
        Ok(decided)
    }

    async fn note_operator(&self, registration: &Registration, what: &'static str) {
        let mut event = self.event(EventKind::Operator, &registration.who);
        event.registration = Some(registration.id.as_str().to_owned());
        event.host = Some(registration.host.clone());
        event.detail = serde_json::json!({ "did": what });
        self.keep(event).await;
    }

    fn shown(&self, one: Registration) -> OperatorView {
        let draft = Draft::open(&self.parts.keys, &one.id, &one.sealed).ok();
        let step = |step: &super::progress::RecordedStep| {
            let (kind, state) = (step.kind.as_str(), step.state.as_str());
            (kind.to_owned(), state.to_owned())
        };
        let asked = draft.as_ref().and_then(|draft| draft.asked.as_ref());
        OperatorView {
            state: one.state,
            reason: one.failure.as_ref().map(super::Failure::to_text),
            steps: one.steps.iter().map(step).collect(),
            asked: asked.map(Asked::as_str),
            customer: asked.and_then(super::asking::customer_name),
            name: draft.as_ref().map(|draft| draft.name.clone()),
            email: draft.as_ref().map(|draft| draft.email.as_str().to_owned()),
            account_type: draft.as_ref().map(|draft| draft.account_type),
            answers: draft.map(|draft| serde_json::json!(draft.typed)),
            id: one.id,
            host: one.host,
            issuer: one.who.issuer.as_str().to_owned(),
            subject: one.who.subject.as_str().to_owned(),
            attempts: one.attempts,
            created_at: one.created_at.millis(),
            updated_at: one.updated_at.millis(),
            next_try_at: one.next_try_at.millis(),
        }
    }
}

/// Whether the address that the user will have is the one that is proven.
fn proves(draft: &Draft) -> bool {
    let proven = draft.identity.email();
    draft.identity.has_proven_email() && proven.as_ref() == Some(&draft.email)
}
