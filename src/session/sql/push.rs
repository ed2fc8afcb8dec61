//! The push channel of PostgreSQL: LISTEN for the keys of sessions that ended, with a heartbeat.
//!
//! A trigger on `sessions` notifies in the transaction that deletes. The heartbeat is a
//! notification of this connection to itself: PostgreSQL delivers notifications in the order of
//! commits, so that when it comes back everything that ended before it was sent is known.

use std::convert::Infallible;
use std::sync::Weak;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::postgres::PgListener;

use crate::database::SESSIONS_CHANNEL;
use crate::session::{RecentSessions, SessionKey};

const HEARTBEAT: Duration = Duration::from_millis(800);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// Tells `recent` what ends until it is dropped, or the pool is closed.
pub(super) fn listen(pool: PgPool, recent: Weak<RecentSessions>) {
    tokio::spawn(async move {
        while recent.strong_count() > 0 {
            let mut is_told = false;
            let outcome = follow(&pool, &recent, &mut is_told).await;
            if let Some(recent) = recent.upgrade() {
                recent.uncovered();
            }
            if pool.is_closed() {
                return;
            }
            match outcome {
                Err(error) if is_told => {
                    tracing::warn!(%error, "the push channel for sessions in PostgreSQL broke");
                }
                Err(error) => {
                    tracing::debug!(%error, "no push channel for sessions in PostgreSQL yet");
                }
                Ok(()) => {}
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    });
}

/// Follows one connection until it breaks, or nobody listens any more.
async fn follow(
    pool: &PgPool,
    recent: &Weak<RecentSessions>,
    is_told: &mut bool,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    let own_channel = format!("vestibule_beat_{}", uuid::Uuid::now_v7().simple());
    listener
        .listen_all([SESSIONS_CHANNEL, own_channel.as_str()])
        .await?;
    while recent.strong_count() > 0 {
        let asked_at = Instant::now();
        let beating = beat(&mut listener, &own_channel, recent);
        tokio::time::timeout(ANSWERS_WITHIN, beating)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        if let Some(recent) = recent.upgrade() {
            if *is_told {
                recent.confirmed_at(asked_at);
            } else {
                recent.covered_since(asked_at);
            }
            *is_told = true;
        }
        let waiting = tell_forever(&mut listener, recent);
        if let Ok(Err(error)) = tokio::time::timeout(HEARTBEAT, waiting).await {
            return Err(error);
        }
    }
    Ok(())
}

/// Sends a notification to this very connection and tells what ended until it is back.
async fn beat(
    listener: &mut PgListener,
    own_channel: &str,
    recent: &Weak<RecentSessions>,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')")
        .bind(own_channel)
        .execute(&mut *listener)
        .await?;
    while tell_next(listener, recent).await? != own_channel {}
    Ok(())
}

async fn tell_forever(
    listener: &mut PgListener,
    recent: &Weak<RecentSessions>,
) -> Result<Infallible, sqlx::Error> {
    loop {
        tell_next(listener, recent).await?;
    }
}

/// Waits for the next notification, passes it on, and gives its channel.
async fn tell_next(
    listener: &mut PgListener,
    recent: &Weak<RecentSessions>,
) -> Result<String, sqlx::Error> {
    let notification = listener.try_recv().await?.ok_or(sqlx::Error::PoolClosed)?;
    if notification.channel() == SESSIONS_CHANNEL
        && let Some(recent) = recent.upgrade()
    {
        recent.forget(&SessionKey::from_store(notification.payload()));
    }
    Ok(notification.channel().to_owned())
}
