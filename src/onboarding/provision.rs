//! Carries one registration on, under a lease: its steps in order, or their undoing in reverse.
//!
//! Before each effect the step is recorded as begun, which also renews the lease and stops whoever
//! has lost it; after it, as done. Every effect is find-or-create by the registration's mark and
//! ends within a third of a lease, so that nothing is under way any more when somebody else takes
//! over.

use std::time::Duration;

use secrecy::SecretString;

use super::draft::Draft;
use super::funnel::Stage;
use super::plan::Making;
use super::progress::{Failure, Finished, Provisioned, Provisioning, State, StepKind, StepState};
use super::registering::USUALLY_WITHIN;
use super::stopped::{Stopped, in_time, judge};
use super::store::{Completion, Lease, LinkedBy, NewLink, Registration, StepChange};
use super::{Onboarding, OnboardingError, RegistrationId, fault_point, password, pause};
use crate::audit::EventKind;
use crate::identity::{Account, CustomerId};
use crate::platform::{BelongsTo, Made, Mark, PlatformError};
use crate::seal;
use crate::telemetry::traces;

/// How long a lease lasts from the last recorded step.
const LEASE: Duration = Duration::from_secs(30);

/// One registration in our hands.
pub(super) struct Job<'a> {
    pub(super) onboarding: &'a Onboarding,
    pub(super) registration: Registration,
    pub(super) draft: Draft,
    pub(super) lease: Lease,
}

impl Onboarding {
    /// Carries a registration on as far as it goes; does nothing if somebody else does.
    pub async fn carry_on(&self, id: &RegistrationId) -> Result<(), OnboardingError> {
        let lease = self.new_lease();
        let now = self.parts.clock.now();
        let Some(registration) = self.parts.store.take(id, &lease, now).await? else {
            return Ok(());
        };
        let draft = match Draft::open(&self.parts.keys, id, &registration.sealed) {
            Ok(draft) => draft,
            Err(error) => {
                tracing::error!(registration = %id, "no key in force opens the registration");
                let later = now.plus(pause::LONGEST);
                self.parts.store.postpone(id, &lease, later).await?;
                return Err(error.into());
            }
        };
        let mut job = Job {
            onboarding: self,
            registration,
            draft,
            lease,
        };
        traces::of_work("registration", job.run()).await
    }

    fn new_lease(&self) -> Lease {
        Lease {
            owner: self.parts.node.new_lease(),
            until: self.parts.clock.now().plus(LEASE),
        }
    }
}

