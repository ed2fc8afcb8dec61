//! A forgotten password: a link is mailed, and whoever follows it chooses a new one.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use secrecy::SecretString;

use super::Pages;
use super::link_request::{AnyLink, LinkQuery};
use super::local_login::problem_links;
use super::password_view::password_view;
use super::stop::{Stop, see_other, show, status_of_form};
use super::submission;
use super::views::NewPasswordPage;
use super::visit::Visit;
use super::way_back;
use crate::onboarding::password::{PASSWORD, PasswordProblem};
use crate::onboarding::{LinkError, LinkStep, NewPasswordError};
use crate::paths;

/// Asks for the address.
pub async fn ask(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let return_to = way_back::asked(&visit);
    let outcome = pages.asked_for_link(&visit, LinkStep::NewPassword, &return_to);
    pages.answer(&visit, outcome)
}

/// Takes the address, and has a link mailed.
pub async fn send(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.send_link(&visit, LinkStep::NewPassword, body).await;
    pages.answer(&visit, outcome)
}

/// Where the link leads: asks for the new password.
pub async fn look(State(pages): State<Arc<Pages>>, visit: Visit, query: AnyLink) -> Response<Body> {
    let token = LinkQuery::of(query).token;
    let outcome = pages.look_at_password_link(&visit, &token).await;
    pages.answer(&visit, outcome)
}

/// Takes the new password.
pub async fn set(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.take_new_password(&visit, body).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn look_at_password_link(
        &self,
        visit: &Visit,
        token: &str,
    ) -> Result<Response<Body>, Stop> {
        self.may_open_link(visit).await?;
        self.new_password_page(visit, token, None).await
    }

    async fn new_password_page(
        &self,
        visit: &Visit,
        token: &str,
        problem: Option<PasswordProblem>,
    ) -> Result<Response<Body>, Stop> {
        let (onboarding, host) = (&self.parts.onboarding, &visit.client.host);
        let looked = onboarding.look_at_link(LinkStep::NewPassword, host, token);
        let link = match looked.await {
            Ok(link) => link,
            Err(LinkError::Dead) => return self.dead_link(visit, LinkStep::NewPassword).await,
            Err(LinkError::Down(error)) => return Err(error.into()),
        };
        let demand = onboarding.demand().await?;
        let texts = visit.texts();
        let email = link.email.as_str();
        let mut frame = self.titled(visit, "password-title");
        frame.has_problems = problem.is_some();
        let password = password_view(texts, demand, "password-new", problem);
        let page = NewPasswordPage {
            frame,
            form_token: self.stranger_token(visit),
            token: token.to_owned(),
            email: email.to_owned(),
            return_to: link.return_to.clone(),
            text: texts
                .get_with("password-new-text", &[("email", email)])
                .into_owned(),
            problems: problem_links([("field-password", password.problem.clone())]),
            password,
        };
        show(status_of_form(problem.is_some()), &page)
    }

    async fn take_new_password(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let mut fields = self.stranger_form(visit, body).await?;
        let return_to = way_back::take(visit, &mut fields);
        let token = fields.remove("token").unwrap_or_default();
        let password = SecretString::from(fields.remove(PASSWORD).unwrap_or_default());
        let login = &self.parts.login;
        match login.new_password(&visit.client, &token, &password).await {
            Ok(()) => Ok(see_other(&way_back::page_link_with(
                paths::LOGIN,
                &return_to,
                "new_password=yes",
            ))),
            Err(NewPasswordError::Problem(problem)) => {
                let visit = Visit {
                    here: paths::PASSWORD.to_owned(),
                    ..visit.clone()
                };
                self.new_password_page(&visit, &token, Some(problem)).await
            }
            Err(NewPasswordError::Link(LinkError::Dead)) => {
                self.dead_link(visit, LinkStep::NewPassword).await
            }
            Err(NewPasswordError::Link(LinkError::Down(error))) => Err(error.into()),
        }
    }
}
