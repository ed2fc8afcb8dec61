//! What a session costs while it lasts, and how fast its end is known everywhere: no store command in
//! steady state, refused on every node within a second, its streams closed within five.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::approvals::{fails, says};
use super::harness::{
    Answer, Browser, Front, GatewayBuilder, OPERATOR_TOKEN, Redis, TestGateway, Upstream,
    on_both_set_ups, read_answer, status, wire_client,
};
use super::known_user::{Stage, registered};
use super::scim_inbound::{Client, told_by};

const SESSION: &str = "__Host-vestibule";
const EVENTS: &str = "/live/events";
const DOWNLOAD: &str = "/live/download";

/// An upstream whose answers do not end, and that echoes messages of WebSockets.
async fn endless() -> Upstream {
    let upstream = Upstream::start().await;
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n";
    upstream.answers(EVENTS, Answer::raw(events));
    upstream.answers(DOWNLOAD, long_download());
    upstream
}

/// The beginning of it, more than is kept back on the way.
fn long_download() -> Answer {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    Answer::raw(head.to_owned() + &"a".repeat(1 << 20))
}

/// Mario on two nodes that share PostgreSQL and Redis.
struct TwoNodes {
    gateway: TestGateway,
    addresses: [String; 2],
    browser: Browser,
    _stage: Stage,
    _endless: Upstream,
}

impl TwoNodes {
    async fn start(redis: &Redis) -> Self {
        let (stage, endless) = (Stage::set().await, endless().await);
        let further = format!(
            "[[upstream]]\nname = \"live\"\npaths = [\"/live/**\"]\nservers = [\"{}\"]\n",
            endless.url()
        );
        let set_up = TestGateway::distributed_over(redis)
            .nodes(2)
            .config(&further);
        let mut gateway = stage.start(told_by(set_up, "subject")).await;
        let addresses = [0, 1].map(|number| gateway.node(number).address());
        let browser = registered(&gateway).await;
        Self {
            gateway,
            addresses,
            browser,
            _stage: stage,
            _endless: endless,
        }
    }

    fn cookie(&self) -> String {
        let session = self.browser.cookie(SESSION).expect("a session");
        format!("{SESSION}={session}")
    }

    fn host(&self) -> &str {
        self.gateway.origin().trim_start_matches("http://")
    }

    /// A request of Mario's to one node: its connection, and the head and beginning of the answer.
    async fn ask(&self, node: usize, path: &str, cookie: &str) -> (TcpStream, String) {
        let mut connection = TcpStream::connect(&self.addresses[node]).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
            self.host()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 512];
        let length = connection.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        (connection, answer)
    }

    /// Where streams of all kinds end, on one node.
    async fn streams(&self, node: usize, cookie: &str) -> Vec<(String, TcpStream)> {
        let mut streams = Vec::new();
        for path in [EVENTS, DOWNLOAD] {
            let (connection, answer) = self.ask(node, path, cookie).await;
            assert_eq!(status(&answer), 200, "{answer}");
            streams.push((format!("{path} on {node}"), connection));
        }
        let url = format!("ws://{}/live/socket", self.host());
        let mut dialling = url.into_client_request().unwrap();
        dialling
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        let connection = TcpStream::connect(&self.addresses[node]).await.unwrap();
        let (socket, _) = client_async(dialling, connection).await.expect("a socket");
        streams.push((format!("WebSocket on {node}"), socket.into_inner()));
        streams
    }
}

/// Reads until the stream ends, whatever way.
async fn ends(mut stream: TcpStream) {
    let mut some = [0; 4096];
    while stream.read(&mut some).await.is_ok_and(|length| length > 0) {}
}

