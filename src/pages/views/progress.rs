//! The progress page.

use askama::Template;

use super::{Frame, Way, Who};

/// Progress of the provisioning.
#[derive(Debug, Template)]
#[template(path = "pages/progress.html")]
pub struct ProgressPage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is.
    pub who: Who,
    /// The steps, in order.
    pub steps: Vec<StepView>,
    /// How it stands.
    pub outcome: Outcome,
}

/// A step of the provisioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// What is made.
    pub label: String,
    /// How far it is.
    pub state: StepState,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// It is made.
    Done,
    /// It is being made.
    Running,
    /// Its turn comes.
    Waiting,
}

impl StepState {
    fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Done => "progress-state-done",
            Self::Running => "progress-state-running",
            Self::Waiting => "progress-state-waiting",
        }
    }

    fn is_running(self) -> bool {
        self == Self::Running
    }
}

/// How the provisioning stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Open {
        /// Whether it takes longer than people wait.
        slow: bool,
    },
    /// It is somebody else's turn.
    Waiting {
        /// Whose.
        title: String,
        /// What they do.
        text: String,
    },
    /// It needs a hand.
    Failed {
        /// The key of the heading.
        title: &'static str,
        /// What is kept, and what is not.
        lead: String,
        /// The key of what happens next, or of what to put right.
        sentence: &'static str,
        /// The reference to quote.
        reference: String,
        /// The way on.
        way_on: Way,
    },
}

impl Outcome {
    /// After how many seconds the page looks again by itself, without a script.
    fn looks_again_after(&self) -> Option<u8> {
        match self {
            Self::Open { .. } => Some(3),
            Self::Waiting { .. } => Some(15),
            Self::Failed { .. } => None,
        }
    }
}
