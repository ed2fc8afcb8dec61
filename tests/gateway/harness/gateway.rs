//! The gateway itself: the real program, one process for each node, with the files that an operator
//! would write, in a temporary folder.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use sqlx::Connection;
use tempfile::TempDir;

use super::{
    Browser, Mailbox, OidcProvider, Postgres, Redis, SECOND_HOST, ScriptedProvider, Upstream,
    balancer::Balancer,
    child::{ServerProcess, free_port, wait_until_async},
    gateway_files::{Files, Ports, Provider},
    node_services::wire_client,
};

/// The bearer token for the admin listener.
pub const OPERATOR_TOKEN: &str = "the operator of a gateway under test";

/// A gateway under test: one node, or several behind a balancer.
pub struct TestGateway {
    folder: TempDir,
    origin: String,
    database: String,
    nodes: Vec<Node>,
    _balancer: Option<Balancer>,
}

/// One process.
pub struct Node {
    ports: Ports,
    config: String,
    log: String,
    environment: Vec<(String, String)>,
    process: Option<ServerProcess>,
}

/// What a test asks for.
#[must_use]
pub struct GatewayBuilder<'a> {
    files: Files,
    stores: Stores<'a>,
    to_register: Vec<&'a OidcProvider>,
    nodes: usize,
    environment: Vec<(String, String)>,
}

enum Stores<'a> {
    Embedded,
    /// PostgreSQL, and sessions as this setting says.
    With(String),
    Distributed(&'a Redis, &'a Postgres),
}

impl TestGateway {
    /// SQLite, sessions too.
    pub fn embedded<'a>() -> GatewayBuilder<'a> {
        GatewayBuilder::over(Stores::Embedded)
    }

    /// PostgreSQL, and Redis for sessions.
    pub fn distributed<'a>() -> GatewayBuilder<'a> {
        Self::distributed_over(Redis::shared())
    }

    /// PostgreSQL, and a Redis of one's own, to break.
    pub fn distributed_over(redis: &Redis) -> GatewayBuilder<'_> {
        GatewayBuilder::over(Stores::Distributed(redis, Postgres::shared()))
    }

    /// PostgreSQL, and the Redis that a value of `[store] sessions` names.
    pub fn distributed_with<'a>(sessions: String) -> GatewayBuilder<'a> {
        GatewayBuilder::over(Stores::With(sessions))
    }

    /// Redis for sessions, and a PostgreSQL of one's own, to break.
    pub fn distributed_on(postgres: &Postgres) -> GatewayBuilder<'_> {
        GatewayBuilder::over(Stores::Distributed(Redis::shared(), postgres))
    }

    /// Where people find it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of its database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// A new browser that has it as its home.
    pub fn browser(&self) -> Browser {
        Browser::at(&self.origin)
    }

    /// A node, from 0.
    pub fn node(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// An address on the admin listener of the first node.
    pub fn admin(&self, path: &str) -> String {
        self.nodes[0].admin(path)
    }

    /// An address on the admin listener of a node, from 0.
    pub fn admin_of(&self, number: usize, path: &str) -> String {
        self.nodes[number].admin(path)
    }

    /// What all nodes logged so far.
    pub fn log(&self) -> String {
        self.nodes.iter().map(Node::log).collect()
    }

    /// Kills the first node without a word.
    pub fn kill9(&mut self) {
        self.node(0).kill9();
    }

    /// Starts the first node again, on what it left behind.
    pub async fn restart(&mut self) {
        self.node(0).start();
        self.node(0).is_ready().await;
    }

    /// Writes a policy file again, and has every running node read its policies.
    pub fn rewrite_policy(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join("policies").join(file), text).expect("a file");
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            node.signal("HUP");
        }
    }

    /// Runs a command of `vestibule` that fails, and gives what it complained of.
    pub fn run_failing(&self, arguments: &[&str]) -> String {
        let output = self.output_of(arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn output_of(&self, arguments: &[&str]) -> std::process::Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .args(arguments)
            .args(["--config", &self.nodes[0].config])
            .envs(self.nodes[0].environment.iter().cloned())
            .output()
            .expect("the command")
    }

    /// Runs a command of `vestibule` on this installation, and gives what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.output_of(arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// How many rows a table of the gateway's database has.
    pub async fn count(&self, table: &str) -> i64 {
        let select = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count = if self.database.starts_with("sqlite") {
            let mut database = sqlx::SqliteConnection::connect(&self.database)
                .await
                .expect("SQLite");
            sqlx::query_scalar(select).fetch_one(&mut database).await
        } else {
            let mut database = sqlx::PgConnection::connect(&self.database)
                .await
                .expect("PostgreSQL");
            sqlx::query_scalar(select).fetch_one(&mut database).await
        };
        count.expect("a number of rows")
    }

    /// Empties a table of the gateway's database.
    pub async fn forget(&self, table: &str) {
        let delete = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        let done = if self.database.starts_with("sqlite") {
            let mut database = sqlx::SqliteConnection::connect(&self.database)
                .await
                .expect("SQLite");
            sqlx::query(delete).execute(&mut database).await.map(|_| ())
        } else {
            let mut database = sqlx::PgConnection::connect(&self.database)
                .await
                .expect("PostgreSQL");
            sqlx::query(delete).execute(&mut database).await.map(|_| ())
        };
        done.expect("an empty table");
    }

    /// The certificate of one that is spoken to by TLS, DER.
    pub fn certificate(&self) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        let file = self.folder.path().join("tls.crt");
        let read = rustls::pki_types::CertificateDer::from_pem_file(file);
        read.expect("a certificate").to_vec()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the gateway logged:\n{}---", self.log());
        }
    }
}

