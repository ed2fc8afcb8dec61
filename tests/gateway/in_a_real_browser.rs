//! What people see, in Debian's Chromium with axe: the journeys of `tests/browser`, on the demo and
//! on real gateways between real neighbours.

use std::process::Command;

use serde_json::json;

use crate::harness::{
    Answer, GatewayBuilder, Mailbox, OPERATOR_TOKEN, OidcProvider, Postgres, Redis, TestGateway,
    Upstream,
};

const POLICY: &str = "[[sso.exclude]]\nname = \"staff\"\n\
    when = \"has(identity.groups) && 'staff' in identity.groups\"\nmessage = \"staff\"\n\
    [[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"join\"\n";

/// How many demos `people.test.mjs` may start: one for each way of looking.
const DEMOS: u16 = 12;

/// Runs a file of `tests/browser`, which reads its environment.
async fn runs<const COUNT: usize>(file: &str, told: [(&'static str, String); COUNT]) {
    let mut journeys = Command::new("node");
    journeys
        .args(["--test", "--test-reporter=spec", file])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
        .envs(told);
    // The neighbours of the gateway run on this test's own thread.
    let ended = tokio::task::spawn_blocking(move || journeys.output()).await;
    let ended = ended.expect("no panic").expect("node starts");
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{complained}");
}

#[tokio::test]
async fn people_of_the_demo_see_what_they_should() {
    let program = env!("CARGO_BIN_EXE_vestibule").to_owned();
    runs("people.test.mjs", [("VESTIBULE", program)]).await;
}

#[tokio::test]
async fn people_of_a_demo_on_shared_stores_see_the_same() {
    let program = env!("CARGO_BIN_EXE_vestibule").to_owned();
    let redis = Redis::start();
    let mut stores = Vec::new();
    for number in 0..DEMOS {
        let database = Postgres::shared().fresh_database().await;
        stores.push([
            "--database".to_owned(),
            database,
            "--sessions".to_owned(),
            redis.url(number),
        ]);
    }
    let told = [
        ("VESTIBULE", program),
        ("VESTIBULE_STORES", json!(stores).to_string()),
    ];
    runs("people.test.mjs", told).await;
}

#[tokio::test]
async fn people_of_the_demo_join_by_code_and_by_asking() {
    let program = env!("CARGO_BIN_EXE_vestibule").to_owned();
    runs("joining.test.mjs", [("VESTIBULE", program)]).await;
}

#[tokio::test]
async fn journeys_on_one_embedded_node() {
    journeys("embedded", TestGateway::embedded()).await;
}

#[tokio::test]
async fn journeys_on_two_nodes_with_shared_stores() {
    journeys("distributed", TestGateway::distributed().nodes(2)).await;
}

async fn journeys(name: &str, set_up: GatewayBuilder<'_>) {
    let corp = OidcProvider::start().await;
    let partners = OidcProvider::start_without_end_session().await;
    let (upstream, mailbox) = (Upstream::start().await, Mailbox::start().await);
    upstream.answers("/", Answer::html("<!doctype html><html lang=\"en\"><title>Platform</title><link rel=\"icon\" href=\"data:,\"><h1>The platform</h1>"));
    let gateway = set_up
        .provider(&corp)
        .provider(&partners)
        .upstream(&upstream)
        .mail(&mailbox)
        .policy("onboarding.toml", POLICY)
        .start()
        .await;
    let told = json!({
        "name": name,
        "origin": gateway.origin(),
        "providers": { "corp": corp.control(), "partners": partners.control() },
        "mailbox": mailbox.control(),
        "platform": { "url": gateway.admin("/platform/v1"), "token": OPERATOR_TOKEN },
    });
    runs(
        "journeys.test.mjs",
        [("VESTIBULE_SET_UP", told.to_string())],
    )
    .await;
    for request in upstream.requests() {
        let user = request.header("x-vestibule-user");
        assert!(user.is_some(), "{} came as nobody", request.target);
    }
}
