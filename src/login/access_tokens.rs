//! The identity provider's access tokens of sessions, for upstreams that want them: read from where
//! the session keeps them sealed, and renewed with the refresh token before they end (RFC 6749,
//! section 6).
//!
//! Tokens open with the browser's cookie only, so that a request brings what is needed. A provider
//! may take a refresh token once: one node renews at a time, and the others wait for what it keeps.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::provider::{IdentityProvider, ProviderError, Renewed};
use crate::clock::{SharedClock, Timestamp};
use crate::platform::tokens::{HeldToken, HeldTokens, NoToken, Token, Wanted};
use crate::seal;
use crate::session::{IdpTokens, OpenSession, SessionId, Sessions, StoreDown};

/// A token that lasts no longer is renewed.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

/// How long a token is used whose end the provider does not tell.
const UNTOLD: Duration = Duration::from_mins(5);

/// How long one node has for a renewal, and how often the others look whether it is done.
const RENEWAL: Duration = Duration::from_secs(15);
/// Within that, so that nobody else begins meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(150);
const LOOKS: usize = 40;

/// How often, and how long apart, newer tokens are put into a store that does not answer.
const KEEP_TRIES: usize = 3;
const KEEP_AGAIN: Duration = Duration::from_millis(300);

/// The longest token that is handed on, octets: servers take heads of about 8 KiB.
const LONGEST: usize = 6 * 1024;

/// The access tokens of the sessions in use.
pub struct AccessTokens {
    providers: Vec<Arc<dyn IdentityProvider>>,
    sessions: Arc<Sessions>,
    held: HeldTokens,
    clock: SharedClock,
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessTokens(…)")
    }
}

/// Why a session's access token is not known.
#[derive(Debug, thiserror::Error)]
enum NotKnown {
    #[error(transparent)]
    Store(#[from] StoreDown),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("another node does not come to an end with renewing")]
    Elsewhere,
    #[error("the provider does not answer in time")]
    TooLate,
}

impl AccessTokens {
    /// Of sessions that began at these providers.
    pub fn new(
        providers: Vec<Arc<dyn IdentityProvider>>,
        sessions: Arc<Sessions>,
        clock: SharedClock,
    ) -> Self {
        Self {
            providers,
            sessions,
            held: HeldTokens::new(Arc::clone(&clock)),
            clock,
        }
    }

    /// The session's token, if it is in hand; never waits. With it, whether it is time for another.
    pub fn ready(&self, open: &OpenSession) -> Option<(Arc<HeldToken>, bool)> {
        self.held.ready(open.key.as_str())
    }

    /// The session's token, renewed where it has to be; `id` is what the browser brought.
    pub async fn fetch(
        &self,
        id: &SessionId,
        open: &OpenSession,
        wanted: Wanted,
    ) -> Result<Arc<HeldToken>, NoToken> {
        let ask = || self.known(id, open);
        self.held.fetch(open.key.as_str(), wanted, ask).await
    }

    /// Gives up a token that the upstream did not take.
    pub fn give_up(&self, open: &OpenSession, refused: &HeldToken) {
        self.held.give_up(open.key.as_str(), refused);
    }

