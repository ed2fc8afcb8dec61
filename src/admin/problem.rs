//! What went wrong, for an operator's program: problem details (RFC 9457).

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The answer; what is not known of it is left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct ProblemDetails {
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// A sentence about this case.
    pub(super) detail: String,
    /// A stable word to act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    /// The field that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
}

impl ProblemDetails {
    /// What went wrong with a request to an API of this door; what is our own fault is logged.
    pub(super) fn of(
        error: &(dyn Error + 'static),
        (status, code): (StatusCode, &'static str),
        api: &'static str,
    ) -> Self {
        if status.is_server_error() {
            tracing::error!(error, "{api} could not answer");
        }
        Self {
            status,
            detail: error.to_string(),
            code: Some(code),
            field: None,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(flatten)]
    details: &'a ProblemDetails,
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let document = Json(Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            details: &self,
        });
        let media_type = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, media_type)], document).into_response()
    }
}
