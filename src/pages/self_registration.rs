//! Registering without an identity provider: the address is asked for, a link is mailed to it, and
//! whoever follows the link and confirms goes on to the registration page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::link_request::{AnyLink, LinkQuery};
use super::login::{AnyQuery, LoginQuery};
use super::stop::{Stop, go_on, show};
use super::submission;
use super::views::LinkPage;
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::login::LocalLoginError;
use crate::onboarding::{LinkError, LinkStep};
use crate::paths;
use crate::session::SessionStanding;

/// Asks for the address.
pub async fn ask(State(pages): State<Arc<Pages>>, visit: Visit, query: AnyQuery) -> Response<Body> {
    let return_to = LoginQuery::of(query).return_to(&visit);
    let outcome = pages.asked_for_link(&visit, LinkStep::Registration, &return_to);
    pages.answer(&visit, outcome)
}

/// Takes the address, and has a link mailed.
pub async fn send(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.send_link(&visit, LinkStep::Registration, body).await;
    pages.answer(&visit, outcome)
}

/// Where the link leads: nothing happens yet.
pub async fn look(State(pages): State<Arc<Pages>>, visit: Visit, query: AnyLink) -> Response<Body> {
    let outcome = pages.look_at_link(&visit, LinkQuery::of(query)).await;
    pages.answer(&visit, outcome)
}

/// Confirms.
pub async fn confirm(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.confirm_address(&visit, body).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    /// Where an account is created without an identity provider.
    pub(super) fn create_link(&self, return_to: &ReturnTo) -> Option<String> {
        let link = || way_back::page_link(paths::REGISTER_EMAIL, return_to);
        let onboarding = &self.parts.onboarding;
        onboarding.has_self_registration().then(link)
    }

    async fn look_at_link(&self, visit: &Visit, query: LinkQuery) -> Result<Response<Body>, Stop> {
        self.may_open_link(visit).await?;
        let (onboarding, host) = (&self.parts.onboarding, &visit.client.host);
        let looked = onboarding.look_at_link(LinkStep::Registration, host, &query.token);
        let link = match looked.await {
            Ok(link) => link,
            Err(LinkError::Dead) => return self.dead_link(visit, LinkStep::Registration).await,
            Err(LinkError::Down(error)) => return Err(error.into()),
        };
        let frame = self.titled(visit, "link-title");
        let texts = visit.texts();
        let values = [
            ("email", link.email.as_str()),
            ("operator", frame.operator.as_str()),
        ];
        let is_signed_in = matches!(
            self.standing(visit).await,
            SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_)
        );
        let page = LinkPage {
            text: texts.get_with("link-text", &values).into_owned(),
            notice: is_signed_in.then(|| texts.get("link-signed-in").into_owned()),
            form_token: self.stranger_token(visit),
            token: query.token,
            frame,
        };
        show(StatusCode::OK, &page)
    }

    async fn confirm_address(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let fields = self.stranger_form(visit, body).await?;
        let token = fields.get("token").map_or("", String::as_str);
        let (login, client) = (&self.parts.login, &visit.client);
        match login.by_mailed_link(client, token, &visit.cookies).await {
            Ok(finished) => Ok(go_on(&finished)),
            Err(LocalLoginError::Link(LinkError::Dead)) => {
                self.dead_link(visit, LinkStep::Registration).await
            }
            Err(LocalLoginError::Link(LinkError::Down(error))) => Err(error.into()),
            Err(LocalLoginError::Login(error)) => Err(error.into()),
            Err(LocalLoginError::Password(_)) => Err(Stop::NotFound),
        }
    }
}
