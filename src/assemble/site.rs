//! One site: the hosts of one platform, with everything that is kept about their people. Sites
//! share identity providers, mail server and listeners, and nothing that is stored or sealed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::AssemblyProblem;
use super::correspondence::and_follower;
use super::error_pages::PagesOfErrors;
use super::foundation::{Foundation, Ground};
use super::platforms::OpenPlatform;
use super::use_cases::{Office, origins};
use crate::admin;
use crate::admin::scim::{ScimParts, ScimSource};
use crate::captcha::Captchas;
use crate::config::SiteSettings;
use crate::database::Node;
use crate::hooks::HookSettings;
use crate::identity::ProviderId;
use crate::login::Login;
use crate::login::access_tokens::AccessTokens;
use crate::login::bearer::Bearers;
use crate::login::openid::{ApiIssuer, OpenIdProvider};
use crate::mail::Courier;
use crate::onboarding::Onboarding;
use crate::outbox::{Carrier, Outbox};
use crate::pages::{self, Pages, PagesParts};
use crate::platform::UserTokens;
use crate::policy::PolicySource;
use crate::policy::folder::PolicyFolder;
use crate::proxy::{HostSettings, SiteParts, UpstreamSettings};
use crate::redis_link::Link;
use crate::roster::Roster;
use crate::session::{Lifetimes, Sessions};

/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// What all sites share.
pub(super) struct Shared {
    pub(super) hosts: Vec<HostSettings>,
    pub(super) redis: Option<Arc<Link>>,
    pub(super) lifetimes: Lifetimes,
    pub(super) login_attempt: Duration,
    pub(super) hooks: Option<HookSettings>,
    pub(super) courier: Option<Arc<dyn Courier>>,
    pub(super) captchas: Captchas,
    pub(super) providers: Vec<Arc<OpenIdProvider>>,
    pub(super) api_issuers: Vec<Arc<ApiIssuer>>,
    pub(super) provider_names: BTreeMap<ProviderId, String>,
    pub(super) roster: Arc<Roster>,
    pub(super) key_set: Option<Bytes>,
    /// Whether an upstream wants the identity providers' access tokens.
    pub(super) keeps_access_tokens: bool,
    pub(super) node: Node,
}

/// A site whose database and platform answer.
pub(super) struct Laid {
    place: usize,
    part: Option<String>,
    base: Foundation,
    platform: OpenPlatform,
    user_tokens: Option<Arc<UserTokens>>,
}

/// A site, ready to run.
pub(super) struct Site {
    part: Option<String>,
    base: Foundation,
    platform: OpenPlatform,
    user_tokens: Option<Arc<UserTokens>>,
    access_tokens: Option<Arc<AccessTokens>>,
    bearers: Option<Arc<Bearers>>,
    sessions: Arc<Sessions>,
    onboarding: Arc<Onboarding>,
    outbox: Arc<Outbox>,
    carriers: Vec<Arc<dyn Carrier>>,
    login: Arc<Login>,
    pages: Arc<Pages>,
}

impl Laid {
    /// Opens the database of the site at this place, and asks its platform what it is.
    pub(super) async fn lay(
        place: usize,
        (settings, ground): (SiteSettings, Ground),
        upstreams: &[UpstreamSettings],
    ) -> Result<Self, AssemblyProblem> {
        let base = Foundation::lay(ground).await?;
        let (platform, user_tokens) = base.introduced(settings.platform, upstreams).await?;
        Ok(Self {
            place,
            part: settings.part,
            base,
            platform,
            user_tokens,
        })
    }

    /// Whom providers have deactivated: on every site, wherever it is kept.
    pub(super) fn roster(&self, sources: &[ScimSource]) -> Arc<Roster> {
        self.base.roster(sources)
    }

