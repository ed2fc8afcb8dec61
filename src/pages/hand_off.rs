//! Signs ThingsBoard's own pages in: they take tokens from where they keep them in the browser, so
//! that a page of ours puts them there and leads on. And what these pages then ask of ThingsBoard's
//! login, answered in its place and in its shapes.
//!
//! What is handed over is an access token of the session's user. The refresh token beside it is a
//! mere mark that says how long the session can last: whoever has it has nothing, and a new access
//! token is made for the session alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Pages;
use super::form_token::check_origin;
use super::stop::{self, Stop, with_cookies};
use super::views::HandOffPage;
use super::visit::Visit;
use super::way_back;
use crate::access::{RequestKind, ReturnTo, duty_of};
use crate::clock::Timestamp;
use crate::login::{LoginError, Retry};
use crate::onboarding::TurnedAway;
use crate::paths;
use crate::platform::UserTokens;
use crate::platform::tokens::{HeldToken, NoToken, Wanted};
use crate::policy::duties::Duty;
use crate::seal;
use crate::session::{OpenSession, SessionStanding, cookie};

/// The key of a query by which ThingsBoard's login page says where one wanted to go.
const PREVIOUS: &str = "prevUri";

/// Its login page: no place to come back to for somebody who is signed in.
const ITS_LOGIN: &str = "/login";

/// For how long somebody who signed out there is asked anew who they are.
const ASKED_ANEW_FOR: Duration = Duration::from_mins(10);

/// Its numbers for errors (`ThingsboardErrorCode`).
const AUTHENTICATION: u16 = 10;
const GENERAL: u16 = 2;

/// The page that hands tokens over.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.hand_over(&visit).await;
    pages.answer(&visit, outcome)
}

/// A new token (`POST /api/auth/token`), for as long as the session lives.
pub async fn token(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let Some(tokens) = &pages.parts.user_tokens else {
        return pages.stopped(&visit, Stop::NotFound);
    };
    match pages.new_pair(tokens, &visit).await {
        Ok(pair) => json_answer(StatusCode::OK, &pair),
        Err((status, number)) => json_answer(status, &refusal(status, number)),
    }
}

/// The ways in that ThingsBoard's login page shows (`POST /api/noauth/oauth2Clients`): ours.
pub async fn ways(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    if pages.parts.user_tokens.is_none() {
        return pages.stopped(&visit, Stop::NotFound);
    }
    let policy = pages.parts.policy.current();
    let form = policy.forms.of(&visit.client.host);
    let ours = json!([{ "name": form.brand.name, "icon": "login", "url": paths::HAND_OFF }]);
    json_answer(StatusCode::OK, &ours)
}

/// The pages sign out (`POST /api/auth/logout`): the session ends.
pub async fn log_out(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    if pages.parts.user_tokens.is_none() {
        return pages.stopped(&visit, Stop::NotFound);
    }
    match pages.end_session(&visit).await {
        Ok(response) => response,
        Err(status) => json_answer(status, &refusal(status, GENERAL)),
    }
}

impl Pages {
    async fn hand_over(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let Some(tokens) = &self.parts.user_tokens else {
            return Err(Stop::NotFound);
        };
        if visit.client.kind != RequestKind::Page {
            return Err(Stop::NotFound);
        }
        let to = wanted(visit);
        let open = self.live(visit, &to).await?;
        if let Some(duty) = self.duty(visit, &open, true) {
            return Err(Stop::GoTo(way_back::page_link(page_of(duty), &to)));
        }
        let held = fetch(tokens, &open).await.map_err(|why| match why {
            NoToken::Refused => Stop::Login(LoginError::TurnedAway {
                reason: TurnedAway::Disabled,
                retry: Retry {
                    provider: None,
                    return_to: to.clone(),
                },
            }),
            NoToken::Down => Stop::PlatformDown,
        })?;
        let page = self.hand_off_page(visit, &open, (&held, &to));
        let response = stop::show(StatusCode::OK, &page)?;
        Ok(with_cookies(response, &[cookie::handed_cookie(&open.key)]))
    }

    fn hand_off_page(
        &self,
        visit: &Visit,
        open: &OpenSession,
        (held, to): (&HeldToken, &ReturnTo),
    ) -> HandOffPage {
        let (now, ends_at) = (self.parts.clock.now(), open.record.ends_at);
        HandOffPage {
            frame: self.titled(visit, "hand-off-title"),
            to: to.as_str().to_owned(),
            token: held.value().expose_secret().to_owned(),
            life: held.life().as_millis(),
            renewal: renewal(now, ends_at),
            renewal_life: ends_at.since(now).as_millis(),
        }
    }

