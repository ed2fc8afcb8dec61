//! Answers that are forged, stolen, replayed or malformed make no session and alter none, and the
//! upstream learns nothing of them.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use sqlx::Connection;
use url::{Url, form_urlencoded};

use super::harness::{
    Endpoint, Instead, Looks, ScriptedProvider, TestGateway, Upstream, Wire, with_parameter,
};

const SESSION: &str = "__Host-vestibule";

/// A gateway with a provider that can lie, and an upstream that tells what it got.
struct Stage {
    provider: ScriptedProvider,
    upstream: Upstream,
    gateway: TestGateway,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with("").await
    }

    async fn set_with(config: &str) -> Self {
        let (provider, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
        let gateway = TestGateway::embedded()
            .scripted_provider(&provider)
            .upstream(&upstream)
            .config(config)
            .policy("signup/default.toml", "[[field]]\nname = \"name\"\n")
            .policy("limits.toml", "")
            .start()
            .await;
        Self {
            provider,
            upstream,
            gateway,
        }
    }

    /// Whoever the provider names is registered, and known from here on.
    async fn knows_everybody(&self) {
        let person = serde_json::json!({
            "sub": "mario", "name": "Mario", "email": "mario@acme.example", "email_verified": true,
        });
        self.provider.person(person);
        let page = self.gateway.browser().open("/").await;
        let page = page
            .fill("account_type", "personal")
            .press("Create account")
            .await;
        page.waits_until_on("/").await;
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.origin())
    }

    /// Starts a login and gives the address at which the provider sends the browser back.
    async fn way_back(&self, browser: &Wire) -> String {
        let begun = browser
            .goes_to(&self.at("/auth/login/corp?return_to=/things"))
            .await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.body);
        self.back_from_provider(begun.location()).await
    }

    /// What the provider answers to an authorization request.
    async fn back_from_provider(&self, address: &str) -> String {
        assert!(address.starts_with(&self.provider.issuer), "{address}");
        Wire::default().goes_to(address).await.location().to_owned()
    }

    /// Nothing came of it: no session in the store or the browser, nothing at the upstream.
    async fn came_to_nothing(&self, browser: &Wire, shown: &str) {
        assert_eq!(browser.cookie(SESSION), None, "{shown}");
        assert_eq!(self.sessions().await, 0, "{shown}");
        let seen = self.upstream.requests();
        assert!(
            seen.is_empty(),
            "{shown}: {} requests reached the upstream",
            seen.len()
        );
    }

    async fn sessions(&self) -> i64 {
        let file = self.gateway.folder().join("vestibule.db");
        let address = format!("sqlite://{}", file.display());
        let mut database = sqlx::SqliteConnection::connect(&address)
            .await
            .expect("the database opens");
        let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM sessions")
            .fetch_one(&mut database)
            .await
            .expect("it answers");
        count
    }

    fn redeemed(&self) -> usize {
        self.provider.asked(Endpoint::Token).len()
    }
}

#[tokio::test]
async fn a_login_goes_there_and_back() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    let finished = browser.goes_to(&back).await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "{}", finished.body);
    assert_eq!(finished.location(), "/auth/register");
    assert!(finished.header("cache-control").contains("no-store"));
    assert_eq!(finished.header("referrer-policy"), "no-referrer");
    assert!(browser.cookie(SESSION).is_some());
    assert_eq!(
        browser.cookie_names(),
        [SESSION],
        "the attempt is forgotten"
    );
    assert_eq!(stage.sessions().await, 1);
    assert!(
        stage.upstream.requests().is_empty(),
        "not registered: nothing goes through"
    );
}

#[tokio::test]
async fn an_answer_in_a_browser_that_asked_for_nothing_makes_no_session() {
    let stage = Stage::set().await;
    let back = stage.way_back(&Wire::default()).await;
    let victim = Wire::default();
    let step = victim.goes_to(&back).await;
    assert_eq!(step.status, StatusCode::BAD_REQUEST);
    assert!(step.body.contains("/auth/login"), "there is a way on");
    stage.came_to_nothing(&victim, "login CSRF").await;
    assert_eq!(stage.redeemed(), 0);
}

