//! Proving who you are: the way to an identity provider and back, and out again.
//!
//! [`Login`] starts a login attempt, finishes it at the callback, promotes a session once its
//! registration is complete, and ends sessions. What a provider's answer must look like is in
//! [`callback`], [`jwt`] and [`claims`], all pure; the provider itself is behind
//! [`provider::IdentityProvider`].

pub mod access_tokens;
mod attempt;
pub mod bearer;
pub mod callback;
pub mod claims;
mod cookies;
mod ending;
mod error;
mod finish;
pub mod jwt;
mod local;
mod logout;
pub mod openid;
pub mod provider;
mod recheck;
mod roster;
mod step_up;
mod taking_in;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::access::{ClientContext, RequestKind, ReturnTo};
use crate::audit::{Audit, Event, EventKind};
use crate::clock::SharedClock;
use crate::identity::{ProviderId, VerifiedIdentity};
use crate::onboarding::Onboarding;
use crate::paths;
use crate::policy::StepUp;
use crate::roster::Roster;
use crate::seal::{self, KeyRing};
use crate::session::Sessions;

use access_tokens::AccessTokens;
use attempt::{Attempt, Attempts};
use provider::{AuthorizationRequest, IdentityProvider, Readiness};
use step_up::SteppingUp;

pub use callback::{CallbackProblem, CallbackQuery, ProviderRefusal};
pub use cookies::Cookies;
pub use ending::{EndError, Whom};
pub use error::{LoginError, Retry};
pub use local::{LocalLoginError, PasswordLogin};
pub use step_up::StepUpProblem;

/// How long a trip to the identity provider may take, where the operator says nothing.
pub const ATTEMPT_LIFETIME: Duration = Duration::from_mins(15);

/// What a [`Login`] is made of.
pub struct LoginParts {
    /// The identity providers, in the order in which the login page offers them.
    pub providers: Vec<Arc<dyn IdentityProvider>>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// What becomes of somebody who was proven.
    pub onboarding: Arc<Onboarding>,
    /// Whom their providers have deactivated.
    pub roster: Arc<Roster>,
    /// Where logins and logouts are kept.
    pub audit: Arc<dyn Audit>,
    /// What seals attempts.
    pub keys: Arc<KeyRing>,
    /// Where the time comes from.
    pub clock: SharedClock,
    /// How long a trip may take.
    pub attempt_lifetime: Duration,
}

/// The use cases of logging in and out.
pub struct Login {
    parts: LoginParts,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("providers", &self.providers())
            .finish_non_exhaustive()
    }
}

/// A provider that the login page offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderChoice {
    /// Its id, for [`paths::login_start`].
    pub id: ProviderId,
    /// The name that people know it by.
    pub name: String,
}

/// A login that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub redirect: Url,
    /// Set-Cookie texts.
    pub set_cookies: Vec<String>,
}

/// A login that has come as far as it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where to send the browser: a place on the own origin, or the provider again when an
    /// attempt is started over.
    pub go_to: String,
    /// Set-Cookie texts.
    pub set_cookies: Vec<String>,
}

/// Where somebody goes who comes from a registration.
pub type CarryOn = Finished;

/// A session that was ended here.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the browser ends the session at the identity provider, where that can be.
    pub end_session: Option<Url>,
    /// Set-Cookie texts.
    pub set_cookies: Vec<String>,
}

/// What a login is to be like.
#[derive(Debug, Clone)]
struct Wish {
    return_to: ReturnTo,
    another_account: bool,
    is_second: bool,
    step_up: Option<SteppingUp>,
}

impl Wish {
    /// Signing in, to go there.
    fn to(return_to: ReturnTo) -> Self {
        Self {
            return_to,
            another_account: false,
            is_second: false,
            step_up: None,
        }
    }
}

impl Login {
    /// The use cases over their parts.
    pub fn new(parts: LoginParts) -> Self {
        Self { parts }
    }

    /// The access tokens of sessions, for upstreams that want them.
    pub fn access_tokens(&self) -> AccessTokens {
        AccessTokens::new(
            self.parts.providers.clone(),
            Arc::clone(&self.parts.sessions),
            Arc::clone(&self.parts.clock),
        )
    }

    /// The providers that the login page offers.
    pub fn providers(&self) -> Vec<ProviderChoice> {
        let choice = |provider: &Arc<dyn IdentityProvider>| ProviderChoice {
            id: provider.id().clone(),
            name: provider.name().to_owned(),
        };
        self.parts.providers.iter().map(choice).collect()
    }

