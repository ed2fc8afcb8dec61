//! The hand-off to ThingsBoard: its pages signed in by ours, its API with the user's own token, its
//! own ways in closed, its devices left alone; judged by what ThingsBoard received.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use super::first_login::{giulia, registers};
use super::harness::thingsboard::{API_KEY, Asked, ThingsBoard};
use super::harness::{
    Browser, GatewayBuilder, OidcProvider, Page, TestGateway, on_both_set_ups, wire_client,
};

pub const DEEP_LINK: &str = "/dashboards/17?tab=values";
const HER_ADDRESS: &str = "giulia@ferraro.example";

const ACCESS: &str = r#"
[[rule]]
name = "devices"
path = "/api/v1/**"
access = "public"
hand_off = []
[[rule]]
name = "published"
path = "/api/images/public/**"
access = "public"
"#;

/// A gateway in front of a ThingsBoard, and a provider at which Giulia is known.
pub struct Stage {
    pub provider: OidcProvider,
    pub server: ThingsBoard,
}

impl Stage {
    pub async fn set() -> Self {
        let provider = OidcProvider::start().await;
        giulia(&provider).await;
        let server = ThingsBoard::community("4.3.0.1").await;
        Self { provider, server }
    }

    pub fn builder<'a>(&'a self, set_up: GatewayBuilder<'a>, hand_off: &str) -> GatewayBuilder<'a> {
        let platform = format!(
            "[upstream.hand_off]\nthingsboard = {hand_off}\n\
             [platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\n\
             api_key = {{ env = \"TB_API_KEY\" }}\n",
            self.server.url()
        );
        set_up
            .provider(&self.provider)
            .forwards_to(self.server.url())
            .config(&platform)
            .environment("TB_API_KEY", API_KEY)
            .policy("access.toml", ACCESS)
    }

    async fn start<'a>(&'a self, set_up: GatewayBuilder<'a>) -> TestGateway {
        self.builder(set_up, "{}").start().await
    }

    /// Whom ThingsBoard takes the bearer of this token for.
    fn owner(&self, token: &str) -> Option<String> {
        self.server.takes(token)
    }

    fn her_id(&self) -> String {
        let user = self.server.user(HER_ADDRESS).expect("her user");
        user["id"]["id"].as_str().expect("an id").to_owned()
    }

    /// The newest request with this path.
    fn asked(&self, path: &str) -> Asked {
        let mut all = self.server.asked();
        all.retain(|asked| asked.path == path);
        all.pop()
            .unwrap_or_else(|| panic!("nobody asked for {path}"))
    }

    /// How many tokens were made.
    fn made(&self) -> usize {
        let all = self.server.asked();
        all.iter()
            .filter(|asked| asked.path.ends_with("/token"))
            .count()
    }
}

/// Where our page is that leads to a place.
fn page_to(place: &str) -> String {
    let place: String = url::form_urlencoded::byte_serialize(place.as_bytes()).collect();
    format!("/auth/hand-off?return_to={}", place.replace("%2F", "/"))
}

/// Comes for the first time, and stops on our page, as whoever has no script does.
async fn comes(gateway: &TestGateway) -> (Browser, Page) {
    let browser = gateway.browser();
    let page = browser.open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    let page = registers(page)
        .await
        .waits_until_on(&page_to(DEEP_LINK))
        .await;
    (browser, page)
}

