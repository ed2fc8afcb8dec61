//! The use cases with their adapters, over the foundation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::correspondence::Hooks;
use super::foundation::Foundation;
use crate::admin::scim::{ScimParts, ScimSource};
use crate::captcha::siteverify::Siteverify;
use crate::captcha::{Captcha, CaptchaSettings, Captchas};
use crate::clock::SharedClock;
use crate::database::Node;
use crate::identity::ProviderId;
use crate::login::bearer::issuer::TokenIssuer;
use crate::login::bearer::{BearerParts, Bearers};
use crate::login::openid::{ApiIssuer, ApiIssuerSettings, OpenIdProvider, OpenIdSettings};
use crate::login::provider::IdentityProvider;
use crate::login::{Login, LoginParts};
use crate::mail::Courier;
use crate::mail::letters::TemplateLetters;
use crate::onboarding::sql::SqlRegistrationStore;
use crate::onboarding::{Abuse, Onboarding, OnboardingParts};
use crate::outbound::{Outbound, OutboundError};
use crate::outbox::Outbox;
use crate::platform::Platform;
use crate::proxy::HostSettings;
use crate::redis_link::Link;
use crate::roster::Roster;
use crate::roster::sql::SqlRoster;
use crate::session::redis::RedisSessionStore;
use crate::session::sql::SqlSessionStore;
use crate::session::{Lifetimes, SessionStore, Sessions};

/// What onboarding needs to know of the installation.
pub(super) struct Office<'a> {
    pub(super) platform: &'a Arc<dyn Platform>,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) hooks: Hooks,
    pub(super) outbox: Arc<Outbox>,
    pub(super) node: Node,
    pub(super) origins: BTreeMap<String, String>,
    pub(super) provider_names: BTreeMap<ProviderId, String>,
}

impl Foundation {
    pub(super) fn sessions(
        &self,
        (redis, part): (Option<&Arc<Link>>, Option<&str>),
        lifetimes: Lifetimes,
    ) -> Arc<Sessions> {
        let store: Arc<dyn SessionStore> = match redis {
            Some(link) => Arc::new(RedisSessionStore::new(Arc::clone(link), part)),
            None => Arc::new(SqlSessionStore::new(self.database.clone())),
        };
        let keys = Arc::clone(&self.keys);
        let sessions = Sessions::new(store, keys, self.clock(), lifetimes);
        Arc::new(sessions.counted_by(self.metrics.clone()))
    }

    pub(super) fn onboarding(&self, office: Office<'_>) -> Onboarding {
        let store = Arc::new(SqlRegistrationStore::new(self.database.clone()));
        Onboarding::new(OnboardingParts {
            platform: Arc::clone(office.platform),
            proofs: Arc::clone(&store) as _,
            duties: Arc::clone(&store) as _,
            attributes: Arc::clone(&store) as _,
            funnel: Arc::clone(&store) as _,
            approvals: Arc::clone(&store) as _,
            invitations: Arc::clone(&store) as _,
            store,
            policy: self.policy(),
            letters: Arc::new(TemplateLetters),
            courier: office.courier,
            abuse: Abuse::new(self.limiter(), self.policy(), self.metrics.clone()),
            hook: office.hooks.before,
            webhooks: office.hooks.webhooks,
            outbox: office.outbox,
            metrics: self.metrics.clone(),
            audit: Arc::clone(&self.audit),
            keys: Arc::clone(&self.keys),
            clock: self.clock(),
            provider_names: office.provider_names,
            origins: office.origins,
            node: office.node,
        })
    }

    /// Whom these providers have deactivated.
    pub(super) fn roster(&self, sources: &[ScimSource]) -> Arc<Roster> {
        let store = Arc::new(SqlRoster::new(self.database.clone()));
        let sources = sources.iter().map(|one| (one.issuer.clone(), one.match_by));
        Arc::new(Roster::new(store, sources.collect(), self.clock()))
    }

    /// Where these providers tell of their people, whose sessions may be any of these.
    pub(super) fn scim(
        &self,
        sources: Vec<ScimSource>,
        (roster, sessions): (&Arc<Roster>, Vec<Arc<Sessions>>),
    ) -> ScimParts {
        ScimParts {
            sources,
            roster: Arc::clone(roster),
            sessions,
            audit: Arc::clone(&self.audit),
            clock: self.clock(),
        }
    }

