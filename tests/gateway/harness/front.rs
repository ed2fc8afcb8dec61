//! The data plane alone: a proxy with a fixed policy and a trivial page behind `/auth/`, in front
//! of an upstream that keeps what it received. Raw sockets, because HTTP clients are too polite.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vestibule::access::ClientContext;
use vestibule::clock::{Clock, SharedClock, SystemClock};
use vestibule::database::{Database, DatabaseAddress};
use vestibule::expression::Condition;
use vestibule::identity::{
    Account, AccountType, Cleared, CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId,
    VerifiedClaims, VerifiedIdentity,
};
use vestibule::policy::duties::Duties;
use vestibule::policy::onboarding::{LocalLogin, SelfRegistration};
use vestibule::policy::place::PathPattern;
use vestibule::policy::{
    Access, ApprovalPolicy, Forms, Limits, OnboardingPolicy, PartnerPolicy, Policy, PolicySource,
    Rule, Rules, SignupForm,
};
use vestibule::proxy::{
    AssertionsByUpstream, Authorities, CertificateFiles, DoorLimits, HostSettings, Listener,
    ListenerSettings, PlainErrorPages, ProxyParts, ProxySettings, SiteParts, UpstreamHealth,
    UpstreamServer, UpstreamSettings, serve,
};
use vestibule::rate_limit::{Limit, NodeLimits, Per, Scope};
use vestibule::seal::{KeyRing, SealKey};
use vestibule::session::sql::SqlSessionStore;
use vestibule::session::{Beginning, Lifetimes, SessionId, SessionStore, Sessions, Stage};
use vestibule::telemetry::metrics::{Metrics, render};

use super::Upstream;

/// A running data plane with its upstream; ends with the value.
pub struct Front {
    pub upstream: Upstream,
    pub sessions: Arc<Sessions>,
    pub address: SocketAddr,
    pub secure_address: SocketAddr,
    pub certificate: Vec<u8>,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<std::io::Result<()>>>,
    _folder: tempfile::TempDir,
}

/// What a test changes before it starts.
pub struct FrontSettings {
    pub limits: DoorLimits,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub proxy_protocol: bool,
    pub policy_limits: Limits,
    pub more_upstreams: Vec<UpstreamServer>,
    pub only_upstream: Option<UpstreamServer>,
    pub read_timeout: Duration,
    /// What else is said of the upstream.
    pub of_upstream: Box<dyn Fn(&mut UpstreamSettings) + Send>,
    /// Where the upstream's certificate comes from, PEM, if not from the public roots.
    pub upstream_ca: Option<Vec<u8>>,
    pub grace: Duration,
    /// Where sessions are, if not in an SQLite file of its own.
    pub session_store: Option<Arc<dyn SessionStore>>,
}

impl FrontSettings {
    fn upstream(&self, own: &Upstream) -> UpstreamSettings {
        let mut servers = self.more_upstreams.clone();
        servers.push(UpstreamServer::parse(&own.url(), None).expect("a server"));
        if let Some(only) = &self.only_upstream {
            servers = vec![only.clone()];
        }
        let mut to = UpstreamSettings::to(servers);
        to.read_timeout = self.read_timeout;
        to.connect_timeout = Duration::from_secs(1);
        let pem = self.upstream_ca.as_ref();
        to.authorities = pem.map(|pem| Authorities::parse(pem).expect("PEM"));
        (self.of_upstream)(&mut to);
        to
    }
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            limits: DoorLimits::default(),
            trusted_proxies: vec![],
            proxy_protocol: false,
            policy_limits: Limits::default(),
            more_upstreams: vec![],
            only_upstream: None,
            read_timeout: Duration::from_secs(10),
            of_upstream: Box::new(|_| {}),
            upstream_ca: None,
            grace: Duration::from_secs(5),
            session_store: None,
        }
    }
}

struct FixedPolicy(Arc<Policy>);

impl PolicySource for FixedPolicy {
    fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.0)
    }
}

impl Front {
    pub async fn start() -> Self {
        Self::with(FrontSettings::default()).await
    }

