//! The userinfo endpoint (OpenID Connect Core 1.0, section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::IdentityProvider;

/// `GET` or `POST /userinfo` with a bearer token (RFC 6750, section 2.1).
pub(super) async fn claims(
    State(provider): State<Arc<IdentityProvider>>,
    headers: HeaderMap,
) -> Response {
    let access =
        bearer(&headers).and_then(|token| provider.grants.access(token, provider.clock.now()));
    let Some(access) = access else {
        let challenge = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    };
    let claims = access.person.claims(&access.scopes);
    ([(CACHE_CONTROL, "no-store")], Json(claims)).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
