//! Ending sessions, for operators: somebody left, a device is lost, a password leaked.
//! `vestibule sessions end` speaks it.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::problem::ProblemDetails;
use crate::identity::{EmailAddress, Issuer, Subject, UserId};
use crate::login::{EndError, Login, Whom};

/// The routes, without the bearer token that the admin listener asks for.
pub fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route("/operator/v1/sessions/end", post(end))
        .with_state(login)
}

/// Why no session was ended.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// The body cannot be read.
    #[error("{0}")]
    Body(#[from] JsonRejection),
    /// It does not name exactly one person.
    #[error("name one: `user`, or `email`, or `issuer` and `subject`")]
    Whose,
    /// The address is none.
    #[error("the value of `email` is not valid: write it like `anna@example.com`")]
    Email,
    /// They did not, or not all, end.
    #[error(transparent)]
    Ending(#[from] EndError),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = match &self {
            Self::Body(rejection) => (rejection.status(), "unreadable"),
            Self::Whose | Self::Email => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Ending(EndError::NoSuchUser | EndError::NobodyLinked) => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            Self::Ending(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        ProblemDetails::of(&self, kind, "the operator API").into_response()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EndBody {
    user: Option<UserId>,
    email: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
}

impl EndBody {
    fn whom(self) -> Result<Whom, Problem> {
        match self {
            Self {
                user: Some(user),
                email: None,
                issuer: None,
                subject: None,
            } => Ok(Whom::User(user)),
            Self {
                user: None,
                email: Some(email),
                issuer: None,
                subject: None,
            } => EmailAddress::parse(&email)
                .map(Whom::Email)
                .map_err(|_| Problem::Email),
            Self {
                user: None,
                email: None,
                issuer: Some(issuer),
                subject: Some(subject),
            } => Ok(Whom::Identity(Issuer::new(issuer), Subject::new(subject))),
            _ => Err(Problem::Whose),
        }
    }
}

async fn end(
    State(login): State<Arc<Login>>,
    body: Result<Json<EndBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let ended = login.end_sessions(body?.0.whom()?).await?;
    Ok(Json(json!({ "ended": ended })).into_response())
}
