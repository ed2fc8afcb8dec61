//! The way in: faults first, then the tongue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::super::thingsboard::Fault;
use super::records::No;
use super::{State, Tongue, crud, tenant};

/// A request, taken apart.
pub struct Question {
    pub method: Method,
    /// Percent-decoded.
    pub path: Vec<String>,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Question {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

type All = (Tongue, Arc<Mutex<State>>);

pub fn router(tongue: Tongue, state: Arc<Mutex<State>>) -> Router {
    Router::new().fallback(answer).with_state((tongue, state))
}

async fn answer(Shared((tongue, all)): Shared<All>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let fault = {
        let mut state = all.lock().unwrap();
        state.asked.push(format!("{} {path}", parts.method));
        state.faults.strike(parts.method.as_str(), &path)
    };
    match fault {
        Some(Fault::LostBefore) => lose(),
        Some(Fault::Misled) => {
            return (StatusCode::NOT_FOUND, "<h1>404 Not Found</h1>").into_response();
        }
        Some(Fault::TooMany) => return refused(tongue, &No::TooMany),
        Some(Fault::Expired) => all.lock().unwrap().tokens.access.clear(),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::LostAfter) | None => {}
    }
    let query = parts.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes());
    let question = Question {
        method: parts.method,
        path: path.split('/').skip(1).map(decoded).collect(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answered = {
        let mut state = all.lock().unwrap();
        match tongue {
            Tongue::Crud => crud::answer(&mut state.records, &question),
            Tongue::Tenant => tenant::answer(&mut state, &question),
        }
    };
    if fault == Some(Fault::LostAfter) {
        lose();
    }
    match answered {
        Ok(Value::Null) => StatusCode::NO_CONTENT.into_response(),
        Ok(value) => axum::Json(value).into_response(),
        Err(no) => refused(tongue, &no),
    }
}

fn refused(tongue: Tongue, no: &No) -> Response {
    let (status, body) = match tongue {
        Tongue::Crud => crud::refusal(no),
        Tongue::Tenant => tenant::refusal(no),
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    if *no == No::TooMany {
        let headers = response.headers_mut();
        headers.insert("retry-after", "1".parse().unwrap());
    }
    response
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
