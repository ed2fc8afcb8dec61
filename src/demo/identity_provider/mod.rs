//! An OpenID provider in the small, so that the demo has somebody to log in with.
//!
//! It does what the specifications ask of the code flow: discovery, keys, PKCE (S256 only), codes
//! that are good once, ID tokens signed by ES256, userinfo, the `iss` answer parameter (RFC 9207)
//! and RP-initiated logout. There are no passwords: one picks whom to be. It is a neighbour of the
//! gateway, not a part of it, and runs nowhere but in the demo.

mod authorization;
mod client;
mod end_session;
mod expiring;
mod grants;
mod page;
mod parameters;
mod request;
mod signing;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

pub use client::Client;
pub use signing::SigningError;

use crate::clock::SharedClock;
use grants::Grants;
use signing::SigningKey;

/// The identity provider.
pub struct IdentityProvider {
    issuer: String,
    client: Client,
    key: SigningKey,
    grants: Grants,
    clock: SharedClock,
}

impl IdentityProvider {
    /// A provider with that issuer identifier (its own address, without a slash at the end) and
    /// one registered client. The signing key is fresh.
    pub fn new(issuer: String, client: Client, clock: SharedClock) -> Result<Self, SigningError> {
        let key = SigningKey::generate()?;
        Ok(Self {
            issuer,
            client,
            key,
            grants: Grants::new(),
            clock,
        })
    }

    /// Its endpoints.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(page::front))
            .route("/style.css", get(page::style))
            .route("/favicon.ico", get(StatusCode::NO_CONTENT))
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route(
                "/authorize",
                get(authorization::ask).post(authorization::choose),
            )
            .route("/token", post(token::exchange))
            .route("/userinfo", get(userinfo::claims).post(userinfo::claims))
            .route(
                "/end-session",
                get(end_session::by_link).post(end_session::by_form),
            )
            .layer(DefaultBodyLimit::max(64 * 1024))
            .with_state(Arc::new(self))
    }
}

/// OpenID Connect Discovery 1.0, section 3.
async fn discovery(State(provider): State<Arc<IdentityProvider>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "end_session_endpoint": at("/end-session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "select_account"],
        "scopes_supported": request::SCOPES,
        "claims_supported": [
            "sub", "auth_time", "sid", "name", "given_name", "family_name", "locale", "groups",
            "company", "organization_code", "email", "email_verified", "phone_number", "address",
        ],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
    }))
}

async fn keys(State(provider): State<Arc<IdentityProvider>>) -> Json<Value> {
    Json(json!(provider.key.key_set()))
}
