//! Rules that ask for a stronger or a newer sign-in (RFC 9470): people go to their provider once
//! more and come back, programs are told, and whoever brings less than was asked for gets no further.

use serde_json::{Value, json};

use super::harness::{
    Answer, Browser, Endpoint, GatewayBuilder, OidcProvider, Page, ScriptedProvider, TestGateway,
    Upstream, on_both_set_ups,
};

const ACCESS: &str = r#"
[[rule]]
name = "paying"
path = "/pay/**"
step_up = { acr = "mfa" }
[[rule]]
name = "keys"
path = "/keys/**"
step_up = { max_age = "5m" }
[[rule]]
name = "vault"
path = "/vault"
step_up = { acr = ["mfa", "phr"], max_age = "1h" }
require = "has(identity.name) && identity.name == 'Mario'"
"#;

/// A provider of people with and without a second factor, and the platform.
struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
}

impl Stage {
    async fn set() -> Self {
        let provider = OidcProvider::start().await;
        let claims = |name: &str| json!({ "name": name, "email": format!("{name}@acme.example") });
        provider
            .person_with_second_factor("mario", claims("Mario"))
            .await
            .person("luigi", claims("Luigi"))
            .await;
        let upstream = upstream().await;
        Self { provider, upstream }
    }

    async fn start<'a>(&'a self, stores: GatewayBuilder<'a>) -> TestGateway {
        let stores = stores.provider(&self.provider).upstream(&self.upstream);
        with_rules(stores).start().await
    }
}

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.answers("/", Answer::html("<h1>The platform</h1>"));
    upstream
}

fn with_rules(stores: GatewayBuilder<'_>) -> GatewayBuilder<'_> {
    let everybody =
        "[sso]\ncreate_customer_on_first_login = true\naccount_types = [\"personal\"]\n";
    stores
        .policy("access.toml", ACCESS)
        .policy("onboarding.toml", everybody)
        .policy("signup/default.toml", "[[field]]\nname = \"name\"\n")
}

/// Somebody who is registered and signed in.
async fn signed_in(gateway: &TestGateway, login: &str) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider(login).await;
    let page = page.press("Create account").await;
    page.waits_until_on("/").await.shows("The platform");
    browser
}

/// The targets that reached the platform since it last forgot.
fn reached(upstream: &Upstream) -> Vec<String> {
    let all = upstream.requests();
    all.into_iter().map(|request| request.target).collect()
}

fn challenge(page: &Page) -> &str {
    page.header("www-authenticate")
}

async fn a_person_shows_a_second_factor_and_comes_back(stores: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(stores).await;
    let browser = signed_in(&gateway, "mario").await;
    let before = browser.cookie("__Host-vestibule").expect("a session");
    stage.upstream.forget();

    let page = browser.open("/pay/17?to=anna").await;
    assert!(
        page.url().as_str().starts_with(&stage.provider.issuer),
        "{page:?}"
    );
    assert!(
        page.hops()
            .iter()
            .any(|hop| hop.as_str().contains("acr_values=mfa"))
    );
    assert_eq!(
        reached(&stage.upstream),
        [""; 0],
        "nothing before the second factor"
    );
    let page = page.login_at_provider("mario").await;
    page.lands_on("/pay/17?to=anna");
    assert_eq!(reached(&stage.upstream), ["/pay/17?to=anna"]);
    assert_ne!(
        browser.cookie("__Host-vestibule").expect("a session"),
        before
    );

    // The sign-in counts wherever it is good enough, without another trip.
    let page = browser.open("/pay/18").await.lands_on("/pay/18");
    assert_eq!(page.hops().len(), 1);
    browser.fetch("POST", "/pay/18", None).await.has_status(200);
    // The old session is dead, and nothing was signed in twice.
    let thief = gateway.browser();
    thief.plant_cookie("__Host-vestibule", &before);
    thief.fetch("GET", "/", None).await.has_status(401);
}
on_both_set_ups!(a_person_shows_a_second_factor_and_comes_back);

async fn a_program_is_told_what_is_asked_for(stores: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(stores).await;
    let browser = signed_in(&gateway, "mario").await;
    stage.upstream.forget();
    for (method, path, expected) in [
        ("GET", "/pay/1", "acr_values=\"mfa\""),
        ("POST", "/pay/1", "acr_values=\"mfa\""),
        ("DELETE", "/keys/1", "max_age=\"300\""),
        ("GET", "/vault", "acr_values=\"mfa phr\", max_age=\"3600\""),
    ] {
        let page = browser.fetch(method, path, None).await.has_status(401);
        let told = challenge(&page);
        assert!(told.starts_with("Bearer "), "{told}");
        assert!(
            told.contains("error=\"insufficient_user_authentication\""),
            "{told}"
        );
        assert!(told.contains(expected), "{told}");
        assert_eq!(page.json()["code"], "insufficient_user_authentication");
    }
    assert_eq!(reached(&stage.upstream), [""; 0]);

    // A page can go where the answer says, and come back to itself.
    let told = browser.fetch("POST", "/pay/1", None).await;
    let onward = told.json()["continue_at"]
        .as_str()
        .expect("an address")
        .to_owned();
    let page = browser.open(&format!("{onward}&return_to=/shop")).await;
    page.login_at_provider("mario").await.lands_on("/shop");
    browser.fetch("POST", "/pay/1", None).await.has_status(200);
}
on_both_set_ups!(a_program_is_told_what_is_asked_for);

