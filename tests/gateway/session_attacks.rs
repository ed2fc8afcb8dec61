//! Attacks on session cookies and session life, judged by what the upstream received.

use vestibule::identity::Cleared;
use vestibule::seal::random_token;

use super::harness::{Front, status};

const HOST: &str = "app.example.com";

/// Asks for a guarded page with this Cookie field; the upstream must not hear of it.
async fn is_refused(front: &Front, cookie: &str) {
    let before = front.upstream.requests().len();
    let answer = front
        .request("GET /things", &[&format!("Cookie: {cookie}")])
        .await;
    let shown: String = cookie.chars().take(80).collect();
    assert!(
        matches!(status(&answer), 400 | 401 | 431),
        "{shown}: {answer}"
    );
    assert!(
        !answer.to_ascii_lowercase().contains("set-cookie:"),
        "{shown}: {answer}"
    );
    assert_eq!(
        front.upstream.requests().len(),
        before,
        "{shown} reached the upstream"
    );
}

/// CK-05: every changed character of a cookie gets the same answer as a cookie that never was.
#[tokio::test]
async fn a_changed_cookie_is_told_apart_by_nobody() {
    let front = Front::start().await;
    let alice = front.sign_in(HOST).await;
    let good = front
        .request("GET /things", &[&format!("Cookie: {}", alice.cookie)])
        .await;
    assert_eq!(status(&good), 200);
    let value = alice.id.to_cookie_value();
    for place in 0..value.len() {
        let mut changed = value.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        is_refused(&front, &format!("__Host-vestibule={changed}")).await;
    }
    is_refused(&front, &format!("__Host-vestibule={}", random_token())).await;
}

/// CK-07: shapes that other gateways stumbled over.
#[tokio::test]
async fn malformed_cookies_are_nobody() {
    let front = Front::start().await;
    let alice = front.sign_in(HOST).await;
    let value = alice.id.to_cookie_value();
    for cookie in [
        "__Host-vestibule=".to_owned(),
        "__Host-vestibule".to_owned(),
        "=".to_owned(),
        ";;;;".to_owned(),
        "__Host-vestibule=99999999".to_owned(),
        "__Host-vestibule=-1".to_owned(),
        "__Host-vestibule_0=a; __Host-vestibule_1=b".to_owned(),
        format!("__Host-vestibule={value}="),
        format!("__Host-vestibule=\"{value}\""),
        format!("__Host-vestibule={value}{value}"),
        format!("__Host-vestibule={}", &value[..42]),
        format!("__Host-vestibule=%41{}", &value[1..]),
        format!("__Host-vestibule={}", "A".repeat(6000)),
        format!("__Host-vestibule={}", alice.id.key().as_str()),
    ] {
        is_refused(&front, &cookie).await;
    }
}

/// CK-11: a cookie that a sibling domain can set is none of the gateway's.
#[tokio::test]
async fn cookies_that_a_sibling_could_set_are_ignored() {
    let front = Front::start().await;
    let value = front.sign_in(HOST).await.id.to_cookie_value();
    for name in [
        "vestibule",
        "__Secure-vestibule",
        "__host-vestibule",
        "Host-vestibule",
    ] {
        is_refused(&front, &format!("{name}={value}")).await;
    }
}

/// A cookie of one host is none on another (sealed with the host).
#[tokio::test]
async fn a_session_is_for_one_host() {
    let front = Front::start().await;
    let elsewhere = front.sign_in("b.example.com").await;
    is_refused(&front, &elsewhere.cookie).await;
    is_refused(&front, &elsewhere.cookie).await;
}

/// Gateway cookies do not reach the upstream, others do, octet for octet.
#[tokio::test]
async fn the_upstream_never_sees_the_session() {
    let front = Front::start().await;
    let alice = front.sign_in(HOST).await;
    let cookie = format!("Cookie: theme=dark; x=\"1\"; {}; last=1", alice.cookie);
    let answer = front.request("GET /things", &[&cookie]).await;
    assert_eq!(status(&answer), 200);
    let received = front.upstream.requests();
    assert_eq!(
        received[0].header("cookie"),
        Some("theme=dark; x=\"1\"; last=1")
    );
}

/// SF-09: an end is effective at once, for the next request and for one that is under way.
#[tokio::test]
async fn an_ended_session_passes_no_further_request() {
    let front = Front::start().await;
    let alice = front.sign_in(HOST).await;
    let cookie = format!("Cookie: {}", alice.cookie);
    for _ in 0..3 {
        assert_eq!(status(&front.request("GET /things", &[&cookie]).await), 200);
    }
    front.sessions.end(&alice.id).await.unwrap();
    is_refused(&front, &alice.cookie).await;
    assert_eq!(front.upstream.requests().len(), 3);
}

/// The old id is dead from the moment of promotion, also while requests with it are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotion_leaves_the_old_id_dead_whatever_is_under_way() {
    use vestibule::session::SessionStanding;
    let front = std::sync::Arc::new(Front::start().await);
    for _ in 0..10 {
        let pending = front.sign_in_pending(HOST).await;
        let old = pending.id.to_cookie_value();
        let SessionStanding::Pending(open) = front.sessions.standing(Some(&old), HOST).await else {
            panic!("not pending");
        };
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let (front, old) = (std::sync::Arc::clone(&front), old.clone());
                tokio::spawn(async move {
                    for _ in 0..50 {
                        front.sessions.standing(Some(&old), HOST).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let account = crate::session_stores::account();
        let new = front
            .sessions
            .promote(&open, &pending.id, (account, Cleared::default()))
            .await
            .unwrap()
            .unwrap();
        for asker in asking {
            asker.await.unwrap();
        }
        is_refused(&front, &pending.cookie).await;
        assert_ne!(new, pending.id);
    }
}
