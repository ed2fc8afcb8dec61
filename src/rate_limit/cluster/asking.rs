//! Asks Redis for cells: everything that waits goes into one call of one script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::Pipeline;
use tokio::sync::{mpsc, oneshot};

use super::bucket::{Bucket, Given};
use crate::rate_limit::{Drawn, SlowDown};
use crate::redis_link::{Link, NoAnswer, script};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::with_causes;

/// How many asks go into one call.
pub(super) const MOST_AT_ONCE: usize = 256;

/// A request waits no longer for a count than this.
const ANSWERS_WITHIN: Duration = Duration::from_millis(300);

/// How often a Redis that is away is called.
const CALLS_EVERY: Duration = Duration::from_millis(250);

/// GCRA on the time of Redis. A bucket is kept as the moment when it will be full again, in
/// microseconds, and forgotten then.
///
/// `KEYS`: buckets. `ARGV`, three for each: microseconds that a cell takes to fill, cells of a full
/// bucket, cells wanted. Gives three numbers for each: cells given, cells left, microseconds until
/// there is one.
const GIVE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local given = {}
for i, bucket in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local full_at = math.max(tonumber(redis.call('GET', bucket) or 0), now)
  local free = math.floor((now - full_at) / interval + burst)
  local cells = math.max(0, math.min(tonumber(ARGV[3 * i]), free))
  if cells > 0 then
    full_at = full_at + cells * interval
    redis.call('SET', bucket, string.format('%.2f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  end
  local wait = math.ceil(full_at + interval - now - interval * burst)
  table.insert(given, cells)
  table.insert(given, math.max(0, free - cells))
  table.insert(given, math.max(0, wait))
end
return given
";

/// Somebody needs cells.
pub(super) struct Ask {
    pub(super) bucket: Arc<Bucket>,
    pub(super) wanted: u32,
    /// Who waits for the answer, if anybody does.
    pub(super) waiting: Option<oneshot::Sender<Result<Drawn, SlowDown>>>,
}

/// An answer is for the bucket first; whoever waited may be gone, and the cell stays there.
impl Ask {
    fn answered(self, given: Given, asked_at: Instant) -> &'static str {
        let waiting = self.waiting.filter(|waiting| !waiting.is_closed());
        let outcome = self.bucket.receive(given, (asked_at, waiting.is_some()));
        if let Some(waiting) = waiting {
            // It may have gone this very moment.
            let _ = waiting.send(outcome);
        }
        if outcome.is_ok() {
            "granted"
        } else {
            "refused"
        }
    }

    pub(super) fn not_answered(self) {
        self.bucket.not_answered();
    }
}

/// Answers what is asked until nobody can ask any more.
pub(super) struct Asking {
    pub(super) link: Link,
    pub(super) asks: mpsc::Receiver<Ask>,
    /// Whether Redis answers.
    pub(super) is_up: Arc<AtomicBool>,
    pub(super) metrics: Metrics,
}

impl Asking {
    pub(super) async fn keep_answering(mut self) {
        let mut batch = Vec::with_capacity(MOST_AT_ONCE);
        while self.finds_redis().await {
            self.turn(true);
            while self.asks.recv_many(&mut batch, MOST_AT_ONCE).await > 0 {
                if let Err(error) = self.answer(&mut batch).await {
                    let error = with_causes(&error);
                    tracing::warn!(
                        error,
                        "limits are counted by each node: no answer from Redis"
                    );
                    break;
                }
            }
            self.turn(false);
        }
    }

    /// Calls Redis until it answers; false when nobody asks any more.
    async fn finds_redis(&mut self) -> bool {
        loop {
            self.send_everybody_away();
            if self.asks.is_closed() {
                return false;
            }
            if self.link.ping().await.is_ok() {
                tracing::info!("limits are counted for all nodes in Redis");
                return true;
            }
            tokio::time::sleep(CALLS_EVERY).await;
        }
    }

    fn turn(&self, is_up: bool) {
        self.is_up.store(is_up, Relaxed);
        self.metrics.cluster_limits().set(is_up.into());
    }

    /// Puts a batch of questions. Nothing is left in it.
    async fn answer(&self, batch: &mut Vec<Ask>) -> Result<(), NoAnswer> {
        let asked_at = Instant::now();
        let question = giving(batch);
        let asking = self.link.ask::<(Vec<u64>,)>(&question);
        let answer = match tokio::time::timeout(ANSWERS_WITHIN, asking).await {
            Ok(Ok((numbers,))) => Ok(numbers),
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(elapsed.into()),
        };
        let numbers = answer.as_deref().unwrap_or_default();
        let mut given = numbers.chunks_exact(3).map(given_by);
        for ask in batch.drain(..) {
            let Some(given) = given.next() else {
                self.metrics.limit_asks.count("unanswered");
                ask.not_answered();
                continue;
            };
            let outcome = ask.answered(given, asked_at);
            self.metrics.limit_asks.count(outcome);
        }
        answer.map(drop)
    }

    /// The node's own limits hold for whoever waits.
    fn send_everybody_away(&mut self) {
        while let Ok(ask) = self.asks.try_recv() {
            self.metrics.limit_asks.count("unanswered");
            ask.not_answered();
        }
    }
}

fn giving(batch: &[Ask]) -> Pipeline {
    let keys: Vec<&str> = batch.iter().map(|ask| ask.bucket.key.as_str()).collect();
    let mut giving = script(GIVE, &keys);
    for ask in batch {
        let micros = ask.bucket.interval.as_secs_f64() * 1e6;
        giving.arg(micros).arg(ask.bucket.burst).arg(ask.wanted);
    }
    giving
}

fn given_by(numbers: &[u64]) -> Given {
    let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
    let cells = |place| u32::try_from(number(place)).unwrap_or(u32::MAX);
    Given {
        cells: cells(0),
        left: cells(1),
        wait: Duration::from_micros(number(2)),
    }
}
