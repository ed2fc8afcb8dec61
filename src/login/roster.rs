//! Keeps out whom their identity provider has deactivated, also if that comes while they sign in:
//! it is looked before anything is done for them, and again once their session is there. Whoever
//! blocks somebody does so first and ends sessions then, so that one of the two sees the other.

use super::{Login, LoginError};
use crate::identity::VerifiedIdentity;
use crate::onboarding::{NextStep, OnboardingError, TurnedAway};
use crate::session::{SessionId, StoreDown};

impl Login {
    /// What comes next for somebody who is not blocked.
    pub(super) async fn next_unless_blocked(
        &self,
        identity: &VerifiedIdentity,
        next: impl Future<Output = Result<NextStep, OnboardingError>> + Send,
    ) -> Result<NextStep, LoginError> {
        if self.parts.roster.blocks(identity).await? {
            return Ok(NextStep::TurnedAway(TurnedAway::Disabled));
        }
        self.parts.roster.remember(identity).await?;
        Ok(next.await?)
    }

    /// Ends a session that has just begun if its user was blocked meanwhile; whether it goes on.
    pub(super) async fn goes_on(
        &self,
        identity: &VerifiedIdentity,
        id: &SessionId,
    ) -> Result<bool, LoginError> {
        let is_blocked = self.parts.roster.blocks(identity).await;
        if matches!(is_blocked, Ok(false)) {
            return Ok(true);
        }
        let ended: Result<(), StoreDown> = self.parts.sessions.end(id).await;
        ended?;
        is_blocked.map(|_| false).map_err(LoginError::from)
    }
}
