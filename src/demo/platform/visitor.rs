//! Who is there, by the gateway's identity headers.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use std::convert::Infallible;

/// Somebody whom the gateway let through.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// `X-Vestibule-User`.
    pub(super) user: String,
    /// `X-Vestibule-Customer`.
    pub(super) customer: Option<String>,
    /// `X-Vestibule-Email`.
    pub(super) email: Option<String>,
}

impl Visitor {
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| {
            let value = headers.get(name)?.as_bytes();
            Some(String::from_utf8_lossy(value).into_owned())
        };
        Some(Self {
            user: text("x-vestibule-user")?,
            customer: text("x-vestibule-customer"),
            email: text("x-vestibule-email"),
        })
    }

    /// What to call them: the address where there is one, else the user id.
    pub(super) fn label(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.user)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Self::from_headers(&parts.headers).ok_or_else(|| super::stranger(parts.uri.path()))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::from_headers(&parts.headers))
    }
}
