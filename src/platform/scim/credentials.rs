//! The gateway's own authentication: a bearer token, a user with a password, or a token of OAuth 2.0
//! (client credentials, RFC 6749, section 4.4) that is fetched again before it expires.

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::trouble::{Refusal, Trouble};
use crate::outbound::{AnswerLimits, Outbound};
use crate::platform::{PlatformError, ScimCredentials};
use crate::seal;

/// Where a token server does not say how long a token lives.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);

/// How the gateway is let in.
pub(super) struct Access {
    credentials: ScimCredentials,
    outbound: Outbound,
    limits: AnswerLimits,
    /// Locked while a token is fetched, so that one is fetched at a time.
    held: Mutex<Option<Held>>,
}

/// A token in hand.
struct Held {
    authorization: HeaderValue,
    renew_at: Instant,
}

/// A token as token servers answer it (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl Access {
    pub(super) fn new(
        credentials: ScimCredentials,
        outbound: Outbound,
        limits: AnswerLimits,
    ) -> Self {
        Self {
            credentials,
            outbound,
            limits,
            held: Mutex::new(None),
        }
    }

    /// What a call is sent with.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, Trouble> {
        match &self.credentials {
            ScimCredentials::Token(token) => bearer(token),
            ScimCredentials::Login { user, password } => basic(user, password.expose_secret()),
            ScimCredentials::Client {
                token_url,
                id,
                secret,
                scope,
            } => {
                let client = basic(&form_encoded(id), &form_encoded(secret.expose_secret()))?;
                self.granted(token_url, client, scope.as_deref()).await
            }
        }
    }

    async fn granted(
        &self,
        token_url: &Url,
        client: HeaderValue,
        scope: Option<&str>,
    ) -> Result<HeaderValue, Trouble> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.renew_at > Instant::now()) {
            return Ok(held.authorization.clone());
        }
        let granted = self.fetch(token_url, client, scope).await?;
        let life = granted.expires_in.map_or(UNKNOWN_LIFE, Duration::from_secs);
        let fresh = Held {
            authorization: bearer(&SecretString::from(granted.access_token))?,
            renew_at: Instant::now() + life.mul_f32(0.8),
        };
        Ok(held.insert(fresh).authorization.clone())
    }

    async fn fetch(
        &self,
        token_url: &Url,
        client: HeaderValue,
        scope: Option<&str>,
    ) -> Result<Granted, Trouble> {
        let request = Request::post(token_url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, client)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(grant_request(scope).into_bytes())
            .map_err(|error| PlatformError::Garbled(Box::new(error)))?;
        let answer = self.outbound.call(request, self.limits).await?;
        match answer.status() {
            status if status.is_success() => serde_json::from_slice(answer.body())
                .map_err(|error| PlatformError::Garbled(Box::new(error)).into()),
            // Errors of the token endpoint (RFC 6749, section 5.2) are about the client.
            StatusCode::BAD_REQUEST => Err(PlatformError::NotAllowed.into()),
            _ => Err(Trouble::Refused(Refusal::of(&answer))),
        }
    }

    /// Whether a refusal may be about the token only; it is forgotten then.
    pub(super) async fn can_begin_anew(&self, refusal: &Refusal) -> bool {
        refusal.status == StatusCode::UNAUTHORIZED && self.held.lock().await.take().is_some()
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, Trouble> {
    hidden(&format!("Bearer {}", token.expose_secret()))
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, Trouble> {
    let pair = format!("{user}:{password}");
    let pair = seal::to_padded_base64(pair.as_bytes());
    hidden(&format!("Basic {pair}"))
}

fn grant_request(scope: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    form.finish()
}

/// As RFC 6749, section 2.3.1, wants ids and secrets of clients.
fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// A header value that is never printed.
fn hidden(text: &str) -> Result<HeaderValue, Trouble> {
    let mut value =
        HeaderValue::from_str(text).map_err(|error| PlatformError::Garbled(Box::new(error)))?;
    value.set_sensitive(true);
    Ok(value)
}