#[tokio::test]
async fn an_answer_to_somebody_elses_attempt_starts_ones_own_over_once() {
    let stage = Stage::set().await;
    let attackers = stage.way_back(&Wire::default()).await;
    let victim = Wire::default();
    stage.way_back(&victim).await;
    let step = victim.goes_to(&attackers).await;
    assert_eq!(step.status, StatusCode::SEE_OTHER, "{}", step.body);
    assert!(
        step.location().starts_with(&stage.provider.issuer),
        "{}",
        step.location()
    );
    stage.came_to_nothing(&victim, "another's state").await;
    assert_eq!(stage.redeemed(), 0);

    let second = stage.back_from_provider(step.location()).await;
    let thief = Wire::default();
    stage.way_back(&thief).await;
    let step = thief.goes_to(&second).await;
    assert_eq!(
        step.status,
        StatusCode::BAD_REQUEST,
        "it does not go round in circles"
    );
    stage.came_to_nothing(&thief, "a second state").await;
}

#[tokio::test]
async fn malformed_answers_are_refused_with_a_page() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    let query = back.split_once('?').expect("a query").1.to_owned();
    let without_code = with_parameter(&back, "code", None);
    let without_code = without_code.split_once('?').expect("a query").1.to_owned();
    for (query, shown) in [
        (String::new(), "nothing"),
        ("error=access_denied".to_owned(), "an error alone"),
        ("code=&state=".to_owned(), "empty values"),
        ("code=abc".to_owned(), "no state"),
        (without_code, "no code"),
        ("code=abc&state=abc".to_owned(), "a foreign state"),
        (format!("{query}&code=other"), "two codes"),
        (format!("{query}&{query}"), "everything twice"),
        (format!("{query}&error=access_denied"), "code and error"),
        (query.replace("code=", "code=%00"), "a NUL"),
        (query.replace("code=", "code=%0d%0a"), "a line end"),
        (format!("{query}&x={}", "a".repeat(20_000)), "a long query"),
        (
            query.replace("code=", &format!("code={}", "a".repeat(9_000))),
            "a long code",
        ),
    ] {
        let step = browser
            .goes_to(&stage.at(&format!("/auth/callback?{query}")))
            .await;
        let refused = matches!(step.status.as_u16(), 400 | 414 | 431);
        assert!(refused, "{shown}: {} {}", step.status, step.body);
        stage.came_to_nothing(&browser, shown).await;
    }
    assert_eq!(stage.redeemed(), 0);
    let step = browser.goes_to(&back).await;
    assert_eq!(
        step.status,
        StatusCode::SEE_OTHER,
        "the attempt itself was not spent by them"
    );
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_redeemed() {
    for issuer in [None, Some("https://evil.example"), Some("")] {
        let stage = Stage::set().await;
        let browser = Wire::default();
        let back = with_parameter(&stage.way_back(&browser).await, "iss", issuer);
        let step = browser.goes_to(&back).await;
        assert!(
            step.status.is_client_error() || step.status.is_server_error(),
            "{issuer:?}"
        );
        stage.came_to_nothing(&browser, "mix-up").await;
        assert_eq!(stage.redeemed(), 0, "the code is not sent anywhere");
    }
}

