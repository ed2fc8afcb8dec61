//! The composition root: settings to a running gateway. The only file that names adapters
//! together.

mod by_hand;
mod correspondence;
pub mod doctor;
mod error_pages;
mod foundation;
mod node;
mod platforms;
mod probes;
mod traffic;
mod use_cases;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminParts, AdminTokens};
use crate::config::{AdminSettings, KeyFileProblem, Settings, StoreSettings};
use crate::database::{Database, DatabaseError, Node};
use crate::login::Login;
use crate::login::openid::OpenIdProvider;
use crate::mail::NoCourier;
use crate::mail::smtp::SmtpProblem;
use crate::onboarding::Onboarding;
use crate::operator_file::Problems;
use crate::outbound::OutboundError;
use crate::outbox::{Carrier, Outbox};
use crate::platform::builtin::BuiltinPlatform;
use crate::platform::handoff::CannotSign;
use crate::platform::{scim, thingsboard};
use crate::policy::PolicySource;
use crate::policy::folder::PolicyFolder;
use crate::proxy::{self, Certificates, ListenProblem, Listener, ProxyParts};
use crate::roster::Roster;
use crate::session::Sessions;
use crate::session::redis::NotARedisAddress;

pub use by_hand::{PlatformByHand, platform_by_hand};
pub use correspondence::courier;
use correspondence::{Hooks, and_follower};
use foundation::{Foundation, Ground};
use node::{node, take_over};
use platforms::OpenPlatform;
use traffic::proxy_parts;
use use_cases::Office;

/// How often what is over is forgotten.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

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
    platform: OpenPlatform,
    onboarding: Arc<Onboarding>,
    outbox: Arc<Outbox>,
    carriers: Vec<Arc<dyn Carrier>>,
    login: Arc<Login>,
    providers: Vec<Arc<OpenIdProvider>>,
    sessions: Arc<Sessions>,
    policy: Arc<PolicyFolder>,
    database: Database,
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
    policy: Arc<PolicyFolder>,
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
        self.policy.reload();
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
    let surroundings = settings.surroundings();
    let Settings {
        listener,
        proxy,
        admin,
        store: StoreSettings { database, redis },
        keys,
        providers,
        platform,
        mail,
        hooks,
        captchas,
        lifetimes,
        log: _,
        login_attempt,
        policies,
    } = settings;
    let base = Foundation::lay(Ground {
        database,
        keys,
        policies,
        surroundings,
        migrate: true,
    })
    .await?;
    let sessions = base.sessions(redis.as_ref(), lifetimes)?;
    let (platform, tokens) = base.introduced(platform, &proxy.upstreams).await?;
    let listener = Listener::bind(&listener)?;
    let writing = base.correspondence((mail, hooks), node(listener.local_address()))?;
    let onboarding = Arc::new(base.onboarding(Office {
        platform: &platform.used,
        courier: writing.desk,
        hooks: writing.hooks,
        outbox: Arc::clone(&writing.outbox),
        node: writing.node,
        hosts: &proxy.hosts,
        providers: &providers,
    }));
    let (providers, roster) = (base.providers(providers)?, base.roster(&admin.scim));
    let (admin, admin_parts) = admin_door(&base, admin, (&sessions, &providers, &roster)).await?;
    let login = base.login(&providers, (&sessions, &onboarding, &roster), login_attempt);
    let around = (&sessions, &onboarding, tokens);
    let proxy = proxy_parts(&base, (proxy, captchas), &login, around)?;
    Ok(Gateway {
        proxy,
        listener,
        admin,
        admin_parts,
        carriers: and_follower(writing.carriers, &onboarding),
        platform,
        onboarding,
        outbox: writing.outbox,
        login,
        providers,
        sessions,
        policy: base.policy,
        database: base.database,
    })
}

