//! Forged, borrowed and broken tokens prove nothing: the provider lies, the adapter does not
//! believe it.

use serde_json::{Value, json};
use vestibule::login::claims::ClaimsProblem;
use vestibule::login::jwt::TokenProblem;
use vestibule::login::provider::{Proven, ProviderError};

use super::harness::{Endpoint, IdToken, Instead, RelyingParty, ScriptedProvider, Signing};

fn party(provider: &ScriptedProvider) -> RelyingParty {
    RelyingParty::new(
        &provider.issuer,
        &provider.client_id,
        &provider.client_secret,
    )
}

/// A login with a forged ID token.
async fn forged(forge: impl Fn(&mut IdToken) + Send + Sync + 'static) -> ProviderError {
    let provider = ScriptedProvider::start().await;
    provider.forge_id_token(forge);
    refused(&provider).await
}

async fn refused(provider: &ScriptedProvider) -> ProviderError {
    match party(provider).log_in().await {
        Ok(proven) => panic!("it was believed: {proven:?}"),
        Err(problem) => problem,
    }
}

async fn believed(provider: &ScriptedProvider) -> Proven {
    match party(provider).log_in().await {
        Ok(proven) => proven,
        Err(problem) => panic!("it was not believed: {problem:?}"),
    }
}

fn is_token(problem: &ProviderError, expected: TokenProblem) -> bool {
    matches!(problem, ProviderError::Token(found) if *found == expected)
}

fn is_claims(problem: &ProviderError, expected: ClaimsProblem) -> bool {
    matches!(problem, ProviderError::Claims(found) if *found == expected)
}

#[tokio::test]
async fn an_honest_provider_is_believed() {
    let provider = ScriptedProvider::start().await;
    provider.person(json!({"sub": "mario", "name": "Mario Rossi", "groups": ["ops"]}));
    provider.userinfo(json!({"sub": "mario", "name": "Other", "email": "mario@acme.example"}));
    let proven = believed(&provider).await;
    let identity = &proven.identity;
    assert_eq!(identity.subject().as_str(), "mario");
    assert_eq!(identity.issuer().as_str(), provider.issuer);
    assert_eq!(
        identity.text("name"),
        Some("Mario Rossi"),
        "the ID token wins"
    );
    assert_eq!(identity.text("email"), Some("mario@acme.example"));
    assert!(!identity.has_proven_email());
}

#[tokio::test]
async fn the_request_has_everything_that_protects_it() {
    let provider = ScriptedProvider::start().await;
    believed(&provider).await;
    let asked = provider.asked(Endpoint::Authorization).remove(0);
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"].len(), 43);
    assert_eq!(asked["nonce"].len(), 43);
    assert_eq!(asked["scope"], "openid profile email");
    assert!(!asked.contains_key("client_secret") && !asked.contains_key("response_mode"));
    let redeemed = provider.asked(Endpoint::Token).remove(0);
    assert_eq!(redeemed["grant_type"], "authorization_code");
    assert_eq!(redeemed["redirect_uri"], asked["redirect_uri"]);
    assert_eq!(redeemed["code_verifier"].len(), 43);
}

#[tokio::test]
async fn no_algorithm_is_taken_from_the_token() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!(null),
        json!(7),
        json!("HS256"),
    ] {
        let shown = alg.clone();
        let problem = forged(move |token| {
            token.header["alg"] = alg.clone();
            token.signing = Signing::Empty;
        })
        .await;
        assert!(
            is_token(&problem, TokenProblem::Algorithm),
            "{shown} {problem:?}"
        );
    }
    for signing in [Signing::ClientSecret, Signing::PublicKeyAsSecret] {
        let problem = forged(move |token| {
            token.header["alg"] = json!("HS256");
            token.signing = signing;
        })
        .await;
        assert!(is_token(&problem, TokenProblem::Algorithm), "{problem:?}");
    }
}