    /// Judges bearer tokens, where any issuer's count.
    pub(super) fn bearers(
        &self,
        issuers: &[Arc<ApiIssuer>],
        (onboarding, roster): (&Arc<Onboarding>, &Arc<Roster>),
    ) -> Option<Arc<Bearers>> {
        let seam = |one: &Arc<ApiIssuer>| Arc::clone(one) as Arc<dyn TokenIssuer>;
        let parts = BearerParts {
            issuers: issuers.iter().map(seam).collect(),
            onboarding: Arc::clone(onboarding),
            roster: Arc::clone(roster),
            policy: self.policy(),
            clock: self.clock(),
        };
        (!issuers.is_empty()).then(|| Arc::new(Bearers::new(parts)))
    }

    pub(super) fn login(
        &self,
        providers: &[Arc<OpenIdProvider>],
        (sessions, onboarding, roster): (&Arc<Sessions>, &Arc<Onboarding>, &Arc<Roster>),
        attempt_lifetime: Duration,
    ) -> Arc<Login> {
        let seam = |one: &Arc<OpenIdProvider>| Arc::clone(one) as Arc<dyn IdentityProvider>;
        Arc::new(Login::new(LoginParts {
            providers: providers.iter().map(seam).collect(),
            sessions: Arc::clone(sessions),
            onboarding: Arc::clone(onboarding),
            roster: Arc::clone(roster),
            audit: Arc::clone(&self.audit),
            keys: Arc::clone(&self.keys),
            clock: self.clock(),
            attempt_lifetime,
        }))
    }
}

/// The captchas of vendors, by id.
pub(super) fn captchas(settings: Vec<CaptchaSettings>) -> Result<Captchas, OutboundError> {
    let open = |one: CaptchaSettings| {
        let id = one.id.clone();
        let captcha: Arc<dyn Captcha> = Arc::new(Siteverify::new(one, Outbound::new()?));
        Ok((id, captcha))
    };
    settings.into_iter().map(open).collect()
}

/// The identity providers.
pub(super) fn providers(
    settings: Vec<OpenIdSettings>,
    clock: &SharedClock,
) -> Result<Vec<Arc<OpenIdProvider>>, OutboundError> {
    let shared = Outbound::new()?;
    let open = |one: OpenIdSettings| {
        let outbound = trusting(&one.roots, &shared)?;
        let clock = SharedClock::clone(clock);
        Ok(Arc::new(OpenIdProvider::new(one, outbound, clock)))
    };
    settings.into_iter().map(open).collect()
}

/// The issuers of bearer tokens.
pub(super) fn api_issuers(
    settings: Vec<ApiIssuerSettings>,
    clock: &SharedClock,
) -> Result<Vec<Arc<ApiIssuer>>, OutboundError> {
    let shared = Outbound::new()?;
    let open = |one: ApiIssuerSettings| {
        let outbound = trusting(&one.roots, &shared)?;
        let clock = SharedClock::clone(clock);
        Ok(Arc::new(ApiIssuer::new(one, outbound, clock)))
    };
    settings.into_iter().map(open).collect()
}

/// A client that trusts these roots besides the system's; the shared one where there are none.
fn trusting(roots: &[u8], shared: &Outbound) -> Result<Outbound, OutboundError> {
    if roots.is_empty() {
        Ok(shared.clone())
    } else {
        Outbound::trusting(roots)
    }
}

/// The names of identity providers.
pub(super) fn provider_names(settings: &[OpenIdSettings]) -> BTreeMap<ProviderId, String> {
    let names = settings.iter();
    names
        .map(|one| (one.id.clone(), one.name.clone()))
        .collect()
}

/// The origin of each host of a site.
pub(super) fn origins(hosts: &[HostSettings], site: usize) -> BTreeMap<String, String> {
    let hosts = hosts.iter().filter(|host| host.site == site);
    hosts
        .map(|host| (host.name.to_string(), host.origin.to_string()))
        .collect()
}