    /// Puts the site together.
    pub(super) fn open(self, shared: &Shared) -> Result<Site, AssemblyProblem> {
        let Self {
            place,
            part,
            base,
            platform,
            user_tokens,
        } = self;
        let redis = shared.redis.as_ref();
        let sessions = base.sessions((redis, part.as_deref()), shared.lifetimes);
        let (courier, hooks) = (shared.courier.clone(), shared.hooks.clone());
        let writing = base.correspondence((courier, hooks), &shared.node)?;
        let onboarding = Arc::new(base.onboarding(Office {
            platform: &platform.used,
            courier: writing.desk,
            hooks: writing.hooks,
            outbox: Arc::clone(&writing.outbox),
            node: shared.node.clone(),
            origins: origins(&shared.hosts, place),
            provider_names: shared.provider_names.clone(),
        }));
        let people = (&sessions, &onboarding, &shared.roster);
        let login = base.login(&shared.providers, people, shared.login_attempt);
        let bearers = base.bearers(&shared.api_issuers, (&onboarding, &shared.roster));
        let access_tokens = shared
            .keeps_access_tokens
            .then(|| Arc::new(login.access_tokens()));
        let pages = Arc::new(Pages::new(PagesParts {
            login: Arc::clone(&login),
            onboarding: Arc::clone(&onboarding),
            sessions: Arc::clone(&sessions),
            policy: base.policy(),
            captchas: shared.captchas.clone(),
            keys: Arc::clone(&base.keys),
            key_set: shared.key_set.clone(),
            user_tokens: user_tokens.clone(),
            clock: base.clock(),
            metrics: base.metrics.clone(),
        }));
        let carriers = and_follower(writing.carriers, &onboarding);
        Ok(Site {
            part,
            base,
            platform,
            sessions,
            onboarding,
            outbox: writing.outbox,
            carriers,
            access_tokens,
            bearers,
            user_tokens,
            login,
            pages,
        })
    }
}

impl Site {
    /// What the data plane needs of it.
    pub(super) fn door(&self) -> SiteParts {
        SiteParts {
            policy: self.base.policy(),
            sessions: Arc::clone(&self.sessions),
            pages: pages::router(Arc::clone(&self.pages)),
            error_pages: Arc::new(PagesOfErrors(Arc::clone(&self.pages))),
            limiter: self.base.limiter(),
            metrics: self.base.metrics.clone(),
            user_tokens: self.user_tokens.clone(),
            access_tokens: self.access_tokens.clone(),
            bearers: self.bearers.clone(),
        }
    }

    /// Its part of the admin API, and the name that it is below.
    pub(super) fn admin_api(&self) -> (Option<&str>, admin::Api) {
        let platform_api = if self.platform.is_elsewhere {
            admin::platform_api::none()
        } else {
            admin::platform_api::router(Arc::clone(&self.platform.own))
        };
        let api = platform_api
            .merge(admin::outbox_api::router(Arc::clone(&self.outbox)))
            .merge(admin::receipts::router(Arc::clone(&self.onboarding)))
            .merge(admin::operator_api::router(Arc::clone(&self.onboarding)))
            .merge(admin::sessions_api::router(Arc::clone(&self.login)));
        (self.part(), api)
    }

    /// Its policies, to be read again.
    pub(super) fn policies(&self) -> Arc<PolicyFolder> {
        Arc::clone(&self.base.policy)
    }

    /// What `/readyz` asks of it.
    pub(super) fn stores(&self) -> (&Foundation, &Arc<Sessions>) {
        (&self.base, &self.sessions)
    }

    /// As what it is told apart from others.
    pub(super) fn part(&self) -> Option<&str> {
        self.part.as_deref()
    }

    /// Gives back what earlier processes at this address left in hand.
    pub(super) async fn free_leases_left(&self) {
        self.onboarding.free_leases_left().await;
        self.outbox.free_leases_left().await;
    }

    /// What finishes its work when it is told to stop.
    pub(super) fn finishing(&self, stop: &CancellationToken) -> [JoinHandle<()>; 2] {
        let carriers = self.carriers.clone();
        [
            tokio::spawn(Arc::clone(&self.onboarding).keep_going(stop.clone())),
            tokio::spawn(Arc::clone(&self.outbox).keep_delivering(carriers, stop.clone())),
        ]
    }

    /// What never ends by itself.
    pub(super) fn endless(&self) -> [JoinHandle<()>; 2] {
        let policy = self.policies() as Arc<dyn PolicySource>;
        [
            tokio::spawn(sweep(Arc::clone(&self.sessions))),
            tokio::spawn(Arc::clone(&self.login).keep_checking_accounts(policy)),
        ]
    }

    /// Closes its connections.
    pub(super) async fn close(&self) {
        self.base.database.close().await;
    }
}

/// Where providers tell of their people, who may have sessions on any site.
pub(super) fn scim(
    sources: Vec<ScimSource>,
    roster: &Arc<Roster>,
    sites: &[Site],
) -> Result<ScimParts, AssemblyProblem> {
    let first = sites.first().ok_or(AssemblyProblem::NoSuchSite)?;
    let sessions = sites.iter().map(|site| Arc::clone(&site.sessions));
    Ok(first.base.scim(sources, (roster, sessions.collect())))
}

async fn sweep(sessions: Arc<Sessions>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = sessions.sweep().await {
            tracing::warn!(%error, "what is over could not be forgotten");
        }
    }
}