    /// Whether each provider can be used, for readiness.
    pub fn readiness(&self) -> Vec<(ProviderId, Readiness)> {
        let providers = self.parts.providers.iter();
        providers
            .map(|provider| (provider.id().clone(), provider.readiness()))
            .collect()
    }

    /// Starts a trip to a provider. Only navigations start one.
    pub async fn begin(
        &self,
        client: &ClientContext,
        provider: &ProviderId,
        return_to: ReturnTo,
        cookies: &Cookies,
    ) -> Result<Begun, LoginError> {
        let wish = Wish::to(return_to);
        self.start(client, provider, wish, cookies).await
    }

    /// Starts a trip on which the provider lets one choose another account.
    pub async fn begin_as_another(
        &self,
        client: &ClientContext,
        provider: &ProviderId,
        return_to: ReturnTo,
        cookies: &Cookies,
    ) -> Result<Begun, LoginError> {
        let wish = Wish {
            another_account: true,
            ..Wish::to(return_to)
        };
        self.start(client, provider, wish, cookies).await
    }

    /// Starts a trip on which whoever is signed in signs in once more, as a rule asks.
    pub async fn begin_step_up(
        &self,
        client: &ClientContext,
        (who, wanted): (&VerifiedIdentity, &StepUp),
        return_to: ReturnTo,
        cookies: &Cookies,
    ) -> Result<Begun, LoginError> {
        let Some(provider) = who.provider() else {
            return Err(LoginError::NotSteppedUp {
                problem: StepUpProblem::NoProvider,
                retry: Retry {
                    provider: None,
                    return_to,
                },
            });
        };
        let wish = Wish {
            step_up: Some(SteppingUp::of(who, wanted)),
            ..Wish::to(return_to)
        };
        self.start(client, provider, wish, cookies).await
    }

    async fn start(
        &self,
        client: &ClientContext,
        provider: &ProviderId,
        wish: Wish,
        cookies: &Cookies,
    ) -> Result<Begun, LoginError> {
        if client.kind != RequestKind::Page {
            return Err(LoginError::NotANavigation);
        }
        let provider = self.provider(provider)?;
        let attempts = self.attempts(client);
        let attempt = Attempt {
            id: seal::to_base64(&seal::random_bytes::<16>()),
            provider: provider.id().clone(),
            nonce: seal::random_token(),
            verifier: seal::random_token(),
            return_to: wish.return_to.as_str().to_owned(),
            began_at: attempts.now,
            is_second: wish.is_second,
            step_up: wish.step_up,
        };
        let request = AuthorizationRequest {
            redirect_uri: own_address(client, paths::CALLBACK)?,
            state: attempts.state(&attempt),
            nonce: attempt.nonce.clone(),
            verifier: attempt.verifier.clone().into(),
            another_account: wish.another_account,
            step_up: attempt.step_up.as_ref().map(|one| one.wanted.clone()),
        };
        let redirect = provider
            .authorization_url(&request)
            .await
            .map_err(|cause| {
                let retry = Retry {
                    provider: Some(provider.id().clone()),
                    return_to: wish.return_to,
                };
                LoginError::NotProven { cause, retry }
            })?;
        Ok(Begun {
            redirect,
            set_cookies: attempts.keep(&attempt, cookies),
        })
    }

    fn provider(&self, id: &ProviderId) -> Result<&Arc<dyn IdentityProvider>, LoginError> {
        self.parts
            .providers
            .iter()
            .find(|provider| provider.id() == id)
            .ok_or(LoginError::UnknownProvider)
    }

    fn attempts<'a>(&'a self, client: &'a ClientContext) -> Attempts<'a> {
        Attempts {
            keys: &self.parts.keys,
            host: &client.host,
            lifetime: self.parts.attempt_lifetime,
            now: self.parts.clock.now(),
        }
    }

    /// Keeps an event; the login goes on should that fail, and the log says so.
    async fn record(&self, client: &ClientContext, event: Event) {
        let event = Event {
            host: Some(client.host.clone()),
            client_address: Some(client.client),
            reference: Some(client.reference.clone()),
            ..event
        };
        self.parts.audit.keep(event).await;
    }

    fn event(&self, kind: EventKind, identity: &VerifiedIdentity) -> Event {
        let mut event = Event::new(self.parts.clock.now(), kind);
        event.who = Some((identity.issuer().clone(), identity.subject().clone()));
        event.detail = serde_json::json!({ "provider": identity.vouched_by().as_str() });
        event
    }
}

/// One of the gateway's pages as an absolute address on the host that was asked.
fn own_address(client: &ClientContext, path: &str) -> Result<Url, LoginError> {
    Url::parse(&client.own_origin)
        .and_then(|origin| origin.join(path))
        .map_err(LoginError::OwnOrigin)
}
