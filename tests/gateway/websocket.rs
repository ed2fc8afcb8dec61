//! WebSockets: decided on before the upstream is asked, long-lived, and ended with the session.

use std::time::{Duration, Instant};

use super::harness::{Front, FrontSettings, read_to_end, status, wait_until_async};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use vestibule::proxy::{DoorLimits, UpstreamProtocol};

async fn dial(
    front: &Front,
    path: &str,
    fields: &[(&'static str, &str)],
) -> Result<WebSocketStream<TcpStream>, u16> {
    let mut request = format!("ws://app.example.com{path}")
        .into_client_request()
        .unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, front.connect().await).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn echoes(socket: &mut WebSocketStream<TcpStream>, text: &str) -> bool {
    socket.send(Message::text(text)).await.is_ok()
        && matches!(socket.next().await, Some(Ok(Message::Text(echo))) if echo == text)
}

#[tokio::test]
async fn a_socket_passes_with_a_session_and_names_its_user() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let fields = [
        ("cookie", alice.cookie.as_str()),
        ("origin", "https://app.example.com"),
        ("x-vestibule-user", "root"),
    ];
    let mut socket = dial(&front, "/ws", &fields).await.unwrap();
    assert!(echoes(&mut socket, "hello").await);
    let large = "x".repeat(1 << 20);
    assert!(echoes(&mut socket, &large).await);
    let handshake = front.upstream.last_request();
    assert_eq!(handshake.all_headers("x-vestibule-user"), ["user-1"]);
    assert_eq!(handshake.header("upgrade"), Some("websocket"));
}

#[tokio::test]
async fn what_passes_through_a_socket_is_no_request_body() {
    let front = Front::start().await;
    let mut socket = dial(&front, "/small/ws", &[]).await.unwrap();
    let more_than_a_body_may_have = "x".repeat(4096);
    assert!(echoes(&mut socket, &more_than_a_body_may_have).await);
    assert!(echoes(&mut socket, "and on").await);
}

#[tokio::test]
async fn without_a_session_the_upstream_is_not_even_asked() {
    let front = Front::start().await;
    assert_eq!(dial(&front, "/ws", &[]).await.unwrap_err(), 401);
    let newcomer = front.sign_in_pending("app.example.com").await;
    assert_eq!(
        dial(&front, "/ws", &[("cookie", &newcomer.cookie)])
            .await
            .unwrap_err(),
        403
    );
    let alice = front.sign_in("app.example.com").await;
    let foreign = [
        ("cookie", alice.cookie.as_str()),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(dial(&front, "/ws", &foreign).await.unwrap_err(), 403);
    assert_eq!(
        dial(&front, "/admin/ws", &[("cookie", &alice.cookie)])
            .await
            .unwrap_err(),
        403
    );
    assert_eq!(front.upstream.requests().len(), 0);
}

/// PX-17: 1,000 tunnels in turn, none lost.
#[tokio::test]
async fn a_thousand_tunnels_stay() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    for _ in 0..1000 {
        let mut socket = dial(&front, "/ws", &[("cookie", &alice.cookie)])
            .await
            .unwrap();
        assert!(echoes(&mut socket, "hello").await);
        let _ = socket.close(None).await;
    }
}

#[tokio::test]
async fn an_idle_socket_outlives_the_timeouts_of_requests() {
    let short = Duration::from_secs(1);
    let limits = DoorLimits {
        head_time: short,
        keep_alive: short,
        body_time: short,
        body_pace: short,
        ..DoorLimits::default()
    };
    let settings = FrontSettings {
        limits,
        read_timeout: short,
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let alice = front.sign_in("app.example.com").await;
    let mut socket = dial(&front, "/ws", &[("cookie", &alice.cookie)])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(echoes(&mut socket, "still here").await);
}

#[tokio::test]
async fn a_socket_goes_by_http1_whatever_else_its_upstream_speaks() {
    for protocol in [UpstreamProtocol::Http2, UpstreamProtocol::Auto] {
        let settings = FrontSettings {
            of_upstream: Box::new(move |upstream| upstream.protocol = protocol),
            ..FrontSettings::default()
        };
        let front = Front::with(settings).await;
        let mut socket = dial(&front, "/public/ws", &[]).await.unwrap();
        assert!(echoes(&mut socket, "hello").await, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_socket_ends_within_five_seconds_of_its_session() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let mut socket = dial(&front, "/ws", &[("cookie", &alice.cookie)])
        .await
        .unwrap();
    let mut public = dial(&front, "/public/ws", &[]).await.unwrap();
    assert!(echoes(&mut socket, "hello").await);
    front.sessions.end(&alice.id).await.unwrap();
    let began = Instant::now();
    let end = tokio::time::timeout(Duration::from_secs(8), socket.next())
        .await
        .unwrap();
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(echoes(&mut public, "nobody's socket stays").await);
    // Counted right after the client sees it.
    wait_until_async("the cut stream is counted", async || {
        front.metrics().contains("vestibule_streams_cut_total 1")
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_to_something_else_is_no_tunnel() {
    let front = Front::start().await;
    let mut stream = front.connect().await;
    let request = "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: h2c\r\n\
         Connection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_to_end(&mut stream).await), 200);
    assert_eq!(front.upstream.last_request().header("upgrade"), None);
}
