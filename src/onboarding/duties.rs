//! What somebody who is signed in has to do first: accepting agreements that changed.
//!
//! The session carries what was done ([`Cleared`]), so that requests need no look-up; the tables
//! are asked at login, and when the session does not know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::{Refusal, judge_acceptances};
use super::duty_store::{KeptReceipt, KeptText, LaterAcceptance};
use super::store::{Receipt, Who};
use super::{FieldProblem, Onboarding, OnboardingError};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::identity::{Account, Cleared, VerifiedIdentity};
use crate::policy::{Agreement, SignupForm};

/// Somebody who is signed in, on a host.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn<'a> {
    /// Who.
    pub identity: &'a VerifiedIdentity,
    /// As whom.
    pub account: &'a Account,
    /// Through which client.
    pub client: &'a ClientContext,
}

/// Why agreements were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// Something has problems; what was sent is shown again.
    #[error("{} answers have problems", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// There is a field that the form does not have: not sent by our page.
    #[error("the form has no such field")]
    UnknownField,
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

impl From<Refusal> for DutyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(problems) => Self::Invalid(problems),
            Refusal::UnknownField(_) => Self::UnknownField,
        }
    }
}

impl Onboarding {
    /// What the user of an account has done, by whichever identity, as a session carries it.
    pub async fn cleared(&self, account: &Account) -> Result<Cleared, OnboardingError> {
        Ok(self.parts.duties.cleared(account).await?)
    }

    /// The agreements that somebody has to accept, given what they accepted, in page order.
    pub fn to_accept(&self, who: SignedIn<'_>, cleared: &Cleared) -> Vec<Arc<Agreement>> {
        let form = self.form_of(who);
        form.agreements_for(who.account.account_type)
            .filter(|agreement| !agreement.is_covered_by(&cleared.agreements))
            .cloned()
            .collect()
    }

    /// Takes acceptances. What was accepted a moment ago, in another tab, counts.
    pub async fn accept(
        &self,
        who: SignedIn<'_>,
        input: &BTreeMap<String, String>,
    ) -> Result<Cleared, DutyError> {
        let form = self.form_of(who);
        let concerned: Vec<_> = form
            .agreements_for(who.account.account_type)
            .cloned()
            .collect();
        let cleared = self.cleared(who.account).await?;
        let due: Vec<_> = self.to_accept(who, &cleared);
        let acceptances = judge_acceptances(&concerned, &due, input)?;
        let receipt = |accepted: super::answers::Acceptance| {
            let agreement = due.iter().find(|one| one.id == accepted.agreement)?;
            Receipt::of(agreement, accepted, who.client.client)
        };
        let receipts: Vec<_> = acceptances.into_iter().filter_map(receipt).collect();
        if receipts.is_empty() {
            return Ok(cleared);
        }
        let acceptance = LaterAcceptance {
            who: self.who(who.identity),
            receipts,
            host: who.client.host.clone(),
            at: self.parts.clock.now(),
        };
        let kept = self.parts.duties.accept(&acceptance).await;
        kept.map_err(OnboardingError::from)?;
        self.note_acceptance(who, &acceptance).await;
        Ok(self.cleared(who.account).await?)
    }

    /// The receipts after this id, in the order of ids.
    pub async fn receipts(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<KeptReceipt>, OnboardingError> {
        Ok(self.parts.duties.receipts(after, limit).await?)
    }

    /// A text that somebody accepted once, by its digest.
    pub async fn accepted_text(
        &self,
        agreement: &str,
        version: &str,
    ) -> Result<Option<KeptText>, OnboardingError> {
        Ok(self.parts.duties.text(agreement, version).await?)
    }

    pub(super) fn form_of(&self, who: SignedIn<'_>) -> Arc<SignupForm> {
        Arc::clone(self.parts.policy.current().forms.of(&who.client.host))
    }

    async fn note_acceptance(&self, who: SignedIn<'_>, acceptance: &LaterAcceptance) {
        let versions = acceptance.receipts.iter().map(|receipt| {
            let accepted = &receipt.accepted;
            (accepted.agreement.as_str(), accepted.version.as_str())
        });
        let detail = serde_json::json!(versions.collect::<BTreeMap<_, _>>());
        self.note_duty(EventKind::AgreementsAccepted, who, &acceptance.who, detail)
            .await;
    }

    pub(super) async fn note_duty(
        &self,
        kind: EventKind,
        by: SignedIn<'_>,
        who: &Who,
        detail: serde_json::Value,
    ) {
        let mut event = self.event(kind, who);
        event.account = Some(by.account.clone());
        event.host = Some(by.client.host.clone());
        event.client_address = Some(by.client.client);
        event.reference = Some(by.client.reference.clone());
        event.detail = detail;
        self.keep(event).await;
    }
}
