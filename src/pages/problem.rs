//! Errors for programs: problem details (RFC 9457).

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use serde::Serialize;

/// What went wrong, for a program to read. It names no person and no cause inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `about:blank`, unless `code` says more than the status.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status as a number.
    status: u16,
    /// A stable word to act on, such as `registration_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Where a person can go on, an absolute path or URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_at: Option<String>,
    /// The reference to quote; the same as in the log.
    reference: String,
}

impl Problem {
    /// A problem that the status alone describes.
    pub fn of(status: StatusCode, reference: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: None,
            continue_at: None,
            reference: reference.into(),
        }
    }

    /// Adds a stable word to act on.
    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// Adds where a person can go on.
    #[must_use]
    pub fn with_way_on(self, continue_at: impl Into<String>) -> Self {
        Self {
            continue_at: Some(continue_at.into()),
            ..self
        }
    }

    /// The answer, `application/problem+json`.
    pub fn into_response<B: From<Vec<u8>>>(self) -> Response<B> {
        // Text and numbers always serialise.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(B::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_where_to_go_on() {
        let problem = Problem::of(StatusCode::FORBIDDEN, "r-1")
            .with_code("registration_required")
            .with_way_on("/auth/register");
        let response: Response<Vec<u8>> = problem.into_response();
        assert_eq!(response.status(), 403);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Forbidden", "status": 403,
                "code": "registration_required", "continue_at": "/auth/register",
                "reference": "r-1",
            })
        );
    }
}
