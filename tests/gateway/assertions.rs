//! The signed assertion: an upstream believes it by the published keys, and nobody else makes one.

use reqwest::StatusCode;
use serde_json::Value;

use super::first_login::{giulia, registers};
use super::harness::{
    Browser, GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups, read_assertion,
    wire_client,
};

const FIELD: &str = "x-vestibule-assertion";
const AUDIENCE: &str = "https://things.internal";

fn with_assertion(algorithm: &str) -> String {
    format!(
        "[upstream.hand_off]\nassertion = {{ audience = \"{AUDIENCE}\", \
         algorithm = \"{algorithm}\" }}\n"
    )
}

async fn keys(gateway: &TestGateway) -> reqwest::Response {
    let address = format!("{}/auth/jwks.json", gateway.origin());
    wire_client().get(address).send().await.expect("an answer")
}

/// Somebody who is signed in, after the pages of the registration.
async fn signed_in(gateway: &TestGateway) -> Browser {
    let browser = gateway.browser();
    let page = browser.open("/").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    browser
}

async fn asked(upstream: &Upstream, browser: &Browser, path: &str) -> Option<String> {
    browser.open(path).await;
    let newest = upstream.requests().pop().expect("a request");
    assert_eq!(newest.target, path);
    newest.header(FIELD).map(str::to_owned)
}

on_both_set_ups!(an_upstream_believes_what_is_signed_for_it);

async fn an_upstream_believes_what_is_signed_for_it(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = set_up.config(&with_assertion("ES256"));
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    let published = keys(&gateway).await;
    let kept = published.headers()["cache-control"].clone();
    assert_eq!(kept, "public, max-age=300");
    let keys: Value = published.json().await.expect("a key set");

    let browser = signed_in(&gateway).await;
    let token = asked(&upstream, &browser, "/things/1").await.expect("one");
    let origin = gateway.origin();
    let read = read_assertion(&token, &keys, (origin, AUDIENCE)).await;
    let newest = upstream.requests().pop().expect("a request");
    assert_eq!(
        read["claims"]["sub"],
        newest.header("x-vestibule-user").unwrap()
    );
    assert_eq!(
        read["claims"]["customer"],
        newest.header("x-vestibule-customer").unwrap()
    );
    assert_eq!(read["claims"]["email"], "giulia@ferraro.example");
    assert_eq!(read["header"]["alg"], "ES256");
    let lasts = read["claims"]["exp"].as_i64().unwrap() - read["claims"]["iat"].as_i64().unwrap();
    assert_eq!(lasts, 300);

    let for_others = read_assertion(&token, &keys, (origin, "https://other.internal")).await;
    assert_eq!(for_others["refused"], "ERR_JWT_CLAIM_VALIDATION_FAILED");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let forged = read_assertion(&forged, &keys, (origin, AUDIENCE)).await;
    assert_eq!(forged["refused"], "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");

    let again = asked(&upstream, &browser, "/things/2").await;
    assert_eq!(again, Some(token), "one a minute is enough");
}

#[tokio::test]
async fn nobody_brings_one_along_and_strangers_get_none() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    for further in [with_assertion("EdDSA"), String::new()] {
        let set_up = TestGateway::embedded().config(&further);
        let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
        let address = format!("{}/public/page", gateway.origin());
        let request = wire_client().get(address).header(FIELD, "eyJ.forged.x");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
        let newest = upstream.requests().pop().expect("a request");
        assert_eq!(newest.header(FIELD), None);
        let signs = !further.is_empty();
        assert_eq!(keys(&gateway).await.status() == StatusCode::OK, signs);
    }
}
