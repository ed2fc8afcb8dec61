//! The platform's own tokens for the users of sessions, where it makes any: asked for by the
//! gateway, checked again each time, and taken back when a session ends.

use std::sync::Arc;

use secrecy::SecretString;

use super::Platform;
use super::tokens::{HeldToken, HeldTokens, NoToken, Wanted};
use crate::clock::SharedClock;
use crate::identity::Account;
use crate::telemetry::with_causes;

/// The platform's own tokens for the users of sessions.
pub struct UserTokens {
    platform: Arc<dyn Platform>,
    held: HeldTokens,
}

impl std::fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserTokens")
            .field("platform", self.platform.id())
            .finish_non_exhaustive()
    }
}

impl UserTokens {
    /// Of this platform.
    pub fn new(platform: Arc<dyn Platform>, clock: SharedClock) -> Self {
        Self {
            platform,
            held: HeldTokens::new(clock),
        }
    }

    /// The session's token, if it is in hand; never waits. With it, whether it is time for another.
    pub fn ready(&self, session: &str) -> Option<(Arc<HeldToken>, bool)> {
        self.held.ready(session)
    }

    /// The session's token, asked for where it has to be.
    pub async fn fetch(
        &self,
        session: &str,
        account: &Account,
        wanted: Wanted,
    ) -> Result<Arc<HeldToken>, NoToken> {
        let ask = || self.platform.user_token(account);
        self.held.fetch(session, wanted, ask).await
    }

    /// Gives up a token that the platform did not take.
    pub fn give_up(&self, session: &str, refused: &HeldToken) {
        self.held.give_up(session, refused);
    }

    /// The session is over: the platform is told not to take its token any more, nor the one that
    /// the browser showed.
    pub async fn revoke(&self, session: &str, shown: Option<SecretString>) {
        let held = self.held.take(session).map(|held| held.value().clone());
        for token in held.into_iter().chain(shown) {
            if let Err(error) = self.platform.revoke_token(&token).await {
                let error = with_causes(&error);
                tracing::info!(error, "a user's token lives until it ends by itself");
            }
        }
    }
}
