//! What could get a request past its own decision once a connection is under way: octets around an
//! upgrade, answers before bodies, requests in a row, tunnels; and upstreams that lead elsewhere.

use std::time::{Duration, Instant};

use super::harness::{Answer, Front, read_answer, read_to_end, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SMUGGLED: &str =
    "GET /admin/smuggled HTTP/1.1\r\nHost: app.example.com\r\nX-Vestibule-User: root\r\n\r\n";

/// The upstream heard of nothing that stands in [`SMUGGLED`], neither as a request nor in one.
fn nothing_was_smuggled(front: &Front, what: &str) {
    for request in front.upstream.requests() {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        assert!(!head.contains("smuggled"), "{what}: {head}");
        assert!(!head.contains("root"), "{what}: {head}");
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
}

/// PX-01: an upstream that agrees to an upgrade which it was not asked for opens no tunnel.
#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_opens_no_tunnel() {
    let front = Front::start().await;
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    front.upstream.answers("/public/up", Answer::raw(agreed));
    let websocket = "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n";
    for (method, fields) in [
        ("GET", "Upgrade: x\r\nConnection: upgrade\r\n"),
        ("GET", ""),
        ("GET", websocket),
        ("POST", websocket),
    ] {
        let head = format!("{method} /public/up HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n");
        let answer = front.raw(format!("{head}{SMUGGLED}")).await;
        assert_ne!(status(&answer), 101, "{answer}");
        let mut stream = front.connect().await;
        send(&mut stream, &head).await;
        let answer = read_answer(&mut stream).await;
        assert_ne!(status(&answer), 101, "{answer}");
        send(&mut stream, SMUGGLED).await;
        read_to_end(&mut stream).await;
    }
    nothing_was_smuggled(&front, "an upgrade to x");
}

fn handshake(path: &str, cookie: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nCookie: {cookie}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// PX-01: until the upstream agreed to an upgrade, nothing of what follows the handshake reaches
/// it; whether it then says yes or no, late or at once.
#[tokio::test]
async fn octets_before_an_upgrade_is_agreed_on_are_refused() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let late = Answer::html("no tunnel").after(Duration::from_millis(500));
    front.upstream.answers("/ws/no", late);
    for path in ["/ws", "/ws/no", "/public/ws"] {
        let head = handshake(path, &alice.cookie);
        let answer = front.raw(format!("{head}{SMUGGLED}")).await;
        assert_eq!(status(&answer), 400, "{path}: {answer}");
        assert_eq!(front.upstream.requests().len(), 0, "{path}");
    }
    let mut stream = front.connect().await;
    send(&mut stream, &handshake("/ws/no", &alice.cookie)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    send(&mut stream, SMUGGLED).await;
    read_to_end(&mut stream).await;
    nothing_was_smuggled(&front, "octets that come late");
}

/// PX-03: an upstream that answers before it has read the body; what is left of the body is never
/// a request, here or there.
#[tokio::test]
async fn what_is_left_of_a_body_after_an_early_answer_is_no_request() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let early = Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").before_the_body();
    front.upstream.answers("/public/early", early);
    let body = SMUGGLED.repeat(10 * 1024 * 1024 / SMUGGLED.len());
    for (path, expected) in [
        ("/public/early", 200),
        ("/things", 401),
        ("/auth/none", 404),
    ] {
        let mut stream = front.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        send(&mut stream, &head).await;
        send(&mut stream, &body[..SMUGGLED.len() * 8]).await;
        let answer = read_answer(&mut stream).await;
        assert!(
            [expected, 413].contains(&status(&answer)),
            "{path}: {answer}"
        );
        // The rest comes late, or never and something else instead.
        send(&mut stream, &body[SMUGGLED.len() * 8..]).await;
        let honest = "GET /public/honest HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
        send(&mut stream, honest).await;
        read_answer(&mut stream).await;
        nothing_was_smuggled(&front, path);
        // Whoever comes next on another connection gets an answer of their own.
        let cookie = format!("Cookie: {}", alice.cookie);
        let answer = front.request("GET /things/mine", &[&cookie]).await;
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        assert!(answer.contains("/things/mine"), "{path}: {answer}");
        nothing_was_smuggled(&front, path);
    }
}

/// PX-11: a body without an announced length and without end is not read for nobody.
#[tokio::test]
async fn an_endless_upload_of_a_stranger_is_cut_off() {
    let front = Front::start().await;
    let mut stream = front.connect().await;
    let head =
        "POST /things HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
    send(&mut stream, head).await;
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x1_0000));
    let began = Instant::now();
    let mut sent = 0;
    while stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "the gateway reads on");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(front.upstream.requests().len(), 0);
}

/// What comes back until the gateway closes the connection, which it must.
async fn until_closed(front: &Front, octets: &str) -> String {
    let mut stream = front.connect().await;
    send(&mut stream, octets).await;
    let mut answers = Vec::new();
    let reading = stream.read_to_end(&mut answers);
    let closed = tokio::time::timeout(Duration::from_secs(10), reading).await;
    assert!(closed.is_ok(), "the connection stays open");
    String::from_utf8_lossy(&answers).into_owned()
}

