//! The builtin platform's REST API, behind the admin listener's bearer tokens
//! (`docs/builtin-platform-api.md`).
//!
//! Bodies are JSON; lists are in the order of ids, a part at a time; a mark makes creation
//! find-or-create and lets what it made be taken back. Problems are RFC 9457 documents with a
//! `code` that programs can act on.

mod answers;
mod requests;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;

use super::problem::ProblemDetails;
use crate::identity::{CustomerId, EmailAddress, UserId};
use crate::platform::builtin::{Added, BuiltinPlatform};
use crate::platform::{
    Mark, PasswordCheck, Platform as _, PlatformError, ProfileChange, RoleChange,
};
use answers::{found, list, made, outcome, undone};
use requests::{
    CodeQuery, CustomerBody, LocationBody, NewPasswordBody, OfCustomer, PartnerBody, PasswordBody,
    UserBody, UserChange, UserQuery,
};

type Builtin = State<Arc<BuiltinPlatform>>;

/// The routes, without the bearer token that the admin listener asks for.
pub fn router(platform: Arc<BuiltinPlatform>) -> Router {
    Router::new()
        .route("/platform/v1/customers", get(customers).post(add_customer))
        .route("/platform/v1/customers/{id}", get(customer))
        .route(
            "/platform/v1/customers/{id}/administrators",
            get(administrators),
        )
        .route("/platform/v1/partners", get(partners).post(add_partner))
        .route("/platform/v1/locations", get(locations).post(add_location))
        .route("/platform/v1/users", get(users).post(add_user))
        .route("/platform/v1/users/{id}", get(user))
        .route(
            "/platform/v1/users/{id}",
            patch(change_user).delete(delete_user),
        )
        .route(
            "/platform/v1/users/{id}/profile",
            get(profile).patch(change_profile),
        )
        .route("/platform/v1/users/{id}/roles", patch(change_roles))
        .route("/platform/v1/users/{id}/password", put(set_password))
        .route("/platform/v1/password-checks", post(check_password))
        .route(
            "/platform/v1/marks/{mark}/customer",
            put(ensure_customer).delete(remove_customer),
        )
        .route(
            "/platform/v1/marks/{mark}/location",
            put(ensure_location).delete(remove_location),
        )
        .route(
            "/platform/v1/marks/{mark}/user",
            put(ensure_user).delete(remove_user),
        )
        .with_state(platform)
}

