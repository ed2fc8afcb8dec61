//! Programs with bearer tokens of a certified provider: signed ones and opaque ones, of people and of
//! their own; what the upstream learns of them, and what they are told when they may not pass.

use std::time::Duration;

use serde_json::{Value, json};

use super::first_login::{giulia, registers};
use super::harness::{
    GatewayBuilder, OidcProvider, PROGRAM_SECRET, TestGateway, Upstream, on_both_set_ups,
    wait_until_async, wire_client,
};

const API: &str = "https://api.example";
const OPAQUE: &str = "https://opaque.example";

const ACCESS: &str = r#"
[[rule]]
name = "public"
path = "/public/**"
access = "public"
[[rule]]
name = "api"
path = "/api/**"
access = "api"
scopes = ["read"]
[[rule]]
name = "administration"
path = "/api/admin/**"
access = "api"
scopes = ["read", "admin"]
[[rule]]
name = "machines"
path = "/machines/**"
access = "api"
account = "optional"
require = "has(identity.client_id) && identity.client_id != 'evil'"
"#;

fn issuer(provider: &OidcProvider, further: &str) -> String {
    format!(
        "[[api_issuer]]\nid = \"corp\"\nissuer = \"{}\"\naudience = [\"{API}\", \"{OPAQUE}\"]\n{further}\n",
        provider.issuer
    )
}

const INTROSPECTION: &str = "introspection = { client_id = \"asker\", \
    client_secret = { env = \"ASKER\" }, believe_for = \"2s\" }";

