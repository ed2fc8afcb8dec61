//! The gateway's own authentication: an API key (from 4.3 on), or a login as the tenant's
//! administrator whose tokens are renewed before they expire.
//!
//! How long a token lives is read from it: operators change that while ThingsBoard runs.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Call, Client, hidden};
use super::trouble::{Refusal, Trouble};
use super::users::CUSTOMER_USER;
use crate::platform::ThingsBoardCredentials;
use crate::platform::tokens::Token;
use crate::seal;

/// Where a token does not say how long it lives.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);

/// How the gateway is let in.
pub(super) struct Session {
    credentials: ThingsBoardCredentials,
    /// Locked while a token is fetched, so that one is fetched at a time.
    held: Mutex<Option<Held>>,
}

/// Tokens in hand.
struct Held {
    authorization: HeaderValue,
    refresh: SecretString,
    renew_at: Instant,
}

/// A token pair as ThingsBoard answers it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenPair {
    token: String,
    refresh_token: Option<String>,
    scope: Option<String>,
}

/// What the adapter reads of a token. It is not verified: ThingsBoard does that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnverifiedClaims {
    user_id: Option<String>,
    customer_id: Option<String>,
    scopes: Option<Vec<String>>,
    enabled: Option<bool>,
    iat: Option<u64>,
    exp: Option<u64>,
}

impl TokenPair {
    /// Whether it opens anything: a second factor is not asked for before.
    pub(super) fn is_whole(&self) -> bool {
        self.scope.is_none()
    }

    /// The user whose token it is.
    pub(super) fn user(&self) -> Option<String> {
        claims(&self.token)?.user_id
    }

    /// The token alone, if it is one of this customer's user whom ThingsBoard lets in.
    pub(super) fn into_token_of(self, user: &str, customer: &str) -> Option<Token> {
        let claims = claims(&self.token)?;
        let is_theirs = claims.user_id.as_deref() == Some(user)
            && claims.customer_id.as_deref() == Some(customer)
            && claims
                .scopes
                .is_some_and(|scopes| scopes == [CUSTOMER_USER])
            && claims.enabled == Some(true);
        let life = self.life();
        (is_theirs && self.is_whole()).then(|| Token {
            value: self.token.into(),
            life,
        })
    }

    fn life(&self) -> Duration {
        let span = claims(&self.token).and_then(|claims| claims.exp?.checked_sub(claims.iat?));
        span.map_or(UNKNOWN_LIFE, Duration::from_secs)
    }
}

fn claims(token: &str) -> Option<UnverifiedClaims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&seal::from_base64(payload)?).ok()
}

impl Session {
    pub(super) fn new(credentials: ThingsBoardCredentials) -> Self {
        Self {
            credentials,
            held: Mutex::new(None),
        }
    }

    /// What a call is sent with.
    pub(super) async fn authorization(&self, client: &Client) -> Result<HeaderValue, Trouble> {
        let (user, password) = match &self.credentials {
            ThingsBoardCredentials::ApiKey(key) => {
                let text = format!("ApiKey {}", key.expose_secret());
                return hidden(&SecretString::from(text));
            }
            ThingsBoardCredentials::Login { user, password } => (user, password),
        };
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.renew_at > Instant::now()) {
            return Ok(held.authorization.clone());
        }
        let renewed = match held.take() {
            Some(old) => renew(client, &old.refresh).await?,
            None => None,
        };
        let pair = match renewed {
            Some(pair) => pair,
            None => log_in(client, user, password).await?,
        };
        let fresh = Held::of(&pair)?;
        Ok(held.insert(fresh).authorization.clone())
    }

    /// Whether a refusal may be about the token only.
    pub(super) fn can_begin_anew(&self, refusal: &Refusal) -> bool {
        refusal.status == StatusCode::UNAUTHORIZED
            && matches!(self.credentials, ThingsBoardCredentials::Login { .. })
    }

    /// Forgets a token that was refused, unless another call has replaced it meanwhile. One that
    /// has only expired is renewed.
    pub(super) async fn drop_token(&self, refused: &HeaderValue, is_expired: bool) {
        let mut held = self.held.lock().await;
        if held
            .as_ref()
            .is_some_and(|held| held.authorization == *refused)
        {
            match held.as_mut() {
                Some(held) if is_expired => held.renew_at = Instant::now(),
                _ => *held = None,
            }
        }
    }
}

impl Held {
    fn of(pair: &TokenPair) -> Result<Self, Trouble> {
        let authorization = SecretString::from(format!("Bearer {}", pair.token));
        Ok(Self {
            authorization: hidden(&authorization)?,
            refresh: SecretString::from(pair.refresh_token.clone().unwrap_or_default()),
            renew_at: Instant::now() + pair.life().mul_f32(0.8),
        })
    }
}

/// A new pair, none where the old one is too old for that.
async fn renew(client: &Client, refresh: &SecretString) -> Result<Option<TokenPair>, Trouble> {
    let call = Call::post(&["auth", "token"]).repeatable();
    let call = call.with(&json!({ "refreshToken": refresh.expose_secret() }));
    match client.ask_openly::<TokenPair>(call).await {
        Ok(pair) => Ok(pair.is_whole().then_some(pair)),
        Err(Trouble::Refused(refusal)) if refusal.status.is_client_error() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn log_in(
    client: &Client,
    user: &str,
    password: &SecretString,
) -> Result<TokenPair, Trouble> {
    let pair = token_pair(client, user, password).await?;
    if pair.is_whole() {
        return Ok(pair);
    }
    Err(Trouble::SecondFactor)
}

/// What a login gives, whoever it is.
pub(super) async fn token_pair(
    client: &Client,
    user: &str,
    password: &SecretString,
) -> Result<TokenPair, Trouble> {
    let body = json!({ "username": user, "password": password.expose_secret() });
    let call = Call::post(&["auth", "login"]).with(&body);
    client.ask_openly(call).await
}
