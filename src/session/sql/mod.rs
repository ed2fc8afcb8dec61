//! Sessions in SQLite or PostgreSQL (adapter).

mod push;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{RecentSessions, SessionIndex, SessionKey, SessionStore, StoreDown, StoredSession};
use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError};
use crate::identity::{Issuer, Subject};
use crate::{sql_execute, sql_fetch_optional, sql_returning_all, sql_transaction};

/// Whoever waits for a session waits no longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

const INSERT: &str = "INSERT INTO sessions (id_digest, sealed, tokens, issuer, subject, idp_sid, \
    host, account, device, created_at, seen_at, idle_until, ends_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const LOAD: &str = "SELECT id_digest, sealed, issuer, subject, idp_sid, host, account, device, \
    created_at, idle_until, ends_at FROM sessions \
    WHERE id_digest = $1 AND idle_until > $2 AND ends_at > $2";
const KEEP_TOKENS: &str =
    "UPDATE sessions SET tokens = $1 WHERE id_digest = $2 AND tokens IS NOT NULL";
const TOKENS: &str = "SELECT tokens FROM sessions \
    WHERE id_digest = $1 AND idle_until > $2 AND ends_at > $2";
const RESEAL: &str = "UPDATE sessions SET sealed = $1 WHERE id_digest = $2";
const TOUCH: &str = "UPDATE sessions SET seen_at = $1, idle_until = $2 \
    WHERE id_digest = $3 AND idle_until > $1 AND idle_until < $2";
const DELETE: &str = "DELETE FROM sessions WHERE id_digest = $1";
const REPLACE: &str = "DELETE FROM sessions \
    WHERE id_digest = $1 AND idle_until > $2 AND ends_at > $2";
const DELETE_OF: &str = "DELETE FROM sessions \
    WHERE issuer = $1 AND subject = $2 AND ($3 IS NULL OR idp_sid = $3) RETURNING id_digest";
const EVICT: &str = "DELETE FROM sessions WHERE id_digest IN (\
    SELECT id_digest FROM sessions WHERE issuer = $1 AND subject = $2 \
    ORDER BY created_at DESC, id_digest LIMIT 1000 OFFSET $3) RETURNING id_digest";
const CONSUME: &str = "INSERT INTO consumed_attempts (id, expires_at) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at \
    WHERE consumed_attempts.expires_at <= $3";
const SWEEP_SESSIONS: &str = "DELETE FROM sessions WHERE id_digest IN (\
    SELECT id_digest FROM sessions WHERE idle_until <= $1 LIMIT 1000)";
const SWEEP_ATTEMPTS: &str = "DELETE FROM consumed_attempts WHERE id IN (\
    SELECT id FROM consumed_attempts WHERE expires_at <= $1 LIMIT 1000)";

/// Sessions in the gateway's database.
#[derive(Debug, Clone)]
pub struct SqlSessionStore {
    database: Database,
}

/// A row of `sessions` as it is loaded.
#[derive(sqlx::FromRow)]
struct Row {
    id_digest: String,
    sealed: String,
    issuer: String,
    subject: String,
    idp_sid: Option<String>,
    host: String,
    account: Option<String>,
    device: String,
    created_at: i64,
    idle_until: i64,
    ends_at: i64,
}

impl From<Row> for StoredSession {
    fn from(row: Row) -> Self {
        Self {
            key: SessionKey::from_store(row.id_digest),
            sealed: row.sealed,
            index: SessionIndex {
                issuer: Issuer::new(row.issuer),
                subject: Subject::new(row.subject),
                idp_sid: row.idp_sid,
                host: row.host,
                account: row.account,
                device: row.device,
                created_at: Timestamp::from_millis(row.created_at),
            },
            idle_until: Timestamp::from_millis(row.idle_until),
            ends_at: Timestamp::from_millis(row.ends_at),
        }
    }
}

impl SqlSessionStore {
    /// Over the gateway's database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, StoreDown> {
    let answer = tokio::time::timeout(ANSWERS_WITHIN, asking).await;
    answer
        .map_err(StoreDown::because)?
        .map_err(StoreDown::because)
}

impl SqlSessionStore {
    async fn insert_new(
        &self,
        session: &StoredSession,
        tokens: Option<&str>,
    ) -> Result<(), DatabaseError> {
        let StoredSession {
            key,
            sealed,
            index,
            idle_until,
            ends_at,
        } = session;
        sql_execute!(
            &self.database,
            INSERT,
            key.as_str(),
            sealed,
            tokens,
            index.issuer.as_str(),
            index.subject.as_str(),
            index.idp_sid.as_deref(),
            &index.host,
            index.account.as_deref(),
            &index.device,
            index.created_at.millis(),
            index.created_at.millis(),
            idle_until.millis(),
            ends_at.millis(),
        )?;
        Ok(())
    }