#[tokio::test]
async fn only_the_providers_own_key_signs() {
    for signing in [
        Signing::StrangeKey,
        Signing::TamperedClaims,
        Signing::Empty,
        Signing::ClientSecret,
        Signing::PublicKeyAsSecret,
    ] {
        let problem = forged(move |token| token.signing = signing).await;
        assert!(
            is_token(&problem, TokenProblem::Signature),
            "{signing:?} {problem:?}"
        );
    }
}

#[tokio::test]
async fn a_signature_of_one_family_is_none_of_another() {
    for alg in ["ES256", "EdDSA", "PS256"] {
        let problem = forged(move |token| token.header["alg"] = json!(alg)).await;
        assert!(
            is_token(&problem, TokenProblem::UnknownKey),
            "{alg} {problem:?}"
        );
    }
}

#[tokio::test]
async fn keys_inside_the_token_are_not_looked_at() {
    let evil = ScriptedProvider::start().await;
    let jku = format!("{}/keys", evil.issuer);
    for (name, value) in [
        ("jku", json!(jku)),
        ("x5u", json!(jku)),
        ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
        ("x5c", json!(["MIIB"])),
    ] {
        let problem = forged(move |token| {
            token.header[name] = value.clone();
            token.signing = Signing::StrangeKey;
        })
        .await;
        assert!(
            is_token(&problem, TokenProblem::Signature),
            "{name} {problem:?}"
        );
    }
    assert_eq!(
        evil.asked(Endpoint::Keys).len(),
        0,
        "nobody else is asked for keys"
    );
}

#[tokio::test]
async fn a_key_id_leads_nowhere_else() {
    for kid in ["../../etc/passwd", "' OR 1=1--", "\r\n", ""] {
        let problem = forged(move |token| token.header["kid"] = json!(kid)).await;
        assert!(
            is_token(&problem, TokenProblem::UnknownKey),
            "{kid:?} {problem:?}"
        );
    }
    let problem = forged(|token| token.header["kid"] = json!("k".repeat(1 << 20))).await;
    assert!(
        !matches!(problem, ProviderError::Token(TokenProblem::Signature)),
        "{problem:?}"
    );
}

