//! Signing in without an identity provider: by the platform's password, or, for the time of a
//! registration, by a mailed link.

use secrecy::SecretString;

use super::finish::Admission;
use super::{Cookies, Finished, Login, LoginError};
use crate::access::{ClientContext, ReturnTo};
use crate::audit::{Event, EventKind};
use crate::identity::EmailAddress;
use crate::onboarding::{LinkError, LocalError, NewPasswordError};
use crate::telemetry::with_causes;

/// What somebody typed who signs in by password.
#[derive(Debug)]
pub struct PasswordLogin {
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: SecretString,
    /// Where to go afterwards.
    pub return_to: ReturnTo,
}

/// Why nobody was signed in without an identity provider.
#[derive(Debug, thiserror::Error)]
pub enum LocalLoginError {
    /// The password does not sign in.
    #[error(transparent)]
    Password(#[from] LocalError),
    /// The mailed link leads nowhere.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Somebody was shown to be somebody, and got no further.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl Login {
    /// Signs a user of the platform in.
    pub async fn by_password(
        &self,
        client: &ClientContext,
        wish: PasswordLogin,
        cookies: &Cookies,
    ) -> Result<Finished, LocalLoginError> {
        let onboarding = &self.parts.onboarding;
        let found = onboarding.local_user(client, &wish.email, &wish.password);
        let identity = match found.await {
            Ok(identity) => identity,
            Err(error) => {
                self.record_wrong_password(client, &error).await;
                return Err(error.into());
            }
        };
        let admission = Admission {
            identity,
            tokens: None,
            return_to: wish.return_to,
        };
        Ok(self.admit(client, admission, cookies).await?)
    }

    /// Spends the link that proves an address: whoever does this may register. A session that the
    /// browser has ends, and so does every other one of the same applicant.
    pub async fn by_mailed_link(
        &self,
        client: &ClientContext,
        token: &str,
        cookies: &Cookies,
    ) -> Result<Finished, LocalLoginError> {
        let onboarding = &self.parts.onboarding;
        let redeemed = onboarding.redeem_registration_link(&client.host, token);
        let (identity, link, spent) = redeemed.await?;
        let admission = Admission {
            identity,
            tokens: None,
            return_to: ReturnTo::parse(&link.return_to, &client.own_origin),
        };
        let admitted = self.admit_alone(client, admission, cookies).await;
        if admitted.as_ref().is_err_and(|error| error.status() == 503) {
            onboarding.give_link_back(spent).await;
        }
        Ok(admitted?)
    }

    /// Admits, and ends all other sessions first: somebody who read that mailbox before, and waits,
    /// gets no account that others make.
    async fn admit_alone(
        &self,
        client: &ClientContext,
        admission: Admission,
        cookies: &Cookies,
    ) -> Result<Finished, LoginError> {
        let (issuer, subject) = (admission.identity.issuer(), admission.identity.subject());
        self.parts.sessions.end_of(issuer, subject, None).await?;
        self.admit(client, admission, cookies).await
    }

    /// Takes a new password from whoever has the link to it, and ends that user's sessions.
    pub async fn new_password(
        &self,
        client: &ClientContext,
        token: &str,
        password: &SecretString,
    ) -> Result<(), NewPasswordError> {
        let onboarding = &self.parts.onboarding;
        let set = onboarding.set_new_password((&client.host, token), password);
        let identity = set.await?;
        let (issuer, subject) = (identity.issuer(), identity.subject());
        if let Err(down) = self.parts.sessions.end_of(issuer, subject, None).await {
            let cause = with_causes(&down);
            tracing::error!(cause, "sessions were not ended after a new password");
        }
        Ok(())
    }

    async fn record_wrong_password(&self, client: &ClientContext, error: &LocalError) {
        let reason = match error {
            LocalError::Wrong => "wrong_password",
            LocalError::TooOften => "too_often",
            LocalError::Off | LocalError::Down(_) => return,
        };
        let mut event = Event::new(self.parts.clock.now(), EventKind::LoginRefused);
        event.detail = serde_json::json!({ "provider": "platform", "reason": reason });
        self.record(client, event).await;
    }
}
