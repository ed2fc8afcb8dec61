//! Tokens that were judged, in this node's memory, by their digests. What is kept is bounded in
//! number and in time, and a good token is never kept beyond its end.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::sync::Cache;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::Asked;
use super::issuer::TokenIssuer;
use crate::access::BearerStanding;
use crate::clock::Timestamp;
use crate::seal;

/// How long a good token is believed at most before it, its account and its keys are looked at
/// again: the bound within which a deactivated user's programs are out on every node.
pub const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// How long it is remembered at most that a token was good.
const REMEMBERED_FOR: Duration = Duration::from_mins(5);

/// How long a refusal is remembered, so that a program that tries again and again costs little.
pub const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long it is remembered that nobody could tell, so that those who wait do not ask in turn.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// How much of good tokens is kept, octets.
const CAPACITY: u64 = 64 * 1024 * 1024;

/// What a token takes besides its text and its claims, and how many times their JSON its claims take.
const OVERHEAD: usize = 1024;
const CLAIMS: usize = 3;

/// How many refused ones; they never push out good ones.
const MOST_BAD: u64 = 10_000;

/// A token by its digest, and whom a rule has asked about it: what one issuer said says nothing
/// about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey {
    digest: [u8; 32],
    asked: Asked,
}

impl TokenKey {
    pub fn of(token: &str, asked: Asked) -> Self {
        Self {
            digest: seal::digest_octets(token.as_bytes()),
            asked,
        }
    }
}

/// What was found.
pub struct Known {
    pub standing: BearerStanding,
    /// When that was.
    pub from: Timestamp,
    /// How long it may be believed.
    pub until: Timestamp,
    /// Who said so, and how often its keys had changed by then.
    pub keys: Option<(Arc<dyn TokenIssuer>, u64)>,
}

impl Known {
    /// About how much memory it takes, octets.
    fn weight(&self) -> u32 {
        let BearerStanding::Good(client) = &self.standing else {
            return 0;
        };
        let text = client.token.expose_secret().len();
        let mut claims = Length(0);
        // Counting does not fail, and claims that are no JSON are none.
        let _ = serde_json::to_writer(&mut claims, client.identity.claims());
        u32::try_from(text + claims.0 * CLAIMS + OVERHEAD).unwrap_or(u32::MAX)
    }
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Tokens that were judged.
pub struct KnownTokens {
    /// Keys are digests of good tokens, which nobody can choose.
    good: Cache<TokenKey, Arc<Known>, RandomState>,
    bad: Cache<TokenKey, Arc<Known>>,
    turns: Cache<TokenKey, Arc<Mutex<()>>>,
}

impl Default for KnownTokens {
    fn default() -> Self {
        Self {
            good: Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|_, known: &Arc<Known>| known.weight())
                .time_to_live(REMEMBERED_FOR)
                .build_with_hasher(RandomState::default()),
            bad: Cache::builder()
                .max_capacity(MOST_BAD)
                .time_to_live(REFUSED_FOR)
                .build(),
            turns: Cache::builder()
                .max_capacity(MOST_BAD)
                .time_to_idle(BELIEVED_FOR)
                .build(),
        }
    }
}

impl KnownTokens {
    pub fn get(&self, key: &TokenKey) -> Option<Arc<Known>> {
        self.good.get(key).or_else(|| self.bad.get(key))
    }

    /// Whether it was good when it was last judged.
    pub fn was_good(&self, key: &TokenKey) -> bool {
        self.good.contains_key(key)
    }

    pub fn keep(&self, key: TokenKey, known: Known) {
        let known = Arc::new(known);
        if matches!(known.standing, BearerStanding::Good(_)) {
            self.bad.invalidate(&key);
            self.good.insert(key, known);
        } else {
            self.good.invalidate(&key);
            self.bad.insert(key, known);
        }
    }

    /// Held by whoever judges the token, so that nobody else does so meanwhile.
    pub fn turn(&self, key: &TokenKey) -> Arc<Mutex<()>> {
        self.turns.get_with(*key, Arc::default)
    }
}
