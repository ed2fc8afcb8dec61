//! The token endpoint: a code becomes an ID token and an access token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::IdentityProvider;
use super::grants::{ACCESS_TOKEN_LIVES, Authorization};
use super::parameters::Parameters;
use super::signing::{IdToken, SigningError, access_token_hash};
use crate::seal;

/// Why no token is given (RFC 6749, section 5.2).
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("a parameter is repeated or missing")]
    InvalidRequest,
    #[error("the client did not prove itself")]
    InvalidClient,
    #[error("only authorization_code is supported")]
    UnsupportedGrantType,
    #[error("the code is unknown, spent, expired, or was given for something else")]
    InvalidGrant,
    #[error("the ID token could not be signed")]
    NotSigned(#[from] SigningError),
}

impl TokenError {
    const fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::NotSigned(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        let body = Json(json!({ "error": code, "error_description": self.to_string() }));
        let answer = (status, [(CACHE_CONTROL, "no-store")], body);
        if matches!(self, Self::InvalidClient) {
            return ([(WWW_AUTHENTICATE, "Basic realm=\"token\"")], answer).into_response();
        }
        answer.into_response()
    }
}

/// `POST /token`.
pub(super) async fn exchange(
    State(provider): State<Arc<IdentityProvider>>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Response {
    match provider.exchange(&headers, &Parameters::parse(&body)) {
        Ok(tokens) => ([(CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
        Err(error) => error.into_response(),
    }
}

impl IdentityProvider {
    fn exchange(&self, headers: &HeaderMap, form: &Parameters) -> Result<Value, TokenError> {
        if form.repeats_any() {
            return Err(TokenError::InvalidRequest);
        }
        if !self.client.proves_itself(headers, form) {
            return Err(TokenError::InvalidClient);
        }
        match form.get("grant_type") {
            Some("authorization_code") => self.redeem(form),
            Some(_) => Err(TokenError::UnsupportedGrantType),
            None => Err(TokenError::InvalidRequest),
        }
    }

    fn redeem(&self, form: &Parameters) -> Result<Value, TokenError> {
        let code = form.get("code").ok_or(TokenError::InvalidRequest)?;
        let now = self.clock.now();
        let authorization = self
            .grants
            .redeem(code, now)
            .ok_or(TokenError::InvalidGrant)?;
        if !was_given_for(&authorization, form) {
            return Err(TokenError::InvalidGrant);
        }
        let access_token = self.grants.give_access(code, &authorization, now);
        let id_token = self.id_token(&authorization, &access_token)?;
        Ok(json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_LIVES.as_secs(),
            "scope": authorization.scopes.join(" "),
            "id_token": id_token,
        }))
    }

    fn id_token(
        &self,
        authorization: &Authorization,
        access_token: &str,
    ) -> Result<String, SigningError> {
        let now = self.clock.now();
        self.key.sign(&IdToken {
            iss: self.issuer.clone(),
            sub: authorization.session.person.subject.to_owned(),
            aud: self.client.id.clone(),
            exp: now.plus(ACCESS_TOKEN_LIVES).seconds(),
            iat: now.seconds(),
            auth_time: authorization.session.signed_in_at.seconds(),
            nonce: authorization.nonce.clone(),
            at_hash: access_token_hash(access_token),
            sid: authorization.session.sid.clone(),
        })
    }
}

/// Whether redirect URI and PKCE verifier are those of the authorization request (RFC 6749,
/// section 4.1.3; RFC 7636, section 4.6).
fn was_given_for(authorization: &Authorization, form: &Parameters) -> bool {
    let verifier = form.get("code_verifier").unwrap_or_default();
    let challenge = seal::digest(verifier.as_bytes());
    let same_address = form.get("redirect_uri") == Some(authorization.redirect_uri.as_str());
    same_address && seal::equal(challenge.as_bytes(), authorization.challenge.as_bytes())
}
