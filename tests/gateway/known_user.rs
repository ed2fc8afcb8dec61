//! Somebody whom the platform knows comes back: deep link, provider, deep link.

use serde_json::json;

use super::harness::{Answer, Browser, GatewayBuilder, OidcProvider, TestGateway, Upstream};

/// Mario's provider and a platform with one page.
pub struct Stage {
    pub provider: OidcProvider,
    pub upstream: Upstream,
}

impl Stage {
    pub async fn set() -> Self {
        let provider = OidcProvider::start().await;
        let mario =
            json!({ "email": "mario@acme.example", "email_verified": true, "name": "Mario" });
        provider.person("mario", mario).await;
        let upstream = Upstream::start().await;
        upstream.answers("/", Answer::html("<h1>The platform</h1>"));
        Self { provider, upstream }
    }

    /// Starts a gateway between the two that asks for nothing but a name.
    pub async fn start<'a>(&'a self, stores: GatewayBuilder<'a>) -> TestGateway {
        let policy =
            "[sso]\ncreate_customer_on_first_login = true\naccount_types = [\"personal\"]\n";
        stores
            .provider(&self.provider)
            .upstream(&self.upstream)
            .policy("onboarding.toml", policy)
            .policy("signup/default.toml", "[[field]]\nname = \"name\"\n")
            .start()
            .await
    }
}

/// Mario, registered at `/` and signed in.
pub async fn registered(gateway: &TestGateway) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("mario").await;
    let page = page
        .lands_on("/auth/register")
        .press("Create account")
        .await;
    page.waits_until_on("/").await.shows("The platform");
    browser
}

async fn comes_back_to_the_deep_link(stores: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(stores).await;
    registered(&gateway).await;

    let link = "/things/17?tab=values&empty=&q=a%2Fb";
    let page = gateway
        .browser()
        .open(link)
        .await
        .login_at_provider("mario")
        .await;
    let page = page.lands_on(link).shows("The platform");
    assert_eq!(stage.upstream.last_request().target, link);
    assert!(page.hops().len() <= 6, "{:#?}", page.hops());
}

#[tokio::test]
async fn a_known_user_comes_back_on_one_embedded_node() {
    comes_back_to_the_deep_link(TestGateway::embedded()).await;
}

#[tokio::test]
async fn a_known_user_comes_back_on_two_nodes_with_shared_stores() {
    comes_back_to_the_deep_link(TestGateway::distributed().nodes(2)).await;
}

#[tokio::test]
async fn fragments_and_odd_addresses_survive() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    registered(&gateway).await;
    for (link, fragment, expected) in [
        ("/app", "%23%2Froute%2F7", "/app#/route/7"),
        ("/%C3%BCber/uns?a=..%2F..", "", "/%C3%BCber/uns?a=..%2F.."),
        (
            "/x?return_to=https://evil.example",
            "",
            "/x?return_to=https://evil.example",
        ),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(link.as_bytes()).collect();
        let browser = gateway.browser();
        let start = format!("/auth/login/corp?return_to={encoded}&fragment={fragment}");
        let page = browser.open(&start).await.login_at_provider("mario").await;
        let here = &page.url()[url::Position::BeforePath..];
        assert_eq!(here, expected);
    }
}

#[tokio::test]
async fn everybody_who_comes_back_gets_a_new_session() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = registered(&gateway).await;
    let before = browser.cookie("__Host-vestibule").expect("a session");
    browser
        .open("/auth/login/corp?return_to=/again")
        .await
        .lands_on("/again");
    let after = browser.cookie("__Host-vestibule").expect("a session");
    assert_ne!(before, after);
    let thief = gateway.browser();
    thief.plant_cookie("__Host-vestibule", &before);
    stage.upstream.forget();
    let answer = thief.fetch("GET", "/things", None).await;
    answer.has_status(401);
    assert_eq!(
        stage.upstream.requests().len(),
        0,
        "the old session is dead"
    );
}
