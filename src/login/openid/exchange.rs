//! The conversation of the code flow: the authorization request, the token request, userinfo.
//!
//! Requests are made by the `openidconnect` crate; the ID token stays text here, because the
//! crate's claim types refuse tokens that well-known providers send. [`super::super::jwt`] and
//! [`super::super::claims`] judge it.

use std::pin::Pin;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Response};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthType, AuthenticationContextClass, AuthorizationCode,
    Client, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    ExtraTokenFields, IdToken, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::super::provider::{AuthorizationRequest, ProviderError, Redemption, Renewed};
use super::metadata::Metadata;
use super::settings::{ClientAuthentication, OpenIdSettings};
use crate::clock::Timestamp;
use crate::outbound::{AnswerLimits, Outbound, OutboundError};
use crate::session::IdpTokens;

/// The largest token and userinfo answer, octets.
const MAX_ANSWER: usize = 512 * 1024;

/// Further claims are read by ourselves.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct NoClaims {}

impl AdditionalClaims for NoClaims {}

/// The ID token of a token answer, as text.
#[derive(Clone, Deserialize, Serialize)]
pub struct PlainIdToken {
    #[serde(default)]
    id_token: Option<String>,
}

impl std::fmt::Debug for PlainIdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlainIdToken(…)")
    }
}

impl ExtraTokenFields for PlainIdToken {}

type TokenAnswer = StandardTokenResponse<PlainIdToken, CoreTokenType>;

impl
    TokenResponse<
        NoClaims,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    > for TokenAnswer
{
    fn id_token(
        &self,
    ) -> Option<
        &IdToken<
            NoClaims,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
    > {
        None
    }
}

type OpenIdClient = Client<
    NoClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A conversation with a provider whose metadata is known.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'provider> {
    /// How the gateway is known there.
    pub settings: &'provider OpenIdSettings,
    /// The provider's metadata.
    pub metadata: &'provider Metadata,
    /// The way out.
    pub outbound: &'provider Outbound,
    /// When it takes place.
    pub now: Timestamp,
}

