//! The operator's own say in registrations: asked before one is accepted, told when one is
//! complete, by endpoints that answer, change, refuse, block, lie, sleep and fall down.

use std::time::Duration;

use serde_json::{Value, json};

use crate::first_login::{giulia, registers};
use crate::harness::{
    Answer, GatewayBuilder, OPERATOR_TOKEN, OidcProvider, Page, Received, TestGateway, Upstream,
    on_both_set_ups, signature_is_right, wait_until_async,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// People, a platform, and the operator's endpoint.
struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
    endpoint: Upstream,
}

impl Stage {
    async fn set() -> Self {
        let provider = OidcProvider::start().await;
        giulia(&provider).await;
        Self {
            provider,
            upstream: Upstream::start().await,
            endpoint: Upstream::start().await,
        }
    }

    async fn start(&self, set_up: GatewayBuilder<'_>, policy: &str) -> TestGateway {
        let endpoint = self.endpoint.url();
        let hooks = format!(
            "[hooks]\nbefore = \"{endpoint}/before\"\nafter = \"{endpoint}/after\"\n\
             secret = {{ env = \"HOOK_SECRET\" }}\n"
        );
        set_up
            .provider(&self.provider)
            .upstream(&self.upstream)
            .policy("onboarding.toml", &format!("[hooks]\n{policy}"))
            .environment("HOOK_SECRET", SECRET)
            .config(&hooks)
            .start()
            .await
    }

    /// What the endpoint says about registrations.
    fn says(&self, answer: &Value) {
        self.endpoint.answers("/before", ok(&answer.to_string()));
    }

    fn asked(&self, path: &str) -> Vec<Received> {
        let asked = self.endpoint.requests().into_iter();
        asked.filter(|request| request.target == path).collect()
    }
}

