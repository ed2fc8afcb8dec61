//! Who is signed in right now.
//!
//! The browser holds 256 random bits; the store holds a record that is keyed by their digest and
//! sealed with a key derived from them as well as from the server's key ring. [`Sessions`] opens,
//! makes, promotes and ends sessions; [`SessionStore`] is the seam to SQL or Redis.

mod cache;
mod clearing;
pub mod cookie;
mod id;
mod lifetime;
mod looking_up;
mod outage;
mod record;
pub mod redis;
mod renewing;
mod seals;
pub mod sql;
mod standing;
mod store;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::{SharedClock, Timestamp};
use crate::identity::{Account, Cleared, Issuer, Subject, VerifiedIdentity};
use crate::seal::KeyRing;
use crate::telemetry::metrics::Metrics;

use looking_up::{Turns, turns};
use outage::OutageLog;
use seals::Seals;

pub use cache::{RecentSessions, UNCOVERED};
pub use id::{SessionId, SessionKey};
pub use lifetime::Lifetimes;
pub use record::{IdpTokens, SessionRecord, Stage};
pub use standing::{Assertion, Handoff, HandoffFields, Handoffs, OpenSession, SessionStanding};
pub use store::{SessionIndex, SessionStore, StoreDown, StoredSession};

/// How many sessions one person may have; a further one ends the oldest.
const MOST_PER_SUBJECT: u32 = 50;

/// What a session begins with.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// Who.
    pub identity: VerifiedIdentity,
    /// How far.
    pub stage: Stage,
    /// What they have done of what may come first.
    pub cleared: Cleared,
    /// What the identity provider gave.
    pub tokens: Option<IdpTokens>,
    /// On which host.
    pub host: &'a str,
    /// A coarse word for the device.
    pub device: &'a str,
    /// The session that the browser had until now; it ends.
    pub replaces: Option<&'a SessionId>,
}

