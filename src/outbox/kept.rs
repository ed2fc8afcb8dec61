//! The table `outbox`. Every change to a delivery under way names the lease under which it is
//! made, and has no effect once that is over.

use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError, Node};
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional, sql_free_leases, sql_returning};

use super::Kind;

/// A delivery as it is put in.
pub(super) struct NewRow<'a> {
    pub(super) id: &'a str,
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) sealed: &'a str,
    pub(super) give_up_at: Timestamp,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) at: Timestamp,
}

/// A delivery as operators see it.
pub(super) struct ListedRow {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) has_failed: bool,
    pub(super) sealed: String,
    pub(super) reason: Option<String>,
    pub(super) attempts: u32,
    pub(super) next_try_at: Timestamp,
    pub(super) created_at: Timestamp,
}

/// A delivery under a lease.
#[derive(Debug)]
pub(super) struct TakenRow {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) sealed: String,
    pub(super) attempts: u32,
    pub(super) give_up_at: Timestamp,
}

/// Who holds a delivery.
pub(super) struct Lease<'a> {
    pub(super) id: &'a str,
    pub(super) owner: &'a str,
}

/// `Ok(false)` when so many of its kind wait already.
pub(super) async fn insert(
    database: &Database,
    row: &NewRow<'_>,
    most_waiting: i64,
) -> Result<bool, DatabaseError> {
    let changed = sql_execute!(
        database,
        "INSERT INTO outbox (id, kind, name, state, sealed, next_try_at, give_up_at, valid_until,
                             created_at, updated_at)
         SELECT $1, $2, $3, 'waiting', $4, $5, $6, CAST($7 AS BIGINT), $5, $5
         WHERE (SELECT COUNT(*) FROM outbox WHERE kind = $2 AND state = 'waiting') < $8",
        row.id,
        row.kind.as_str(),
        row.name,
        row.sealed,
        row.at.millis(),
        row.give_up_at.millis(),
        row.valid_until.map(Timestamp::millis),
        most_waiting
    )?;
    Ok(changed == 1)
}

