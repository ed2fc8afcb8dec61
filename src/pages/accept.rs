//! Agreements that changed: whoever is signed in accepts them again, and goes on where they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::registration_view::FormView;
use super::stop::{self, Stop, see_other};
use super::submission::{self, Fields};
use super::views::{AcceptPage, GoingPage};
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::Cleared;
use crate::onboarding::{DutyError, FieldProblem, RegistrationForm, SignedIn};
use crate::session::{OpenSession, SessionId, SessionStanding};
use crate::{login, paths};

/// Shows what is to be accepted.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.acceptance(&visit).await;
    pages.answer(&visit, outcome)
}

/// Takes acceptances.
pub async fn submit(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.submit_acceptance(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// What came of a submission that has to be shown again.
#[derive(Default)]
struct Sent<'a> {
    fields: Option<&'a Fields>,
    problems: Vec<FieldProblem>,
}

impl Pages {
    async fn acceptance(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let return_to = way_back::asked(visit);
        let open = self.live(visit, &return_to).await?;
        let who = signed_in(visit, &open)?;
        let cleared = self.parts.onboarding.cleared(who.account).await?;
        if self.parts.onboarding.to_accept(who, &cleared).is_empty() {
            return self.go_on(visit, &open, (cleared, &return_to)).await;
        }
        self.acceptance_page(visit, &open, (&cleared, &return_to), &Sent::default())
    }

    async fn submit_acceptance(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let mut fields = submission::read(visit, body)?;
        let return_to = way_back::take(visit, &mut fields);
        let open = self.live(visit, &return_to).await?;
        self.check_token(visit, &open, &mut fields)?;
        let who = signed_in(visit, &open)?;
        match self.parts.onboarding.accept(who, &fields).await {
            Ok(cleared) => self.go_on(visit, &open, (cleared, &return_to)).await,
            Err(DutyError::Invalid(problems)) => {
                let cleared = self.parts.onboarding.cleared(who.account).await?;
                let sent = Sent {
                    fields: Some(&fields),
                    problems,
                };
                self.acceptance_page(visit, &open, (&cleared, &return_to), &sent)
            }
            Err(DutyError::UnknownField) => Err(Stop::Malformed),
            Err(DutyError::Down(error)) => Err(error.into()),
        }
    }

    /// The session of somebody who is signed in; others are sent where they belong.
    pub(super) async fn live(
        &self,
        visit: &Visit,
        return_to: &ReturnTo,
    ) -> Result<OpenSession, Stop> {
        match self.standing(visit).await {
            SessionStanding::Live(open) | SessionStanding::NeedsRefresh(open) => Ok(open),
            SessionStanding::Pending(_) => Err(Stop::at(paths::REGISTER)),
            SessionStanding::StoreDown => Err(Stop::StoreDown),
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable => {
                Err(Stop::GoTo(super::login::page_link(return_to, false)))
            }
        }
    }

    /// Lets the session know what was done, and leads back. Where it knew already, another node
    /// may not have heard of it yet: a moment later it has.
    pub(super) async fn go_on(
        &self,
        visit: &Visit,
        open: &OpenSession,
        (cleared, return_to): (Cleared, &ReturnTo),
    ) -> Result<Response<Body>, Stop> {
        let is_news = open.record.cleared != cleared;
        let id = visit.cookies.session().and_then(SessionId::from_cookie);
        let Some(id) = id.filter(|id| id.key() == open.key) else {
            return Err(Stop::GoTo(super::login::page_link(return_to, false)));
        };
        let host = &visit.client.host;
        let clearing = self.parts.sessions.clear(&id, host, cleared).await;
        let is_kept = clearing.map_err(login::LoginError::from)?;
        if is_news || !is_kept {
            return Ok(see_other(return_to.as_str()));
        }
        let texts = visit.texts();
        let page = GoingPage {
            frame: self.titled(visit, "duty-done-title"),
            text: texts.get("duty-done-text").into_owned(),
            href: return_to.as_str().to_owned(),
            action: texts.get("duty-done-continue").into_owned(),
            by_itself: false,
        };
        stop::show(StatusCode::OK, &page)
    }

    fn acceptance_page(
        &self,
        visit: &Visit,
        open: &OpenSession,
        (cleared, return_to): (&Cleared, &ReturnTo),
        sent: &Sent<'_>,
    ) -> Result<Response<Body>, Stop> {
        let due = self
            .parts
            .onboarding
            .to_accept(signed_in(visit, open)?, cleared);
        let mut frame = self.titled(visit, "accept-title");
        let form = RegistrationForm::of_agreements(due);
        let view = FormView {
            form: &form,
            sent: sent.fields,
            problems: &sent.problems,
            texts: visit.texts(),
            country: None,
            operator: &frame.operator.clone(),
            account_types: &BTreeMap::new(),
        };
        let problems = view.problem_links();
        let agreements = view.agreements();
        frame.has_problems = !problems.is_empty();
        frame.here = way_back::page_link(paths::ACCEPT, return_to);
        let status = stop::status_of_form(frame.has_problems);
        let page = AcceptPage {
            frame,
            who: self.who(visit, open),
            problems,
            return_to: return_to.as_str().to_owned(),
            agreements,
        };
        stop::show(status, &page)
    }
}

/// Who asks; a session without account has no duties.
pub(super) fn signed_in<'a>(visit: &'a Visit, open: &'a OpenSession) -> Result<SignedIn<'a>, Stop> {
    let account = open.record.account().ok_or(Stop::NotFound)?;
    Ok(SignedIn {
        identity: &open.record.identity,
        account,
        client: &visit.client,
    })
}