    pub async fn with(settings: FrontSettings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let upstream = Upstream::start().await;
        let upstreams = vec![settings.upstream(&upstream)];
        let folder = tempfile::tempdir().expect("a folder");
        let (files, certificate) = certificate(folder.path());
        let sessions = sessions(folder.path(), settings.session_store).await;
        let metrics = Metrics::default();
        let hosts = ["https://app.example.com", "https://b.example.com"];
        let parts = ProxyParts {
            settings: ProxySettings {
                hosts: hosts
                    .map(|o| HostSettings::from_origin(o).expect("an origin"))
                    .into(),
                trusted_proxies: settings.trusted_proxies,
                proxy_protocol: settings.proxy_protocol,
                upstreams: upstreams.clone(),
                limits: settings.limits,
                grace: settings.grace,
                goodbye: Duration::from_millis(200),
            },
            sites: vec![SiteParts {
                policy: Arc::new(FixedPolicy(Arc::new(policy(settings.policy_limits)))),
                sessions: Arc::clone(&sessions),
                pages: pages(),
                error_pages: Arc::new(PlainErrorPages),
                limiter: Arc::new(NodeLimits::default()),
                metrics: metrics.clone(),
                user_tokens: None,
                access_tokens: None,
                bearers: None,
            }],
            upstream_health: UpstreamHealth::of(&upstreams),
            assertions: AssertionsByUpstream::new(),
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
        };
        let listener = |tls| {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            Listener::bind(&ListenerSettings { address, tls }).expect("a listener")
        };
        let (plain, secure) = (listener(vec![]), listener(vec![files]));
        let (address, secure_address) = (plain.local_address(), secure.local_address());
        let (stop, stopped) = watch::channel(false);
        let running = Some(tokio::spawn(serve(parts, vec![plain, secure], stopped)));
        Self {
            upstream,
            sessions,
            address,
            secure_address,
            certificate,
            metrics,
            stop,
            running,
            _folder: folder,
        }
    }

    /// Signs alice in on a host; gives the cookie's value.
    pub async fn sign_in(&self, host: &str) -> SignedIn {
        self.begin(
            host,
            Stage::Live(account()),
            serde_json::json!({
                "email": "alice@acme.example", "groups": ["users"],
            }),
        )
        .await
    }

    /// A session of somebody whose registration is not complete.
    pub async fn sign_in_pending(&self, host: &str) -> SignedIn {
        let stage = Stage::Pending {
            return_to: "/".to_owned(),
        };
        self.begin(host, stage, serde_json::json!({})).await
    }

