//! The composition root: settings to a running gateway. The only file that names adapters
//! together.

mod assertions;
mod by_hand;
mod collector;
mod correspondence;
pub mod doctor;
mod error_pages;
mod foundation;
mod node;
mod platforms;
mod probes;
mod site;
mod use_cases;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminParts, AdminTokens};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{AdminSettings, KeyFileProblem, Settings, SiteSettings};
use crate::database::{DatabaseError, Node};
use crate::login::openid::{ApiIssuer, OpenIdProvider};
use crate::mail::NoCourier;
use crate::mail::smtp::SmtpProblem;
use crate::onboarding::Onboarding;
use crate::operator_file::Problems;
use crate::outbound::OutboundError;
use crate::platform::handoff::CannotSign;
use crate::platform::{scim, thingsboard};
use crate::policy::folder::PolicyFolder;
use crate::proxy::{self, Certificates, ListenProblem, Listener, ProxyParts, UpstreamSettings};
use crate::redis_link::{Link, NotARedisAddress};
use crate::roster::Roster;
use crate::seal::KeyRing;
use crate::telemetry::Readiness;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::TraceProblem;

pub use by_hand::{PlatformByHand, platform_by_hand};
pub use collector::start_traces;
use correspondence::Hooks;
pub use correspondence::courier;
use foundation::{Foundation, Ground, key_ring};
use node::{node, take_over};
use site::{Laid, Shared, Site};
use use_cases::Office;

