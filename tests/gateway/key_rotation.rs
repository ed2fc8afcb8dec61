//! Providers change their keys when they like; nobody can make the gateway ask for keys all day.

use serde_json::json;
use vestibule::login::jwt::TokenProblem;
use vestibule::login::provider::ProviderError;

use super::harness::{Endpoint, Instead, RelyingParty, ScriptedProvider};

async fn start() -> (ScriptedProvider, RelyingParty) {
    let provider = ScriptedProvider::start().await;
    let party = RelyingParty::new(
        &provider.issuer,
        &provider.client_id,
        &provider.client_secret,
    );
    party.log_in().await.expect("the first key is known");
    (provider, party)
}

#[tokio::test]
async fn a_key_that_is_new_is_looked_up_once() {
    let (provider, party) = start().await;
    provider.rotate_keys();
    party.log_in().await.expect("the new key is found");
    assert_eq!(provider.asked(Endpoint::Keys).len(), 2);
    party.log_in().await.expect("and known");
    assert_eq!(provider.asked(Endpoint::Keys).len(), 2);
}

#[tokio::test]
async fn unknown_keys_lead_to_one_look_an_interval_however_many_ask() {
    let (provider, party) = start().await;
    provider.forge_id_token(|token| token.header["kid"] = json!("nobody's"));
    let logins = (0..20).map(|_| party.log_in());
    for outcome in futures_util::future::join_all(logins).await {
        assert!(matches!(
            outcome,
            Err(ProviderError::Token(TokenProblem::UnknownKey))
        ));
    }
    assert_eq!(
        provider.asked(Endpoint::Keys).len(),
        2,
        "one at the start, one for all of them"
    );
}

#[tokio::test]
async fn a_bad_key_set_never_replaces_a_good_one() {
    for instead in [
        Instead::body("application/json", r#"{"keys":[]}"#),
        Instead::body(
            "application/json",
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
        ),
        Instead::body("text/html", "<h1>Maintenance</h1>"),
        Instead::status(503),
        Instead::redirect("https://evil.example/keys"),
    ] {
        let (provider, party) = start().await;
        provider.answer_instead(Endpoint::Keys, instead.clone());
        provider.forge_id_token(|token| token.header["kid"] = json!("nobody's"));
        party.log_in().await.expect_err("nobody has this key");
        assert_eq!(provider.asked(Endpoint::Keys).len(), 2, "it was looked up");
        provider.forge_id_token(|_| {});
        party
            .log_in()
            .await
            .unwrap_or_else(|problem| panic!("{instead:?} {problem:?}"));
    }
}

#[tokio::test]
async fn known_keys_go_on_being_used_while_metadata_and_keys_are_away() {
    let (provider, party) = start().await;
    provider.answer_instead(Endpoint::Keys, Instead::status(503));
    provider.answer_instead(Endpoint::Discovery, Instead::status(503));
    party.log_in().await.expect("what is known is enough");
}