fn ok(body: &str) -> Answer {
    let length = body.len();
    Answer::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

fn status(line: &str) -> Answer {
    Answer::raw(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"))
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

async fn comes(gateway: &TestGateway) -> Page {
    let page = gateway.browser().open("/things/17").await;
    page.login_at_provider("giulia").await
}

async fn nothing_was_made(gateway: &TestGateway) {
    for table in ["registrations", "builtin_customers", "builtin_users"] {
        assert_eq!(gateway.count(table).await, 0, "{table}");
    }
}

/// The platform's customers, as JSON.
async fn customers(gateway: &TestGateway) -> String {
    let address = gateway.admin("/platform/v1/customers");
    let request = reqwest::Client::new().get(address);
    let answer = request.bearer_auth(OPERATOR_TOKEN).send().await;
    answer.expect("an answer").text().await.expect("its text")
}

on_both_set_ups!(an_endpoint_fills_in_changes_and_hears_of_it);

async fn an_endpoint_fills_in_changes_and_hears_of_it(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    stage.says(&json!({
        "action": "set",
        "values": { "company": "Ferraro Impianti S.r.l.", "email": "stolen@evil.example" },
    }));
    stage.endpoint.answers("/after", ok("{}"));
    let gateway = stage.start(set_up, "start = true\n").await;
    let page = comes(&gateway).await;
    assert_eq!(
        page.value_of("Company name").as_deref(),
        Some("Ferraro Impianti S.r.l.")
    );
    let question = body(&stage.asked("/before")[0]);
    assert_eq!(question["type"], "registration.start");
    assert_eq!(
        question["applicant"]["claims"]["email"],
        "giulia@ferraro.example"
    );
    assert_eq!(question["locked"], json!(["email"]));
    registers(page).await.waits_until_on("/things/17").await;

    let question = body(stage.asked("/before").last().expect("it is asked again"));
    assert_eq!(question["type"], "registration.submit");
    assert_eq!(question["values"]["company"], "Ferraro Impianti");
    assert_eq!(question["account_types"], json!(["business"]));
    wait_until_async("the webhook", async || !stage.asked("/after").is_empty()).await;
    let told = &stage.asked("/after")[0];
    let event = body(told);
    assert_eq!(event["type"], "registration.completed");
    // What is vouched for stays, whatever the endpoint says.
    assert_eq!(event["data"]["email"], "giulia@ferraro.example");
    for request in stage.endpoint.requests() {
        assert!(signature_is_right(SECRET, &request).await);
    }
    let mut forged = told.clone();
    forged.body.push(b' ');
    assert!(!signature_is_right(SECRET, &forged).await);
    wait_until_async("an empty outbox", async || {
        gateway.count("outbox").await == 0
    })
    .await;
    assert_eq!(stage.asked("/after").len(), 1);
    let text = customers(&gateway).await;
    assert!(text.contains("Ferraro Impianti S.r.l."), "{text}");
}

on_both_set_ups!(an_endpoint_refuses_a_field_with_its_own_words);

async fn an_endpoint_refuses_a_field_with_its_own_words(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let words = "We know no <b>such</b> company";
    stage.says(&json!({ "action": "refuse", "fields": { "company": words } }));
    let gateway = stage.start(set_up, "").await;
    let page = registers(comes(&gateway).await).await;
    let page = page.has_status(422).shows(words);
    assert!(!page.body().contains("<b>such"));
    assert_eq!(
        page.value_of("Company name").as_deref(),
        Some("Ferraro Impianti")
    );
    nothing_was_made(&gateway).await;
    stage.says(&json!({ "action": "continue" }));
    page.press("Create account")
        .await
        .waits_until_on("/things/17")
        .await;
}

#[tokio::test]
async fn an_endpoint_blocks_before_and_after_the_form() {
    for policy in ["start = true\n", ""] {
        let stage = Stage::set().await;
        stage.says(&json!({ "action": "block", "message": "Call our sales desk" }));
        let gateway = stage.start(TestGateway::embedded(), policy).await;
        let page = comes(&gateway).await;
        let page = if policy.is_empty() {
            registers(page).await
        } else {
            page
        };
        page.has_status(403).shows("Call our sales desk");
        nothing_was_made(&gateway).await;
    }
}

/// Answers that are none.
fn useless() -> Vec<(&'static str, Answer)> {
    let large = format!(
        "{{\"action\":\"block\",\"message\":\"{}\"}}",
        "x".repeat(100_000)
    );
    let unfit = json!({ "action": "set", "values": { "country": "Atlantis" } });
    let unknown = json!({ "action": "set", "values": { "role": "admin" } });
    vec![
        (
            "slow",
            ok("{\"action\":\"continue\"}").after(Duration::from_secs(30)),
        ),
        ("an error", status("500 Internal Server Error")),
        (
            "a redirect",
            status("302 Found\r\nLocation: http://127.0.0.1:1/"),
        ),
        ("garbage", ok("<html>")),
        ("too large", ok(&large)),
        ("an unfit value", ok(&unfit.to_string())),
        ("an unknown field", ok(&unknown.to_string())),
        (
            "half an answer",
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").then_close(),
        ),
    ]
}

#[tokio::test]
async fn while_the_endpoint_is_no_use_policy_decides() {
    let stage = Stage::set().await;
    let refusing = stage
        .start(TestGateway::embedded(), "timeout = \"500ms\"\n")
        .await;
    for (what, answer) in useless() {
        stage.endpoint.answers("/before", answer);
        let page = registers(comes(&refusing).await).await;
        assert_eq!(page.status(), 503, "{what}");
        // What was typed travels in the page, to be sent again.
        assert!(page.body().contains("Ferraro Impianti"), "{what}");
        nothing_was_made(&refusing).await;
    }
    assert!(!refusing.log().contains("Ferraro"), "{}", refusing.log());

    for (what, answer) in useless() {
        let stage = Stage::set().await;
        stage.endpoint.answers("/before", answer);
        let policy = "timeout = \"500ms\"\nwhen_down = \"allow\"\n";
        let gateway = stage.start(TestGateway::embedded(), policy).await;
        let page = registers(comes(&gateway).await).await;
        page.waits_until_on("/things/17").await;
        assert_eq!(gateway.count("builtin_customers").await, 1, "{what}");
    }
}

on_both_set_ups!(a_webhook_waits_for_an_endpoint_that_is_down_and_for_a_restart);

async fn a_webhook_waits_for_an_endpoint_that_is_down_and_for_a_restart(
    set_up: GatewayBuilder<'_>,
) {
    let stage = Stage::set().await;
    stage.says(&json!({ "action": "continue" }));
    stage
        .endpoint
        .answers("/after", status("500 Internal Server Error"));
    let mut gateway = stage.start(set_up, "").await;
    let page = registers(comes(&gateway).await).await;
    page.waits_until_on("/things/17").await;
    wait_until_async("a first try", async || !stage.asked("/after").is_empty()).await;
    stage.endpoint.stop().await;
    gateway.kill9();
    gateway.restart().await;
    stage.endpoint.answers("/after", status("204 No Content"));
    stage.endpoint.resume().await;
    wait_until_async("an empty outbox", async || {
        gateway.count("outbox").await == 0
    })
    .await;
    let ids: Vec<String> = stage
        .asked("/after")
        .iter()
        .map(|request| request.header("webhook-id").expect("an id").to_owned())
        .collect();
    assert!(ids.len() >= 2);
    assert!(ids.iter().all(|id| *id == ids[0]), "one event, one id");
    assert!(signature_is_right(SECRET, stage.asked("/after").last().unwrap()).await);
}
