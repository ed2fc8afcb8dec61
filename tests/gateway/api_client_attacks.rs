//! Forged bearer tokens, and issuers that lie or are gone: judged by what the upstream received.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::clock::{Clock as _, SystemClock};

use super::harness::{
    Answer, Endpoint, IdToken, Instead, OidcProvider, ScriptedProvider, Signing, TestGateway,
    Upstream, wait_until_async, wire_client,
};

const API: &str = "https://api.example";
const HOUR: Duration = Duration::from_hours(1);

const ACCESS: &str = r#"
[[rule]]
name = "api"
path = "/api/**"
access = "api"
account = "optional"
"#;

/// Rules that tell issuers apart.
const EACH: &str = r#"
[[rule]]
name = "first"
path = "/first/**"
access = "api"
account = "optional"
issuers = ["first"]
[[rule]]
name = "second"
path = "/second/**"
access = "api"
account = "optional"
issuers = ["second"]
"#;

const ASKING: &str =
    "introspection = { client_id = \"vestibule\", client_secret = { file = \"operator\" } }";

/// A gateway that takes tokens of these issuers.
async fn gateway(issuers: &[(&str, &str, &str)], upstream: &Upstream) -> TestGateway {
    let provider = OidcProvider::start().await;
    let rules = if issuers.len() == 2 { EACH } else { ACCESS };
    let mut set_up = TestGateway::embedded().policy("access.toml", rules);
    for (id, issuer, further) in issuers {
        set_up = set_up.config(&format!(
            "[[api_issuer]]\nid = \"{id}\"\nissuer = \"{issuer}\"\naudience = [\"{API}\"]\n{further}"
        ));
    }
    set_up.provider(&provider).upstream(upstream).start().await
}

async fn status(gateway: &TestGateway, path: &str, authorization: &str) -> u16 {
    let call = wire_client().get(format!("{}{path}", gateway.origin()));
    let answer = call.header("authorization", authorization).send().await;
    answer.expect("an answer").status().as_u16()
}

fn set(place: &'static str, name: &'static str, value: Value) -> impl FnOnce(&mut IdToken) {
    move |token| {
        let part = if place == "header" {
            &mut token.header
        } else {
            &mut token.claims
        };
        if value.is_null() {
            part.as_object_mut().unwrap().remove(name);
        } else {
            part[name] = value;
        }
    }
}

/// What does not hold in a token's head or claims; `null` leaves it out.
fn lies() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("header", "alg", json!("none")),
        ("header", "alg", json!("nOnE")),
        ("header", "alg", json!("RS512")),
        ("header", "alg", json!(7)),
        ("header", "alg", Value::Null),
        ("header", "typ", json!("JWT")),
        ("header", "typ", json!("logout+jwt")),
        ("header", "typ", json!("dpop+jwt")),
        ("header", "typ", json!(["at+jwt"])),
        ("header", "typ", Value::Null),
        ("header", "crit", json!(["x"])),
        ("header", "b64", json!(false)),
        ("header", "kid", json!("../../etc/passwd")),
        ("header", "kid", json!("' OR 1=1--")),
        ("header", "kid", json!("\r\n")),
        ("header", "kid", json!(7)),
        ("header", "kid", json!("k".repeat(10_000))),
        ("claims", "iss", json!("https://evil.example")),
        ("claims", "iss", Value::Null),
        ("claims", "aud", json!("vestibule")),
        ("claims", "aud", json!(["https://api.example.evil"])),
        ("claims", "aud", Value::Null),
        ("claims", "sub", json!("")),
        ("claims", "sub", json!(7)),
        ("claims", "sub", Value::Null),
        ("claims", "exp", json!(1)),
        ("claims", "exp", json!(1e300)),
        ("claims", "exp", json!("2099-01-01")),
        ("claims", "exp", Value::Null),
        ("claims", "iat", json!(9_000_000_000_u64)),
        ("claims", "nbf", json!(9_000_000_000_u64)),
        ("claims", "cnf", json!({ "jkt": "a key" })),
        ("claims", "at_hash", json!("x")),
        ("claims", "events", json!({})),
    ]
}

