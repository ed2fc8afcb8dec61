//! What an invitation is about, and the way on. Looking changes nothing; what counts is the proof
//! of the address that follows.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::approval::link_in;
use super::login::page_link;
use super::stop::{self, Stop};
use super::views::{MessagePage, Way};
use super::visit::Visit;
use crate::access::ReturnTo;
use crate::onboarding::InvitationBehindLink;

/// Shows what somebody is invited to.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.invitation_page(&visit).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn invitation_page(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        self.may_open_link(visit).await?;
        let texts = visit.texts();
        let onboarding = &self.parts.onboarding;
        let link = link_in(visit);
        let behind = onboarding.invitation_behind(&link, &visit.client);
        let mut other_way = None;
        let (title, sentence, way) = match behind.await? {
            InvitationBehindLink::Open { customer, email } => {
                let operator = self.frame(visit, "").operator;
                let values = [
                    ("customer", customer.as_str()),
                    ("email", email.as_str()),
                    ("operator", operator.as_str()),
                ];
                let title = texts.get_with("invitation-title", &values).into_owned();
                let sentence = texts.get_with("invitation-text", &values);
                other_way = self.create_link(&ReturnTo::home()).map(|href| Way {
                    href,
                    text: texts.get_with("invitation-by-mail", &values).into_owned(),
                });
                (title, sentence.into_owned(), "invitation-continue")
            }
            InvitationBehindLink::Used => (
                texts.get("invitation-used-title").into_owned(),
                texts.get("invitation-used-text").into_owned(),
                "invitation-sign-in",
            ),
            InvitationBehindLink::Nothing => (
                texts.get("invitation-gone-title").into_owned(),
                texts.get("invitation-gone-text").into_owned(),
                "invitation-sign-in",
            ),
        };
        let page = MessagePage {
            frame: self.frame(visit, title),
            who: None,
            paragraphs: vec![sentence],
            reference: None,
            way_on: Some(Way {
                href: page_link(&ReturnTo::home(), false),
                text: texts.get(way).into_owned(),
            }),
            other_way,
        };
        stop::show(StatusCode::OK, &page)
    }
}
