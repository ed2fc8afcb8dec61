//! Journey 9: an agreement changes, and whoever is signed in accepts it again where they are.

use serde_json::json;

use super::first_login::{giulia, registers};
use super::harness::{
    Browser, GatewayBuilder, OidcProvider, Page, Redis, TestGateway, Upstream, on_both_set_ups,
    wire_client,
};

const DEEP_LINK: &str = "/things/17?tab=values";
const CHANGED: &str = "# Terms of use\n\nBe kind, and be careful.\n";
const TERMS: &str = "agreements/terms.en.md";

struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
}

impl Stage {
    async fn set() -> Self {
        let provider = OidcProvider::start().await;
        giulia(&provider).await;
        let upstream = Upstream::start().await;
        Self { provider, upstream }
    }

    async fn start(&self, set_up: GatewayBuilder<'_>) -> TestGateway {
        let set_up = set_up.provider(&self.provider).upstream(&self.upstream);
        set_up.start().await
    }
}

async fn signed_in(gateway: &TestGateway) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    if page.url().path() == "/auth/register" {
        registers(page).await.waits_until_on("/").await;
    }
    browser
}

/// Opens a page until every node has the new policy and asks for the agreement.
async fn is_asked(browser: &Browser, page: &str) -> Page {
    for _ in 0..200 {
        let shown = browser.open(page).await;
        if shown.url().path() == "/auth/accept" && !shown.all("form").is_empty() {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody is asked to accept");
}

/// Sends the form of a page with one other field.
async fn sends(browser: &Browser, page: &Page, (field, value): (&str, &str)) -> Page {
    let token = page.value_of("form_token").expect("a token");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("form_token", token.as_str()), ("return_to", "/things")])
        .append_pair(field, value)
        .finish();
    let (url, from) = (page.url().clone(), Some(page.as_referring()));
    browser
        .navigate(reqwest::Method::POST, url, Some(form), from)
        .await
}

/// Waits until every one of two nodes has read its policies again.
async fn all_nodes_know() {
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
}

on_both_set_ups!(whoever_is_signed_in_accepts_again_and_comes_back);

async fn whoever_is_signed_in_accepts_again_and_comes_back(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    let browser = signed_in(&gateway).await;
    let session = browser.cookie("__Host-vestibule");
    browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);

    gateway.rewrite_policy(TERMS, CHANGED);
    let page = is_asked(&browser, DEEP_LINK).await;
    stage.upstream.forget();
    let page = page
        .shows("Please read and accept")
        .press("Accept and continue")
        .await;
    let page = page
        .has_status(422)
        .shows("Accept “Terms of use” to continue");
    assert!(
        stage.upstream.requests().is_empty(),
        "not before it is accepted"
    );
    let page = page
        .tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await;
    page.lands_on(DEEP_LINK);
    assert_eq!(
        browser.cookie("__Host-vestibule"),
        session,
        "still signed in"
    );
    browser.open("/things/18").await.lands_on("/things/18");
    assert_eq!(gateway.count("acceptances").await, 2);
    assert_eq!(gateway.count("agreements").await, 2);
}

#[tokio::test]
async fn a_session_on_two_nodes_is_asked_once_whichever_node_answers() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::distributed().nodes(2)).await;
    let (here, elsewhere) = (signed_in(&gateway).await, signed_in(&gateway).await);
    gateway.rewrite_policy(TERMS, CHANGED);
    all_nodes_know().await;
    let page = is_asked(&here, DEEP_LINK).await;
    page.tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await
        .lands_on(DEEP_LINK);
    for round in 0..6 {
        let page = format!("/round/{round}");
        here.open(&page).await.lands_on(&page);
        elsewhere.open(&page).await.lands_on(&page);
    }
    assert_eq!(gateway.count("acceptances").await, 2);
}

#[tokio::test]
async fn two_tabs_that_accept_at_once_leave_one_receipt() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway).await;
    gateway.rewrite_policy(TERMS, CHANGED);
    let one = is_asked(&browser, "/one").await;
    let two = browser.open("/two").await;
    let accept = |page: Page| {
        page.tick("I have read and accept: Terms of use")
            .press("Accept and continue")
    };
    let (one, two) = tokio::join!(accept(one), accept(two));
    one.lands_on("/one");
    two.lands_on("/two");
    assert_eq!(gateway.count("acceptances").await, 2);
}

