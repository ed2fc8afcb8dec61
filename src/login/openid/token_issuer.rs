//! The adapter for issuers of bearer tokens: signed tokens are judged by published keys, others by
//! asking.
//!
//! As with providers, one that is down when the gateway starts is found later by itself, and one that
//! goes down afterwards leaves its keys behind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::super::bearer::BELIEVED_FOR;
use super::super::bearer::claims::{self, Expected, Holding};
use super::super::bearer::issuer::{BadToken, TokenIssuer, TokenTrouble, VerifiedToken};
use super::super::jwt::{Algorithm, TokenKind, TokenProblem, UnverifiedToken};
use super::super::provider::{ProviderError, Readiness};
use super::introspection::{self, IntrospectionSettings};
use super::metadata;
use super::standing::{Published, Source, Standing};
use crate::clock::SharedClock;
use crate::identity::{Issuer, ProviderId, VerifiedClaims, VerifiedIdentity};
use crate::outbound::{Outbound, is_secure};

/// What the doctor asks about.
const NO_TOKEN: &str = "vestibule-doctor";

/// An issuer of bearer tokens, and who the gateway is to it.
#[derive(Debug, Clone)]
pub struct ApiIssuerSettings {
    /// Its configured id, which rules name.
    pub id: ProviderId,
    /// Its issuer identifier, exactly as its metadata and tokens have it.
    pub issuer: Issuer,
    /// As whom the gateway is known to it (`aud`); one of them is enough.
    pub audiences: Vec<String>,
    /// Whether they are the origins of the hosts, so that a token is for those that it names alone.
    pub is_by_host: bool,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// What its signed tokens call themselves.
    pub kind: TokenKind,
    /// The claim with the scopes.
    pub scopes_claim: String,
    /// How it is asked about tokens that only it understands.
    pub introspection: Option<IntrospectionSettings>,
    /// How long each answer may take.
    pub timeout: Duration,
    /// Certificates besides the system's roots, PEM; empty for none.
    pub roots: Vec<u8>,
}

impl ApiIssuerSettings {
    /// Where its metadata may be, the likelier place first.
    pub fn metadata_addresses(&self) -> Vec<Url> {
        IssuerMetadata::addresses(&self.issuer)
    }
}

/// What an issuer of tokens publishes (RFC 8414, section 2).
#[derive(Debug, Clone)]
pub struct IssuerMetadata {
    jwks_uri: Option<Url>,
    pub(super) introspection_endpoint: Option<Url>,
}

impl Published for IssuerMetadata {
    /// `OpenID` Connect Discovery 1.0, section 4, and RFC 8414, section 3.
    fn addresses(issuer: &Issuer) -> Vec<Url> {
        let plain = Url::parse(issuer.as_str()).ok().map(|mut url| {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
            url
        });
        metadata::address(issuer).into_iter().chain(plain).collect()
    }

    fn parse(document: &[u8], issuer: &Issuer) -> Result<Self, ProviderError> {
        let document = metadata::own_document(document, issuer)?;
        let address = |endpoint: &'static str| {
            let text = document.get(endpoint).and_then(Value::as_str);
            let url = text.map(Url::parse).transpose();
            let url = url.map_err(|_| ProviderError::Incomplete { what: endpoint })?;
            match url {
                Some(url) if !is_secure(&url) => Err(ProviderError::InsecureEndpoint { endpoint }),
                url => Ok(url),
            }
        };
        Ok(Self {
            jwks_uri: address("jwks_uri")?,
            introspection_endpoint: address("introspection_endpoint")?,
        })
    }

    fn following(self, before: Option<&Self>) -> Self {
        let host = |one: &Self| one.jwks_uri.as_ref()?.host_str().map(str::to_owned);
        if let Some(before) = before.filter(|before| host(before) != host(&self)) {
            let (old, new) = (host(before), host(&self));
            tracing::warn!(old, new, "the keys of an issuer of tokens are elsewhere");
        }
        self
    }

    fn keys_at(&self) -> Option<&Url> {
        self.jwks_uri.as_ref()
    }
}

/// An issuer of bearer tokens.
pub struct ApiIssuer {
    settings: ApiIssuerSettings,
    standing: Standing<IssuerMetadata>,
}

