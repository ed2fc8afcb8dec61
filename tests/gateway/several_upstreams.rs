//! Several systems behind one gateway: each gets its hosts and paths, and is told in its own words.

use reqwest::StatusCode;
use serde_json::Value;

use super::first_login::{giulia, registers};
use super::harness::{
    GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups, read_assertion,
    wire_client,
};

/// A second upstream for a path, with a hand-off of its own, and a third for another host.
fn further(charts: &Upstream, shop: &Upstream) -> String {
    format!(
        "[upstream.hand_off]
         assertion = {{ audience = \"things\" }}
         [[upstream]]
         name = \"charts\"
         paths = [\"/charts/**\"]
         servers = [\"{}\"]
         [upstream.hand_off]
         user = \"X-WebAuth-User\"
         assertion = {{ audience = \"charts\", algorithm = \"EdDSA\" }}
         [[upstream]]
         name = \"shop\"
         hosts = [\"second.localhost\"]
         servers = [\"{}\"]
         [[host]]
         origin = \"http://second.localhost:$PORT\"
",
        charts.url(),
        shop.url(),
    )
}

on_both_set_ups!(each_upstream_gets_its_own_and_is_told_in_its_own_words);

async fn each_upstream_gets_its_own_and_is_told_in_its_own_words(set_up: GatewayBuilder<'_>) {
    let (provider, things) = (OidcProvider::start().await, Upstream::start().await);
    let (charts, shop) = (Upstream::start().await, Upstream::start().await);
    giulia(&provider).await;
    let set_up = set_up.provider(&provider).upstream(&things);
    let gateway = set_up.config(&further(&charts, &shop)).start().await;
    let browser = gateway.browser();
    let page = browser.open("/things/1").await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/things/1").await;
    browser.open("/charts/d/7").await;
    assert_eq!(shop.requests().len(), 0);

    let thing = things.last_request();
    assert_eq!(thing.target, "/things/1");
    let user = thing.header("x-vestibule-user").expect("the user");
    assert_eq!(thing.header("x-webauth-user"), None);
    let chart = charts.last_request();
    assert_eq!(chart.target, "/charts/d/7");
    assert_eq!(chart.header("x-webauth-user"), Some(user));
    assert_eq!(chart.header("x-vestibule-user"), None);

    let keys = wire_client().get(format!("{}/auth/jwks.json", gateway.origin()));
    let keys: Value = keys.send().await.expect("keys").json().await.expect("JSON");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    for (received, audience) in [(&thing, "things"), (&chart, "charts")] {
        let token = received.header("x-vestibule-assertion").expect("a token");
        let read = read_assertion(token, &keys, (gateway.origin(), audience)).await;
        assert_eq!(read["claims"]["sub"], user, "{read}");
    }
}

#[tokio::test]
async fn the_upstream_of_a_request_is_explained() {
    let (things, charts, shop) = (
        Upstream::start().await,
        Upstream::start().await,
        Upstream::start().await,
    );
    let provider = OidcProvider::start().await;
    let set_up = TestGateway::embedded()
        .provider(&provider)
        .upstream(&things);
    let gateway = set_up.config(&further(&charts, &shop)).start().await;
    let explained = |request, host| gateway.run(&["explain", "--request", request, "--host", host]);
    assert!(explained("GET /charts/x", "localhost").contains("Upstream: charts"));
    assert!(explained("GET /chartsx", "localhost").contains("Upstream: main"));
    assert!(explained("GET /x", "second.localhost").contains("Upstream: shop"));
}

#[tokio::test]
async fn nobody_says_to_one_upstream_what_another_believes() {
    let (provider, things) = (OidcProvider::start().await, Upstream::start().await);
    let (charts, shop) = (Upstream::start().await, Upstream::start().await);
    let public = "[[rule]]\nname = \"all\"\npath = \"/**\"\naccess = \"public\"\n";
    let set_up = TestGateway::embedded()
        .provider(&provider)
        .upstream(&things);
    let set_up = set_up.policy("access.toml", public);
    let gateway = set_up.config(&further(&charts, &shop)).start().await;
    let asked = |host: &'static str, path: &str| {
        let address = format!("{}{path}", gateway.origin());
        let request = wire_client().get(address).header("host", host);
        let request = request.header("x-webauth-user", "admin");
        request.header("x-vestibule-user", "admin").send()
    };
    for (host, path, upstream) in [
        ("localhost", "/x", &things),
        ("localhost", "/charts", &charts),
        ("second.localhost", "/x", &shop),
        ("second.localhost", "/charts/x", &charts),
    ] {
        let answer = asked(host, path).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{host}{path}");
        let received = upstream.last_request();
        assert_eq!(received.target, path, "{host}{path}");
        assert_eq!(received.header("x-webauth-user"), None);
        assert_eq!(received.header("x-vestibule-user"), None);
    }
}
