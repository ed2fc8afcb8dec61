//! A provider that is down, slow or wrong at the start is found later, and says meanwhile why it
//! cannot be used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::clock::{Clock as _, FrozenClock, SystemClock, Timestamp};
use vestibule::identity::{Issuer, ProviderId};
use vestibule::login::openid::{OpenIdProvider, OpenIdSettings};
use vestibule::login::provider::{IdentityProvider, ProviderError, Readiness};
use vestibule::outbound::Outbound;

use super::harness::{
    Endpoint, Instead, RelyingParty, ScriptedProvider, TestGateway, Upstream, Wire, wire_client,
};

fn party(provider: &ScriptedProvider) -> RelyingParty {
    RelyingParty::with(
        &provider.issuer,
        &provider.client_id,
        &provider.client_secret,
        |settings| settings.timeout = Duration::from_secs(1),
    )
}

#[tokio::test]
async fn a_provider_that_comes_up_later_is_found_by_itself() {
    let provider = ScriptedProvider::start().await;
    provider.answer_instead(Endpoint::Discovery, Instead::status(503));
    let party = party(&provider);
    let keeping_up = tokio::spawn(Arc::clone(&party.provider).keep_up());
    let problem = party.log_in().await.expect_err("it is down");
    assert!(problem.is_passing(), "{problem:?}");
    let Readiness::NotReady {
        reason: Some(reason),
    } = party.provider.readiness()
    else {
        panic!("readiness says why")
    };
    assert!(
        matches!(*reason, ProviderError::Status { status: 503 }),
        "{reason:?}"
    );

    provider.answer_truly(Endpoint::Discovery);
    let patience = Instant::now();
    while !matches!(party.provider.readiness(), Readiness::Ready) {
        assert!(
            patience.elapsed() < Duration::from_secs(10),
            "it was not found"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    party.log_in().await.expect("it is up");
    keeping_up.abort();
}

/// FT-09: how far the clock is off shows once the provider has answered.
#[tokio::test]
async fn a_clock_that_is_off_shows() {
    let provider = ScriptedProvider::start().await;
    for minutes_ahead in [5, 0, -5] {
        let now = SystemClock.now();
        let clock = Timestamp::from_millis(now.millis() + minutes_ahead * 60_000);
        let issuer = Issuer::new(&provider.issuer);
        let settings = OpenIdSettings::new(ProviderId::new("corp"), issuer, &provider.client_id);
        let outbound = Outbound::new().expect("an HTTP client");
        let asking = OpenIdProvider::new(settings, outbound, Arc::new(FrozenClock::at(clock)));
        assert_eq!(asking.clock_skew(), None, "nobody has told the time");
        asking.look().await.expect("an answer");
        let skew = asking.clock_skew().expect("the time");
        assert!((skew - minutes_ahead * 60).abs() < 60, "{skew}");
    }
}

#[tokio::test]
async fn many_logins_ask_a_provider_that_is_down_once() {
    let provider = ScriptedProvider::start().await;
    provider.answer_instead(Endpoint::Discovery, Instead::stall(Duration::from_mins(1)));
    let party = party(&provider);
    let began = Instant::now();
    let logins = (0..20).map(|_| party.log_in());
    for outcome in futures_util::future::join_all(logins).await {
        assert!(outcome.is_err_and(|problem| problem.is_passing()));
    }
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "nobody waits in a queue"
    );
    assert_eq!(provider.asked(Endpoint::Discovery).len(), 1);
}

#[tokio::test]
async fn metadata_of_somebody_else_is_not_believed() {
    for (name, value) in [
        ("issuer", json!("https://evil.example")),
        ("issuer", json!(null)),
        ("token_endpoint", json!("http://evil.example/token")),
        ("token_endpoint", json!(null)),
        ("jwks_uri", json!("http://evil.example/keys")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("userinfo_endpoint", json!("http://169.254.169.254/")),
    ] {
        let provider = ScriptedProvider::start().await;
        let given = value.clone();
        provider.forge_discovery(move |document| document[name] = given.clone());
        let problem = party(&provider)
            .log_in()
            .await
            .expect_err("it is not believed");
        assert!(
            matches!(problem, ProviderError::NotReady { .. }),
            "{name}: {value} {problem:?}"
        );
        assert_eq!(provider.asked(Endpoint::Authorization).len(), 0);
    }
}

#[tokio::test]
async fn metadata_behind_a_redirect_or_too_large_is_not_read() {
    let elsewhere = ScriptedProvider::start().await;
    let address = format!("{}/.well-known/openid-configuration", elsewhere.issuer);
    for instead in [
        Instead::redirect(&address),
        Instead::body("application/json", " ".repeat(2 << 20)),
        Instead::body("text/html", "<h1>Hello</h1>"),
        Instead::body("application/json", "[".repeat(5000)),
    ] {
        let provider = ScriptedProvider::start().await;
        provider.answer_instead(Endpoint::Discovery, instead);
        party(&provider).log_in().await.expect_err("it is not read");
    }
    assert_eq!(elsewhere.asked(Endpoint::Discovery).len(), 0);
}

#[tokio::test]
async fn a_slow_provider_is_waited_for_and_a_stalled_one_is_not() {
    let provider = ScriptedProvider::start().await;
    let party = party(&provider);
    party.log_in().await.expect("it is up");
    provider.answer_instead(Endpoint::Token, Instead::stall(Duration::from_secs(30)));
    let began = Instant::now();
    let problem = party.log_in().await.expect_err("it stalls");
    assert!(
        matches!(problem, ProviderError::Unreachable(_)),
        "{problem:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_gateway_starts_without_its_provider_says_why_and_recovers() {
    let provider = ScriptedProvider::start().await;
    provider.answer_instead(Endpoint::Discovery, Instead::status(503));
    let upstream = Upstream::start().await;
    let gateway = TestGateway::embedded()
        .scripted_provider(&provider)
        .upstream(&upstream)
        .start_unready()
        .await;
    says_why(&gateway).await;

    let browser = Wire::default();
    let login = format!("{}/auth/login/corp?return_to=/things", gateway.origin());
    let step = browser.goes_to(&login).await;
    assert_eq!(step.status, 503, "{}", step.body);
    assert!(!step.header("retry-after").is_empty());
    assert_eq!(step.set_cookies(), Vec::<&str>::new());
    let public = format!("{}/public/x", gateway.origin());
    assert_eq!(
        Wire::default().goes_to(&public).await.status,
        200,
        "the rest works"
    );

    provider.answer_truly(Endpoint::Discovery);
    let patience = Instant::now();
    loop {
        let step = browser.goes_to(&login).await;
        if step.status == 303 {
            break;
        }
        assert!(
            patience.elapsed() < Duration::from_secs(10),
            "{}",
            step.body
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Readiness names the provider and what it answered, once it was asked.
async fn says_why(gateway: &TestGateway) {
    let patience = Instant::now();
    loop {
        let readiness = wire_client().get(gateway.admin("/readyz"));
        let readiness = readiness.send().await.expect("an answer");
        let reasons = readiness.text().await.expect("a body");
        if reasons.contains("corp") && reasons.contains("503") {
            return;
        }
        assert!(patience.elapsed() < Duration::from_secs(10), "{reasons}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
