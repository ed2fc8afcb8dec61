//! Fields that a rule sets in requests and responses, or takes out.

use super::harness::{Answer, ScriptedProvider, TestGateway, Upstream, wire_client};

const ACCESS: &str = r#"
[[rule]]
name = "all"
path = "/**"
access = "public"
[[rule]]
name = "app"
path = "/app/**"
access = "public"
headers.request = { X-Tenant = "acme", X-Scheme = "https", X-Debug = "" }
headers.response = { X-Frame-Options = "DENY", Server = "" }
"#;

const BODY: &str = "HTTP/1.1 200 OK\r\nServer: old/1.0\r\nX-Frame-Options: ALLOWALL\r\n\
                    Content-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_rule_sets_fields_whatever_was_sent_and_takes_them_out() {
    let upstream = Upstream::start().await;
    for path in ["/app/x", "/other"] {
        upstream.answers(path, Answer::raw(BODY));
    }
    let provider = ScriptedProvider::start().await;
    let gateway = TestGateway::embedded()
        .scripted_provider(&provider)
        .upstream(&upstream)
        .policy("access.toml", ACCESS)
        .start()
        .await;
    let ask = async |path: &str| {
        let request = wire_client().get(format!("{}{path}", gateway.origin()));
        let request = request
            .header("X-Tenant", "evil")
            .header("X-Debug", "1")
            .header("X_Tenant", "evil too");
        request.send().await.expect("an answer")
    };
    let answer = ask("/app/x").await;
    let got = upstream.last_request();
    assert_eq!(got.all_headers("x-tenant"), ["acme"]);
    assert_eq!(
        got.header("x_tenant"),
        None,
        "a server may read it as the same"
    );
    assert_eq!(got.header("x-scheme"), Some("https"));
    assert_eq!(got.header("x-debug"), None);
    let frames = answer.headers().get_all("x-frame-options");
    assert_eq!(frames.iter().collect::<Vec<_>>(), ["DENY"]);
    assert!(!answer.headers().contains_key("server"));

    let answer = ask("/other").await;
    let got = upstream.last_request();
    assert_eq!(got.all_headers("x-tenant"), ["evil"]);
    assert_eq!(got.header("x_tenant"), Some("evil too"));
    assert_eq!(got.header("x-debug"), Some("1"));
    assert_eq!(answer.headers()["x-frame-options"], "ALLOWALL");
}
