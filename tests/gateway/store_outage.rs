//! A session store that cannot answer is no logout: 503 with Retry-After, the cookie stays, nothing
//! passes as somebody, and life goes on by itself when the store is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch::{self, Receiver};
use tokio::task::JoinSet;

use super::first_login::{giulia, registers};
use super::harness::{
    Front, FrontSettings, OidcProvider, Redis, TestGateway, Upstream, send_raw, status,
};

/// How long after the store stopped a session in memory may still be trusted.
const TRUST: Duration = Duration::from_millis(2500);

/// How long after the store is back it is found again, also on a busy machine.
const RECOVERY: Duration = Duration::from_secs(3);

async fn front_over(redis: &Redis) -> Front {
    let store = redis.store(0);
    Front::with(FrontSettings {
        session_store: Some(Arc::new(store)),
        ..FrontSettings::default()
    })
    .await
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
}

/// What one user saw: when, the status, how long it took.
type Seen = Vec<(Instant, u16, Duration)>;

/// A user who asks for a page ten times a second until told that it is over.
async fn user(front: Arc<Front>, number: usize, cookie: String, over: Receiver<bool>) -> Seen {
    let mut seen = Vec::new();
    let cookie = format!("Cookie: {cookie}");
    while !*over.borrow() {
        let asked = Instant::now();
        let answer = front
            .request(&format!("GET /things/{number}"), &[&cookie])
            .await;
        let took = asked.elapsed();
        assert_eq!(
            field(&answer, "set-cookie"),
            None,
            "the cookie was touched: {answer}"
        );
        if status(&answer) == 503 {
            assert!(
                field(&answer, "retry-after").is_some(),
                "no Retry-After: {answer}"
            );
        }
        seen.push((asked, status(&answer), took));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    seen
}

fn statuses(seen: &Seen, from: Instant, until: Instant) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for (_, status, _) in seen.iter().filter(|(at, ..)| (from..until).contains(at)) {
        *counted.entry(*status).or_default() += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seconds_without_redis_under_traffic_log_nobody_out() {
    let mut redis = Redis::start_lasting();
    let front = Arc::new(front_over(&redis).await);
    let start = Instant::now();
    let (end, over) = watch::channel(false);
    let mut users = JoinSet::new();
    for number in 0..20 {
        let cookie = front.sign_in("app.example.com").await.cookie;
        users.spawn(user(Arc::clone(&front), number, cookie, over.clone()));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stopping = Instant::now();
    redis.stop();
    let stopped = Instant::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let forwarded = front.upstream.requests().len();
    let anonymous = front.request("GET /public/x", &[]).await;
    assert_eq!(
        status(&anonymous),
        200,
        "a public page needs no session store"
    );
    redis.resume_after_stop();
    let back = Instant::now();
    tokio::time::sleep(RECOVERY + Duration::from_secs(2)).await;
    let ended = Instant::now();
    end.send_replace(true);
    let everything: Seen = users.join_all().await.into_iter().flatten().collect();

    let only = |status: u16, counted: BTreeMap<u16, usize>| {
        assert!(
            counted.keys().eq([&status]),
            "instead of {status} alone: {counted:?}"
        );
    };
    only(200, statuses(&everything, start, stopping));
    only(
        503,
        statuses(
            &everything,
            stopped + TRUST,
            back.checked_sub(Duration::from_secs(1)).unwrap(),
        ),
    );
    only(200, statuses(&everything, back + RECOVERY, ended));
    let slowest = everything.iter().map(|(.., took)| *took).max().unwrap();
    assert!(
        slowest < Duration::from_millis(1500),
        "an answer took {slowest:?}"
    );
    let let_pass = everything
        .iter()
        .filter(|(at, status, _)| {
            *at < back.checked_sub(Duration::from_secs(1)).unwrap() && *status == 200
        })
        .count();
    assert_eq!(
        forwarded, let_pass,
        "the upstream saw what was answered 503"
    );
}

#[tokio::test]
async fn public_pages_pass_as_nobody_while_the_store_is_down() {
    let mut redis = Redis::start();
    let front = front_over(&redis).await;
    let alice = front.sign_in("app.example.com").await;
    redis.stop();
    let cookie = format!("Cookie: {}", alice.cookie);
    let answer = front.request("GET /public/x", &[&cookie]).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(field(&answer, "set-cookie"), None);
    let received = front.upstream.requests();
    assert_eq!(received.len(), 1);
    assert_eq!(
        received[0].header("x-vestibule-user"),
        None,
        "nobody passes as somebody"
    );
    let guarded = front.request("GET /things", &[&cookie]).await;
    assert_eq!(status(&guarded), 503);
    let nobody = front
        .request("GET /things", &["Accept: application/json"])
        .await;
    assert_eq!(
        status(&nobody),
        401,
        "without a cookie the store is not needed"
    );
}

/// The same with the real program, after a real login and registration.
#[tokio::test]
async fn the_program_rides_out_a_redis_outage() {
    let mut redis = Redis::start_lasting();
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::distributed_over(&redis);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    let cookie = browser.cookie("__Host-vestibule");
    assert!(cookie.is_some());

    redis.stop();
    tokio::time::sleep(TRUST).await;
    let before = upstream.requests().len();
    for _ in 0..10 {
        let page = browser.open("/things").await.has_status(503);
        assert!(!page.header("retry-after").is_empty());
        assert_eq!(
            browser.cookie("__Host-vestibule"),
            cookie,
            "the cookie was touched"
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(upstream.requests().len(), before);
    redis.resume_after_stop();
    browser
        .open("/things")
        .await
        .has_status(200)
        .lands_on("/things");
    assert_eq!(
        browser.cookie("__Host-vestibule"),
        cookie,
        "she had to log in again"
    );
}

/// SF-09: whoever logs out through one node is out on the other within a second.
#[tokio::test]
async fn a_logout_on_one_node_is_known_on_the_other_within_a_second() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::distributed().nodes(2);
    let mut gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    let value = browser.cookie("__Host-vestibule").expect("a session");
    let host = gateway
        .origin()
        .split("//")
        .nth(1)
        .expect("a host")
        .to_owned();
    let request = format!(
        "GET /things HTTP/1.1\r\nHost: {host}\r\nCookie: __Host-vestibule={value}\r\n\
         Connection: close\r\n\r\n"
    );
    let nodes = [gateway.node(0).address(), gateway.node(1).address()];
    for node in &nodes {
        let answer = send_raw(node, &request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
    // Long enough for both nodes to live on their memory alone.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let page = browser.open("/auth/logout").await;
    page.press("Sign out").await;
    let ended = Instant::now();
    for node in &nodes {
        while send_raw(node, &request).await.expect("an answer").status == 200 {
            assert!(
                ended.elapsed() < Duration::from_secs(1),
                "still signed in on {node}"
            );
        }
    }
}
