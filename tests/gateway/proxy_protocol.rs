//! Balancers say by the PROXY protocol whom a connection is for; others who say so are not believed.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use vestibule::proxy::DoorLimits;

use super::harness::{Front, FrontSettings, read_answer, read_to_end, status};

/// A client, by version 1.
const LINE: &str = "PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n";

/// The signature of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const WHOAMI: &str =
    "GET /auth/whoami HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";

/// A front behind balancers of these networks.
async fn behind(networks: &[&str], limits: DoorLimits) -> Front {
    let settings = FrontSettings {
        proxy_protocol: true,
        trusted_proxies: networks.iter().map(|one| one.parse().unwrap()).collect(),
        limits,
        ..FrontSettings::default()
    };
    Front::with(settings).await
}

async fn behind_loopback() -> Front {
    behind(&["127.0.0.0/8"], DoorLimits::default()).await
}

#[tokio::test]
async fn a_trusted_balancer_says_whom_a_connection_is_for() {
    let front = behind_loopback().await;
    let version_2 = [
        SIGNATURE,
        b"\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x13\x88\x01\xbb",
        WHOAMI.as_bytes(),
    ]
    .concat();
    for octets in [format!("{LINE}{WHOAMI}").into_bytes(), version_2] {
        let answer = front.raw(octets).await;
        assert!(answer.contains("app.example.com 192.0.2.7 "), "{answer}");
    }
    let forwarded = WHOAMI.replace("/auth/whoami", "/public/x");
    let lie = forwarded.replace("Connection", "X-Forwarded-For: 198.51.100.1\r\nConnection");
    let answer = front.raw(format!("{LINE}{lie}")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let received = front.upstream.last_request();
    let told = received.header("x-forwarded-for");
    assert_eq!(told, Some("192.0.2.7"), "the client is no proxy of ours");
}

#[tokio::test]
async fn a_proxy_in_front_of_the_balancer_still_counts() {
    let front = behind(&["127.0.0.0/8", "192.0.2.0/24"], DoorLimits::default()).await;
    let forwarded = WHOAMI.replace("Connection", "X-Forwarded-For: 198.51.100.1\r\nConnection");
    let answer = front.raw(format!("{LINE}{forwarded}")).await;
    assert!(answer.contains("app.example.com 198.51.100.1 "), "{answer}");
}

#[tokio::test]
async fn a_balancer_that_looks_whether_the_gateway_is_there_speaks_for_itself() {
    let front = behind_loopback().await;
    let local = [SIGNATURE, b"\x20\x00\x00\x00", WHOAMI.as_bytes()].concat();
    let unknown = format!("PROXY UNKNOWN\r\n{WHOAMI}").into_bytes();
    for octets in [local, unknown] {
        let answer = front.raw(octets).await;
        assert!(answer.contains("app.example.com 127.0.0.1 "), "{answer}");
    }
}

#[tokio::test]
async fn a_balancer_that_does_not_say_so_is_not_served() {
    let limits = DoorLimits {
        head_time: Duration::from_millis(500),
        ..DoorLimits::default()
    };
    let front = behind(&["127.0.0.0/8"], limits).await;
    let unlike = LINE.replace("TCP4", "TCP5");
    for octets in [WHOAMI, "PROXY TCP4 192.0", &format!("{unlike}{WHOAMI}")] {
        assert_eq!(front.raw(octets).await, "", "{octets:?}");
    }
    let addresses = b"\xc0\x00\x02\x07\x0a\x00\x00\x01\x13\x88\x01\xbb";
    let far_too_long = [
        SIGNATURE,
        b"\x21\x11\xff\xff",
        addresses,
        &vec![0; 0xffff - 12],
        WHOAMI.as_bytes(),
    ];
    assert_eq!(front.raw(far_too_long.concat()).await, "");
    assert_eq!(front.upstream.requests().len(), 0);
    let refused = "vestibule_connections_refused_total 4";
    assert!(front.metrics().contains(refused), "{}", front.metrics());
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let front = behind(&["10.0.0.0/8"], DoorLimits::default()).await;
    let answer = front.raw(format!("{LINE}{WHOAMI}")).await;
    assert_eq!(status(&answer), 400, "{answer}");
    let answer = front.raw(WHOAMI).await;
    assert!(answer.contains("app.example.com 127.0.0.1 "), "{answer}");

    let unaware = Front::start().await;
    let answer = unaware.raw(format!("{LINE}{WHOAMI}")).await;
    assert_eq!(status(&answer), 400, "{answer}");
}

#[tokio::test]
async fn clients_behind_a_balancer_have_caps_of_their_own() {
    let limits = DoorLimits {
        connections_per_network: 1,
        ..DoorLimits::default()
    };
    let front = behind(&["127.0.0.0/8"], limits).await;
    let open = WHOAMI.replace("Connection: close\r\n", "");
    let mut first = front.connect().await;
    first
        .write_all(format!("{LINE}{open}").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut first).await), 200);

    let mut second = front.connect().await;
    second
        .write_all(format!("{LINE}{open}").as_bytes())
        .await
        .unwrap();
    assert_eq!(
        read_to_end(&mut second).await,
        "",
        "the network has its one connection"
    );
    let other = LINE.replace("192.0.2.7", "192.0.2.8");
    assert_eq!(status(&front.raw(format!("{other}{WHOAMI}")).await), 200);
}
