//! The adapter for OpenID providers: lazy discovery, key cache, code flow, end-session.
//!
//! A provider that is down when the gateway starts is found later, by itself; one that goes down
//! afterwards takes nothing with it: known metadata and keys go on being used.

mod exchange;
mod introspection;
mod keys;
mod metadata;
mod revocation;
mod settings;
mod standing;
mod token_issuer;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::claims::{self, Expected, ExpectedAgain, Holding};
use super::jwt::UnverifiedToken;
use super::provider::{
    AuthorizationRequest, EndSession, IdentityProvider, Proven, ProviderError, Readiness,
    Redemption, Renewed,
};
use crate::clock::SharedClock;
use crate::identity::{EmailAddress, ProviderId, Subject, VerifiedClaims, VerifiedIdentity};
use crate::outbound::Outbound;
use crate::session::IdpTokens;

use exchange::Conversation;
use metadata::Metadata;
use standing::{Source, Standing};

pub use introspection::IntrospectionSettings;
pub use settings::{ClientAuthentication, EmailTrust, OpenIdSettings, OpenIdSettingsProblem};
pub use token_issuer::{ApiIssuer, ApiIssuerSettings};

/// Longer ID tokens are no hint at logout: many servers take addresses of 8 KiB at most.
const MAX_HINT: usize = 6 * 1024;

/// An OpenID provider.
#[derive(Debug)]
pub struct OpenIdProvider {
    settings: OpenIdSettings,
    standing: Standing,
}

impl OpenIdProvider {
    /// A provider that is not asked for anything yet.
    pub fn new(settings: OpenIdSettings, outbound: Outbound, clock: SharedClock) -> Self {
        let source = Source {
            issuer: settings.issuer.clone(),
            outbound,
            timeout: settings.timeout,
            clock,
        };
        Self {
            settings,
            standing: Standing::of(source),
        }
    }

    /// Finds metadata and keys, tries again with growing pauses, and looks for changes once in a
    /// while. Never ends; to be spawned and aborted.
    pub async fn keep_up(self: Arc<Self>) {
        self.standing.keep_up(&self.settings.id).await;
    }

    /// How far this machine's clock is ahead of the provider's, seconds, where it has told the time.
    pub fn clock_skew(&self) -> Option<i64> {
        self.standing.clock_skew()
    }

    /// Finds metadata and keys once.
    pub async fn look(&self) -> Result<(), Arc<ProviderError>> {
        self.standing.renew().await
    }

    fn conversation<'a>(&'a self, metadata: &'a Metadata) -> Conversation<'a> {
        let source = self.standing.source();
        Conversation {
            settings: &self.settings,
            metadata,
            outbound: &source.outbound,
            now: source.now(),
        }
    }

    /// Mix-up (RFC 9207): an answer that names its issuer names this one, and where the metadata
    /// promises a name there is one.
    fn check_issuer(&self, found: Option<&str>, metadata: &Metadata) -> Result<(), ProviderError> {
        let is_own = match found {
            Some(issuer) => issuer == self.settings.issuer.as_str(),
            None => !metadata.names_issuer,
        };
        is_own.then_some(()).ok_or(ProviderError::ForeignAnswer)
    }

