//! Restarts under load: not one request fails, whoever holds the listening socket in between.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::first_login::{giulia, registers};
use crate::harness::{
    OidcProvider, RawConnection, TestGateway, Upstream, signal, wait_until_async,
};

/// How often the gateway is restarted.
const RESTARTS: usize = 4;

/// How many requests are made between two restarts, at least.
const BETWEEN: usize = 100;

/// Clients that ask all the time: half of them on one connection for as long as it is kept, half on
/// a new one for each request.
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

impl Load {
    fn on(address: &str, cookie: &str) -> Self {
        let counts = Arc::<Counts>::default();
        let mut clients = JoinSet::new();
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
            clients.spawn(client(address.to_owned(), request, Arc::clone(&counts)));
        }
        Self { clients, counts }
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
        assert_eq!(self.counts.failed.load(Ordering::Relaxed), 0);
    }
}

async fn client(address: String, request: String, counts: Arc<Counts>) {
    let mut connection = None;
    while !counts.is_over.load(Ordering::Relaxed) {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match RawConnection::try_open(&address).await {
                Ok(open) => open,
                Err(error) => {
                    eprintln!("no connection: {error}");
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
        };
        open.send(&request).await;
        match open.answer().await {
            Some(answer) if answer.status == 200 => {
                counts.answered.fetch_add(1, Ordering::Relaxed);
                let stays = answer
                    .header("connection")
                    .is_none_or(|field| field != "close");
                connection = stays.then_some(open);
            }
            other => {
                eprintln!("failed: {:?}", other.map(|answer| answer.head));
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A gateway, and the cookie of somebody who has signed in.
async fn signed_in(
    provider: &OidcProvider,
    upstream: &Upstream,
    environment: &[(&str, &str)],
) -> (TestGateway, String) {
    giulia(provider).await;
    let mut builder = TestGateway::embedded()
        .provider(provider)
        .upstream(upstream)
        .saying_goodbye_for("5s");
    for (name, value) in environment {
        builder = builder.environment(name, value);
    }
    let gateway = builder.start().await;
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

#[tokio::test]
async fn a_successor_takes_the_sockets_over_and_no_request_fails() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, &[]).await;
    let load = Load::on(&gateway.node(0).address(), &cookie);
    for _ in 0..RESTARTS {
        load.goes_on().await;
        gateway.node(0).replace().await;
        gateway.node(0).is_ready().await;
    }
    load.goes_on().await;
    load.has_lost_nothing().await;
    let log = gateway.log();
    assert_eq!(
        log.matches("another process has taken over").count(),
        RESTARTS
    );

    // Somebody new can log in at the last one.
    let page = gateway.browser().open("/things/2").await;
    page.login_at_provider("giulia").await.lands_on("/things/2");
}

#[tokio::test]
async fn a_successor_that_fails_to_start_changes_nothing() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, &[]).await;
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

#[tokio::test]
async fn a_socket_that_systemd_holds_loses_nobody_between_two_processes() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let (mut gateway, cookie) = signed_in(&provider, &upstream, &[]).await;
    let node = gateway.node(0);
    node.signal("TERM");
    node.ends().await;
    let socket = std::net::TcpListener::bind(node.address()).expect("the address");
    node.start_on(&socket);
    let load = Load::on(&node.address(), &cookie);
    for _ in 0..RESTARTS {
        load.goes_on().await;
        node.signal("TERM");
        node.ends().await;
        node.start_on(&socket);
    }
    load.goes_on().await;
    load.has_lost_nothing().await;
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
    let environment = [("NOTIFY_SOCKET", place.to_str().unwrap())];
    let (mut gateway, cookie) = signed_in(&provider, &upstream, &environment).await;
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
