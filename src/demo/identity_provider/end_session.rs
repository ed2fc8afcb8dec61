//! The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::IdentityProvider;
use super::authorization::{cookie_removal, session_cookie};
use super::page;
use super::parameters::Parameters;
use super::signing::IdToken;

/// `GET /end-session`. With a good hint the session ends at once; without one the person is
/// asked, because anybody could have sent them here.
pub(super) async fn by_link(
    State(provider): State<Arc<IdentityProvider>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    provider.end_session(&Parameters::parse(query.as_bytes()), &headers)
}

/// `POST /end-session`: the same by form, or the person's own answer to the question.
pub(super) async fn by_form(
    State(provider): State<Arc<IdentityProvider>>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Response {
    let form = Parameters::parse(&body);
    let own_answer = headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin");
    if form.get("confirmed").is_some() && own_answer {
        if let Some(session) = session_cookie(&headers)
            .and_then(|secret| provider.grants.session(secret, provider.clock.now()))
        {
            provider.grants.sign_out(&session.sid);
        }
        return ([(SET_COOKIE, cookie_removal())], page::signed_out()).into_response();
    }
    provider.end_session(&form, &headers)
}

impl IdentityProvider {
    fn end_session(&self, parameters: &Parameters, headers: &HeaderMap) -> Response {
        if parameters.repeats_any() {
            return page::problem(StatusCode::BAD_REQUEST, "A parameter is repeated.");
        }
        let Some(hint) = self.hint(parameters) else {
            return page::ask_to_sign_out();
        };
        let answer = match self.way_back(parameters) {
            Ok(Some(location)) => Redirect::to(location.as_str()).into_response(),
            Ok(None) => page::signed_out(),
            Err(NotRegistered) => {
                let problem = "The address that you would be sent back to is not registered.";
                return page::problem(StatusCode::BAD_REQUEST, problem);
            }
        };
        let session = session_cookie(headers)
            .and_then(|secret| self.grants.session(secret, self.clock.now()));
        self.grants.sign_out(&hint.sid);
        if session.is_some_and(|session| session.sid != hint.sid) {
            return answer;
        }
        ([(SET_COOKIE, cookie_removal())], answer).into_response()
    }

    /// The ID token that was given as a hint, if this provider made it for this client.
    fn hint(&self, parameters: &Parameters) -> Option<IdToken> {
        let hint: IdToken = self
            .key
            .read(parameters.get("id_token_hint")?, &self.issuer)?;
        let client = parameters.get("client_id").unwrap_or(&hint.aud);
        (hint.aud == self.client.id && client == hint.aud).then_some(hint)
    }

    fn way_back(&self, parameters: &Parameters) -> Result<Option<Url>, NotRegistered> {
        let Some(asked) = parameters.get("post_logout_redirect_uri") else {
            return Ok(None);
        };
        let registered = &self.client.post_logout_redirect_uris;
        if !registered.iter().any(|address| address == asked) {
            return Err(NotRegistered);
        }
        let mut location = Url::parse(asked).map_err(|_| NotRegistered)?;
        if let Some(state) = parameters.get("state") {
            location.query_pairs_mut().append_pair("state", state);
        }
        Ok(Some(location))
    }
}

/// A way back that is not the client's own.
struct NotRegistered;
