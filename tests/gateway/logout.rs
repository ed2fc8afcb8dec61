//! Logging out ends the session here on every node, and at the identity provider.

use serde_json::json;

use super::harness::{
    Browser, GatewayBuilder, RawConnection, SECOND_HOST, ScriptedProvider, TestGateway, Upstream,
    on_both_set_ups,
};
use super::known_user::{Stage, registered};

const SESSION: &str = "__Host-vestibule";

async fn ends_here_and_there(stores: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(stores).await;
    let browser = registered(&gateway).await;
    let session = browser.cookie(SESSION).expect("a session");
    let thief = gateway.browser();
    thief.plant_cookie(SESSION, &session);
    thief.fetch("GET", "/things", None).await.has_status(200);

    let asked = browser.open("/auth/logout").await.lands_on("/auth/logout");
    assert_eq!(
        browser.cookie(SESSION).as_deref(),
        Some(session.as_str()),
        "GET only asks"
    );
    let there = asked.press("Sign out").await;
    assert_eq!(browser.cookie(SESSION), None);
    assert!(
        there.url().as_str().starts_with(&stage.provider.issuer),
        "{there:?}"
    );
    let back = there.press("Yes, sign me out").await;
    assert!(back.url().path() == "/auth/logged-out", "{back:?}");
    back.has_status(200);
    stage.provider.has_revoked(1).await;

    stage.upstream.forget();
    for _ in 0..4 {
        thief.fetch("GET", "/things", None).await.has_status(401);
    }
    assert_eq!(stage.upstream.requests().len(), 0, "on no node");
    browser.open("/").await.shows("Sign-in");
}

#[tokio::test]
async fn logging_out_ends_the_session_on_one_embedded_node() {
    ends_here_and_there(TestGateway::embedded()).await;
}

#[tokio::test]
async fn logging_out_ends_the_session_on_two_nodes_with_shared_stores() {
    ends_here_and_there(TestGateway::distributed().nodes(2)).await;
}

#[tokio::test]
async fn nobody_else_logs_one_out() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = registered(&gateway).await;
    let session = browser.cookie(SESSION);
    for body in ["", "form_token=", "form_token=abc"] {
        let client = super::harness::wire_client();
        let cookie = format!("{SESSION}={}", session.as_deref().unwrap());
        let logout = format!("{}/auth/logout", gateway.origin());
        for origin in ["https://evil.example", gateway.origin(), "null"] {
            let answer = client
                .post(&logout)
                .header("Cookie", &cookie)
                .header("Origin", origin)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(body)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 403, "{origin} {body:?}");
            assert!(!answer.headers().contains_key("set-cookie"));
        }
    }
    browser
        .open("/things")
        .await
        .lands_on("/things")
        .shows("The platform");
}

#[tokio::test]
async fn whoever_is_logged_out_is_told_so_and_stays_so() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = gateway.browser();
    for address in [
        "/auth/logged-out",
        "/auth/logged-out?state=x",
        "/auth/logged-out?state=%00",
    ] {
        let page = browser.open(address).await.has_status(200);
        assert!(
            page.url().path() == "/auth/logged-out",
            "no way in by itself: {page:?}"
        );
    }
    assert_eq!(browser.cookie(SESSION), None);
    assert_eq!(stage.upstream.requests().len(), 0);
}

#[tokio::test]
async fn logging_out_works_while_the_provider_is_away() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = registered(&gateway).await;
    stage.provider.stop().await;
    browser
        .open("/things")
        .await
        .lands_on("/things")
        .shows("The platform");
    let page = browser.fetch("GET", "/things", None).await;
    page.has_status(200);
    let session = browser.cookie(SESSION).expect("a session");
    let form = browser.open("/auth/logout").await;
    let token = form.value_of("form_token").expect("a form token");
    let answer = super::harness::wire_client()
        .post(format!("{}/auth/logout", gateway.origin()))
        .header("Cookie", format!("{SESSION}={session}"))
        .header("Origin", gateway.origin())
        .header("Accept", "text/html")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("form_token={token}"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["clear-site-data"], "\"cache\"");
    let cleared = answer.headers()["set-cookie"].to_str().expect("ASCII");
    assert!(
        cleared.starts_with("__Host-vestibule=;") && cleared.contains("Max-Age=0"),
        "{cleared}"
    );
    browser.fetch("GET", "/things", None).await.has_status(401);
}

/// Somebody comes to a host, and is let through by a provider that knows them; registers where
/// that is asked for.
async fn comes_to(browser: &Browser, address: &str) {
    let page = browser.open(address).await;
    let page = if page.url().path() == "/auth/register" {
        page.press("Create account").await.waits_until_on("/").await
    } else {
        page
    };
    page.has_status(200);
}

on_both_set_ups!(a_session_of_the_provider_ends_on_all_hosts);

/// LO-01: what one `sid` began ends together, on whichever host; what another one began stays.
async fn a_session_of_the_provider_ends_on_all_hosts(stores: GatewayBuilder<'_>) {
    let (provider, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let everybody =
        "[sso]\ncreate_customer_on_first_login = true\naccount_types = [\"personal\"]\n";
    let gateway = stores
        .scripted_provider(&provider)
        .upstream(&upstream)
        .config(&format!(
            "[[host]]\norigin = \"http://{SECOND_HOST}:$PORT\"\n"
        ))
        .policy("onboarding.toml", everybody)
        .policy("signup/default.toml", "[[field]]\nname = \"name\"\n")
        .start()
        .await;
    let second = gateway.origin().replace("localhost", SECOND_HOST);
    let (at_work, at_home) = (gateway.browser(), gateway.browser());
    let mario = |sid: &str| {
        json!({ "sub": "mario", "name": "Mario", "sid": sid,
                "email": "mario@acme.example", "email_verified": true })
    };
    for (browser, sid) in [(&at_work, "work"), (&at_home, "home")] {
        provider.person(mario(sid));
        comes_to(browser, "/").await;
        comes_to(browser, &format!("{second}/")).await;
    }
    let there = format!("{second}/things");
    at_work.open("/auth/logout").await.press("Sign out").await;
    upstream.forget();
    for address in ["/things", &there] {
        at_work.fetch("GET", address, None).await.has_status(401);
    }
    assert_eq!(upstream.requests().len(), 0);
    for address in ["/things", &there] {
        at_home.fetch("GET", address, None).await.has_status(200);
    }
}

/// PX-13: a request that is sent behind the one that logs out, without waiting, goes nowhere.
#[tokio::test]
async fn nothing_behind_a_logout_on_one_connection_is_forwarded() {
    let stage = Stage::set().await;
    let mut gateway = stage.start(TestGateway::embedded()).await;
    let browser = registered(&gateway).await;
    let form = browser.open("/auth/logout").await;
    let body = format!(
        "form_token={}",
        form.value_of("form_token").expect("a token")
    );
    let origin = gateway.origin().to_owned();
    let host = origin.trim_start_matches("http://");
    let cookie = format!("{SESSION}={}", browser.cookie(SESSION).expect("a session"));
    let things = format!("GET /things HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
    let both = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nOrigin: {origin}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}{things}",
        body.len()
    );
    stage.upstream.forget();
    let mut connection = RawConnection::open(&gateway.node(0).address()).await;
    connection.send(both).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.head);
    let cleared = answer.header("set-cookie").expect("a cookie");
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    assert!(connection.answer().await.is_none(), "it ends there");
    let later = super::harness::send_raw(&gateway.node(0).address(), things).await;
    assert_eq!(later.expect("an answer").status, 401);
    assert_eq!(stage.upstream.requests().len(), 0);
}