impl Job<'_> {
    async fn run(&mut self) -> Result<(), OnboardingError> {
        let outcome = match self.registration.state {
            State::AwaitingApproval => self.see_to_asking().await,
            State::Undoing => self.undo().await,
            _ => match self.provision().await {
                Err(Stopped::Never(why)) => self.turn_back(&why).await,
                outcome => outcome,
            },
        };
        match outcome {
            Ok(()) | Err(Stopped::NotOurs | Stopped::Never(_)) => Ok(()),
            Err(Stopped::Later(error)) => self.postpone(&error, asked_pause(&error)).await,
            Err(Stopped::Unsent(error)) => self.postpone(&error, Duration::ZERO).await,
            Err(Stopped::Down(error)) => Err(error),
        }
    }

    async fn provision(&mut self) -> Result<(), Stopped> {
        let steps = self.registration.steps.clone();
        let mut provisioning = Provisioning::resume(steps, self.draft.plan.joins.clone());
        loop {
            match provisioning.next() {
                Provisioned::Next { position, kind } => {
                    let belongs_to = provisioning.belongs_to();
                    let outcome = self.carry_out(position, kind, belongs_to).await?;
                    provisioning = provisioning.step_done(&outcome);
                }
                Provisioned::Finished(finished) => return self.complete(&finished).await,
                Provisioned::Broken => {
                    tracing::error!(registration = %self.registration.id, "its steps make no user");
                    return Err(Stopped::Never(Failure::Refused {
                        field: "plan".to_owned(),
                    }));
                }
            }
        }
    }

    async fn carry_out(
        &mut self,
        position: usize,
        kind: StepKind,
        belongs_to: Option<BelongsTo>,
    ) -> Result<String, Stopped> {
        self.record(position, StepState::Begun, None).await?;
        fault_point::reach(kind.as_str(), "begun");
        let making = self.effect(position, belongs_to);
        let made = traces::during(kind.as_str(), traces::Step::Inside, making).await?;
        fault_point::reach(kind.as_str(), "made");
        let (id, found) = match made {
            Made::Created(id) => (id, false),
            Made::Found(id) => (id, true),
        };
        self.record(position, StepState::Done, Some(id.clone()))
            .await?;
        fault_point::reach(kind.as_str(), "done");
        tracing::info!(registration = %self.registration.id, step = kind.as_str(), found, "a step is done");
        let detail = serde_json::json!({ "step": kind.as_str(), "id": id, "found": found });
        self.event(EventKind::StepDone, None, detail).await;
        Ok(id)
    }

    /// What the step does to the platform.
    async fn effect(
        &self,
        position: usize,
        belongs_to: Option<BelongsTo>,
    ) -> Result<Made<String>, Stopped> {
        let platform = &self.onboarding.parts.platform;
        let mark = self.mark();
        let step = self.draft.plan.steps.get(position);
        let made = match step.and_then(|step| step.making(belongs_to)) {
            Some(Making::Customer(new)) => {
                let made = in_time(platform.ensure_customer(&mark, new)).await;
                made.map(|made| made.map(|id| id.as_str().to_owned()))
            }
            Some(Making::Location(new)) => {
                let made = in_time(platform.ensure_location(&mark, &new)).await;
                made.map(|made| made.map(|id| id.as_str().to_owned()))
            }
            Some(Making::User(new)) => {
                let password = self.chosen_password()?;
                let made = platform.ensure_user(&mark, &new, password.as_ref());
                let made = in_time(made).await;
                made.map(|made| made.map(|id| id.as_str().to_owned()))
            }
            None => {
                return Err(Stopped::Never(Failure::Refused {
                    field: "customer".to_owned(),
                }));
            }
        };
        made.map_err(judge)
    }

    /// The password that the applicant chose, as long as it is kept.
    fn chosen_password(&self) -> Result<Option<SecretString>, Stopped> {
        let Some(sealed) = &self.registration.sealed_password else {
            return Ok(None);
        };
        let keys = &self.onboarding.parts.keys;
        Ok(Some(password::open(keys, &self.registration.id, sealed)?))
    }

    async fn complete(&mut self, finished: &Finished) -> Result<(), Stopped> {
        fault_point::reach("registration", "finished");
        let parts = &self.onboarding.parts;
        let account = Account {
            platform: parts.platform.id().clone(),
            user: finished.user.clone(),
            customer: customer_of(Some(finished.belongs_to.clone())),
            account_type: Some(self.draft.account_type),
        };
        let applicant = &self.draft.identity;
        let is_proven =
            applicant.has_proven_email() && applicant.email().as_ref() == Some(&self.draft.email);
        let by = if is_proven {
            LinkedBy::Registration
        } else {
            LinkedBy::UnprovenRegistration
        };
        let link = NewLink {
            who: (self.registration.who).registered_as(applicant, &finished.user),
            account: account.clone(),
            by,
            at: parts.clock.now(),
        };
        let id = &self.registration.id;
        let announcement = self.onboarding.announcement(id, &self.draft, &account);
        let told = (&link, announcement.as_ref());
        match parts.store.complete(id, &self.lease, told).await? {
            Completion::LeaseLost => return Err(Stopped::NotOurs),
            Completion::LinkedElsewhere => return Err(Stopped::Never(Failure::LinkedElsewhere)),
            Completion::Completed => {}
        }
        fault_point::reach("registration", "completed");
        if let (Some(outbox), Some(announced)) = (&parts.webhooks, &announcement) {
            outbox.put_in(announced);
        }
        self.count(Stage::Completed);
        tracing::info!(registration = %id, "a registration is complete");
        let detail = serde_json::json!({ "by": by.as_str() });
        self.event(EventKind::Linked, Some(&account), detail).await;
        let detail = serde_json::Value::Null;
        self.event(EventKind::RegistrationCompleted, Some(&account), detail)
            .await;
        let (draft, took_long) = (&self.draft, self.took_long());
        let is_awaited = took_long || draft.asked.is_some();
        self.onboarding.tell_of_end(id, draft, is_awaited).await;
        self.onboarding
            .mail_missing_password(draft, &finished.user)
            .await;
        self.tell_administrators(None).await;
        Ok(())
    }

    /// From provisioning to undoing, and on.
    async fn turn_back(&mut self, why: &Failure) -> Result<(), Stopped> {
        let id = &self.registration.id;
        let parts = &self.onboarding.parts;
        tracing::warn!(registration = %id, reason = why.to_text(), "a registration failed and is undone");
        if !parts.store.begin_undoing(id, &self.lease, why).await? {
            return Err(Stopped::NotOurs);
        }
        fault_point::reach("registration", "turned_back");
        // The record says which steps were begun; ours is from before they were.
        if let Some(current) = parts.store.registration(id).await? {
            self.registration = current;
        }
        self.undo().await
    }

    pub(super) async fn record(
        &mut self,
        position: usize,
        state: StepState,
        outcome: Option<String>,
    ) -> Result<(), Stopped> {
        let at = self.onboarding.parts.clock.now();
        self.lease.until = at.plus(LEASE);
        let made_user = self.registration.steps.get(position);
        let made_user = made_user.is_some_and(|step| step.kind == StepKind::CreateUser);
        let change = StepChange {
            position,
            state,
            outcome,
            at,
            erases_password: made_user && state == StepState::Done,
        };
        let store = &self.onboarding.parts.store;
        let held = store
            .record_step(&self.registration.id, &self.lease, &change)
            .await?;
        if state == StepState::Done {
            self.registration.attempts = 0;
        }
        held.then_some(()).ok_or(Stopped::NotOurs)
    }

    async fn postpone(
        &self,
        error: &(dyn std::error::Error + Sync + 'static),
        at_least: Duration,
    ) -> Result<(), OnboardingError> {
        let attempts = self.registration.attempts;
        let pause = pause::after(attempts, u16::from_le_bytes(seal::random_bytes())).max(at_least);
        let (id, parts) = (&self.registration.id, &self.onboarding.parts);
        tracing::warn!(registration = %id, error = %error, attempts, pause_ms = pause.as_millis(),
            "a registration is carried on later");
        let next = parts.clock.now().plus(pause);
        parts.store.postpone(id, &self.lease, next).await?;
        Ok(())
    }

    pub(super) fn count(&self, stage: Stage) {
        let (kind, host) = (self.draft.account_type, &self.registration.host);
        self.onboarding.count_stage(stage, Some(kind), host);
    }

    pub(super) async fn event(
        &self,
        kind: EventKind,
        account: Option<&Account>,
        detail: serde_json::Value,
    ) {
        let mut event = self.onboarding.event(kind, &self.registration.who);
        event.registration = Some(self.registration.id.as_str().to_owned());
        event.host = Some(self.registration.host.clone());
        event.account = account.cloned();
        event.detail = detail;
        self.onboarding.keep(event).await;
    }

    pub(super) fn mark(&self) -> Mark {
        Mark::new(self.registration.id.as_str())
    }

    pub(super) fn took_long(&self) -> bool {
        let now = self.onboarding.parts.clock.now();
        now.since(self.registration.created_at) > USUALLY_WITHIN
    }
}

fn customer_of(belongs_to: Option<BelongsTo>) -> Option<CustomerId> {
    match belongs_to {
        Some(BelongsTo::Customer(customer)) => Some(customer),
        Some(BelongsTo::Partner(_)) | None => None,
    }
}

/// How long the platform asks to wait.
fn asked_pause(error: &PlatformError) -> Duration {
    match error {
        PlatformError::Busy { retry_after } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    }
}