    async fn known(&self, id: &SessionId, open: &OpenSession) -> Result<Option<Token>, NotKnown> {
        let host = &open.record.host;
        let Some(tokens) = self.sessions.tokens(id, host).await? else {
            return Ok(None);
        };
        if let Some(token) = self.lasting(&tokens) {
            return Ok(Some(token));
        }
        let Some(refresh) = tokens.refresh_token.clone() else {
            return Ok(token_until(&tokens, self.clock.now()));
        };
        let Some(provider) = self.provider(open) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let lease = format!(
            "renewal-{}",
            seal::digest(refresh.expose_secret().as_bytes())
        );
        let until = now.plus(RENEWAL);
        if !self.sessions.consume_attempt(&lease, until).await? {
            return self.renewed_elsewhere(id, host, &refresh).await;
        }
        let renewed = tokio::time::timeout(
            ANSWER_WITHIN,
            provider.refresh(&refresh, open.record.identity.subject()),
        )
        .await;
        let renewed = renewed.map_err(|_| NotKnown::TooLate)??;
        if renewed.is_none()
            && let Some(now) = self.sessions.tokens(id, host).await?
            && is_another(&now, &refresh)
        {
            return Ok(token_until(&now, self.clock.now()));
        }
        let tokens = self.with(tokens, renewed);
        let is_kept = self.keep(id, host, &tokens).await;
        if !is_kept && let Err(error) = provider.revoke(&tokens).await {
            tracing::warn!(%error, "a refresh token of a session that is over was not given back");
        }
        Ok(token_until(&tokens, self.clock.now()).filter(|_| is_kept))
    }

    /// Keeps newer tokens; false where the session is over. The older ones are spent, so that a
    /// store that does not answer is asked again, and what came is used all the same.
    async fn keep(&self, id: &SessionId, host: &str, tokens: &IdpTokens) -> bool {
        for _ in 0..KEEP_TRIES {
            match self.sessions.keep_tokens(id, host, tokens).await {
                Ok(is_kept) => return is_kept,
                Err(error) => tracing::warn!(%error, "newer tokens of a session are not kept yet"),
            }
            tokio::time::sleep(KEEP_AGAIN).await;
        }
        true
    }

    fn provider(&self, open: &OpenSession) -> Option<&Arc<dyn IdentityProvider>> {
        let own = open.record.identity.provider()?;
        self.providers.iter().find(|one| one.id() == own)
    }

    /// What is in the tokens now; a refresh token that is taken no longer is not tried again.
    fn with(&self, mut tokens: IdpTokens, renewed: Option<Renewed>) -> IdpTokens {
        let Some(renewed) = renewed else {
            tokens.access_token = None;
            tokens.refresh_token = None;
            return tokens;
        };
        let now = self.clock.now();
        tokens.access_token = Some(renewed.access_token);
        tokens.access_until = Some(now.plus(renewed.life.unwrap_or(UNTOLD)));
        if renewed.refresh_token.is_some() {
            tokens.refresh_token = renewed.refresh_token;
        }
        tokens
    }

    async fn renewed_elsewhere(
        &self,
        id: &SessionId,
        host: &str,
        spent: &SecretString,
    ) -> Result<Option<Token>, NotKnown> {
        let mut last = None;
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(tokens) = self.sessions.tokens(id, host).await? else {
                return Ok(None);
            };
            if let Some(token) = self.lasting(&tokens) {
                return Ok(Some(token));
            }
            last = token_until(&tokens, self.clock.now());
            if is_another(&tokens, spent) {
                return Ok(last);
            }
        }
        last.map(Some).ok_or(NotKnown::Elsewhere)
    }

    fn lasting(&self, tokens: &IdpTokens) -> Option<Token> {
        token_until(tokens, self.clock.now()).filter(|token| token.life > RENEW_BEFORE)
    }
}

/// Whether the refresh token is not this one any more.
fn is_another(tokens: &IdpTokens, spent: &SecretString) -> bool {
    let spent = spent.expose_secret().as_bytes();
    let refresh = tokens.refresh_token.as_ref();
    refresh.is_none_or(|it| !seal::equal(it.expose_secret().as_bytes(), spent))
}

/// The access token, if it has not ended.
fn token_until(tokens: &IdpTokens, now: Timestamp) -> Option<Token> {
    let value = tokens.access_token.clone()?;
    if value.expose_secret().len() > LONGEST {
        tracing::warn!("an access token is too long to be handed on");
        return None;
    }
    let life = tokens.access_until.map_or(UNTOLD, |until| until.since(now));
    (!life.is_zero()).then_some(Token { value, life })
}