/// What the page hands over: the token, and what stands for a refresh token.
fn handed(page: &Page) -> (String, String) {
    let of = |name: &str| {
        let start = format!("data-{name}=\"");
        let (_, rest) = page.body().split_once(&start).expect("it is handed over");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    (of("token"), of("renewal"))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

on_both_set_ups!(her_pages_are_signed_in_and_her_calls_carry_her_own_token);

async fn her_pages_are_signed_in_and_her_calls_carry_her_own_token(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    let (browser, page) = comes(&gateway).await;
    assert_eq!(page.header("cache-control"), "no-store");
    let (token, renewal) = handed(&page);
    assert_eq!(stage.owner(&token), Some(stage.her_id()));
    for hop in page.hops().iter().map(Url::as_str) {
        assert!(!hop.contains(&token) && !hop.contains(&renewal), "{hop}");
    }
    assert_eq!(stage.made(), 1);

    let page = browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);
    assert!(page.body().contains("<title>ThingsBoard</title>"));
    let me = browser.fetch("GET", "/api/auth/user", None).await;
    assert_eq!(me.json()["email"], HER_ADDRESS);
    let asked = stage.asked("/api/auth/user");
    assert_eq!(asked.authorization, Some(bearer(&token)));
    let (_, port) = gateway.origin().rsplit_once(':').unwrap();
    assert_eq!(asked.header("x-forwarded-port"), Some(port));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    let served = stage.asked(DEEP_LINK);
    assert_eq!(served.authorization, None, "pages need none");
    assert_eq!(stage.made(), 1, "one is enough");
    let log = gateway.log();
    assert!(!log.contains(&token) && !log.contains(&renewal));
}

on_both_set_ups!(what_stands_for_a_refresh_token_opens_nothing_without_the_session);

async fn what_stands_for_a_refresh_token_opens_nothing_without_the_session(
    set_up: GatewayBuilder<'_>,
) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    let (browser, page) = comes(&gateway).await;
    let (token, renewal) = handed(&page);
    let body = json!({ "refreshToken": renewal }).to_string();
    let renews = |browser: Browser| {
        let body = Some(body.clone());
        async move { browser.fetch("POST", "/api/auth/token", body).await }
    };

    let pair = renews(browser.clone()).await;
    assert_eq!(pair.status(), 200);
    assert_eq!(pair.header("cache-control"), "no-store");
    let renewed = pair.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(stage.owner(&renewed), Some(stage.her_id()));
    let mark = pair.json()["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(mark.split('.').count(), 3, "its pages take it apart");

    let stranger = renews(gateway.browser()).await;
    assert_eq!(
        (stranger.status(), &stranger.json()["errorCode"]),
        (401, &json!(10))
    );
    let url = format!("{}/api/auth/token", gateway.origin());
    let cookie = format!(
        "__Host-vestibule={}",
        browser.cookie("__Host-vestibule").unwrap()
    );
    let foreign = wire_client()
        .post(url)
        .header("origin", "https://evil.example");
    let foreign = foreign.header("cookie", cookie).send().await.unwrap();
    assert_eq!(foreign.status(), 401);
    let direct = wire_client().post(format!("{}/api/auth/token", stage.server.url()));
    let direct = direct.header("content-type", "application/json").body(body);
    assert_eq!(
        direct.send().await.unwrap().status(),
        401,
        "ThingsBoard knows nothing of it"
    );
    let all = stage.server.asked();
    let through = all
        .iter()
        .filter(|asked| asked.path == "/api/auth/token")
        .count();
    assert_eq!(through, 1, "it was asked by this test alone");
    assert!(!gateway.log().contains(&token));
    assert!(!gateway.log().contains(&renewed));
}

#[tokio::test]
async fn whatever_a_client_sends_as_its_token_thingsboard_gets_the_sessions() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, page) = comes(&gateway).await;
    let (token, _) = handed(&page);
    let own = stage.server.staff_makes_customer("Mallory & Sons");
    stage
        .server
        .staff_makes_user(&own, "mallory@evil.example", Some("correct horse"));
    let login = wire_client().post(format!("{}/api/auth/login", stage.server.url()));
    let body = json!({ "username": "mallory@evil.example", "password": "correct horse" });
    let login = login
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer: Value = login.send().await.unwrap().json().await.unwrap();
    let foreign = format!("Bearer {}", answer["token"].as_str().unwrap());

    let cookie = format!(
        "__Host-vestibule={}",
        browser.cookie("__Host-vestibule").unwrap()
    );
    for name in [
        "x-authorization",
        "authorization",
        "X_Authorization",
        "x.authorization",
    ] {
        let call = wire_client().get(format!("{}/api/auth/user", gateway.origin()));
        let call = call.header(name, &foreign).header("cookie", &cookie);
        let me: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(me["email"], HER_ADDRESS, "{name}");
        let asked = stage.asked("/api/auth/user");
        assert_eq!(asked.authorization, Some(bearer(&token)));
        let others = asked.headers.iter().filter(|(_, value)| *value == foreign);
        assert_eq!(others.count(), 0, "{name}");

        let open = "/api/images/public/logo";
        let call = wire_client().get(format!("{}{open}", gateway.origin()));
        call.header(name, &foreign).send().await.unwrap();
        let asked = stage.asked(open);
        let others = asked.headers.iter().filter(|(_, value)| *value == foreign);
        assert_eq!(others.count(), 0, "{name} of nobody");
    }
    let nominated = wire_client().get(format!("{}/api/auth/user", gateway.origin()));
    let nominated = nominated
        .header("connection", "x-authorization")
        .header("cookie", &cookie);
    assert_eq!(nominated.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn devices_are_left_alone() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, _) = comes(&gateway).await;
    let cookie = format!(
        "__Host-vestibule={}",
        browser.cookie("__Host-vestibule").unwrap()
    );
    for path in ["/api/v1/a-device/telemetry", "/api/v1/provision"] {
        let call = wire_client().post(format!("{}{path}", gateway.origin()));
        let call = call.header("x-authorization", "Bearer of-the-device");
        let call = call
            .header("authorization", "of the device")
            .header("cookie", &cookie);
        assert_eq!(call.body("{}").send().await.unwrap().status(), 200);
        let asked = stage.asked(path);
        assert_eq!(asked.authorization.as_deref(), Some("Bearer of-the-device"));
        assert_eq!(asked.header("authorization"), Some("of the device"));
        let added = asked
            .headers
            .iter()
            .find(|(name, _)| name.starts_with("x-vestibule"));
        assert_eq!(added, None);
    }
}

