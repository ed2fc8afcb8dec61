//! Floods of cheap HTTP/2 frames cost the program bounded memory, and nobody else their answer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::harness::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, get,
};
use super::harness::{ScriptedProvider, TestGateway, Upstream};

const NAME: &str = "app.example.com";

/// What all floods together may cost. The program has some 60 MiB when it has just started.
const MAY_COST: u64 = 200 << 20;

struct Door {
    gateway: TestGateway,
    upstream: Upstream,
    address: SocketAddr,
    certificate: Vec<u8>,
}

impl Door {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        let mut config = format!("[[host]]\norigin = \"https://{NAME}\"\n[listen.tls]\n");
        let at = folder.display();
        let _ = write!(
            config,
            "certificate = \"{at}/tls.crt\"\nkey = \"{at}/tls.key\"\n"
        );
        let (provider, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
        let set_up = TestGateway::embedded().scripted_provider(&provider);
        let set_up = set_up.upstream(&upstream).config(&config);
        let mut gateway = set_up.start_unready().await;
        let address = gateway.node(0).address().parse().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        Self {
            gateway,
            upstream,
            address,
            certificate: made.cert.der().to_vec(),
        }
    }

    async fn greeted(&self) -> Frames {
        let frames = Frames::dial(self.address, &self.certificate, NAME).await;
        frames.greet().await
    }

    /// Somebody polite is answered, and memory stayed within its bound.
    async fn stands(&mut self, after: &str) {
        let mut polite = self.greeted().await;
        let status = polite.request(&get("/public/a"), None).await;
        assert_eq!(status, Some(200), "after {after}");
        let peak = self.gateway.node(0).peak_memory();
        println!("after {after}: {} MiB", peak >> 20);
        assert!(peak < MAY_COST, "{after} took {} MiB", peak >> 20);
    }
}

/// PX-09: one octet each that stands for a large field, in as many requests as are taken.
async fn indexed_bomb(door: &Door) {
    let mut frames = door.greeted().await;
    // Literal with incremental indexing (RFC 7541, section 6.2.1): 3,900 octets at index 62.
    let mut first = block(&get("/public/a"));
    first.extend([0x40, 1, b'x', 0x7f]);
    first.extend(integer(3900 - 127));
    first.extend(vec![b'a'; 3900]);
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &first)
        .await;
    let mut bomb = block(&get("/public/a"));
    bomb.extend(vec![0xbe; 15_000]);
    for stream in (3..20_000).step_by(2) {
        if !frames.send(HEADERS, END_HEADERS, stream, &bomb).await {
            break;
        }
    }
}

/// The rest of an integer with a prefix (RFC 7541, section 5.1).
fn integer(mut left: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    while left >= 128 {
        octets.push(u8::try_from(left % 128).unwrap() | 128);
        left /= 128;
    }
    octets.push(u8::try_from(left).unwrap());
    octets
}

/// Every one asks for an answer that is never read.
async fn unread_answers(door: &Door, kind: u8, payload: &[u8]) {
    let mut frames = door.greeted().await;
    for _ in 0..200_000 {
        if !frames.send(kind, 0, 0, payload).await {
            break;
        }
    }
}

/// Requests that are taken back at once (CVE-2023-44487).
async fn rapid_resets(door: &Door) {
    const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
    let mut frames = door.greeted().await;
    let request = block(&get("/public/a"));
    for stream in (1..40_000).step_by(2) {
        let opened = frames
            .send(HEADERS, END_HEADERS | END_STREAM, stream, &request)
            .await;
        if !opened || !frames.send(RST_STREAM, 0, stream, &CANCEL).await {
            break;
        }
    }
}

/// Requests that the server itself resets, because of a window that grows by nothing.
async fn made_resets(door: &Door) {
    let mut frames = door.greeted().await;
    for stream in (1..20_000).step_by(2) {
        let opened = frames
            .send(HEADERS, END_HEADERS, stream, &block(&get("/public/a")))
            .await;
        if !opened || !frames.send(WINDOW_UPDATE, 0, stream, &[0; 4]).await {
            break;
        }
    }
}

/// Heads without end on many connections at once.
async fn endless_heads(door: &Door) {
    let filler = block(&[("x", &"a".repeat(120))]).repeat(100);
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut frames = door.greeted().await;
        frames
            .send(HEADERS, END_STREAM, 1, &block(&get("/public/a")))
            .await;
        all.push(frames);
    }
    for _ in 0..200 {
        for frames in &mut all {
            frames.send(CONTINUATION, 0, 1, &filler).await;
        }
    }
}

#[tokio::test]
async fn floods_cost_bounded_memory() {
    let mut door = Door::open().await;
    door.stands("the start").await;
    indexed_bomb(&door).await;
    door.stands("a bomb of indexed fields").await;
    unread_answers(&door, SETTINGS, &[]).await;
    door.stands("a flood of settings").await;
    unread_answers(&door, PING, &[0; 8]).await;
    door.stands("a flood of pings").await;
    rapid_resets(&door).await;
    door.stands("requests that are taken back").await;
    made_resets(&door).await;
    door.stands("resets that it was made to send").await;
    endless_heads(&door).await;
    door.stands("heads without end").await;
    for request in door.upstream.requests() {
        assert_eq!(request.target, "/public/a");
    }
}
