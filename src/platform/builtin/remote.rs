//! The builtin platform of another installation, by its REST API: a directory that several
//! gateways share.

mod question;

use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use question::Question;

use super::{CustomerRecord, PartnerRecord, UserRecord, garbled};
use crate::identity::{CustomerId, EmailAddress, LocationId, PartnerId, PlatformId, UserId};
use crate::outbound::{AnswerLimits, Outbound};
use crate::platform::{
    Administrator, BelongsTo, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser,
    PasswordCheck, Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser,
    Profile, ProfileChange, RemoteSettings, RoleChange, Undone,
};

const LIMITS: AnswerLimits = AnswerLimits {
    time: Duration::from_secs(8),
    size: 1024 * 1024,
};

/// The builtin platform of another installation.
pub struct RemoteBuiltinPlatform {
    id: PlatformId,
    settings: RemoteSettings,
    outbound: Outbound,
}

/// The other installation answered something that its API does not say.
#[derive(Debug, thiserror::Error)]
#[error("the platform's API answered {status}")]
struct UnexpectedAnswer {
    status: StatusCode,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct MadeAnswer {
    id: String,
    created: bool,
}

#[derive(Deserialize)]
struct UndoneAnswer {
    outcome: String,
}

#[derive(Deserialize)]
struct CheckAnswer {
    right: bool,
    user: Option<UserRecord>,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    code: String,
    field: Option<String>,
}

impl RemoteBuiltinPlatform {
    /// The platform behind another installation's admin listener.
    pub fn new(id: PlatformId, settings: RemoteSettings, outbound: Outbound) -> Self {
        Self {
            id,
            settings,
            outbound,
        }
    }

    async fn ask(&self, question: Question) -> Result<Response<Vec<u8>>, PlatformError> {
        let mut url = self.settings.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["platform", "v1"]);
            segments.extend(&question.path);
        }
        if let Some((key, value)) = &question.query {
            url.query_pairs_mut().append_pair(key, value);
        }
        let token = self.settings.token.expose_secret();
        let request = Request::builder()
            .method(question.method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(
                question
                    .body
                    .map_or_else(Vec::new, |body| body.to_string().into_bytes()),
            )
            .map_err(garbled)?;
        Ok(self.outbound.call(request, LIMITS).await?)
    }

    /// The answer's value; none for 404.
    async fn find<T: DeserializeOwned>(
        &self,
        question: Question,
    ) -> Result<Option<T>, PlatformError> {
        let answer = self.ask(question).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        value(&answer).map(Some)
    }

    async fn get<T: DeserializeOwned>(&self, question: Question) -> Result<T, PlatformError> {
        value(&self.ask(question).await?)
    }

    async fn ensure<T>(
        &self,
        mark: &Mark,
        what: &str,
        body: Value,
        id: impl FnOnce(String) -> T,
    ) -> Result<Made<T>, PlatformError> {
        let question = Question::new(Method::PUT, &["marks", mark.as_str(), what]);
        let made: MadeAnswer = self.get(question.with(body)).await?;
        Ok(if made.created {
            Made::Created(id(made.id))
        } else {
            Made::Found(id(made.id))
        })
    }

    async fn remove(&self, mark: &Mark, what: &str) -> Result<Undone, PlatformError> {
        let question = Question::new(Method::DELETE, &["marks", mark.as_str(), what]);
        let answer: UndoneAnswer = self.get(question).await?;
        match answer.outcome.as_str() {
            "removed" => Ok(Undone::Removed),
            "absent" => Ok(Undone::Absent),
            "kept" => Ok(Undone::Kept),
            _ => Err(garbled(UnexpectedAnswer {
                status: StatusCode::OK,
            })),
        }
    }
}

