//! Why a login got nowhere, in words that a page can act on.

use crate::access::ReturnTo;
use crate::identity::ProviderId;
use crate::onboarding::{OnboardingError, TurnedAway};
use crate::roster::RosterError;
use crate::session::StoreDown;

use super::callback::{CallbackProblem, ProviderRefusal};
use super::provider::ProviderError;
use super::step_up::StepUpProblem;

/// How to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// By which provider; none leads to the login page.
    pub provider: Option<ProviderId>,
    /// Where to go afterwards.
    pub return_to: ReturnTo,
}

/// Why a login got nowhere. No session was made or altered, except that one that was turned away
/// at [`super::Login::carry_on`] has ended.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no provider of this id.
    #[error("there is no such identity provider")]
    UnknownProvider,
    /// Something else than a person's navigation asked: a script, an image, a prefetch.
    #[error("only a navigation logs in")]
    NotANavigation,
    /// The provider's answer has not the form of one.
    #[error("the identity provider's answer is not understood")]
    Callback(#[from] CallbackProblem),
    /// The answer's `state` was not made by this gateway for this host.
    #[error("the answer belongs to no login of this gateway")]
    UnknownState,
    /// The answer belongs to a login that this browser did not start, or that is over.
    #[error("the answer belongs to a login that this browser has not under way")]
    AttemptLost {
        /// How to try again.
        retry: Retry,
    },
    /// The provider gave no code.
    #[error("the identity provider refused: {}", refusal.as_str())]
    ProviderRefused {
        /// What it says.
        refusal: ProviderRefusal,
        /// How to try again.
        retry: Retry,
    },
    /// The provider is down, or what it gave proves nothing.
    #[error("the identity provider proved nothing")]
    NotProven {
        /// Why.
        #[source]
        cause: ProviderError,
        /// How to try again.
        retry: Retry,
    },
    /// Somebody was proven who is not let in.
    #[error("the person is not let in")]
    TurnedAway {
        /// Why.
        reason: TurnedAway,
        /// By which provider, and where to go with another account.
        retry: Retry,
    },
    /// Somebody who is signed in has not signed in as a rule asks.
    #[error("the person has not signed in as a rule asks")]
    NotSteppedUp {
        /// Why.
        #[source]
        problem: StepUpProblem,
        /// How to try again.
        retry: Retry,
    },
    /// The session store does not answer.
    #[error("the session store does not answer")]
    StoreDown(#[source] Option<StoreDown>),
    /// Whether the provider has deactivated the person cannot be told.
    #[error("the roster does not answer")]
    Roster(#[from] RosterError),
    /// What becomes of the person cannot be worked out.
    #[error("onboarding does not answer")]
    Onboarding(#[from] OnboardingError),
    /// The configured origin is no URL.
    #[error("the configured origin is no URL")]
    OwnOrigin(#[source] url::ParseError),
}

impl From<StoreDown> for LoginError {
    fn from(down: StoreDown) -> Self {
        Self::StoreDown(Some(down))
    }
}

impl LoginError {
    /// The HTTP status that fits.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownProvider => 404,
            Self::NotANavigation => 401,
            Self::Callback(_) | Self::UnknownState | Self::AttemptLost { .. } => 400,
            Self::ProviderRefused { refusal, .. } => match refusal {
                ProviderRefusal::AccessDenied | ProviderRefusal::NeedsInteraction => 403,
                ProviderRefusal::Unavailable => 503,
                ProviderRefusal::BadRequest | ProviderRefusal::Unnamed => 502,
            },
            Self::NotProven { cause, .. } if cause.is_passing() => 503,
            Self::NotProven { .. } => 502,
            Self::TurnedAway { .. } | Self::NotSteppedUp { .. } => 403,
            Self::StoreDown(_) | Self::Roster(_) | Self::Onboarding(_) => 503,
            Self::OwnOrigin(_) => 500,
        }
    }

    /// How to try again, where that can help.
    pub fn retry(&self) -> Option<&Retry> {
        match self {
            Self::AttemptLost { retry }
            | Self::ProviderRefused { retry, .. }
            | Self::NotProven { retry, .. }
            | Self::TurnedAway { retry, .. }
            | Self::NotSteppedUp { retry, .. } => Some(retry),
            _ => None,
        }
    }
}