#[tokio::test]
async fn other_kinds_of_token_are_no_id_tokens() {
    for typ in ["at+jwt", "logout+jwt", "application/at+jwt", "dpop+jwt"] {
        let problem = forged(move |token| token.header["typ"] = json!(typ)).await;
        assert!(is_token(&problem, TokenProblem::Kind), "{typ} {problem:?}");
    }
    for (name, value) in [
        ("crit", json!(["x"])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
    ] {
        let problem = forged(move |token| token.header[name] = value.clone()).await;
        assert!(
            is_token(&problem, TokenProblem::Critical),
            "{name} {problem:?}"
        );
    }
}

#[tokio::test]
async fn every_claim_must_hold() {
    let long_ago = 1_484_000_000;
    for (claim, value, expected) in [
        ("iss", json!("https://evil.example"), ClaimsProblem::Issuer),
        ("iss", json!(null), ClaimsProblem::Issuer),
        ("sub", json!(""), ClaimsProblem::Subject),
        ("sub", json!(7), ClaimsProblem::Subject),
        ("sub", json!(" mario"), ClaimsProblem::Subject),
        ("aud", json!("another"), ClaimsProblem::Audience),
        (
            "aud",
            json!(["vestibule", "another"]),
            ClaimsProblem::Audience,
        ),
        ("azp", json!("another"), ClaimsProblem::AuthorizedParty),
        ("exp", json!(long_ago), ClaimsProblem::Expired),
        ("exp", json!(1e300), ClaimsProblem::Expired),
        ("exp", json!("2147483648"), ClaimsProblem::Expired),
        ("iat", json!(long_ago), ClaimsProblem::IssuedAt),
        ("iat", json!(4_000_000_000_u64), ClaimsProblem::IssuedAt),
        ("iat", json!(null), ClaimsProblem::IssuedAt),
        ("nbf", json!(4_000_000_000_u64), ClaimsProblem::NotBefore),
        ("nonce", json!("another"), ClaimsProblem::Nonce),
        ("nonce", json!(null), ClaimsProblem::Nonce),
        ("at_hash", json!("wrong"), ClaimsProblem::Hash),
        ("c_hash", json!("wrong"), ClaimsProblem::Hash),
        (
            "auth_time",
            json!(4_000_000_000_u64),
            ClaimsProblem::AuthenticatedAt,
        ),
    ] {
        let given = value.clone();
        let problem = forged(move |token| token.claims[claim] = given.clone()).await;
        assert!(
            is_claims(&problem, expected),
            "{claim}: {value} {problem:?}"
        );
    }
}

#[tokio::test]
async fn authentication_is_as_recent_as_the_operator_wants() {
    let provider = ScriptedProvider::start().await;
    let party = RelyingParty::with(
        &provider.issuer,
        &provider.client_id,
        &provider.client_secret,
        |settings| settings.max_age = Some(std::time::Duration::from_mins(5)),
    );
    party.log_in().await.expect("it is recent");
    assert_eq!(provider.asked(Endpoint::Authorization)[0]["max_age"], "300");
    for forge in [
        (|token: &mut IdToken| {
            token.claims.as_object_mut().unwrap().remove("auth_time");
        }) as fn(&mut IdToken),
        |token| token.claims["auth_time"] = json!(token.claims["iat"].as_u64().unwrap() - 3600),
    ] {
        provider.forge_id_token(forge);
        let problem = party.log_in().await.expect_err("it is not recent");
        assert!(
            is_claims(&problem, ClaimsProblem::AuthenticatedAt),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn userinfo_is_about_the_same_person() {
    for userinfo in [
        json!({"sub": "another", "email": "victim@acme.example"}),
        json!({"email": "victim@acme.example"}),
        json!([{"sub": "mario"}]),
        json!({"sub": 7}),
    ] {
        let provider = ScriptedProvider::start().await;
        provider.userinfo(userinfo.clone());
        let problem = refused(&provider).await;
        assert!(
            matches!(problem, ProviderError::Userinfo),
            "{userinfo} {problem:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_sends_no_code_anywhere() {
    for name in [Some("https://evil.example"), Some(""), None] {
        let provider = ScriptedProvider::start().await;
        provider.forge_way_back(move |back| {
            back.retain(|(found, _)| found != "iss");
            back.extend(name.map(|name| ("iss".to_owned(), name.to_owned())));
        });
        let problem = refused(&provider).await;
        assert!(
            matches!(problem, ProviderError::ForeignAnswer),
            "{name:?} {problem:?}"
        );
        assert_eq!(provider.asked(Endpoint::Token).len(), 0, "{name:?}");
    }
}

#[tokio::test]
async fn without_the_promise_an_answer_needs_no_issuer() {
    let provider = ScriptedProvider::start().await;
    provider.forge_discovery(|document| {
        document
            .as_object_mut()
            .unwrap()
            .remove("authorization_response_iss_parameter_supported");
    });
    provider.forge_way_back(|back| back.retain(|(name, _)| name != "iss"));
    believed(&provider).await;
    provider.forge_way_back(|back| {
        back.retain(|(name, _)| name != "iss");
        back.push(("iss".to_owned(), "https://evil.example".to_owned()));
    });
    let problem = refused(&provider).await;
    assert!(
        matches!(problem, ProviderError::ForeignAnswer),
        "{problem:?}"
    );
}

#[tokio::test]
async fn token_answers_of_every_odd_shape_fail_cleanly() {
    let evil = ScriptedProvider::start().await;
    for (instead, shown) in [
        (Instead::body("text/html", "<h1>Welcome</h1>"), "a page"),
        (Instead::body("application/json", "[]"), "an array"),
        (Instead::body("application/json", ""), "nothing"),
        (Instead::body("application/json", "{}"), "an empty object"),
        (
            Instead::body("application/json", "[".repeat(5000)),
            "deep nesting",
        ),
        (
            Instead::body("application/json", " ".repeat(2 << 20)),
            "far too much",
        ),
        (Instead::status(500), "status 500"),
        (Instead::status(404), "status 404"),
        (
            Instead::redirect(&format!("{}/token", evil.issuer)),
            "a redirect",
        ),
    ] {
        let provider = ScriptedProvider::start().await;
        provider.answer_instead(Endpoint::Token, instead);
        let problem = refused(&provider).await;
        assert!(
            matches!(
                problem,
                ProviderError::TokenAnswer
                    | ProviderError::Status { .. }
                    | ProviderError::Unreachable(_)
            ),
            "{shown} {problem:?}"
        );
    }
    assert_eq!(
        evil.asked(Endpoint::Token).len(),
        0,
        "no redirect is followed"
    );
}

#[tokio::test]
async fn odd_but_harmless_token_answers_are_read() {
    for (name, value) in [
        ("token_type", json!("bearer")),
        ("token_type", json!("BEARER")),
        ("expires_in", json!(null)),
        ("scope", json!("openid email")),
        ("further", json!({"a": [1]})),
    ] {
        let provider = ScriptedProvider::start().await;
        let given = value.clone();
        provider.forge_token_answer(move |answer| answer[name] = given.clone());
        believed(&provider).await;
    }
    for (name, value) in [
        ("token_type", json!("MAC")),
        ("token_type", json!(null)),
        ("expires_in", json!(-1)),
        ("id_token", json!(null)),
        ("id_token", json!("")),
        ("id_token", json!(["x"])),
        ("access_token", json!(null)),
        ("access_token", json!("a\r\nX-Evil: 1")),
    ] {
        let provider = ScriptedProvider::start().await;
        let given = value.clone();
        provider.forge_token_answer(move |answer| answer[name] = given.clone());
        let problem = refused(&provider).await;
        assert!(
            matches!(problem, ProviderError::TokenAnswer),
            "{name}: {value} {problem:?}"
        );
    }
}

#[tokio::test]
async fn large_and_deep_tokens_are_refused_and_large_honest_ones_taken() {
    let provider = ScriptedProvider::start().await;
    let groups: Vec<Value> = (0..200).map(|n| json!(format!("group-{n:032}"))).collect();
    provider.person(json!({"sub": "mario", "groups": groups.clone()}));
    assert_eq!(
        believed(&provider).await.identity.claims().get("groups"),
        Some(&json!(groups))
    );

    let problem = forged(|token| token.claims["x"] = json!("x".repeat(300_000))).await;
    assert!(is_token(&problem, TokenProblem::TooLarge), "{problem:?}");
    let problem = forged(|token| {
        token.claims["x"] = (0..200).fold(json!(1), |inner, _| json!([inner]));
    })
    .await;
    assert!(is_token(&problem, TokenProblem::Form), "{problem:?}");
    for odd in [
        "a.b.c.d.e".to_owned(),
        ".".repeat(100_000),
        String::from("x"),
    ] {
        let provider = ScriptedProvider::start().await;
        provider.forge_token_answer(move |answer| answer["id_token"] = json!(odd));
        assert!(matches!(refused(&provider).await, ProviderError::Token(_)));
    }
}

#[tokio::test]
async fn a_new_client_secret_is_tried_when_the_old_one_is_refused() {
    let provider = ScriptedProvider::start().await;
    let party = RelyingParty::with(&provider.issuer, &provider.client_id, "old", |settings| {
        settings.client_secrets.push("new".into());
    });
    provider.answer_instead(
        Endpoint::Token,
        Instead {
            status: 401,
            ..Instead::body("application/json", r#"{"error":"invalid_client"}"#)
        },
    );
    let problem = party.log_in().await.expect_err("both are refused");
    assert!(
        matches!(problem, ProviderError::ClientRefused),
        "{problem:?}"
    );
    assert_eq!(provider.asked(Endpoint::Token).len(), 2);
}
