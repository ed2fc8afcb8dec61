//! How a browser's session stands: from memory, from the store where it is not in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cache::{Ends, Recent};
use super::id::Digest;
use super::{
    OpenSession, SessionId, SessionStanding, Sessions, Stage, StoreDown, StoredSession, UNCOVERED,
};
use crate::clock::Timestamp;

/// Of how many sessions it is remembered at most that the store is being asked for them.
const MOST_ASKED_FOR: u64 = 10_000;

/// Sessions that the store is being asked for, and when and how it answered last.
pub(super) type Turns = Cache<Digest, Arc<Mutex<Option<Answered>>>>;

/// The store's last answer about a session.
#[derive(Debug)]
pub(super) struct Answered {
    at: Instant,
    /// On which host no session was found, and what there was instead.
    none: Option<(Box<str>, SessionStanding)>,
}

/// For as long as anybody may wait for an answer.
pub(super) fn turns() -> Turns {
    Cache::builder()
        .max_capacity(MOST_ASKED_FOR)
        .time_to_idle(UNCOVERED)
        .build()
}

impl Sessions {
    /// How the bearer of `cookie` stands on `host`. Asks the store only for what is not in memory.
    pub async fn standing(&self, cookie: Option<&str>, host: &str) -> SessionStanding {
        let Some(value) = cookie else {
            return SessionStanding::Absent;
        };
        let Some(id) = SessionId::from_cookie(value) else {
            return SessionStanding::Unreadable;
        };
        let now = self.clock.now();
        match self.recent_standing(&id, host, now) {
            Some(standing) => standing,
            None => self.load_once(&id, host).await,
        }
    }

    /// [`Sessions::standing`] if it is known without asking the store.
    pub fn cached_standing(&self, cookie: Option<&str>, host: &str) -> Option<SessionStanding> {
        let Some(value) = cookie else {
            return Some(SessionStanding::Absent);
        };
        let Some(id) = SessionId::from_cookie(value) else {
            return Some(SessionStanding::Unreadable);
        };
        self.recent_standing(&id, host, self.clock.now())
    }

    fn recent_standing(
        &self,
        id: &SessionId,
        host: &str,
        now: Timestamp,
    ) -> Option<SessionStanding> {
        let recent = self.recent.get(&id.digest())?;
        // A session that looks idle may have been touched through another node.
        let is_sure = now < recent.idle_until || now >= recent.open.record.ends_at;
        is_sure.then(|| self.standing_of(&recent, host, now))
    }

    fn standing_of(&self, recent: &Arc<Recent>, host: &str, now: Timestamp) -> SessionStanding {
        let record = &recent.open.record;
        if *record.host != *host {
            return SessionStanding::Unreadable;
        }
        if now >= record.ends_at || now >= recent.idle_until {
            return SessionStanding::Expired;
        }
        self.touch_when_due(recent, now);
        match record.stage {
            Stage::Pending { .. } => SessionStanding::Pending(recent.open.clone()),
            Stage::Live(_) => SessionStanding::Live(recent.open.clone()),
        }
    }

    /// The sessions that were in use on this node within the last minute.
    pub fn in_use(&self) -> Vec<OpenSession> {
        self.recent.all()
    }

    /// Whoever asks for a session that is being asked for waits for that answer, so that a page with
    /// many assets costs the store one question. An answer that cannot be kept is waited for once.
    async fn load_once(&self, id: &SessionId, host: &str) -> SessionStanding {
        let began = Instant::now();
        let turn = self.turns.get_with(id.digest(), Arc::default);
        let mut last = turn.lock().await;
        let now = self.clock.now();
        if let Some(standing) = self.recent_standing(id, host, now) {
            return standing;
        }
        if let Some(answered) = last.as_ref().filter(|answered| answered.at >= began) {
            match &answered.none {
                Some((asked, standing)) if **asked == *host => return standing.clone(),
                // It could not be kept. Nobody waits for others again.
                _ => drop(last),
            }
            return self.load(id, host, now).await;
        }
        let standing = self.load(id, host, now).await;
        let is_open = matches!(
            standing,
            SessionStanding::Live(_)
                | SessionStanding::NeedsRefresh(_)
                | SessionStanding::Pending(_)
        );
        *last = Some(Answered {
            at: Instant::now(),
            none: (!is_open).then(|| (host.into(), standing.clone())),
        });
        standing
    }

    async fn load(&self, id: &SessionId, host: &str, now: Timestamp) -> SessionStanding {
        let ticket = self.recent.ticket(id.digest());
        let loaded = self.look_up(id, now).await;
        let stored = match loaded {
            Ok(Some(stored)) => stored,
            Ok(None) => return SessionStanding::Expired,
            Err(_) => return SessionStanding::StoreDown,
        };
        let Ok(record) = self.seals.open_record(id, host, &stored.sealed) else {
            return SessionStanding::Unreadable;
        };
        let touch_from = self.lifetimes.touch_from(stored.idle_until, stored.ends_at);
        let ends = Ends {
            idle_until: stored.idle_until,
            touch_from: touch_from.unwrap_or(stored.ends_at),
        };
        let open = OpenSession {
            key: stored.key,
            record: Arc::new(record),
            handoffs: Arc::default(),
        };
        let recent = Arc::new(Recent::new(&ticket, open, ends, stored.sealed.len()));
        self.recent.keep(&ticket, Arc::clone(&recent));
        self.standing_of(&recent, host, now)
    }

    async fn look_up(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreDown> {
        let asked_at = Instant::now();
        let loaded = self.store.load(&id.key(), now).await;
        self.metrics.session_seconds().observe(asked_at.elapsed());
        let outcome = match &loaded {
            Ok(Some(_)) => "found",
            Ok(None) => "none",
            Err(_) => "down",
        };
        self.metrics.session_lookups.count(outcome);
        self.outage.tell(loaded.as_ref().err());
        loaded
    }

    /// Moves the idle end in the background, once a sixteenth of the idle span.
    fn touch_when_due(&self, recent: &Recent, now: Timestamp) {
        let due = recent.touch_from.load(Relaxed);
        let next = now.plus(self.lifetimes.idle / 16).millis();
        let is_ours = now.millis() > due
            && recent
                .touch_from
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok();
        let Some(runtime) = self.runtime.as_ref().filter(|_| is_ours) else {
            return;
        };
        let (store, key) = (Arc::clone(&self.store), recent.open.key.clone());
        let idle_until = self.lifetimes.idle_until(now, recent.open.record.ends_at);
        runtime.spawn(async move {
            if let Err(down) = store.touch(&key, now, idle_until).await {
                tracing::debug!(cause = ?down.0, "a session's idle end was not moved");
            }
        });
    }
}