/// SF-15: the provider has nothing stronger; another user signs in instead.
async fn whoever_brings_less_gets_no_further(stores: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(stores).await;
    signed_in(&gateway, "mario").await;
    let browser = signed_in(&gateway, "luigi").await;
    let session = browser.cookie("__Host-vestibule");
    stage.upstream.forget();

    // Luigi has no second factor: the provider sends him back as he is, and he learns why.
    let page = browser.open("/pay/1").await.has_status(403);
    let page = page.shows("has not confirmed that you signed in as strongly");
    let trips = page
        .hops()
        .iter()
        .filter(|hop| hop.path() == "/auth/callback");
    assert_eq!(trips.count(), 1, "no loop: {:#?}", page.hops());
    let again = page.follow("Try again").await.has_status(403);
    again.shows("This needs another sign-in");

    // Mario signs in for him, and his second factor is not Luigi's.
    let onward = "/auth/login?step_up=keys&return_to=/keys/1";
    browser.forget_at(&stage.provider.issuer);
    let page = browser.open(onward).await.login_at_provider("mario").await;
    page.has_status(403)
        .shows("You signed in with another account");
    assert_eq!(reached(&stage.upstream), [""; 0]);
    assert_eq!(
        browser.cookie("__Host-vestibule"),
        session,
        "the session stays as it was"
    );
    browser.open("/").await.lands_on("/").shows("The platform");
}
on_both_set_ups!(whoever_brings_less_gets_no_further);

#[tokio::test]
async fn whom_a_rule_does_not_let_in_is_not_asked_to_sign_in_again() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway, "luigi").await;
    let page = browser.open("/vault").await.has_status(403);
    assert_eq!(page.hops().len(), 1);
}

#[tokio::test]
async fn a_rule_that_is_not_there_leads_back() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway, "luigi").await;
    for onward in [
        "/auth/login?step_up=other",
        "/auth/login/corp?step_up=other",
    ] {
        browser
            .open(&format!("{onward}&return_to=/x"))
            .await
            .lands_on("/x");
    }
}

#[tokio::test]
async fn a_sign_in_of_a_moment_ago_is_shown_without_asking() {
    let stage = Stage::set().await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = signed_in(&gateway, "luigi").await;
    // Nobody says in the first ID token when he signed in; a trip there finds out.
    let page = browser.open("/keys/1").await.lands_on("/keys/1");
    assert!(
        page.hops()
            .iter()
            .any(|hop| hop.as_str().contains("max_age=300"))
    );
    let page = browser.open("/keys/2").await.lands_on("/keys/2");
    assert_eq!(page.hops().len(), 1);
}

/// A provider that says what the test wants it to say of a sign-in.
async fn lying(claims: &Value) -> (ScriptedProvider, Upstream) {
    let provider = ScriptedProvider::start().await;
    provider.person(mario());
    says(&provider, claims);
    (provider, upstream().await)
}

fn mario() -> Value {
    json!({ "sub": "mario", "name": "Mario", "email": "mario@acme.example", "email_verified": true })
}

/// What the provider says from here on of a sign-in; `age` is how long ago it was, seconds.
fn says(provider: &ScriptedProvider, claims: &Value) {
    let claims = claims.clone();
    provider.forge_id_token(move |token| {
        let now = token.claims["iat"].as_i64().expect("a moment");
        let at = claims["age"].as_i64().map(|age| now - age);
        token.claims["auth_time"] = json!(at);
        if at.is_none() {
            token
                .claims
                .as_object_mut()
                .expect("claims")
                .remove("auth_time");
        }
        token.claims["acr"] = claims["acr"].clone();
    });
}

async fn registered(gateway: &TestGateway) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await.press("Create account").await;
    page.waits_until_on("/").await;
    browser
}

/// SF-15: the provider is asked for a newer sign-in, and gives an old one, or says nothing.
#[tokio::test]
async fn an_old_sign_in_is_not_taken_for_a_new_one() {
    let (provider, upstream) = lying(&json!({ "acr": "pwd", "age": 7200 })).await;
    let stores = TestGateway::embedded()
        .scripted_provider(&provider)
        .upstream(&upstream);
    let gateway = with_rules(stores).start().await;
    let browser = registered(&gateway).await;
    upstream.forget();
    for claims in [
        json!({ "acr": "pwd", "age": 7200 }),
        json!({ "acr": "pwd" }),
        json!({ "acr": "mfa" }),
        json!({ "acr": "mfa", "age": 7200 }),
    ] {
        says(&provider, &claims);
        for path in ["/keys/1", "/vault"] {
            let page = browser.open(path).await.has_status(403);
            page.shows("This needs another sign-in");
        }
        assert_eq!(reached(&upstream), [""; 0], "{claims}");
    }
    let asked = provider.asked(Endpoint::Authorization);
    let last = asked.last().expect("a trip");
    assert_eq!(last["max_age"], "3600");
    assert_eq!(last["acr_values"], "mfa phr");

    says(&provider, &json!({ "acr": "phr", "age": 60 }));
    provider.person(json!({ "sub": "anna", "name": "Mario" }));
    browser
        .open("/vault")
        .await
        .has_status(403)
        .shows("another account");
    assert_eq!(reached(&upstream), [""; 0]);
    provider.person(mario());
    browser.open("/vault").await.lands_on("/vault");
    browser.open("/keys/1").await.lands_on("/keys/1");
    assert_eq!(reached(&upstream), ["/vault", "/keys/1"]);
}
