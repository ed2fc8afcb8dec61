//! Limits of all nodes together, in Redis (adapter).
//!
//! Every draw is a draw on this node first: within a node the limit is held exactly, and while
//! Redis is away it is what is left. Then the node uses a cell that Redis lent it, or asks for some;
//! what Redis refused is refused without asking until a cell is free again. The cells that are
//! lent bound by how much nodes together may pass a limit; see `bucket`.

mod asking;
mod bucket;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::{mpsc, oneshot};

use super::{Draw, Limit, NodeLimits, RateLimiter, Scope};
use crate::redis_link::{Link, start_of_keys};
use crate::seal;
use crate::telemetry::metrics::Metrics;

use asking::{Ask, Asking, MOST_AT_ONCE};
use bucket::{Bucket, Taken};

/// How many buckets are known at once. One that is forgotten is asked for again.
const MOST_BUCKETS: u64 = 1 << 17;

/// How long a bucket that nobody draws from is known.
const KNOWN_FOR: Duration = Duration::from_mins(1);

/// Asks that wait for Redis, above which this node's own limits hold.
const MOST_WAITING: usize = 16 * MOST_AT_ONCE;

/// Limits of all nodes together.
pub struct ClusterLimits {
    node: NodeLimits,
    buckets: Cache<u64, Arc<Bucket>>,
    hasher: RandomState,
    /// All buckets are in one slot of a Cluster, so that one call asks about many.
    start_of_keys: String,
    asks: mpsc::Sender<Ask>,
    is_up: Arc<AtomicBool>,
}

impl std::fmt::Debug for ClusterLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterLimits(…)")
    }
}

impl ClusterLimits {
    /// Counted over this link, for the installation or a part of it. To be called on the runtime
    /// that Redis is asked on.
    pub fn new(link: Link, part: Option<&str>, metrics: Metrics) -> Self {
        let (asks, asked) = mpsc::channel(MOST_WAITING);
        let is_up = Arc::new(AtomicBool::new(false));
        let asking = Asking {
            link,
            asks: asked,
            is_up: Arc::clone(&is_up),
            metrics,
        };
        tokio::spawn(asking.keep_answering());
        let buckets = Cache::builder()
            .max_capacity(MOST_BUCKETS)
            .time_to_idle(KNOWN_FOR)
            .build();
        Self {
            node: NodeLimits::default(),
            buckets,
            hasher: RandomState::new(),
            start_of_keys: format!("{}limit:{{all}}:", start_of_keys(part)),
            asks,
            is_up,
        }
    }

    fn bucket(&self, limit: &Limit, key: &str, now: Instant) -> Arc<Bucket> {
        let hash = self.hasher.hash_one((&limit.name, shape_of(limit), key));
        self.buckets.get_with(hash, || {
            Arc::new(Bucket::new(self.name(limit, key), limit, now))
        })
    }

    /// The name of a bucket in Redis: a digest, because it says who somebody is. A limit that
    /// changes has other buckets.
    fn name(&self, limit: &Limit, key: &str) -> String {
        let shape = format!("{:?}", shape_of(limit));
        let digest = seal::digest_parts(&[&limit.name, &shape, key]);
        format!("{}{digest}", self.start_of_keys)
    }

    /// Asks without waiting, unless too much is asked already.
    fn ask(&self, ask: Ask) {
        if let Err(unasked) = self.asks.try_send(ask) {
            unasked.into_inner().not_answered();
        }
    }
}

/// What makes a bucket another one.
fn shape_of(limit: &Limit) -> (u32, Duration, u32) {
    (limit.requests, limit.period, limit.burst)
}

impl RateLimiter for ClusterLimits {
    fn draw(&self, limit: &Limit, key: &str) -> Draw {
        if limit.scope == Scope::Node || !self.is_up.load(Relaxed) {
            return self.node.draw(limit, key);
        }
        let now = Instant::now();
        let bucket = self.bucket(limit, key, now);
        if let Some(slow_down) = bucket.refusal(now) {
            return Draw::Known(Err(slow_down));
        }
        let here = match self.node.take(limit, key) {
            Ok(drawn) => drawn,
            Err(slow_down) => return Draw::Known(Err(slow_down)),
        };
        match bucket.take(now) {
            Taken::Lent(drawn, more) => {
                if let Some(wanted) = more {
                    self.ask(Ask {
                        bucket,
                        wanted,
                        waiting: None,
                    });
                }
                Draw::Known(Ok(drawn))
            }
            Taken::Ask(wanted) => {
                let (waiting, answer) = oneshot::channel();
                self.ask(Ask {
                    bucket,
                    wanted,
                    waiting: Some(waiting),
                });
                Draw::Asked {
                    answer,
                    otherwise: here,
                }
            }
        }
    }
}
