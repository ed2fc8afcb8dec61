//! Takes back, in reverse order, what a registration made that failed for good.

use super::fault_point;
use super::funnel::Stage;
use super::plan::Making;
use super::progress::{Failure, Provisioning, StepKind, StepState, Undoing};
use super::provision::Job;
use super::stopped::{Stopped, in_time};
use crate::audit::EventKind;
use crate::platform::Undone;

impl Job<'_> {
    pub(super) async fn undo(&mut self) -> Result<(), Stopped> {
        let mut undoing = Undoing::resume(self.registration.steps.clone());
        while let Some((position, kind)) = undoing.next() {
            let outcome = self.take_back(position, kind).await?;
            fault_point::reach(kind.as_str(), "taken_back");
            self.record(position, StepState::Undone, None).await?;
            fault_point::reach(kind.as_str(), "undone");
            if outcome == Undone::Kept {
                tracing::warn!(registration = %self.registration.id, step = kind.as_str(),
                    "what a failed registration made is in use by others and was kept");
            }
            let detail = serde_json::json!({
                "step": kind.as_str(), "kept": outcome == Undone::Kept,
            });
            self.event(EventKind::StepUndone, None, detail).await;
            undoing = undoing.step_undone();
        }
        self.close_failed().await
    }

    async fn take_back(&mut self, position: usize, kind: StepKind) -> Result<Undone, Stopped> {
        let platform = &self.onboarding.parts.platform;
        let mark = self.mark();
        let plan = &self.draft.plan;
        let made = Provisioning::resume(self.registration.steps.clone(), plan.joins.clone());
        let step = plan.steps.get(position);
        let undone = match step.and_then(|step| step.making(made.belongs_to())) {
            Some(Making::Customer(new)) => in_time(platform.remove_customer(&mark, new)).await,
            Some(Making::Location(new)) => in_time(platform.remove_location(&mark, &new)).await,
            Some(Making::User(new)) => in_time(platform.remove_user(&mark, &new)).await,
            // What it would have been made in was never there.
            None => Ok(Undone::Absent),
        };
        match undone {
            Err(error) if !error.is_passing() => {
                tracing::error!(registration = %self.registration.id, step = kind.as_str(),
                    error = %error, "the platform does not let a step be undone");
                Ok(Undone::Kept)
            }
            other => other.map_err(Stopped::Later),
        }
    }

    async fn close_failed(&mut self) -> Result<(), Stopped> {
        let (id, parts) = (&self.registration.id, &self.onboarding.parts);
        let why = self.registration.failure.clone();
        if self.draft.asked.is_some() {
            // Told before it is closed, so that a crash in between tells twice and not never.
            self.onboarding.tell(id, &self.draft, why.as_ref()).await;
            self.tell_administrators(why.as_ref()).await;
        }
        if !parts.store.fail(id, &self.lease, parts.clock.now()).await? {
            return Err(Stopped::NotOurs);
        }
        self.count(Stage::Failed);
        let detail = serde_json::json!({ "reason": why.as_ref().map(Failure::to_text) });
        self.event(EventKind::RegistrationFailed, None, detail)
            .await;
        if self.draft.asked.is_none() && self.took_long() {
            self.onboarding.tell(id, &self.draft, why.as_ref()).await;
        }
        Ok(())
    }
}
