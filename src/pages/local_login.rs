//! Signing in by the platform's password, on the login page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use secrecy::SecretString;

use super::Pages;
use super::login::LoginQuery;
use super::stop::{Stop, go_on};
use super::submission::{self, Fields};
use super::views::{LocalLoginView, ProblemLink};
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::EmailAddress;
use crate::login::{LocalLoginError, LoginError, PasswordLogin};
use crate::onboarding::LocalError;
use crate::paths;

/// What was typed, and what is wrong with it: keys of the language files.
#[derive(Debug, Clone, Default)]
pub(super) struct Typed {
    pub(super) email: String,
    pub(super) email_problem: Option<&'static str>,
    pub(super) password_problem: Option<&'static str>,
}

/// Takes address and password.
pub async fn submit(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.log_in_by_password(&visit, body).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn log_in_by_password(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let mut fields = submission::read(visit, body)?;
        self.check_stranger_token(visit, &mut fields)?;
        let return_to = way_back::sent(visit, &fields);
        let wish = match read(&mut fields, return_to.clone()) {
            Ok(wish) => wish,
            Err(typed) => return self.login_page_again(visit, &return_to, &typed),
        };
        let email = wish.email.as_str().to_owned();
        let login = &self.parts.login;
        match login.by_password(&visit.client, wish, &visit.cookies).await {
            Ok(finished) => Ok(go_on(&finished)),
            Err(error) => {
                let typed = Typed {
                    email,
                    password_problem: Some(problem_of(error)?),
                    ..Typed::default()
                };
                self.login_page_again(visit, &return_to, &typed)
            }
        }
    }

    fn login_page_again(
        &self,
        visit: &Visit,
        return_to: &ReturnTo,
        typed: &Typed,
    ) -> Result<Response<Body>, Stop> {
        let query = LoginQuery::leading_to(return_to);
        let visit = Visit {
            here: super::login::page_link(return_to, false),
            ..visit.clone()
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        self.show_login(&visit, &query, typed, status)
    }

    /// The form for address and password, where people sign in by them.
    pub(super) fn local_login_view(
        &self,
        visit: &Visit,
        return_to: &ReturnTo,
        typed: &Typed,
    ) -> Option<LocalLoginView> {
        let onboarding = &self.parts.onboarding;
        if !onboarding.has_local_login() {
            return None;
        }
        let policy = self.parts.policy.current();
        let elsewhere = policy.onboarding.local_login.forgotten_password.as_ref();
        let here = || way_back::page_link(paths::PASSWORD, return_to);
        let forgotten = elsewhere.map(ToString::to_string);
        let say = |key: &str| visit.texts().get(key).into_owned();
        Some(LocalLoginView {
            form_token: self.stranger_token(visit),
            return_to: return_to.as_str().to_owned(),
            email: typed.email.clone(),
            email_problem: typed.email_problem.map(say),
            password_problem: typed.password_problem.map(say),
            forgotten: forgotten.or_else(|| onboarding.gives_new_passwords().then(here)),
        })
    }
}

/// The one match over what can be wrong with a login by password.
fn problem_of(error: LocalLoginError) -> Result<&'static str, Stop> {
    match error {
        LocalLoginError::Password(LocalError::Wrong) => Ok("login-wrong"),
        LocalLoginError::Password(LocalError::TooOften) => Ok("login-too-often"),
        LocalLoginError::Password(LocalError::Off) | LocalLoginError::Link(_) => {
            Err(Stop::NotFound)
        }
        LocalLoginError::Password(LocalError::Down(error)) => Err(error.into()),
        LocalLoginError::Login(error) => Err(LoginError::into(error)),
    }
}

/// Links to fields that must be put right.
pub(super) fn problem_links(
    problems: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Vec<ProblemLink> {
    let link = |(target, sentence): (&str, Option<String>)| {
        Some(ProblemLink {
            target: target.to_owned(),
            sentence: sentence?,
        })
    };
    problems.into_iter().filter_map(link).collect()
}

fn read(fields: &mut Fields, return_to: ReturnTo) -> Result<PasswordLogin, Typed> {
    let email = fields.remove("email").unwrap_or_default();
    let password = fields.remove("password").unwrap_or_default();
    let parsed = EmailAddress::parse(&email);
    match parsed {
        Ok(email) if !password.is_empty() => Ok(PasswordLogin {
            email,
            password: SecretString::from(password),
            return_to,
        }),
        parsed => Err(Typed {
            email,
            email_problem: parsed.is_err().then_some("login-email-missing"),
            password_problem: password.is_empty().then_some("login-password-missing"),
        }),
    }
}
