//! Where somebody who was asked decides about a registration. Opening the link only shows; the
//! buttons decide.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use url::form_urlencoded;

use super::Pages;
use super::form_token::{self, Binding};
use super::held_back::Waiting;
use super::stop::{self, Stop};
use super::submission;
use super::views::{ApprovalPage, KnownValue, MessagePage};
use super::visit::Visit;
use crate::onboarding::{BehindLink, Decided, Decision, Request};
use crate::seal;

/// Shows what is asked.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.approval_page(&visit).await;
    pages.answer(&visit, outcome)
}

/// Takes the answer.
pub async fn decide(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.take_decision(&visit, body).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn approval_page(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        self.may_open_link(visit).await?;
        let link = link_in(visit);
        let onboarding = &self.parts.onboarding;
        match onboarding.behind_link(&link, &visit.client).await? {
            BehindLink::Open(request) => {
                stop::show(StatusCode::OK, &self.request_view(visit, &request, link))
            }
            BehindLink::Answered(decision) => self.answered_before(visit, decision),
            BehindLink::Nothing => self.no_request(visit),
        }
    }

    async fn take_decision(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let mut fields = submission::read(visit, body)?;
        let link = fields.get("link").cloned().unwrap_or_default();
        let token = fields.remove(submission::TOKEN).unwrap_or_default();
        let owner = owner_of(&link);
        let now = self.parts.clock.now();
        form_token::check_token(&self.parts.keys, binding(visit, &owner), &token, now)?;
        self.may_submit(visit, None).await.map_err(|held_back| {
            Waiting::with_form(held_back, &fields, self.decision_token(visit, &link))
        })?;
        let decision = match fields.get("do").map(String::as_str) {
            Some("approve") => Decision::Approved,
            Some("reject") => Decision::Rejected,
            _ => return Err(Stop::Malformed),
        };
        let onboarding = &self.parts.onboarding;
        // The name is read before, because a finished registration no longer has it.
        let before = onboarding.behind_link(&link, &visit.client).await?;
        let decided = onboarding.decide_by_link(&link, decision, &visit.client);
        match (decided.await?, before) {
            (Decided::Now, BehindLink::Open(request)) => self.decided(visit, &request, decision),
            (Decided::Now, _) => self.answered_before(visit, decision),
            (Decided::Before(decision), _) => self.answered_before(visit, decision),
            (Decided::NotWaiting, _) => self.no_request(visit),
        }
    }

    fn request_view(&self, visit: &Visit, request: &Request, link: String) -> ApprovalPage {
        let texts = visit.texts();
        let frame = self.frame(visit, "");
        let operator = frame.operator.clone();
        let values = [
            ("applicant", request.applicant.as_str()),
            ("customer", request.customer.as_str()),
            ("operator", operator.as_str()),
            ("provider", request.provider.as_str()),
        ];
        let text = |key| texts.get_with(key, &values).into_owned();
        let fact = |key, value: &str| KnownValue {
            label: text(key),
            value: value.to_owned(),
        };
        ApprovalPage {
            text: text("approval-text"),
            facts: vec![
                fact("approval-email", &request.email),
                fact("approval-through", &request.provider),
                fact("approval-asked-on", &request.asked_at.day()),
            ],
            email_note: text(if request.email_is_proven {
                "approval-email-proven"
            } else {
                "approval-email-unproven"
            }),
            care: text("approval-care"),
            form_token: self.decision_token(visit, &link),
            frame: self.frame(visit, text("approval-title")),
            link,
        }
    }

    fn decision_token(&self, visit: &Visit, link: &str) -> String {
        let owner = owner_of(link);
        let now = self.parts.clock.now();
        form_token::issue(&self.parts.keys, binding(visit, &owner), now)
    }

    fn decided(
        &self,
        visit: &Visit,
        request: &Request,
        decision: Decision,
    ) -> Result<Response<Body>, Stop> {
        let (title, text) = match decision {
            Decision::Approved => ("approval-approved-title", "approval-approved-text"),
            Decision::Rejected | Decision::Expired => {
                ("approval-rejected-title", "approval-rejected-text")
            }
        };
        let values = [
            ("applicant", request.applicant.as_str()),
            ("customer", request.customer.as_str()),
        ];
        let sentence = visit.texts().get_with(text, &values).into_owned();
        self.said(visit, title, sentence)
    }

    fn answered_before(&self, visit: &Visit, decision: Decision) -> Result<Response<Body>, Stop> {
        let key = match decision {
            Decision::Approved => "approval-before-approved",
            Decision::Rejected => "approval-before-rejected",
            Decision::Expired => "approval-before-expired",
        };
        let sentence = visit.texts().get(key).into_owned();
        self.said(visit, "approval-before-title", sentence)
    }

    fn no_request(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let sentence = visit.texts().get("approval-gone-text").into_owned();
        self.said(visit, "approval-gone-title", sentence)
    }

    fn said(
        &self,
        visit: &Visit,
        title: &'static str,
        sentence: String,
    ) -> Result<Response<Body>, Stop> {
        let page = MessagePage {
            frame: self.titled(visit, title),
            who: None,
            paragraphs: vec![sentence],
            reference: None,
            way_on: None,
            other_way: None,
        };
        stop::show(StatusCode::OK, &page)
    }
}

/// The token of the mailed link.
pub(super) fn link_in(visit: &Visit) -> String {
    let query = visit.here.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let link = pairs.find(|(name, _)| name == "link");
    link.map(|(_, link)| link.into_owned()).unwrap_or_default()
}

fn owner_of(link: &str) -> String {
    seal::digest(link.as_bytes())
}

fn binding<'a>(visit: &'a Visit, owner: &'a str) -> Binding<'a> {
    Binding {
        host: &visit.client.host,
        owner,
    }
}
