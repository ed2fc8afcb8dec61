//! What has to reach somebody even if this process does not live to see it: letters, webhooks,
//! and what the platform is to know of a user; kept in SQL until they are delivered.
//!
//! Delivery is at least once. A delivery is sent under a lease and forgotten when the other side
//! has taken it; a process that dies between the two leaves it to be sent again, under the same
//! id, by which receivers can tell. In the normal case nothing is sent twice, however many nodes
//! share the work.

mod kept;
mod schedule;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::clock::{SharedClock, Timestamp};
use crate::database::{Database, DatabaseError, Node};
use crate::seal::{KeyRing, Purpose};
use crate::telemetry::metrics::Metrics;

/// How many deliveries of one kind may wait. More are refused, so that a mail server that is down
/// does not fill the disk.
const MOST_WAITING: i64 = 10_000;

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A letter to a person.
    Letter,
    /// A call to the operator's endpoint.
    Webhook,
    /// What claims say about a user, for the platform.
    Attributes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Letter, Self::Webhook, Self::Attributes];

    /// The word in SQL and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Letter => "letter",
            Self::Webhook => "webhook",
            Self::Attributes => "attributes",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// How long it is tried.
    const fn patience(self) -> Duration {
        match self {
            Self::Letter => Duration::from_hours(24),
            Self::Webhook | Self::Attributes => Duration::from_hours(3 * 24),
        }
    }
}

/// Something to deliver.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// What it is.
    pub kind: Kind,
    /// Which letter, which event; not sealed.
    pub name: &'static str,
    /// What the carrier needs; sealed.
    pub content: Vec<u8>,
    /// How long it is of any use.
    pub valid_for: Option<Duration>,
}

/// Something that is due, in the hands of a carrier.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id, the same at every try.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Which letter, which event.
    pub name: String,
    /// What the carrier needs.
    pub content: Vec<u8>,
}

/// Why something was not delivered. The reason is for operators and may name a person; it is kept
/// sealed and is not logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// Another try can help.
    #[error("{0}")]
    Passing(String),
    /// Another try cannot help.
    #[error("{0}")]
    Refused(String),
}

/// Carries deliveries of one kind to where they belong.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// What it carries.
    fn kind(&self) -> Kind;

    /// Hands one delivery over; `Ok` once the other side has taken it.
    async fn carry(&self, delivery: &Delivery) -> Result<(), NotDelivered>;
}

/// A delivery that is put in by somebody else's transaction, with [`INSERT_PREPARED`].
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Which event.
    pub name: &'static str,
    /// What is delivered.
    pub sealed: String,
    /// When it is tried first.
    pub at: Timestamp,
    /// Until when it is tried.
    pub give_up_at: Timestamp,
}

/// Puts in what was prepared: id, kind, name, sealed, now, end of trying. An empty id puts in
/// nothing. It is not bounded: what it tells of has been let in already.
pub const INSERT_PREPARED: &str = "INSERT INTO outbox
        (id, kind, name, state, sealed, next_try_at, give_up_at, created_at, updated_at)
    SELECT $1, $2, $3, 'waiting', $4, $5, $6, $5, $5 WHERE $1 <> ''";

/// Why something was not taken for delivery.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Too many wait already.
    #[error("too many deliveries wait already")]
    Full,
    /// The database cannot answer.
    #[error(transparent)]
    Down(#[from] DatabaseError),
}

/// How a delivery stands, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Which letter, which event.
    pub name: String,
    /// Whether it was given up.
    pub has_failed: bool,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; of no meaning once it was given up.
    pub next_try_at: Timestamp,
    /// When it was put in.
    pub created_at: Timestamp,
    /// What the carrier needs; none when no key opens it or it is over.
    pub content: Option<Vec<u8>>,
}

/// What the outbox is made of.
pub struct OutboxParts {
    /// Where it is kept.
    pub database: Database,
    /// Seals what is kept.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: Metrics,
    /// This process, in leases.
    pub node: Node,
}

/// The outbox.
pub struct Outbox {
    parts: OutboxParts,
    work: Notify,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox(…)")
    }
}

