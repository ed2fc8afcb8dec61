//! What is known of a provider, and how it is found out: one try at a time, not too often, and
//! what is known is never given up for something worse.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::super::provider::{ProviderError, Readiness};
use super::keys::KeySet;
use super::metadata::{self, Metadata};
use crate::clock::Timestamp;
use crate::identity::Issuer;
use crate::outbound::{AnswerLimits, Outbound};

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
pub fn pause(failures: u32) -> Duration {
    match failures {
        0 => RENEWAL,
        count => SHORTEST_PAUSE
            .saturating_mul(1 << (count - 1).min(5))
            .min(LONGEST_PAUSE),
    }
}

/// Where to find out.
#[derive(Debug, Clone, Copy)]
pub struct Source<'provider> {
    /// The configured issuer.
    pub issuer: &'provider Issuer,
    /// The way out.
    pub outbound: &'provider Outbound,
    /// How long each answer may take.
    pub timeout: Duration,
    /// The present moment.
    pub now: Timestamp,
}

/// What is known of a provider.
#[derive(Debug)]
pub struct Known {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its keys.
    pub keys: KeySet,
}

/// What is known of a provider, if anything, and when it was last asked.
#[derive(Debug, Default)]
pub struct Standing {
    known: ArcSwapOption<Known>,
    last_failure: ArcSwapOption<ProviderError>,
    trying: Mutex<Tries>,
}

#[derive(Debug, Default)]
struct Tries {
    failed_at: Option<Timestamp>,
    keys_at: Option<Timestamp>,
}

impl Standing {
    /// What is known.
    pub fn known(&self) -> Option<Arc<Known>> {
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

    /// What is known; found out if nothing is. Whoever comes while a try is under way waits for
    /// it and takes its outcome.
    pub async fn ready(&self, source: &Source<'_>) -> Result<Arc<Known>, ProviderError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let mut tries = self.trying.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        if let (Some(at), Some(reason)) = (tries.failed_at, self.last_failure.load_full())
            && source.now.since(at) < SHORTEST_PAUSE
        {
            return Err(ProviderError::NotReady { reason });
        }
        self.find_out(&mut tries, source)
            .await
            .map_err(|reason| ProviderError::NotReady { reason })
    }

    /// Looks again; what was known stays when that fails.
    pub async fn renew(&self, source: &Source<'_>) -> Result<(), Arc<ProviderError>> {
        let mut tries = self.trying.lock().await;
        self.find_out(&mut tries, source).await.map(|_| ())
    }

    async fn find_out(
        &self,
        tries: &mut Tries,
        source: &Source<'_>,
    ) -> Result<Arc<Known>, Arc<ProviderError>> {
        match self.ask(source).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.known.store(Some(Arc::clone(&known)));
                self.last_failure.store(None);
                tries.failed_at = None;
                Ok(known)
            }
            Err(reason) => {
                let reason = Arc::new(reason);
                self.last_failure.store(Some(Arc::clone(&reason)));
                tries.failed_at = Some(source.now);
                Err(reason)
            }
        }
    }

    async fn ask(&self, source: &Source<'_>) -> Result<Known, ProviderError> {
        let address = metadata::address(source.issuer).ok_or(ProviderError::Incomplete {
            what: "valid issuer",
        })?;
        let document = source.get(&address).await?;
        let before = self.known();
        let metadata = Metadata::parse(&document, source.issuer)?
            .following(before.as_deref().map(|known| &known.metadata));
        let keys = source.keys(&metadata).await?;
        Ok(Known { metadata, keys })
    }

    /// Looks at the key set again because of a token that `seen` could not judge, at most once an
    /// interval; gives what is known afterwards.
    pub async fn renew_keys(&self, seen: &Arc<Known>, source: &Source<'_>) -> Arc<Known> {
        let mut tries = self.trying.lock().await;
        let known = self.known().unwrap_or_else(|| Arc::clone(seen));
        let is_too_soon = tries
            .keys_at
            .is_some_and(|last| source.now.since(last) < KEY_INTERVAL);
        if !Arc::ptr_eq(&known, seen) || is_too_soon {
            return known;
        }
        tries.keys_at = Some(source.now);
        match source.keys(&known.metadata).await {
            Ok(keys) => {
                let renewed = Arc::new(Known {
                    metadata: known.metadata.clone(),
                    keys,
                });
                self.known.store(Some(Arc::clone(&renewed)));
                renewed
            }
            Err(reason) => {
                let reason: &dyn std::error::Error = &reason;
                tracing::warn!(issuer = %source.issuer, reason, "the provider's keys cannot be renewed");
                known
            }
        }
    }
}

impl Source<'_> {
    async fn keys(&self, metadata: &Metadata) -> Result<KeySet, ProviderError> {
        KeySet::parse(&self.get(&metadata.jwks_uri).await?).ok_or(ProviderError::Keys)
    }

    async fn get(&self, address: &Url) -> Result<Vec<u8>, ProviderError> {
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
        let answer = self
            .outbound
            .call(request, limits)
            .await
            .map_err(ProviderError::Unreachable)?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
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
