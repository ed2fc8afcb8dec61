//! What operators do about registrations and invitations, behind the admin listener's bearer
//! tokens; `vestibule registrations` and `vestibule invitations` speak it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::problem::ProblemDetails;
use crate::identity::{CustomerId, EmailAddress};
use crate::language::Language;
use crate::onboarding::{
    Decided, Decision, InvitationId, InviteError, NewInvite, Onboarding, OnboardingError,
    RegistrationId, State as RegistrationState,
};

type Desk = State<Arc<Onboarding>>;
type Answer = Result<Response, Problem>;

const USUAL_PART: u32 = 100;
const MOST_IN_A_PART: u32 = 1000;
const USUAL_DAYS: u64 = 14;
const MOST_DAYS: u64 = 365;

/// The routes, without the bearer token that the admin listener asks for.
pub fn router(onboarding: Arc<Onboarding>) -> Router {
    Router::new()
        .route("/operator/v1/registrations", get(registrations))
        .route("/operator/v1/registrations/{id}", get(registration))
        .route("/operator/v1/registrations/{id}/approve", post(approve))
        .route("/operator/v1/registrations/{id}/reject", post(reject))
        .route("/operator/v1/registrations/{id}/retry", post(retry))
        .route("/operator/v1/invitations", get(invitations).post(invite))
        .route("/operator/v1/invitations/{id}", delete(revoke))
        .with_state(onboarding)
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A value is not one that we take.
    #[error("the value of `{0}` is not valid: {1}")]
    Field(&'static str, String),
    /// It was answered before.
    #[error("the registration was answered before: {}", .0.as_str())]
    Answered(Decision),
    /// It does not wait for anybody's word.
    #[error("the registration does not wait for approval")]
    NotWaiting,
    /// It did not fail, or cannot start over.
    #[error(
        "only what failed is tried again, unless the identity has another registration or \
         account meanwhile, or somebody who was asked did not agree"
    )]
    NotFailed,
    /// The invitation cannot be used any more.
    #[error("the invitation cannot be used any more, or there is none")]
    Spent,
    /// Nobody was invited.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The body or the query cannot be read.
    #[error("{0}")]
    Body(#[from] JsonRejection),
    /// The query cannot be read.
    #[error("{0}")]
    Query(#[from] QueryRejection),
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

impl Problem {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Field(..) => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Answered(_) => (StatusCode::CONFLICT, "answered"),
            Self::NotWaiting => (StatusCode::CONFLICT, "not_waiting"),
            Self::NotFailed => (StatusCode::CONFLICT, "not_failed"),
            Self::Spent => (StatusCode::CONFLICT, "spent"),
            Self::Body(rejection) => (rejection.status(), "unreadable"),
            Self::Query(rejection) => (rejection.status(), "unreadable"),
            Self::Down(_) | Self::Invite(InviteError::Down(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Invite(InviteError::Mail(_)) => (StatusCode::BAD_GATEWAY, "mail"),
            Self::Invite(InviteError::NoSuchCustomer) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "no_such_customer")
            }
            Self::Invite(InviteError::WhichHost) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "which_host")
            }
            Self::Invite(InviteError::HasAccount) => (StatusCode::CONFLICT, "has_account"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = ProblemDetails::of(&self, self.kind(), "the operator API");
        details.into_response()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    limit: Option<u32>,
}

impl ListQuery {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(USUAL_PART).clamp(1, MOST_IN_A_PART)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    email: String,
    customer: String,
    host: Option<String>,
    language: Option<Language>,
    #[serde(default)]
    administrator: bool,
    valid_days: Option<u64>,
}

impl InviteBody {
    fn check(self) -> Result<NewInvite, Problem> {
        let days = self.valid_days.unwrap_or(USUAL_DAYS);
        if !(1..=MOST_DAYS).contains(&days) {
            let allowed = format!("write a number from 1 to {MOST_DAYS}");
            return Err(Problem::Field("valid_days", allowed));
        }
        let email = EmailAddress::parse(&self.email);
        let no_email = |_| Problem::Field("email", "write it like `anna@example.com`".to_owned());
        Ok(NewInvite {
            email: email.map_err(no_email)?,
            customer: CustomerId::new(self.customer),
            host: self.host,
            language: self.language.unwrap_or(Language::En),
            administrator: self.administrator,
            valid_for: Duration::from_hours(24 * days),
        })
    }
}

/// The answer to a word that is no state.
fn no_state() -> Problem {
    let states = RegistrationState::ALL.map(|state| format!("`{}`", state.as_str()));
    Problem::Field("state", format!("there are {}", states.join(", ")))
}

async fn registrations(
    State(desk): Desk,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let state = match &query.state {
        Some(word) => Some(RegistrationState::from_word(word).ok_or_else(no_state)?),
        None => None,
    };
    let items = desk.registrations(state, query.limit()).await?;
    Ok(Json(json!({ "items": items })).into_response())
}

async fn registration(State(desk): Desk, Path(id): Path<String>) -> Answer {
    let found = desk.registration(&RegistrationId::new(id)).await?;
    let found = found.ok_or(Problem::NotFound("registration"))?;
    Ok(Json(found).into_response())
}

async fn approve(State(desk): Desk, Path(id): Path<String>) -> Answer {
    decide(&desk, id, Decision::Approved).await
}

async fn reject(State(desk): Desk, Path(id): Path<String>) -> Answer {
    decide(&desk, id, Decision::Rejected).await
}

async fn decide(desk: &Onboarding, id: String, decision: Decision) -> Answer {
    let id = RegistrationId::new(id);
    let decided = desk.decide_by_operator(&id, decision).await?;
    match decided.ok_or(Problem::NotFound("registration"))? {
        Decided::Now => Ok(Json(json!({ "id": id, "decision": decision })).into_response()),
        Decided::Before(before) => Err(Problem::Answered(before)),
        Decided::NotWaiting => Err(Problem::NotWaiting),
    }
}

async fn retry(State(desk): Desk, Path(id): Path<String>) -> Answer {
    let id = RegistrationId::new(id);
    let retried = desk.retry(&id).await?;
    if !retried.ok_or(Problem::NotFound("registration"))? {
        return Err(Problem::NotFailed);
    }
    Ok(Json(json!({ "id": id, "state": RegistrationState::Provisioning })).into_response())
}

async fn invitations(State(desk): Desk, query: Result<Query<ListQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let items = desk.invitations(query.limit()).await?;
    Ok(Json(json!({ "items": items })).into_response())
}

async fn invite(State(desk): Desk, body: Result<Json<InviteBody>, JsonRejection>) -> Answer {
    let invited = desk.invite(&body?.0.check()?).await?;
    Ok((StatusCode::CREATED, Json(invited)).into_response())
}

async fn revoke(State(desk): Desk, Path(id): Path<String>) -> Answer {
    if desk.revoke_invitation(&InvitationId::new(id)).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::Spent)
    }
}
