//! Traces: from the caller through the gateway to the upstream, and to a collector.

use std::path::Path;
use std::process::Command;

use super::access_log::access_line;
use super::first_login::{giulia, registers};
use super::harness::{
    Browser, Collector, GatewayBuilder, OidcProvider, Received, TestGateway, ToldSpan, Upstream,
    on_both_set_ups, send_raw, wait_until_async,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Asks for a public page with these fields, and gives what the upstream got.
async fn asks(gateway: &mut TestGateway, upstream: &Upstream, fields: &str) -> Received {
    let address = gateway.node(0).address();
    let origin = gateway.origin().replace("http://", "");
    let request = format!(
        "GET /public/a?secret=1 HTTP/1.1\r\nHost: {origin}\r\n{fields}Connection: close\r\n\r\n"
    );
    let answer = send_raw(&address, request).await;
    assert_eq!(answer.expect("an answer").status, 200);
    upstream.last_request()
}

/// What the upstream was told of a trace: its name, the asking span, and whether it is kept.
fn told(received: &Received) -> (String, String, bool) {
    let fields = received.all_headers("traceparent");
    let [field] = fields[..] else {
        panic!("{fields:?}")
    };
    let parts: Vec<&str> = field.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        panic!("{field}")
    };
    assert_eq!(version, "00");
    (trace.to_owned(), span.to_owned(), flags == "01")
}

fn caller(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{CALLER}-{flags}\r\ntracestate: shop=1\r\n")
}

/// A gateway that tells this collector, with further keys, in front of `upstream`.
async fn telling(collector: &Collector, upstream: &Upstream, keys: &str) -> TestGateway {
    let provider = OidcProvider::start().await;
    let gateway = TestGateway::embedded().provider(&provider);
    let gateway = gateway.upstream(upstream).config(&collector.table(keys));
    gateway.start().await
}

#[tokio::test]
async fn a_trace_goes_from_the_caller_through_the_gateway_to_the_upstream() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let keys = "from_anyone = true\nservice = \"the-door\"\nheaders = { authorization = { file = \"operator\" } }";
    let mut gateway = telling(&collector, &upstream, keys).await;
    let received = asks(&mut gateway, &upstream, &caller("01")).await;
    let (trace, asking, is_kept) = told(&received);
    assert_eq!((trace.as_str(), is_kept), (TRACE, true));
    assert_eq!(received.all_headers("tracestate"), ["shop=1"]);

    let request = collector
        .waits_for("the request", |span| span.parent == CALLER)
        .await;
    assert_eq!((request.trace.as_str(), request.failed), (TRACE, false));
    assert_eq!(request.name, "GET public");
    assert_eq!(request.service, "the-door");
    assert_eq!(
        request.token.as_deref(),
        Some(super::harness::OPERATOR_TOKEN)
    );
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/public/a"),
        ("server.address", "localhost"),
        ("client.address", "127.0.0.1"),
        ("vestibule.rule", "public"),
        ("vestibule.outcome", "forward"),
    ] {
        assert_eq!(request.says(key), Some(value), "{key}");
    }
    let steps = collector.steps_of(&request);
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["session", "decide", "upstream"]);
    let upstream_step = steps.last().expect("a step");
    assert_eq!(upstream_step.id, asking, "whom the upstream knows");
    assert_eq!(upstream_step.says("http.response.status_code"), Some("200"));
    assert!(request.begin <= upstream_step.begin && upstream_step.end <= request.end);
    let line = access_line(&gateway, "/public/a").await;
    assert!(line.contains(&format!("trace={TRACE}")), "{line}");
}

#[tokio::test]
async fn what_is_not_let_pass_names_its_rule_as_well() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let mut gateway = telling(&collector, &upstream, "sample = 1").await;
    let address = gateway.node(0).address();
    let host = gateway.origin().replace("http://", "");
    let request = format!("GET /things HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = send_raw(&address, request).await.expect("an answer");
    assert_eq!(answer.status, 401);
    let span = collector
        .waits_for("the request", |span| {
            span.says("url.path") == Some("/things")
        })
        .await;
    assert_eq!(span.name, "GET default");
    assert_eq!(span.says("vestibule.rule"), Some("default"));
    assert_eq!(span.says("vestibule.outcome"), Some("challenge"));
    assert!(span.says("vestibule.policy").is_some());
}

#[tokio::test]
async fn a_share_of_the_traces_is_kept() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let mut gateway = telling(&collector, &upstream, "sample = 0\nfrom_anyone = true").await;
    let (own, _, is_kept) = told(&asks(&mut gateway, &upstream, "").await);
    assert!(!is_kept, "none that begins here");
    let dropped = asks(&mut gateway, &upstream, &caller("00")).await;
    assert_eq!(told(&dropped).0, TRACE);
    assert!(!told(&dropped).2, "nor one that its caller does not keep");
    let kept = caller("01").replace(TRACE, "11111111111111111111111111111111");
    assert!(told(&asks(&mut gateway, &upstream, &kept).await).2);
    let begun_with_1 = |span: &ToldSpan| span.trace.starts_with("1111");
    collector.waits_for("the kept one", begun_with_1).await;
    gateway.node(0).signal("TERM");
    gateway.node(0).ends().await;
    let others = collector.spans().into_iter();
    let others: Vec<_> = others
        .filter(|span| span.trace == TRACE || span.trace == own)
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn what_is_left_is_told_at_the_end() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let mut gateway = telling(&collector, &upstream, "sample = 1").await;
    let (trace, ..) = told(&asks(&mut gateway, &upstream, "").await);
    gateway.node(0).signal("TERM");
    gateway.node(0).ends().await;
    let spans = collector.spans();
    let mut of_it = spans.iter().filter(|span| span.trace == trace);
    assert!(of_it.any(|span| span.name == "GET public"), "{spans:?}");
}