    /// An ID token's claims, once its form, signature and every claim hold.
    async fn verify(
        &self,
        tokens: &IdpTokens,
        redemption: &Redemption,
    ) -> Result<(Map<String, Value>, Holding), ProviderError> {
        let text = tokens.id_token.expose_secret();
        let token = UnverifiedToken::parse(text, &self.settings.algorithms)?;
        self.check_signature(&token).await?;
        let access_token = tokens
            .access_token
            .as_ref()
            .map(ExposeSecret::expose_secret);
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: &redemption.nonce,
            max_age: self.settings.max_age,
            access_token: access_token.unwrap_or_default(),
            code: redemption.code.expose_secret(),
            now: self.standing.source().now(),
        };
        let holding = claims::judge(&token.claims, token.algorithm, &expected)?;
        Ok((token.claims, holding))
    }

    /// The ID token of a renewal, where there is one, is about the same person.
    async fn verify_renewed(
        &self,
        renewed: &Renewed,
        subject: &Subject,
    ) -> Result<(), ProviderError> {
        let Some(id_token) = &renewed.id_token else {
            return Ok(());
        };
        let token = UnverifiedToken::parse(id_token.expose_secret(), &self.settings.algorithms)?;
        self.check_signature(&token).await?;
        let expected = ExpectedAgain {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            access_token: renewed.access_token.expose_secret(),
            subject,
            now: self.standing.source().now(),
        };
        Ok(claims::judge_again(
            &token.claims,
            token.algorithm,
            &expected,
        )?)
    }

    async fn check_signature(&self, token: &UnverifiedToken<'_>) -> Result<(), ProviderError> {
        let known = self.standing.known().ok_or(ProviderError::Keys)?;
        let checked = self.standing.check(&known, token).await;
        Ok(checked?)
    }

    async fn further_claims(
        &self,
        metadata: &Metadata,
        tokens: &IdpTokens,
        holding: &Holding,
    ) -> Result<Map<String, Value>, ProviderError> {
        let asked = metadata
            .userinfo_endpoint
            .as_ref()
            .filter(|_| self.settings.ask_userinfo);
        let (Some(endpoint), Some(token)) = (asked, &tokens.access_token) else {
            return Ok(Map::new());
        };
        let further = self
            .conversation(metadata)
            .userinfo(endpoint, token)
            .await?;
        match claims::subject(&further) {
            Ok(subject) if subject == holding.subject => Ok(further),
            _ => Err(ProviderError::Userinfo),
        }
    }

    fn identity(&self, claims: Map<String, Value>, holding: Holding) -> VerifiedIdentity {
        let Holding {
            subject,
            authenticated_at,
        } = holding;
        let email = claims.get("email").and_then(Value::as_str);
        let email = email.and_then(|text| EmailAddress::parse(text).ok());
        VerifiedIdentity::from_verified(VerifiedClaims {
            provider: self.settings.id.clone(),
            issuer: self.settings.issuer.clone(),
            subject,
            email_trusted: self.settings.email_trust.covers(email.as_ref()),
            claims,
            authenticated_at,
        })
    }
}

#[async_trait]
impl IdentityProvider for OpenIdProvider {
    fn id(&self) -> &ProviderId {
        &self.settings.id
    }

    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn authorization_url(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Url, ProviderError> {
        let known = self.standing.ready().await?;
        Ok(self
            .conversation(&known.metadata)
            .authorization_url(request))
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Proven, ProviderError> {
        let known = self.standing.ready().await?;
        self.check_issuer(redemption.answer_issuer.as_deref(), &known.metadata)?;
        let mut tokens = self
            .conversation(&known.metadata)
            .redeem(&redemption)
            .await?;
        let (own, holding) = self.verify(&tokens, &redemption).await?;
        let further = self
            .further_claims(&known.metadata, &tokens, &holding)
            .await?;
        let identity = self.identity(claims::merge(own, further), holding);
        if !self.settings.keeps_access_tokens {
            tokens.access_token = None;
        }
        Ok(Proven { identity, tokens })
    }

    async fn check_answer_issuer(&self, found: Option<&str>) -> Result<(), ProviderError> {
        let known = self.standing.ready().await?;
        self.check_issuer(found, &known.metadata)
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        subject: &Subject,
    ) -> Result<Option<Renewed>, ProviderError> {
        let known = self.standing.ready().await?;
        let conversation = self.conversation(&known.metadata);
        let renewed = conversation.renew(refresh_token).await?;
        if let Some(renewed) = &renewed {
            self.verify_renewed(renewed, subject).await?;
        }
        Ok(renewed)
    }

    async fn revoke(&self, tokens: &IdpTokens) -> Result<(), ProviderError> {
        let known = self.standing.ready().await?;
        match (&known.metadata.revocation_endpoint, &tokens.refresh_token) {
            (Some(endpoint), Some(token)) => {
                let conversation = self.conversation(&known.metadata);
                conversation.revoke(endpoint, token).await
            }
            _ => Ok(()),
        }
    }

    fn end_session_url(&self, end: &EndSession) -> Option<Url> {
        let mut address = self
            .standing
            .known()?
            .metadata
            .end_session_endpoint
            .clone()?;
        {
            let mut query = address.query_pairs_mut();
            let hint = end.id_token.as_ref().map(ExposeSecret::expose_secret);
            if let Some(token) = hint.filter(|token| token.len() <= MAX_HINT) {
                query.append_pair("id_token_hint", token);
            }
            query
                .append_pair("client_id", &self.settings.client_id)
                .append_pair("post_logout_redirect_uri", end.return_to.as_str())
                .append_pair("state", &end.state);
        }
        Some(address)
    }

    fn readiness(&self) -> Readiness {
        self.standing.readiness()
    }
}
