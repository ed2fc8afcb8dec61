//! One connection to Redis that is always on its way back: to one server, to the master that
//! Sentinel names, or to a Cluster.
//!
//! Every question is answered within [`ANSWERS_WITHIN`], if only with an error. Whatever goes
//! wrong with one server drops the connection, and the next question makes a new one: a server
//! that is back, or that failed over to another address, is found at once. `ConnectionManager` of
//! the crate hands the error of the last attempt to the first question after an outage, and waits
//! on connections that died without a word; its Sentinel client asks one sentinel after the other,
//! so that a silent one holds everybody up.

mod address;
mod servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::{Client, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;

use servers::{Connection, Servers};

use crate::telemetry::traces::{self, Step};

pub use address::{NotARedisAddress, RedisAddress};

/// Whoever waits for an answer waits no longer.
pub const ANSWERS_WITHIN: Duration = Duration::from_millis(900);

const CONNECTS_WITHIN: Duration = Duration::from_millis(400);
const REPLIES_WITHIN: Duration = Duration::from_millis(500);

/// How long after a failed attempt nobody tries again.
const BREATHER: Duration = Duration::from_millis(50);

/// The link.
pub struct Link {
    servers: Servers,
    current: ArcSwapOption<Connection>,
    last_failure: Mutex<Option<Instant>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Somebody tried in vain a moment ago.
    #[error("there was no connection a moment ago")]
    Breather,
    /// Nothing came in time.
    #[error("Redis did not answer in time")]
    TooSlow(#[from] tokio::time::error::Elapsed),
    /// The name is wrong, or they have only just started.
    #[error("the sentinels know no such master")]
    UnknownMaster,
    /// The connection broke, or Redis refuses the question.
    #[error("Redis cannot be asked")]
    Engine(#[from] RedisError),
}

/// What the names of keys begin with: those of a part of the installation, or of the installation.
/// No name of the one begins with one of the other.
pub fn start_of_keys(part: Option<&str>) -> String {
    match part {
        None => "vestibule:".to_owned(),
        Some(part) => format!("vestibule/{part}:"),
    }
}

/// A pipeline of one command; arguments are added by the caller.
pub fn question(command: &str) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd(command);
    pipeline
}

/// A pipeline of one EVAL, whose keys are in one slot; further arguments are added by the caller.
pub fn script<K: redis::ToRedisArgs>(text: &str, keys: &[K]) -> Pipeline {
    let mut pipeline = question("EVAL");
    pipeline.arg(text).arg(keys.len()).arg(keys);
    pipeline
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects when it is first asked, so that a gateway starts while Redis is down.
    pub fn to(address: &RedisAddress) -> Result<Self, NotARedisAddress> {
        Ok(Self {
            servers: address.servers()?,
            current: ArcSwapOption::empty(),
            last_failure: Mutex::new(None),
        })
    }

    /// The servers that take writes now: one, or those of a Cluster.
    pub async fn masters(&self) -> Result<Vec<Client>, NoAnswer> {
        in_time(Box::pin(self.servers.masters())).await
    }

    /// Whether keys are shared out among several masters.
    pub fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Asks something that may be asked twice: a connection that died is replaced, and the
    /// question put again. All keys of a question are in one slot of a Cluster.
    pub async fn ask<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, NoAnswer> {
        let asking = async {
            match self.put(question).await {
                Err(NoAnswer::Engine(error)) if error.is_connection_dropped() => {
                    self.put(question).await
                }
                outcome => outcome,
            }
        };
        traces::during("redis", Step::Elsewhere, in_time(asking)).await
    }

    /// Asks something whose answer would be another one the second time.
    pub async fn ask_once<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, NoAnswer> {
        traces::during("redis", Step::Elsewhere, in_time(self.put(question))).await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), NoAnswer> {
        self.ask(question("PING").ignore()).await
    }

    async fn put<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, NoAnswer> {
        let connection = self.connection().await?;
        let answer = Connection::clone(&connection).put(question).await;
        if answer.is_err() && !connection.heals_itself() {
            self.drop_this(&connection);
        }
        Ok(answer?)
    }

    async fn connection(&self) -> Result<Arc<Connection>, NoAnswer> {
        if let Some(connection) = self.current.load_full() {
            return Ok(connection);
        }
        let mut last_failure = self.last_failure.lock().await;
        if let Some(connection) = self.current.load_full() {
            return Ok(connection);
        }
        if last_failure.is_some_and(|moment| moment.elapsed() < BREATHER) {
            return Err(NoAnswer::Breather);
        }
        // Stands if the attempt is cut short by whoever waits.
        *last_failure = Some(Instant::now());
        // Rare, and large where there is a Cluster.
        let connecting = Box::pin(self.servers.connect());
        let connection = Arc::new(tokio::time::timeout(REPLIES_WITHIN, connecting).await??);
        *last_failure = None;
        self.current.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    /// Leaves alone a newer connection that somebody else made meanwhile.
    fn drop_this(&self, broken: &Arc<Connection>) {
        self.current.compare_and_swap(broken, None);
    }

    /// A server was seen to go away.
    pub fn drop_connection(&self) {
        self.current.store(None);
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
    tokio::time::timeout(ANSWERS_WITHIN, asking).await?
}