    /// What has to be done before the platform's pages are handed anything.
    fn duty(&self, visit: &Visit, open: &OpenSession, is_page: bool) -> Option<Duty> {
        let policy = self.parts.policy.current();
        duty_of(open, &policy, (&visit.client.host, is_page))
    }

    async fn new_pair(
        &self,
        tokens: &UserTokens,
        visit: &Visit,
    ) -> Result<Value, (StatusCode, u16)> {
        let out = (StatusCode::UNAUTHORIZED, AUTHENTICATION);
        check_origin(&visit.headers, &visit.client.own_origin).map_err(|_| out)?;
        let open = match self.standing(visit).await {
            SessionStanding::Live(open) | SessionStanding::NeedsRefresh(open) => open,
            SessionStanding::StoreDown => {
                return Err((StatusCode::SERVICE_UNAVAILABLE, GENERAL));
            }
            _ => return Err(out),
        };
        if self.duty(visit, &open, false).is_some() {
            return Err(out);
        }
        match fetch(tokens, &open).await {
            Ok(held) => Ok(json!({
                "token": held.value().expose_secret(),
                "refreshToken": renewal(self.parts.clock.now(), open.record.ends_at),
            })),
            Err(NoToken::Refused) => Err(out),
            Err(NoToken::Down) => Err((StatusCode::SERVICE_UNAVAILABLE, GENERAL)),
        }
    }

    async fn end_session(&self, visit: &Visit) -> Result<Response<Body>, StatusCode> {
        check_origin(&visit.headers, &visit.client.own_origin)
            .map_err(|_| StatusCode::FORBIDDEN)?;
        let open = match self.standing(visit).await {
            SessionStanding::Live(open) | SessionStanding::NeedsRefresh(open) => Some(open),
            _ => None,
        };
        let ending = self.parts.login.log_out(&visit.client, &visit.cookies);
        let ended = ending.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if let Some(open) = open {
            self.revoke_token(&open, shown(visit));
        }
        let left = cookie::set_cookie(cookie::LEFT_COOKIE, "1", Some(ASKED_ANEW_FOR));
        let response = with_cookies(Response::new(Body::empty()), &ended.set_cookies);
        Ok(with_cookies(response, &[left]))
    }

    /// Beside the answer to the browser: nobody waits for it.
    pub(super) fn revoke_token(&self, open: &OpenSession, shown: Option<SecretString>) {
        if let Some(tokens) = self.parts.user_tokens.clone() {
            let session = open.key.clone();
            tokio::spawn(async move { tokens.revoke(session.as_str(), shown).await });
        }
    }
}

async fn fetch(tokens: &UserTokens, open: &OpenSession) -> Result<Arc<HeldToken>, NoToken> {
    let account = open.record.account().ok_or(NoToken::Refused)?;
    tokens.fetch(open.key.as_str(), account, Wanted::New).await
}

/// Where to go afterwards, as our own pages say it, or ThingsBoard's login page.
fn wanted(visit: &Visit) -> ReturnTo {
    let query = visit.here.split_once('?').map_or("", |(_, query)| query);
    let previous = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == PREVIOUS);
    let wanted = previous.map_or_else(
        || way_back::asked(visit),
        |(_, place)| ReturnTo::parse(&place, &visit.client.own_origin),
    );
    let path = wanted.as_str().split(['?', '#']).next();
    if path == Some(ITS_LOGIN) {
        return ReturnTo::home();
    }
    wanted
}

fn page_of(duty: Duty) -> &'static str {
    match duty {
        Duty::Accept => paths::ACCEPT,
        Duty::Verify => paths::VERIFY,
    }
}

/// The token that the browser shows with its request.
fn shown(visit: &Visit) -> Option<SecretString> {
    let field = visit.headers.get("x-authorization")?.to_str().ok()?;
    field.strip_prefix("Bearer ").map(SecretString::from)
}

/// What stands where ThingsBoard's pages expect a refresh token: a JWT without a signature (RFC 7519,
/// section 6), for they read its span.
fn renewal(now: Timestamp, ends_at: Timestamp) -> String {
    let part = |value: Value| seal::to_base64(value.to_string().as_bytes());
    let claims = json!({ "iat": now.seconds(), "exp": ends_at.seconds() });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

fn refusal(status: StatusCode, number: u16) -> Value {
    let message = status.canonical_reason().unwrap_or("Error");
    json!({ "status": status.as_u16(), "message": message, "errorCode": number })
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
