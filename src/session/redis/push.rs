//! The push channel of Redis: `CLIENT TRACKING` in broadcasting mode over connections of its own,
//! one to each master, asked for its role about once a second.
//!
//! Redis tells of every key that is written, deleted, or expires, whoever did it. Its messages and
//! the answers come in order on one connection, and are handled in that order as they are
//! read: once every master has answered, everything that ended before it was asked is known.
//! A channel ends when a server is no master any more, or when masters come or go.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisError, Value,
};

use crate::redis_link::{Link, NoAnswer};
use crate::session::{RecentSessions, SessionKey};

const HEARTBEAT: Duration = Duration::from_millis(800);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(250);

/// Why a channel ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Down(#[from] NoAnswer),
    #[error("a server does not answer")]
    Engine(#[from] RedisError),
    #[error("a server is no master any more")]
    Demoted,
    #[error("masters came or went")]
    OtherMasters,
}

/// Tells `recent` what ends until it is dropped; the names of sessions begin with `keys`.
pub(super) fn follow(link: Arc<Link>, keys: String, recent: Weak<RecentSessions>) {
    tokio::spawn(async move {
        let keys: Arc<str> = keys.into();
        let mut is_told = false;
        while recent.strong_count() > 0 {
            let Err(error) = follow_once(&link, (&keys, &recent), &mut is_told).await else {
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

/// Follows the masters until one breaks, or nobody listens any more.
async fn follow_once(
    link: &Link,
    (keys, recent): (&Arc<str>, &Weak<RecentSessions>),
    is_told: &mut bool,
) -> Result<(), Broken> {
    let masters = link.masters().await?;
    let connecting = masters.iter().map(|master| track(master, keys, recent));
    let mut channels = try_join_all(connecting).await?;
    let mut map = None;
    loop {
        let asked_at = Instant::now();
        let beats = channels
            .iter_mut()
            .map(|channel| beat(channel, link.is_cluster()));
        let seen = try_join_all(beats).await?;
        match &map {
            None if addresses(&link.masters().await?) != addresses(&masters) => {
                return Err(Broken::OtherMasters);
            }
            Some(known) if *known != seen => return Err(Broken::OtherMasters),
            _ => map = Some(seen),
        }
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

fn addresses(servers: &[Client]) -> Vec<String> {
    let address = |server: &Client| server.get_connection_info().addr().to_string();
    servers.iter().map(address).collect()
}

/// Asks a server whether it is still a master, and in a Cluster, who has which keys. The reply
/// comes after every message that was sent before it.
async fn beat(channel: &mut MultiplexedConnection, is_cluster: bool) -> Result<Value, Broken> {
    let mut asking = Pipeline::new();
    asking.cmd("ROLE");
    if is_cluster {
        asking.cmd("CLUSTER").arg("SLOTS");
    }
    let mut answers: Vec<Value> = asking.query_async(channel).await?;
    let map = answers.split_off(1).pop().unwrap_or(Value::Nil);
    let is_master = match answers.first() {
        Some(Value::Array(role)) => role.first() == Some(&Value::BulkString(b"master".to_vec())),
        _ => false,
    };
    if is_master {
        Ok(map)
    } else {
        Err(Broken::Demoted)
    }
}

async fn track(
    server: &Client,
    keys: &Arc<str>,
    recent: &Weak<RecentSessions>,
) -> Result<MultiplexedConnection, RedisError> {
    let mut channel = connect(server, Arc::clone(keys), recent.clone()).await?;
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg(&["TRACKING", "ON", "BCAST", "PREFIX", keys]);
    let () = tracking.query_async(&mut channel).await?;
    Ok(channel)
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
        .strip_prefix(start)?
        .strip_prefix('{')?
        .strip_suffix('}')
        .map(SessionKey::from_store)
}
