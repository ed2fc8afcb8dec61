//! Door 1, the data plane: takes connections, decides about every request, forwards or answers.
//!
//! pingora's proxy does the HTTP; its server is not used. Accepting, TLS, the judgement of request
//! heads, deadlines and the drain at the end are here. Connections are carried by threads of their
//! own (`workers`); what needs a store or a page goes to the runtime that everything else is on.

mod access_token;
mod answer;
mod authorities;
mod bearer;
mod bodies;
mod bridge;
mod callbacks;
mod certificates;
mod challenge;
mod connection;
mod context;
mod counters;
mod facts;
mod gateway;
mod grpc;
mod guard;
mod hand_off;
mod head;
mod head_reader;
mod http2;
mod limits;
mod listeners;
mod main_runtime;
mod onward;
mod pace;
mod patience;
mod proxy_header;
mod resource_metadata;
mod respond;
mod retries;
mod rule_fields;
mod settings;
mod site;
mod streams;
mod thingsboard;
mod trace;
mod upstream;
mod upstreams;
mod wire;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use main_runtime::MainRuntime;
use upstreams::Upstreams;
use workers::Workers;

use crate::clock::SharedClock;
use crate::login::access_tokens::AccessTokens;
use crate::login::bearer::Bearers;
use crate::platform::UserTokens;
use crate::policy::PolicySource;
use crate::rate_limit::RateLimiter;
use crate::session::Sessions;
use crate::telemetry::metrics::Metrics;

pub use answer::{ErrorPage, ErrorPages, PlainErrorPages, Problem};
pub use authorities::{Authorities, AuthoritiesProblem};
pub use bridge::Pages;
pub use certificates::{CertificateProblem, Certificates};
pub use listeners::{ListenProblem, Listener, open};
pub use proxy_header::{ProxyHeaderProblem, read_proxy_header};
pub use settings::{
    CertificateFiles, ClosedWays, DoorLimits, HandoffSettings, HostProblem, HostSettings,
    ListenerSettings, ProxySettings,
};
pub use thingsboard::kept_from_thingsboard;
pub use upstream::{
    HealthQuestion, HealthSettings, SetAside, UpstreamProblem, UpstreamProtocol, UpstreamServer,
    UpstreamSettings, check_client_certificate,
};
pub use upstreams::{AssertionsByUpstream, UpstreamHealth, places_of, upstream_for};

/// How many sessions are looked up in the store at once, in all and for one network.
const LOOKUPS: (usize, usize) = (2048, 512);

/// How many bearer tokens are judged at once, in all and for one network.
const PROVING: (usize, usize) = (1024, 64);

/// How many tokens for upstreams are fetched at once, in all and for one network.
const FETCHING: (usize, usize) = (512, 64);

/// How many unused connections to the upstream are kept, in all.
const UPSTREAM_CONNECTIONS: usize = 512;

/// What the data plane is made of.
pub struct ProxyParts {
    /// Hosts, upstreams, limits.
    pub settings: ProxySettings,
    /// The sites, at least one; hosts name theirs by its place.
    pub sites: Vec<SiteParts>,
    /// Proves to upstreams who somebody is.
    pub assertions: AssertionsByUpstream,
    /// Where readiness looks how the upstreams are.
    pub upstream_health: UpstreamHealth,
    /// The time.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: Metrics,
}

/// What is a site's own: the hosts of one platform, their people and their rules.
pub struct SiteParts {
    /// The rules.
    pub policy: Arc<dyn PolicySource>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// The gateway's own pages.
    pub pages: Pages,
    /// How errors look to people.
    pub error_pages: Arc<dyn ErrorPages>,
    /// Slows abuse.
    pub limiter: Arc<dyn RateLimiter>,
    /// Counts for the platform.
    pub metrics: Metrics,
    /// The platform's own tokens, where an upstream wants them.
    pub user_tokens: Option<Arc<UserTokens>>,
    /// The identity providers' access tokens, where an upstream wants them.
    pub access_tokens: Option<Arc<AccessTokens>>,
    /// Judges bearer tokens, where any issuer's count.
    pub bearers: Option<Arc<Bearers>>,
}

/// The data plane, ready to accept connections.
pub struct DataPlane {
    door: Arc<connection::Door>,
    grace: Duration,
}

