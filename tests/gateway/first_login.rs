//! Journeys 1, 2 and 4: people come through a certified provider, on both set-ups.

use serde_json::json;

use super::harness::{
    Answer, Browser, GatewayBuilder, OidcProvider, Page, TestGateway, Upstream, on_both_set_ups,
    send_raw, wait_until_async,
};

const DEEP_LINK: &str = "/things/17?tab=values";

/// Fills in what the registration page of a business asks, and waits until it is done.
pub async fn registers(page: Page) -> Page {
    page.shows("Set up your account")
        .fill("account_type", "business")
        .fill("Company name", "Ferraro Impianti")
        .fill("Country", "Italy")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
}

/// A person whom the provider knows well and the platform does not.
pub async fn giulia(provider: &OidcProvider) {
    let claims = json!({
        "name": "Giulia Ferraro",
        "email": "giulia@ferraro.example",
        "email_verified": true,
        "phone_number": "+390461234567",
    });
    provider.person("giulia", claims).await;
}

on_both_set_ups!(a_first_time_user_registers_and_lands_on_the_page_first_asked_for);

async fn a_first_time_user_registers_and_lands_on_the_page_first_asked_for(
    set_up: GatewayBuilder<'_>,
) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;

    let page = gateway
        .browser()
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    assert_eq!(
        page.value_of("Full name").as_deref(),
        Some("Giulia Ferraro")
    );
    assert!(
        upstream.requests().is_empty(),
        "nothing of hers arrives before she is registered"
    );
    registers(page).await.waits_until_on(DEEP_LINK).await;

    for table in [
        "builtin_customers",
        "builtin_locations",
        "builtin_users",
        "account_links",
    ] {
        assert_eq!(gateway.count(table).await, 1, "{table}");
    }
    let request = upstream.last_request();
    assert_eq!(request.target, DEEP_LINK);
    assert_eq!(
        request.header("x-vestibule-email"),
        Some("giulia@ferraro.example")
    );
    assert!(request.header("x-vestibule-user").is_some());
    assert!(request.header("x-vestibule-customer").is_some());
    assert_eq!(
        request.header("cookie"),
        None,
        "the gateway's cookies stay at the gateway"
    );
}

on_both_set_ups!(a_known_user_goes_straight_to_the_deep_link);

async fn a_known_user_goes_straight_to_the_deep_link(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let page = gateway
        .browser()
        .open("/")
        .await
        .login_at_provider("giulia")
        .await;
    registers(page).await.waits_until_on("/").await;

    let elsewhere = gateway.browser();
    let page = elsewhere
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    page.lands_on(DEEP_LINK);
    elsewhere.open("/things/18").await.lands_on("/things/18");
    assert_eq!(gateway.count("builtin_users").await, 1);
}

on_both_set_ups!(mistakes_are_told_and_what_was_typed_stays);

async fn mistakes_are_told_and_what_was_typed_stays(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;

    let page = gateway
        .browser()
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    let page = page
        .fill("account_type", "business")
        .fill("Company name", "Ferraro Impianti")
        .fill("Phone number", "a phone")
        .press("Create account")
        .await
        .has_status(422)
        .shows("There is a problem");
    assert_eq!(
        page.value_of("Company name").as_deref(),
        Some("Ferraro Impianti")
    );
    assert_eq!(gateway.count("builtin_customers").await, 0);
    let page = page.fill("Phone number", "0461 234567");
    registers(page).await.waits_until_on(DEEP_LINK).await;
}

on_both_set_ups!(staff_do_not_become_customers);

async fn staff_do_not_become_customers(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    provider
        .person(
            "priya",
            json!({ "name": "Priya Raman", "groups": ["staff"] }),
        )
        .await;

    let page = gateway
        .browser()
        .open(DEEP_LINK)
        .await
        .login_at_provider("priya")
        .await;
    page.has_status(403)
        .shows("This sign-in is not for customers");
    assert!(upstream.requests().is_empty());
    assert_eq!(gateway.count("account_links").await, 0);
}

on_both_set_ups!(nothing_of_an_unregistered_user_reaches_the_upstream);

async fn nothing_of_an_unregistered_user_reaches_the_upstream(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    browser
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await
        .shows("Set up your account");

    let answer = browser
        .fetch("GET", "/api/things", None)
        .await
        .has_status(403);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(
        answer.body().contains("registration_required"),
        "{}",
        answer.body()
    );
    browser
        .fetch("POST", "/api/things", Some("{}".to_owned()))
        .await
        .has_status(403);
    browser.fetch("HEAD", "/things", None).await;
    for fields in [
        "Sec-Purpose: prefetch\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n",
        "Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\nAccept: image/*\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let status = status_with(&gateway, &browser, fields).await;
        assert!((300..500).contains(&status), "{status}: {fields}");
    }
    browser
        .open("/things/18")
        .await
        .shows("Set up your account");
    assert!(upstream.requests().is_empty(), "{:#?}", upstream.requests());

    browser.open("/public/news").await.lands_on("/public/news");
    let request = upstream.last_request();
    assert_eq!(request.header("x-vestibule-user"), None);
    assert_eq!(request.header("cookie"), None);
}

/// The answer to a request with the browser's session and these fields, past what browsers send.
async fn status_with(gateway: &TestGateway, browser: &Browser, fields: &str) -> u16 {
    let address = gateway.origin().trim_start_matches("http://");
    let session = browser.cookie("__Host-vestibule").expect("a session");
    let request = format!(
        "GET /things/18 HTTP/1.1\r\nHost: {address}\r\nCookie: __Host-vestibule={session}\r\n\
         {fields}\r\n"
    );
    let answer = send_raw(address, &request).await.expect("an answer");
    answer.status
}

on_both_set_ups!(a_user_logs_out_here_and_at_the_provider);

async fn a_user_logs_out_here_and_at_the_provider(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    let stolen = browser.with_stolen_cookies();

    let page = browser
        .open("/auth/logout")
        .await
        .shows("Do you want to sign out?");
    let page = page
        .press("Sign out")
        .await
        .shows("Do you want to sign-out from");
    page.press("Yes, sign me out")
        .await
        .shows("You are signed out");

    upstream.forget();
    stolen.open("/things/17").await.shows("Sign-in");
    browser.open("/things/17").await.shows("Sign-in");
    assert!(upstream.requests().is_empty());
}

on_both_set_ups!(a_platform_that_is_down_is_said_so_with_a_reference);

async fn a_platform_that_is_down_is_said_so_with_a_reference(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    upstream.answers("/public/broken", Answer::raw("").then_close());
    let page = gateway
        .browser()
        .open("/public/broken")
        .await
        .has_status(502);
    let reference = page.all("code").pop().expect("a reference to quote");
    // A thread of its own writes the log.
    wait_until_async("the log", async || gateway.log().contains(&reference)).await;
    upstream.stop().await;
    gateway
        .browser()
        .open("/public/things")
        .await
        .has_status(503);
}
