//! HTTP/2 frames that no polite client sends: what they mean is decided once, and the upstream
//! sees none of what is in doubt.

use std::time::{Duration, Instant};

use super::harness::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, block, get};
use super::harness::{Front, FrontSettings};
use vestibule::proxy::DoorLimits;

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
    let patience = Duration::from_secs(15);
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