/// What a request with a token gets: the status, and the problem where there is one.
async fn call(gateway: &TestGateway, path: &str, token: &str) -> (u16, Value) {
    let call = wire_client().get(format!("{}{path}", gateway.origin()));
    let answer = call.bearer_auth(token).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn stage(set_up: GatewayBuilder<'_>, further: &str) -> (OidcProvider, Upstream, TestGateway) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    giulia(&provider).await;
    for program in ["app", "asker", "cron"] {
        provider.program(program).await;
    }
    let set_up = set_up
        .config(&issuer(&provider, further))
        .policy("access.toml", ACCESS)
        .environment("ASKER", PROGRAM_SECRET);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    (provider, upstream, gateway)
}

async fn giulia_registers(gateway: &TestGateway, upstream: &Upstream) -> String {
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    let user = upstream.last_request();
    user.header("x-vestibule-user").expect("a user").to_owned()
}

on_both_set_ups!(a_program_comes_with_the_token_of_a_person);

async fn a_program_comes_with_the_token_of_a_person(set_up: GatewayBuilder<'_>) {
    let (provider, upstream, gateway) = stage(set_up, "").await;
    let token = provider.token_for("giulia", API, "read").await;
    let (status, problem) = call(&gateway, "/api/things", &token).await;
    assert_eq!(
        (status, &problem["code"]),
        (403, &json!("registration_required"))
    );

    let user = giulia_registers(&gateway, &upstream).await;
    let token = provider.token_for("giulia", API, "read").await;
    upstream.forget();
    for _ in 0..3 {
        let call = wire_client().get(format!("{}/api/things?a=b", gateway.origin()));
        let call = call
            .bearer_auth(&token)
            .header("x-vestibule-client", "root");
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    let arrived = upstream.last_request();
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(arrived.target, "/api/things?a=b");
    assert_eq!(arrived.header("x-vestibule-user"), Some(&*user));
    assert!(arrived.header("x-vestibule-customer").is_some());
    assert_eq!(arrived.all_headers("x-vestibule-client"), ["app"]);
    assert_eq!(
        arrived.header("authorization"),
        None,
        "the token stays here"
    );
    assert!(!gateway.log().contains(&token));

    let (status, problem) = call(&gateway, "/api/admin/users", &token).await;
    assert_eq!(
        (status, &problem["code"]),
        (403, &json!("insufficient_scope"))
    );
    let wide = provider.token_for("giulia", API, "read admin").await;
    assert_eq!(call(&gateway, "/api/admin/users", &wide).await.0, 200);
}

#[tokio::test]
async fn a_program_of_nobody_passes_where_an_account_is_optional() {
    let (provider, upstream, gateway) = stage(TestGateway::embedded(), "").await;
    let token = provider.token_of("cron", API, "read").await;
    let (status, problem) = call(&gateway, "/api/things", &token).await;
    assert_eq!(
        (status, &problem["code"]),
        (403, &json!("registration_required"))
    );
    assert_eq!(call(&gateway, "/machines/1", &token).await.0, 200);
    let arrived = upstream.last_request();
    assert_eq!(arrived.header("x-vestibule-client"), Some("cron"));
    assert_eq!(arrived.header("x-vestibule-user"), None);
    // Somebody who calls a program as a person is called is not that person.
    giulia_registers(&gateway, &upstream).await;
    provider.program("giulia").await;
    let impostor = provider.token_of("giulia", API, "read").await;
    assert_eq!(call(&gateway, "/api/things", &impostor).await.0, 403);
    assert_eq!(call(&gateway, "/machines/1", &impostor).await.0, 200);
    assert_eq!(upstream.last_request().header("x-vestibule-user"), None);
}

on_both_set_ups!(opaque_tokens_are_asked_about_until_they_are_revoked);

async fn opaque_tokens_are_asked_about_until_they_are_revoked(set_up: GatewayBuilder<'_>) {
    let (provider, upstream, gateway) = stage(set_up, INTROSPECTION).await;
    giulia_registers(&gateway, &upstream).await;
    let token = provider.token_for("giulia", OPAQUE, "read").await;
    assert!(!token.contains('.'), "it is opaque");
    assert_eq!(call(&gateway, "/api/things", &token).await.0, 200);
    assert!(upstream.last_request().header("x-vestibule-user").is_some());
    let (status, problem) = call(&gateway, "/api/admin/users", &token).await;
    assert_eq!(
        (status, &problem["code"]),
        (403, &json!("insufficient_scope"))
    );

    provider.stop().await;
    wait_until_async("nobody knows any more", async || {
        call(&gateway, "/api/things", &token).await.0 == 503
    })
    .await;
    provider.resume().await;
    wait_until_async("it is good again", async || {
        call(&gateway, "/api/things", &token).await.0 == 200
    })
    .await;
    provider.revoke(&token).await;
    wait_until_async("it is revoked", async || {
        call(&gateway, "/api/things", &token).await.0 == 401
    })
    .await;
    let (_, problem) = call(&gateway, "/api/things", "an-invention").await;
    assert_eq!(problem["code"], "invalid_token");
}

#[tokio::test]
async fn a_token_ends_in_the_cache_as_well_and_ends_its_streams() {
    let (provider, upstream, gateway) = stage(TestGateway::embedded(), "").await;
    giulia_registers(&gateway, &upstream).await;
    let token = provider.token_that_lives("giulia", API, "read", 15).await;
    assert_eq!(call(&gateway, "/api/things", &token).await.0, 200);
    let beginning = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                     Transfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n";
    upstream.answers("/api/stream", super::harness::Answer::raw(beginning));
    let asking = wire_client().get(format!("{}/api/stream", gateway.origin()));
    let mut stream = asking
        .bearer_auth(&token)
        .send()
        .await
        .expect("its beginning");
    assert_eq!(
        stream.chunk().await.unwrap().as_deref(),
        Some(&b"beginning"[..])
    );
    let over = tokio::time::timeout(Duration::from_mins(1), stream.chunk()).await;
    assert!(over.expect("it ends in time").is_err(), "it is cut off");
    assert_eq!(call(&gateway, "/api/things", &token).await.0, 401);
}

#[tokio::test]
async fn rotated_keys_are_found_and_old_tokens_are_not_believed_any_more() {
    let (provider, upstream, gateway) = stage(TestGateway::embedded(), "").await;
    giulia_registers(&gateway, &upstream).await;
    let old = provider.token_for("giulia", API, "read").await;
    assert_eq!(call(&gateway, "/api/things", &old).await.0, 200);
    provider.rotate_keys().await;
    assert_eq!(
        call(&gateway, "/api/things", &old).await.0,
        200,
        "nobody knows yet"
    );
    let new = provider.token_for("giulia", API, "read").await;
    assert_eq!(call(&gateway, "/api/things", &new).await.0, 200);
    assert_eq!(
        call(&gateway, "/api/things", &old).await.0,
        401,
        "its key is gone"
    );
}

#[tokio::test]
async fn a_session_passes_as_well_and_everybody_else_is_told_where_tokens_come_from() {
    let (provider, upstream, gateway) = stage(TestGateway::embedded(), "").await;
    let page = gateway.browser();
    let form = page.open("/").await.login_at_provider("giulia").await;
    registers(form).await.waits_until_on("/").await;
    page.fetch("GET", "/api/things", None).await.has_status(200);
    let cookie = page.cookie("__Host-vestibule").expect("a session");
    let origin = gateway.origin();
    let with_both = wire_client().get(format!("{origin}/api/things"));
    let with_both = with_both.header("cookie", format!("__Host-vestibule={cookie}"));
    let refused = with_both.bearer_auth("bad").send().await.unwrap();
    assert_eq!(
        refused.status(),
        401,
        "a bad token is not made good by a cookie"
    );

    upstream.forget();
    let metadata = format!("{origin}/.well-known/oauth-protected-resource");
    for (name, value) in [
        ("accept", "text/html"),
        ("accept", "*/*"),
        ("sec-fetch-mode", "navigate"),
        ("x-requested-with", "XMLHttpRequest"),
        ("authorization", "Basic dTpw"),
    ] {
        let call = wire_client().get(format!("{origin}/api/things?access_token=x"));
        let answer = call
            .header(name, value)
            .header("sec-fetch-dest", "document");
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{name}: {value}");
        let told = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(
            told.contains(&format!("resource_metadata=\"{metadata}\"")),
            "{told}"
        );
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert!(upstream.requests().is_empty());
    let said: Value = wire_client()
        .get(metadata)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(said["resource"], origin);
    assert_eq!(said["authorization_servers"], json!([provider.issuer]));
    assert_eq!(said["scopes_supported"], json!(["admin", "read"]));
}

#[tokio::test]
async fn grpc_is_told_in_its_own_way() {
    let (_provider, upstream, gateway) = stage(TestGateway::embedded(), "").await;
    let call = wire_client().post(format!("{}/api/things.Things/List", gateway.origin()));
    let call = call
        .header("content-type", "application/grpc+proto")
        .body("x");
    let answer = call.bearer_auth("bad").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert_eq!(answer.headers()["grpc-status"], "16");
    let message = answer.headers()["grpc-message"].to_str().unwrap();
    assert!(message.starts_with("invalid_token"), "{message}");
    assert!(answer.headers().contains_key("www-authenticate"));
    assert_eq!(answer.text().await.unwrap(), "");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_disabled_user_is_out_and_the_doctor_knows_the_issuer() {
    let (provider, upstream, gateway) = stage(TestGateway::embedded(), INTROSPECTION).await;
    let found = gateway.run(&["doctor"]);
    let line = format!(
        "{}, for {API}, {OPAQUE}, lets the gateway ask",
        provider.issuer
    );
    assert!(found.contains(&line), "{found}");

    giulia_registers(&gateway, &upstream).await;
    let token = provider.token_for("giulia", OPAQUE, "read").await;
    assert_eq!(call(&gateway, "/api/things", &token).await.0, 200);
    gateway.forget("account_links").await;
    wait_until_async("whose user she is is forgotten", async || {
        call(&gateway, "/api/things", &token).await.0 == 403
    })
    .await;
}
