//! One connection to Redis that is always on its way back.
//!
//! Every question is answered within [`ANSWERS_WITHIN`], if only with an error. Whatever goes
//! wrong drops the connection, and the next question makes a new one: a server that is back, or
//! that failed over to another address, is found at once. `ConnectionManager` of the crate hands
//! the error of the last attempt to the first question after an outage, and waits on connections
//! that died without a word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;

use crate::session::StoreDown;
use crate::telemetry::traces;

/// Whoever waits for a session waits no longer.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_millis(900);

const CONNECTS_WITHIN: Duration = Duration::from_millis(400);
const REPLIES_WITHIN: Duration = Duration::from_millis(500);

/// How long after a failed attempt nobody tries again.
const BREATHER: Duration = Duration::from_millis(50);

/// The link.
pub(super) struct Link {
    client: Client,
    current: ArcSwapOption<MultiplexedConnection>,
    last_failure: Mutex<Option<Instant>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("there was no connection a moment ago")]
    Breather,
    #[error("Redis did not answer in time")]
    TooSlow(#[from] tokio::time::error::Elapsed),
    #[error("Redis cannot be asked")]
    Engine(#[from] RedisError),
}

impl Link {
    /// Connects when it is first asked.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            current: ArcSwapOption::empty(),
            last_failure: Mutex::new(None),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks something that may be asked twice: a connection that died is replaced, and the
    /// question put again.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, StoreDown> {
        let asking = async {
            match self.put(question).await {
                Err(LinkError::Engine(error)) if error.is_connection_dropped() => {
                    self.put(question).await
                }
                outcome => outcome,
            }
        };
        traces::during("redis", in_time(asking)).await
    }

    /// Asks something whose answer would be another one the second time.
    pub(super) async fn ask_once<T: FromRedisValue>(
        &self,
        question: &Pipeline,
    ) -> Result<T, StoreDown> {
        traces::during("redis", in_time(self.put(question))).await
    }

    async fn put<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, LinkError> {
        let connection = self.connection().await?;
        let answer = question
            .query_async(&mut MultiplexedConnection::clone(&connection))
            .await;
        if answer.is_err() {
            self.drop_this(&connection);
        }
        Ok(answer?)
    }

    async fn connection(&self) -> Result<Arc<MultiplexedConnection>, LinkError> {
        if let Some(connection) = self.current.load_full() {
            return Ok(connection);
        }
        let mut last_failure = self.last_failure.lock().await;
        if let Some(connection) = self.current.load_full() {
            return Ok(connection);
        }
        if last_failure.is_some_and(|moment| moment.elapsed() < BREATHER) {
            return Err(LinkError::Breather);
        }
        // Stands if the attempt is cut short by whoever waits.
        *last_failure = Some(Instant::now());
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTS_WITHIN))
            .set_response_timeout(Some(REPLIES_WITHIN))
            .set_pipeline_buffer_size(1024);
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&settings);
        let connection = Arc::new(tokio::time::timeout(REPLIES_WITHIN, connecting).await??);
        *last_failure = None;
        self.current.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    /// Leaves alone a newer connection that somebody else made meanwhile.
    fn drop_this(&self, broken: &Arc<MultiplexedConnection>) {
        self.current.compare_and_swap(broken, None);
    }

    /// The server was seen to go away.
    pub(super) fn drop_connection(&self) {
        self.current.store(None);
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, LinkError>>) -> Result<T, StoreDown> {
    let answer = tokio::time::timeout(ANSWERS_WITHIN, asking).await;
    answer
        .map_err(StoreDown::because)?
        .map_err(StoreDown::because)
}
