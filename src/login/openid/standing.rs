//! What is known of a provider, and how it is found out: one try at a time, not too often, and
//! what is known is never given up for something worse.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::super::jwt::{TokenProblem, UnverifiedToken};
use super::super::provider::{ProviderError, Readiness};
use super::keys::KeySet;
use super::metadata::Metadata;
use crate::clock::{SharedClock, Timestamp};
use crate::identity::{Issuer, ProviderId};
use crate::outbound::{AnswerLimits, Outbound, told_time};
use crate::telemetry::with_causes;

/// The largest metadata and key set, octets.
const MAX_DOCUMENT: usize = 512 * 1024;
/// How often metadata and keys are looked at while all is well.
const RENEWAL: Duration = Duration::from_hours(1);
/// The longest pause between tries while a provider is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Logins start no new try sooner than this after a failed one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Unknown keys lead to no new look at the key set sooner than this after the last one.
const KEY_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait before the next look, after that many failures in a row.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => RENEWAL,
        count => SHORTEST_PAUSE
            .saturating_mul(1 << (count - 1).min(5))
            .min(LONGEST_PAUSE),
    }
}

/// Where to find out.
pub struct Source {
    /// The configured issuer.
    pub issuer: Issuer,
    /// The way out.
    pub outbound: Outbound,
    /// How long each answer may take.
    pub timeout: Duration,
    /// The time.
    pub clock: SharedClock,
}

/// What an issuer publishes of itself, as far as somebody needs it.
pub trait Published: Clone + Send + Sync {
    /// Where it may be published, the likelier place first.
    fn addresses(issuer: &Issuer) -> Vec<Url>;

    /// Reads it and judges it.
    fn parse(document: &[u8], issuer: &Issuer) -> Result<Self, ProviderError>;

    /// This as the successor of `before`.
    #[must_use]
    fn following(self, before: Option<&Self>) -> Self;

    /// Where the keys are; none where nothing is signed.
    fn keys_at(&self) -> Option<&Url>;
}

/// What is known of a provider.
#[derive(Debug)]
pub struct Known<P = Metadata> {
    /// Its metadata.
    pub metadata: P,
    /// Its keys.
    pub keys: KeySet,
    /// How far this machine's clock was ahead of its when it was asked, seconds; give or take two,
    /// and however long it took to answer.
    pub clock_skew: Option<i64>,
}

/// A document as it was got.
struct Got {
    document: Vec<u8>,
    /// As in [`Known`].
    clock_skew: Option<i64>,
}

/// What is known of a provider, if anything, and when it was last asked.
#[derive(Debug)]
pub struct Standing<P = Metadata> {
    source: Source,
    known: ArcSwapOption<Known<P>>,
    /// How often the keys have become others.
    key_changes: AtomicU64,
    last_failure: ArcSwapOption<ProviderError>,
    trying: Mutex<Tries>,
}

#[derive(Debug, Default)]
struct Tries {
    failed_at: Option<Timestamp>,
    keys_at: Option<Timestamp>,
}

impl<P: Published> Standing<P> {
    /// Of a provider that is not asked for anything yet.
    pub fn of(source: Source) -> Self {
        Self {
            source,
            known: ArcSwapOption::empty(),
            key_changes: AtomicU64::new(0),
            last_failure: ArcSwapOption::empty(),
            trying: Mutex::default(),
        }
    }

    /// Where it is found out.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is known.
    pub fn known(&self) -> Option<Arc<Known<P>>> {
        self.known.load_full()
    }

    /// Whether the provider can be used.
    pub fn readiness(&self) -> Readiness {
        if self.known.load().is_some() {
            return Readiness::Ready;
        }
        Readiness::NotReady {
            reason: self.last_failure.load_full(),
        }
    }

    /// How far this machine's clock is ahead of the issuer's, seconds, where it has told the time.
    pub fn clock_skew(&self) -> Option<i64> {
        self.known.load().as_ref()?.clock_skew
    }

