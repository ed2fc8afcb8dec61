//! HTTP/2 frames that no polite client sends: what they mean is decided once, and the upstream
//! sees none of what is in doubt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harness::{Front, FrontSettings};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vestibule::proxy::DoorLimits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// A connection that writes frames by hand.
struct Frames(TlsStream<TcpStream>);

impl Frames {
    async fn connect(front: &Front) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from(front.certificate.clone()))
            .unwrap();
        let mut config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(front.secure_address).await.unwrap();
        let name = ServerName::try_from("app.example.com").unwrap();
        Self(
            TlsConnector::from(Arc::new(config))
                .connect(name, socket)
                .await
                .unwrap(),
        )
    }

    async fn greeted(front: &Front) -> Self {
        let mut frames = Self::connect(front).await;
        frames.0.write_all(PREFACE).await.unwrap();
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    /// Writes a frame; says whether the connection still took it.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// Sends a request on stream 1; gives the status, `None` when the stream or the connection
    /// was reset instead.
    async fn request(&mut self, fields: Fields<'_>, body: Option<&[u8]>) -> Option<u16> {
        let end = if body.is_none() { END_STREAM } else { 0 };
        self.send(HEADERS, END_HEADERS | end, 1, &block(fields))
            .await;
        if let Some(body) = body {
            self.send(DATA, END_STREAM, 1, body).await;
        }
        self.status().await
    }

    async fn status(&mut self) -> Option<u16> {
        loop {
            let (kind, payload) = tokio::time::timeout(Duration::from_secs(5), self.frame())
                .await
                .ok()??;
            match kind {
                HEADERS => return status_of(&payload),
                RST_STREAM | 7 => return None,
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    }

    async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let closing = async { while self.frame().await.is_some() {} };
        tokio::time::timeout(patience, closing).await.is_ok()
    }
}

/// Literal fields without indexing and without Huffman coding (RFC 7541, section 6.2.2).
fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The status is the first field of an answer: indexed, or a literal with an indexed name.
fn status_of(block: &[u8]) -> Option<u16> {
    const TABLE: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match *block {
        [index @ 0x88..=0x8e, ..] => TABLE.get(usize::from(index - 0x88)).copied(),
        [_, length, ref rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(rest.get(..usize::from(length))?)
                .ok()?
                .parse()
                .ok()
        }
        [_, length, ref rest @ ..] => huffman_digits(rest.get(..usize::from(length & 0x7f))?),
        _ => None,
    }
}

/// Three digits in the code of RFC 7541, appendix B: `0` to `2` have five bits, the rest six.
fn huffman_digits(octets: &[u8]) -> Option<u16> {
    let bits = octets
        .iter()
        .fold(String::new(), |bits, octet| format!("{bits}{octet:08b}"));
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = u16::from_str_radix(bits.get(at..at + 5)?, 2).ok()?;
        if five <= 2 {
            number = number * 10 + five;
            at += 5;
        } else {
            number = number * 10 + u16::from_str_radix(bits.get(at..at + 6)?, 2).ok()? - 0x19 + 3;
            at += 6;
        }
    }
    Some(number)
}

fn get(path: &str) -> [(&str, &str); 4] {
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "app.example.com"),
        (":path", path),
    ]
}

#[tokio::test]
async fn an_ordinary_request_passes() {
    let front = Front::start().await;
    let mut frames = Frames::greeted(&front).await;
    assert_eq!(frames.request(&get("/public/a"), None).await, Some(200));
    assert_eq!(front.upstream.last_request().target, "/public/a");
}

#[tokio::test]
async fn malformed_requests_reach_nobody() {
    let front = Front::start().await;
    let base = get("/public/a");
    let with = |name: &'static str, value: &'static str| {
        let mut fields = base.to_vec();
        fields.push((name, value));
        fields
    };
    let method = |method: &'static str| {
        let mut fields = base.to_vec();
        fields[0].1 = method;
        fields
    };
    for fields in [
        with("transfer-encoding", "chunked"),
        with("connection", "close"),
        with("X-Upper", "a"),
        with("x:y", "a"),
        with("x y", "a"),
        with("x", "a\r\nx-vestibule-user: root"),
        with("x", "a\0b"),
        with(":authority", "b.example.com"),
        with("host", "b.example.com"),
        with("content-length", "3"),
        with("content-length", "x"),
        method("GET /admin HTTP/1.1"),
        method("G T"),
        get("/public/a b").to_vec(),
        get("/public/a\r\nx: y").to_vec(),
        get("public").to_vec(),
        get("").to_vec(),
        get("http://app.example.com/admin").to_vec(),
        base[..3].to_vec(),
        vec![base[0], base[1], base[3]],
    ] {
        let mut frames = Frames::greeted(&front).await;
        let status = frames.request(&fields, None).await;
        assert!(
            matches!(status, None | Some(400)),
            "{fields:?} got {status:?}"
        );
        assert_eq!(front.upstream.requests().len(), 0, "{fields:?}");
    }
}

