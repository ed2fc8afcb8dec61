//! What waits for delivery, for operators: letters that did not arrive, and another try.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::problem::ProblemDetails;
use crate::database::DatabaseError;
use crate::mail::queue;
use crate::outbox::{Entry, Kind, Outbox};

/// How many are listed at most.
const LISTED: u32 = 500;

/// The routes, without the bearer token that the admin listener asks for. `letters` and `webhooks`
/// are two lists with the same routes.
pub fn router(outbox: Arc<Outbox>) -> Router {
    Router::new()
        .route("/outbox/v1/{kind}", get(list))
        .route("/outbox/v1/{kind}/retry", post(retry_all))
        .route("/outbox/v1/{kind}/{id}/retry", post(retry_one))
        .with_state(outbox)
}

async fn list(State(outbox): State<Arc<Outbox>>, Path(kind): Path<String>) -> Response {
    let Some(kind) = kind_of(&kind) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match outbox.entries(kind, LISTED).await {
        Ok(entries) => {
            let items: Vec<Value> = entries.iter().map(shown).collect();
            Json(json!({ "items": items })).into_response()
        }
        Err(error) => down(&error),
    }
}

async fn retry_all(State(outbox): State<Arc<Outbox>>, Path(kind): Path<String>) -> Response {
    retry(&outbox, &kind, None).await
}

async fn retry_one(
    State(outbox): State<Arc<Outbox>>,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    retry(&outbox, &kind, Some(&id)).await
}

async fn retry(outbox: &Outbox, kind: &str, id: Option<&str>) -> Response {
    let Some(kind) = kind_of(kind) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match outbox.retry(kind, id).await {
        Ok(0) if id.is_some() => no_such(kind),
        Ok(retried) => Json(json!({ "retried": retried })).into_response(),
        Err(error) => down(&error),
    }
}

fn kind_of(list: &str) -> Option<Kind> {
    match list {
        "letters" => Some(Kind::Letter),
        "webhooks" => Some(Kind::Webhook),
        "attributes" => Some(Kind::Attributes),
        _ => None,
    }
}

/// Of an address, enough to recognise it by; of what a letter says, nothing.
fn shown(entry: &Entry) -> Value {
    let letter = entry.content.as_deref().and_then(queue::opened);
    json!({
        "id": entry.id,
        "name": entry.name,
        "state": if entry.has_failed { "failed" } else { "waiting" },
        "to": letter.map(|letter| letter.to.masked()),
        "attempts": entry.attempts,
        "reason": entry.reason,
        "created_at": entry.created_at,
        "next_try_at": (!entry.has_failed).then_some(entry.next_try_at),
        "can_retry": entry.has_failed && entry.content.is_some(),
    })
}

/// The answer where one was meant and none is tried again.
fn no_such(kind: Kind) -> Response {
    let name = match kind {
        Kind::Letter => "letter",
        Kind::Webhook => "webhook",
        Kind::Attributes => "write",
    };
    let details = ProblemDetails {
        status: StatusCode::NOT_FOUND,
        detail: format!("there is no such {name} among those that were given up"),
        code: Some("not_found"),
        ..ProblemDetails::default()
    };
    details.into_response()
}

fn down(error: &DatabaseError) -> Response {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "the outbox could not be read");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