#[tokio::test]
async fn what_was_not_shown_is_not_accepted() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway).await;
    let page = browser.open("/auth/agreements/terms").await;
    let page = page.follow("Version").await;
    let old = page.url().path_segments().unwrap().next_back().unwrap();
    gateway.rewrite_policy(TERMS, CHANGED);
    let page = is_asked(&browser, "/things").await;
    for (field, value, status) in [
        ("agreement.terms", "yes", 422),
        ("agreement.terms", "", 422),
        ("agreement.terms", old, 422),
        ("agreement.other", "x", 400),
        ("company", "Acme", 400),
    ] {
        let answer = sends(&browser, &page, (field, value)).await;
        assert_eq!(answer.status(), status, "{field}={value}");
    }
    let stranger = gateway.browser();
    stranger.open(page.url().as_str()).await.shows("Sign-in");
    let page_of_a_stranger = sends(&stranger, &page, ("agreement.terms", old)).await;
    page_of_a_stranger.shows("Sign-in");
    assert_eq!(gateway.count("acceptances").await, 1);

    // What was accepted stays readable, and says that it is not in force.
    let earlier = browser.open(&format!("/auth/agreements/terms/{old}")).await;
    let page = earlier.shows("Be kind.").shows("an earlier version");
    page.follow("Read the version in force")
        .await
        .shows("be careful");
    let never = browser.open("/auth/agreements/terms/never").await;
    never.has_status(404);
}

#[tokio::test]
async fn programs_pass_or_get_403_as_the_policy_says() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway).await;
    gateway.rewrite_policy(TERMS, CHANGED);
    is_asked(&browser, "/things").await;
    let answer = browser.fetch("GET", "/api/things", None).await;
    assert_eq!(answer.status(), 200, "they are allowed by default");

    gateway.rewrite_policy("onboarding.toml", "[agreements]\napi = \"refuse\"\n");
    let mut answer = browser.fetch("GET", "/api/things", None).await;
    for _ in 0..100 {
        if answer.status() == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = browser.fetch("GET", "/api/things", None).await;
    }
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["code"], "agreement_required");
    assert_eq!(problem["continue_at"], "/auth/accept");
    let public = browser.fetch("GET", "/public/logo", None).await;
    assert_eq!(public.status(), 200, "public routes ask for nothing");

    let link = problem["continue_at"].as_str().unwrap();
    let page = browser.open(link).await;
    page.tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await
        .lands_on("/");
    let answer = browser.fetch("GET", "/api/things", None).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_edit_under_the_same_named_version_asks_nobody() {
    let stage = Stage::set().await;
    let form = |version: &str| {
        format!(
            "agreements = [{{ id = \"terms\", version = \"{version}\" }}]\n\
             [[field]]\nname = \"company\"\n[[field]]\nname = \"country\"\n"
        )
    };
    let set_up = TestGateway::embedded().policy("signup/default.toml", &form("2026-11"));
    let gateway = stage.start(set_up).await;
    let browser = signed_in(&gateway).await;
    gateway.rewrite_policy(TERMS, CHANGED);
    all_nodes_know().await;
    let text = browser.open("/auth/agreements/terms").await;
    text.shows("be careful");
    browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);

    gateway.rewrite_policy("signup/default.toml", &form("2026-12"));
    is_asked(&browser, DEEP_LINK).await;
}

#[tokio::test]
async fn a_request_of_somebody_who_accepted_asks_no_store() {
    let redis = Redis::start();
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::distributed_over(&redis)).await;
    let browser = signed_in(&gateway).await;
    gateway.rewrite_policy(TERMS, CHANGED);
    let page = is_asked(&browser, DEEP_LINK).await;
    page.tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await
        .lands_on(DEEP_LINK);
    let before = redis.key_commands().await;
    for number in 0..50 {
        browser.open(&format!("/things/{number}")).await;
    }
    assert_eq!(redis.key_commands().await, before);
}

#[tokio::test]
async fn operators_read_every_receipt() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    signed_in(&gateway).await;
    let address = gateway.admin("/onboarding/v1/receipts");
    let ask = |address: &str| wire_client().get(address);
    let refused = ask(&address).send().await.expect("an answer");
    assert_eq!(refused.status(), 401);
    let asking = ask(&address).bearer_auth(super::harness::OPERATOR_TOKEN);
    let answer: serde_json::Value = asking.send().await.unwrap().json().await.unwrap();
    let receipt = &answer["items"][0];
    assert_eq!(receipt["agreement"], json!("terms"));
    assert_eq!(receipt["language"], json!("en"));
    assert_eq!(receipt["subject"], json!("giulia"));
    assert!(receipt["user"].is_string() && receipt["host"].is_string());
    let digest = receipt["version"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"), "{digest}");
    let asking = ask(&format!("{address}?format=csv"));
    let asking = asking.bearer_auth(super::harness::OPERATOR_TOKEN);
    let csv = asking.send().await.unwrap().text().await.unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("id,agreement,language,version,"));
    assert!(lines[1].contains(&format!(",terms,en,{digest},")));
    let (_, at) = lines[1].rsplit_once(',').unwrap();
    assert!(at.starts_with("20") && at.ends_with('Z'), "{at}");

    let printed = gateway.run(&["agreements", "export", "--format", "csv"]);
    assert_eq!(printed, csv);
}