/// No routes: another installation holds the platform and serves its API.
pub fn none() -> Router {
    Router::new()
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// There is no such thing.
    #[error("there is no such thing")]
    NotFound,
    /// A value is not one that we take.
    #[error("the value of `{0}` is not valid")]
    Field(&'static str),
    /// The body or the query cannot be read.
    #[error("{0}")]
    Unreadable(#[from] JsonRejection),
    /// The query cannot be read.
    #[error("{0}")]
    Query(#[from] QueryRejection),
    /// The platform did not do it.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

type Answer<T> = Result<T, Problem>;

impl Problem {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Field(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Unreadable(rejection) => (rejection.status(), "unreadable"),
            Self::Query(rejection) => (rejection.status(), "unreadable"),
            Self::Platform(error) => match error {
                PlatformError::EmailTaken => (StatusCode::CONFLICT, "email_taken"),
                PlatformError::NameTaken => (StatusCode::CONFLICT, "name_taken"),
                PlatformError::CodeTaken => (StatusCode::CONFLICT, "code_taken"),
                PlatformError::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
                PlatformError::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, "busy"),
                PlatformError::Unreachable(_)
                | PlatformError::Full { .. }
                | PlatformError::NotSetUp { .. }
                | PlatformError::Garbled(_)
                | PlatformError::NotAllowed => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            },
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Field(field) => Some(field),
            Self::Platform(PlatformError::Refused { field }) => Some(field),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = ProblemDetails::of(&self, self.kind(), "the builtin platform's API");
        let field = self.field().map(str::to_owned);
        ProblemDetails { field, ..details }.into_response()
    }
}

fn mark(text: String) -> Answer<Mark> {
    let is_plain = (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    is_plain
        .then(|| Mark::new(text))
        .ok_or(Problem::Field("mark"))
}

async fn customers(
    State(platform): Builtin,
    query: Result<Query<CodeQuery>, QueryRejection>,
) -> Answer<Response> {
    let Query(query) = query?;
    if let Some(code) = &query.code {
        let found = platform.customer_record_by_code(code).await?;
        return Ok(list(found.into_iter().collect::<Vec<_>>()));
    }
    Ok(list(platform.customers(&query.part()).await?))
}

async fn customer(State(platform): Builtin, Path(id): Path<String>) -> Answer<Response> {
    found(platform.customer_record(&CustomerId::new(id)).await?)
}

async fn administrators(State(platform): Builtin, Path(id): Path<String>) -> Answer<Response> {
    let found = platform.administrator_records(&CustomerId::new(id)).await?;
    Ok(list(found))
}

async fn add_customer(
    State(platform): Builtin,
    body: Result<Json<CustomerBody>, JsonRejection>,
) -> Answer<Response> {
    let customer = body?.0.check()?;
    let made = platform.add_customer(&customer, None).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn ensure_customer(
    State(platform): Builtin,
    Path(text): Path<String>,
    body: Result<Json<CustomerBody>, JsonRejection>,
) -> Answer<Response> {
    let customer = body?.0.check()?;
    let made = platform.ensure_customer(&mark(text)?, &customer).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn remove_customer(State(platform): Builtin, Path(text): Path<String>) -> Answer<Response> {
    Ok(undone(platform.undo_customer(&mark(text)?).await?))
}

async fn partners(
    State(platform): Builtin,
    query: Result<Query<CodeQuery>, QueryRejection>,
) -> Answer<Response> {
    let Query(query) = query?;
    if let Some(code) = &query.code {
        let found = platform.partner_record_by_code(code).await?;
        return Ok(list(found.into_iter().collect::<Vec<_>>()));
    }
    Ok(list(platform.partners(&query.part()).await?))
}

async fn add_partner(
    State(platform): Builtin,
    body: Result<Json<PartnerBody>, JsonRejection>,
) -> Answer<Response> {
    let id = platform.add_partner(&body?.0.check()?).await?;
    Ok(made(id.as_str(), true))
}

async fn locations(
    State(platform): Builtin,
    query: Result<Query<OfCustomer>, QueryRejection>,
) -> Answer<Response> {
    let Query(query) = query?;
    let customer = query.customer();
    let found = platform.locations(customer.as_ref(), &query.part()).await?;
    Ok(list(found))
}

async fn add_location(
    State(platform): Builtin,
    body: Result<Json<LocationBody>, JsonRejection>,
) -> Answer<Response> {
    let made = platform.add_location(&body?.0.check()?, None).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn ensure_location(
    State(platform): Builtin,
    Path(text): Path<String>,
    body: Result<Json<LocationBody>, JsonRejection>,
) -> Answer<Response> {
    let location = body?.0.check()?;
    let made = platform.ensure_location(&mark(text)?, &location).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn remove_location(State(platform): Builtin, Path(text): Path<String>) -> Answer<Response> {
    Ok(undone(platform.undo_location(&mark(text)?).await?))
}

async fn users(
    State(platform): Builtin,
    query: Result<Query<UserQuery>, QueryRejection>,
) -> Answer<Response> {
    let Query(query) = query?;
    if let Some(email) = &query.email {
        let email = EmailAddress::parse(email).map_err(|_| Problem::Field("email"))?;
        let found = platform.user_record_by_email(&email).await?;
        return Ok(list(found.into_iter().collect::<Vec<_>>()));
    }
    let customer = query.customer();
    Ok(list(
        platform.users(customer.as_ref(), &query.part()).await?,
    ))
}

async fn user(State(platform): Builtin, Path(id): Path<String>) -> Answer<Response> {
    found(platform.user_record(&UserId::new(id)).await?)
}

async fn add_user(
    State(platform): Builtin,
    body: Result<Json<UserBody>, JsonRejection>,
) -> Answer<Response> {
    let (user, password) = body?.0.check()?;
    let added = Added {
        mark: None,
        password,
    };
    let made = platform.add_user(&user, added).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn ensure_user(
    State(platform): Builtin,
    Path(text): Path<String>,
    body: Result<Json<UserBody>, JsonRejection>,
) -> Answer<Response> {
    let (user, password) = body?.0.check()?;
    let mark = mark(text)?;
    let added = Added {
        mark: Some(&mark),
        password,
    };
    let made = platform.add_user(&user, added).await?;
    Ok(outcome(&made, |id| id.as_str().to_owned()))
}

async fn remove_user(State(platform): Builtin, Path(text): Path<String>) -> Answer<Response> {
    Ok(undone(platform.undo_user(&mark(text)?).await?))
}

async fn change_user(
    State(platform): Builtin,
    Path(id): Path<String>,
    body: Result<Json<UserChange>, JsonRejection>,
) -> Answer<Response> {
    let (id, change) = (UserId::new(id), body?.0);
    if let Some(enabled) = change.enabled {
        platform.set_enabled(&id, enabled).await?;
    }
    if let Some(administrator) = change.administrator {
        platform.set_administrator(&id, administrator).await?;
    }
    found(platform.user_record(&id).await?)
}

async fn profile(State(platform): Builtin, Path(id): Path<String>) -> Answer<Response> {
    found(platform.profile(&UserId::new(id)).await?)
}

async fn change_profile(
    State(platform): Builtin,
    Path(id): Path<String>,
    body: Result<Json<ProfileChange>, JsonRejection>,
) -> Answer<Response> {
    let id = UserId::new(id);
    if !platform.update_profile(&id, &body?.0).await? {
        return Err(Problem::NotFound);
    }
    found(platform.profile(&id).await?)
}

async fn change_roles(
    State(platform): Builtin,
    Path(id): Path<String>,
    body: Result<Json<RoleChange>, JsonRejection>,
) -> Answer<Response> {
    let id = UserId::new(id);
    if !platform.update_roles(&id, &body?.0).await? {
        return Err(Problem::NotFound);
    }
    found(platform.user_record(&id).await?)
}

async fn delete_user(State(platform): Builtin, Path(id): Path<String>) -> Answer<StatusCode> {
    if platform.delete_user(&UserId::new(id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::NotFound)
    }
}

async fn check_password(
    State(platform): Builtin,
    body: Result<Json<PasswordBody>, JsonRejection>,
) -> Answer<Response> {
    let Json(body) = body?;
    let email = EmailAddress::parse(&body.email).map_err(|_| Problem::Field("email"))?;
    let user = match platform
        .check_password(&email, &body.password.into())
        .await?
    {
        PasswordCheck::Right(user) => platform.user_record(&user.id).await?,
        PasswordCheck::Wrong | PasswordCheck::Unsupported => None,
    };
    Ok(Json(json!({ "right": user.is_some(), "user": user })).into_response())
}

async fn set_password(
    State(platform): Builtin,
    Path(id): Path<String>,
    body: Result<Json<NewPasswordBody>, JsonRejection>,
) -> Answer<Response> {
    let Json(body) = body?;
    let is_set = platform
        .set_password(&UserId::new(id), &body.password.into())
        .await?;
    if !is_set {
        return Err(Problem::NotFound);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