on_both_set_ups!(signing_out_of_thingsboards_pages_signs_out_here);

async fn signing_out_of_thingsboards_pages_signs_out_here(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    let (browser, page) = comes(&gateway).await;
    let (token, _) = handed(&page);
    // ThingsBoard counts in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let out = browser.fetch("POST", "/api/auth/logout", None).await;
    assert_eq!(out.status(), 200);
    assert_eq!(browser.cookie("__Host-vestibule"), None);
    let me = browser.fetch("GET", "/api/auth/user", None).await;
    assert_eq!((me.status(), &me.json()["errorCode"]), (401, &json!(11)));
    let mut tries = 0;
    while stage.owner(&token).is_some() {
        tries += 1;
        assert!(tries < 100, "ThingsBoard takes the token still");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let ways = browser
        .fetch("POST", "/api/noauth/oauth2Clients?platform=WEB", None)
        .await;
    let way = ways.json()[0]["url"].as_str().unwrap().to_owned();
    assert_eq!(ways.json()[0]["name"], "Acme");
    let back = format!("{way}?prevUri={}", "%2Fdashboards%2F17%3Ftab%3Dvalues");
    let page = browser.open(&back).await;
    page.login_at_provider("giulia")
        .await
        .lands_on(&page_to(DEEP_LINK));
}

#[tokio::test]
async fn whoever_thingsboard_does_not_let_in_has_no_token() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, _) = comes(&gateway).await;
    let her = stage.her_id();
    let other = stage.server.staff_makes_customer("Others");
    let record = stage.server.user(HER_ADDRESS).unwrap();
    let as_it_was = json!({ "authority": "CUSTOMER_USER", "customerId": record["customerId"] });
    let nobody = json!({ "entityType": "CUSTOMER", "id": "13814000-1dd2-11b2-8080-808080808080" });
    for change in [
        json!({ "authority": "TENANT_ADMIN", "customerId": nobody }),
        json!({ "authority": "TENANT_ADMIN" }),
        json!({ "customerId": { "entityType": "CUSTOMER", "id": other } }),
    ] {
        stage.server.alters_user(&her, &change);
        stage.server.tokens_expire();
        let made = stage.made();
        // ThingsBoard refuses the token in hand, and there is no other.
        assert_eq!(
            browser.fetch("GET", "/api/auth/user", None).await.status(),
            401
        );
        let me = browser.fetch("GET", "/api/auth/user", None).await;
        assert_eq!(
            (me.status(), &me.json()["code"]),
            (403, &json!("account_closed")),
            "{change}"
        );
        let renewed = browser
            .fetch("POST", "/api/auth/token", Some("{}".to_owned()))
            .await;
        assert_eq!(renewed.status(), 401);
        let page = browser.open(&page_to("/")).await;
        assert_eq!(page.status(), 403);
        assert!(!page.body().contains("data-token"));
        assert_eq!(stage.made(), made, "none is even asked for");
        stage.server.alters_user(&her, &as_it_was);
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(
            browser.fetch("GET", "/api/auth/user", None).await.status(),
            200
        );
    }
    stage.server.set_enabled(&her, false);
    assert_eq!(
        browser.fetch("GET", "/api/auth/user", None).await.status(),
        401
    );
    assert_eq!(
        browser.fetch("GET", "/api/auth/user", None).await.status(),
        403
    );
    browser
        .open(&page_to("/"))
        .await
        .shows("Your account is disabled");
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_a_silent_thingsboard_waited_for() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, page) = comes(&gateway).await;
    let (token, _) = handed(&page);
    stage.server.tokens_expire();
    assert_eq!(
        browser.fetch("GET", "/api/auth/user", None).await.status(),
        401
    );
    assert_eq!(
        browser.fetch("GET", "/api/auth/user", None).await.status(),
        200
    );
    assert_ne!(
        stage.asked("/api/auth/user").authorization,
        Some(bearer(&token))
    );
    assert_eq!(stage.made(), 2);
}