#[tokio::test]
async fn what_is_known_asks_no_store_on_any_node() {
    let redis = Redis::start();
    let nodes = TwoNodes::start(&redis).await;
    let cookie = nodes.cookie();
    // A push channel has to cover the session, or it is asked for again after two seconds.
    for _ in 0..8 {
        for node in [0, 1] {
            let (_, answer) = nodes.ask(node, "/things", &cookie).await;
            assert_eq!(status(&answer), 200, "{answer}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut connections = Vec::new();
    for node in [0, 1] {
        connections.push(nodes.ask(node, "/things", &cookie).await.0);
    }
    let request = format!(
        "GET /things HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
        nodes.host()
    );
    let before = redis.key_commands().await;
    for connection in &mut connections {
        for _ in 0..200 {
            connection.write_all(request.as_bytes()).await.unwrap();
            assert_eq!(status(&read_answer(connection).await), 200);
        }
    }
    assert_eq!(redis.key_commands().await, before);
}

/// Mario's session, in use on both nodes by streams of all kinds.
struct InUse {
    nodes: TwoNodes,
    cookie: String,
    streams: Vec<(String, TcpStream)>,
}

impl InUse {
    async fn over(redis: &Redis) -> Self {
        let nodes = TwoNodes::start(redis).await;
        let cookie = nodes.cookie();
        let mut streams = Vec::new();
        for node in [0, 1] {
            streams.extend(nodes.streams(node, &cookie).await);
        }
        Self {
            nodes,
            cookie,
            streams,
        }
    }

    /// It is refused on both nodes a second after it was ended, and its streams close within five.
    async fn ends_within_its_bounds(self, ended: Instant) {
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(ended.elapsed())).await;
        for node in [0, 1] {
            let (_, answer) = self.nodes.ask(node, "/things", &self.cookie).await;
            assert_eq!(status(&answer), 401, "{answer}");
        }
        for (name, stream) in self.streams {
            let left = Duration::from_secs(5).saturating_sub(ended.elapsed());
            let closed = tokio::time::timeout(left, ends(stream)).await;
            assert!(closed.is_ok(), "{name} goes on");
        }
    }
}

/// SF-09, by each of the ways in which a session ends before its time.
mod a_session_that_ends_is_over_on_every_node_and_so_are_its_streams {
    use super::*;

    #[tokio::test]
    async fn by_a_logout() {
        let redis = Redis::start();
        let session = InUse::over(&redis).await;
        let asked = session.nodes.browser.open("/auth/logout").await;
        let ended = Instant::now();
        asked.press("Sign out").await;
        session.ends_within_its_bounds(ended).await;
    }

    #[tokio::test]
    async fn by_an_operator() {
        let redis = Redis::start();
        let session = InUse::over(&redis).await;
        let ending = ["sessions", "end", "--email", "mario@acme.example"];
        let told = session.nodes.gateway.run(&ending);
        let ended = Instant::now();
        assert_eq!(told, "Sessions ended: 1.\n");
        session.ends_within_its_bounds(ended).await;
    }

    #[tokio::test]
    async fn by_a_provider_that_deactivates_the_user() {
        let redis = Redis::start();
        let session = InUse::over(&redis).await;
        let corp = Client::corp(&session.nodes.gateway);
        let id = corp.takes_up_mario("mario@acme.example").await;
        let ended = Instant::now();
        corp.deactivates(&id).await;
        session.ends_within_its_bounds(ended).await;
    }
}

#[tokio::test]
async fn a_stream_over_http2_ends_with_its_session() {
    let front = Front::start().await;
    front.upstream.answers(DOWNLOAD, long_download());
    let alice = front.sign_in("app.example.com").await;
    let authority = reqwest::Certificate::from_der(&front.certificate).unwrap();
    let client = reqwest::Client::builder()
        .add_root_certificate(authority)
        .resolve("app.example.com", front.secure_address)
        .build()
        .unwrap();
    let url = format!("https://app.example.com{DOWNLOAD}");
    let answer = client.get(url).header("cookie", &alice.cookie).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let mut body = answer.bytes_stream();
    assert!(body.next().await.unwrap().is_ok());
    front.sessions.end(&alice.id).await.unwrap();
    let ending = async { while let Some(Ok(_)) = body.next().await {} };
    let ended = tokio::time::timeout(Duration::from_secs(5), ending).await;
    assert!(ended.is_ok(), "the stream goes on");
}

on_both_set_ups!(an_operator_signs_somebody_out_everywhere);

async fn an_operator_signs_somebody_out_everywhere(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    registered(&gateway).await;
    let user = stage.upstream.last_request();
    let user = user.header("x-vestibule-user").expect("a user").to_owned();
    let issuer = &stage.provider.issuer;
    for (whose, count) in [
        (&["--user", &user][..], 2),
        (&["--email", "Mario@acme.example"], 1),
        (&["--issuer", issuer, "--subject", "mario"], 1),
    ] {
        let browser = gateway.browser();
        browser.open("/").await.login_at_provider("mario").await;
        browser.fetch("GET", "/things", None).await.has_status(200);
        let ending = [&["sessions", "end"], whose].concat();
        let told = format!("Sessions ended: {count}.\n");
        assert_eq!(says(&gateway, &ending), told, "{whose:?}");
        browser.fetch("GET", "/things", None).await.has_status(401);
        assert_eq!(says(&gateway, &ending), "Sessions ended: 0.\n");
    }
    let nobody = fails(&gateway, &["sessions", "end", "--user", "nobody"]);
    assert!(nobody.contains("nobody signs in"), "{nobody}");
    let unknown = fails(
        &gateway,
        &["sessions", "end", "--email", "anna@acme.example"],
    );
    assert!(unknown.contains("no user with this address"), "{unknown}");
    let wrong = fails(&gateway, &["sessions", "end", "--email", "anna"]);
    assert!(wrong.contains("write it like"), "{wrong}");
    fails(&gateway, &["sessions", "end"]);
    fails(&gateway, &["sessions", "end", "--subject", "mario"]);

    let path = gateway.admin("/operator/v1/sessions/end");
    let post = || wire_client().post(&path);
    let body = serde_json::json!({ "user": user, "email": "mario@acme.example" });
    let both = post().bearer_auth(OPERATOR_TOKEN).json(&body).send().await;
    assert_eq!(both.unwrap().status(), 422);
    assert_eq!(post().json(&body).send().await.unwrap().status(), 401);
}
