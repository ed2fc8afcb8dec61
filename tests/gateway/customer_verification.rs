//! Journey 8: a user whom the back office made confirms at first access what the platform knows.

use serde_json::{Value, json};

use super::first_login::{giulia, registers};
use super::harness::{
    Browser, GatewayBuilder, OPERATOR_TOKEN, OidcProvider, TestGateway, Upstream, on_both_set_ups,
    wire_client,
};

const DEEP_LINK: &str = "/things/17?tab=values";
const ASKS: &str = "[customer_verification]\nenabled = true\nfields = [\"phone\", \"address\"]\n";
const PASSWORD: &str = "correct horse battery";

async fn ask(gateway: &TestGateway, method: &str, path: &str, body: Value) -> Value {
    let address = gateway.admin(&format!("/platform/v1/{path}"));
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = wire_client().request(method, address);
    let request = request.bearer_auth(OPERATOR_TOKEN).json(&body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.expect("JSON")
}

/// What a back office makes by hand: customer, location, user. Gives the user's id.
async fn back_office(gateway: &TestGateway) -> String {
    let body = json!({ "account_type": "business", "name": "Ferraro Impianti" });
    let customer = ask(gateway, "POST", "customers", body).await;
    let customer = customer["id"].clone();
    let body =
        json!({ "customer": customer, "name": "Sede", "fields": { "address": "Via Roma 1" } });
    ask(gateway, "POST", "locations", body).await;
    let body = json!({
        "customer": customer, "email": "giulia@ferraro.example", "name": "Giulia Ferraro",
        "account_type": "business", "language": "it", "password": PASSWORD,
        "fields": { "phone": "+390461234567" },
    });
    let user = ask(gateway, "POST", "users", body).await;
    user["id"].as_str().unwrap().to_owned()
}

/// Comes through the provider, and proves by password that the account is hers.
async fn proves(browser: &Browser) -> super::harness::Page {
    let page = browser.open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    page.fill("password", PASSWORD).submit().await
}

on_both_set_ups!(whoever_the_back_office_made_confirms_once_and_comes_back);

async fn whoever_the_back_office_made_confirms_once_and_comes_back(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = set_up.policy("onboarding.toml", ASKS);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let user = back_office(&gateway).await;
    let browser = gateway.browser();
    let page = proves(&browser).await;
    let page = page
        .tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await;
    let page = page.shows("Is this still right?");
    assert_eq!(
        page.value_of("Phone number").as_deref(),
        Some("+390461234567")
    );
    assert_eq!(page.value_of("address").as_deref(), Some("Via Roma 1"));
    assert!(upstream.requests().is_empty(), "not before it is confirmed");

    let page = page.fill("Phone number", "12").press("Confirm").await;
    let page = page.has_status(422);
    assert_eq!(page.value_of("Phone number").as_deref(), Some("12"));
    let page = page
        .fill("Phone number", "+39 0461 765432")
        .fill("address", "Via Verdi 2")
        .press("Confirm")
        .await;
    page.lands_on(DEEP_LINK);

    let path = format!("users/{user}/profile");
    let known = ask(&gateway, "PATCH", &path, json!({})).await;
    assert_eq!(known["user"]["phone"], "+390461765432");
    assert_eq!(known["location"]["address"], "Via Verdi 2");
    assert_eq!(known["customer"]["name"], "Ferraro Impianti");
    assert_eq!(gateway.count("customer_verifications").await, 1);

    let elsewhere = gateway.browser();
    let page = elsewhere.open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    page.lands_on(DEEP_LINK);
}

on_both_set_ups!(whoever_registered_here_is_not_asked);

async fn whoever_registered_here_is_not_asked(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = set_up.policy("onboarding.toml", ASKS);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    assert_eq!(gateway.count("customer_verifications").await, 0);
}

#[tokio::test]
async fn programs_wait_where_the_policy_says_so_and_forms_are_ours_alone() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let strict = format!("{ASKS}api = \"refuse\"\n");
    let set_up = TestGateway::embedded()
        .policy("onboarding.toml", &strict)
        .policy("signup/default.toml", "[[field]]\nname = \"company\"\n");
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    back_office(&gateway).await;
    let browser = gateway.browser();
    let page = proves(&browser).await.shows("Is this still right?");
    let answer = browser.fetch("GET", "/api/things", None).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.json()["code"], "verification_required");
    assert_eq!(answer.json()["continue_at"], "/auth/verify");
    assert!(upstream.requests().is_empty());

    let token = page.value_of("form_token").unwrap();
    for (further, status) in [("email=a@b.example", 400), ("", 422)] {
        let form = format!("form_token={token}&{further}&return_to=%2F").replace("&&", "&");
        let (url, from) = (page.url().clone(), Some(page.as_referring()));
        let post = reqwest::Method::POST;
        let answer = browser.navigate(post, url, Some(form), from).await;
        assert_eq!(answer.status(), status, "{further}");
    }
    let two = browser.open("/other").await;
    let confirm = |page: super::harness::Page| page.press("Confirm and continue");
    let (one, two) = tokio::join!(confirm(page), confirm(two));
    one.lands_on(DEEP_LINK);
    two.lands_on("/other");
    assert_eq!(gateway.count("customer_verifications").await, 1);
}