/// Tokens with another form than tokens have, made of an honest one.
fn odd_forms(honest: &str) -> Vec<String> {
    let (start, signature) = honest.rsplit_once('.').expect("a signature");
    let (header, _) = start.split_once('.').expect("a header");
    let deep = URL_SAFE_NO_PAD.encode("[".repeat(5000));
    vec![
        start.to_owned(),
        format!("{honest}="),
        format!("{start}.{}", signature.get(..20).expect("its beginning")),
        format!("{honest}.a.b"),
        format!("{honest}x"),
        format!("{header}.{deep}.{signature}"),
        ".".repeat(10_000),
        "a.b.c".to_owned(),
        "opaque".to_owned(),
    ]
}

#[tokio::test]
async fn a_forged_token_passes_nowhere() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let gateway = gateway(&[("first", &issuer.issuer, "")], &upstream).await;
    let refused = async |token: &str, what: &str| {
        let status = status(&gateway, "/api/x", &format!("Bearer {token}")).await;
        assert_eq!(status, 401, "{what:.80}");
    };
    for (place, name, value) in lies() {
        let what = format!("{place} {name}: {value}");
        refused(&issuer.access_token(API, set(place, name, value)), &what).await;
    }
    for signing in [
        Signing::StrangeKey,
        Signing::ClientSecret,
        Signing::PublicKeyAsSecret,
        Signing::Empty,
        Signing::TamperedClaims,
    ] {
        for algorithm in ["RS256", "HS256"] {
            let forged = issuer.access_token(API, |token| {
                token.signing = signing;
                token.header["alg"] = json!(algorithm);
            });
            refused(&forged, &format!("{signing:?} {algorithm}")).await;
        }
    }
    for odd in odd_forms(&issuer.access_token(API, |_| {})) {
        refused(&odd, &odd).await;
    }
    assert!(upstream.requests().is_empty(), "{:#?}", upstream.requests());
}

#[tokio::test]
async fn an_honest_token_passes_and_keys_inside_it_are_ignored() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let gateway = gateway(&[("first", &issuer.issuer, "")], &upstream).await;
    let honest = issuer.access_token(API, |_| {});
    for scheme in ["Bearer", "bearer"] {
        let shown = format!("{scheme} {honest}");
        assert_eq!(status(&gateway, "/api/x", &shown).await, 200);
    }
    for key in ["jwk", "jku", "x5u", "x5c"] {
        let ignored = issuer.access_token(API, set("header", key, json!("https://evil.example")));
        let shown = format!("Bearer {ignored}");
        assert_eq!(status(&gateway, "/api/x", &shown).await, 200, "{key}");
    }
    for malformed in ["Bearer", "Bearer ", "Bearer a b", "Bearer \"a\""] {
        assert_eq!(
            status(&gateway, "/api/x", malformed).await,
            401,
            "{malformed}"
        );
    }
    assert!(!gateway.log().contains(&honest));
}

/// IT-19: nowhere else does a token make somebody of a stranger.
#[tokio::test]
async fn a_token_counts_in_the_head_and_under_a_rule_for_programs_only() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let gateway = gateway(&[("first", &issuer.issuer, "")], &upstream).await;
    let honest = issuer.access_token(API, |_| {});
    for shown in [
        &format!("Bearer {honest}"),
        "Bearer anything",
        "bearer",
        "Bearer ",
    ] {
        assert_eq!(status(&gateway, "/", shown).await, 401, "{shown:.20}");
    }
    let api = format!("{}/api/x", gateway.origin());
    for (query, fields) in [
        (format!("?access_token={honest}"), vec![]),
        (String::new(), vec![("access_token", &honest)]),
    ] {
        let call = wire_client().post(format!("{api}{query}")).form(&fields);
        let answer = call.send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{fields:?}");
    }
    assert!(upstream.requests().is_empty(), "{:#?}", upstream.requests());
}

