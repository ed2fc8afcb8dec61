//! The platform's own passwords: whoever has the right one is that user, and whoever reads the mail
//! of the user's address can choose a new one.

use std::time::Duration;

use secrecy::SecretString;

use super::draft::Draft;
use super::password::PasswordProblem;
use super::proof_store::{NewCode, ProofLimits};
use super::store::{LinkedBy, NewLink};
use super::{LinkError, LinkRequest, LinkStep, Onboarding, OnboardingError};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::identity::{Account, EmailAddress, LocalUser, UserId, VerifiedIdentity};
use crate::platform::{PasswordCheck, PlatformUser};
use crate::rate_limit::Network;
use crate::seal;
use crate::telemetry::with_causes;

/// Tries are counted over this time.
const COUNTED_OVER: Duration = Duration::from_mins(15);
/// Tries for one account from one network.
const TRIES_FROM_NETWORK: u32 = 10;
/// Tries for one account from anywhere. It is more, so that nobody is easily locked out by others.
const TRIES_PER_ACCOUNT: u32 = 50;

/// Why a password does not sign in.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Nobody signs in by password here.
    #[error("nobody signs in by password here")]
    Off,
    /// The password is wrong, or there is no such user, or none that is let in.
    #[error("address or password is wrong")]
    Wrong,
    /// Too many tries.
    #[error("too many tries")]
    TooOften,
    /// Onboarding cannot answer.
    #[error(transparent)]
    Down(#[from] OnboardingError),
}

/// Why a new password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// It is not one to take; the link still counts.
    #[error("the password is not one to take")]
    Problem(PasswordProblem),
    /// The link leads nowhere.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Onboarding {
    /// Whether people sign in by the platform's password.
    pub fn has_local_login(&self) -> bool {
        let policy = self.parts.policy.current();
        policy.onboarding.local_login.enabled && self.parts.platform.capabilities().passwords
    }

    /// Whether people choose a new password here, by a mailed link.
    pub fn gives_new_passwords(&self) -> bool {
        self.has_local_login() && self.parts.platform.capabilities().new_passwords
    }

    /// Whether people register by a mailed link.
    pub fn has_self_registration(&self) -> bool {
        self.parts
            .policy
            .current()
            .onboarding
            .self_registration
            .enabled
    }

    /// The user whose address and password these are. Unknown users take as long, and count.
    pub async fn local_user(
        &self,
        client: &ClientContext,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<VerifiedIdentity, LocalError> {
        if !self.has_local_login() {
            return Err(LocalError::Off);
        }
        let (entry, limits) = self.password_try(client, email);
        let counted = self.parts.proofs.count_try(&entry, limits).await;
        if !counted.map_err(OnboardingError::from)? {
            return Err(LocalError::TooOften);
        }
        let platform = &self.parts.platform;
        let checked = platform.check_password(email, password).await;
        let PasswordCheck::Right(user) = checked.map_err(OnboardingError::from)? else {
            return Err(LocalError::Wrong);
        };
        let identity = VerifiedIdentity::of_local_user(&LocalUser {
            platform: platform.id().clone(),
            user: user.id.clone(),
            email: user.email.clone(),
            authenticated_at: self.parts.clock.now(),
        });
        self.link_local_user(&identity, &user).await?;
        Ok(identity)
    }

    /// Takes a new password from somebody who has the link to it; gives who it is.
    pub async fn set_new_password(
        &self,
        (host, token): (&str, &str),
        password: &SecretString,
    ) -> Result<VerifiedIdentity, NewPasswordError> {
        let link = self
            .look_at_link(LinkStep::NewPassword, host, token)
            .await?;
        let demand = self.demand().await.map_err(LinkError::from)?;
        demand
            .judge(password, &[link.email.as_str()])
            .map_err(NewPasswordError::Problem)?;
        let (user, spent) = self.redeem_password_link(host, token).await?;
        let platform = &self.parts.platform;
        match platform.set_password(&user.id, password).await {
            Ok(true) => {}
            Ok(false) => return Err(LinkError::Dead.into()),
            Err(error) => {
                self.give_link_back(spent).await;
                return Err(LinkError::Down(error.into()).into());
            }
        }
        let identity = VerifiedIdentity::of_local_user(&LocalUser {
            platform: platform.id().clone(),
            user: user.id,
            email: user.email,
            authenticated_at: self.parts.clock.now(),
        });
        let mut event = self.event(EventKind::Proof, &self.who(&identity));
        event.host = Some(host.to_owned());
        event.detail = serde_json::json!({ "proof": "new_password" });
        self.keep(event).await;
        Ok(identity)
    }

    /// Mails a link to choose a password to whoever registered by mail and has none: what was chosen
    /// is erased when a registration fails, so that an operator's retry has none to give.
    pub(super) async fn mail_missing_password(&self, draft: &Draft, user: &UserId) {
        if !draft.identity.is_by_mail() || !self.gives_new_passwords() {
            return;
        }
        let made = self.parts.platform.user(user).await;
        let lacks_one = made.is_ok_and(|user| user.is_some_and(|user| !user.has_password));
        if !lacks_one {
            return;
        }
        let request = LinkRequest {
            step: LinkStep::NewPassword,
            email: draft.email.clone(),
            host: draft.host.clone(),
            language: draft.language,
            return_to: "/".to_owned(),
        };
        if let Err(error) = self.write_link(&request).await {
            let error = with_causes(&error);
            tracing::warn!(error, "somebody without a password could not be told");
        }
    }

    fn password_try(&self, client: &ClientContext, email: &EmailAddress) -> (NewCode, ProofLimits) {
        let now = self.parts.clock.now();
        let platform = self.parts.platform.id().as_str();
        let account = email.folded();
        let network = Network::of(client.client).to_string();
        let context = seal::digest_parts(&["local", platform, &account, &network]);
        let target = seal::digest_parts(&["local", platform, &account]);
        let entry = NewCode::of_try(context, target, now);
        let limits = ProofLimits {
            since: now.minus(COUNTED_OVER),
            per_context: TRIES_FROM_NETWORK,
            per_target: TRIES_PER_ACCOUNT,
        };
        (entry, limits)
    }

    /// Links a user who signs in by password for the first time: the password is the proof.
    async fn link_local_user(
        &self,
        identity: &VerifiedIdentity,
        user: &PlatformUser,
    ) -> Result<(), OnboardingError> {
        let who = self.who(identity);
        if self.parts.store.link(&who).await?.is_some() {
            return Ok(());
        }
        let link = NewLink {
            account: Account {
                platform: who.platform.clone(),
                user: user.id.clone(),
                customer: user.customer.clone(),
                account_type: user.account_type,
            },
            who,
            by: LinkedBy::Proof,
            at: self.parts.clock.now(),
        };
        // A parallel login may have linked the same user to itself.
        if self.parts.store.add_link(&link, None).await? {
            let mut event = self.event(EventKind::Linked, &link.who);
            event.account = Some(link.account.clone());
            event.detail = serde_json::json!({ "by": link.by.as_str(), "proof": "password" });
            self.keep(event).await;
        }
        Ok(())
    }
}