#[tokio::test]
async fn a_code_of_another_login_is_worth_nothing() {
    let stage = Stage::set().await;
    let (one, other) = (Wire::default(), Wire::default());
    let ones = stage.way_back(&one).await;
    let others = stage.way_back(&other).await;
    let url = Url::parse(&others).expect("an address");
    let code = url
        .query_pairs()
        .find(|(name, _)| name == "code")
        .expect("a code")
        .1
        .into_owned();
    let step = one
        .goes_to(&with_parameter(&ones, "code", Some(&code)))
        .await;
    assert!(step.status.is_client_error() || step.status.is_server_error());
    stage.came_to_nothing(&one, "an injected code").await;
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    let thief = browser.copied();
    let (first, second) = tokio::join!(browser.goes_to(&back), thief.goes_to(&back));
    assert_eq!(stage.redeemed(), 1, "the code is redeemed once");
    assert_eq!(stage.sessions().await, 1);
    let finished = [&first, &second]
        .iter()
        .filter(|step| step.location() == "/auth/register")
        .count();
    assert_eq!(finished, 1, "{first:?} {second:?}");

    let session = browser
        .cookie(SESSION)
        .or(thief.cookie(SESSION))
        .expect("one has a session");
    let owner = if browser.cookie(SESSION).is_some() {
        browser
    } else {
        thief
    };
    let again = owner.goes_to(&back).await;
    assert_eq!(
        again.location(),
        "/auth/register",
        "whoever has a session goes on"
    );
    assert_eq!(
        owner.cookie(SESSION),
        Some(session),
        "the session is not altered"
    );
    assert_eq!(stage.redeemed(), 1);
}

#[tokio::test]
async fn nothing_but_a_navigation_starts_or_finishes_a_login() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    let before = browser.cookie_names();
    for looks in [
        Looks(&[
            ("Sec-Purpose", "prefetch"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ]),
        Looks(&[("Purpose", "prefetch"), ("Accept", "text/html")]),
        Looks(&[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]),
        Looks(&[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")]),
        Looks(&[
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
            ("Accept", "text/html"),
        ]),
        Looks(&[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]),
        Looks(&[
            ("X-Requested-With", "XMLHttpRequest"),
            ("Accept", "text/html"),
        ]),
        Looks(&[("Accept", "*/*")]),
    ] {
        for address in [stage.at("/auth/login/corp"), back.clone()] {
            let step = browser.sends(Method::GET, &address, looks).await;
            assert_eq!(step.status, StatusCode::UNAUTHORIZED, "{looks:?} {address}");
            assert_eq!(
                step.set_cookies(),
                Vec::<&str>::new(),
                "{looks:?} {address}"
            );
        }
    }
    assert_eq!(browser.cookie_names(), before);
    stage.came_to_nothing(&browser, "no navigation").await;
    assert_eq!(stage.redeemed(), 0);
}

#[tokio::test]
async fn a_link_preview_does_not_spend_the_answer() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    browser.sends(Method::HEAD, &back, Looks::NAVIGATION).await;
    assert_eq!(stage.redeemed(), 0);
    stage.came_to_nothing(&browser, "HEAD").await;
    assert_eq!(browser.goes_to(&back).await.location(), "/auth/register");
}

#[tokio::test]
async fn an_answer_comes_by_query_alone() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    let (address, query) = back.split_once('?').expect("a query");
    let request = super::harness::wire_client()
        .post(address)
        .header("Accept", "text/html")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document")
        .header("Origin", stage.provider.issuer.clone())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(query.to_owned());
    let step = browser.send(request).await;
    assert!(step.status.is_client_error(), "{}", step.status);
    stage.came_to_nothing(&browser, "form_post").await;
    let step = browser.sends(Method::POST, &back, Looks::NAVIGATION).await;
    assert!(step.status.is_client_error(), "{}", step.status);
    stage.came_to_nothing(&browser, "POST with a query").await;
    assert_eq!(stage.redeemed(), 0);
}

