//! Sessions in Redis, shared by several nodes (adapter).
//!
//! Keys carry digests, values are sealed but for the index fields. The idle end of a session is
//! the expiry of its key, so that it runs on the store's time. Scripts reach keys that they find
//! in an index, which a single server or Sentinel allows.

mod link;
mod push;
mod scripts;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Client, Pipeline};
use serde::{Deserialize, Serialize};

use super::{RecentSessions, SessionIndex, SessionKey, SessionStore, StoreDown, StoredSession};
use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};
use crate::seal;

use link::Link;

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
    /// Those of a part of the installation, or of the installation. No name of the one begins with
    /// one of the other.
    fn of(part: Option<&str>) -> Self {
        let start = match part {
            None => "vestibule:".to_owned(),
            Some(part) => format!("vestibule/{part}:"),
        };
        Self {
            session: format!("{start}session:"),
            tokens: format!("{start}tokens:"),
            subject: format!("{start}subject:"),
            attempt: format!("{start}attempt:"),
        }
    }
}

impl std::fmt::Debug for RedisSessionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSessionStore").finish_non_exhaustive()
    }
}

/// The value of a session's key.
#[derive(Serialize, Deserialize)]
struct Value {
    sealed: String,
    issuer: String,
    subject: String,
    /// The end of the key of the subject's index.
    subject_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    idp_sid: Option<String>,
    host: String,
    account: Option<String>,
    device: String,
    created_at: Timestamp,
    ends_at: Timestamp,
}

/// An address that is no Redis URL.
#[derive(Debug, thiserror::Error)]
#[error("not a Redis address: write redis://host:port or rediss://host:port")]
pub struct NotARedisAddress(#[source] redis::RedisError);

impl RedisSessionStore {
    /// At `redis://…` or `rediss://…`, for the installation or a part of it. Connects when it is
    /// first asked, so that a gateway starts while Redis is down.
    pub fn connect(url: &str, part: Option<&str>) -> Result<Self, NotARedisAddress> {
        let client = Client::open(url).map_err(NotARedisAddress)?;
        Ok(Self {
            link: Arc::new(Link::new(client)),
            keys: KeyNames::of(part),
        })
    }
}

fn key_of(start: &str, key: &SessionKey) -> String {
    format!("{start}{}", key.as_str())
}

/// Issuer and subject by digest: they are of any length, and a key is not for reading. A length
/// keeps the two apart.
fn subject_key(issuer: &Issuer, subject: &Subject) -> String {
    let (issuer, subject) = (issuer.as_str(), subject.as_str());
    seal::digest(format!("{}:{issuer}{subject}", issuer.len()).as_bytes())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn question(command: &str) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd(command);
    pipeline
}

/// A pipeline of one EVAL; keys and further arguments are added by the caller.
fn script(text: &str, keys: &[String]) -> Pipeline {
    let mut pipeline = question("EVAL");
    pipeline.arg(text).arg(keys.len()).arg(keys);
    pipeline
}

fn to_value(session: &StoredSession) -> Result<String, StoreDown> {
    let StoredSession {
        sealed,
        index,
        ends_at,
        ..
    } = session;
    let value = Value {
        sealed: sealed.clone(),
        issuer: index.issuer.as_str().to_owned(),
        subject: index.subject.as_str().to_owned(),
        subject_key: subject_key(&index.issuer, &index.subject),
        idp_sid: index.idp_sid.clone(),
        host: index.host.clone(),
        account: index.account.clone(),
        device: index.device.clone(),
        created_at: index.created_at,
        ends_at: *ends_at,
    };
    serde_json::to_string(&value).map_err(StoreDown::because)
}

fn from_value(key: &SessionKey, text: &str, idle_until: Timestamp) -> Option<StoredSession> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(StoredSession {
        key: key.clone(),
        sealed: value.sealed,
        index: SessionIndex {
            issuer: Issuer::new(value.issuer),
            subject: Subject::new(value.subject),
            idp_sid: value.idp_sid,
            host: value.host,
            account: value.account,
            device: value.device,
            created_at: value.created_at,
        },
        idle_until: idle_until.min(value.ends_at),
        ends_at: value.ends_at,
    })
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
        let subject = format!(
            "{}{}",
            self.keys.subject,
            subject_key(&index.issuer, &index.subject)
        );
        let mut keys = vec![
            key_of(&self.keys.session, key),
            key_of(&self.keys.tokens, key),
            subject,
        ];
        keys.extend(replaces.iter().flat_map(|old| {
            [
                key_of(&self.keys.session, old),
                key_of(&self.keys.tokens, old),
            ]
        }));
        let now = index.created_at;
        let mut inserting = script(scripts::INSERT, &keys);
        inserting
            .arg(to_value(session)?)
            .arg(tokens.unwrap_or_default())
            .arg(millis(idle_until.since(now)))
            .arg(millis(ends_at.since(now)))
            .arg(key.as_str())
            .arg(now.millis());
        let (kept,): (i64,) = match replaces {
            Some(old) => self.link.ask_once(inserting.arg(old.as_str())).await?,
            None => self.link.ask(&inserting).await?,
        };
        Ok(kept == 1)
    }

    async fn reseal(&self, session: &StoredSession) -> Result<bool, StoreDown> {
        let mut resealing = question("SET");
        resealing
            .arg(key_of(&self.keys.session, &session.key))
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
        let name = key_of(&self.keys.session, key);
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
            .ask(loading.arg(key_of(&self.keys.tokens, key)))
            .await?;
        Ok(tokens)
    }

    async fn keep_tokens(&self, key: &SessionKey, tokens: &str) -> Result<bool, StoreDown> {
        let mut keeping = question("SET");
        keeping
            .arg(key_of(&self.keys.tokens, key))
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
                .arg(key_of(start, key))
                .arg(left)
                .ignore();
        }
        self.link.ask(&touching).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), StoreDown> {
        let keys = [
            key_of(&self.keys.session, key),
            key_of(&self.keys.tokens, key),
        ];
        let mut deleting = script(scripts::DELETE, &keys);
        self.link
            .ask(deleting.arg(key.as_str()).arg(&self.keys.subject).ignore())
            .await
    }

    async fn delete_of(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        idp_sid: Option<&str>,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let index = format!("{}{}", self.keys.subject, subject_key(issuer, subject));
        let mut deleting = script(scripts::DELETE_OF, &[index]);
        deleting.arg(&self.keys.session).arg(&self.keys.tokens);
        if let Some(sid) = idp_sid {
            deleting.arg(sid);
        }
        let (digests,) = self.link.ask(&deleting).await?;
        Ok(to_keys(digests))
    }

    async fn evict(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        keep: u32,
    ) -> Result<Vec<SessionKey>, StoreDown> {
        let index = format!("{}{}", self.keys.subject, subject_key(issuer, subject));
        let mut evicting = script(scripts::EVICT, &[index]);
        let (digests,) = self
            .link
            .ask(
                evicting
                    .arg(&self.keys.session)
                    .arg(&self.keys.tokens)
                    .arg(keep),
            )
            .await?;
        Ok(to_keys(digests))
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
        self.link.ask(question("PING").ignore()).await
    }

    fn announce_to(&self, recent: &Arc<RecentSessions>) {
        let keys = self.keys.session.clone();
        push::follow(Arc::clone(&self.link), keys, Arc::downgrade(recent));
    }
}