#[tokio::test]
async fn tokens_of_issuers_that_call_them_jwt_pass_where_that_is_said_and_id_tokens_never() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let any = "token_type = \"any\"";
    let gateway = gateway(&[("first", &issuer.issuer, any)], &upstream).await;
    for typ in [
        json!("at+jwt"),
        json!("JWT"),
        json!("application/at+jwt"),
        Value::Null,
    ] {
        let token = issuer.access_token(API, set("header", "typ", typ.clone()));
        assert_eq!(
            status(&gateway, "/api/x", &format!("Bearer {token}")).await,
            200,
            "{typ}"
        );
    }
    upstream.forget();
    for (place, name, value) in [
        ("header", "typ", json!("logout+jwt")),
        ("claims", "aud", json!("vestibule")),
        ("claims", "typ", json!("ID")),
        ("claims", "at_hash", json!("x")),
    ] {
        let token = issuer.access_token(API, |token| {
            token.header["typ"] = json!("JWT");
            set(place, name, value)(token);
        });
        assert_eq!(
            status(&gateway, "/api/x", &format!("Bearer {token}")).await,
            401,
            "{name}"
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn what_one_issuer_says_counts_for_its_own_rules_only() {
    let (first, second) = (
        ScriptedProvider::start().await,
        ScriptedProvider::start().await,
    );
    let upstream = Upstream::start().await;
    let issuers = [
        ("first", &*first.issuer, ASKING),
        ("second", &*second.issuer, ASKING),
    ];
    let gateway = gateway(&issuers, &upstream).await;
    let active = json!({ "active": true, "sub": "mario", "aud": API }).to_string();
    first.answer_instead(
        Endpoint::Introspection,
        Instead::body("application/json", active),
    );
    assert_eq!(status(&gateway, "/first/x", "Bearer opaque").await, 200);
    assert_eq!(status(&gateway, "/second/x", "Bearer opaque").await, 401);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(first.asked(Endpoint::Introspection).len(), 1);
    assert_eq!(second.asked(Endpoint::Introspection).len(), 1);

    let signed = first.access_token(API, |_| {});
    assert_eq!(
        status(&gateway, "/first/x", &format!("Bearer {signed}")).await,
        200
    );
    assert_eq!(
        status(&gateway, "/second/x", &format!("Bearer {signed}")).await,
        401
    );
    assert_eq!(
        first.asked(Endpoint::Introspection).len(),
        1,
        "signed tokens are not asked about"
    );
}

#[tokio::test]
async fn an_issuer_that_does_not_say_yes_has_said_no() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let gateway = gateway(&[("first", &issuer.issuer, ASKING)], &upstream).await;
    let json_body = |value: Value| Instead::body("application/json", value.to_string());
    let saying = |further: Value| {
        let mut said = json!({ "active": true, "sub": "mario", "aud": API });
        let members = said.as_object_mut().unwrap();
        members.extend(further.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        json_body(said)
    };
    let answers = [
        (saying(json!({ "active": "true" })), 401),
        (saying(json!({ "active": 1 })), 401),
        (saying(json!({ "active": null })), 401),
        (saying(json!({ "sub": null })), 401),
        (saying(json!({ "exp": 1 })), 401),
        (saying(json!({ "aud": "other" })), 401),
        (saying(json!({ "aud": null })), 401),
        (saying(json!({ "iss": "https://evil.example" })), 401),
        (saying(json!({ "cnf": {} })), 401),
        (json_body(json!([true])), 503),
        (Instead::body("text/html", "<p>yes</p>"), 503),
        (Instead::status(500), 503),
        (Instead::status(401), 503),
        (Instead::redirect("https://evil.example"), 503),
    ];
    for (number, (answer, expected)) in answers.into_iter().enumerate() {
        let shown = format!("{answer:?}");
        issuer.answer_instead(Endpoint::Introspection, answer);
        let token = format!("Bearer opaque-{number}");
        assert_eq!(
            status(&gateway, "/api/x", &token).await,
            expected,
            "{shown}"
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn an_issuer_that_names_no_audience_is_believed_only_where_that_is_said() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let trusting = ASKING.replacen("client_id", "without_audience = true, client_id", 1);
    let gateway = gateway(&[("first", &issuer.issuer, &trusting)], &upstream).await;
    let says = |said: Value| {
        let body = Instead::body("application/json", said.to_string());
        issuer.answer_instead(Endpoint::Introspection, body);
    };
    says(json!({ "active": true, "sub": "mario" }));
    assert_eq!(status(&gateway, "/api/x", "Bearer opaque-1").await, 200);
    says(json!({ "active": true, "sub": "mario", "aud": "other" }));
    assert_eq!(status(&gateway, "/api/x", "Bearer opaque-2").await, 401);
}

#[tokio::test]
async fn a_network_that_guesses_tokens_is_held_back_and_its_good_ones_pass() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let limits = "[limit.few]\nrate = \"3/h\"\n[apply]\nbad_token = \"few\"\n";
    let config = format!(
        "[[api_issuer]]\nid = \"first\"\nissuer = \"{}\"\naudience = [\"{API}\"]\n{}",
        issuer.issuer,
        ASKING.replacen("client_id", "believe_for = \"1s\", client_id", 1)
    );
    let provider = OidcProvider::start().await;
    let gateway = TestGateway::embedded()
        .policy("access.toml", ACCESS)
        .policy("limits.toml", limits)
        .config(&config);
    let gateway = gateway
        .provider(&provider)
        .upstream(&upstream)
        .start()
        .await;
    let good = format!("Bearer {}", issuer.access_token(API, |_| {}));
    assert_eq!(status(&gateway, "/api/x", &good).await, 200);
    let says = |said: Value| {
        let body = Instead::body("application/json", said.to_string());
        issuer.answer_instead(Endpoint::Introspection, body);
    };
    let active = json!({ "active": true, "sub": "mario", "aud": API });
    says(active.clone());
    assert_eq!(status(&gateway, "/api/x", "Bearer brief").await, 200);
    says(json!({ "active": false }));
    let mut statuses = Vec::new();
    for number in 0..10 {
        let guess = format!("Bearer guess-{number}");
        statuses.push(status(&gateway, "/api/x", &guess).await);
    }
    let (judged, held_back) = statuses.split_at(4);
    assert_eq!(judged, [401; 4], "three, and the one that was too many");
    assert_eq!(held_back, [429; 6]);
    assert_eq!(issuer.asked(Endpoint::Introspection).len(), 5);
    assert_eq!(status(&gateway, "/api/x", &good).await, 200, "it is known");
    says(active);
    wait_until_async("what was good is judged again", async || {
        assert_eq!(status(&gateway, "/api/x", "Bearer brief").await, 200);
        issuer.asked(Endpoint::Introspection).len() == 6
    })
    .await;
}

/// Where the issuer is silent, the own end of the token counts.
#[tokio::test]
async fn a_stream_does_not_outlive_its_token() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let asking = ASKING.replacen("client_id", "believe_for = \"1s\", client_id", 1);
    let gateway = gateway(&[("first", &issuer.issuer, &asking)], &upstream).await;
    let beginning = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                     Transfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n";
    upstream.answers("/api/stream", Answer::raw(beginning));
    let said = |said: Value| Instead::body("application/json", said.to_string());
    let elsewhere = json!({ "active": true, "sub": "mario", "aud": "https://other.example" });
    for (token, lasts, then) in [
        ("silence", Duration::from_secs(6), Instead::status(500)),
        ("revoked", HOUR, said(json!({ "active": false }))),
        ("for-others", HOUR, said(elsewhere)),
    ] {
        let ends_at = SystemClock.now().plus(lasts).seconds();
        let active = json!({ "active": true, "sub": "mario", "aud": API, "exp": ends_at });
        issuer.answer_instead(Endpoint::Introspection, said(active));
        let asking = wire_client().get(format!("{}/api/stream", gateway.origin()));
        let mut stream = asking.bearer_auth(token).send().await.unwrap();
        let first = stream.chunk().await.unwrap();
        assert_eq!(first.as_deref(), Some(&b"beginning"[..]), "{token}");
        issuer.answer_instead(Endpoint::Introspection, then);
        let over = tokio::time::timeout(Duration::from_secs(30), stream.chunk()).await;
        assert!(over.expect(token).is_err(), "{token}: it is cut off");
    }
}

#[tokio::test]
async fn a_token_for_one_host_is_good_on_that_alone_where_no_audience_is_named() {
    let (issuer, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let provider = OidcProvider::start().await;
    let settings = format!(
        "[[host]]\norigin = \"https://other.example\"\n\
         [[api_issuer]]\nid = \"first\"\nissuer = \"{}\"\n",
        issuer.issuer
    );
    let set_up = TestGateway::embedded().policy("access.toml", ACCESS);
    let set_up = set_up.config(&settings).provider(&provider);
    let gateway = set_up.upstream(&upstream).start().await;
    let own = gateway.origin().to_owned();
    for (audience, expected) in [
        (json!(own), (200, 401)),
        (json!("https://other.example"), (401, 200)),
        (json!([own, "https://other.example"]), (200, 200)),
    ] {
        let token = issuer.access_token(&own, set("claims", "aud", audience.clone()));
        let bearer = format!("Bearer {token}");
        let elsewhere = wire_client().get(format!("{own}/api/x"));
        let elsewhere = elsewhere.header("host", "other.example");
        let elsewhere = elsewhere.header("authorization", &bearer).send().await;
        let got = (
            status(&gateway, "/api/x", &bearer).await,
            elsewhere.unwrap().status().as_u16(),
        );
        assert_eq!(got, expected, "{audience}");
    }
}
