//! gRPC from end to end: HTTP/2 on both sides, pieces both ways as they come, trailers behind them.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{Front, FrontSettings, Http2Upstream, Http2Visitor, certificate_for, status};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use vestibule::proxy::{DoorLimits, UpstreamProtocol, UpstreamServer, UpstreamSettings};

/// A front before a gRPC server that is reached in the clear.
async fn before(server: &Http2Upstream, change: fn(&mut UpstreamSettings)) -> Front {
    let url = format!("http://127.0.0.1:{}", server.port());
    let settings = FrontSettings {
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        of_upstream: Box::new(move |upstream| {
            upstream.protocol = UpstreamProtocol::Http2;
            change(upstream);
        }),
        // A call may say little.
        limits: DoorLimits {
            body_pace: Duration::from_secs(1),
            ..DoorLimits::default()
        },
        ..FrontSettings::default()
    };
    Front::with(settings).await
}

fn call(path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let uri = format!("https://app.example.com{path}");
    let mut request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Sends three pieces, each after the one before came back, and gives the trailers.
async fn talks(visitor: &mut Http2Visitor, request: Request<()>) -> HeaderMap {
    let (answer, mut sending) = visitor.send(request).await;
    sending
        .send_data(Bytes::from_static(b"first"), false)
        .unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let mut body = answer.into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "first");
    for piece in ["second", "third"] {
        sending.send_data(piece.into(), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), piece);
    }
    sending.send_data(Bytes::new(), true).unwrap();
    assert!(body.data().await.is_none());
    body.trailers().await.unwrap().expect("trailers")
}

#[tokio::test]
async fn a_call_streams_both_ways_and_ends_with_its_trailers() {
    let server = Http2Upstream::start().await;
    let front = before(&server, |_| {}).await;
    let alice = front.sign_in("app.example.com").await;
    let mut visitor = Http2Visitor::dial(&front).await;
    let fields = [
        ("cookie", alice.cookie.as_str()),
        ("x-vestibule-user", "root"),
    ];
    let trailers = talks(&mut visitor, call("/things.Things/Watch", &fields)).await;
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["x-after"], "all");
    let arrived = server.last_call();
    assert_eq!(arrived.head.uri.path(), "/things.Things/Watch");
    assert_eq!(arrived.head.uri.authority().unwrap(), "app.example.com");
    assert_eq!(arrived.header("te"), Some("trailers"));
    assert_eq!(arrived.header("x-vestibule-user"), Some("user-1"));
    assert_eq!(arrived.header("cookie"), None);
}

#[tokio::test]
async fn a_call_reaches_a_server_in_tls_that_knows_the_gateway() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (own, gateways) = (certificate_for("localhost"), certificate_for("gateway"));
    let server = Http2Upstream::secure(own.server_config(Some(&gateways))).await;
    let files = gateways.write_to(folder.path());
    for is_known in [true, false] {
        let url = format!("https://localhost:{}", server.port());
        let files = is_known.then(|| files.clone());
        let settings = FrontSettings {
            only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
            upstream_ca: Some(own.pem().into_bytes()),
            of_upstream: Box::new(move |upstream| {
                upstream.protocol = UpstreamProtocol::Http2;
                upstream.client_certificate.clone_from(&files);
            }),
            ..FrontSettings::default()
        };
        let front = Front::with(settings).await;
        let mut visitor = Http2Visitor::dial(&front).await;
        if is_known {
            let trailers = talks(&mut visitor, call("/public/things.Things/Watch", &[])).await;
            assert_eq!(trailers["grpc-status"], "0");
        } else {
            let answer = front.request("GET /public/a", &[]).await;
            assert!(matches!(status(&answer), 502 | 503), "{answer}");
        }
    }
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_keeps_its_status() {
    let server = Http2Upstream::start().await;
    let front = before(&server, |_| {}).await;
    let mut visitor = Http2Visitor::dial(&front).await;
    let (answer, mut sending) = visitor.send(call("/public/Refuse", &[])).await;
    sending.send_data(Bytes::new(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "7");
    assert!(answer.into_body().is_end_stream());
}

#[tokio::test]
async fn a_silent_call_outlives_the_timeouts_of_requests() {
    let server = Http2Upstream::start().await;
    let second = |upstream: &mut UpstreamSettings| {
        upstream.read_timeout = Duration::from_secs(1);
        upstream.write_timeout = Duration::from_secs(1);
    };
    let front = before(&server, second).await;
    let mut visitor = Http2Visitor::dial(&front).await;
    let (answer, mut sending) = visitor.send(call("/public/Watch", &[])).await;
    sending.send_data("a".into(), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "a");
    tokio::time::sleep(Duration::from_secs(4)).await;
    sending.send_data("b".into(), false).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "b");
}

/// What comes behind a body is not judged as a header is, so it goes no further.
#[tokio::test]
async fn nobody_says_who_he_is_in_trailers() {
    let server = Http2Upstream::start().await;
    let front = before(&server, |_| {}).await;
    let mut visitor = Http2Visitor::dial(&front).await;
    let (answer, mut sending) = visitor.send(call("/public/Watch", &[])).await;
    sending.send_data("a".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-vestibule-user", HeaderValue::from_static("root"));
    sending.send_trailers(trailers).unwrap();
    let mut body = answer.await.unwrap().into_body();
    while let Some(piece) = body.data().await {
        piece.unwrap();
    }
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    assert_eq!(server.last_call().trailers, None);
}

#[tokio::test]
async fn a_call_of_a_session_ends_with_it() {
    let server = Http2Upstream::start().await;
    let front = before(&server, |_| {}).await;
    let alice = front.sign_in("app.example.com").await;
    let mut visitor = Http2Visitor::dial(&front).await;
    let fields = [("cookie", alice.cookie.as_str())];
    let (answer, mut sending) = visitor.send(call("/Watch", &fields)).await;
    sending.send_data("a".into(), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "a");
    front.sessions.end(&alice.id).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), body.data()).await;
    assert!(matches!(end.expect("an end in time"), None | Some(Err(_))));
}

#[tokio::test]
async fn what_a_server_agrees_to_is_spoken() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = Arc::new(certificate_for("localhost"));
    let modern = Http2Upstream::secure(own.server_config(None)).await;
    let url = format!("https://localhost:{}", modern.port());
    let settings = FrontSettings {
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        upstream_ca: Some(own.pem().into_bytes()),
        of_upstream: Box::new(|upstream| upstream.protocol = UpstreamProtocol::Auto),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    assert_eq!(status(&front.request("GET /public/a", &[]).await), 200);
    assert_eq!(modern.calls().len(), 1);
    // In the clear nothing can be agreed on.
    let settings = FrontSettings {
        of_upstream: Box::new(|upstream| upstream.protocol = UpstreamProtocol::Auto),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    assert_eq!(status(&front.request("GET /public/a", &[]).await), 200);
    assert_eq!(front.upstream.requests().len(), 1);
}