impl Node {
    /// Address and port for traffic, past any balancer.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.traffic)
    }

    pub fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.admin)
    }

    /// Kills the process without a word.
    pub fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal("KILL");
        }
    }

    /// Whether the process ended by itself.
    pub fn has_ended(&self) -> bool {
        self.process
            .as_ref()
            .is_none_or(|process| !process.is_running())
    }

    /// Waits until the process ended by itself, as at a fault point.
    pub async fn ends(&mut self) {
        wait_until_async("the node ends", async || self.has_ended()).await;
        self.process = None;
    }

    /// Starts the process; does not wait for it.
    pub fn start(&mut self) {
        self.process = Some(self.started(&[]));
    }

    /// Has another process take over from the one that runs, and waits until that has ended.
    pub async fn replace(&mut self) {
        let successor = self.started(&["--replace"]);
        if let Some(old) = self.process.replace(successor) {
            wait_until_async("the old process ends", async || !old.is_running()).await;
        }
    }

    fn started(&self, further: &[&str]) -> ServerProcess {
        // `exec`, so that the process is the gateway itself; the log outlives restarts.
        let script = format!("exec \"$0\" \"$@\" >>{} 2>&1", self.log);
        let program = env!("CARGO_BIN_EXE_vestibule");
        let fixed = ["-c", &script, program, "serve", "--config", &self.config];
        let arguments = [&fixed[..], further].concat();
        ServerProcess::start_with("sh", &arguments, &self.environment)
    }

    /// Starts the process as systemd does, with a socket that is open already.
    pub fn start_on(&mut self, socket: &std::net::TcpListener) {
        let script = format!(
            "exec 3>&2 >>{} 2>&1; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"",
            self.log
        );
        let program = env!("CARGO_BIN_EXE_vestibule");
        let arguments = ["-c", &script, program, "serve", "--config", &self.config];
        let socket = socket.try_clone().expect("the same socket");
        let process = ServerProcess::start_on(socket.into(), "sh", &arguments, &self.environment);
        self.process = Some(process);
    }

    /// Sets an environment variable for the next start, such as a fault point.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Forgets an environment variable for the next start.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Sends a signal, such as `HUP`, `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("a running node").signal(name);
    }

    /// The most memory that the process had at any time, octets.
    pub fn peak_memory(&self) -> u64 {
        self.process.as_ref().expect("a running node").peak_memory()
    }

    /// Waits until `/readyz` says so.
    pub async fn is_ready(&self) {
        self.answers("/readyz").await;
    }

    /// Waits until the process is up, whatever it lacks.
    pub async fn is_alive(&self) {
        self.answers("/livez").await;
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn answers(&self, path: &str) {
        let client = wire_client();
        wait_until_async(&format!("{path} of the gateway"), async || {
            assert!(!self.has_ended(), "the gateway ended:\n{}", self.log());
            let answer = client.get(self.admin(path)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }
}

impl<'a> GatewayBuilder<'a> {
    fn over(stores: Stores<'a>) -> Self {
        let files = Files {
            upstream: "http://127.0.0.1:9".to_owned(),
            ..Files::default()
        };
        Self {
            files,
            stores,
            to_register: Vec::new(),
            nodes: 1,
            environment: Vec::new(),
        }
    }

    /// People log in here; its `email_verified` counts.
    pub fn provider(mut self, provider: &'a OidcProvider) -> Self {
        self.to_register.push(provider);
        let OidcProvider {
            issuer,
            client_id,
            client_secret,
            ..
        } = provider;
        self.add_provider(issuer, client_id, client_secret)
    }

    /// People log in at a provider that lies.
    pub fn scripted_provider(self, provider: &ScriptedProvider) -> Self {
        let ScriptedProvider {
            issuer,
            client_id,
            client_secret,
            ..
        } = provider;
        self.add_provider(issuer, client_id, client_secret)
    }

    fn add_provider(mut self, issuer: &str, client_id: &str, client_secret: &str) -> Self {
        let id = ["corp", "partners", "third"][self.files.providers.len()];
        self.files.providers.push(Provider {
            id: id.to_owned(),
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            further: "trust_email = true".to_owned(),
        });
        self
    }

    /// Replaces the further keys of the provider named last.
    pub fn provider_keys(mut self, toml: &str) -> Self {
        let last = self.files.providers.last_mut().expect("a provider");
        toml.clone_into(&mut last.further);
        self
    }

    /// Requests are forwarded here.
    pub fn upstream(mut self, upstream: &Upstream) -> Self {
        self.files.upstream = upstream.url();
        self
    }

    /// Requests are forwarded to the server at this address.
    pub fn forwards_to(mut self, url: &str) -> Self {
        url.clone_into(&mut self.files.upstream);
        self
    }

    /// Letters are sent through here.
    pub fn mail(mut self, mailbox: &Mailbox) -> Self {
        self.files.mail = Some(mailbox.url());
        self
    }

    /// Believes what is said of clients' addresses, as behind a proxy.
    pub fn behind_a_proxy(mut self) -> Self {
        self.files.trusts_proxies = true;
        self
    }

    /// Writes a file below `policies/`.
    pub fn policy(mut self, file: &str, text: &str) -> Self {
        self.files.policies.push((file.to_owned(), text.to_owned()));
        self
    }

    /// Writes further keys of `[listen]`.
    pub fn listen(mut self, toml: &str) -> Self {
        self.files.listen.push_str(toml);
        self.files.listen.push('\n');
        self
    }

    /// Reads policies and certificates again when their files change.
    pub fn watching(mut self) -> Self {
        "watch = true".clone_into(&mut self.files.first);
        self
    }

    /// Is spoken to by TLS, with a certificate of its own.
    pub fn by_tls(mut self) -> Self {
        self.files.is_secure = true;
        self
    }

    /// Lets idle connections bring another request for so long when it stops.
    pub fn saying_goodbye_for(mut self, span: &str) -> Self {
        self.files.goodbye = Some(span.to_owned());
        self
    }

    /// Appends tables to `vestibule.toml`.
    pub fn config(mut self, toml: &str) -> Self {
        self.files.further.push_str(toml);
        self.files.further.push('\n');
        self
    }

    /// Sets an environment variable of every node.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Several nodes on the same stores, behind a balancer.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> TestGateway {
        let gateway = self.start_unready().await;
        for node in &gateway.nodes {
            node.is_ready().await;
        }
        gateway
    }

    /// Starts it, and waits until it answers at all: a provider may be down.
    pub async fn start_unready(mut self) -> TestGateway {
        let folder = tempfile::Builder::new()
            .prefix("vestibule-gateway-")
            .tempdir();
        let folder = folder.expect("a temporary folder");
        let ports: Vec<Ports> = (0..self.nodes)
            .map(|_| Ports {
                traffic: free_port(),
                admin: free_port(),
            })
            .collect();
        let port = if self.nodes == 1 {
            ports[0].traffic
        } else {
            free_port()
        };
        let scheme = if self.files.is_secure {
            "https"
        } else {
            "http"
        };
        self.files.origin = format!("{scheme}://localhost:{port}");
        self.choose_stores(folder.path()).await;
        self.register_with_providers().await;
        self.files.write_shared(folder.path());
        let traffic = ports.iter().map(|ports| ports.traffic).collect();
        let balancer = if self.nodes == 1 {
            None
        } else {
            Some(Balancer::start(port, traffic).await)
        };
        let mut nodes: Vec<Node> = Vec::new();
        for (number, ports) in ports.into_iter().enumerate() {
            let mut node = self.node(folder.path(), number, ports);
            node.start();
            node.is_alive().await;
            nodes.push(node);
        }
        let Files {
            origin, database, ..
        } = self.files;
        TestGateway {
            folder,
            origin,
            database,
            nodes,
            _balancer: balancer,
        }
    }

    fn node(&self, folder: &Path, number: usize, ports: Ports) -> Node {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let node = Node {
            ports,
            config: path(&format!("vestibule-{number}.toml")),
            log: path(&format!("log-{number}")),
            environment: self.environment.clone(),
            process: None,
        };
        self.files.write_node(Path::new(&node.config), ports);
        node
    }

    async fn choose_stores(&mut self, folder: &Path) {
        static NEXT_REDIS_DATABASE: AtomicU16 = AtomicU16::new(1);
        match &self.stores {
            Stores::With(sessions) => {
                self.files.database = Postgres::shared().fresh_database().await;
                self.files.sessions = Some(sessions.clone());
            }
            Stores::Embedded => {
                self.files.database = format!("sqlite://{}/vestibule.db", folder.display());
            }
            Stores::Distributed(redis, postgres) => {
                self.files.database = postgres.fresh_database().await;
                let number = NEXT_REDIS_DATABASE.fetch_add(1, Ordering::Relaxed);
                self.files.sessions = Some(format!("{:?}", redis.url(number)));
            }
        }
    }

    async fn register_with_providers(&self) {
        let origin = &self.files.origin;
        let second = origin.replace("localhost", SECOND_HOST);
        let of_both = |path: &str| [format!("{origin}{path}"), format!("{second}{path}")];
        let callbacks = of_both(vestibule::paths::CALLBACK);
        let logged_out = of_both(vestibule::paths::LOGGED_OUT);
        for provider in &self.to_register {
            provider.register(&callbacks, &logged_out).await;
        }
    }
}
