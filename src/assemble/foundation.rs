//! What all use cases share: database, keys, policy, clock, audit, metrics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::AssemblyProblem;
use crate::audit::Audit;
use crate::audit::counted::CountedAudit;
use crate::audit::sql::SqlAudit;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, KeyFileProblem, KeySettings};
use crate::database::{Database, DatabaseAddress, DatabaseError};
use crate::policy::folder::PolicyFolder;
use crate::policy::{PolicySource, Surroundings};
use crate::rate_limit::{ClusterLimits, NodeLimits, RateLimiter};
use crate::redis_link::{Link, NotARedisAddress, RedisAddress};
use crate::seal::KeyRing;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::with_causes;

/// How long a database that does not answer is waited for at the start.
const DATABASE_WITHIN: Duration = Duration::from_mins(1);

/// What a foundation is laid from.
pub(super) struct Ground {
    pub(super) database: DatabaseAddress,
    pub(super) keys: Arc<KeyRing>,
    pub(super) policies: PathBuf,
    pub(super) surroundings: Surroundings,
    pub(super) metrics: Metrics,
    /// The Redis that nodes share, if they share one.
    pub(super) redis: Option<RedisAddress>,
    /// As what the site is told apart from others.
    pub(super) part: Option<String>,
    /// Whether the database is brought up to date; questions leave it as it is.
    pub(super) migrate: bool,
}

/// What all use cases share.
pub(super) struct Foundation {
    pub(super) keys: Arc<KeyRing>,
    pub(super) database: Database,
    pub(super) metrics: Metrics,
    pub(super) policy: Arc<PolicyFolder>,
    pub(super) clock: SharedClock,
    pub(super) audit: Arc<dyn Audit>,
    limiter: Arc<dyn RateLimiter>,
}

impl Foundation {
    pub(super) async fn lay(ground: Ground) -> Result<Self, AssemblyProblem> {
        let metrics = ground.metrics;
        let (folder, around) = (ground.policies, ground.surroundings);
        let policy = PolicyFolder::open(folder, around, metrics.clone());
        let policy = policy.map_err(AssemblyProblem::Policy)?;
        let database = Database::open(&ground.database).await?;
        if ground.migrate {
            migrate(&database).await?;
        } else {
            database.ping().await?;
        }
        let shared = (ground.redis.as_ref(), ground.part.as_deref());
        let limiter = limiter(shared, &metrics)?;
        let audit = Arc::new(SqlAudit::new(database.clone()));
        Ok(Self {
            keys: ground.keys,
            audit: Arc::new(CountedAudit::new(audit, metrics.clone())),
            database,
            metrics,
            policy: Arc::new(policy),
            clock: Arc::new(SystemClock),
            limiter,
        })
    }

    pub(super) fn policy(&self) -> Arc<dyn PolicySource> {
        Arc::clone(&self.policy) as Arc<dyn PolicySource>
    }

    pub(super) fn limiter(&self) -> Arc<dyn RateLimiter> {
        Arc::clone(&self.limiter)
    }

    pub(super) fn clock(&self) -> SharedClock {
        SharedClock::clone(&self.clock)
    }
}

/// Counts requests: for all nodes where they share a Redis.
fn limiter(
    (redis, part): (Option<&RedisAddress>, Option<&str>),
    metrics: &Metrics,
) -> Result<Arc<dyn RateLimiter>, NotARedisAddress> {
    Ok(match redis {
        Some(address) => {
            let link = Link::to(address)?;
            Arc::new(ClusterLimits::new(link, part, metrics.clone()))
        }
        None => Arc::new(NodeLimits::default()),
    })
}

/// The keys in force; a key file is made at the first start.
pub(super) fn key_ring(settings: &KeySettings) -> Result<KeyRing, KeyFileProblem> {
    Ok(match settings {
        KeySettings::Ring(ring) => ring.clone(),
        KeySettings::File(path) => KeyRing::new(config::key_file(path)?, Vec::new()),
    })
}

/// Waits for a database that starts at the same time as the gateway does.
async fn migrate(database: &Database) -> Result<(), DatabaseError> {
    let started = tokio::time::Instant::now();
    loop {
        match database.migrate().await {
            Ok(()) => return Ok(()),
            Err(error) if !error.is_passing() || started.elapsed() > DATABASE_WITHIN => {
                return Err(error);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(error, "waiting for the database");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
