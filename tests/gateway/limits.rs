//! Bounds on what clients may send, how much, how often and how slowly.

use std::time::{Duration, Instant};

use super::harness::{Answer, Front, FrontSettings, read_answer, read_to_end, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vestibule::policy::Limits;
use vestibule::proxy::{DoorLimits, UpstreamServer};
use vestibule::rate_limit::{Limit, Per, Scope};

fn impatient() -> FrontSettings {
    let limits = DoorLimits {
        head_time: Duration::from_secs(2),
        keep_alive: Duration::from_secs(2),
        body_time: Duration::from_secs(2),
        ..DoorLimits::default()
    };
    FrontSettings {
        limits,
        ..FrontSettings::default()
    }
}

#[tokio::test]
async fn heads_have_bounds() {
    let front = Front::start().await;
    let long_target = format!("GET /public/{}", "a".repeat(9000));
    assert_eq!(status(&front.request(&long_target, &[]).await), 414);
    let large_field = format!("X-Large: {}", "a".repeat(40_000));
    assert_eq!(
        status(&front.request("GET /public/a", &[&large_field]).await),
        431
    );
    let many = vec!["X: a"; 101];
    assert_eq!(status(&front.request("GET /public/a", &many).await), 431);
    assert_eq!(front.upstream.requests().len(), 0);
    let token = format!("Authorization: Bearer {}", "a".repeat(8192));
    assert_eq!(
        status(&front.request("GET /public/a", &[&token]).await),
        200
    );
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_without_reading_it() {
    let front = Front::start().await;
    let announced = front
        .request("POST /small", &["Content-Length: 1073741824"])
        .await;
    assert_eq!(status(&announced), 413);
    let asked = front
        .request(
            "POST /small",
            &["Content-Length: 2000", "Expect: 100-continue"],
        )
        .await;
    assert_eq!(status(&asked), 413, "{asked}");
    assert!(!asked.contains("100 Continue"));
    assert_eq!(front.upstream.requests().len(), 0);
    let fits = front
        .raw(format!(
            "POST /small HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
             Content-Length: 1024\r\n\r\n{}",
            "a".repeat(1024)
        ))
        .await;
    assert_eq!(status(&fits), 200);
}

#[tokio::test]
async fn a_body_without_announced_length_is_cut_at_the_limit() {
    let front = Front::start().await;
    let chunk = format!("400\r\n{}\r\n", "a".repeat(1024));
    let answer = front
        .raw(format!(
            "POST /small HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
             {chunk}{chunk}0\r\n\r\n"
        ))
        .await;
    assert_eq!(status(&answer), 413, "{answer}");
    assert_eq!(
        front.upstream.requests().len(),
        0,
        "no complete request arrived"
    );
}

#[tokio::test]
async fn a_large_upload_without_a_session_is_refused_unread() {
    let front = Front::start().await;
    let began = Instant::now();
    let answer = front
        .request(
            "POST /things",
            &["Content-Length: 1073741824", "Expect: 100-continue"],
        )
        .await;
    assert_eq!(status(&answer), 401);
    assert!(!answer.contains("100 Continue"));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn expect_is_answered_before_a_body_that_is_wanted() {
    let front = Front::start().await;
    for path in ["/public/a", "/auth/echo"] {
        let mut stream = front.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
             Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let interim = read_answer(&mut stream).await;
        assert_eq!(status(&interim), 100, "{path}: {interim}");
        stream.write_all(b"abc").await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        assert!(answer.contains("abc"));
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off() {
    let front = Front::with(impatient()).await;
    let mut stream = front.connect().await;
    let began = Instant::now();
    let mut head = b"GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX: aaaaaaaaaaaaaa".iter();
    while began.elapsed() < Duration::from_secs(8) {
        let octet = [*head.next().unwrap_or(&b'a')];
        if stream.write_all(&octet).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(6), "still open");
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let front = Front::with(impatient()).await;
    let mut silent = front.connect().await;
    let began = Instant::now();
    assert_eq!(read_to_end(&mut silent).await, "");
    assert!(began.elapsed() < Duration::from_secs(4));
    let mut kept = front.connect().await;
    kept.write_all(b"GET /public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut kept).await), 200);
    let began = Instant::now();
    assert_eq!(read_to_end(&mut kept).await, "");
    assert!(
        (1..4).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_stalled_body_for_a_page_is_told_so() {
    let front = Front::with(impatient()).await;
    let mut stream = front.connect().await;
    let head = "POST /auth/echo HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 9\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(status(&answer), 408, "{answer}");
}

#[tokio::test]
async fn connections_of_one_network_are_capped() {
    let limits = DoorLimits {
        connections_per_network: 5,
        ..DoorLimits::default()
    };
    let front = Front::with(FrontSettings {
        limits,
        ..FrontSettings::default()
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(front.connect().await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut served = 0;
    for stream in &mut open {
        let request =
            b"GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(request).await;
        served += usize::from(status(&read_to_end(stream).await) == 200);
    }
    assert_eq!(served, 5);
    assert_eq!(
        status(&front.request("GET /public/a", &[]).await),
        200,
        "closing makes room"
    );
    assert!(
        front
            .metrics()
            .contains("vestibule_connections_refused_total 3")
    );
}

#[expect(clippy::unnecessary_wraps, reason = "as the policy holds it")]
fn one_a_minute(name: &str, burst: u32) -> Option<std::sync::Arc<Limit>> {
    Some(std::sync::Arc::new(Limit {
        name: name.to_owned(),
        requests: 1,
        period: Duration::from_mins(1),
        burst,
        per: Per::Ip,
        scope: Scope::Node,
    }))
}

#[tokio::test]
async fn a_rules_limit_slows_down_its_user() {
    let front = Front::start().await;
    for _ in 0..2 {
        assert_eq!(status(&front.request("GET /slow-down", &[]).await), 200);
    }
    let answer = front.request("GET /slow-down", &[]).await;
    assert_eq!(status(&answer), 429);
    assert!(
        answer.to_ascii_lowercase().contains("retry-after: "),
        "{answer}"
    );
    let alice = front.sign_in("app.example.com").await;
    let cookie = format!("Cookie: {}", alice.cookie);
    assert_eq!(
        status(&front.request("GET /slow-down", &[&cookie]).await),
        200
    );
    assert_eq!(front.upstream.requests().len(), 3);
    assert!(
        front
            .metrics()
            .contains("vestibule_rate_limited_total{outcome=\"rule\",platform=\"\"} 1")
    );
}

#[tokio::test]
async fn logins_are_slowed_down_by_network() {
    let policy_limits = Limits {
        login: one_a_minute("login", 1),
        ..Limits::default()
    };
    let front = Front::with(FrontSettings {
        policy_limits,
        ..FrontSettings::default()
    })
    .await;
    assert_eq!(
        status(&front.request("GET /auth/callback?code=1", &[]).await),
        200
    );
    assert_eq!(
        status(&front.request("GET /auth/callback?code=1", &[]).await),
        429
    );
    assert_eq!(status(&front.request("GET /auth/whoami", &[]).await), 200);
    let page = front
        .request("GET /auth/callback", &["Accept: text/html"])
        .await;
    assert!(
        page.contains("text/html") && page.contains("Reference: "),
        "{page}"
    );
}

#[tokio::test]
async fn an_upstream_that_is_down_slow_or_broken_is_told_apart() {
    let settings = FrontSettings {
        read_timeout: Duration::from_secs(1),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let slow = Answer::html("late").after(Duration::from_secs(3));
    front.upstream.answers("/public/slow", slow);
    front.upstream.answers(
        "/public/broken",
        Answer::raw("no http\r\n\r\n").then_close(),
    );
    assert_eq!(status(&front.request("GET /public/slow", &[]).await), 504);
    assert_eq!(status(&front.request("GET /public/broken", &[]).await), 502);
    front.upstream.stop().await;
    let down = front.request("GET /public/a", &["Accept: text/html"]).await;
    assert_eq!(status(&down), 503);
    assert!(
        down.contains("text/html") && down.contains("Reference: "),
        "{down}"
    );
    assert!(down.to_ascii_lowercase().contains("retry-after: "));
    front.upstream.resume().await;
    assert_eq!(status(&front.request("GET /public/a", &[]).await), 200);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_passed_over() {
    let dead = UpstreamServer::parse("http://127.0.0.1:1", None).unwrap();
    let settings = FrontSettings {
        more_upstreams: vec![dead],
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    for _ in 0..4 {
        let answer = front
            .raw(
                "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
                 Content-Length: 3\r\n\r\nabc",
            )
            .await;
        assert_eq!(status(&answer), 200);
    }
    let bodies: Vec<_> = front
        .upstream
        .requests()
        .into_iter()
        .map(|r| r.body)
        .collect();
    assert_eq!(bodies, vec![b"abc".to_vec(); 4]);
}

/// PX-15: what is not idempotent is sent once.
#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let front = Front::start().await;
    front
        .upstream
        .answers("/public/gone", Answer::raw("").then_close());
    for _ in 0..3 {
        let answer = front
            .request("POST /public/gone", &["Content-Length: 0"])
            .await;
        assert_eq!(status(&answer), 502);
    }
    assert_eq!(front.upstream.requests().len(), 3);
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_finish() {
    let mut front = Front::start().await;
    front.upstream.answers(
        "/public/slow",
        Answer::html("late").after(Duration::from_secs(1)),
    );
    let mut idle = front.connect().await;
    let mut busy = front.connect().await;
    let request = b"GET /public/slow HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    busy.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    front.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(status(&read_answer(&mut busy).await), 200);
    let mut octet = [0];
    assert_eq!(idle.read(&mut octet).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn stopping_cuts_off_what_takes_longer_than_the_grace() {
    let grace = Duration::from_millis(500);
    let mut front = Front::with(FrontSettings {
        grace,
        ..FrontSettings::default()
    })
    .await;
    front.upstream.answers(
        "/public/slow",
        Answer::html("late").after(Duration::from_secs(8)),
    );
    let mut busy = front.connect().await;
    let request = b"GET /public/slow HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    busy.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    front.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3));
}
