//! Progress of a registration.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::stop::{self, Stop};
use super::views::{Outcome, ProgressPage, StepState, StepView, Way};
use super::visit::Visit;
use crate::language::Texts;
use crate::onboarding::{
    Failure, ProgressReport, ProgressStanding, StepKind, StepState as Recorded,
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
        let title = if matches!(outcome, Outcome::Open { .. }) {
            "progress-title"
        } else {
            "progress-failed-title"
        };
        ProgressPage {
            frame: self.titled(visit, title),
            who: self.who(visit, open),
            steps: steps(visit.texts(), &report.steps),
            outcome,
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

/// What can be put right leads back to the form; for the rest the operator is needed.
fn failed(texts: Texts, report: &ProgressReport, failure: &Failure) -> Outcome {
    let (sentence, way) = match failure {
        Failure::EmailTaken => ("error-email-taken", "progress-failed-again"),
        Failure::NameTaken => ("error-name-taken", "progress-failed-again"),
        Failure::CodeTaken => ("error-code-taken", "progress-failed-again"),
        Failure::Refused { .. } => ("progress-failed-refused", "progress-failed-again"),
        Failure::LinkedElsewhere => ("progress-failed-next", "error-try-again"),
    };
    Outcome::Failed {
        sentence: texts.get(sentence).into_owned(),
        reference: report.id.as_str().to_owned(),
        way_on: Way {
            href: paths::REGISTER.to_owned(),
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
