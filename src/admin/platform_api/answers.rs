//! The answers of the builtin platform's API.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{Answer, Problem};
use crate::platform::{Made, Undone};

/// A list.
pub(super) fn list<T: Serialize>(items: T) -> Response {
    Json(json!({ "items": items })).into_response()
}

/// A record, or 404.
pub(super) fn found<T: Serialize>(record: Option<T>) -> Answer<Response> {
    let record = record.ok_or(Problem::NotFound)?;
    Ok(Json(record).into_response())
}

/// 201 for what was made, 200 for what was there by the same mark.
pub(super) fn made(id: &str, created: bool) -> Response {
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Json(json!({ "id": id, "created": created }))).into_response()
}

/// What came of making something.
pub(super) fn outcome<T>(thing: &Made<T>, id: impl Fn(&T) -> String) -> Response {
    match thing {
        Made::Created(thing) => made(&id(thing), true),
        Made::Found(thing) => made(&id(thing), false),
    }
}

/// What came of removing something.
pub(super) fn undone(outcome: Undone) -> Response {
    let word = match outcome {
        Undone::Removed => "removed",
        Undone::Absent => "absent",
        Undone::Kept => "kept",
    };
    Json(json!({ "outcome": word })).into_response()
}
