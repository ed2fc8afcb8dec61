//! Journey 10: people sign in by the platform's password, and what an attacker could try.

use reqwest::Method;
use serde_json::json;

use super::harness::{GatewayBuilder, OPERATOR_TOKEN, TestGateway, on_both_set_ups};
use super::self_registration::{Open, page_of, signs_in};

const POLICY: &str = "[local_login]\nenabled = true\n";
const PASSWORD: &str = "correct horse battery";
const ADDRESS: &str = "anna@bianchi.example";

/// What a user of the back office would have to accept first is another journey.
const NO_AGREEMENTS: &str = "captcha = \"none\"\n[brand]\nname = \"Acme\"\n";

async fn start(set_up: GatewayBuilder<'_>) -> Open {
    let set_up = set_up.policy("signup/default.toml", NO_AGREEMENTS);
    let open = Open::with_policy(set_up, POLICY).await;
    back_office_user(&open.gateway).await;
    open
}

/// A user that the back office made.
async fn back_office_user(gateway: &TestGateway) {
    let post = async |path: &str, body: serde_json::Value| {
        let answer = reqwest::Client::new()
            .post(gateway.admin(path))
            .bearer_auth(OPERATOR_TOKEN)
            .json(&body)
            .send()
            .await
            .expect("the admin listener");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        answer.json::<serde_json::Value>().await.expect("JSON")
    };
    let customer = json!({ "account_type": "business", "name": "Bianchi", "fields": {} });
    let customer = post("/platform/v1/customers", customer).await;
    let user = json!({
        "email": ADDRESS, "name": "Anna Bianchi", "account_type": "business", "language": "en",
        "fields": {}, "customer": customer["id"], "password": PASSWORD,
    });
    post("/platform/v1/users", user).await;
}

on_both_set_ups!(a_user_signs_in_by_password_and_out_again);

async fn a_user_signs_in_by_password_and_out_again(set_up: GatewayBuilder<'_>) {
    let open = start(set_up).await;
    let browser = open.gateway.browser();
    let page = signs_in(&browser, "/things/17?tab=values", ADDRESS, "wrong").await;
    page.has_status(422)
        .shows("E-mail address or password is not right");
    assert!(open.upstream.requests().is_empty());

    signs_in(&browser, "/things/17?tab=values", ADDRESS, PASSWORD)
        .await
        .lands_on("/things/17?tab=values");
    let request = open.upstream.last_request();
    assert_eq!(request.header("x-vestibule-email"), Some(ADDRESS));
    assert_eq!(open.gateway.count("account_links").await, 1);
    let page = browser.open("/auth/logout").await.press("Sign out").await;
    page.shows("signed out");
    let page = browser.open("/things/17").await;
    assert_eq!(page.url().path(), "/auth/login");
}

on_both_set_ups!(a_forgotten_password_is_replaced_by_a_mailed_link);

async fn a_forgotten_password_is_replaced_by_a_mailed_link(set_up: GatewayBuilder<'_>) {
    let open = start(set_up).await;
    let signed_in = open.gateway.browser();
    signs_in(&signed_in, "/", ADDRESS, PASSWORD)
        .await
        .lands_on("/");

    let browser = open.gateway.browser();
    let page = browser.open("/things/17").await;
    let page = page.follow("Forgotten your password?").await;
    let page = page.fill("Your e-mail address", ADDRESS);
    page.press("Send me the link")
        .await
        .shows("Look into your mailbox");
    let link = open.link_to(ADDRESS).await;
    let page = browser.open(&link).await.shows(ADDRESS);
    let page = page.fill("New password", "password1234").submit().await;
    let page = page.has_status(422).shows("easy to guess");
    let page = page.fill("New password", "violet tractor umbrella");
    let page = page.submit().await;
    page.shows("Your new password counts from now on");

    browser.open(&link).await.has_status(410);
    let page = signed_in.open("/things/18").await;
    assert_eq!(page.url().path(), "/auth/login", "sessions have ended");
    signs_in(&browser, "/", ADDRESS, PASSWORD)
        .await
        .has_status(422);
    signs_in(&browser, "/", ADDRESS, "violet tractor umbrella")
        .await
        .lands_on("/");
}

on_both_set_ups!(guesses_are_throttled_alike_for_known_and_unknown_users);

async fn guesses_are_throttled_alike_for_known_and_unknown_users(set_up: GatewayBuilder<'_>) {
    let open = start(set_up).await;
    let guess = async |address: &str| {
        let mut said = Vec::new();
        for _ in 0..12 {
            let browser = open.gateway.browser();
            let page = signs_in(&browser, "/", address, "wrong").await;
            let problems = page.all(".error");
            assert_eq!(page.status(), 422);
            said.push(problems);
        }
        said
    };
    let known = guess(ADDRESS).await;
    assert_eq!(known, guess("nobody@bianchi.example").await);
    assert!(known[11][0].starts_with("Too many attempts"), "{known:?}");
    assert!(known[9][0].starts_with("E-mail address"), "{known:?}");
    // Not even the right one is tried any more from there.
    let browser = open.gateway.browser();
    signs_in(&browser, "/", ADDRESS, PASSWORD)
        .await
        .has_status(422)
        .shows("Too many attempts");
}

#[tokio::test]
async fn nobody_is_signed_in_from_another_site() {
    let open = start(TestGateway::embedded()).await;
    let login = format!("email={ADDRESS}&password={PASSWORD}").replace(' ', "+");
    let browser = open.gateway.browser();
    let page = page_of(&open.gateway, "/auth/login");
    let answer = browser.navigate(Method::POST, page, Some(login), None);
    answer.await.has_status(403);
    assert_eq!(browser.cookie("__Host-vestibule"), None);
}

#[tokio::test]
async fn a_disabled_user_is_like_an_unknown_one() {
    let open = start(TestGateway::embedded()).await;
    let users = open.gateway.admin("/platform/v1/users");
    let client = reqwest::Client::new();
    let list = client.get(&users).bearer_auth(OPERATOR_TOKEN).send().await;
    let list: serde_json::Value = list.expect("a list").json().await.expect("JSON");
    let id = list["items"][0]["id"].as_str().expect("an id");
    let off = client.patch(format!("{users}/{id}"));
    let off = off
        .bearer_auth(OPERATOR_TOKEN)
        .json(&json!({ "enabled": false }));
    assert!(off.send().await.expect("an answer").status().is_success());
    let browser = open.gateway.browser();
    signs_in(&browser, "/", ADDRESS, PASSWORD)
        .await
        .has_status(422)
        .shows("E-mail address or password is not right");
}
