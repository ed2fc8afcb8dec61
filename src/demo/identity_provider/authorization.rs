//! The authorization endpoint: who are you, and may the application know?

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use url::Url;

use super::IdentityProvider;
use super::grants::{Authorization, Session};
use super::page;
use super::parameters::Parameters;
use super::request::{AnswerTo, AuthorizationRequest, Prompt, Refused, RequestError};
use crate::clock::Timestamp;
use crate::demo::people;

const COOKIE_NAME: &str = "lighthouse_session";

/// `GET /authorize`: straight back when it is known who it is, else the page with the people.
pub(super) async fn ask(
    State(provider): State<Arc<IdentityProvider>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match provider.judge(&query) {
        Ok(request) => request,
        Err(refused) => return provider.refuse(refused),
    };
    let session = session_cookie(&headers)
        .and_then(|secret| provider.grants.session(secret, provider.clock.now()));
    match known(&request, session, provider.clock.now()) {
        Some(session) => provider.answer(&request, session),
        None if request.prompt == Prompt::None => provider.refuse(Refused::Client(
            request.answer_to,
            RequestError::LoginRequired,
        )),
        None => page::people(&query, &request.answer_to.redirect_uri),
    }
}

/// `POST /authorize`: somebody was chosen, or one went back. The query is that of the request.
pub(super) async fn choose(
    State(provider): State<Arc<IdentityProvider>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> Response {
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin")
    {
        return page::problem(
            StatusCode::FORBIDDEN,
            "That form was not sent from this page.",
        );
    }
    let query = query.unwrap_or_default();
    let request = match provider.judge(&query) {
        Ok(request) => request,
        Err(refused) => return provider.refuse(refused),
    };
    let form = Parameters::parse(&body);
    if form.get("back").is_some() {
        return provider.refuse(Refused::Client(request.answer_to, RequestError::WentBack));
    }
    let Some(person) = form.get("person").and_then(people::find) else {
        return page::people(&query, &request.answer_to.redirect_uri);
    };
    let (secret, session) = provider.grants.sign_in(person, provider.clock.now());
    let cookie = format!("{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Lax");
    ([(SET_COOKIE, cookie)], provider.answer(&request, session)).into_response()
}

/// The session that may answer without a question.
fn known(
    request: &AuthorizationRequest,
    session: Option<Session>,
    now: Timestamp,
) -> Option<Session> {
    let fresh_enough = |session: &Session| {
        request
            .max_age
            .is_none_or(|max_age| now.since(session.signed_in_at) <= max_age)
    };
    session.filter(|session| request.prompt != Prompt::Choose && fresh_enough(session))
}

impl IdentityProvider {
    fn judge(&self, query: &str) -> Result<AuthorizationRequest, Refused> {
        AuthorizationRequest::judge(&Parameters::parse(query.as_bytes()), &self.client)
    }

    fn answer(&self, request: &AuthorizationRequest, session: Session) -> Response {
        let authorization = Authorization {
            session,
            redirect_uri: request.answer_to.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
            scopes: request.scopes.clone(),
        };
        let code = self.grants.authorize(authorization, self.clock.now());
        self.redirect(&request.answer_to, &[("code", &code)])
    }

    fn refuse(&self, refused: Refused) -> Response {
        match refused {
            Refused::Here(problem) => page::problem(StatusCode::BAD_REQUEST, problem),
            Refused::Client(answer_to, error) => {
                let description = error.to_string();
                let answer = [("error", error.code()), ("error_description", &description)];
                self.redirect(&answer_to, &answer)
            }
        }
    }

    /// Sends the browser back, with state and issuer (RFC 9207).
    fn redirect(&self, answer_to: &AnswerTo, answer: &[(&str, &str)]) -> Response {
        let Ok(mut location) = Url::parse(&answer_to.redirect_uri) else {
            return page::problem(StatusCode::BAD_REQUEST, "The registered address is broken.");
        };
        location
            .query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(answer_to.state.as_deref().map(|state| ("state", state)))
            .append_pair("iss", &self.issuer);
        Redirect::to(location.as_str()).into_response()
    }
}

/// The session secret in the request's cookies, if any.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split("; "))
        .find_map(|pair| pair.strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// The header value that removes the session cookie.
pub(super) fn cookie_removal() -> String {
    format!("{COOKIE_NAME}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}
