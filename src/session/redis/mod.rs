//! Sessions in Redis, shared by several nodes (adapter).
//!
//! Keys carry digests, values are sealed but for the index fields. The idle end of a session is
//! the expiry of its key, so that it runs on the store's time.
//!
//! A session and its tokens share a slot of a Cluster; the index of its subject is in another one.
//! What touches both is therefore done in an order that holds wherever it stops: a session is in
//! its index before anybody gets its cookie, and leaves it after it has ended. An index may name
//! sessions that are gone, never the other way round.

mod push;
mod scripts;
mod value;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::Pipeline;

use super::{RecentSessions, SessionKey, SessionStore, StoreDown, StoredSession};
use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};
use crate::redis_link::{Link, NoAnswer, question, script, start_of_keys};
use crate::seal;

use value::{from_value, subject_key, to_value};

/// Sessions in Redis.
pub struct RedisSessionStore {
    link: Arc<Link>,
    keys: KeyNames,
}

/// What the names of keys begin with.
struct KeyNames {
    session: String,
    tokens: String,
    subject: String,
    attempt: String,
}

impl KeyNames {
    fn of(part: Option<&str>) -> Self {
        let start = start_of_keys(part);
        Self {
            session: format!("{start}session:"),
            tokens: format!("{start}tokens:"),
            subject: format!("{start}subject:"),
            attempt: format!("{start}attempt:"),
        }
    }

    /// The index of a subject's sessions.
    fn index(&self, subject_key: &str) -> String {
        format!("{}{subject_key}", self.subject)
    }
}

impl std::fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSessionStore").finish_non_exhaustive()
    }
}

/// What became of a session that was to end.
#[derive(PartialEq, Eq)]
enum Fate {
    Gone,
    Stays,
    Ended,
}

impl RedisSessionStore {
    /// Over this link, for the installation or a part of it.
    pub fn new(link: Arc<Link>, part: Option<&str>) -> Self {
        Self {
            link,
            keys: KeyNames::of(part),
        }
    }

    /// Ends a session, unless it has another sid than this; the index still names it. The second
    /// value is the end of the index's key, where the session was there.
    async fn end(
        &self,
        digest: &str,
        sid: Option<&str>,
        is_repeatable: bool,
    ) -> Result<(Fate, String), StoreDown> {
        let keys = [
            key_of(&self.keys.session, digest),
            key_of(&self.keys.tokens, digest),
        ];
        let mut ending = script(scripts::END, &keys);
        if let Some(sid) = sid {
            ending.arg(sid);
        }
        let ((word, subject),): ((String, String),) = if is_repeatable {
            self.link.ask(&ending).await?
        } else {
            self.link.ask_once(&ending).await?
        };
        let fate = match word.as_str() {
            "ended" => Fate::Ended,
            "stays" => Fate::Stays,
            _ => Fate::Gone,
        };
        Ok((fate, subject))
    }

    /// The sessions that an index names, the newest first, without the first ones.
    async fn noted(&self, index: &str, beyond: u32) -> Result<Vec<String>, StoreDown> {
        let mut asking = question("ZREVRANGE");
        let (digests,) = self.link.ask(asking.arg(index).arg(beyond).arg(-1)).await?;
        Ok(digests)
    }

    /// Takes sessions out of an index.
    async fn strike(&self, index: &str, digests: &[String]) -> Result<(), StoreDown> {
        if digests.is_empty() {
            return Ok(());
        }
        let mut striking = question("ZREM");
        let striking = striking.arg(index).arg(digests).ignore();
        Ok(self.link.ask(striking).await?)
    }

    /// Ends what an index names, as [`Self::end`] does; gives what was ended.
    async fn end_noted(
        &self,
        index: &str,
        digests: &[String],
        sid: Option<&str>,
    ) -> Result<Vec<String>, StoreDown> {
        let ending = digests.iter().map(|digest| self.end(digest, sid, true));
        let fates = try_join_all(ending).await?;
        let with_fates = digests.iter().zip(fates);
        let (mut over, mut ended) = (Vec::new(), Vec::new());
        for (digest, (fate, _)) in with_fates {
            if fate != Fate::Stays {
                over.push(digest.clone());
            }
            if fate == Fate::Ended {
                ended.push(digest.clone());
            }
        }
        self.strike(index, &over).await?;
        Ok(ended)
    }
}

impl From<NoAnswer> for StoreDown {
    fn from(cause: NoAnswer) -> Self {
        Self::because(cause)
    }
}

