//! Ending all sessions of somebody, on every host and node, at an operator's word.

use super::Login;
use crate::audit::{Event, EventKind};
use crate::identity::{EmailAddress, Issuer, Subject, UserId};
use crate::onboarding::OnboardingError;
use crate::session::StoreDown;

/// Whose sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// A user of the platform, whoever they sign in as.
    User(UserId),
    /// The platform's user with this address.
    Email(EmailAddress),
    /// One identity, also before it has an account.
    Identity(Issuer, Subject),
}

/// Why not all sessions were ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The platform has no user with the address.
    #[error("the platform has no user with this address")]
    NoSuchUser,
    /// Nobody has ever signed in as the user.
    #[error("nobody signs in as this user")]
    NobodyLinked,
    /// The database or the platform does not answer.
    #[error("who that is cannot be looked up")]
    LookUp(#[from] OnboardingError),
    /// The session store does not answer.
    #[error(transparent)]
    Store(#[from] StoreDown),
}

impl Login {
    /// Ends all sessions of somebody; gives how many there were.
    pub async fn end_sessions(&self, whom: Whom) -> Result<usize, EndError> {
        let onboarding = &self.parts.onboarding;
        let identities = match whom {
            Whom::User(user) => self.all_of(&user).await?,
            Whom::Email(email) => {
                let user = onboarding.user_by_email(&email).await?;
                self.all_of(&user.ok_or(EndError::NoSuchUser)?).await?
            }
            Whom::Identity(issuer, subject) => vec![(issuer, subject)],
        };
        let mut ended = 0;
        for (issuer, subject) in identities {
            ended += self.parts.sessions.end_of(&issuer, &subject, None).await?;
            let mut event = Event::new(self.parts.clock.now(), EventKind::Operator);
            event.who = Some((issuer, subject));
            event.detail = serde_json::json!({ "did": "end_sessions" });
            self.parts.audit.keep(event).await;
        }
        tracing::info!(ended, "an operator ended sessions");
        Ok(ended)
    }

    /// As whom a user signs in, and as whom they did who are signed in here as that user.
    async fn all_of(&self, user: &UserId) -> Result<Vec<(Issuer, Subject)>, EndError> {
        let mut all = self.parts.onboarding.identities_of(user).await?;
        for session in self.parts.sessions.in_use() {
            let identity = &session.record.identity;
            let who = (identity.issuer().clone(), identity.subject().clone());
            let is_theirs = session
                .record
                .account()
                .is_some_and(|own| own.user == *user);
            if is_theirs && !all.contains(&who) {
                all.push(who);
            }
        }
        if all.is_empty() {
            return Err(EndError::NobodyLinked);
        }
        Ok(all)
    }
}
