//! Errors as ThingsBoard answers them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error body and its status.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    fn new(status: u16, code: u16, message: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            body: json!({
                "status": status, "message": message, "errorCode": code,
                "timestamp": 1_763_000_000_000_i64,
            }),
        }
    }

    pub fn bad(message: &str) -> Self {
        Self::new(400, 31, message)
    }

    pub fn not_found(message: &str) -> Self {
        Self::new(404, 32, message)
    }

    pub fn nothing() -> Self {
        Self::not_found("Requested item wasn't found!")
    }

    /// There is no such path.
    pub fn no_path(path: &[&str]) -> Self {
        Self::not_found(&format!("No static resource {}.", path.join("/")))
    }

    /// There is no entity of this kind with this id.
    pub fn none(kind: &str, id: &str) -> Self {
        Self::not_found(&format!("{kind} with id [{id}] is not found"))
    }

    /// What ThingsBoard does not expect.
    pub fn broken(message: &str) -> Self {
        Self::new(500, 2, message)
    }

    pub fn database() -> Self {
        Self::new(500, 46, "Database error")
    }

    /// Telemetry controllers refuse with a JSON text and no number.
    pub fn of_attributes(status: u16, message: &str) -> Self {
        Self {
            body: json!(message),
            ..Self::new(status, 0, message)
        }
    }

    pub fn forbidden() -> Self {
        let message = "You don't have permission to perform this operation!";
        Self::new(403, 20, message)
    }

    pub fn unauthorized(message: &str) -> Self {
        Self::new(401, 10, message)
    }

    pub fn expired() -> Self {
        Self::new(401, 11, "Token has expired")
    }

    pub fn busy() -> Self {
        Self::new(429, 33, "Too many requests for current tenant!")
    }

    pub fn conflict(kind: &str) -> Self {
        Self::new(
            409,
            35,
            &format!("{kind} was already changed by someone else"),
        )
    }

    pub fn full(kind: &str, limit: usize) -> Self {
        let message = format!("{}s limit reached", kind.to_lowercase());
        let mut refusal = Self::new(403, 41, &message);
        refusal.body["entityType"] = json!(kind);
        refusal.body["limit"] = json!(limit);
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = "application/json;charset=ISO-8859-1";
        let body = in_latin_1(&self.body.to_string());
        (self.status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

/// As a servlet's writer encodes what nobody gave an encoding for.
fn in_latin_1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
        .collect()
}
