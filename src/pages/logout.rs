//! Signing out: GET asks, POST does.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use url::Url;

use super::Pages;
use super::login::page_link;
use super::stop::{Stop, see_other, show, with_cookies};
use super::submission::{self, Fields};
use super::views::{GoingPage, LogoutPage, MessagePage, Way};
use super::visit::Visit;
use crate::access::ReturnTo;
use crate::paths;
use crate::session::{OpenSession, SessionStanding, Stage};

/// Asks whether to sign out.
pub async fn ask(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = match pages.whoever(&visit).await {
        Ok(Some(open)) => show(
            StatusCode::OK,
            &LogoutPage {
                frame: pages.titled(&visit, "logout-title"),
                form_token: pages.form_token(&visit, &open),
            },
        ),
        Ok(None) => Err(Stop::at(paths::LOGGED_OUT)),
        Err(stop) => Err(stop),
    };
    pages.answer(&visit, outcome)
}

/// Signs out.
pub async fn log_out(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.log_out(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// Where one lands afterwards. Nothing leads on by itself, so that nobody is signed in again
/// without wanting it.
pub async fn logged_out(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let texts = visit.texts();
    let page = MessagePage {
        frame: pages.titled(&visit, "logged-out-title"),
        who: None,
        paragraphs: vec![texts.get("logged-out-text").into_owned()],
        reference: None,
        way_on: Some(Way {
            href: "/".to_owned(),
            text: texts.get("logged-out-again").into_owned(),
        }),
        other_way: None,
    };
    pages.answer(&visit, show(StatusCode::OK, &page))
}

impl Pages {
    /// The session of anybody who has one.
    async fn whoever(&self, visit: &Visit) -> Result<Option<OpenSession>, Stop> {
        match self.standing(visit).await {
            SessionStanding::Live(open)
            | SessionStanding::NeedsRefresh(open)
            | SessionStanding::Pending(open) => Ok(Some(open)),
            SessionStanding::StoreDown => Err(Stop::StoreDown),
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable => {
                Ok(None)
            }
        }
    }

    async fn log_out(&self, visit: &Visit, body: submission::Body) -> Result<Response<Body>, Stop> {
        let mut fields = submission::read(visit, body)?;
        let Some(open) = self.whoever(visit).await? else {
            return Err(Stop::at(paths::LOGGED_OUT));
        };
        self.check_token(visit, &open, &mut fields)?;
        let logged_out = self
            .parts
            .login
            .log_out(&visit.client, &visit.cookies)
            .await?;
        self.revoke_token(&open, None);
        let response = if wants_another_account(&fields) {
            see_other(&page_link(&wanted_page(visit, &open), true))
        } else if let Some(end_session) = &logged_out.end_session {
            self.leave(visit, &open, end_session)?
        } else {
            see_other(paths::LOGGED_OUT)
        };
        Ok(without_cached_pages(with_cookies(
            response,
            &logged_out.set_cookies,
        )))
    }

    /// Leads to the identity provider to sign out there too. A page of its own rather than a
    /// redirect: `form-action` would stop a redirect to another origin after a form.
    fn leave(
        &self,
        visit: &Visit,
        open: &OpenSession,
        end_session: &Url,
    ) -> Result<Response<Body>, Stop> {
        let texts = visit.texts();
        let provider = self
            .provider_name(&open.record.identity)
            .unwrap_or_default();
        let values = [("provider", provider.as_str())];
        let page = GoingPage {
            frame: self.frame(visit, texts.get_with("leaving-title", &values)),
            text: texts.get_with("leaving-text", &values).into_owned(),
            href: end_session.to_string(),
            action: texts.get_with("going-continue", &values).into_owned(),
            by_itself: true,
        };
        show(StatusCode::OK, &page)
    }
}

fn wants_another_account(fields: &Fields) -> bool {
    fields.get("then").is_some_and(|then| then == "login")
}

/// Where somebody wanted to go who then chose another account.
fn wanted_page(visit: &Visit, open: &OpenSession) -> ReturnTo {
    match &open.record.stage {
        Stage::Pending { return_to } => ReturnTo::parse(return_to, &visit.client.own_origin),
        Stage::Live(_) => ReturnTo::home(),
    }
}

/// "Back" must not show pages of whoever has just left.
fn without_cached_pages(mut response: Response<Body>) -> Response<Body> {
    let name = HeaderName::from_static("clear-site-data");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("\"cache\""));
    response
}
