//! What went wrong, as SCIM says it (RFC 7644, section 3.12).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::roster::RosterError;
use crate::session::StoreDown;
use crate::telemetry::with_causes;

/// The media type of all that is answered (RFC 7644, section 3.1).
pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScimProblem {
    /// It carries no token of a provider.
    #[error("this needs `Authorization: Bearer` with a token of [[admin.scim]]")]
    NotAllowed,
    /// There is no such thing.
    #[error("there is no such resource")]
    NotFound,
    /// It is there, but not for this.
    #[error("this is not what can be done here")]
    NotThisWay,
    /// It cannot be read.
    #[error("the request cannot be read: {0}")]
    Syntax(&'static str),
    /// The filter is not one that we take.
    #[error("filters are `userName`, `externalId` or `id` with `eq`, joined by `and`")]
    Filter,
    /// A value is not one that we take.
    #[error("{0}")]
    Value(&'static str),
    /// It leads nowhere.
    #[error("a change without a path needs an object, and a removal needs a path")]
    Target,
    /// Somebody else has that name or external id.
    #[error("another user has this userName or externalId")]
    Taken,
    /// It has changed meanwhile.
    #[error("the user has changed since it was read")]
    Outdated,
    /// The roster does not answer.
    #[error("the gateway cannot answer")]
    Roster(#[source] RosterError),
    /// Sessions could not be ended; the user is blocked nevertheless.
    #[error("the user is blocked, and sessions could not be ended: say it again")]
    Sessions(#[from] StoreDown),
}

impl From<RosterError> for ScimProblem {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Taken => Self::Taken,
            RosterError::Outdated => Self::Outdated,
            down @ RosterError::Down(_) => Self::Roster(down),
        }
    }
}

impl ScimProblem {
    fn kind(&self) -> (StatusCode, Option<&'static str>) {
        match self {
            Self::NotAllowed => (StatusCode::UNAUTHORIZED, None),
            Self::NotFound => (StatusCode::NOT_FOUND, None),
            Self::NotThisWay => (StatusCode::METHOD_NOT_ALLOWED, None),
            Self::Syntax(_) => (StatusCode::BAD_REQUEST, Some("invalidSyntax")),
            Self::Filter => (StatusCode::BAD_REQUEST, Some("invalidFilter")),
            Self::Value(_) => (StatusCode::BAD_REQUEST, Some("invalidValue")),
            Self::Target => (StatusCode::BAD_REQUEST, Some("noTarget")),
            Self::Taken => (StatusCode::CONFLICT, Some("uniqueness")),
            Self::Outdated => (StatusCode::PRECONDITION_FAILED, None),
            Self::Roster(_) | Self::Sessions(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        }
    }
}

impl IntoResponse for ScimProblem {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind();
        if status.is_server_error() {
            let error = with_causes(&self);
            tracing::error!(error, "the SCIM endpoint could not answer");
        }
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.as_u16().to_string(),
            "detail": self.to_string(),
        });
        if let (Some(kind), Value::Object(body)) = (kind, &mut body) {
            body.insert("scimType".to_owned(), json!(kind));
        }
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], Json(body)).into_response()
    }
}