/// Opens, makes, promotes and ends sessions.
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    recent: Arc<RecentSessions>,
    turns: Turns,
    seals: Seals,
    clock: SharedClock,
    lifetimes: Lifetimes,
    outage: OutageLog,
    metrics: Metrics,
    /// Where the store is asked in the background.
    runtime: Option<Handle>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("lifetimes", &self.lifetimes)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Over a store. To be made inside the runtime: the store's push channel starts.
    pub fn new(
        store: Arc<dyn SessionStore>,
        keys: Arc<KeyRing>,
        clock: SharedClock,
        lifetimes: Lifetimes,
    ) -> Self {
        let recent = Arc::new(RecentSessions::default());
        store.announce_to(&recent);
        Self {
            store,
            recent,
            turns: turns(),
            seals: Seals::new(keys),
            clock,
            lifetimes,
            outage: OutageLog::default(),
            metrics: Metrics::default(),
            runtime: Handle::try_current().ok(),
        }
    }

    /// The same, counting what the store is asked.
    #[must_use]
    pub fn counted_by(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Shows in the metrics what is in memory.
    pub fn show(&self) {
        let (count, is_covered) = self.recent.state();
        self.metrics.show_sessions(count, is_covered);
    }

    /// Begins a session and gives the secret for the browser.
    pub async fn begin(&self, beginning: Beginning<'_>) -> Result<SessionId, StoreDown> {
        let Beginning {
            identity,
            stage,
            cleared,
            tokens,
            host,
            device,
            replaces,
        } = beginning;
        let id = SessionId::random();
        let record = SessionRecord {
            cleared,
            ..self.new_record(identity, stage, host)
        };
        let tokens = tokens
            .map(|tokens| self.seals.seal_tokens(&id, host, &tokens))
            .transpose()?;
        let session = self.to_store(&id, &record, device)?;
        self.store.insert(&session, tokens.as_deref(), None).await?;
        if let Some(old) = replaces {
            self.end(old).await?;
        }
        self.keep_within_bounds(&session.index).await;
        Ok(id)
    }

    /// Gives a pending session its account, under a new id; the old one is dead in the same step.
    /// None when it had ended meanwhile, or is not the session of that id.
    pub async fn promote(
        &self,
        open: &OpenSession,
        old: &SessionId,
        (account, cleared): (Account, Cleared),
    ) -> Result<Option<SessionId>, StoreDown> {
        let now = self.clock.now();
        if open.key != old.key() {
            return Ok(None);
        }
        let Some(before) = self.store.load(&old.key(), now).await? else {
            return Ok(None);
        };
        let host = &open.record.host;
        let id = SessionId::random();
        let tokens = match self.tokens_on(old, host, now).await? {
            Some(tokens) => Some(self.seals.seal_tokens(&id, host, &tokens)?),
            None => None,
        };
        let identity = open.record.identity.clone().with_account(&account);
        let record = SessionRecord {
            cleared,
            ..self.new_record(identity, Stage::Live(account), host)
        };
        let session = self.to_store(&id, &record, &before.index.device)?;
        let replaces = old.key();
        let is_kept = self
            .store
            .insert(&session, tokens.as_deref(), Some(&replaces))
            .await;
        self.recent.forget(&replaces);
        Ok(is_kept?.then_some(id))
    }

    fn new_record(&self, identity: VerifiedIdentity, stage: Stage, host: &str) -> SessionRecord {
        let created_at = self.clock.now();
        let span = match stage {
            Stage::Pending { .. } => self.lifetimes.pending,
            Stage::Live(_) => self.lifetimes.absolute,
        };
        let ends_at = created_at.plus(span);
        SessionRecord {
            identity,
            stage,
            cleared: Cleared::default(),
            host: host.into(),
            created_at,
            ends_at,
        }
    }

    fn to_store(
        &self,
        id: &SessionId,
        record: &SessionRecord,
        device: &str,
    ) -> Result<StoredSession, StoreDown> {
        let identity = &record.identity;
        let index = SessionIndex {
            issuer: identity.issuer().clone(),
            subject: identity.subject().clone(),
            idp_sid: identity.provider_session().map(str::to_owned),
            host: record.host.to_string(),
            account: record
                .account()
                .map(|account| account.user.as_str().to_owned()),
            device: device.to_owned(),
            created_at: record.created_at,
        };
        Ok(StoredSession {
            key: id.key(),
            sealed: self.seals.seal_record(id, record)?,
            index,
            idle_until: self.lifetimes.idle_until(record.created_at, record.ends_at),
            ends_at: record.ends_at,
        })
    }

    /// Ends the oldest sessions of somebody who has too many. The new one stands in any case.
    async fn keep_within_bounds(&self, index: &SessionIndex) {
        let evicted = self
            .store
            .evict(&index.issuer, &index.subject, MOST_PER_SUBJECT)
            .await;
        match evicted {
            Ok(keys) => keys.iter().for_each(|key| self.recent.forget(key)),
            Err(down) => tracing::warn!(cause = ?down.0, "old sessions could not be counted"),
        }
    }

    /// Ends a session. It is carried through even if the caller goes away.
    pub async fn end(&self, id: &SessionId) -> Result<(), StoreDown> {
        let (store, recent, key) = (Arc::clone(&self.store), Arc::clone(&self.recent), id.key());
        let ending = async move {
            let outcome = store.delete(&key).await;
            recent.forget(&key);
            outcome
        };
        tokio::spawn(ending).await.map_err(StoreDown::because)?
    }

    /// Ends all sessions of a subject, or those with one `sid` of the identity provider, on every
    /// host; gives how many there were.
    pub async fn end_of(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        sid: Option<&str>,
    ) -> Result<usize, StoreDown> {
        let (store, recent) = (Arc::clone(&self.store), Arc::clone(&self.recent));
        let (issuer, subject) = (issuer.clone(), subject.clone());
        let sid = sid.map(str::to_owned);
        let ending = async move {
            let keys = store.delete_of(&issuer, &subject, sid.as_deref()).await?;
            for key in &keys {
                recent.forget(key);
            }
            Ok(keys.len())
        };
        tokio::spawn(ending).await.map_err(StoreDown::because)?
    }

    /// The identity provider's tokens of a session on `host`, never cached.
    pub async fn tokens(&self, id: &SessionId, host: &str) -> Result<Option<IdpTokens>, StoreDown> {
        self.tokens_on(id, host, self.clock.now()).await
    }

    async fn tokens_on(
        &self,
        id: &SessionId,
        host: &str,
        now: Timestamp,
    ) -> Result<Option<IdpTokens>, StoreDown> {
        let sealed = self.store.tokens(&id.key(), now).await?;
        Ok(sealed.and_then(|sealed| self.seals.open_tokens(id, host, &sealed).ok()))
    }

    /// Remembers a login attempt as consumed until `expires_at`; `Ok(false)` when it was already.
    pub async fn consume_attempt(
        &self,
        id: &str,
        expires_at: Timestamp,
    ) -> Result<bool, StoreDown> {
        self.store
            .consume_attempt(id, self.clock.now(), expires_at)
            .await
    }

    /// Forgets what is over. To be called now and then.
    pub async fn sweep(&self) -> Result<(), StoreDown> {
        self.store.sweep(self.clock.now()).await
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), StoreDown> {
        self.store.ping().await
    }
}