    /// What is known; found out if nothing is. Whoever comes while a try is under way waits for
    /// it and takes its outcome.
    pub async fn ready(&self) -> Result<Arc<Known<P>>, ProviderError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let mut tries = self.trying.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        if let (Some(at), Some(reason)) = (tries.failed_at, self.last_failure.load_full())
            && self.source.now().since(at) < SHORTEST_PAUSE
        {
            return Err(ProviderError::NotReady { reason });
        }
        self.find_out(&mut tries)
            .await
            .map_err(|reason| ProviderError::NotReady { reason })
    }

    /// Looks again; what was known stays when that fails.
    pub async fn renew(&self) -> Result<(), Arc<ProviderError>> {
        let mut tries = self.trying.lock().await;
        self.find_out(&mut tries).await.map(|_| ())
    }

    async fn find_out(&self, tries: &mut Tries) -> Result<Arc<Known<P>>, Arc<ProviderError>> {
        match self.ask().await {
            Ok(known) => {
                let known = Arc::new(known);
                self.learn(&known);
                self.last_failure.store(None);
                tries.failed_at = None;
                Ok(known)
            }
            Err(reason) => {
                let reason = Arc::new(reason);
                self.last_failure.store(Some(Arc::clone(&reason)));
                tries.failed_at = Some(self.source.now());
                Err(reason)
            }
        }
    }

    async fn ask(&self) -> Result<Known<P>, ProviderError> {
        let got = self.source.published::<P>().await?;
        let before = self.known();
        let metadata = P::parse(&got.document, &self.source.issuer)?
            .following(before.as_deref().map(|known| &known.metadata));
        let keys = self.source.keys(&metadata).await?;
        Ok(Known {
            metadata,
            keys,
            clock_skew: got.clock_skew,
        })
    }

    fn learn(&self, known: &Arc<Known<P>>) {
        let before = self.known.swap(Some(Arc::clone(known)));
        if before.is_some_and(|before| before.keys != known.keys) {
            self.key_changes.fetch_add(1, Relaxed);
        }
    }

    /// How often the keys have become others.
    pub fn key_changes(&self) -> u64 {
        self.key_changes.load(Relaxed)
    }

    /// Finds out, tries again with growing pauses, and looks for changes once in a while. Never
    /// ends; says when the issuer is lost and when it is found, not at every try between.
    pub async fn keep_up(&self, id: &ProviderId) {
        let mut failures = 0_u32;
        loop {
            match self.renew().await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(issuer = %id, "the issuer is found");
                    }
                    failures = 0;
                }
                Err(reason) => {
                    if failures == 0 {
                        let reason = with_causes(&*reason);
                        tracing::warn!(issuer = %id, reason, "the issuer cannot be asked");
                    }
                    failures = failures.saturating_add(1);
                }
            }
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Checks a token's signature. A key that is not known, or a signature that does not fit, may
    /// mean new keys: they are got once, and not again for a while.
    pub async fn check(
        &self,
        known: &Arc<Known<P>>,
        token: &UnverifiedToken<'_>,
    ) -> Result<(), TokenProblem> {
        match known.keys.check(token) {
            Err(TokenProblem::UnknownKey | TokenProblem::Signature) => {}
            outcome => return outcome,
        }
        self.renew_keys(known).await.keys.check(token)
    }

    /// Looks at the key set again because of a token that `seen` could not judge, at most once an
    /// interval; gives what is known afterwards.
    async fn renew_keys(&self, seen: &Arc<Known<P>>) -> Arc<Known<P>> {
        let mut tries = self.trying.lock().await;
        let known = self.known().unwrap_or_else(|| Arc::clone(seen));
        let now = self.source.now();
        let is_too_soon = tries
            .keys_at
            .is_some_and(|last| now.since(last) < KEY_INTERVAL);
        if !Arc::ptr_eq(&known, seen) || is_too_soon {
            return known;
        }
        tries.keys_at = Some(now);
        match self.source.keys(&known.metadata).await {
            Ok(keys) => {
                let renewed = Arc::new(Known {
                    metadata: known.metadata.clone(),
                    keys,
                    clock_skew: known.clock_skew,
                });
                self.learn(&renewed);
                renewed
            }
            Err(reason) => {
                let reason = with_causes(&reason);
                let issuer = &self.source.issuer;
                tracing::warn!(%issuer, reason, "the issuer's keys cannot be renewed");
                known
            }
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.issuer)
    }
}

impl Source {
    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn keys(&self, metadata: &impl Published) -> Result<KeySet, ProviderError> {
        match metadata.keys_at() {
            Some(address) => {
                KeySet::parse(&self.get(address).await?.document).ok_or(ProviderError::Keys)
            }
            None => Ok(KeySet::none()),
        }
    }

    /// The first document that is where one may be.
    async fn published<P: Published>(&self) -> Result<Got, ProviderError> {
        let mut found = Err(ProviderError::Incomplete {
            what: "valid issuer",
        });
        for address in P::addresses(&self.issuer) {
            found = self.get(&address).await;
            if !matches!(found, Err(ProviderError::Status { status: 400..500 })) {
                break;
            }
        }
        found
    }

    async fn get(&self, address: &Url) -> Result<Got, ProviderError> {
        let request = Request::get(address.as_str())
            .header(ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|_| ProviderError::Incomplete {
                what: "valid address",
            })?;
        let limits = AnswerLimits {
            time: self.timeout,
            size: MAX_DOCUMENT,
        };
        let asked_at = self.now();
        let answer = self
            .outbound
            .call(request, limits)
            .await
            .map_err(ProviderError::Unreachable)?;
        match answer.status() {
            StatusCode::OK => Ok(Got {
                clock_skew: told_time(answer.headers())
                    .map(|theirs| (asked_at.millis() - theirs.millis()) / 1000),
                document: answer.into_body(),
            }),
            status => Err(ProviderError::Status {
                status: status.as_u16(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bearable() {
        let pauses: Vec<_> = (1..9).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(0), RENEWAL);
    }
}
