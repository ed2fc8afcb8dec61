//! The identity provider's access token at the upstream: the session's own, renewed before it ends,
//! and where no rule wants it, none.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::first_login::{giulia, registers};
use super::harness::{
    Browser, GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups, wire_client,
};

const WANTED: &str = "[upstream.hand_off]\naccess_token = {}\n";

const ACCESS: &str = r#"
[[rule]]
name = "public"
path = "/public/**"
access = "public"
hand_off = []
[[rule]]
name = "plain"
path = "/plain/**"
hand_off = ["headers"]
"#;

async fn signed_in(gateway: &TestGateway) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    browser
}

/// What the upstream gets in `Authorization`.
async fn sent(upstream: &Upstream, browser: &Browser, path: &str) -> Option<String> {
    let answer = browser.fetch("GET", path, None).await;
    assert_eq!(answer.status(), 200, "{}", answer.body());
    let newest = upstream.last_request();
    assert_eq!(newest.target, path);
    newest.header("authorization").map(str::to_owned)
}

/// Whose token it is, as the provider itself says.
async fn owner(provider: &OidcProvider, authorization: &str) -> Option<String> {
    let asking = wire_client().get(format!("{}/me", provider.issuer));
    let answer = asking.header("authorization", authorization).send().await;
    let said: Value = answer.expect("an answer").json().await.ok()?;
    said["sub"].as_str().map(str::to_owned)
}

on_both_set_ups!(an_upstream_gets_the_access_token_of_the_session);

async fn an_upstream_gets_the_access_token_of_the_session(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = set_up.config(WANTED).policy("access.toml", ACCESS);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let browser = signed_in(&gateway).await;
    let first = sent(&upstream, &browser, "/things/1")
        .await
        .expect("a token");
    assert_eq!(owner(&provider, &first).await.as_deref(), Some("giulia"));
    assert_eq!(
        sent(&upstream, &browser, "/things/2").await,
        Some(first.clone())
    );
    assert_eq!(sent(&upstream, &browser, "/plain/x").await, None);
    assert!(!gateway.log().contains(first.trim_start_matches("Bearer ")));

    let cookie = browser.cookie("__Host-vestibule").unwrap();
    for (path, arrives) in [
        ("/things/3", &*first),
        ("/public/x", "Bearer of-the-client"),
    ] {
        let call = wire_client().get(format!("{}{path}", gateway.origin()));
        let call = call.header("authorization", "Bearer of-the-client");
        let call = call.header("cookie", format!("__Host-vestibule={cookie}"));
        assert_eq!(call.send().await.unwrap().status(), 200);
        let newest = upstream.last_request();
        assert_eq!(newest.all_headers("authorization"), [arrives], "{path}");
    }
}

#[tokio::test]
async fn nobody_gets_one_who_does_not_ask_for_it() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = TestGateway::embedded().provider(&provider);
    let gateway = set_up.upstream(&upstream).start().await;
    let browser = signed_in(&gateway).await;
    assert_eq!(sent(&upstream, &browser, "/things/1").await, None);
}

#[tokio::test]
async fn a_token_is_renewed_once_on_one_node() {
    a_token_is_renewed_once(TestGateway::embedded()).await;
}

#[tokio::test]
async fn a_token_is_renewed_once_on_two_nodes() {
    a_token_is_renewed_once(TestGateway::distributed().nodes(2)).await;
}

async fn a_token_is_renewed_once(set_up: GatewayBuilder<'_>) {
    let provider = OidcProvider::start_with_access_tokens_for(4).await;
    let upstream = Upstream::start().await;
    giulia(&provider).await;
    let set_up = set_up.config(WANTED).policy("access.toml", ACCESS);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let browser = signed_in(&gateway).await;
    let first = sent(&upstream, &browser, "/things/1")
        .await
        .expect("a token");
    let mut last = first;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        upstream.forget();
        // A refresh token that is used twice ends all tokens of its grant.
        let all = (0..8).map(|_| browser.fetch("GET", "/things/2", None));
        for answer in join_all(all).await {
            assert_eq!(answer.status(), 200);
        }
        for request in upstream.requests() {
            let renewed = request.header("authorization").expect("a token");
            assert_ne!(renewed, last, "that one has ended");
            let owner = owner(&provider, renewed).await;
            assert_eq!(owner.as_deref(), Some("giulia"));
        }
        let newest = upstream.last_request();
        last = newest.header("authorization").expect("a token").to_owned();
    }
}