impl Conversation<'_> {
    fn client(&self, secret: Option<&SecretString>, redirect_uri: &Url) -> OpenIdClient {
        let redirect_uri = RedirectUrl::from_url(redirect_uri.clone());
        self.bare_client(secret).set_redirect_uri(redirect_uri)
    }

    fn bare_client(&self, secret: Option<&SecretString>) -> OpenIdClient {
        let kind = match (self.settings.client_authentication, secret) {
            (ClientAuthentication::Basic, Some(_)) => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        };
        OpenIdClient::from_provider_metadata(
            self.metadata.full.clone(),
            ClientId::new(self.settings.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned())),
        )
        .set_auth_type(kind)
    }

    /// Where to send the browser: code flow with PKCE S256, state and nonce.
    pub fn authorization_url(&self, request: &AuthorizationRequest) -> Url {
        let client = self.client(None, &request.redirect_uri);
        let verifier = PkceCodeVerifier::new(request.verifier.expose_secret().to_owned());
        let (state, nonce) = (request.state.clone(), request.nonce.clone());
        let mut asking = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(
                self.settings
                    .scopes
                    .iter()
                    .map(|scope| Scope::new(scope.clone())),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        let step_up = request.step_up.as_ref();
        let max_ages = [
            self.settings.max_age,
            step_up.and_then(|wanted| wanted.max_age),
        ];
        if let Some(max_age) = max_ages.into_iter().flatten().min() {
            asking = asking.set_max_age(max_age);
        }
        let acr = step_up
            .map(|wanted| wanted.acr.as_slice())
            .unwrap_or_default();
        for class in acr {
            asking = asking.add_auth_context_value(AuthenticationContextClass::new(class.clone()));
        }
        let own_prompt = request
            .another_account
            .then_some(self.metadata.other_account_prompt);
        if let Some(prompt) = own_prompt {
            asking = asking.add_extra_param("prompt", prompt);
        }
        for (name, value) in &self.settings.parameters {
            let is_ours = (own_prompt.is_some() && name == "prompt")
                || (!acr.is_empty() && name == "acr_values");
            if !is_ours {
                asking = asking.add_extra_param(name.clone(), value.clone());
            }
        }
        asking.url().0
    }

    /// Exchanges a code for tokens. Should the first client secret be refused, the next one is
    /// tried: a provider refuses the client before it looks at the code.
    pub async fn redeem(&self, redemption: &Redemption) -> Result<IdpTokens, ProviderError> {
        let mut secrets = self.settings.client_secrets.iter();
        let mut outcome = self.redeem_with(secrets.next(), redemption).await;
        for secret in secrets {
            if !matches!(outcome, Err(ProviderError::ClientRefused)) {
                break;
            }
            tracing::warn!(
                provider = %self.settings.id,
                "the client secret was refused; the next one is tried"
            );
            outcome = self.redeem_with(Some(secret), redemption).await;
        }
        outcome
    }

    async fn redeem_with(
        &self,
        secret: Option<&SecretString>,
        redemption: &Redemption,
    ) -> Result<IdpTokens, ProviderError> {
        let client = self.client(secret, &redemption.redirect_uri);
        let code = AuthorizationCode::new(redemption.code.expose_secret().to_owned());
        let verifier = PkceCodeVerifier::new(redemption.verifier.expose_secret().to_owned());
        let answer = client
            .exchange_code(code)
            .map_err(|_| ProviderError::Incomplete {
                what: "token_endpoint",
            })?
            .set_pkce_verifier(verifier)
            .request_async(self)
            .await
            .map_err(token_error)?;
        read_tokens(&answer, self.now)
    }

    /// Exchanges a refresh token; none where it is taken no longer. Secrets are tried as with
    /// codes.
    pub async fn renew(&self, refresh: &SecretString) -> Result<Option<Renewed>, ProviderError> {
        let mut secrets = self.settings.client_secrets.iter();
        let mut outcome = self.renew_with(secrets.next(), refresh).await;
        for secret in secrets {
            if !matches!(outcome, Err(ProviderError::ClientRefused)) {
                break;
            }
            outcome = self.renew_with(Some(secret), refresh).await;
        }
        outcome
    }

    async fn renew_with(
        &self,
        secret: Option<&SecretString>,
        refresh: &SecretString,
    ) -> Result<Option<Renewed>, ProviderError> {
        let client = self.bare_client(secret);
        let refresh = RefreshToken::new(refresh.expose_secret().to_owned());
        let asking = client.exchange_refresh_token(&refresh);
        let asking = asking.map_err(|_| ProviderError::Incomplete {
            what: "token_endpoint",
        })?;
        let answer = match asking.request_async(self).await.map_err(token_error) {
            Err(ProviderError::CodeRefused) => return Ok(None),
            answer => answer?,
        };
        if *answer.token_type() != CoreTokenType::Bearer {
            return Err(ProviderError::TokenAnswer);
        }
        Ok(Some(Renewed {
            access_token: answer.access_token().secret().clone().into(),
            life: answer.expires_in(),
            id_token: answer.extra_fields().id_token.clone().map(Into::into),
            refresh_token: answer
                .refresh_token()
                .map(|token| token.secret().clone().into()),
        }))
    }

    /// The claims of the userinfo endpoint (OpenID Connect Core 1.0, section 5.3), unverified.
    pub async fn userinfo(
        &self,
        endpoint: &Url,
        access_token: &SecretString,
    ) -> Result<Map<String, Value>, ProviderError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access_token.expose_secret()))
            .map_err(|_| ProviderError::TokenAnswer)?;
        bearer.set_sensitive(true);
        let request = Request::get(endpoint.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, bearer)
            .body(Vec::new())
            .map_err(|_| ProviderError::Userinfo)?;
        let answer = self
            .send(request)
            .await
            .map_err(CallError::into_provider_error)?;
        if answer.status() != 200 {
            return Err(ProviderError::Status {
                status: answer.status().as_u16(),
            });
        }
        serde_json::from_slice(answer.body()).map_err(|_| ProviderError::Userinfo)
    }

    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError> {
        let limits = AnswerLimits {
            time: self.settings.timeout,
            size: MAX_ANSWER,
        };
        let answer = self
            .outbound
            .call(request, limits)
            .await
            .map_err(CallError::Outbound)?;
        let status = answer.status();
        if status.is_server_error() || status.is_redirection() || status == 429 {
            return Err(CallError::Status(status.as_u16()));
        }
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Conversation<'_> {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, CallError>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Why a request of the crate has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is none.
    #[error("no answer")]
    Outbound(#[source] OutboundError),
    /// A status that is no answer.
    #[error("status {0}")]
    Status(u16),
}

impl CallError {
    pub(super) fn into_provider_error(self) -> ProviderError {
        match self {
            Self::Outbound(cause) => ProviderError::Unreachable(cause),
            Self::Status(status) => ProviderError::Status { status },
        }
    }
}

type TokenError = RequestTokenError<CallError, StandardErrorResponse<CoreErrorResponseType>>;

/// The cause of a parse error is dropped: it quotes the answer, which holds tokens.
fn token_error(error: TokenError) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            CoreErrorResponseType::InvalidGrant => ProviderError::CodeRefused,
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                ProviderError::ClientRefused
            }
            _ => ProviderError::TokenAnswer,
        },
        RequestTokenError::Request(cause) => cause.into_provider_error(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderError::TokenAnswer,
    }
}

fn read_tokens(answer: &TokenAnswer, now: Timestamp) -> Result<IdpTokens, ProviderError> {
    let id_token = answer
        .extra_fields()
        .id_token
        .as_deref()
        .filter(|token| !token.is_empty());
    if *answer.token_type() != CoreTokenType::Bearer {
        return Err(ProviderError::TokenAnswer);
    }
    Ok(IdpTokens {
        id_token: id_token
            .ok_or(ProviderError::TokenAnswer)?
            .to_owned()
            .into(),
        access_token: Some(answer.access_token().secret().clone().into()),
        access_until: answer.expires_in().map(|life| now.plus(life)),
        refresh_token: answer
            .refresh_token()
            .map(|token| token.secret().clone().into()),
    })
}