/// The HTTP/2 library cuts a fragment off before anybody sees it: one path is decided on and sent.
#[tokio::test]
async fn a_fragment_takes_no_part() {
    let front = Front::start().await;
    let mut frames = Frames::greeted(&front).await;
    assert_eq!(
        frames.request(&get("/public/a#/../admin"), None).await,
        Some(200)
    );
    assert_eq!(front.upstream.last_request().target, "/public/a");
    let mut frames = Frames::greeted(&front).await;
    assert_eq!(
        frames.request(&get("/admin#/public/"), None).await,
        Some(401)
    );
}

#[tokio::test]
async fn a_body_that_contradicts_its_length_is_never_complete() {
    let front = Front::start().await;
    for (length, body) in [("3", &b"abcdef"[..]), ("9", b"abc")] {
        let mut fields = get("/public/a").to_vec();
        fields[0].1 = "POST";
        fields.push(("content-length", length));
        let mut frames = Frames::greeted(&front).await;
        let status = frames.request(&fields, Some(body)).await;
        assert_ne!(status, Some(200));
    }
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn paths_are_judged_as_on_http1() {
    let front = Front::start().await;
    for path in [
        "/admin",
        "/admin?x=/public/",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public%2f..%2fadmin",
        "/public/..;/admin",
        "//admin",
        "/%61dmin",
        "/public\\..\\admin",
        "/auth/../admin",
    ] {
        let mut frames = Frames::greeted(&front).await;
        let status = frames.request(&get(path), None).await;
        assert!(
            matches!(status, Some(400 | 401) | None),
            "{path} got {status:?}"
        );
    }
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn identity_in_trailers_reaches_nobody() {
    let front = Front::start().await;
    let mut frames = Frames::greeted(&front).await;
    let mut fields = get("/public/a").to_vec();
    fields[0].1 = "POST";
    frames.send(HEADERS, END_HEADERS, 1, &block(&fields)).await;
    frames.send(DATA, 0, 1, b"abc").await;
    let trailers = block(&[("x-vestibule-user", "root")]);
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &trailers)
        .await;
    assert!(matches!(frames.status().await, Some(200) | None));
    for request in front.upstream.requests() {
        assert!(!String::from_utf8_lossy(&request.head).contains("root"));
        assert!(!String::from_utf8_lossy(&request.body).contains("root"));
    }
}

#[tokio::test]
async fn silence_and_dripping_are_cut_off() {
    let short = Duration::from_secs(2);
    let limits = DoorLimits {
        head_time: short,
        keep_alive: short,
        ..DoorLimits::default()
    };
    let front = Front::with(FrontSettings {
        limits,
        ..FrontSettings::default()
    })
    .await;
    let patience = Duration::from_secs(5);
    let mut silent = Frames::connect(&front).await;
    assert!(silent.is_closed_within(patience).await, "no preface");
    let mut greeted = Frames::greeted(&front).await;
    assert!(greeted.is_closed_within(patience).await, "no request");
    let mut endless = Frames::greeted(&front).await;
    endless
        .send(HEADERS, END_STREAM, 1, &block(&get("/public/a")))
        .await;
    assert!(
        endless.is_closed_within(patience).await,
        "no end of the head"
    );
    let mut done = Frames::greeted(&front).await;
    assert_eq!(done.request(&get("/public/a"), None).await, Some(200));
    assert!(done.is_closed_within(patience).await, "nothing more");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let settings = FrontSettings {
        read_timeout: Duration::from_secs(1),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let mut frames = Frames::greeted(&front).await;
    let mut fields = get("/public/a").to_vec();
    fields[0].1 = "POST";
    fields.push(("content-length", "9"));
    frames.send(HEADERS, END_HEADERS, 1, &block(&fields)).await;
    frames.send(DATA, 0, 1, b"abc").await;
    let began = Instant::now();
    assert_ne!(frames.status().await, Some(200));
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn floods_do_not_hold_up_others() {
    let front = Front::start().await;
    let mut resets = Frames::greeted(&front).await;
    for stream in (1..20_001).step_by(2) {
        let opened = resets
            .send(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream,
                &block(&get("/public/a")),
            )
            .await;
        if !opened
            || !resets
                .send(RST_STREAM, 0, stream, &8u32.to_be_bytes())
                .await
        {
            break;
        }
    }
    let mut continuations = Frames::greeted(&front).await;
    continuations
        .send(HEADERS, END_STREAM, 1, &block(&get("/public/a")))
        .await;
    let filler = block(&[(
        "x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    )]);
    let began = Instant::now();
    let mut sent = 0;
    while continuations
        .send(CONTINUATION, 0, 1, &filler.repeat(100))
        .await
        && sent < 10_000
    {
        sent += 1;
    }
    assert!(sent < 10_000 || continuations.is_closed_within(Duration::from_secs(5)).await);
    let mut pings = Frames::greeted(&front).await;
    for _ in 0..10_000 {
        if !pings.send(PING, 0, 0, &[0; 8]).await {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_mins(1));
    let mut polite = Frames::greeted(&front).await;
    assert_eq!(polite.request(&get("/public/a"), None).await, Some(200));
}