    /// Signs somebody in with these claims.
    pub async fn begin(&self, host: &str, stage: Stage, claims: serde_json::Value) -> SignedIn {
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: ProviderId::new("corp"),
            issuer: Issuer::new("https://idp.example.com"),
            subject: Subject::new("alice"),
            claims: claims.as_object().expect("claims").clone(),
            email_trusted: false,
            authenticated_at: SystemClock.now(),
        });
        let beginning = || Beginning {
            identity: identity.clone(),
            stage: stage.clone(),
            cleared: Cleared::default(),
            tokens: None,
            host,
            device: "test",
            replaces: None,
        };
        // A busy machine may need more than one try within the store's deadline.
        let mut id = self.sessions.begin(beginning()).await;
        for _ in 0..10 {
            if id.is_ok() {
                break;
            }
            id = self.sessions.begin(beginning()).await;
        }
        let id = id.expect("a session");
        let cookie = format!("__Host-vestibule={}", id.to_cookie_value());
        SignedIn { id, cookie }
    }

    /// Sends octets on a fresh connection and reads until the gateway closes it.
    pub async fn raw(&self, octets: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        let _ = stream.write_all(octets.as_ref()).await;
        read_to_end(&mut stream).await
    }

    /// One request to `app.example.com` with these further lines, closed after the answer.
    pub async fn request(&self, line: &str, fields: &[&str]) -> String {
        let fields = fields
            .iter()
            .fold(String::new(), |all, field| all + field + "\r\n");
        self.raw(format!(
            "{line} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{fields}\r\n"
        ))
        .await
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    /// What the metrics show.
    pub fn metrics(&self) -> String {
        render(&self.metrics.registry())
    }

    /// Stops, and waits until everything is drained.
    pub async fn stop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(running) = self.running.take() {
            running.await.expect("a clean end").expect("threads");
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Somebody who is signed in.
pub struct SignedIn {
    pub id: SessionId,
    /// `name=value`.
    pub cookie: String,
}

/// Reads until the other side closes, or ten seconds.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer whose length is announced.
pub async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = async {
        loop {
            let mut octet = [0];
            if stream.read(&mut octet).await.unwrap_or(0) == 0 {
                return;
            }
            answer.push(octet[0]);
            if answer.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:"))
                    .and_then(|length| length.trim().parse().ok())
                    .unwrap_or(0);
                let mut body = vec![0; length];
                let _ = stream.read_exact(&mut body).await;
                answer.extend(body);
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer; 0 when there is none.
pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

fn account() -> Account {
    Account {
        platform: PlatformId::new("demo"),
        user: UserId::new("user-1"),
        customer: Some(CustomerId::new("customer-1")),
        account_type: Some(AccountType::Business),
    }
}

async fn sessions(folder: &std::path::Path, store: Option<Arc<dyn SessionStore>>) -> Arc<Sessions> {
    let store = if let Some(store) = store {
        store
    } else {
        let address = DatabaseAddress::Sqlite(folder.join("vestibule.db"));
        let database = Database::open(&address).await.expect("a database");
        database.migrate().await.expect("the schema");
        Arc::new(SqlSessionStore::new(database))
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let keys = Arc::new(KeyRing::new(SealKey::from_bytes([7; 32]), vec![]));
    Arc::new(Sessions::new(store, keys, clock, Lifetimes::default()))
}

fn certificate(folder: &std::path::Path) -> (CertificateFiles, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["app.example.com".to_owned()])
        .expect("a certificate");
    let write = |name: &str, text: String| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let files = CertificateFiles {
        certificate: write("tls.crt", made.cert.pem()),
        key: write("tls.key", made.signing_key.serialize_pem()),
    };
    (files, made.cert.der().to_vec())
}

/// `/auth/whoami` tells what the pages learn; `/auth/echo` gives bodies back.
fn pages() -> Router {
    async fn whoami(Extension(context): Extension<ClientContext>) -> String {
        format!("{} {} {:?}", context.host, context.client, context.kind)
    }
    async fn cookies() -> impl axum::response::IntoResponse {
        let cookies = ["__Host-vestibule=a; Path=/", "b=2", "c=3"];
        axum::response::AppendHeaders(cookies.map(|cookie| ("set-cookie", cookie)))
    }
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    Router::new()
        .route("/auth/whoami", get(whoami))
        .route("/auth/cookies", get(cookies))
        .route(
            "/auth/nothing",
            get(|| async { axum::http::StatusCode::NO_CONTENT }),
        )
        .route("/auth/panics", get(panics))
        .route("/auth/callback", get(|| async { "called back" }))
        .route("/auth/echo", any(|body: String| async move { body }))
}

/// `/public` open, `/admin` for group `adm`, `/others` for who is not in it, `/small` takes 1 KiB, `/slow-down` one request a
/// minute, `/ws` and everything else behind login.
fn policy(limits: Limits) -> Policy {
    let below = |path: &str| PathPattern::Below(path.to_owned());
    let mut admin = Rule::new("admin", below("/admin"), Access::Login);
    admin.require = Some(Condition::compile("'adm' in identity.groups").expect("a condition"));
    let mut others = Rule::new("others", below("/others"), Access::Login);
    others.require = Some(Condition::compile("!('adm' in identity.groups)").expect("a condition"));
    let mut small = Rule::new("small", below("/small"), Access::Public);
    small.max_body = Some(1024);
    let mut limited = Rule::new("limited", below("/slow-down"), Access::Public);
    limited.limit = Some(Arc::new(Limit {
        name: "careful".to_owned(),
        requests: 1,
        period: Duration::from_mins(1),
        burst: 2,
        per: Per::User,
        scope: Scope::Node,
    }));
    let form = SignupForm::default();
    Policy {
        version: "test".into(),
        rules: Rules::new(vec![
            Rule::new("public", below("/public"), Access::Public),
            admin,
            others,
            small,
            limited,
        ]),
        onboarding: OnboardingPolicy {
            create_customer_on_first_login: true,
            account_types: vec![AccountType::Business],
            add_default_location: true,
            known_customer: vec![],
            exclude: vec![],
            recheck_account_every: Duration::from_mins(5),
            self_registration: SelfRegistration::default(),
            duties: Duties::default(),
            addresses: vestibule::policy::addresses::AddressPolicy::default(),
            hooks: vestibule::policy::hooks::HookPolicy::default(),
            local_login: LocalLogin::default(),
            partner: PartnerPolicy::default(),
            approval: ApprovalPolicy::default(),
            attributes: vestibule::policy::attributes::AttributePolicy::default(),
        },
        limits,
        forms: Forms {
            default: Arc::new(form),
            by_host: BTreeMap::new(),
        },
    }
}