/// The braces name what a Cluster goes by.
fn key_of(start: &str, digest: &str) -> String {
    format!("{start}{{{digest}}}")
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn to_keys(digests: Vec<String>) -> Vec<SessionKey> {
    digests.into_iter().map(SessionKey::from_store).collect()
}

#[async_trait]
impl SessionStore for RedisSessionStore {
    async fn insert(
        &self,
        session: &StoredSession,
        tokens: Option<&str>,
        replaces: Option<&SessionKey>,
    ) -> Result<bool, StoreDown> {
        let StoredSession {
            key,
            index,
            idle_until,
            ends_at,
            ..
        } = session;
        let now = index.created_at;
        let left = millis(idle_until.since(now));
        let mut keeping = Pipeline::new();
        keeping.atomic();
        let values = [
            (&self.keys.session, Some(to_value(session)?)),
            (&self.keys.tokens, tokens.map(str::to_owned)),
        ];
        for (start, value) in values {
            let Some(value) = value else { continue };
            let set = keeping.cmd("SET").arg(key_of(start, key.as_str()));
            set.arg(value).arg("PX").arg(left).ignore();
        }
        let () = self.link.ask(&keeping).await?;
        let subject = subject_key(&index.issuer, &index.subject);
        let subject = self.keys.index(&subject);
        let mut noting = script(scripts::NOTE, std::slice::from_ref(&subject));
        noting.arg(key.as_str()).arg(now.millis());
        let noting = noting.arg(millis(ends_at.since(now)));
        let () = self.link.ask(noting.ignore()).await?;
        let Some(old) = replaces else { return Ok(true) };
        let (fate, of) = self.end(old.as_str(), None, false).await?;
        if fate == Fate::Ended {
            let index = self.keys.index(&of);
            self.strike(&index, &[old.as_str().to_owned()]).await?;
            return Ok(true);
        }
        self.delete(key).await?;
        Ok(false)
    }

    async fn reseal(&self, session: &StoredSession) -> Result<bool, StoreDown> {
        let mut resealing = question("SET");
        resealing
            .arg(key_of(&self.keys.session, session.key.as_str()))
            .arg(to_value(session)?)
            .arg("XX")
            .arg("KEEPTTL");
        let (done,): (Option<String>,) = self.link.ask(&resealing).await?;
        Ok(done.is_some())
    }

    async fn load(
        &self,
        key: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreDown> {
        let name = key_of(&self.keys.session, key.as_str());
        let mut loading = Pipeline::new();
        loading.atomic().get(&name).pttl(&name);
        let (text, left): (Option<String>, i64) = self.link.ask(&loading).await?;
        let Ok(left) = u64::try_from(left) else {
            return Ok(None);
        };
        let idle_until = now.plus(Duration::from_millis(left));
        let session = text.and_then(|text| from_value(key, &text, idle_until));
        Ok(session.filter(|session| now < session.idle_until))
    }

    async fn tokens(&self, key: &SessionKey, _now: Timestamp) -> Result<Option<String>, StoreDown> {
        let mut loading = question("GET");
        let (tokens,) = self
            .link
            .ask(loading.arg(key_of(&self.keys.tokens, key.as_str())))
            .await?;
        Ok(tokens)
    }

    async fn keep_tokens(&self, key: &SessionKey, tokens: &str) -> Result<bool, StoreDown> {
        let mut keeping = question("SET");
        keeping
            .arg(key_of(&self.keys.tokens, key.as_str()))
            .arg(tokens)
            .arg("XX")
            .arg("KEEPTTL");
        let (done,): (Option<String>,) = self.link.ask(&keeping).await?;
        Ok(done.is_some())
    }

    async fn touch(
        &self,
        key: &SessionKey,
        now: Timestamp,
        idle_until: Timestamp,
    ) -> Result<(), StoreDown> {
        let left = millis(idle_until.since(now));
        let mut touching = Pipeline::new();
        for start in [&self.keys.session, &self.keys.tokens] {
            touching
                .cmd("PEXPIRE")
                .arg(key_of(start, key.as_str()))
                .arg(left)
                .ignore();
        }
        Ok(self.link.ask(&touching).await?)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), StoreDown> {
        let (fate, subject) = self.end(key.as_str(), None, true).await?;
        if fate != Fate::Ended {
            return Ok(());
        }
        let index = self.keys.index(&subject);
        self.strike(&index, &[key.as_str().to_owned()]).await
    }

    async fn delete_of(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        idp_sid: Option<&str>,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let index = self.keys.index(&subject_key(issuer, subject));
        let (mut seen, mut ended) = (BTreeSet::new(), Vec::new());
        // A session that takes another's place is noted before that one ends: it shows here at
        // the latest when the other one has.
        loop {
            let noted = self.noted(&index, 0).await?.into_iter();
            let fresh: Vec<String> = noted.filter(|one| seen.insert(one.clone())).collect();
            if fresh.is_empty() {
                return Ok(to_keys(ended));
            }
            ended.extend(self.end_noted(&index, &fresh, idp_sid).await?);
        }
    }

    async fn evict(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        keep: u32,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let index = self.keys.index(&subject_key(issuer, subject));
        let oldest = self.noted(&index, keep).await?;
        let ended = self.end_noted(&index, &oldest, None).await?;
        Ok(to_keys(ended))
    }

    async fn consume_attempt(
        &self,
        id: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreDown> {
        let name = format!("{}{}", self.keys.attempt, seal::digest(id.as_bytes()));
        let span = millis(expires_at.since(now));
        let mut consuming = question("SET");
        consuming.arg(name).arg(1).arg("NX").arg("PX").arg(span);
        let (done,): (Option<String>,) = self.link.ask_once(&consuming).await?;
        Ok(done.is_some())
    }

    async fn sweep(&self, _now: Timestamp) -> Result<(), StoreDown> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreDown> {
        Ok(self.link.ping().await?)
    }

    fn announce_to(&self, recent: &Arc<RecentSessions>) {
        let keys = self.keys.session.clone();
        push::follow(Arc::clone(&self.link), keys, Arc::downgrade(recent));
    }
}
