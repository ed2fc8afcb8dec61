//! The composition root: settings to a running gateway. The only folder that names adapters
//! together.

mod assertions;
mod by_hand;
mod collector;
mod correspondence;
pub mod doctor;
mod error_pages;
mod foundation;
mod handover;
mod node;
mod platforms;
mod probes;
mod reload;
mod running;
mod site;
mod sockets;
mod use_cases;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::admin::{self, AdminParts, AdminTokens, Shown};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{AdminSettings, KeyFileProblem, Settings, SiteSettings, StoreSettings};
use crate::database::{DatabaseError, Node};
use crate::login::openid::{ApiIssuer, OpenIdProvider};
use crate::mail::NoCourier;
use crate::mail::smtp::SmtpProblem;
use crate::onboarding::Onboarding;
use crate::operator_file::Problems;
use crate::outbound::OutboundError;
use crate::platform::handoff::CannotSign;
use crate::platform::{scim, thingsboard};
use crate::proxy::{
    self, ListenProblem, Listener, ListenerSettings, ProxyParts, UpstreamHealth, UpstreamSettings,
};
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
use handover::Predecessor;
use node::node;
pub use reload::Reload;
use site::{Laid, Shared, Site};
pub use sockets::Sockets;
use use_cases::Office;

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
    /// The service manager passes on a socket that the configuration does not name.
    #[error("the service manager listens on {0}, which is no address of `[listen]`")]
    Unasked(SocketAddr),
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
    /// The first is for traffic.
    listeners: Vec<Listener>,
    /// The address for traffic as it is configured.
    configured: SocketAddr,
    predecessor: Option<Predecessor>,
    admin: TcpListener,
    admin_parts: AdminParts,
    sites: Arc<[Site]>,
    providers: Vec<Arc<OpenIdProvider>>,
    api_issuers: Vec<Arc<ApiIssuer>>,
    /// Folders and files that are read again while it runs.
    sources: Arc<[PathBuf]>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Puts a gateway together, with the sockets that are open already. To be called on the runtime
/// that it will run on.
pub async fn assemble(
    settings: Settings,
    mut sockets: Sockets,
) -> Result<Gateway, AssemblyProblem> {
    let sources = sources(&settings);
    let Grounds {
        keys,
        metrics,
        each,
    } = grounds(&settings, true)?;
    let proxy = settings.proxy;
    let laid = lay(settings.sites, each, &proxy.upstreams).await?;
    let clock: SharedClock = Arc::new(SystemClock);
    let listeners = listeners(&settings.listener, settings.redirect, &mut sockets)?;
    let assertions = assertions::all(&keys, &proxy.upstreams)?;
    let roster = laid.first().ok_or(AssemblyProblem::NoSuchSite)?;
    let roster = roster.roster(&settings.admin.scim);
    let provider_names = use_cases::provider_names(&settings.providers);
    let providers = use_cases::providers(settings.providers, &clock)?;
    let api_issuers = use_cases::api_issuers(settings.api_issuers, &clock)?;
    let shared = Shared {
        hosts: proxy.hosts.clone(),
        redis: redis_link(&settings.store)?,
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
        node: node(address_of(&listeners, settings.listener.address)),
    };
    let sites = laid.into_iter().map(|site| site.open(&shared));
    let sites: Arc<[Site]> = sites.collect::<Result<_, _>>()?;
    let upstream_health = UpstreamHealth::of(&proxy.upstreams);
    let readiness = probes::all(&sites, &providers, (&api_issuers, &upstream_health));
    let admin = admin_socket(settings.admin.address, &mut sockets)?;
    let admin_parts = admin_parts(settings.admin, (&*sites, &roster), (readiness, &metrics))?;
    Ok(Gateway {
        proxy: ProxyParts {
            settings: proxy,
            sites: sites.iter().map(Site::door).collect(),
            assertions,
            upstream_health,
            clock,
            metrics,
        },
        listeners,
        configured: settings.listener.address,
        predecessor: sockets.predecessor().map_err(AssemblyProblem::Unasked)?,
        admin,
        admin_parts,
        sites,
        providers,
        api_issuers,
        sources,
    })
}

/// The way to Redis, where there is one.
fn redis_link(store: &StoreSettings) -> Result<Option<Arc<Link>>, NotARedisAddress> {
    let link = store.redis.as_ref().map(Link::to).transpose()?;
    Ok(link.map(Arc::new))
}

/// What the policies and the certificates are read from.
fn sources(settings: &Settings) -> Arc<[PathBuf]> {
    let policies = settings.sites.iter().map(|site| &site.policies);
    let certificates = settings.listener.tls.iter();
    let files = certificates.flat_map(|files| [&files.certificate, &files.key]);
    policies.chain(files).cloned().collect()
}

fn listeners(
    traffic: &ListenerSettings,
    redirect: Option<SocketAddr>,
    sockets: &mut Sockets,
) -> Result<Vec<Listener>, ListenProblem> {
    let mut socket = |address| {
        let opened = sockets.at(address).map_or_else(|| proxy::open(address), Ok);
        opened.map_err(|cause| ListenProblem::Address { address, cause })
    };
    let mut all = vec![Listener::on(socket(traffic.address)?, traffic)?];
    if let Some(address) = redirect {
        let listener = Listener::redirecting(socket(address)?);
        all.push(listener.map_err(|cause| ListenProblem::Address { address, cause })?);
    }
    Ok(all)
}

/// Unlike those for traffic, its address is one process's at a time, or several would be asked for
/// the health of one.
fn admin_socket(
    address: SocketAddr,
    sockets: &mut Sockets,
) -> Result<TcpListener, AssemblyProblem> {
    let opened = sockets.at(address);
    let opened = opened.map_or_else(|| std::net::TcpListener::bind(address), Ok);
    let listener = opened.and_then(|socket| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    });
    listener.map_err(|cause| AssemblyProblem::Admin { address, cause })
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
        metrics: metrics.of_platform(site.platform.id.as_str()),
        redis: settings.store.redis.clone().filter(|_| migrate),
        part: site.part.clone(),
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

fn admin_parts(
    settings: AdminSettings,
    (sites, roster): (&[Site], &Arc<Roster>),
    (readiness, metrics): (Readiness, &Metrics),
) -> Result<AdminParts, AssemblyProblem> {
    let AdminSettings {
        address: _,
        tokens,
        scim,
    } = settings;
    let sessions = sites.iter().map(|site| Arc::clone(site.stores().1));
    Ok(AdminParts {
        readiness,
        metrics: Shown::new(metrics.clone(), sessions.collect()),
        tokens: AdminTokens::new(&tokens),
        scim: admin::scim::router(site::scim(scim, roster, sites)?),
    })
}

impl Gateway {
    /// What to ask for a reload while the gateway runs.
    pub fn reload(&self) -> Reload {
        Reload {
            policies: self.sites.iter().map(Site::policies).collect(),
            certificates: self.listeners.first().and_then(Listener::certificates),
            metrics: self.proxy.metrics.clone(),
            sources: Arc::clone(&self.sources),
        }
    }

    /// Where traffic comes in, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        address_of(&self.listeners, self.configured)
    }
}

/// The address of the listener for traffic, with the port that the system chose.
fn address_of(listeners: &[Listener], configured: SocketAddr) -> SocketAddr {
    let traffic = listeners.first();
    traffic.map_or(configured, Listener::local_address)
}