/// Onboarding alone, over the stores of an installation, for questions that change nothing.
pub async fn for_questions(settings: Settings) -> Result<Onboarding, AssemblyProblem> {
    let surroundings = settings.surroundings();
    let base = Foundation::lay(Ground {
        database: settings.store.database,
        keys: settings.keys,
        policies: settings.policies,
        surroundings,
        migrate: false,
    })
    .await?;
    Ok(base.onboarding(Office {
        platform: &base.platform(settings.platform)?.used,
        courier: Arc::new(NoCourier),
        hooks: Hooks::default(),
        outbox: base.outbox(&Node::at("")),
        node: Node::at(""),
        hosts: &settings.proxy.hosts,
        providers: &settings.providers,
    }))
}

async fn admin_door(
    base: &Foundation,
    settings: AdminSettings,
    (sessions, providers, roster): (&Arc<Sessions>, &[Arc<OpenIdProvider>], &Arc<Roster>),
) -> Result<(TcpListener, AdminParts), AssemblyProblem> {
    let AdminSettings {
        address,
        tokens,
        scim,
    } = settings;
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|cause| AssemblyProblem::Admin { address, cause })?;
    let parts = AdminParts {
        readiness: probes::all(&base.database, sessions, providers),
        metrics: base.metrics.registry(),
        tokens: AdminTokens::new(&tokens),
        scim: admin::scim::router(base.scim(scim, (roster, sessions))),
    };
    Ok((listener, parts))
}

impl Gateway {
    /// Where traffic comes in, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    /// The builtin platform, for those who put the first customers there.
    pub fn platform(&self) -> &Arc<BuiltinPlatform> {
        &self.platform.own
    }

    /// What to ask for a reload while the gateway runs.
    pub fn reload(&self) -> Reload {
        Reload {
            policy: Arc::clone(&self.policy),
            certificates: self.listener.certificates(),
        }
    }

    /// Runs until `shutdown` says true; then stops accepting, lets what is in flight finish, and
    /// returns. Fails when the threads that carry connections cannot be started.
    pub async fn run(self, shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
        let address = self.listener.local_address();
        tracing::info!(%address, "listening");
        let stop = CancellationToken::new();
        let platform_api = if self.platform.is_elsewhere {
            admin::platform_api::none()
        } else {
            admin::platform_api::router(self.platform.own)
        };
        let guarded = platform_api.merge(admin::outbox_api::router(Arc::clone(&self.outbox)));
        let guarded = guarded.merge(admin::receipts::router(Arc::clone(&self.onboarding)));
        let guarded = guarded.merge(admin::operator_api::router(Arc::clone(&self.onboarding)));
        let admin = admin::serve(self.admin, (self.admin_parts, guarded), stop.clone());
        let take_over = take_over(
            address,
            Arc::clone(&self.onboarding),
            Arc::clone(&self.outbox),
        );
        let keep_going = self.onboarding.keep_going(stop.clone());
        let deliver = Arc::clone(&self.outbox).keep_delivering(self.carriers, stop.clone());
        let finishing = [
            tokio::spawn(admin),
            tokio::spawn(keep_going),
            tokio::spawn(deliver),
        ];
        let providers = self.providers.into_iter();
        let mut endless: Vec<JoinHandle<()>> =
            providers.map(|one| tokio::spawn(one.keep_up())).collect();
        endless.push(tokio::spawn(take_over));
        endless.push(tokio::spawn(sweep(self.sessions)));
        let policy = Arc::clone(&self.policy) as Arc<dyn PolicySource>;
        endless.push(tokio::spawn(self.login.keep_checking_accounts(policy)));
        let served = proxy::serve(self.proxy, vec![self.listener], shutdown).await;
        stop.cancel();
        finish(finishing).await;
        endless.iter().for_each(JoinHandle::abort);
        self.database.close().await;
        tracing::info!("stopped");
        served
    }
}

/// Lets tasks end; whoever holds the admin listener's connections open does not hold up the end.
async fn finish<const COUNT: usize>(tasks: [JoinHandle<()>; COUNT]) {
    let finished = futures_util::future::join_all(tasks);
    if tokio::time::timeout(FINISH_WITHIN, finished).await.is_err() {
        tracing::warn!("what was under way beside the traffic did not finish in time");
    }
}

async fn sweep(sessions: Arc<Sessions>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = sessions.sweep().await {
            tracing::warn!(%error, "what is over could not be forgotten");
        }
    }
}