/// How long what runs beside the traffic may take to finish at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyProblem {
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileProblem),
    /// The database cannot be opened or brought up to date.
    #[error("the database cannot be used")]
    Database(#[from] DatabaseError),
    /// The policies have mistakes.
    #[error("the policies have mistakes:\n{0}")]
    Policy(Problems),
    /// The address of Redis cannot be understood.
    #[error(transparent)]
    Redis(#[from] NotARedisAddress),
    /// The mail server cannot be used as configured.
    #[error(transparent)]
    Mail(#[from] SmtpProblem),
    /// The client for outgoing requests cannot be set up.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The platform does not let the gateway do its work.
    #[error(transparent)]
    Platform(#[from] thingsboard::CannotUse),
    /// The SCIM server is not one that the gateway can work with.
    #[error(transparent)]
    ScimServer(#[from] scim::CannotUse),
    /// Nothing can be signed for the upstream.
    #[error(transparent)]
    Sign(#[from] CannotSign),
    /// A question about a platform that nobody configured.
    #[error("there is no such platform")]
    NoSuchSite,
    /// Traces cannot be told to anybody.
    #[error(transparent)]
    Traces(#[from] TraceProblem),
    /// The traffic's address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenProblem),
    /// The admin listener's address cannot be listened on.
    #[error("cannot listen on {address}, the admin listener")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
}

/// A gateway that is put together and bound to its addresses, and does not run yet.
pub struct Gateway {
    proxy: ProxyParts,
    listener: Listener,
    admin: TcpListener,
    admin_parts: AdminParts,
    sites: Arc<[Site]>,
    providers: Vec<Arc<OpenIdProvider>>,
    api_issuers: Vec<Arc<ApiIssuer>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.listener.local_address())
            .finish_non_exhaustive()
    }
}

/// Reads again what may change while the gateway runs.
#[derive(Clone)]
pub struct Reload {
    policies: Vec<Arc<PolicyFolder>>,
    certificates: Option<Arc<Certificates>>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload(…)")
    }
}

impl Reload {
    /// Reads policies and certificates; what is broken changes nothing, and is logged.
    pub fn reload(&self) {
        self.policies.iter().for_each(|policy| policy.reload());
        if let Some(certificates) = &self.certificates {
            reload_certificate(certificates);
        }
    }
}

fn reload_certificate(certificates: &Certificates) {
    match certificates.reload() {
        Ok(()) => tracing::info!("the certificate is loaded again"),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(
                error,
                "the certificate cannot be used; the old one stays in use"
            );
        }
    }
}

/// Puts a gateway together. To be called on the runtime that it will run on.
pub async fn assemble(settings: Settings) -> Result<Gateway, AssemblyProblem> {
    let grounds = grounds(&settings, true)?;
    let Grounds {
        keys,
        metrics,
        each,
    } = grounds;
    let proxy = settings.proxy;
    let laid = lay(settings.sites, each, &proxy.upstreams).await?;
    let clock: SharedClock = Arc::new(SystemClock);
    let listener = Listener::bind(&settings.listener)?;
    let assertions = assertions::all(&keys, &proxy.upstreams)?;
    let roster = laid.first().ok_or(AssemblyProblem::NoSuchSite)?;
    let roster = roster.roster(&settings.admin.scim);
    let provider_names = use_cases::provider_names(&settings.providers);
    let providers = use_cases::providers(settings.providers, &clock)?;
    let api_issuers = use_cases::api_issuers(settings.api_issuers, &clock)?;
    let shared = Shared {
        hosts: proxy.hosts.clone(),
        redis: settings
            .store
            .redis
            .as_ref()
            .map(Link::to)
            .transpose()?
            .map(Arc::new),
        lifetimes: settings.lifetimes,
        login_attempt: settings.login_attempt,
        hooks: settings.hooks,
        courier: courier(settings.mail)?,
        captchas: use_cases::captchas(settings.captchas)?,
        provider_names,
        providers: providers.clone(),
        api_issuers: api_issuers.clone(),
        roster: Arc::clone(&roster),
        key_set: assertions::key_set(&assertions),
        keeps_access_tokens: proxy.upstreams.iter().any(wants_access_token),
        node: node(listener.local_address()),
    };
    let sites = laid.into_iter().map(|site| site.open(&shared));
    let sites: Arc<[Site]> = sites.collect::<Result<_, _>>()?;
    let readiness = probes::all(&sites, &providers, &api_issuers);
    let (admin, admin_parts) =
        admin_door(settings.admin, (&*sites, &roster), (readiness, &metrics)).await?;
    Ok(Gateway {
        proxy: ProxyParts {
            settings: proxy,
            sites: sites.iter().map(Site::door).collect(),
            assertions,
            clock,
            metrics,
        },
        listener,
        admin,
        admin_parts,
        sites,
        providers,
        api_issuers,
    })
}

fn wants_access_token(upstream: &UpstreamSettings) -> bool {
    upstream.handoff.access_token.is_some()
}

/// Opens the databases of all sites, and asks their platforms what they are.
async fn lay(
    sites: Vec<SiteSettings>,
    grounds: Vec<Ground>,
    upstreams: &[UpstreamSettings],
) -> Result<Vec<Laid>, AssemblyProblem> {
    let mut laid = Vec::new();
    for (place, (site, ground)) in sites.into_iter().zip(grounds).enumerate() {
        laid.push(Laid::lay(place, (site, ground), upstreams).await?);
    }
    Ok(laid)
}

/// What every site is built on.
struct Grounds {
    keys: Arc<KeyRing>,
    metrics: Metrics,
    each: Vec<Ground>,
}

fn grounds(settings: &Settings, migrate: bool) -> Result<Grounds, KeyFileProblem> {
    let keys = Arc::new(key_ring(&settings.keys)?);
    let metrics = Metrics::default();
    let ground = |(place, site): (usize, &SiteSettings)| Ground {
        database: settings.database_of(place),
        keys: match &site.part {
            None => Arc::clone(&keys),
            Some(part) => Arc::new(keys.of_part(part)),
        },
        policies: site.policies.clone(),
        surroundings: settings.surroundings(site),
        metrics: metrics.clone(),
        migrate,
    };
    let each = settings.sites.iter().enumerate().map(ground).collect();
    Ok(Grounds {
        keys,
        metrics,
        each,
    })
}

/// Onboarding of one platform, by its place, over the stores of an installation; for questions
/// that change nothing.
pub async fn for_questions(settings: Settings, site: usize) -> Result<Onboarding, AssemblyProblem> {
    let origins = use_cases::origins(&settings.proxy.hosts, site);
    let provider_names = use_cases::provider_names(&settings.providers);
    let mut each = grounds(&settings, false)?.each.into_iter();
    let mut sites = settings.sites.into_iter();
    let (ground, site) = (each.nth(site), sites.nth(site));
    let (ground, site) = ground.zip(site).ok_or(AssemblyProblem::NoSuchSite)?;
    let base = Foundation::lay(ground).await?;
    Ok(base.onboarding(Office {
        platform: &base.platform(site.platform)?.used,
        courier: Arc::new(NoCourier),
        hooks: Hooks::default(),
        outbox: base.outbox(&Node::at("")),
        node: Node::at(""),
        origins,
        provider_names,
    }))
}

async fn admin_door(
    settings: AdminSettings,
    (sites, roster): (&[Site], &Arc<Roster>),
    (readiness, metrics): (Readiness, &Metrics),
) -> Result<(TcpListener, AdminParts), AssemblyProblem> {
    let AdminSettings {
        address,
        tokens,
        scim,
    } = settings;
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|cause| AssemblyProblem::Admin { address, cause })?;
    let parts = AdminParts {
        readiness,
        metrics: metrics.registry(),
        tokens: AdminTokens::new(&tokens),
        scim: admin::scim::router(site::scim(scim, roster, sites)?),
    };
    Ok((listener, parts))
}

impl Gateway {
    /// Where traffic comes in, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    /// What to ask for a reload while the gateway runs.
    pub fn reload(&self) -> Reload {
        Reload {
            policies: self.sites.iter().map(Site::policies).collect(),
            certificates: self.listener.certificates(),
        }
    }

    /// Runs until `shutdown` says true; then stops accepting, lets what is in flight finish, and
    /// returns. Fails when the threads that carry connections cannot be started.
    pub async fn run(self, shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
        let address = self.listener.local_address();
        tracing::info!(%address, "listening");
        let stop = CancellationToken::new();
        let guarded = admin::together(self.sites.iter().map(Site::admin_api));
        let admin = admin::serve(self.admin, (self.admin_parts, guarded), stop.clone());
        let mut finishing = vec![tokio::spawn(admin)];
        let mut endless = vec![tokio::spawn(take_over(address, Arc::clone(&self.sites)))];
        for site in self.sites.iter() {
            finishing.extend(site.finishing(&stop));
            endless.extend(site.endless());
        }
        let providers = self.providers.into_iter();
        endless.extend(providers.map(|one| tokio::spawn(one.keep_up())));
        let issuers = self.api_issuers.into_iter();
        endless.extend(issuers.map(|one| tokio::spawn(one.keep_up())));
        let served = proxy::serve(self.proxy, vec![self.listener], shutdown).await;
        stop.cancel();
        finish(finishing).await;
        endless.iter().for_each(JoinHandle::abort);
        for site in self.sites.iter() {
            site.close().await;
        }
        tracing::info!("stopped");
        served
    }
}

/// Lets tasks end; whoever holds the admin listener's connections open does not hold up the end.
async fn finish(tasks: Vec<JoinHandle<()>>) {
    let finished = futures_util::future::join_all(tasks);
    if tokio::time::timeout(FINISH_WITHIN, finished).await.is_err() {
        tracing::warn!("what was under way beside the traffic did not finish in time");
    }
}
