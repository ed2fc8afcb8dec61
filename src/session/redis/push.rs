//! The push channel of Redis: `CLIENT TRACKING` in broadcasting mode over a connection of its own,
//! with a PING about once a second.
//!
//! Redis tells of every key that is written, deleted, or expires, whoever did it. Its messages and
//! the reply to PING come in order on one connection, and are handled in that order as they are
//! read: once a PING is answered, everything that ended before it was sent is known.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind,
    RedisError, Value,
};

use super::link::Link;
use crate::session::{RecentSessions, SessionKey};

const HEARTBEAT: Duration = Duration::from_millis(800);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(250);

/// Tells `recent` what ends until it is dropped; the names of sessions begin with `keys`.
pub(super) fn follow(link: Arc<Link>, keys: String, recent: Weak<RecentSessions>) {
    tokio::spawn(async move {
        let keys: Arc<str> = keys.into();
        let mut is_told = false;
        while recent.strong_count() > 0 {
            let Err(error) = follow_once(link.client(), (&keys, &recent), &mut is_told).await
            else {
                return;
            };
            if is_told {
                link.drop_connection();
            } else {
                tracing::debug!(%error, "no push channel for sessions in Redis yet");
            }
            if std::mem::take(&mut is_told) {
                tracing::warn!(%error, "the push channel for sessions in Redis broke");
            }
            if let Some(recent) = recent.upgrade() {
                recent.uncovered();
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    });
}

/// Follows one connection until it breaks, or nobody listens any more.
async fn follow_once(
    client: &Client,
    (keys, recent): (&Arc<str>, &Weak<RecentSessions>),
    is_told: &mut bool,
) -> Result<(), RedisError> {
    let mut connection = connect(client, Arc::clone(keys), recent.clone()).await?;
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg(&["TRACKING", "ON", "BCAST", "PREFIX", keys]);
    let () = tracking.query_async(&mut connection).await?;
    loop {
        let asked_at = Instant::now();
        let () = redis::cmd("PING").query_async(&mut connection).await?;
        let Some(recent) = recent.upgrade() else {
            return Ok(());
        };
        if *is_told {
            recent.confirmed_at(asked_at);
        } else {
            recent.covered_since(asked_at);
            *is_told = true;
        }
        drop(recent);
        tokio::time::sleep(HEARTBEAT).await;
    }
}

async fn connect(
    client: &Client,
    keys: Arc<str>,
    recent: Weak<RecentSessions>,
) -> Result<MultiplexedConnection, RedisError> {
    let address = client.get_connection_info().clone();
    let settings = address
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(
        address
            .set_redis_settings(settings)
            .into_connection_info()?,
    )?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWERS_WITHIN))
        .set_response_timeout(Some(ANSWERS_WITHIN))
        .set_push_sender(move |message| hear(&recent, &keys, &message));
    client
        .get_multiplexed_async_connection_with_config(&settings)
        .await
}

/// Called by the connection as it reads, before it hands on any later reply.
fn hear(
    recent: &Weak<RecentSessions>,
    start: &str,
    message: &PushInfo,
) -> Result<(), NobodyListens> {
    let recent = recent.upgrade().ok_or(NobodyListens)?;
    match (&message.kind, message.data.as_slice()) {
        (PushKind::Invalidate, [Value::Array(keys)]) => {
            keys.iter()
                .filter_map(|key| session_key(key, start))
                .for_each(|key| recent.forget(&key));
        }
        // FLUSHALL and the like: anything.
        (PushKind::Invalidate, _) => recent.forget_all(),
        (PushKind::Disconnection, _) => recent.uncovered(),
        _ => {}
    }
    Ok(())
}

struct NobodyListens;

fn session_key(key: &Value, start: &str) -> Option<SessionKey> {
    let Value::BulkString(octets) = key else {
        return None;
    };
    std::str::from_utf8(octets)
        .ok()?
        .strip_prefix(start)
        .map(SessionKey::from_store)
}