#[async_trait]
impl Platform for RemoteBuiltinPlatform {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            passwords: true,
            new_passwords: true,
            locations: true,
            partners: true,
            roles: true,
        }
    }

    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError> {
        let question = Question::new(Method::GET, &["users", id.as_str()]);
        let found: Option<UserRecord> = self.find(question).await?;
        found.as_ref().map(UserRecord::as_platform_user).transpose()
    }

    async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, PlatformError> {
        let question = Question::new(Method::GET, &["users"]).by("email", email.as_str());
        let found: Items<UserRecord> = self.get(question).await?;
        let found = found.items.first();
        found.map(UserRecord::as_platform_user).transpose()
    }

    async fn customer_by_code(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, PlatformError> {
        let question = Question::new(Method::GET, &["customers"]).by("code", code);
        let found: Items<CustomerRecord> = self.get(question).await?;
        Ok(found.items.into_iter().next().map(PlatformCustomer::from))
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<PlatformCustomer>, PlatformError> {
        let question = Question::new(Method::GET, &["customers", id.as_str()]);
        let found: Option<CustomerRecord> = self.find(question).await?;
        Ok(found.map(PlatformCustomer::from))
    }

    async fn partner_by_code(&self, code: &str) -> Result<Option<PlatformPartner>, PlatformError> {
        let question = Question::new(Method::GET, &["partners"]).by("code", code);
        let found: Items<PartnerRecord> = self.get(question).await?;
        Ok(found.items.into_iter().next().map(PlatformPartner::from))
    }

    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError> {
        let path = ["customers", customer.as_str(), "administrators"];
        let found: Items<UserRecord> = self.get(Question::new(Method::GET, &path)).await?;
        let found = found.items.into_iter();
        found.map(Administrator::try_from).collect()
    }

    async fn ensure_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Made<CustomerId>, PlatformError> {
        let body = json!({
            "account_type": customer.account_type,
            "name": customer.name,
            "code": customer.code,
            "fields": customer.fields,
            "options": customer.options,
        });
        self.ensure(mark, "customer", body, CustomerId::new).await
    }

    async fn ensure_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Made<LocationId>, PlatformError> {
        let body = json!({
            "customer": location.customer,
            "name": location.name,
            "fields": location.fields,
        });
        self.ensure(mark, "location", body, LocationId::new).await
    }

    async fn ensure_user(
        &self,
        mark: &Mark,
        user: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, PlatformError> {
        let (customer, partner) = match &user.belongs_to {
            BelongsTo::Customer(customer) => (Some(customer.as_str()), None),
            BelongsTo::Partner(partner) => (None, Some(PartnerId::as_str(partner))),
        };
        let body = json!({
            "email": user.email,
            "name": user.name,
            "customer": customer,
            "partner": partner,
            "account_type": user.account_type,
            "language": user.language,
            "administrator": user.administrator,
            "fields": user.fields,
            "options": user.options,
            "password": password.map(ExposeSecret::expose_secret),
        });
        self.ensure(mark, "user", body, UserId::new).await
    }

    async fn remove_customer(
        &self,
        mark: &Mark,
        _customer: &NewCustomer,
    ) -> Result<Undone, PlatformError> {
        self.remove(mark, "customer").await
    }

    async fn remove_location(
        &self,
        mark: &Mark,
        _location: &NewLocation,
    ) -> Result<Undone, PlatformError> {
        self.remove(mark, "location").await
    }

    async fn remove_user(&self, mark: &Mark, _user: &NewUser) -> Result<Undone, PlatformError> {
        self.remove(mark, "user").await
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PlatformError> {
        let question = Question::new(Method::GET, &["users", user.as_str(), "profile"]);
        self.find(question).await
    }

    async fn update_profile(
        &self,
        user: &UserId,
        change: &ProfileChange,
    ) -> Result<bool, PlatformError> {
        let question = Question::new(Method::PATCH, &["users", user.as_str(), "profile"]);
        let body = serde_json::to_value(change).map_err(garbled)?;
        let found: Option<Profile> = self.find(question.with(body)).await?;
        Ok(found.is_some())
    }

    async fn update_roles(
        &self,
        user: &UserId,
        change: &RoleChange,
    ) -> Result<bool, PlatformError> {
        let question = Question::new(Method::PATCH, &["users", user.as_str(), "roles"]);
        let body = serde_json::to_value(change).map_err(garbled)?;
        let found: Option<UserRecord> = self.find(question.with(body)).await?;
        Ok(found.is_some())
    }

    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, PlatformError> {
        let body = json!({ "email": email, "password": password.expose_secret() });
        let question = Question::new(Method::POST, &["password-checks"]).with(body);
        let checked: CheckAnswer = self.get(question).await?;
        match checked.user {
            Some(user) if checked.right => Ok(PasswordCheck::Right(user.as_platform_user()?)),
            _ => Ok(PasswordCheck::Wrong),
        }
    }

    async fn set_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, PlatformError> {
        let body = json!({ "password": password.expose_secret() });
        let question = Question::new(Method::PUT, &["users", user.as_str(), "password"]);
        let answer = self.ask(question.with(body)).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(refusal(&answer)),
        }
    }
}

fn value<T: DeserializeOwned>(answer: &Response<Vec<u8>>) -> Result<T, PlatformError> {
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(garbled);
    }
    Err(refusal(answer))
}

fn refusal(answer: &Response<Vec<u8>>) -> PlatformError {
    let status = answer.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return PlatformError::NotAllowed;
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return PlatformError::Busy {
            retry_after: retry_after(answer),
        };
    }
    let unexpected = UnexpectedAnswer { status };
    if status.is_server_error() {
        return PlatformError::Unreachable(Box::new(unexpected));
    }
    let Ok(problem) = serde_json::from_slice::<ProblemAnswer>(answer.body()) else {
        return garbled(unexpected);
    };
    match problem.code.as_str() {
        "email_taken" => PlatformError::EmailTaken,
        "name_taken" => PlatformError::NameTaken,
        "code_taken" => PlatformError::CodeTaken,
        "refused" => PlatformError::Refused {
            field: problem.field.unwrap_or_default(),
        },
        _ => garbled(unexpected),
    }
}

fn retry_after(answer: &Response<Vec<u8>>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