impl Outbox {
    /// Puts the parts together; nothing is delivered before [`Outbox::keep_delivering`] runs.
    pub fn new(parts: OutboxParts) -> Self {
        Self {
            parts,
            work: Notify::new(),
        }
    }

    /// Takes something for delivery, which this node takes up at once.
    pub async fn put(&self, new: &NewDelivery) -> Result<String, NotTaken> {
        let now = self.parts.clock.now();
        let id = uuid::Uuid::now_v7().to_string();
        let sealed = self.seal(&id, &new.content);
        let row = kept::NewRow {
            id: &id,
            kind: new.kind,
            name: new.name,
            sealed: &sealed,
            give_up_at: give_up_at(new.kind, now, valid_until(new, now)),
            valid_until: valid_until(new, now),
            at: now,
        };
        if !kept::insert(&self.parts.database, &row, MOST_WAITING).await? {
            self.count(new.kind, "not_taken");
            return Err(NotTaken::Full);
        }
        self.count(new.kind, "taken");
        self.work.notify_one();
        Ok(id)
    }

    /// Seals what another transaction puts in, so that it is delivered if that takes effect.
    pub fn prepare(&self, new: &NewDelivery) -> Prepared {
        let now = self.parts.clock.now();
        let id = uuid::Uuid::now_v7().to_string();
        Prepared {
            sealed: self.seal(&id, &new.content),
            kind: new.kind,
            name: new.name,
            at: now,
            give_up_at: give_up_at(new.kind, now, valid_until(new, now)),
            id,
        }
    }

    /// [`Outbox::prepare`] of what is looked after only some time from now.
    pub fn prepare_for_later(&self, new: &NewDelivery, pause: Duration) -> Prepared {
        let now = self.prepare(new);
        Prepared {
            at: now.at.plus(pause),
            ..now
        }
    }

    /// What was prepared is in the table: this node takes it up at once.
    pub fn put_in(&self, prepared: &Prepared) {
        self.count(prepared.kind, "taken");
        self.work.notify_one();
    }

    /// What waits and what was given up, the newest first.
    pub async fn entries(&self, kind: Kind, limit: u32) -> Result<Vec<Entry>, DatabaseError> {
        let rows = kept::list(&self.parts.database, kind, limit).await?;
        Ok(rows.into_iter().map(|row| self.entry(row)).collect())
    }

    /// Tries again what was given up, one or all of a kind, unless it is of no use any more; says
    /// how many are tried again.
    pub async fn retry(&self, kind: Kind, id: Option<&str>) -> Result<u64, DatabaseError> {
        let now = self.parts.clock.now();
        let until = now.plus(kind.patience());
        let again = kept::retry(&self.parts.database, (kind, id), now, until).await?;
        self.work.notify_one();
        Ok(again)
    }

    fn entry(&self, row: kept::ListedRow) -> Entry {
        let text = |sealed: &String| self.open(&row.id, sealed);
        Entry {
            kind: row.kind,
            has_failed: row.has_failed,
            reason: row
                .reason
                .as_ref()
                .and_then(text)
                .and_then(|octets| String::from_utf8(octets).ok()),
            attempts: row.attempts,
            next_try_at: row.next_try_at,
            created_at: row.created_at,
            content: text(&row.sealed),
            name: row.name,
            id: row.id,
        }
    }

    fn seal(&self, id: &str, plain: &[u8]) -> String {
        let keys = &self.parts.keys;
        keys.seal_text(Purpose::Delivery, id.as_bytes(), plain)
    }

    fn open(&self, id: &str, sealed: &str) -> Option<Vec<u8>> {
        let keys = &self.parts.keys;
        keys.open_text(Purpose::Delivery, id.as_bytes(), sealed)
            .ok()
    }

    fn count(&self, kind: Kind, outcome: &'static str) {
        self.parts.metrics.count_delivery(kind.as_str(), outcome);
    }
}

fn valid_until(new: &NewDelivery, now: Timestamp) -> Option<Timestamp> {
    new.valid_for.map(|span| now.plus(span))
}

fn give_up_at(kind: Kind, now: Timestamp, valid_until: Option<Timestamp>) -> Timestamp {
    let patience = now.plus(kind.patience());
    valid_until.map_or(patience, |until| until.min(patience))
}
