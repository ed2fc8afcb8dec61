//! Recent sessions in this node's memory, so that requests need no trip to the store.
//!
//! An entry is used without asking the store only while it is certain to be told of the session's
//! end: the store's push channel confirms, by a round trip about once a second, that everything
//! that ended before is known here. Without a channel an entry lives [`UNCOVERED`] and no longer.
//!
//! A late reply never revives a session. Each key has a generation (shared by the keys of one
//! shard), which its end moves *before* the entry is removed. A load takes a [`Ticket`] before it
//! asks the store; the reply is kept only if the generation stands, and looked at again after it
//! was put in: whichever comes last, the end wins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::id::Digest;
use super::{OpenSession, SessionKey};
use crate::clock::Timestamp;

/// How long an entry is used that no push channel covers, and how long a channel is trusted after
/// its last confirmation.
pub const UNCOVERED: Duration = Duration::from_secs(2);

/// How long an entry is used at most, even while it is covered.
const COVERED: Duration = Duration::from_mins(10);

/// How long an entry is kept that nobody asks for.
const UNUSED: Duration = Duration::from_mins(1);

/// How long an entry is used at most where this node is the only one: another process may be
/// taking over from this one, on the same file.
const ALONE: Duration = Duration::from_secs(5);

/// How much is kept, octets; a session takes about two thousand (`bench/stored_sessions.mjs`).
const CAPACITY: u64 = 256 * 1024 * 1024;

/// What an entry takes besides its record, octets, and how many times its sealed text the record
/// takes.
const OVERHEAD: usize = 1024;
const RECORD: usize = 2;

const SHARDS: usize = 256;

/// The sessions that this node has seen lately.
#[derive(Debug)]
pub struct RecentSessions {
    /// Keys are digests, which nobody can choose, and only those of real sessions.
    entries: Cache<Digest, Arc<Recent>, RandomState>,
    generations: Box<[AtomicU64]>,
    start: Instant,
    /// Odd while a push channel covers what is loaded; moves whenever one comes or goes.
    epoch: AtomicU64,
    /// Until when, in nanoseconds since `start`, everything that ended is known.
    confirmed: AtomicU64,
    /// What was asked for before this moment is not used any more.
    floor: AtomicU64,
    /// Whether this node is the only one, so that every end passes through here.
    is_alone: AtomicBool,
}

impl Default for RecentSessions {
    fn default() -> Self {
        Self {
            entries: Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|_, recent: &Arc<Recent>| recent.weight)
                .time_to_idle(UNUSED)
                .build_with_hasher(RandomState::default()),
            generations: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            start: Instant::now(),
            epoch: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            is_alone: AtomicBool::new(false),
        }
    }
}

/// A session as it was loaded.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) open: OpenSession,
    pub(super) idle_until: Timestamp,
    /// From when on the idle end is to be moved.
    pub(super) touch_from: AtomicI64,
    /// About how much memory it takes, octets.
    weight: u32,
    asked_at: u64,
    epoch: u64,
}

/// Taken before the store is asked; what it answers counts only while nothing has ended since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    digest: Digest,
    generation: u64,
    asked_at: u64,
    epoch: u64,
}

impl Recent {
    /// What the store answered; `size` is the length of the sealed record.
    pub(super) fn new(ticket: &Ticket, open: OpenSession, ends: Ends, size: usize) -> Self {
        let Ends {
            idle_until,
            touch_from,
        } = ends;
        Self {
            open,
            idle_until,
            touch_from: AtomicI64::new(touch_from.millis()),
            weight: u32::try_from(size * RECORD + OVERHEAD).unwrap_or(u32::MAX),
            asked_at: ticket.asked_at,
            epoch: ticket.epoch,
        }
    }
}

/// When a session ends if nothing is seen of it, and from when on that is to be moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) idle_until: Timestamp,
    pub(super) touch_from: Timestamp,
}

