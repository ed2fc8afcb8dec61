//! What the upstream is told about a user comes from the gateway alone.

use super::harness::{Answer, Front, FrontSettings, SignedIn, status};

const LIES: [&str; 24] = [
    "X-Vestibule-User: root",
    "x-vestibule-USER: root",
    "X_Vestibule_User: root",
    "X.Vestibule.User: root",
    "X-Vestibule_Customer: root",
    "X-Vestibule-Email: root@example.com",
    "X-Vestibule-Anything: root",
    "X-Forwarded-For: 1.2.3.4",
    "X_Forwarded_For: 1.2.3.4",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: javascript",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Client-Cert: root",
    "Forwarded: for=1.2.3.4",
    "X-Real-IP: 1.2.3.4",
    "X-Original-URL: /admin",
    "X-Rewrite-URL: /admin",
    "X-Original-Host: evil.example",
    "X-Envoy-Internal: true",
    "CF-Connecting-IP: 1.2.3.4",
    "True-Client-IP: 1.2.3.4",
    "X-ProxyUser-IP: 1.2.3.4",
    "X-HTTP-Method-Override: DELETE",
];

/// Names of everything that arrived, folded as CGI does.
fn folded_names(front: &Front) -> Vec<String> {
    let request = front.upstream.last_request();
    let fold = |name: &String| -> String {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        name.chars().map(plain).collect()
    };
    request.headers.iter().map(|(name, _)| fold(name)).collect()
}

async fn signed_in(front: &Front) -> (SignedIn, String) {
    let alice = front.sign_in("app.example.com").await;
    let field = format!("Cookie: {}", alice.cookie);
    (alice, field)
}

#[tokio::test]
async fn lies_of_a_client_reach_the_upstream_in_no_spelling() {
    let front = Front::start().await;
    let (_alice, cookie) = signed_in(&front).await;
    let everything: Vec<&str> = LIES.iter().chain(&LIES).copied().collect();
    for line in [
        "GET /public/a",
        "OPTIONS /public/a",
        "POST /public/a",
        "DELETE /public/a",
    ] {
        let answer = front.request(line, &everything).await;
        assert_eq!(status(&answer), 200, "{line}");
        let names = folded_names(&front);
        assert!(
            !names.iter().any(|name| name.starts_with("x_vestibule")),
            "{names:?}"
        );
        assert_only_ours(&front);
    }
    let with_session: Vec<&str> = everything
        .iter()
        .copied()
        .chain([cookie.as_str()])
        .collect();
    let answer = front.request("GET /things", &with_session).await;
    assert_eq!(status(&answer), 200);
    let request = front.upstream.last_request();
    assert_eq!(request.all_headers("x-vestibule-user"), ["user-1"]);
    assert_eq!(request.all_headers("x-vestibule-customer"), ["customer-1"]);
    assert_eq!(
        request.all_headers("x-vestibule-email"),
        ["alice@acme.example"]
    );
    assert_only_ours(&front);
}

