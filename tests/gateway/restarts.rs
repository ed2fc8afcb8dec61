//! Restarts and reloads under load: not one request fails, whoever holds the listening socket in
//! between, and whoever comes meanwhile can log in.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::task::JoinSet;

use crate::first_login::{giulia, registers};
use crate::harness::{
    GatewayBuilder, Http2Visitor, OidcProvider, RawConnection, TestGateway, Upstream, signal,
    wait_until_async, wire_client,
};

/// How often the gateway is restarted: as `VESTIBULE_RESTARTS` says, or a few times.
#[expect(clippy::disallowed_methods, reason = "it belongs to the test alone")]
fn restarts() -> usize {
    let said = std::env::var("VESTIBULE_RESTARTS");
    said.map_or(10, |number| number.parse().expect("a number"))
}

/// Who logs in meanwhile.
const OTHER: &str = "luca";

/// How many requests are made between two restarts, at least.
const BETWEEN: usize = 100;

/// Clients that ask all the time.
struct Load {
    clients: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    answered: AtomicUsize,
    failed: AtomicUsize,
}

impl Counts {
    fn one_more(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn one_lost(&self, how: &str) {
        eprintln!("lost: {how}");
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn go_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

impl Load {
    fn new() -> Self {
        Self {
            clients: JoinSet::new(),
            counts: Arc::default(),
        }
    }

    /// Half of them on one connection for as long as it is kept, half on a new one for each request.
    fn on(address: &str, cookie: &str) -> Self {
        let mut load = Self::new();
        for number in 0..8 {
            let fields = if number % 2 == 0 {
                ""
            } else {
                "Connection: close\r\n"
            };
            let request = format!(
                "GET /things/{number} HTTP/1.1\r\nHost: localhost\r\n\
                 Cookie: __Host-vestibule={cookie}\r\n{fields}\r\n"
            );
            let counts = Arc::clone(&load.counts);
            load.clients
                .spawn(client(address.to_owned(), request, counts));
        }
        load
    }

    /// By HTTP/2, each on one connection until it is told to go away.
    fn by_http2(gateway: &mut TestGateway, cookie: &str) -> Self {
        let mut load = Self::new();
        let door = SecureDoor {
            address: gateway.node(0).address().parse().expect("an address"),
            certificate: gateway.certificate(),
        };
        for _ in 0..4 {
            let request = Request::get(format!("{}/things", gateway.origin()))
                .header("cookie", format!("__Host-vestibule={cookie}"));
            let request = request.body(()).expect("a request");
            let counts = Arc::clone(&load.counts);
            load.clients
                .spawn(http2_client(door.clone(), request, counts));
        }
        load
    }

    /// Waits until some more requests were answered.
    async fn goes_on(&self) {
        let enough = self.counts.answered.load(Ordering::Relaxed) + BETWEEN;
        wait_until_async("answers", async || {
            self.counts.answered.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    /// Ends it; not one request has failed.
    async fn has_lost_nothing(mut self) {
        self.counts.is_over.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client that went on to the end");
        }
        let answered = self.counts.answered.load(Ordering::Relaxed);
        println!("{answered} requests were answered");
        assert_eq!(self.counts.failed.load(Ordering::Relaxed), 0);
    }
}

async fn client(address: String, request: String, counts: Arc<Counts>) {
    let mut connection = None;
    while counts.go_on() {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match RawConnection::try_open(&address).await {
                Ok(open) => open,
                Err(error) => {
                    counts.one_lost(&format!("no connection: {error}"));
                    continue;
                }
            },
        };
        open.send(&request).await;
        match open.answer().await {
            Some(answer) if answer.status == 200 => {
                counts.one_more();
                let stays = answer
                    .header("connection")
                    .is_none_or(|field| field != "close");
                connection = stays.then_some(open);
            }
            other => counts.one_lost(&format!("{:?}", other.map(|answer| answer.head))),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where clients of HTTP/2 connect to.
#[derive(Clone)]
struct SecureDoor {
    address: SocketAddr,
    certificate: Vec<u8>,
}

impl SecureDoor {
    async fn dial(&self) -> Http2Visitor {
        Http2Visitor::dial_to(self.address, self.certificate.clone(), "localhost").await
    }
}

async fn http2_client(door: SecureDoor, request: Request<()>, counts: Arc<Counts>) {
    let mut connection = door.dial().await;
    while counts.go_on() {
        match connection.ask(request.clone()).await {
            Some(Ok(status)) if status == 200 => counts.one_more(),
            Some(other) => counts.one_lost(&format!("{other:?}")),
            None => connection = door.dial().await,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A gateway, and the cookie of somebody who has signed in.
async fn signed_in(
    provider: &OidcProvider,
    upstream: &Upstream,
    set_up: GatewayBuilder<'_>,
) -> (TestGateway, String) {
    giulia(provider).await;
    let claims = json!({ "name": "Luca", "email": "luca@ferraro.example", "email_verified": true });
    provider.person(OTHER, claims).await;
    let set_up = set_up.upstream(upstream).saying_goodbye_for("5s");
    let gateway = set_up.start().await;
    let browser = gateway.browser();
    let page = browser
        .open("/things/1")
        .await
        .login_at_provider("giulia")
        .await;
    registers(page).await.waits_until_on("/things/1").await;
    let cookie = browser.cookie("__Host-vestibule").expect("a session");
    (gateway, cookie)
}

/// Whether the policies of the files are in force.
async fn takes_its_policies(gateway: &TestGateway, does: bool) {
    let line = format!(
        "vestibule_policy_current{{platform=\"main\"}} {}",
        u8::from(does)
    );
    wait_until_async(&line, async || {
        let answer = wire_client().get(gateway.admin("/metrics")).send().await;
        let text = answer.expect("an answer").text().await;
        text.expect("its text").contains(&line)
    })
    .await;
}

/// Policies with a mistake are sent, which changes nothing, and then good ones.
async fn reloads(gateway: &TestGateway, load: &Load) {
    let file = gateway.folder().join("policies/access.toml");
    let sound = std::fs::read_to_string(file).expect("a file");
    gateway.rewrite_policy("access.toml", "[[rule]]\nname = 1\n");
    takes_its_policies(gateway, false).await;
    load.goes_on().await;
    gateway.rewrite_policy("access.toml", &format!("{sound}# Read once more.\n"));
    takes_its_policies(gateway, true).await;
}

/// Again and again, under load: broken and good policies, and a successor, while somebody logs in.
///
/// Somebody else: one person has so many sessions, and those of the load are to stay.
async fn restarts_lose_nobody(gateway: &mut TestGateway, load: Load) {
    let page = gateway.browser().open("/things/2").await;
    let page = page.login_at_provider(OTHER).await;
    registers(page).await.waits_until_on("/things/2").await;
    for _ in 0..restarts() {
        load.goes_on().await;
        reloads(gateway, &load).await;
        let browser = gateway.browser();
        let login = async {
            let page = browser.open("/things/2").await;
            page.login_at_provider(OTHER).await.lands_on("/things/2");
        };
        tokio::join!(gateway.node(0).replace(), login);
        gateway.node(0).is_ready().await;
    }
    load.goes_on().await;
    load.has_lost_nothing().await;
    let log = gateway.log();
    let taken_over = log.matches("another process has taken over").count();
    assert_eq!(taken_over, restarts());
}

#[tokio::test]
async fn a_successor_takes_the_sockets_over_and_no_request_fails() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let load = Load::on(&gateway.node(0).address(), &cookie);
    restarts_lose_nobody(&mut gateway, load).await;
}

#[tokio::test]
async fn no_request_of_http2_fails_when_a_successor_takes_over() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider).by_tls();
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let load = Load::by_http2(&mut gateway, &cookie);
    restarts_lose_nobody(&mut gateway, load).await;
}

#[tokio::test]
async fn a_successor_that_fails_to_start_changes_nothing() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let load = Load::on(&gateway.node(0).address(), &cookie);
    let access = gateway.folder().join("policies/access.toml");
    let sound = std::fs::read(&access).unwrap();
    std::fs::write(&access, "[[rule]]\nname = 1\n").unwrap();
    let failed = gateway.run_failing(&["serve", "--replace"]);
    assert!(failed.contains("policies have mistakes"), "{failed}");
    load.goes_on().await;
    assert!(!gateway.node(0).has_ended());

    std::fs::write(&access, sound).unwrap();
    gateway.node(0).replace().await;
    load.goes_on().await;
    load.has_lost_nothing().await;
}

/// The socket stays while one process after the other ends and starts.
async fn a_socket_loses_nobody(
    gateway: &mut TestGateway,
    load: impl FnOnce(&mut TestGateway) -> Load,
) {
    let node = gateway.node(0);
    node.signal("TERM");
    node.ends().await;
    let socket = std::net::TcpListener::bind(node.address()).expect("the address");
    node.start_on(&socket);
    let load = load(gateway);
    let node = gateway.node(0);
    for _ in 0..restarts() / 2 {
        load.goes_on().await;
        node.signal("TERM");
        node.ends().await;
        node.start_on(&socket);
    }
    load.goes_on().await;
    load.has_lost_nothing().await;
}

#[tokio::test]
async fn a_socket_that_systemd_holds_loses_nobody_between_two_processes() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let load = |gateway: &mut TestGateway| Load::on(&gateway.node(0).address(), &cookie);
    a_socket_loses_nobody(&mut gateway, load).await;
}

#[tokio::test]
async fn a_socket_that_systemd_holds_loses_no_request_of_http2() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider).by_tls();
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let load = |gateway: &mut TestGateway| Load::by_http2(gateway, &cookie);
    a_socket_loses_nobody(&mut gateway, load).await;
}

/// A process that nobody watches; ends with the value.
struct Unwatched(u32);

impl Drop for Unwatched {
    fn drop(&mut self) {
        // It may have ended.
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &self.0.to_string()]);
        let _ = kill.stderr(Stdio::null()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_of_readiness_reload_successor_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&place).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let hear = || {
        let mut said = [0; 256];
        let length = systemd.recv(&mut said).expect("something is said");
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded()
        .provider(&provider)
        .environment("NOTIFY_SOCKET", place.to_str().unwrap());
    let (mut gateway, cookie) = signed_in(&provider, &upstream, set_up).await;
    let first = hear();
    assert!(first.ends_with("\nREADY=1"), "{first}");
    gateway.node(0).signal("HUP");
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), first);

    let load = Load::on(&gateway.node(0).address(), &cookie);
    load.goes_on().await;
    gateway.node(0).signal("USR2");
    let second = tokio::task::block_in_place(hear);
    assert_ne!(second, first, "another process is the main one");
    let id = second
        .lines()
        .find_map(|line| line.strip_prefix("MAINPID="));
    let successor = Unwatched(id.expect("a process id").parse().unwrap());
    gateway.node(0).ends().await;
    load.goes_on().await;
    load.has_lost_nothing().await;
    signal(successor.0, "TERM");
    assert_eq!(hear(), "STOPPING=1");
}
