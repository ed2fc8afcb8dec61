//! The way in: faults, authentication, and which part answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::faults::Fault;
use super::pages;
use super::refusal::Refusal;
use super::state::{State, now};
use super::{API_KEY, Asked};

type All = Arc<Mutex<State>>;

/// A request, taken apart.
pub struct Question {
    pub method: Method,
    /// Below `/api`, percent-decoded.
    pub path: Vec<String>,
    pub query: HashMap<String, String>,
    pub body: Value,
    /// Who asks; the user's id.
    pub who: Option<String>,
    /// Of which of their sessions their token is.
    pub session: Option<String>,
}

/// What is answered.
pub enum Answer {
    Json(Value),
    Text(String),
    Nothing,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Json(value) => axum::Json(value).into_response(),
            Self::Text(text) => text.into_response(),
            Self::Nothing => Body::empty().into_response(),
        }
    }
}

pub fn router(state: All) -> Router {
    Router::new().fallback(answer).with_state(state)
}

async fn answer(Shared(all): Shared<All>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let authorization = parts.headers.get("x-authorization");
    let authorization = authorization
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let path = parts.uri.path().to_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let fault = {
        let mut state = all.lock().unwrap();
        state.asked.push(Asked {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            authorization: authorization.clone(),
            headers: headers.collect(),
        });
        state.faults.strike(parts.method.as_str(), &path)
    };
    match fault {
        Some(Fault::LostBefore) => lose(),
        Some(Fault::Misled) => {
            return (StatusCode::NOT_FOUND, "<h1>404 Not Found</h1>").into_response();
        }
        Some(Fault::TooMany) => return Refusal::busy().into_response(),
        Some(Fault::Expired) => all.lock().unwrap().expire_tokens(),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::LostAfter) | None => {}
    }
    if let Some(answered) = pages::answer(&mut parts, &all).await {
        return answered;
    }
    let query = parts.uri.query().unwrap_or_default();
    let question = Question {
        method: parts.method,
        path: path.split('/').skip(1).map(decoded).collect(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        who: None,
        session: None,
    };
    let answered = carry_out(&mut all.lock().unwrap(), question, authorization.as_deref());
    if fault == Some(Fault::LostAfter) {
        lose();
    }
    answered.into_response()
}

/// Breaks the connection.
fn lose() {
    std::panic::resume_unwind(Box::new("lost"));
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

fn carry_out(
    state: &mut State,
    mut question: Question,
    authorization: Option<&str>,
) -> Result<Answer, Refusal> {
    let path = question.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let whole = &path;
    let Some(path) = whole.strip_prefix(&["api"]) else {
        return Err(Refusal::no_path(whole));
    };
    if let Some(answered) = state.account_question(path, &question) {
        return answered;
    }
    let who = authenticated(state, authorization)?;
    let authority = state.users[&who].record["authority"].clone();
    question.who = Some(who);
    let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
    let token = token.and_then(|token| state.tokens.get(token));
    question.session = token.map(|token| token.session.clone());
    if authority != "TENANT_ADMIN" {
        return state.own_question(path, &question);
    }
    state
        .own_account_question(path, &question)
        .or_else(|| state.people_question(path, &question))
        .or_else(|| state.entity_question(path, &question))
        .or_else(|| state.group_question(path, &question))
        .unwrap_or_else(|| Err(Refusal::no_path(whole)))
}

fn authenticated(state: &State, authorization: Option<&str>) -> Result<String, Refusal> {
    let none = || Refusal::unauthorized("Authentication failed");
    let refused = || Refusal::unauthorized("Invalid username or password");
    let authorization = authorization.ok_or_else(none)?;
    if let Some(key) = authorization.strip_prefix("ApiKey ") {
        let is_right = key == API_KEY && state.is_at_least(4, 3);
        let administrator = state.administrator();
        return is_right.then_some(administrator).ok_or_else(refused);
    }
    let token = authorization.strip_prefix("Bearer ").ok_or_else(refused)?;
    state.bearer(token)
}

impl State {
    /// Whose access token this is.
    pub fn bearer(&self, token: &str) -> Result<String, Refusal> {
        let refused = || Refusal::unauthorized("Authentication failed");
        let token = self.tokens.get(token).filter(|token| !token.is_refresh);
        let token = token.ok_or_else(refused)?;
        if token.expires <= now() || self.is_outdated(token) {
            return Err(Refusal::expired());
        }
        let is_known = self.users.contains_key(&token.user);
        is_known.then(|| token.user.clone()).ok_or_else(refused)
    }
}
