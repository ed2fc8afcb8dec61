//! Picks up registrations that are due, whichever node left them; any number of nodes run this.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Onboarding, RegistrationId};

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
        let mut in_hand = InHand::default();
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
        in_hand.finish().await;
    }

    /// Frees what earlier processes at this node's place held. To be called once they are gone:
    /// nothing of theirs is under way any more.
    pub async fn free_leases_left(&self) {
        if let Err(error) = self.parts.store.release(&self.parts.node).await {
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
            let onboarding = Arc::clone(self);
            in_hand.add(id, |id| async move {
                if let Err(error) = onboarding.carry_on(&id).await {
                    tracing::error!(registration = %id, error = %error,
                        "a registration could not be carried on");
                }
                id
            });
        }
    }
}

/// The registrations that this node is carrying on.
#[derive(Default)]
struct InHand {
    ids: HashSet<String>,
    tasks: JoinSet<RegistrationId>,
}

impl InHand {
    fn add<F>(&mut self, id: RegistrationId, work: impl FnOnce(RegistrationId) -> F)
    where
        F: Future<Output = RegistrationId> + Send + 'static,
    {
        if self.tasks.len() < AT_ONCE && self.ids.insert(id.as_str().to_owned()) {
            self.tasks.spawn(work(id));
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(id) => _ = self.ids.remove(id.as_str()),
                // A task that ended otherwise does not say which it was.
                Err(_) if self.tasks.is_empty() => self.ids.clear(),
                Err(_) => {}
            }
        }
    }

    async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_WITHIN, all).await.is_err() {
            tracing::warn!("registrations in hand are left for another node");
        }
    }
}