    async fn insert_instead(
        &self,
        session: &StoredSession,
        tokens: Option<&str>,
        old: &SessionKey,
    ) -> Result<(), DatabaseError> {
        let StoredSession {
            key,
            sealed,
            index,
            idle_until,
            ends_at,
        } = session;
        let now = index.created_at.millis();
        sql_transaction!(
            &self.database,
            [
                (REPLACE, old.as_str(), now; must change 1),
                (
                    INSERT,
                    key.as_str(),
                    sealed,
                    tokens,
                    index.issuer.as_str(),
                    index.subject.as_str(),
                    index.idp_sid.as_deref(),
                    &index.host,
                    index.account.as_deref(),
                    &index.device,
                    now,
                    now,
                    idle_until.millis(),
                    ends_at.millis(),
                ),
            ]
        )
        .await?;
        Ok(())
    }
}

#[async_trait]
impl SessionStore for SqlSessionStore {
    async fn insert(
        &self,
        session: &StoredSession,
        tokens: Option<&str>,
        replaces: Option<&SessionKey>,
    ) -> Result<bool, StoreDown> {
        let inserting = async {
            let outcome = match replaces {
                Some(old) => self.insert_instead(session, tokens, old).await,
                None => self.insert_new(session, tokens).await,
            };
            match outcome {
                Ok(()) => Ok(true),
                Err(error) if error.is_unmet() => Ok(false),
                Err(error) => Err(error),
            }
        };
        in_time(inserting).await
    }

    async fn reseal(&self, session: &StoredSession) -> Result<bool, StoreDown> {
        let StoredSession { key, sealed, .. } = session;
        let changed =
            in_time(async { sql_execute!(&self.database, RESEAL, sealed, key.as_str()) }).await?;
        Ok(changed == 1)
    }

    async fn load(
        &self,
        key: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreDown> {
        let row = in_time(async {
            sql_fetch_optional!(&self.database, Row, LOAD, key.as_str(), now.millis())
        });
        Ok(row.await?.map(StoredSession::from))
    }

    async fn tokens(&self, key: &SessionKey, now: Timestamp) -> Result<Option<String>, StoreDown> {
        let row = in_time(async {
            sql_fetch_optional!(
                &self.database,
                (Option<String>,),
                TOKENS,
                key.as_str(),
                now.millis()
            )
        });
        Ok(row.await?.and_then(|(tokens,)| tokens))
    }

    async fn keep_tokens(&self, key: &SessionKey, tokens: &str) -> Result<bool, StoreDown> {
        let changed =
            in_time(async { sql_execute!(&self.database, KEEP_TOKENS, tokens, key.as_str()) });
        Ok(changed.await? == 1)
    }

    async fn touch(
        &self,
        key: &SessionKey,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<(), StoreDown> {
        in_time(async {
            sql_execute!(
                &self.database,
                TOUCH,
                now.millis(),
                idle_until.millis(),
                key.as_str()
            )
        })
        .await?;
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), StoreDown> {
        in_time(async { sql_execute!(&self.database, DELETE, key.as_str()) }).await?;
        Ok(())
    }

    async fn delete_of(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        idp_sid: Option<&str>,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let rows = in_time(async {
            sql_returning_all!(
                &self.database,
                (String,),
                DELETE_OF,
                issuer.as_str(),
                subject.as_str(),
                idp_sid
            )
        });
        Ok(to_keys(rows.await?))
    }

    async fn evict(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        keep: u32,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let rows = in_time(async {
            sql_returning_all!(
                &self.database,
                (String,),
                EVICT,
                issuer.as_str(),
                subject.as_str(),
                i64::from(keep)
            )
        });
        Ok(to_keys(rows.await?))
    }

    async fn consume_attempt(
        &self,
        id: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreDown> {
        let (now, until) = (now.millis(), expires_at.millis());
        let rows = in_time(async { sql_execute!(&self.database, CONSUME, id, until, now) });
        Ok(rows.await? == 1)
    }

    async fn sweep(&self, now: Timestamp) -> Result<(), StoreDown> {
        for statement in [SWEEP_SESSIONS, SWEEP_ATTEMPTS] {
            // In small steps, so that nobody waits behind one of them.
            while in_time(async { sql_execute!(&self.database, statement, now.millis()) }).await?
                > 0
            {}
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreDown> {
        in_time(self.database.ping()).await
    }

    fn announce_to(&self, recent: &Arc<RecentSessions>) {
        match &self.database {
            Database::Sqlite { .. } => recent.alone(),
            Database::Postgres(pool) => push::listen(pool.clone(), Arc::downgrade(recent)),
        }
    }
}

fn to_keys(rows: Vec<(String,)>) -> Vec<SessionKey> {
    rows.into_iter()
        .map(|(key,)| SessionKey::from_store(key))
        .collect()
}
