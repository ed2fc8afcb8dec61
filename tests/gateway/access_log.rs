//! What the access log says of a request: the rule that decided, and by which policy, whatever was
//! decided.

use super::harness::{
    OidcProvider, TestGateway, Upstream, send_raw, wait_until_async, wire_client,
};

const RULES: &str = r#"
[[rule]]
name = "open"
path = "/open"
access = "public"
[[rule]]
name = "posts"
path = "/posts"
access = "public"
require = "request.method == 'POST'"
[[rule]]
name = "programs"
path = "/api/**"
access = "api"
[[rule]]
name = "things"
path = "/things/**"
"#;

/// The line of the access log about a path.
pub async fn access_line(gateway: &TestGateway, path: &str) -> String {
    let path = format!("path=\"{path}\"");
    let find = || {
        let log = gateway.log();
        let mut lines = log.lines().filter(|line| line.contains(" access: "));
        lines.rfind(|line| line.contains(&path)).map(str::to_owned)
    };
    wait_until_async("the access log", async || find().is_some()).await;
    find().expect("a line")
}

#[tokio::test]
async fn every_decision_names_its_rule_and_policy() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = TestGateway::embedded().provider(&provider);
    let gateway = gateway.upstream(&upstream).policy("access.toml", RULES);
    let mut gateway = gateway.start().await;
    let metrics = wire_client().get(gateway.admin("/metrics")).send().await;
    let metrics = metrics.expect("an answer").text().await.expect("its text");
    let (_, version) = metrics
        .split_once("vestibule_policy{version=\"")
        .expect("a policy");
    let (version, _) = version.split_once('"').expect("its version");

    let address = gateway.node(0).address();
    let host = gateway.origin().replace("http://", "");
    for (path, status, rule, outcome) in [
        ("/open", 200, "open", "forward"),
        ("/posts", 403, "posts", "forbid"),
        ("/api/x", 401, "programs", "challenge"),
        ("/things/1", 303, "things", "log_in"),
        ("/other", 303, "default", "log_in"),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        let answer = send_raw(&address, request).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}");
        let line = access_line(&gateway, path).await;
        for field in [
            format!("status={status}"),
            format!("outcome=\"{outcome}\""),
            format!("rule=\"{rule}\""),
            format!("policy=\"{version}\""),
        ] {
            assert!(line.contains(&field), "{field}: {line}");
        }
    }
    let page = format!("GET /auth/login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    send_raw(&address, page).await.expect("an answer");
    let line = access_line(&gateway, "/auth/login").await;
    assert!(
        line.contains("rule=\"-\"") && !line.contains("policy="),
        "{line}"
    );
}