#[tokio::test]
async fn its_own_ways_in_are_closed_as_the_operator_wants() {
    let body = json!({ "username": "x", "password": "y" }).to_string();
    for (hand_off, login) in [("{}", 403), ("{ close = [\"sign_up\"] }", 401)] {
        let stage = Stage::set().await;
        let gateway = stage.builder(TestGateway::embedded(), hand_off);
        let gateway = gateway.start().await;
        let (browser, _) = comes(&gateway).await;
        stage.server.forget();
        let posts = async |path: &str| browser.fetch("POST", path, Some(body.clone())).await;
        assert_eq!(posts("/api/auth/login").await.status(), login);
        let sign_up = posts("/api/noauth/signup").await;
        assert_eq!(sign_up.status(), 403);
        assert_eq!(sign_up.json()["errorCode"], 20);
        let all = stage.server.asked();
        let came = |path: &str| all.iter().any(|asked| asked.path == path);
        assert_eq!(came("/api/auth/login"), login == 401);
        assert!(!came("/api/noauth/signup"));
    }
}

#[tokio::test]
async fn a_socket_needs_a_session_and_takes_the_token_that_was_handed_over() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, page) = comes(&gateway).await;
    let (token, _) = handed(&page);
    let address = gateway.origin().replace("http", "ws") + "/api/ws";
    let dial = async |cookie: Option<String>| {
        let mut request = address.as_str().into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", gateway.origin().parse().unwrap());
        if let Some(cookie) = cookie {
            let cookie = format!("__Host-vestibule={cookie}");
            request
                .headers_mut()
                .insert("cookie", cookie.parse().unwrap());
        }
        tokio_tungstenite::connect_async(request).await
    };
    let Err(Error::Http(refused)) = dial(None).await else {
        panic!("nobody may come in")
    };
    assert_eq!(refused.status(), 401);
    let (mut socket, _) = dial(browser.cookie("__Host-vestibule")).await.unwrap();
    let first = json!({ "authCmd": { "cmdId": 0, "token": token } });
    socket.send(Message::text(first.to_string())).await.unwrap();
    let Some(Ok(Message::Text(told))) = socket.next().await else {
        panic!("it is told something")
    };
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["data"]["userId"], stage.her_id());
}

#[tokio::test]
async fn the_next_person_in_the_same_browser_gets_their_own_token() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let (browser, page) = comes(&gateway).await;
    let (hers, _) = handed(&page);
    browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);
    let page = browser.open("/login").await.lands_on(&page_to("/"));
    assert_eq!(stage.owner(&handed(&page).0), Some(stage.her_id()));
    browser.fetch("POST", "/api/auth/logout", None).await;

    let claims =
        json!({ "name": "Mario Rossi", "email": "mario@acme.example", "email_verified": true });
    stage.provider.person("mario", claims).await;
    let next = gateway.browser();
    let page = next.open("/").await.login_at_provider("mario").await;
    let page = page
        .fill("account_type", "business")
        .fill("Company name", "Acme")
        .fill("Country", "Italy")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await;
    page.waits_until_on(&page_to("/")).await;
    // The mark of her session means nothing for his.
    let mark = browser.cookie("__Host-vestibule-handed").unwrap();
    next.plant_cookie("__Host-vestibule-handed", &mark);
    let page = next.open("/home").await.lands_on(&page_to("/home"));
    let his = handed(&page).0;
    assert_ne!(his, hers);
    let mario = stage.server.user("mario@acme.example").unwrap();
    assert_eq!(stage.owner(&his).as_deref(), mario["id"]["id"].as_str());
}

#[tokio::test]
async fn a_thingsboard_that_makes_no_tokens_is_said_at_the_start() {
    let stage = Stage::set().await;
    let mut gateway = stage.start(TestGateway::embedded()).await;
    gateway.kill9();
    stage.server.makes_no_tokens();
    gateway.node(0).start();
    gateway.node(0).ends().await;
    let log = gateway.log();
    assert!(
        log.contains("ThingsBoard makes no tokens for its users"),
        "{log}"
    );
}