/// What nobody holds and is due, the most overdue first.
pub(super) async fn due(
    database: &Database,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<String>, DatabaseError> {
    let rows = sql_fetch_all!(
        database,
        (String,),
        "SELECT id FROM outbox
         WHERE state = 'waiting' AND next_try_at <= $1 AND lease_until <= $1
         ORDER BY next_try_at, id LIMIT $2",
        now.millis(),
        limit
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes the lease of what is due and free, and counts the try.
pub(super) async fn take(
    database: &Database,
    lease: &Lease<'_>,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<TakenRow>, DatabaseError> {
    let row = sql_returning!(
        database,
        (String, String, String, i64, i64),
        "UPDATE outbox SET lease_owner = $1, lease_until = $2, attempts = attempts + 1,
             updated_at = $3
         WHERE id = $4 AND state = 'waiting' AND next_try_at <= $3 AND lease_until <= $3
         RETURNING kind, name, sealed, attempts, give_up_at",
        lease.owner,
        until.millis(),
        now.millis(),
        lease.id
    )?;
    Ok(row.and_then(|(kind, name, sealed, attempts, give_up_at)| {
        Some(TakenRow {
            kind: Kind::from_word(&kind)?,
            name,
            sealed,
            attempts: number(attempts),
            give_up_at: Timestamp::from_millis(give_up_at),
        })
    }))
}

/// It has arrived: it is forgotten.
pub(super) async fn forget(database: &Database, lease: &Lease<'_>) -> Result<bool, DatabaseError> {
    let changed = sql_execute!(
        database,
        "DELETE FROM outbox WHERE id = $1 AND lease_owner = $2",
        lease.id,
        lease.owner
    )?;
    Ok(changed == 1)
}

/// It is tried again later.
pub(super) async fn postpone(
    database: &Database,
    lease: &Lease<'_>,
    reason: &str,
    (now, next_try_at): (Timestamp, Timestamp),
) -> Result<bool, DatabaseError> {
    let changed = sql_execute!(
        database,
        "UPDATE outbox SET lease_owner = NULL, lease_until = 0, next_try_at = $1, reason = $2,
             updated_at = $3
         WHERE id = $4 AND lease_owner = $5",
        next_try_at.millis(),
        reason,
        now.millis(),
        lease.id,
        lease.owner
    )?;
    Ok(changed == 1)
}

/// It is given up; what is of no use to anybody any more is erased.
pub(super) async fn give_up(
    database: &Database,
    lease: &Lease<'_>,
    reason: &str,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let changed = sql_execute!(
        database,
        "UPDATE outbox SET state = 'failed', lease_owner = NULL, lease_until = 0, reason = $1,
             updated_at = $2,
             sealed = CASE WHEN valid_until <= $2 THEN '' ELSE sealed END
         WHERE id = $3 AND lease_owner = $4",
        reason,
        now.millis(),
        lease.id,
        lease.owner
    )?;
    Ok(changed == 1)
}

/// Gives back the leases of earlier processes at a node's place; its own stay.
pub(super) async fn release(database: &Database, node: &Node) -> Result<(), DatabaseError> {
    sql_free_leases!(database, "outbox", node)?;
    Ok(())
}

/// Forgets what was given up before `before`, and erases what is of no use any more.
pub(super) async fn sweep(
    database: &Database,
    now: Timestamp,
    before: Timestamp,
) -> Result<(), DatabaseError> {
    sql_execute!(
        database,
        "DELETE FROM outbox WHERE state = 'failed' AND updated_at < $1",
        before.millis()
    )?;
    sql_execute!(
        database,
        "UPDATE outbox SET sealed = '' WHERE state = 'failed' AND valid_until <= $1 AND sealed <> ''",
        now.millis()
    )?;
    Ok(())
}

/// How many of a kind wait, and how many were given up.
pub(super) async fn counts(database: &Database, kind: Kind) -> Result<(i64, i64), DatabaseError> {
    let row = sql_fetch_optional!(
        database,
        (i64, i64),
        "SELECT COUNT(CASE WHEN state = 'waiting' THEN 1 END),
                COUNT(CASE WHEN state = 'failed' THEN 1 END)
         FROM outbox WHERE kind = $1",
        kind.as_str()
    )?;
    Ok(row.unwrap_or_default())
}

/// What waits and what was given up, the newest first.
pub(super) async fn list(
    database: &Database,
    kind: Kind,
    limit: u32,
) -> Result<Vec<ListedRow>, DatabaseError> {
    type Row = (
        String,
        String,
        String,
        String,
        Option<String>,
        i64,
        i64,
        i64,
    );
    let rows = sql_fetch_all!(
        database,
        Row,
        "SELECT id, name, state, sealed, reason, attempts, next_try_at, created_at FROM outbox
         WHERE kind = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        kind.as_str(),
        i64::from(limit)
    )?;
    let listed = |row: Row| {
        let (id, name, state, sealed, reason, attempts, next_try_at, created_at) = row;
        ListedRow {
            id,
            kind,
            name,
            has_failed: state == "failed",
            sealed,
            reason,
            attempts: number(attempts),
            next_try_at: Timestamp::from_millis(next_try_at),
            created_at: Timestamp::from_millis(created_at),
        }
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Tries again what was given up and is still of use: one, or all of a kind.
pub(super) async fn retry(
    database: &Database,
    (kind, id): (Kind, Option<&str>),
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<u64, DatabaseError> {
    sql_execute!(
        database,
        "UPDATE outbox SET state = 'waiting', attempts = 0, next_try_at = $1, updated_at = $1,
             give_up_at = CASE WHEN valid_until < $2 THEN valid_until ELSE $2 END
         WHERE kind = $3 AND ($4 = '' OR id = $4) AND state = 'failed' AND sealed <> ''
           AND (valid_until IS NULL OR valid_until > $1)",
        now.millis(),
        give_up_at.millis(),
        kind.as_str(),
        id.unwrap_or_default()
    )
}

fn number(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
