//! Asks for the word that a registration waits for: letters, a reminder, and an end.
//!
//! It is part of carrying a registration on, under its lease: a crash before the letters are
//! recorded sends them again, and none is lost. Tokens leave in letters only; the store has their
//! digests.

use super::approval::{Asked, Decision, Move};
use super::asking_store::{ApprovalLink, LettersSent, NewDecision};
use super::fault_point;
use super::letters::applicant;
use super::progress::Failure;
use super::provision::Job;
use super::stopped::{Stopped, in_time};
use crate::language::Language;
use crate::mail::{Addressee, CourierError, JoinRequest, Message, RequestOutcome};
use crate::platform::{Administrator, PlatformCustomer};
use crate::{paths, seal};

impl Job<'_> {
    /// Does what is due about a request, and leaves it until the next move.
    pub(super) async fn see_to_asking(&mut self) -> Result<(), Stopped> {
        let parts = &self.onboarding.parts;
        let id = &self.registration.id;
        let now = parts.clock.now();
        let Some(asking) = parts.approvals.asking(id).await? else {
            tracing::error!(registration = %id, "it waits for approval, and nobody is asked");
            return Err(Stopped::NotOurs);
        };
        match asking.next(now) {
            Move::Ask => self.write_to_all(false).await?,
            Move::Remind => self.write_to_all(true).await?,
            Move::Wait(_) => {}
            Move::Expire => return self.expire().await,
        }
        fault_point::reach("approval", "asked");
        let mut asked = asking;
        if !matches!(asking.next(now), Move::Wait(_)) {
            asked.letters += 1;
        }
        let next = match asked.next(now) {
            Move::Wait(until) => until,
            Move::Ask | Move::Remind | Move::Expire => now,
        };
        let sent = LettersSent {
            letters: asked.letters,
            next,
        };
        parts.approvals.letters_sent(id, &self.lease, sent).await?;
        Ok(())
    }

    async fn expire(&self) -> Result<(), Stopped> {
        let parts = &self.onboarding.parts;
        let decision = NewDecision {
            decision: Decision::Expired,
            by: "time".to_owned(),
            at: parts.clock.now(),
        };
        let id = &self.registration.id;
        parts.approvals.decide(id, &decision).await?;
        tracing::info!(registration = %id, "nobody answered a request in time");
        self.onboarding.work.notify_one();
        Ok(())
    }

    async fn write_to_all(&self, is_reminder: bool) -> Result<(), Stopped> {
        match &self.draft.asked {
            Some(Asked::Administrators(customer)) => {
                let platform = &self.onboarding.parts.platform;
                let all = in_time(platform.administrators(&customer.id)).await;
                let all = all.map_err(Stopped::Later)?;
                for administrator in &all {
                    self.ask(administrator, customer, is_reminder).await?;
                }
                if all.is_empty() {
                    tracing::warn!(registration = %self.registration.id,
                        "the customer has no administrator; the back office is asked");
                    self.notify_back_office().await?;
                }
            }
            Some(Asked::BackOffice) => self.notify_back_office().await?,
            None => {}
        }
        if !is_reminder {
            self.confirm_receipt().await;
        }
        Ok(())
    }

    async fn ask(
        &self,
        administrator: &Administrator,
        customer: &PlatformCustomer,
        is_reminder: bool,
    ) -> Result<(), Stopped> {
        let parts = &self.onboarding.parts;
        let token = seal::random_token();
        let link = ApprovalLink {
            digest: seal::digest(token.as_bytes()),
            registration: self.registration.id.clone(),
            user: administrator.user.clone(),
        };
        parts
            .approvals
            .add_approval_link(&link, parts.clock.now())
            .await?;
        let message = Message::JoinAsked(JoinRequest {
            applicant: self.draft.name.clone(),
            email: self.draft.email.clone(),
            customer: customer.name.clone(),
            link: self
                .onboarding
                .address(&self.draft.host, &paths::approval(&token)),
            is_reminder,
        });
        let sent = self.write(&message, &addressee(administrator)).await;
        sent.or_else(|error| self.passing_only(error))
    }

    async fn notify_back_office(&self) -> Result<(), Stopped> {
        let policy = self.onboarding.parts.policy.current();
        let message = Message::ApprovalAsked {
            applicant: self.draft.name.clone(),
            email: self.draft.email.clone(),
            account_type: self.draft.account_type,
            reference: self.registration.id.as_str().to_owned(),
        };
        for address in &policy.onboarding.approval.notify {
            let to = Addressee {
                email: address.clone(),
                name: None,
                language: Language::En,
            };
            let sent = self.write(&message, &to).await;
            sent.or_else(|error| self.passing_only(error))?;
        }
        Ok(())
    }

    /// The page says the same, so that a failure is logged and no more.
    async fn confirm_receipt(&self) {
        let message = Message::RequestReceived {
            customer: self.draft.asked.as_ref().and_then(customer_name),
        };
        let to = applicant(&self.draft);
        if let Err(error) = self.write(&message, &to).await {
            tracing::warn!(registration = %self.registration.id, error = %error,
                "an applicant could not be told that others were asked");
        }
    }

    async fn write(&self, message: &Message, to: &Addressee) -> Result<(), CourierError> {
        self.onboarding.send(message, to, &self.draft.host).await
    }

    /// Tells the customer's administrators what became of a request; it is done either way.
    pub(super) async fn tell_administrators(&self, failure: Option<&Failure>) {
        let (id, draft) = (&self.registration.id, &self.draft);
        let Some(Asked::Administrators(customer)) = &draft.asked else {
            return;
        };
        let platform = &self.onboarding.parts.platform;
        let all = match in_time(platform.administrators(&customer.id)).await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(registration = %id, error = %error, "nobody could be told");
                return;
            }
        };
        let outcome = match failure {
            None => RequestOutcome::Approved,
            Some(Failure::Rejected) => RequestOutcome::Rejected,
            Some(Failure::NotAnswered) => RequestOutcome::Expired,
            Some(_) => return,
        };
        let message = Message::JoinAnswered {
            applicant: draft.name.clone(),
            email: draft.email.clone(),
            customer: customer.name.clone(),
            outcome,
        };
        for administrator in &all {
            if let Err(error) = self.write(&message, &addressee(administrator)).await {
                tracing::warn!(registration = %id, error = %error, "somebody could not be told");
            }
        }
    }

    /// An address that takes no letters must not keep the others from theirs.
    fn passing_only(&self, error: CourierError) -> Result<(), Stopped> {
        match error {
            CourierError::Passing(_) | CourierError::QueueFull | CourierError::QueueDown(_) => {
                Err(Stopped::Unsent(error))
            }
            CourierError::Refused(_) => {
                tracing::error!(registration = %self.registration.id, error = %error,
                    "somebody who decides could not be written to");
                Ok(())
            }
        }
    }
}

pub(super) fn addressee(administrator: &Administrator) -> Addressee {
    Addressee {
        email: administrator.email.clone(),
        name: Some(administrator.name.clone()),
        language: Language::negotiate(None, administrator.language.as_deref()),
    }
}

pub(super) fn customer_name(asked: &Asked) -> Option<String> {
    match asked {
        Asked::Administrators(customer) => Some(customer.name.clone()),
        Asked::BackOffice => None,
    }
}
