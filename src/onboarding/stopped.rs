//! Why carrying a registration on stops short, and what the platform's refusals mean for it.

use std::time::Duration;

use super::OnboardingError;
use super::progress::Failure;
use crate::mail::CourierError;
use crate::platform::PlatformError;

/// How long the platform may take for one call.
const CALL: Duration = Duration::from_secs(10);

/// Why carrying on stopped short.
pub(super) enum Stopped {
    /// Somebody else holds the lease, or the work is done.
    NotOurs,
    /// The platform is to be asked again later.
    Later(PlatformError),
    /// A letter is to be sent again later.
    Unsent(CourierError),
    /// The step can never succeed.
    Never(Failure),
    /// The store cannot answer; the lease runs out by itself.
    Down(OnboardingError),
}

impl<E: Into<OnboardingError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Down(error.into())
    }
}

/// The platform did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", CALL.as_secs())]
struct NoAnswer;

/// Waits for the platform, but not for ever.
pub(super) async fn in_time<T>(
    call: impl Future<Output = Result<T, PlatformError>>,
) -> Result<T, PlatformError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(PlatformError::Unreachable(Box::new(NoAnswer))),
    }
}

/// Whether a refusal passes or stays.
pub(super) fn judge(error: PlatformError) -> Stopped {
    match error {
        PlatformError::EmailTaken => Stopped::Never(Failure::EmailTaken),
        PlatformError::NameTaken => Stopped::Never(Failure::NameTaken),
        PlatformError::CodeTaken => Stopped::Never(Failure::CodeTaken),
        PlatformError::Refused { field } => Stopped::Never(Failure::Refused { field }),
        passing @ (PlatformError::Unreachable(_)
        | PlatformError::Busy { .. }
        | PlatformError::Full { .. }
        | PlatformError::NotSetUp { .. }
        | PlatformError::NotAllowed
        | PlatformError::Garbled(_)) => Stopped::Later(passing),
    }
}