impl RecentSessions {
    /// An entry that may be used without asking the store.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Recent>> {
        let recent = self.entries.get(digest)?;
        self.is_usable(&recent).then_some(recent)
    }

    /// How many are kept, and whether a session's end is known here at once.
    pub(super) fn state(&self) -> (i64, bool) {
        // The count lags behind until this is done.
        self.entries.run_pending_tasks();
        let count = i64::try_from(self.entries.entry_count()).unwrap_or(i64::MAX);
        let is_covered = self.covers(self.epoch.load(SeqCst), self.moment());
        (count, is_covered || self.is_alone.load(SeqCst))
    }

    /// Everything that is kept, whether or not it may be used without asking the store.
    pub(super) fn all(&self) -> Vec<OpenSession> {
        self.entries
            .iter()
            .map(|(_, recent)| recent.open.clone())
            .collect()
    }

    fn is_usable(&self, recent: &Recent) -> bool {
        if recent.asked_at <= self.floor.load(SeqCst) {
            return false;
        }
        let now = self.moment();
        let is_within = |since: u64, span: Duration| now.saturating_sub(since) < nanos(span);
        is_within(recent.asked_at, UNCOVERED)
            || (is_within(recent.asked_at, ALONE) && self.is_alone.load(SeqCst))
            || (is_within(recent.asked_at, COVERED) && self.covers(recent.epoch, now))
    }

    fn covers(&self, epoch: u64, now: u64) -> bool {
        is_covered(epoch)
            && epoch == self.epoch.load(SeqCst)
            && now.saturating_sub(self.confirmed.load(SeqCst)) < nanos(UNCOVERED)
    }

    /// To be taken before the store is asked.
    pub(super) fn ticket(&self, digest: Digest) -> Ticket {
        Ticket {
            digest,
            generation: self
                .generation(&digest)
                .map_or(0, |generation| generation.load(SeqCst)),
            // One later than the present, so that nothing asked before `forget_all` equals it.
            asked_at: self.moment().saturating_add(1),
            epoch: self.epoch.load(SeqCst),
        }
    }

    /// Keeps what the store answered, unless the session may have ended since it was asked.
    pub(super) fn keep(&self, ticket: &Ticket, recent: Arc<Recent>) {
        if !self.stands(ticket) {
            return;
        }
        self.entries.insert(ticket.digest, recent);
        if !self.stands(ticket) {
            self.entries.invalidate(&ticket.digest);
        }
    }

    fn stands(&self, ticket: &Ticket) -> bool {
        self.generation(&ticket.digest)
            .is_some_and(|generation| generation.load(SeqCst) == ticket.generation)
    }

    fn generation(&self, digest: &Digest) -> Option<&AtomicU64> {
        let [shard, ..] = *digest;
        self.generations.get(usize::from(shard))
    }

    /// A session has ended, or its record is another one.
    pub fn forget(&self, key: &SessionKey) {
        let Some(digest) = key.to_digest() else {
            return;
        };
        if let Some(generation) = self.generation(&digest) {
            generation.fetch_add(1, SeqCst);
        }
        self.entries.invalidate(&digest);
    }

    /// Anything may have ended.
    pub fn forget_all(&self) {
        self.floor.store(self.moment().saturating_add(1), SeqCst);
        for generation in &self.generations {
            generation.fetch_add(1, SeqCst);
        }
        self.entries.invalidate_all();
    }

    /// No other node uses this store: every end passes through here, and nothing needs telling.
    pub fn alone(&self) {
        self.is_alone.store(true, SeqCst);
    }

    /// A push channel stands: what ends from this moment on is told. `asked_at` is when the round
    /// trip began that showed it.
    pub fn covered_since(&self, asked_at: Instant) {
        self.confirmed_at(asked_at);
        let epoch = self.epoch.load(SeqCst);
        self.epoch.store(
            if is_covered(epoch) {
                epoch + 2
            } else {
                epoch + 1
            },
            SeqCst,
        );
    }

    /// Everything that ended before `asked_at` has been told.
    pub fn confirmed_at(&self, asked_at: Instant) {
        self.confirmed.store(
            nanos(asked_at.saturating_duration_since(self.start)),
            SeqCst,
        );
    }

    /// The push channel broke: entries live [`UNCOVERED`] from when they were asked for.
    pub fn uncovered(&self) {
        let epoch = self.epoch.load(SeqCst);
        if is_covered(epoch) {
            self.epoch.store(epoch + 1, SeqCst);
        }
    }

    fn moment(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

fn is_covered(epoch: u64) -> bool {
    epoch % 2 == 1
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::identity::{Cleared, Issuer, ProviderId, Subject, VerifiedClaims, VerifiedIdentity};
    use crate::session::{SessionId, SessionRecord, Stage};

    fn record() -> SessionRecord {
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: ProviderId::new("corp"),
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new("mario"),
            claims: Map::new(),
            email_trusted: false,
            authenticated_at: Timestamp::from_millis(0),
        });
        let stage = Stage::Pending {
            return_to: "/".to_owned(),
        };
        let (created_at, ends_at) = (Timestamp::from_millis(0), Timestamp::from_millis(1));
        SessionRecord {
            identity,
            stage,
            cleared: Cleared::default(),
            host: "app".into(),
            created_at,
            ends_at,
        }
    }

    fn answer(ticket: &Ticket, id: &SessionId) -> Arc<Recent> {
        let open = OpenSession {
            key: id.key(),
            handoffs: Arc::default(),
            record: Arc::new(record()),
        };
        let moment = Timestamp::from_millis(1);
        let ends = Ends {
            idle_until: moment,
            touch_from: moment,
        };
        Arc::new(Recent::new(ticket, open, ends, 1000))
    }

    /// Asks the store for a session and keeps what it answers.
    fn load(recent: &RecentSessions, id: &SessionId) {
        let ticket = recent.ticket(id.digest());
        recent.keep(&ticket, answer(&ticket, id));
    }

    fn is_known(recent: &RecentSessions, id: &SessionId) -> bool {
        recent.get(&id.digest()).is_some()
    }

    /// Moves the cache into the future.
    fn later(recent: &mut RecentSessions, span: Duration) {
        recent.start = recent.start.checked_sub(span).unwrap();
    }

    #[test]
    fn what_was_kept_is_known_until_it_ends() {
        let recent = RecentSessions::default();
        let (id, other) = (SessionId::random(), SessionId::random());
        load(&recent, &id);
        load(&recent, &other);
        assert!(is_known(&recent, &id));
        recent.forget(&id.key());
        assert!(!is_known(&recent, &id));
        assert!(is_known(&recent, &other));
    }

    #[test]
    fn an_answer_that_was_on_its_way_when_the_session_ended_is_not_kept() {
        let recent = RecentSessions::default();
        let id = SessionId::random();
        let ticket = recent.ticket(id.digest());
        recent.forget(&id.key());
        recent.keep(&ticket, answer(&ticket, &id));
        assert!(!is_known(&recent, &id));
        load(&recent, &id);
        assert!(is_known(&recent, &id));
    }

    #[test]
    fn forgetting_all_forgets_answers_on_their_way_as_well() {
        let recent = RecentSessions::default();
        let (kept, coming) = (SessionId::random(), SessionId::random());
        load(&recent, &kept);
        let ticket = recent.ticket(coming.digest());
        recent.forget_all();
        recent.keep(&ticket, answer(&ticket, &coming));
        assert!(!is_known(&recent, &kept));
        assert!(!is_known(&recent, &coming));
    }

    #[test]
    fn without_a_push_channel_an_entry_lives_two_seconds() {
        let mut recent = RecentSessions::default();
        let id = SessionId::random();
        load(&recent, &id);
        later(&mut recent, Duration::from_millis(1900));
        assert!(is_known(&recent, &id));
        later(&mut recent, Duration::from_millis(200));
        assert!(!is_known(&recent, &id));
    }

    #[test]
    fn a_channel_covers_what_was_asked_for_after_it_came() {
        let mut recent = RecentSessions::default();
        let (before, after) = (SessionId::random(), SessionId::random());
        load(&recent, &before);
        recent.covered_since(Instant::now());
        load(&recent, &after);
        later(&mut recent, Duration::from_secs(3));
        recent.confirmed_at(Instant::now());
        assert!(!is_known(&recent, &before));
        assert!(is_known(&recent, &after));
        later(&mut recent, COVERED);
        recent.confirmed_at(Instant::now());
        assert!(!is_known(&recent, &after));
    }

    #[test]
    fn a_channel_that_confirms_nothing_covers_two_seconds() {
        let mut recent = RecentSessions::default();
        let id = SessionId::random();
        recent.covered_since(Instant::now());
        load(&recent, &id);
        later(&mut recent, Duration::from_millis(2100));
        assert!(!is_known(&recent, &id));
    }

    #[test]
    fn what_an_earlier_channel_covered_the_next_one_does_not() {
        let mut recent = RecentSessions::default();
        let id = SessionId::random();
        recent.covered_since(Instant::now());
        load(&recent, &id);
        recent.uncovered();
        recent.uncovered();
        recent.covered_since(Instant::now());
        later(&mut recent, Duration::from_millis(2100));
        recent.confirmed_at(Instant::now());
        assert!(!is_known(&recent, &id));
    }

    #[test]
    fn alone_an_entry_lives_five_seconds() {
        let mut recent = RecentSessions::default();
        let id = SessionId::random();
        recent.alone();
        load(&recent, &id);
        later(&mut recent, Duration::from_millis(4900));
        assert!(is_known(&recent, &id));
        later(&mut recent, Duration::from_millis(200));
        assert!(!is_known(&recent, &id));
    }
}
