//! The letters that onboarding sends.

use super::asking::customer_name;
use super::draft::Draft;
use super::plan::Step;
use super::progress::RegistrationId;
use super::{Failure, Onboarding};
use crate::identity::VerifiedIdentity;
use crate::language::Language;
use crate::mail::{Addressee, CourierError, Letterhead, Message, RequestOutcome};

impl Onboarding {
    pub(super) async fn send(
        &self,
        message: &Message,
        to: &Addressee,
        host: &str,
    ) -> Result<(), CourierError> {
        let letter = self
            .parts
            .letters
            .compose(message, to, &self.letterhead(host));
        self.parts.courier.send(&letter).await
    }

    /// Tells an applicant who has left the page how it ended. The account works without the
    /// letter, so that a failure is logged and no more.
    pub(super) async fn tell(&self, id: &RegistrationId, draft: &Draft, failure: Option<&Failure>) {
        let customer = draft.asked.as_ref().and_then(customer_name);
        let message = match failure {
            None => Message::AccountReady,
            Some(Failure::Rejected) => Message::RequestRefused {
                customer,
                outcome: RequestOutcome::Rejected,
            },
            Some(Failure::NotAnswered) => Message::RequestRefused {
                customer,
                outcome: RequestOutcome::Expired,
            },
            Some(_) => Message::RegistrationFailed {
                reference: id.as_str().to_owned(),
            },
        };
        let to = applicant(draft);
        if let Err(error) = self.send(&message, &to, &draft.host).await {
            tracing::warn!(registration = %id, error = %error, "an applicant could not be told");
        }
    }

    /// Tells that a registration is complete: whoever the sign-up form names, and an applicant who
    /// has left the page.
    pub(super) async fn tell_of_end(&self, id: &RegistrationId, draft: &Draft, took_long: bool) {
        self.tell_operator(id, draft).await;
        if took_long {
            self.tell(id, draft, None).await;
        }
    }

    async fn tell_operator(&self, id: &RegistrationId, draft: &Draft) {
        let policy = self.parts.policy.current();
        let Some(notified) = &policy.forms.of(&draft.host).notify else {
            return;
        };
        let made = draft.plan.steps.iter().find_map(|step| match step {
            Step::CreateCustomer(customer) => Some(customer.name.clone()),
            _ => None,
        });
        let message = Message::RegistrationCompleted {
            customer: made.unwrap_or_else(|| "-".to_owned()),
            user: draft.name.clone(),
            email: draft.email.clone(),
            account_type: draft.account_type,
            reference: id.as_str().to_owned(),
        };
        let to = Addressee {
            email: notified.email.clone(),
            name: None,
            language: notified.language,
        };
        if let Err(error) = self.send(&message, &to, &draft.host).await {
            tracing::warn!(registration = %id, error = %error, "an operator could not be told");
        }
    }

    pub(super) fn provider_name(&self, identity: &VerifiedIdentity) -> String {
        let voucher = identity.vouched_by().as_str();
        let provider = identity.provider();
        let name = provider.and_then(|id| self.parts.provider_names.get(id));
        name.map_or_else(|| voucher.to_owned(), Clone::clone)
    }

    fn letterhead(&self, host: &str) -> Letterhead {
        let policy = self.parts.policy.current();
        let brand = &policy.forms.of(host).brand;
        Letterhead {
            operator: brand.name.clone(),
            colour: brand.colour.clone(),
            support: brand.support.clone(),
            origin: self.origin(host),
        }
    }

    /// Where links in letters lead: the configured origin, whatever a request says.
    pub(super) fn origin(&self, host: &str) -> String {
        let origin = self.parts.origins.get(host);
        origin.map_or_else(|| format!("https://{host}"), Clone::clone)
    }

    /// The whole address of a page of ours, for a letter.
    pub(super) fn address(&self, host: &str, path: &str) -> String {
        self.origin(host) + path
    }
}

/// The applicant, as letters address them.
pub(super) fn applicant(draft: &Draft) -> Addressee {
    Addressee {
        email: draft.email.clone(),
        name: Some(draft.name.clone()),
        language: draft.language,
    }
}

/// The language to write to somebody in of whom no page is open.
pub(super) fn language_of(identity: &VerifiedIdentity) -> Language {
    Language::negotiate(None, identity.text("locale"))
}