impl std::fmt::Debug for ApiIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiIssuer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl ApiIssuer {
    /// An issuer that is not asked for anything yet.
    pub fn new(settings: ApiIssuerSettings, outbound: Outbound, clock: SharedClock) -> Self {
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

    /// Finds metadata and keys, and looks for changes once in a while. Never ends; to be spawned and
    /// aborted.
    pub async fn keep_up(self: Arc<Self>) {
        self.standing.keep_up(&self.settings.id).await;
    }

    /// How far this machine's clock is ahead of its, seconds, where it has told the time.
    pub fn clock_skew(&self) -> Option<i64> {
        self.standing.clock_skew()
    }

    /// Finds metadata and keys once; says whether it can be asked about tokens, where it is to be.
    pub async fn look(&self) -> Result<(), Arc<ProviderError>> {
        self.standing.renew().await?;
        let known = self.standing.known();
        let endpoint = known.and_then(|known| known.metadata.introspection_endpoint.clone());
        if self.settings.introspection.is_some() && endpoint.is_none() {
            let what = "introspection_endpoint";
            return Err(Arc::new(ProviderError::Incomplete { what }));
        }
        Ok(())
    }

    /// Asks about a token that nobody has made; says whether the issuer answers.
    pub async fn try_asking(&self) -> Result<(), TokenTrouble> {
        match self.ask(&SecretString::from(NO_TOKEN)).await {
            Ok(_) | Err(TokenTrouble::Bad(_)) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    fn expected(&self) -> Expected<'_> {
        let introspection = self.settings.introspection.as_ref();
        Expected {
            issuer: &self.settings.issuer,
            audiences: &self.settings.audiences,
            without_audience: introspection.is_some_and(|asking| asking.without_audience),
            scopes_claim: &self.settings.scopes_claim,
            now: self.standing.source().now(),
        }
    }

    /// A signed token, judged here.
    async fn read(&self, token: &str) -> Result<VerifiedToken, TokenTrouble> {
        let settings = &self.settings;
        let token = UnverifiedToken::parse_as(settings.kind, token, &settings.algorithms)
            .map_err(BadToken::from)?;
        let known = self.standing.ready().await?;
        let checked = self.standing.check(&known, &token).await;
        checked.map_err(BadToken::from)?;
        let holding = claims::judge(&token.claims, &self.expected()).map_err(BadToken::from)?;
        Ok(self.verified(token.claims, holding, BELIEVED_FOR))
    }

    /// A token that only its issuer understands, asked about there.
    async fn ask(&self, token: &SecretString) -> Result<VerifiedToken, TokenTrouble> {
        let Some(introspection) = &self.settings.introspection else {
            return Err(BadToken::Token(TokenProblem::Form).into());
        };
        let known = self.standing.ready().await?;
        let endpoint = known.metadata.introspection_endpoint.as_ref();
        let endpoint = endpoint.ok_or(ProviderError::Incomplete {
            what: "introspection_endpoint",
        })?;
        let source = self.standing.source();
        let until = source.now().plus(introspection.believed_for);
        let answer = introspection::ask((source, endpoint), introspection, token).await?;
        let answer = answer.ok_or(BadToken::Inactive)?;
        let holding = claims::judge_answer(&answer, &self.expected(), until);
        let holding = holding.map_err(BadToken::from)?;
        Ok(self.verified(answer, holding, introspection.believed_for))
    }

    fn verified(
        &self,
        claims: Map<String, Value>,
        holding: Holding,
        believed_for: Duration,
    ) -> VerifiedToken {
        let Holding {
            subject,
            scopes,
            ends_at,
            authenticated_at,
        } = holding;
        let named = claims.get("aud").filter(|_| self.settings.is_by_host);
        let origins = named.map(|audience| claims::named_in(audience, &self.settings.audiences));
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: self.settings.id.clone(),
            issuer: self.settings.issuer.clone(),
            subject,
            claims,
            email_trusted: false,
            authenticated_at,
        });
        VerifiedToken {
            identity,
            scopes,
            origins,
            ends_at,
            believed_for,
        }
    }
}

#[async_trait]
impl TokenIssuer for ApiIssuer {
    fn id(&self) -> &ProviderId {
        &self.settings.id
    }

    fn issuer(&self) -> &Issuer {
        &self.settings.issuer
    }

    fn introspects(&self) -> bool {
        self.settings.introspection.is_some()
    }

    fn keys_changed(&self) -> u64 {
        self.standing.key_changes()
    }

    async fn verify(&self, token: &SecretString) -> Result<VerifiedToken, TokenTrouble> {
        let text = token.expose_secret();
        if claims::unverified_issuer(text).is_some() {
            self.read(text).await
        } else {
            self.ask(token).await
        }
    }

    fn readiness(&self) -> Readiness {
        self.standing.readiness()
    }
}