/// The forwarding fields are the gateway's own, once each, and no other of the family is there.
#[track_caller]
fn assert_only_ours(front: &Front) {
    let request = front.upstream.last_request();
    assert_eq!(request.all_headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.all_headers("x-forwarded-proto"), ["https"]);
    assert_eq!(request.all_headers("x-forwarded-host"), ["app.example.com"]);
    let names = folded_names(front);
    for lie in LIES {
        let name = lie
            .split(':')
            .next()
            .unwrap()
            .to_ascii_lowercase()
            .replace(['-', '.'], "_");
        let is_ours = ["x_forwarded_for", "x_forwarded_proto", "x_forwarded_host"]
            .contains(&name.as_str())
            || name.starts_with("x_vestibule");
        let count = names.iter().filter(|own| **own == name).count();
        assert!(count == 0 || (is_ours && count == 1), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn nobody_is_named_without_a_session() {
    let front = Front::start().await;
    for cookie in [
        "a=b",
        "__Host-vestibule=",
        "__Host-vestibule=AAAA",
        "__Host-vestibule",
    ] {
        let answer = front
            .request("GET /public/a", &[&format!("Cookie: {cookie}")])
            .await;
        assert_eq!(status(&answer), 200);
        assert_eq!(
            front.upstream.last_request().header("x-vestibule-user"),
            None
        );
    }
}

#[tokio::test]
async fn connection_may_not_nominate_what_the_gateway_sets() {
    let front = Front::start().await;
    let (_alice, cookie) = signed_in(&front).await;
    for option in [
        "X-Vestibule-User",
        "x_vestibule_user",
        "x-forwarded-for",
        "cookie",
        "host",
    ] {
        let field = format!("Connection: close, {option}");
        let answer = front
            .raw(format!(
                "GET /things HTTP/1.1\r\nHost: app.example.com\r\n{field}\r\n{cookie}\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), 400, "{option}: {answer}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn the_gateways_cookies_stay_here_and_all_others_pass_byte_for_byte() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let cookie = format!(
        "Cookie: a=1; {}; b=\"x y\"; __Host-vestibule-attempt.1=s; c",
        alice.cookie
    );
    front.request("GET /things", &[&cookie]).await;
    assert_eq!(
        front.upstream.last_request().all_headers("cookie"),
        ["a=1; b=\"x y\"; c"]
    );
    front
        .request("GET /things", &[&format!("Cookie: {}", alice.cookie)])
        .await;
    assert!(
        front
            .upstream
            .last_request()
            .all_headers("cookie")
            .is_empty()
    );
    front
        .request(
            "GET /things",
            &["Cookie: a=1", &format!("Cookie: {}", alice.cookie)],
        )
        .await;
    assert_eq!(front.upstream.last_request().all_headers("cookie"), ["a=1"]);
    front
        .request("GET /public/a", &["Cookie: a=1;b=2;  c=3"])
        .await;
    assert_eq!(
        front.upstream.last_request().all_headers("cookie"),
        ["a=1;b=2;  c=3"]
    );
}

#[tokio::test]
async fn other_fields_pass_as_they_are() {
    let front = Front::start().await;
    let fields = [
        "Authorization: Basic YTpi",
        "Range: bytes=0-1",
        "X-Requested-With: a",
        "ETag: \"x\"",
    ];
    front.request("GET /public/a", &fields).await;
    let request = front.upstream.last_request();
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(request.all_headers(name), [value]);
    }
}

#[tokio::test]
async fn claims_are_data() {
    let front = Front::start().await;
    let account = |email: &str| serde_json::json!({ "email": email });
    let stage = || {
        use vestibule::identity::{Account, PlatformId, UserId};
        vestibule::session::Stage::Live(Account {
            platform: PlatformId::new("demo"),
            user: UserId::new("Zoë"),
            customer: None,
            account_type: None,
        })
    };
    let zoe = front
        .begin("app.example.com", stage(), account("zoë@acme.example"))
        .await;
    front
        .request("GET /things", &[&format!("Cookie: {}", zoe.cookie)])
        .await;
    let request = front.upstream.last_request();
    assert_eq!(request.header("x-vestibule-user"), Some("Zo%C3%AB"));
    assert_eq!(
        request.header("x-vestibule-email"),
        Some("zo%C3%AB@acme.example")
    );
    assert_eq!(request.header("x-vestibule-customer"), None);
    front.upstream.forget();
    for email in [
        "a@b.example\r\nX-Vestibule-User: root",
        "a\0b",
        &"a".repeat(5000),
    ] {
        let evil = front
            .begin("app.example.com", stage(), account(email))
            .await;
        let answer = front
            .request("GET /things", &[&format!("Cookie: {}", evil.cookie)])
            .await;
        assert_eq!(status(&answer), 403, "{answer}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn the_upstream_cannot_set_the_gateways_cookies_nor_pass_hop_by_hop_fields() {
    let front = Front::start().await;
    front.upstream.answers(
        "/public/evil",
        Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n\
             Set-Cookie: __Host-vestibule=stolen; Path=/\r\nSet-Cookie: =__Host-vestibule=stolen\r\n\
             set-cookie: __HOST-vestibule-x=stolen\r\nSet-Cookie: b=2\r\nConnection: X-Secret\r\n\
             X-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nServer: nginx\r\n\
             \r\nok",
        ),
    );
    let answer = front
        .request("GET /public/evil", &[])
        .await
        .to_ascii_lowercase();
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("set-cookie: a=1\r\n") && answer.contains("set-cookie: b=2\r\n"));
    assert!(answer.contains("server: nginx\r\n"), "{answer}");
    for gone in ["stolen", "x-secret", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.contains(gone), "{gone} in {answer}");
    }
}

#[tokio::test]
async fn forwarded_addresses_count_from_configured_proxies_only() {
    let settings = FrontSettings {
        trusted_proxies: vec![
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ],
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    for (sent, told) in [
        ("X-Forwarded-For: 10.9.9.9, 192.0.2.10", "192.0.2.10"),
        (
            "X-Forwarded-For: 1.2.3.4, 192.0.2.10, 10.0.0.3",
            "192.0.2.10",
        ),
        ("X-Forwarded-For: unknown", "127.0.0.1"),
        ("Forwarded: for=192.0.2.77", "127.0.0.1"),
    ] {
        front.request("GET /public/a", &[sent]).await;
        assert_eq!(
            front.upstream.last_request().all_headers("x-forwarded-for"),
            [told],
            "{sent}"
        );
    }
}

/// Trailers are fields too.
#[tokio::test]
async fn identity_in_trailers_reaches_nobody() {
    let front = Front::start().await;
    let answer = front
        .raw(
            "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Vestibule-User\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\
             X-Vestibule-User: root\r\n\r\n",
        )
        .await;
    let received = front.upstream.requests();
    assert!(received.len() <= 1, "{answer}");
    for request in received {
        let head = String::from_utf8_lossy(&request.head).to_ascii_lowercase();
        assert!(!head.contains("root"), "{head}");
        assert!(!String::from_utf8_lossy(&request.body).contains("root"));
    }
}