/// Starts the threads that carry connections; fails when there can be none. `shutdown` ends
/// everything when it says true.
pub async fn prepare(
    parts: ProxyParts,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<DataPlane> {
    let gateway = gateway_of(&parts).await;
    let workers = Workers::start(|count| proxy_of(&gateway, count))?;
    let ProxySettings {
        limits,
        proxy_protocol,
        grace,
        goodbye,
        ..
    } = parts.settings;
    let caps = guard::Caps::new(limits.connections, limits.connections_per_network);
    let door = Arc::new(connection::Door {
        workers,
        gateway,
        limits,
        proxy_protocol,
        goodbye,
        stopping: CancellationToken::new(),
        shutdown,
        tracker: TaskTracker::new(),
        caps: Arc::new(caps),
    });
    Ok(DataPlane { door, grace })
}

impl DataPlane {
    /// Serves until `shutdown` says true, then stops accepting, lets requests in flight finish for
    /// as long as the settings say, and cuts off what is left.
    pub async fn serve(self, listeners: Vec<Listener>) {
        let Self { door, grace } = self;
        let upstreams = Arc::clone(&door.gateway.upstreams);
        let renewing = tokio::spawn(async move { upstreams.keep_up().await });
        for listener in listeners {
            door.tracker.spawn(Arc::clone(&door).accept_from(listener));
        }
        // An error means that whoever could say so is gone.
        let _ = door.shutdown.clone().wait_for(|is_over| *is_over).await;
        door.stopping.cancel();
        renewing.abort();
        door.tracker.close();
        if tokio::time::timeout(grace, door.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!("cut off what did not finish in time");
        }
        door.workers.stop().await;
    }
}

/// [`prepare`]s a data plane, and has it serve.
pub async fn serve(
    parts: ProxyParts,
    listeners: Vec<Listener>,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    prepare(parts, shutdown).await?.serve(listeners).await;
    Ok(())
}

async fn gateway_of(parts: &ProxyParts) -> Arc<gateway::Gateway> {
    let ProxySettings {
        hosts,
        trusted_proxies,
        upstreams,
        limits,
        proxy_protocol: _,
        grace: _,
        goodbye: _,
    } = parts.settings.clone();
    let clock = Arc::clone(&parts.clock);
    let around = (&parts.metrics.upstreams, &parts.upstream_health);
    let upstreams = Upstreams::new(upstreams, &parts.assertions, clock, around);
    let upstreams = Arc::new(upstreams);
    upstreams.renew().await;
    Arc::new(gateway::Gateway {
        hosts: hosts
            .into_iter()
            .map(|host| (Arc::clone(&host.name), Arc::new(host)))
            .collect(),
        trusted: trusted_proxies,
        sites: parts
            .sites
            .iter()
            .map(|site| site_of(site, parts))
            .collect(),
        upstreams,
        counters: Arc::new(counters::Counters::of(
            &parts.metrics,
            parts.sites.iter().map(|site| &site.metrics),
        )),
        references: context::References::from_start(random()),
        clock: Arc::clone(&parts.clock),
        lookups: MainRuntime::current(LOOKUPS.0, LOOKUPS.1),
        proving: MainRuntime::current(PROVING.0, PROVING.1),
        fetching: MainRuntime::current(FETCHING.0, FETCHING.1),
        limits,
    })
}

fn site_of(site: &SiteParts, parts: &ProxyParts) -> site::Site {
    let limits = &parts.settings.limits;
    site::Site {
        policy: Arc::clone(&site.policy),
        sessions: Arc::clone(&site.sessions),
        bridge: bridge::Bridge::new(site.pages.clone(), limits.page_body, limits.body_time),
        error_pages: Arc::clone(&site.error_pages),
        lanes: limits::Lanes::new(Arc::clone(&site.limiter), site.metrics.clone()),
        user_tokens: site.user_tokens.clone(),
        access_tokens: site.access_tokens.clone(),
        bearers: site.bearers.clone(),
    }
}

/// The library's proxy around our callbacks, one of `count`.
fn proxy_of(gateway: &Arc<gateway::Gateway>, count: usize) -> workers::Proxy {
    let conf = ServerConf {
        upstream_keepalive_pool_size: UPSTREAM_CONNECTIONS.div_ceil(count),
        max_retries: 4,
        ..ServerConf::default()
    };
    http_proxy(&Arc::new(conf), callbacks::Shared(Arc::clone(gateway)))
}

/// A random start for references; they are no secret.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