#[tokio::test]
async fn nobody_adds_to_the_authorization_request() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let injected = "return_to=/&login_hint=a&prompt=none&scope=admin&acr_values=0&ui_locales=x%26y%3D0\
                    &redirect_uri=https%3A%2F%2Fevil.example&client_id=evil&state=evil&nonce=evil";
    let begun = browser
        .goes_to(&stage.at(&format!("/auth/login/corp?{injected}")))
        .await;
    let sent_to = Url::parse(begun.location()).expect("an address");
    let mut names: Vec<_> = sent_to
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    names.sort();
    let own = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];
    assert_eq!(names, own, "each of our own once, and nothing else");
    assert!(!begun.location().contains("evil"), "{}", begun.location());
}

/// A provider's refusal of a login that this browser has begun.
async fn refusal(stage: &Stage, browser: &Wire) -> String {
    let begun = browser
        .goes_to(&stage.at("/auth/login/corp?return_to=/things"))
        .await;
    let sent_to = Url::parse(begun.location()).expect("an address");
    let sealed = sent_to
        .query_pairs()
        .find(|(name, _)| name == "state")
        .expect("a state")
        .1;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("error", "access_denied")
        .append_pair("error_description", "</title><script>alert(1)</script>")
        .append_pair("iss", &stage.provider.issuer)
        .append_pair("state", &sealed)
        .finish();
    stage.at(&format!("/auth/callback?{query}"))
}

#[tokio::test]
async fn a_refusal_of_another_issuer_is_not_believed() {
    for issuer in [None, Some("https://evil.example"), Some("")] {
        let stage = Stage::set().await;
        let browser = Wire::default();
        let answer = refusal(&stage, &browser).await;
        let step = browser
            .goes_to(&with_parameter(&answer, "iss", issuer))
            .await;
        assert_eq!(step.status, StatusCode::BAD_GATEWAY, "{issuer:?}");
        assert!(!step.body.contains("<script>alert"));
        stage.came_to_nothing(&browser, "a foreign refusal").await;
    }
}

#[tokio::test]
async fn a_providers_refusal_is_a_friendly_page() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let step = browser.goes_to(&refusal(&stage, &browser).await).await;
    assert_eq!(step.status, StatusCode::FORBIDDEN);
    assert!(
        !step.body.contains("<script>alert"),
        "nothing of the provider's text is shown"
    );
    assert!(
        step.body.contains("/auth/login"),
        "there is a way on: {}",
        step.body
    );
    stage.came_to_nothing(&browser, "access_denied").await;
}

#[tokio::test]
async fn forged_tokens_make_no_session() {
    let stage = Stage::set().await;
    let forgeries: [fn(&mut super::harness::IdToken); 5] = [
        |token| token.signing = super::harness::Signing::StrangeKey,
        |token| token.claims["nonce"] = serde_json::json!("another"),
        |token| token.claims["iss"] = serde_json::json!("https://evil.example"),
        |token| token.claims["sub"] = serde_json::json!(""),
        |token| token.header["alg"] = serde_json::json!("none"),
    ];
    for (number, forge) in forgeries.into_iter().enumerate() {
        stage.provider.forge_id_token(forge);
        let browser = Wire::default();
        let back = stage.way_back(&browser).await;
        let step = browser.goes_to(&back).await;
        assert_eq!(
            step.status,
            StatusCode::BAD_GATEWAY,
            "{number}: {}",
            step.body
        );
        stage.came_to_nothing(&browser, "a forged token").await;
    }
    let log = stage.gateway.log();
    assert!(
        log.contains("nonce") && log.contains("signature"),
        "the log says why: {log}"
    );
    assert!(!log.contains("eyJ"), "and shows no token");
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be_down() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    stage
        .provider
        .answer_instead(Endpoint::Token, Instead::status(503));
    let step = browser.goes_to(&back).await;
    assert_eq!(step.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!step.header("retry-after").is_empty());
    stage
        .came_to_nothing(&browser, "the provider is down")
        .await;
}

