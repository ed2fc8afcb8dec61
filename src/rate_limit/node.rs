//! Limits of this node, in memory (GCRA by `governor`).
//!
//! Memory is bounded: buckets are keyed by a secret 64-bit hash, full ones are forgotten now and
//! then, and above `MAX_BUCKETS` new keys share a fixed number of buckets.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter as Governor};

use super::{Draw, Drawn, Limit, RateLimiter, SlowDown};

/// Buckets of one limit, above which new keys share.
const MAX_BUCKETS: usize = 1 << 18;

/// How many buckets new keys share then.
const SHARED_BUCKETS: u64 = 1 << 12;

/// After how many draws full buckets are forgotten.
const DRAWS_BETWEEN_SWEEPS: u32 = 1 << 16;

type Buckets<C> = Governor<u64, DashMapStateStore<u64>, C, StateInformationMiddleware>;

/// Limits of this node.
pub struct NodeLimits<C: Clock = DefaultClock> {
    lanes: ArcSwap<HashMap<String, Arc<Lane<C>>>>,
    hasher: RandomState,
    clock: C,
}

/// One limit with its buckets; made anew when the limit changes.
struct Lane<C: Clock> {
    limit: Limit,
    buckets: Buckets<C>,
    draws: AtomicU32,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock + Clone + Send + Sync> NodeLimits<C> {
    /// Limits that go by this clock.
    pub fn with_clock(clock: C) -> Self {
        Self {
            lanes: ArcSwap::default(),
            hasher: RandomState::new(),
            clock,
        }
    }

    fn lane(&self, limit: &Limit) -> Arc<Lane<C>> {
        if let Some(lane) = self.lanes.load().get(&limit.name)
            && lane.limit == *limit
        {
            return Arc::clone(lane);
        }
        let fresh = Arc::new(Lane::new(limit, self.clock.clone()));
        self.lanes.rcu(|lanes| {
            let mut lanes = HashMap::clone(lanes);
            lanes.insert(limit.name.clone(), Arc::clone(&fresh));
            lanes
        });
        fresh
    }
}

impl<C: Clock> Lane<C> {
    fn new(limit: &Limit, clock: C) -> Self {
        let buckets = Governor::new(quota(limit), DashMapStateStore::default(), clock);
        Self {
            limit: limit.clone(),
            buckets,
            draws: AtomicU32::new(0),
        }
    }

    fn key(&self, hash: u64) -> u64 {
        if self.buckets.len() < MAX_BUCKETS {
            hash
        } else {
            hash % SHARED_BUCKETS
        }
    }

    fn sweep_now_and_then(&self) {
        let draws = self.draws.fetch_add(1, Ordering::Relaxed);
        if draws % DRAWS_BETWEEN_SWEEPS == DRAWS_BETWEEN_SWEEPS - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
    }
}

/// The quota of a limit; a limit that says zero is taken for the strictest there is.
fn quota(limit: &Limit) -> Quota {
    let burst = NonZeroU32::new(limit.burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(limit.interval())
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst)
}

impl<C> NodeLimits<C>
where
    C: Clock + Clone + Send + Sync,
    C::Instant: Send + Sync,
{
    /// Takes one cell from the bucket of `limit` and `key` on this node.
    pub fn take(&self, limit: &Limit, key: &str) -> Result<Drawn, SlowDown> {
        let lane = self.lane(limit);
        lane.sweep_now_and_then();
        let bucket = lane.key(self.hasher.hash_one(key));
        match lane.buckets.check_key(&bucket) {
            Ok(after) => Ok(Drawn {
                left: after.remaining_burst_capacity(),
            }),
            Err(not_until) => Err(SlowDown {
                retry_after: not_until.wait_time_from(self.clock.now()),
            }),
        }
    }
}

impl<C> RateLimiter for NodeLimits<C>
where
    C: Clock + Clone + Send + Sync,
    C::Instant: Send + Sync,
{
    fn draw(&self, limit: &Limit, key: &str) -> Draw {
        Draw::Known(self.take(limit, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{Per, Scope};
    use governor::clock::FakeRelativeClock;
    use std::time::Duration;

    fn limit(requests: u32, period: u64, burst: u32) -> Limit {
        Limit {
            name: "careful".to_owned(),
            requests,
            period: Duration::from_secs(period),
            burst,
            per: Per::Ip,
            scope: Scope::Node,
        }
    }

    fn limits() -> (NodeLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (NodeLimits::with_clock(clock.clone()), clock)
    }

    #[test]
    fn a_burst_passes_then_the_rate_rules() {
        let (limits, clock) = limits();
        let limit = limit(2, 1, 3);
        for left in [2, 1, 0] {
            assert_eq!(limits.take(&limit, "a"), Ok(Drawn { left }));
        }
        let slow = limits.take(&limit, "a").unwrap_err();
        assert_eq!(slow.retry_after, Duration::from_millis(500));
        clock.advance(slow.retry_after);
        assert!(limits.take(&limit, "a").is_ok());
        assert!(limits.take(&limit, "a").is_err());
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let (limits, _clock) = limits();
        let limit = limit(1, 60, 1);
        assert!(limits.take(&limit, "a").is_ok());
        assert!(limits.take(&limit, "b").is_ok());
        assert!(limits.take(&limit, "a").is_err());
    }

    #[test]
    fn a_changed_limit_rules_at_once() {
        let (limits, _clock) = limits();
        assert!(limits.take(&limit(1, 60, 1), "a").is_ok());
        assert!(limits.take(&limit(1, 60, 1), "a").is_err());
        assert!(limits.take(&limit(1, 60, 5), "a").is_ok());
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (limits, clock) = limits();
        let limit = limit(1, 1, 1);
        for key in 0..1000 {
            let _ = limits.take(&limit, &key.to_string());
        }
        clock.advance(Duration::from_secs(10));
        for _ in 0..DRAWS_BETWEEN_SWEEPS {
            let _ = limits.take(&limit, "a");
        }
        assert!(limits.lane(&limit).buckets.len() < 10);
    }

    #[test]
    fn a_flood_of_keys_costs_a_bounded_number_of_buckets() {
        let (limits, _clock) = limits();
        let limit = limit(1, 3600, 1);
        for key in 0..MAX_BUCKETS + 20_000 {
            let _ = limits.take(&limit, &key.to_string());
        }
        let buckets = limits.lane(&limit).buckets.len();
        assert!(
            buckets <= MAX_BUCKETS + usize::try_from(SHARED_BUCKETS).unwrap(),
            "{buckets}"
        );
    }
}
