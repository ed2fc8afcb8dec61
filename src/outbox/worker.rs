//! Delivers what is due, whichever node took it; any number of nodes run this.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::kept::{self, Lease, TakenRow};
use super::schedule::pause_after;
use super::{Carrier, Delivery, Kind, NotDelivered, Outbox};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::in_hand::InHand;
use crate::seal;
use crate::telemetry::traces;

/// How often due deliveries are looked for; what this node takes in is taken up at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many are carried at once.
const AT_ONCE: usize = 8;
/// How long one try may take.
const TRY_WITHIN: Duration = Duration::from_mins(1);
/// How long a lease lasts: a try is long over when somebody else takes over, even where clocks
/// differ by a minute.
const LEASE: Duration = Duration::from_mins(3);
/// How long a stopping node waits for what it has in hand; the rest is delivered elsewhere.
const FINISH_WITHIN: Duration = Duration::from_secs(15);
/// How often what is over is forgotten, and the rest counted.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// How long operators see what was given up.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// Those who carry, by what they carry.
type Carriers = Arc<[Arc<dyn Carrier>]>;

impl Outbox {
    /// Delivers whatever is due, until `shutdown`.
    pub async fn keep_delivering(
        self: Arc<Self>,
        carriers: Vec<Arc<dyn Carrier>>,
        shutdown: CancellationToken,
    ) {
        let carriers: Carriers = carriers.into();
        let mut in_hand = InHand::up_to(AT_ONCE);
        let mut swept: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            in_hand.reap();
            self.take_up(&carriers, &mut in_hand).await;
            if swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
                self.sweep().await;
                swept = Some(Instant::now());
            }
            self.wait_for_work(&mut in_hand, &shutdown).await;
        }
        if !in_hand.finish(FINISH_WITHIN).await {
            tracing::warn!("deliveries in hand are left for another node");
        }
    }

    /// Delivers one thing, if it is due and free; says whether it was.
    pub(super) async fn deliver(
        &self,
        carriers: &[Arc<dyn Carrier>],
        id: &str,
    ) -> Result<bool, DatabaseError> {
        let now = self.parts.clock.now();
        let owner = self.parts.node.new_lease();
        let lease = Lease { id, owner: &owner };
        let database = &self.parts.database;
        let Some(taken) = kept::take(database, &lease, now, now.plus(LEASE)).await? else {
            return Ok(false);
        };
        if taken.give_up_at <= now {
            let reason = "its time was over before it could be delivered";
            self.give_up(&lease, &taken, reason).await?;
            return Ok(true);
        }
        let trying = self.try_once(carriers, id, &taken);
        match traces::of_work(taken.kind.as_str(), trying).await {
            Ok(()) => self.arrived(&lease, &taken).await?,
            Err(NotDelivered::Refused(reason)) => self.give_up(&lease, &taken, &reason).await?,
            Err(NotDelivered::Passing(reason)) => self.postpone(&lease, &taken, &reason).await?,
        }
        Ok(true)
    }

    async fn try_once(
        &self,
        carriers: &[Arc<dyn Carrier>],
        id: &str,
        taken: &TakenRow,
    ) -> Result<(), NotDelivered> {
        let passing = |reason: &str| NotDelivered::Passing(reason.to_owned());
        let able = carriers.iter().find(|one| one.kind() == taken.kind);
        let carrier = able.ok_or_else(|| passing("nobody carries it on this node"))?;
        let content = self.open(id, &taken.sealed);
        let delivery = Delivery {
            id: id.to_owned(),
            kind: taken.kind,
            name: taken.name.clone(),
            content: content.ok_or_else(|| passing("no key in force opens it"))?,
        };
        let outcome = tokio::time::timeout(TRY_WITHIN, carrier.carry(&delivery)).await;
        outcome.unwrap_or_else(|_| Err(passing("the other side did not answer in time")))
    }

    async fn arrived(&self, lease: &Lease<'_>, taken: &TakenRow) -> Result<(), DatabaseError> {
        let (id, kind, name) = (lease.id, taken.kind, taken.name.as_str());
        self.count(kind, "delivered");
        tracing::info!(delivery = id, kind = kind.as_str(), name, "delivered");
        if !kept::forget(&self.parts.database, lease).await? {
            tracing::warn!(
                delivery = id,
                "delivered after the lease was over; perhaps twice"
            );
        }
        Ok(())
    }

    async fn postpone(
        &self,
        lease: &Lease<'_>,
        taken: &TakenRow,
        reason: &str,
    ) -> Result<(), DatabaseError> {
        let now = self.parts.clock.now();
        let chance = u16::from_le_bytes(seal::random_bytes());
        let next = now.plus(pause_after(taken.attempts, chance));
        // What would be over by then is given up now, so that operators see it now.
        if next >= taken.give_up_at {
            return self.give_up(lease, taken, reason).await;
        }
        self.count(taken.kind, "postponed");
        let (id, kind, name) = (lease.id, taken.kind.as_str(), taken.name.as_str());
        let attempts = taken.attempts;
        tracing::warn!(
            delivery = id,
            kind,
            name,
            attempts,
            "not delivered; tried again later"
        );
        let reason = self.seal(id, reason.as_bytes());
        kept::postpone(&self.parts.database, lease, &reason, (now, next)).await?;
        Ok(())
    }

    async fn give_up(
        &self,
        lease: &Lease<'_>,
        taken: &TakenRow,
        reason: &str,
    ) -> Result<(), DatabaseError> {
        self.count(taken.kind, "failed");
        let (id, kind, name) = (lease.id, taken.kind.as_str(), taken.name.as_str());
        let attempts = taken.attempts;
        tracing::error!(
            delivery = id,
            kind,
            name,
            attempts,
            "not delivered, and given up; `vestibule mail queue list` says why"
        );
        let reason = self.seal(id, reason.as_bytes());
        let now = self.parts.clock.now();
        kept::give_up(&self.parts.database, lease, &reason, now).await?;
        Ok(())
    }

    async fn take_up(self: &Arc<Self>, carriers: &Carriers, in_hand: &mut InHand) {
        let now = self.parts.clock.now();
        // Those in hand are under a lease, so that they are not among the due ones.
        let room = in_hand.room();
        if room == 0 {
            return;
        }
        let limit = i64::try_from(room).unwrap_or(1);
        let due = match kept::due(&self.parts.database, now, limit).await {
            Ok(due) => due,
            Err(error) => return log_down(&error),
        };
        for id in due {
            let (outbox, carriers) = (Arc::clone(self), Arc::clone(carriers));
            let delivery = id.clone();
            in_hand.add(&id, async move {
                if let Err(error) = outbox.deliver(&carriers, &delivery).await {
                    log_down(&error);
                }
            });
        }
    }

    /// Until something is put in, something in hand is done and makes room, or it is time to look.
    async fn wait_for_work(&self, in_hand: &mut InHand, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.work.notified() => {}
            () = in_hand.one_done() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    /// Frees what earlier processes at this node's place held. To be called once they are gone.
    pub async fn free_leases_left(&self) {
        if let Err(error) = kept::release(&self.parts.database, &self.parts.node).await {
            log_down(&error);
        }
        self.work.notify_one();
    }

    pub(super) async fn sweep(&self) {
        let now = self.parts.clock.now();
        if let Err(error) = self.forget_and_count(now).await {
            log_down(&error);
        }
    }

    async fn forget_and_count(&self, now: Timestamp) -> Result<(), DatabaseError> {
        let database = &self.parts.database;
        kept::sweep(database, now, now.minus(REMEMBERED)).await?;
        for kind in Kind::ALL {
            let (waiting, failed) = kept::counts(database, kind).await?;
            let metrics = &self.parts.metrics;
            metrics.show_deliveries(kind.as_str(), waiting, failed);
        }
        Ok(())
    }
}

fn log_down(error: &DatabaseError) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "the outbox cannot be read or written");
}