#[tokio::test]
async fn five_tabs_log_in_at_once_and_cookies_stay_few() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let mut ways_back = Vec::new();
    for _ in 0..7 {
        ways_back.push(stage.way_back(&browser).await);
    }
    assert!(
        browser.cookie_names().len() <= 5,
        "{:?}",
        browser.cookie_names()
    );
    assert!(browser.cookie_field().len() < 8192);
    for back in ways_back.iter().skip(2) {
        let step = browser.goes_to(back).await;
        assert_eq!(step.location(), "/auth/register", "{}", step.body);
    }
    assert_eq!(
        stage.sessions().await,
        1,
        "each login replaces the browser's session"
    );
}

#[tokio::test]
async fn cookies_are_for_this_host_alone() {
    let stage = Stage::set().await;
    let browser = Wire::default();
    let begun = browser
        .goes_to(&stage.at("/auth/login/corp?return_to=/"))
        .await;
    let back = stage.back_from_provider(begun.location()).await;
    let finished = browser.goes_to(&back).await;
    for text in begun
        .set_cookies()
        .into_iter()
        .chain(finished.set_cookies())
    {
        assert!(text.starts_with("__Host-vestibule"), "{text}");
        for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert!(!text.to_ascii_lowercase().contains("domain="), "{text}");
        assert!(text.len() < 4096);
    }
}

#[tokio::test]
async fn an_attempt_that_took_too_long_starts_over_at_the_right_page() {
    let stage = Stage::set_with("[session]\nlogin = \"1s\"").await;
    let browser = Wire::default();
    let back = stage.way_back(&browser).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let step = browser.goes_to(&back).await;
    assert_eq!(step.status, StatusCode::SEE_OTHER, "{}", step.body);
    assert!(step.location().starts_with(&stage.provider.issuer));
    stage.came_to_nothing(&browser, "too late").await;
    let back = stage.back_from_provider(step.location()).await;
    assert_eq!(browser.goes_to(&back).await.location(), "/auth/register");
}

#[tokio::test]
async fn a_return_target_never_leaves_the_origin() {
    let stage = Stage::set().await;
    stage.knows_everybody().await;
    let origin = Url::parse(stage.gateway.origin()).expect("an address");
    for target in [
        "https://evil.com/",
        "HTTPS://evil.com",
        "//evil.com",
        "/\\evil.com",
        "\\\\evil.com",
        "/./\\evil.com",
        "/./../../\\evil.com",
        "/\t/evil.com",
        "/\r\n/evil.com",
        "/%0d%0a/evil.com",
        "/%09/evil.com",
        "javascript:alert(1)",
        "java\rscript:alert(1)",
        "data:text/html,x",
        "https:evil.com",
        "https:///evil.com",
        "http:\\\\evil.com",
        "https://evilexample.com",
        ":443@evil.com",
        "/.//evil.com",
        "/auth/logout",
        "/auth/login?return_to=/x",
        "/auth/callback?code=x",
        "/%61uth/logout",
        "\u{0}//evil.com",
        "/%00//evil.com",
    ] {
        let once: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let twice: String = form_urlencoded::byte_serialize(once.as_bytes()).collect();
        for encoded in [once, twice] {
            let browser = Wire::default();
            let login = stage.at(&format!("/auth/login/corp?return_to={encoded}"));
            let begun = browser.goes_to(&login).await;
            if begun.status == StatusCode::BAD_REQUEST {
                continue;
            }
            let sent_to = Url::parse(begun.location()).expect("an address");
            assert_eq!(
                sent_to.origin().ascii_serialization(),
                stage.provider.issuer,
                "{target:?}"
            );
            let back = stage.back_from_provider(begun.location()).await;
            let finished = browser.goes_to(&back).await;
            assert_eq!(finished.status, StatusCode::SEE_OTHER, "{}", finished.body);
            assert!(!finished.location().starts_with("/auth"), "{target:?}");
            let reached = origin.join(finished.location()).expect("an address");
            assert_eq!(
                reached.origin(),
                origin.origin(),
                "{target:?} {}",
                finished.location()
            );
        }
    }
}
