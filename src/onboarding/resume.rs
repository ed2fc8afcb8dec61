//! Picks up registrations that are due, whichever node left them; any number of nodes run this.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Onboarding;
use crate::in_hand::InHand;

/// How often due registrations are looked for; a submission on this node is taken up at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often those are counted who came to the form and never sent it.
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// How many are carried on at once.
const AT_ONCE: usize = 16;
/// How long a stopping node waits for those it has in hand; the rest is resumed elsewhere.
const FINISH_WITHIN: Duration = Duration::from_secs(15);

impl Onboarding {
    /// Carries on whatever is due, until `shutdown`.
    pub async fn keep_going(self: Arc<Self>, shutdown: CancellationToken) {
        let mut in_hand = InHand::up_to(AT_ONCE);
        let mut swept: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            in_hand.reap();
            if swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
                self.sweep_funnel().await;
                swept = Some(Instant::now());
            }
            self.take_up(&mut in_hand).await;
            self.wait_for_work(&shutdown).await;
        }
        if !in_hand.finish(FINISH_WITHIN).await {
            tracing::warn!("registrations in hand are left for another node");
        }
        if !self.errands.finish(FINISH_WITHIN).await {
            tracing::warn!("some letters that were asked for were not written");
        }
    }

    /// Frees what earlier processes at this node's place held. To be called once they are gone:
    /// nothing of theirs is under way any more.
    pub async fn free_leases_left(&self) {
        let node = &self.parts.node;
        let released = self.parts.store.release(node).await;
        if let Err(error) = released.and(self.parts.attributes.free(node).await) {
            tracing::warn!(error = %error, "leases of an earlier run could not be given back");
        }
        self.work.notify_one();
    }

    async fn wait_for_work(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.work.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    async fn take_up(self: &Arc<Self>, in_hand: &mut InHand) {
        let limit = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let due = match self.parts.store.due(self.parts.clock.now(), limit).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = %error, "due registrations could not be looked up");
                return;
            }
        };
        for id in due {
            let (onboarding, registration) = (Arc::clone(self), id.clone());
            in_hand.add(id.as_str(), async move {
                if let Err(error) = onboarding.carry_on(&registration).await {
                    tracing::error!(%registration, error = %error,
                        "a registration could not be carried on");
                }
            });
        }
    }
}