/// PX-13: of requests that are sent without waiting, the first is decided and answered, and the
/// connection ends (ADR 0006): none of the others is so much as looked at.
#[tokio::test]
async fn of_requests_in_a_row_the_first_is_answered_and_the_connection_ends() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let get = |path: &str, fields: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n")
    };
    let cookie = format!("Cookie: {}\r\n", alice.cookie);
    let rows: [(&[(&str, &str)], u16); 4] = [
        (
            &[("/things/1", ""), ("/things/2", &cookie), ("/things/3", "")],
            401,
        ),
        (
            &[
                ("/things/1", &cookie),
                ("/things/2", ""),
                ("/admin/3", &cookie),
            ],
            200,
        ),
        (
            &[("/public/1", ""), ("/things/2", ""), ("/things/3", &cookie)],
            200,
        ),
        (&[("/auth/whoami", &cookie), ("/things/2", &cookie)], 200),
    ];
    for (row, expected) in rows {
        front.upstream.forget();
        let requests: String = row.iter().map(|(path, fields)| get(path, fields)).collect();
        let answers = until_closed(&front, &requests).await;
        assert_eq!(status(&answers), expected, "{row:?}: {answers}");
        assert_eq!(
            answers.matches("HTTP/1.1 ").count(),
            1,
            "{row:?}: {answers}"
        );
        let first = row[0].0;
        let is_forwarded = expected == 200 && !first.starts_with("/auth/");
        let reached = front.upstream.requests().into_iter();
        let reached: Vec<String> = reached.map(|request| request.target).collect();
        let forwarded = if is_forwarded { vec![first] } else { vec![] };
        assert_eq!(reached, forwarded, "{row:?}");
    }
}

/// PX-17: a socket whose client says no more ends on both sides, and soon.
#[tokio::test]
async fn a_socket_that_is_half_closed_ends() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let mut stream = front.connect().await;
    send(&mut stream, &handshake("/ws", &alice.cookie)).await;
    assert_eq!(status(&read_answer(&mut stream).await), 101);
    stream.shutdown().await.unwrap();
    let began = Instant::now();
    read_to_end(&mut stream).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    while !front.metrics().contains("vestibule_connections 0") {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{}",
            front.metrics()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// PX-17: being let into one tunnel opens no other path.
#[tokio::test]
async fn a_socket_leads_to_the_path_that_was_decided_on() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let mut first = front.connect().await;
    send(&mut first, &handshake("/ws", &alice.cookie)).await;
    assert_eq!(status(&read_answer(&mut first).await), 101);
    for path in [
        "/admin",
        "/ws/../admin",
        "/ws/%2e%2e/admin",
        "/ws;/../admin",
    ] {
        let answer = front.raw(handshake(path, &alice.cookie)).await;
        assert!(matches!(status(&answer), 400 | 403), "{path}: {answer}");
    }
    assert_eq!(front.upstream.requests().len(), 1);
}

/// PX-19: nothing is kept for the next one: every request is asked anew, for whoever asks.
#[tokio::test]
async fn no_answer_is_given_twice() {
    let front = Front::start().await;
    let keepable = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: public, max-age=600\r\n\
         ETag: \"1\"\r\nSet-Cookie: a=1\r\n\r\n";
    let alice = front.sign_in("app.example.com").await;
    let bob = front.sign_in("app.example.com").await;
    let elsewhere = front.sign_in("b.example.com").await;
    for (host, cookie, body) in [
        ("app.example.com", &alice.cookie, "alic"),
        ("app.example.com", &bob.cookie, "bob!"),
        ("b.example.com", &elsewhere.cookie, "else"),
    ] {
        let answer = Answer::raw(format!("{keepable}{body}"));
        front.upstream.answers("/kept", answer);
        let answer = front
            .raw(format!(
                "GET /kept HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.ends_with(body), "{host}: {answer}");
    }
    assert_eq!(front.upstream.requests().len(), 3);
    let stranger = front.request("GET /kept", &[]).await;
    assert_eq!(status(&stranger), 401);
    assert!(
        stranger
            .to_ascii_lowercase()
            .contains("cache-control: no-store"),
        "{stranger}"
    );
}

/// PX-23: the upstream is the configured one, whatever a request names; where it leads to is the
/// browser's to follow.
#[tokio::test]
async fn nobody_chooses_where_the_gateway_connects_to() {
    let front = Front::start().await;
    let elsewhere = super::harness::Upstream::start().await;
    let there = elsewhere.url();
    let authority = there.trim_start_matches("http://").to_owned();
    for head in [
        format!("GET {there}/public/a HTTP/1.1\r\nHost: app.example.com\r\n"),
        format!("GET {there}/public/a HTTP/1.1\r\nHost: {authority}\r\n"),
        format!("GET /public/a HTTP/1.1\r\nHost: {authority}\r\n"),
        format!("GET /public/a HTTP/1.1\r\nHost: app.example.com@{authority}\r\n"),
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"),
        format!("CONNECT {authority} HTTP/1.1\r\nHost: app.example.com\r\n"),
    ] {
        let answer = front.raw(format!("{head}Connection: close\r\n\r\n")).await;
        assert!(
            matches!(status(&answer), 400 | 405 | 421),
            "{head}: {answer}"
        );
    }
    assert_eq!(front.upstream.requests().len(), 0);
    let field = format!("X-Forwarded-Host: {authority}");
    assert_eq!(
        status(&front.request("GET /public/a", &[&field]).await),
        200
    );
    let leads_on =
        format!("HTTP/1.1 302 Found\r\nLocation: {there}/inside\r\nContent-Length: 0\r\n\r\n");
    front.upstream.answers("/public/led", Answer::raw(leads_on));
    let answer = front.request("GET /public/led", &[]).await;
    assert_eq!(status(&answer), 302);
    assert!(answer.contains(&format!("{there}/inside")), "{answer}");
    assert_eq!(
        elsewhere.requests().len(),
        0,
        "the gateway went there itself"
    );
}
