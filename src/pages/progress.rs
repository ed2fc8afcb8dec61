//! Progress of a registration.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::login::page_link;
use super::stop::{self, Stop};
use super::views::{Outcome, ProgressPage, StepState, StepView, Way};
use super::visit::Visit;
use crate::access::ReturnTo;
use crate::language::Texts;
use crate::onboarding::{
    Asked, Failure, ProgressReport, ProgressStanding, StepKind, StepState as Recorded,
};
use crate::paths;
use crate::session::OpenSession;

/// How far the registration is. Safe to reload: it only looks.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.progress_page(&visit).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn progress_page(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let open = self.pending(visit).await?;
        let report = self
            .parts
            .onboarding
            .progress(&open.record.identity)
            .await?;
        let report = report.ok_or_else(|| Stop::at(paths::REGISTER))?;
        let outcome = match &report.standing {
            ProgressStanding::Completed => return Err(Stop::at(paths::CONTINUE)),
            ProgressStanding::Working => Outcome::Open { slow: false },
            ProgressStanding::Slow => Outcome::Open { slow: true },
            ProgressStanding::Waiting(asked) => self.waiting(visit, asked),
            ProgressStanding::Failed(failure) => failed(visit.texts(), &report, failure),
        };
        stop::show(
            StatusCode::OK,
            &self.progress_view(visit, &open, &report, outcome),
        )
    }

    fn progress_view(
        &self,
        visit: &Visit,
        open: &OpenSession,
        report: &ProgressReport,
        outcome: Outcome,
    ) -> ProgressPage {
        let frame = match &outcome {
            Outcome::Open { .. } => self.titled(visit, "progress-title"),
            Outcome::Waiting { title, .. } => self.frame(visit, title.clone()),
            Outcome::Failed { title, .. } => self.titled(visit, title),
        };
        ProgressPage {
            frame,
            who: self.who(visit, open),
            steps: steps(visit.texts(), &report.steps),
            outcome,
        }
    }
}

impl Pages {
    /// Somebody else's turn: a customer's administrators, or the operator.
    fn waiting(&self, visit: &Visit, asked: &Asked) -> Outcome {
        let texts = visit.texts();
        let operator = self.frame(visit, "").operator;
        let (title, text, customer) = match asked {
            Asked::Administrators(customer) => (
                "waiting-title-customer",
                "waiting-text-customer",
                customer.name.as_str(),
            ),
            Asked::BackOffice => ("waiting-title-operator", "waiting-text-operator", ""),
        };
        let values = [("customer", customer), ("operator", operator.as_str())];
        Outcome::Waiting {
            title: texts.get_with(title, &values).into_owned(),
            text: texts.get_with(text, &values).into_owned(),
        }
    }
}

/// The first step that is not done is the one that is being made, also before it has begun: one
/// thing is always going on.
fn steps(texts: Texts, recorded: &[(StepKind, Recorded)]) -> Vec<StepView> {
    let current = recorded
        .iter()
        .position(|(_, state)| *state != Recorded::Done);
    let view = |(position, (kind, state)): (usize, &(StepKind, Recorded))| StepView {
        label: texts.get(label_of(*kind)).into_owned(),
        state: match state {
            Recorded::Done => StepState::Done,
            _ if current == Some(position) => StepState::Running,
            Recorded::Planned | Recorded::Begun | Recorded::Undone => StepState::Waiting,
        },
    };
    recorded.iter().enumerate().map(view).collect()
}

fn label_of(kind: StepKind) -> &'static str {
    match kind {
        StepKind::CreateCustomer => "progress-step-customer",
        StepKind::CreateLocation => "progress-step-location",
        StepKind::CreateUser => "progress-step-user",
    }
}

/// What can be put right leads back to the form; for the rest somebody else is needed.
fn failed(texts: Texts, report: &ProgressReport, failure: &Failure) -> Outcome {
    let ours = ("progress-failed-title", "progress-failed-text");
    let refused = ("refused-request-title", "refused-request-lead");
    let expired = ("expired-request-title", "refused-request-lead");
    let ((title, lead), sentence, way) = match failure {
        Failure::EmailTaken => (ours, "error-email-taken", "progress-failed-again"),
        Failure::NameTaken => (ours, "error-name-taken", "progress-failed-again"),
        Failure::CodeTaken => (ours, "error-code-taken", "progress-failed-again"),
        Failure::Refused { .. } => (ours, "progress-failed-refused", "progress-failed-again"),
        Failure::LinkedElsewhere => (ours, "progress-failed-next", "error-try-again"),
        Failure::Rejected => (refused, "refused-request-text", "refused-other-account"),
        Failure::NotAnswered => (expired, "expired-request-text", "expired-request-again"),
    };
    let href = match failure {
        Failure::Rejected => page_link(&ReturnTo::home(), true),
        _ => paths::REGISTER.to_owned(),
    };
    Outcome::Failed {
        title,
        lead: texts.get(lead).into_owned(),
        sentence,
        reference: report.id.as_str().to_owned(),
        way_on: Way {
            href,
            text: texts.get(way).into_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn states(recorded: [Recorded; 3]) -> Vec<StepState> {
        let all: Vec<_> = StepKind::ALL.into_iter().zip(recorded).collect();
        steps(Language::En.texts(), &all)
            .into_iter()
            .map(|step| step.state)
            .collect()
    }

    #[test]
    fn one_step_is_always_going_on_until_all_are_done() {
        use StepState::{Done, Running, Waiting};
        let [planned, begun, done] = [Recorded::Planned, Recorded::Begun, Recorded::Done];
        assert_eq!(states([planned; 3]), [Running, Waiting, Waiting]);
        assert_eq!(states([done, begun, planned]), [Done, Running, Waiting]);
        assert_eq!(states([done, done, planned]), [Done, Done, Running]);
        assert_eq!(states([done; 3]), [Done; 3]);
    }
}
