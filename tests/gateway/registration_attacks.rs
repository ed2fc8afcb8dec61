//! What an attacker could try on the way to an account: links on other hosts and at their end, forms
//! of other sessions, fields that nobody asked for, hosts that are not ours.

use std::time::Duration;

use reqwest::Method;
use vestibule::onboarding::{LinkError, LinkStep};

use super::first_login::giulia;
use super::harness::office::{HOST, Office, policy};
use super::harness::{
    GatewayBuilder, Mailbox, OidcProvider, TestGateway, on_both_set_ups, wire_client,
};
use super::self_registration::{Open, page_of};

const ADDRESS: &str = "mario@rossi.example";
const BY_MAIL: &str = "[self_registration]\nenabled = true\n";
const DEEP_LINK: &str = "/things/17?tab=values";
const PASSWORD: &str = "violet tractor umbrella";
const OTHER: &str = "other.localhost";

/// RG-17, RG-13: a link that was mailed for one host is none on another of ours, where there is a way
/// to a new one; on its own it still counts.
#[tokio::test]
async fn a_link_on_another_host_of_ours_leads_to_a_new_one_there() {
    let other = format!("[[host]]\norigin = \"http://{OTHER}\"\n");
    let open = Open::start(TestGateway::embedded().config(&other)).await;
    open.ask_for_link(&open.gateway.browser(), ADDRESS).await;
    let link = open.link_to(ADDRESS).await;
    let path = link.strip_prefix(open.gateway.origin()).expect("our link");
    for path in [
        path.to_owned(),
        path.replace("register/link", "password/new"),
    ] {
        let asked = wire_client().get(format!("{}{path}", open.gateway.origin()));
        let answer = asked.header("Host", OTHER).header("Accept", "text/html");
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 410, "{path}");
        let page = answer.text().await.expect("a page");
        assert!(page.contains("This link does not work"), "{page}");
        assert!(!page.contains(ADDRESS), "it does not say whose it was");
        let again = if path.contains("password") {
            "/auth/password"
        } else {
            "/auth/register/email"
        };
        assert!(page.contains(&format!("href=\"{again}\"")), "{page}");
    }
    let page = open.gateway.browser().open(&link).await;
    page.press("Yes, continue").await.lands_on("/auth/register");
}

/// RG-17: letters lead to the configured origin, whatever a request says.
#[tokio::test]
async fn a_poisoned_host_gets_into_no_letter() {
    let open = Open::start(TestGateway::embedded()).await;
    let page = open.gateway.browser().open("/auth/register/email").await;
    let token = page.value_of("form_token").expect("a token");
    let post = |host: Option<&str>| {
        let request = wire_client()
            .post(format!("{}/auth/register/email", open.gateway.origin()))
            .header("Origin", open.gateway.origin())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("X-Forwarded-Host", "evil.example")
            .header("Forwarded", "host=evil.example")
            .header("X-Original-Host", "evil.example")
            .body(format!("form_token={token}&return_to=/&email={ADDRESS}"));
        let request = match host {
            Some(host) => request.header("Host", host),
            None => request,
        };
        request.send()
    };
    assert_eq!(post(Some("evil.example")).await.unwrap().status(), 421);
    assert_eq!(post(None).await.unwrap().status(), 303);
    let link = open.link_to(ADDRESS).await;
    assert!(link.starts_with(open.gateway.origin()), "{link}");
    let letters = open.mailbox.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(!format!("{} {}", letters[0].text, letters[0].html).contains("evil"));
}

