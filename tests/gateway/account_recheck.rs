//! Whoever the platform disables is out, although their session lives.

use std::time::Duration;

use serde_json::{Value, json};

use super::first_login::{giulia, registers};

use super::harness::{
    GatewayBuilder, OPERATOR_TOKEN, OidcProvider, TestGateway, Upstream, on_both_set_ups,
};

on_both_set_ups!(a_user_whom_the_platform_disables_is_signed_out_and_stays_out);

async fn a_user_whom_the_platform_disables_is_signed_out_and_stays_out(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let often = "[sso]\nrecheck_account_every = \"1s\"\n";
    let set_up = set_up.policy("onboarding.toml", often);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;

    disable_the_only_user(&gateway).await;

    let mut tries = 0;
    while browser.fetch("GET", "/api/me", None).await.status() == 200 {
        tries += 1;
        assert!(tries < 100, "the session of a disabled user lives on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(browser.fetch("GET", "/api/me", None).await.status(), 401);
    let page = gateway
        .browser()
        .open("/")
        .await
        .login_at_provider("giulia")
        .await;
    assert_eq!(page.status(), 403);
}

async fn disable_the_only_user(gateway: &TestGateway) {
    let client = reqwest::Client::new();
    let users = gateway.admin("/platform/v1/users");
    let listed = client
        .get(&users)
        .bearer_auth(OPERATOR_TOKEN)
        .send()
        .await
        .unwrap();
    let listed: Value = listed.json().await.unwrap();
    let id = listed["items"][0]["id"].as_str().expect("a user");
    let change = client
        .patch(format!("{users}/{id}"))
        .bearer_auth(OPERATOR_TOKEN);
    let answer = change
        .json(&json!({ "enabled": false }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}
