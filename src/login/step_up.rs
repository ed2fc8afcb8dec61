//! Signing in once more, more strongly or anew, because a rule asks for it (RFC 9470): what was
//! asked, and whether the answer is one to that (pure).

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject, VerifiedIdentity};
use crate::policy::StepUp;
use crate::policy::step_up::{Shortfall, SignIn};

/// A step-up that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteppingUp {
    /// What is asked for.
    #[serde(rename = "w")]
    pub wanted: StepUp,
    /// Who is to sign in again.
    #[serde(rename = "i")]
    issuer: Issuer,
    /// Who is to sign in again.
    #[serde(rename = "s")]
    subject: Subject,
}

/// Why somebody did not step up. The session that they had stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepUpProblem {
    /// The identity provider has confirmed less than was asked for.
    #[error("the identity provider has not confirmed what was asked for")]
    Lacking(#[source] Shortfall),
    /// Somebody else has signed in.
    #[error("somebody else has signed in")]
    SomebodyElse,
    /// They signed in by a password of the platform, which confirms no class.
    #[error("nobody signs in more strongly than by the platform's password")]
    NoProvider,
}

impl StepUpProblem {
    /// The word for audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lacking(Shortfall::Class) => "step_up_class",
            Self::Lacking(Shortfall::Age) => "step_up_age",
            Self::SomebodyElse => "step_up_somebody_else",
            Self::NoProvider => "step_up_no_provider",
        }
    }
}

impl SteppingUp {
    /// A step-up of whoever has this identity.
    pub fn of(identity: &VerifiedIdentity, wanted: &StepUp) -> Self {
        Self {
            wanted: wanted.clone(),
            issuer: identity.issuer().clone(),
            subject: identity.subject().clone(),
        }
    }

    /// Whether it is the same person, who has signed in as was asked for.
    pub fn judge(&self, proven: &VerifiedIdentity, now: Timestamp) -> Result<(), StepUpProblem> {
        if (proven.issuer(), proven.subject()) != (&self.issuer, &self.subject) {
            return Err(StepUpProblem::SomebodyElse);
        }
        let lacks = self.wanted.shortfall(&SignIn::of_identity(proven), now);
        lacks.map_or(Ok(()), |lacks| Err(StepUpProblem::Lacking(lacks)))
    }
}
