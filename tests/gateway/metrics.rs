//! What `/metrics` shows of a gateway that runs: everything that its page promises, nothing else,
//! and what operators are alerted by.

use std::collections::BTreeSet;

use super::harness::{
    GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups, send_raw,
    wait_until_async, wire_client,
};
use super::known_user::{Stage, registered};

async fn metrics(gateway: &TestGateway) -> String {
    let answer = wire_client().get(gateway.admin("/metrics")).send().await;
    let answer = answer.expect("an answer");
    let media_type = answer.headers()["content-type"].to_str().expect("text");
    assert!(media_type.starts_with("application/openmetrics-text"));
    answer.text().await.expect("its text")
}

/// Waits until a line begins like this and ends with this value.
async fn shows(gateway: &TestGateway, line: &str, value: &str) {
    wait_until_async(line, async || {
        let text = metrics(gateway).await;
        let mut lines = text.lines().filter_map(|one| one.strip_prefix(line));
        lines.any(|rest| rest.rsplit(' ').next() == Some(value))
    })
    .await;
}

/// The names that the page explains.
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`').map(|(name, _)| name.to_owned()))
        .filter(|name| name.starts_with("vestibule_"))
        .collect()
}

on_both_set_ups!(a_gateway_shows_what_its_page_explains);

async fn a_gateway_shows_what_its_page_explains(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up).await;
    registered(&gateway).await;
    for (line, value) in [
        (
            "vestibule_check_ok{check=\"database\",vital=\"false\"}",
            "1",
        ),
        ("vestibule_check_ok{check=\"sessions\",vital=\"true\"}", "1"),
        (
            "vestibule_check_ok{check=\"provider:corp\",vital=\"false\"}",
            "1",
        ),
        ("vestibule_sessions_push_up{platform=\"main\"}", "1"),
        ("vestibule_policy_current{platform=\"main\"}", "1"),
        ("vestibule_policy{version=", "1"),
        ("vestibule_registrations_total{stage=\"completed\",", "1"),
        ("vestibule_build_info{version=", "1"),
    ] {
        shows(&gateway, line, value).await;
    }
    let text = metrics(&gateway).await;
    assert!(text.ends_with("# EOF\n"));
    for series in [
        "vestibule_clock_skew_seconds{check=\"provider:corp\"}",
        "vestibule_sessions_cached{platform=\"main\"}",
        "vestibule_session_lookups_total{outcome=\"found\",platform=\"main\"}",
        "vestibule_events_total{outcome=\"logged_in\",platform=\"main\"}",
        "vestibule_requests_total{verdict=\"forward\",status=\"2xx\",platform=\"main\"}",
    ] {
        assert!(text.contains(series), "{series} is missing in\n{text}");
    }
    let known = documented();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|name| known.contains(*name)));
        assert!(
            known.contains(family.unwrap_or(name)),
            "{name} is not explained"
        );
    }
}

#[tokio::test]
async fn broken_policies_show_until_they_are_mended() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = TestGateway::embedded().provider(&provider);
    let mut gateway = gateway.upstream(&upstream).start().await;
    let current = "vestibule_policy_current{platform=\"main\"}";
    let version = |text: &str| {
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with("vestibule_policy{"));
        let line = lines.next().expect("a policy").to_owned();
        assert_eq!(lines.next(), None, "one is in force");
        line
    };
    shows(&gateway, current, "1").await;
    let before = version(&metrics(&gateway).await);
    gateway.rewrite_policy("access.toml", "[[rule]]\nname = ");
    shows(&gateway, current, "0").await;
    assert_eq!(version(&metrics(&gateway).await), before);
    let loads = "vestibule_policy_loads_total{outcome=\"refused\",platform=\"main\"}";
    shows(&gateway, loads, "1").await;
    gateway.rewrite_policy(
        "access.toml",
        "[[rule]]\nname = \"open\"\npath = \"/**\"\naccess = \"public\"\n",
    );
    shows(&gateway, current, "1").await;
    assert_ne!(version(&metrics(&gateway).await), before);

    let (address, origin) = (gateway.node(0).address(), gateway.origin().to_owned());
    let origin = origin.replace("http://", "");
    let ask = format!("GET /seen HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
    send_raw(&address, ask).await.expect("an answer");
    send_raw(
        &address,
        "GET / HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n",
    )
    .await
    .expect("an answer");
    shows(
        &gateway,
        "vestibule_request_seconds_count{verdict=\"forward\",platform=\"main\"}",
        "1",
    )
    .await;
    shows(
        &gateway,
        "vestibule_upstream_seconds_count{platform=\"main\"}",
        "1",
    )
    .await;
    shows(
        &gateway,
        "vestibule_requests_total{verdict=\"malformed\",status=\"4xx\",platform=\"\"}",
        "1",
    )
    .await;
    wait_until_async("the access log", async || {
        gateway.log().contains("path=\"/seen\"")
    })
    .await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("path=\"/seen\""));
    let line = line.expect("a line");
    let server = upstream.url().replace("http://", "");
    for field in [
        "rule=\"open\"",
        "caller=\"anonymous\"",
        "outcome=\"forward\"",
        &format!("server={server}"),
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
}

/// PO-07: which policies decide on a node stands in its metrics.
#[tokio::test]
async fn nodes_with_different_policies_say_so() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::distributed().nodes(2).provider(&provider);
    let mut gateway = set_up.upstream(&upstream).start().await;
    let version = async |gateway: &TestGateway, node: usize| {
        let answer = wire_client().get(gateway.admin_of(node, "/metrics"));
        let text = answer.send().await.expect("an answer").text().await;
        let text = text.expect("its text");
        let line = text
            .lines()
            .find(|line| line.starts_with("vestibule_policy{"));
        line.expect("a policy").to_owned()
    };
    let before = version(&gateway, 0).await;
    assert_eq!(version(&gateway, 1).await, before);
    let access = gateway.folder().join("policies/access.toml");
    std::fs::write(access, "[[rule]]\nname = \"open\"\npath = \"/open/**\"\n").expect("a file");
    gateway.node(0).signal("HUP");
    wait_until_async("the first node has another policy", async || {
        version(&gateway, 0).await != before
    })
    .await;
    assert_eq!(version(&gateway, 1).await, before);
    gateway.node(1).signal("HUP");
    wait_until_async("both have it", async || {
        version(&gateway, 1).await == version(&gateway, 0).await
    })
    .await;
}
