//! Customer verification: whoever the back office made confirms their data, and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;

use super::Pages;
use super::accept::signed_in;
use super::registration_view::FormView;
use super::stop::{self, Stop};
use super::submission::{self, Fields};
use super::views::VerifyPage;
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::Cleared;
use crate::language::Country;
use crate::onboarding::{DutyError, FieldProblem, Onboarding, RegistrationForm};
use crate::paths;
use crate::session::OpenSession;

/// Shows what is to be confirmed.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.verification(&visit).await;
    pages.answer(&visit, outcome)
}

/// Takes what was confirmed.
pub async fn submit(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.submit_verification(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// A form that is shown, with what was sent before.
struct Shown<'a> {
    form: &'a RegistrationForm,
    sent: Option<&'a Fields>,
    problems: &'a [FieldProblem],
}

impl Pages {
    async fn verification(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let return_to = way_back::asked(visit);
        let open = self.live(visit, &return_to).await?;
        match self.asked_to_verify(visit, &open).await? {
            (_, Some(form)) => {
                let shown = Shown {
                    form: &form,
                    sent: None,
                    problems: &[],
                };
                self.verification_page(visit, &open, &return_to, &shown)
            }
            (cleared, None) => {
                let cleared = Onboarding::nothing_to_verify(cleared);
                self.go_on(visit, &open, (cleared, &return_to)).await
            }
        }
    }

    async fn asked_to_verify(
        &self,
        visit: &Visit,
        open: &OpenSession,
    ) -> Result<(Cleared, Option<RegistrationForm>), Stop> {
        let who = signed_in(visit, open)?;
        let onboarding = &self.parts.onboarding;
        let cleared = onboarding.cleared(who.account).await?;
        let form = onboarding.to_verify(who, &cleared).await?;
        Ok((cleared, form))
    }

    async fn submit_verification(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let mut fields = submission::read(visit, body)?;
        let return_to = way_back::take(visit, &mut fields);
        let open = self.live(visit, &return_to).await?;
        self.check_token(visit, &open, &mut fields)?;
        let who = signed_in(visit, &open)?;
        match self.parts.onboarding.verify(who, &fields).await {
            Ok(cleared) => self.go_on(visit, &open, (cleared, &return_to)).await,
            Err(DutyError::Invalid(problems)) => {
                let (_, form) = self.asked_to_verify(visit, &open).await?;
                let form = form.ok_or_else(|| Stop::at(return_to.as_str()))?;
                let form = form.with_submitted(&fields);
                let shown = Shown {
                    form: &form,
                    sent: Some(&fields),
                    problems: &problems,
                };
                self.verification_page(visit, &open, &return_to, &shown)
            }
            Err(DutyError::UnknownField) => Err(Stop::Malformed),
            Err(DutyError::Down(error)) => Err(error.into()),
        }
    }

    fn verification_page(
        &self,
        visit: &Visit,
        open: &OpenSession,
        return_to: &ReturnTo,
        shown: &Shown<'_>,
    ) -> Result<Response<Body>, Stop> {
        let mut frame = self.titled(visit, "verify-title");
        let accept_language = visit.accept_language.as_deref();
        let view = FormView {
            form: shown.form,
            sent: shown.sent,
            problems: shown.problems,
            texts: visit.texts(),
            country: accept_language.and_then(Country::from_accept_language),
            operator: &frame.operator.clone(),
            account_types: &BTreeMap::new(),
        };
        let (problems, fields) = (view.problem_links(), view.fields());
        frame.has_problems = !problems.is_empty();
        frame.here = way_back::page_link(paths::VERIFY, return_to);
        let status = stop::status_of_form(frame.has_problems);
        let page = VerifyPage {
            frame,
            who: self.who(visit, open),
            problems,
            return_to: return_to.as_str().to_owned(),
            fields,
        };
        stop::show(status, &page)
    }
}