#[tokio::test]
async fn a_stranger_names_no_trace_and_a_proxy_does() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let mut gateway = telling(&collector, &upstream, "sample = 0").await;
    let received = asks(&mut gateway, &upstream, &caller("01")).await;
    let (trace, span, is_kept) = told(&received);
    assert!(trace != TRACE && span != CALLER && !is_kept);
    assert_eq!(received.header("tracestate"), None);

    let provider = OidcProvider::start().await;
    let behind = TestGateway::embedded()
        .provider(&provider)
        .upstream(&upstream);
    let behind = behind
        .behind_a_proxy()
        .config(&collector.table("sample = 0"));
    let mut behind = behind.start().await;
    let (trace, _, is_kept) = told(&asks(&mut behind, &upstream, &caller("01")).await);
    assert_eq!((trace.as_str(), is_kept), (TRACE, true));
}

#[tokio::test]
async fn without_traces_the_gateway_adds_and_takes_nothing() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = TestGateway::embedded().provider(&provider);
    let mut gateway = gateway.upstream(&upstream).start().await;
    let received = asks(&mut gateway, &upstream, &caller("01")).await;
    let (trace, span, _) = told(&received);
    assert_eq!((trace.as_str(), span.as_str()), (TRACE, CALLER));
    assert_eq!(received.all_headers("tracestate"), ["shop=1"]);
    let received = asks(&mut gateway, &upstream, "").await;
    assert_eq!(received.header("traceparent"), None);
    let line = access_line(&gateway, "/public/a").await;
    assert!(!line.contains("trace="), "{line}");
}

on_both_set_ups!(a_first_login_shows_whom_it_waited_for);

async fn a_first_login_shows_whom_it_waited_for(set_up: GatewayBuilder<'_>) {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let provider = OidcProvider::start().await;
    giulia(&provider).await;
    let set_up = set_up.provider(&provider).upstream(&upstream);
    let mut gateway = set_up.config(&collector.table("sample = 1")).start().await;
    let browser: Browser = gateway.browser();
    let page = browser.open("/things/1").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/things/1").await;
    gateway.node(0).signal("TERM");
    gateway.node(0).ends().await;

    let spans = collector.spans();
    let step_below = |of: &ToldSpan, name: &str| {
        let same = |span: &&ToldSpan| span.trace == of.trace && span.name.starts_with(name);
        spans
            .iter()
            .any(|span| same(&span) && !span.parent.is_empty())
    };
    let callback = spans
        .iter()
        .find(|span| span.says("url.path") == Some("/auth/callback") && step_below(span, "POST "));
    let callback = callback.expect("the callback waited for the provider");
    assert_eq!(callback.says("vestibule.outcome"), Some("page"));
    assert!(step_below(callback, "database"), "and for its own stores");
    let made = spans.iter().find(|span| span.name == "registration");
    let made = made.expect("the registration was carried out");
    let steps = collector.steps_of(made);
    for name in [
        "create_customer",
        "create_location",
        "create_user",
        "database",
    ] {
        assert!(
            steps.iter().any(|step| step.name == name),
            "{name}: {steps:#?}"
        );
    }
    let asks_redis = spans.iter().any(|span| span.name == "redis");
    let file = gateway.folder().join("vestibule-0.toml");
    let file = std::fs::read_to_string(file).expect("a file");
    assert_eq!(asks_redis, file.contains("redis://"));
    let everything = format!("{spans:?}");
    for secret in ["giulia", "code=", "ferraro"] {
        assert!(!everything.to_lowercase().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_collector_that_is_down_holds_nobody_up() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let mut gateway = telling(&collector, &upstream, "sample = 1").await;
    collector.is_broken(true);
    let says = async |gateway: &TestGateway, text: &str| {
        wait_until_async(text, async || gateway.log().contains(text)).await;
    };
    for _ in 0..3 {
        asks(&mut gateway, &upstream, "").await;
    }
    says(&gateway, "the collector does not take traces").await;
    asks(&mut gateway, &upstream, "").await;
    collector.is_broken(false);
    asks(&mut gateway, &upstream, "").await;
    says(&gateway, "the collector takes traces again").await;
    let log = gateway.log();
    assert_eq!(log.matches("does not take traces").count(), 1, "{log}");
}

#[tokio::test]
async fn mistakes_are_reported_with_the_way_out() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let gateway = telling(&collector, &upstream, "").await;
    let file = gateway.folder().join("vestibule-0.toml");
    let good = std::fs::read_to_string(&file).expect("a file");
    for (mistake, message) in [
        (
            "endpoint = \"http://otel.example.com/v1/traces\"",
            "travel in the open",
        ),
        (
            "endpoint = \"https://otel.example.com\"",
            "add `/v1/traces`",
        ),
        (
            "endpoint = \"https://u:p@otel.example.com/v1/traces\"",
            "not the address of a collector",
        ),
        (
            "endpoint = \"https://otel.example.com/v1/traces\"\nsample = 1.5",
            "a share is between 0 and 1",
        ),
        (
            "endpoint = \"https://otel.example.com/v1/traces\"\nservice = \" \"",
            "the name is empty",
        ),
    ] {
        let (before, _) = good.split_once("[traces]").expect("the table");
        std::fs::write(&file, format!("{before}[traces]\n{mistake}\n")).expect("a file");
        let said = check(&file);
        assert!(said.contains(message), "{said}");
    }
}

/// What `vestibule check` says of a file.
fn check(file: &Path) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["check", "--config"])
        .arg(file)
        .output();
    let said = program.expect("the command");
    assert!(!said.status.success(), "nothing is found");
    let said = [said.stdout, said.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