/// RG-13, RG-11: the address is the link's, whatever the form says; what the page has no field for
/// is refused.
#[tokio::test]
async fn an_address_and_rights_come_from_no_form() {
    let open = Open::start(TestGateway::embedded()).await;
    let browser = open.gateway.browser();
    open.ask_for_link(&browser, ADDRESS).await;
    let page = browser.open(&open.link_to(ADDRESS).await).await;
    let (token, link) = (page.value_of("form_token"), page.value_of("token"));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("form_token", &token.unwrap())
        .append_pair("token", &link.unwrap())
        .append_pair("email", "attacker@evil.example")
        .finish();
    let here = Some(page.as_referring());
    let confirm = page_of(&open.gateway, "/auth/register/link");
    let page = browser.navigate(Method::POST, confirm, Some(form), here);
    let page = page.await.lands_on("/auth/register").shows(ADDRESS);
    assert!(!page.body().contains("evil.example"));

    let filled = page
        .fill("account_type", "personal")
        .fill("Full name", "Mario Rossi")
        .fill("Country", "Italy")
        .fill("Password", PASSWORD)
        .tick("I have read and accept: Terms of use");
    for more in ["role", "email_verified", "customer_id"] {
        let sent = filled.clone().with_scripted_field(more, "true");
        sent.press("Create account").await.has_status(400);
    }
    assert_eq!(open.gateway.count("registrations").await, 0);
    let sent = filled.with_scripted_field("email", "attacker@evil.example");
    let sent = sent.press("Create account").await;
    sent.waits_until_on(DEEP_LINK).await;
    let his = format!("builtin_users WHERE email = '{ADDRESS}'");
    assert_eq!(open.gateway.count(&his).await, 1);
    assert_eq!(open.gateway.count("builtin_users").await, 1);
}

/// CF-03, RG-11: the token of a form belongs to one session; without a session there is none.
#[tokio::test]
async fn a_form_is_nobodys_but_its_own_sessions() {
    let (provider, mailbox) = (OidcProvider::start().await, Mailbox::start().await);
    let set_up = TestGateway::embedded().provider(&provider).mail(&mailbox);
    let gateway = set_up.policy("onboarding.toml", BY_MAIL).start().await;
    giulia(&provider).await;
    let comes = async || {
        let browser = gateway.browser();
        let page = browser.open("/things").await;
        let page = page.follow("Continue with Provider corp").await;
        (browser, page.login_at_provider("giulia").await)
    };
    let ((mine, form), (_, theirs)) = (comes().await, comes().await);
    let stranger = gateway.browser().open("/auth/register/email").await;
    let register = page_of(&gateway, "/auth/register");
    for (browser, token) in [
        (&mine, theirs.value_of("form_token")),
        (&mine, stranger.value_of("form_token")),
        (&gateway.browser(), form.value_of("form_token")),
    ] {
        let fields = format!("form_token={}&name=Giulia", token.expect("a token"));
        let here = Some(form.as_referring());
        let answer = browser.navigate(Method::POST, register.clone(), Some(fields), here);
        answer.await.has_status(403);
    }
    assert_eq!(gateway.count("registrations").await, 0);
}

/// RG-09: a link is over when its time is, though nothing cleans it up.
#[tokio::test]
async fn a_link_counts_until_its_last_second() {
    let by_mail = policy(|onboarding| onboarding.self_registration.enabled = true);
    for office in Office::on_both(&by_mail).await {
        let token = office.mailed_token(LinkStep::Registration, ADDRESS).await;
        let look = || {
            office
                .onboarding
                .look_at_link(LinkStep::Registration, HOST, &token)
        };
        office.clock.advance(Duration::from_secs(3599));
        assert!(look().await.is_ok(), "a second before its end");
        office.clock.advance(Duration::from_secs(2));
        assert!(
            matches!(look().await, Err(LinkError::Dead)),
            "a second after it"
        );
        let redeemed = office
            .onboarding
            .redeem_registration_link(HOST, &token)
            .await;
        assert!(matches!(redeemed, Err(LinkError::Dead)));
    }
}

on_both_set_ups!(pages_on_the_way_are_not_framed_and_not_kept);

/// CF-05, CF-11: no page of the way is shown in a frame, or again from the cache.
async fn pages_on_the_way_are_not_framed_and_not_kept(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let browser = open.gateway.browser();
    open.ask_for_link(&browser, ADDRESS).await;
    let link = open.link_to(ADDRESS).await;
    let mut pages = vec![browser.open(&link).await];
    pages.push(pages[0].clone().press("Yes, continue").await);
    for path in [
        "/auth/login",
        "/auth/register/email",
        "/auth/password",
        "/auth/password/new?token=x",
        "/auth/register/invitation?link=x",
        "/auth/register/approval?link=x",
        "/auth/logout",
    ] {
        pages.push(open.gateway.browser().open(path).await);
    }
    for page in pages {
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{}: {policy}",
            page.url()
        );
        assert!(
            policy.contains("default-src 'none'"),
            "{}: {policy}",
            page.url()
        );
        assert_eq!(page.header("x-frame-options"), "DENY", "{}", page.url());
        assert!(
            page.header("cache-control").contains("no-store"),
            "{}",
            page.url()
        );
    }
}
