//! What people see, in Debian's Chromium with axe: the journeys of `tests/browser`, on the demo and
//! on real gateways between real neighbours.

use std::process::Command;

use serde_json::json;

use crate::harness::{
    Answer, CaptchaVendor, GatewayBuilder, Mailbox, OPERATOR_TOKEN, OidcProvider, Postgres, Redis,
    TestGateway, Upstream, VENDOR_SECRET, Ways,
};
use crate::thingsboard_hand_off::Stage;

const SIGNING_IN: &str = r#"
[[sso.exclude]]
name = "staff"
when = "has(identity.groups) && 'staff' in identity.groups"
message = "staff"
[[sso.known_customer]]
claim = "organization_code"
then = "join"
"#;

const SIGNING_UP: &str = r#"
[self_registration]
enabled = true
account_types = ["business", "personal", "partner"]
[approval]
account_types = ["business"]
notify = ["sales@acme.example"]
[customer_verification]
enabled = true
fields = ["phone"]
[[sso.known_customer]]
claim = "organization_code"
then = "ask_to_join"
"#;

const FORM: &str = r#"
agreements = ["terms"]
[[field]]
name = "name"
[[field]]
name = "company"
[[field]]
name = "country"
account_types = ["business"]
[[field]]
name = "tax_code"
when = "form.country == 'IT'"
account_types = ["business"]
[[field]]
name = "phone"
required = false
"#;

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
    of_the_demo("people.test.mjs").await;
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
    of_the_demo("joining.test.mjs").await;
}

async fn of_the_demo(file: &str) {
    let program = env!("CARGO_BIN_EXE_vestibule").to_owned();
    runs(file, [("VESTIBULE", program)]).await;
}

#[tokio::test]
async fn people_are_told_from_robots() {
    let provider = OidcProvider::start().await;
    let (upstream, mailbox) = (Upstream::start().await, Mailbox::start().await);
    let vendors = [
        CaptchaVendor::start(Ways::RecaptchaV2).await,
        CaptchaVendor::start(Ways::RecaptchaV3).await,
    ];
    let config: String = vendors.iter().map(|vendor| vendor.toml("")).collect();
    let mut gateways = Vec::new();
    for kind in ["proof-of-work", "recaptcha-v2", "recaptcha-v3"] {
        let form = format!("captcha = \"{kind}\"\n[brand]\nname = \"Acme\"\n");
        let gateway = TestGateway::embedded()
            .provider(&provider)
            .upstream(&upstream)
            .mail(&mailbox)
            .policy("onboarding.toml", "[self_registration]\nenabled = true\n")
            .policy("signup/default.toml", &form)
            .config(&config)
            .environment("VENDOR_SECRET", VENDOR_SECRET);
        gateways.push((kind, gateway.start().await));
    }
    let told = gateways.iter().map(|(kind, gateway)| {
        let addresses = json!({ "origin": gateway.origin(), "metrics": gateway.admin("/metrics") });
        ((*kind).to_owned(), addresses)
    });
    let told: serde_json::Map<String, serde_json::Value> = told.collect();
    let told = json!({ "gateways": told, "mailbox": mailbox.control() });
    runs(
        "captcha.test.mjs",
        [("VESTIBULE_CAPTCHAS", told.to_string())],
    )
    .await;
}

#[tokio::test]
async fn journeys_on_one_embedded_node() {
    signing_in("embedded", TestGateway::embedded()).await;
}

#[tokio::test]
async fn journeys_on_two_nodes_with_shared_stores() {
    signing_in("distributed", TestGateway::distributed().nodes(2)).await;
}

#[tokio::test]
async fn sign_ups_on_one_embedded_node() {
    signing_up("embedded", TestGateway::embedded()).await;
}

#[tokio::test]
async fn sign_ups_on_two_nodes_with_shared_stores() {
    signing_up("distributed", TestGateway::distributed().nodes(2)).await;
}

#[tokio::test]
async fn thingsboards_pages_on_one_embedded_node() {
    thingsboards_pages("embedded", TestGateway::embedded()).await;
}

#[tokio::test]
async fn thingsboards_pages_on_two_nodes_with_shared_stores() {
    thingsboards_pages("distributed", TestGateway::distributed().nodes(2)).await;
}

async fn thingsboards_pages(name: &str, set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let form = "captcha = \"none\"\n[brand]\nname = \"Acme\"\n";
    let set_up = set_up.policy("signup/default.toml", form);
    let gateway = stage.builder(set_up, "{}").start().await;
    let told = json!({
        "name": name,
        "origin": gateway.origin(),
        "providers": { "corp": stage.provider.control() },
    });
    runs(
        "thingsboard.test.mjs",
        [("VESTIBULE_SET_UP", told.to_string())],
    )
    .await;
}

async fn signing_in(name: &str, set_up: GatewayBuilder<'_>) {
    let set_up = set_up.policy("onboarding.toml", SIGNING_IN);
    journeys("journeys.test.mjs", name, set_up).await;
}

async fn signing_up(name: &str, set_up: GatewayBuilder<'_>) {
    let set_up = set_up.policy("onboarding.toml", SIGNING_UP);
    let set_up = set_up.policy("signup/default.toml", FORM);
    let set_up = set_up.policy("limits.toml", "[abuse.mail]\nnetwork = [\"100/min\"]\n");
    journeys("sign_up.test.mjs", name, set_up).await;
}

async fn journeys(file: &str, name: &str, set_up: GatewayBuilder<'_>) {
    let corp = OidcProvider::start().await;
    let partners = OidcProvider::start_without_end_session().await;
    let (upstream, mailbox) = (Upstream::start().await, Mailbox::start().await);
    upstream.answers("/", Answer::html("<!doctype html><html lang=\"en\"><title>Platform</title><link rel=\"icon\" href=\"data:,\"><h1>The platform</h1>"));
    let gateway = set_up
        .provider(&corp)
        .provider(&partners)
        .upstream(&upstream)
        .mail(&mailbox)
        .start()
        .await;
    let told = json!({
        "name": name,
        "origin": gateway.origin(),
        "providers": { "corp": corp.control(), "partners": partners.control() },
        "mailbox": mailbox.control(),
        "platform": { "url": gateway.admin("/platform/v1"), "token": OPERATOR_TOKEN },
        "operator": gateway.admin("/operator/v1"),
    });
    runs(file, [("VESTIBULE_SET_UP", told.to_string())]).await;
    for request in upstream.requests() {
        let user = request.header("x-vestibule-user");
        assert!(user.is_some(), "{} came as nobody", request.target);
    }
}
