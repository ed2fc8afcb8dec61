//! The seam to identity providers: what a login asks of one, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::identity::{ProviderId, Subject, VerifiedIdentity};
use crate::outbound::OutboundError;
use crate::policy::StepUp;
use crate::session::IdpTokens;

use super::claims::ClaimsProblem;
use super::jwt::TokenProblem;

/// What to put into an authorization request (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    /// Where the browser comes back to.
    pub redirect_uri: Url,
    /// Opaque to the provider; comes back with the answer.
    pub state: String,
    /// Comes back inside the ID token.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636); only its S256 challenge is sent.
    pub verifier: SecretString,
    /// Whether the provider shall let one choose another account.
    pub another_account: bool,
    /// How the person shall sign in, where that is asked for.
    pub step_up: Option<StepUp>,
}

/// What a callback brought, together with what the attempt remembers.
#[derive(Debug)]
pub struct Redemption {
    /// `code`.
    pub code: SecretString,
    /// `iss` of the answer (RFC 9207), unverified.
    pub answer_issuer: Option<String>,
    /// The redirect URI of the request.
    pub redirect_uri: Url,
    /// The PKCE verifier of the request.
    pub verifier: SecretString,
    /// The nonce of the request.
    pub nonce: String,
}

/// What a redeemed code proved.
#[derive(Debug)]
pub struct Proven {
    /// Who.
    pub identity: VerifiedIdentity,
    /// The tokens, for logout and later use.
    pub tokens: IdpTokens,
}

/// What a refresh token was exchanged for.
#[derive(Debug)]
pub struct Renewed {
    /// The new access token.
    pub access_token: SecretString,
    /// How long it is good for, where the provider says.
    pub life: Option<Duration>,
    /// The ID token that came with it, if one did; nothing in it is judged yet.
    pub id_token: Option<SecretString>,
    /// The refresh token that takes the place of the old one, where there is one.
    pub refresh_token: Option<SecretString>,
}

/// What to put into a logout request (OpenID Connect RP-Initiated Logout 1.0, section 2).
#[derive(Debug, Clone)]
pub struct EndSession {
    /// The ID token that began the session.
    pub id_token: Option<SecretString>,
    /// Where the browser comes back to.
    pub return_to: Url,
    /// Opaque to the provider; comes back with the browser.
    pub state: String,
}

/// Whether a provider can be used.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// Its metadata and keys are known.
    Ready,
    /// Its metadata or keys were never got; a login starts another try.
    NotReady {
        /// Why, where a try has failed.
        reason: Option<Arc<ProviderError>>,
    },
}

/// Why a provider proved nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It cannot be reached, or does not answer in time and size.
    #[error("the identity provider does not answer")]
    Unreachable(#[source] OutboundError),
    /// It has failed a moment ago and is not asked again before the next try is due.
    #[error("the identity provider is not ready: {reason}")]
    NotReady {
        /// Why the last try failed.
        reason: Arc<ProviderError>,
    },
    /// It answered with a status that is no answer.
    #[error("the identity provider answered with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Its metadata cannot be understood.
    #[error("the identity provider's metadata cannot be understood")]
    Metadata(#[source] serde_json::Error),
    /// Its metadata names another issuer than the configured one.
    #[error("the identity provider's metadata names the issuer `{found}`")]
    ForeignMetadata {
        /// The issuer that it names, cut to a readable length.
        found: String,
    },
    /// An address in its metadata is not `https`.
    #[error("the identity provider's {endpoint} is not https")]
    InsecureEndpoint {
        /// Which.
        endpoint: &'static str,
    },
    /// Its metadata lacks something that the code flow needs.
    #[error("the identity provider's metadata has no {what}")]
    Incomplete {
        /// What.
        what: &'static str,
    },
    /// Its key set cannot be understood, or has no key that could be used.
    #[error("the identity provider's key set has no usable key")]
    Keys,
    /// The answer comes from another issuer, or does not say from which (RFC 9207).
    #[error("the answer does not come from the issuer that was asked")]
    ForeignAnswer,
    /// It refused the code: spent, expired or not its own.
    #[error("the identity provider refused the code")]
    CodeRefused,
    /// It refused the gateway's own credentials.
    #[error("the identity provider refused the gateway's client credentials")]
    ClientRefused,
    /// Its token answer cannot be understood.
    #[error("the identity provider's token answer cannot be understood")]
    TokenAnswer,
    /// Its ID token has no valid form or signature.
    #[error("the ID token is not genuine")]
    Token(#[from] TokenProblem),
    /// Its ID token says something else than it must.
    #[error("the ID token is not for this login")]
    Claims(#[from] ClaimsProblem),
    /// Its userinfo answer cannot be understood, or is about somebody else.
    #[error("the userinfo answer is not about the subject of the ID token")]
    Userinfo,
}

impl ProviderError {
    /// Whether the provider is at fault for being down, so that trying later can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NotReady { .. } => true,
            Self::Status { status } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// How long to wait before trying again.
    pub const RETRY_AFTER: Duration = Duration::from_secs(5);
}

/// Somebody who can prove who a person is.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// Its configured id.
    fn id(&self) -> &ProviderId;

    /// The name that people know it by.
    fn name(&self) -> &str;

    /// Where to send the browser.
    async fn authorization_url(&self, request: &AuthorizationRequest)
    -> Result<Url, ProviderError>;

    /// Exchanges a code for a verified identity. The answer's issuer is checked before the code is
    /// sent anywhere.
    async fn redeem(&self, redemption: Redemption) -> Result<Proven, ProviderError>;

    /// Whether an answer that brings no code comes from this provider, by the issuer that it names
    /// (RFC 9207).
    async fn check_answer_issuer(&self, found: Option<&str>) -> Result<(), ProviderError>;

    /// Exchanges a refresh token for a new access token (RFC 6749, section 6); none where the
    /// provider takes it no longer. An ID token that comes with it is of this subject (OpenID
    /// Connect Core 1.0, section 12.2), or the answer is refused.
    async fn refresh(
        &self,
        refresh_token: &SecretString,
        subject: &Subject,
    ) -> Result<Option<Renewed>, ProviderError>;

    /// Gives a session's refresh token back, so that nobody uses it any more (RFC 7009); does
    /// nothing where there is none, or the provider takes none back.
    async fn revoke(&self, tokens: &IdpTokens) -> Result<(), ProviderError>;

    /// Where to send the browser to end the session there; none where the provider has no such
    /// page or is not known yet.
    fn end_session_url(&self, end: &EndSession) -> Option<Url>;

    /// Whether it can be used.
    fn readiness(&self) -> Readiness;
}
