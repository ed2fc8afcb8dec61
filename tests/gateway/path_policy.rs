//! Policy decides on one path, and the upstream gets that path, octet for octet.

use super::harness::{Front, status};

/// PN: none of these reaches `/admin`, signed in or not.
#[tokio::test]
async fn no_spelling_of_a_path_gets_around_its_rule() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    for target in [
        "/admin?x=/public/",
        "/admin?/public/endpoint",
        "/public%2f..%2fadmin",
        "/public%2F%2e%2e%2Fadmin",
        "/public/%2e%2e/admin",
        "/public/%252e%252e/admin",
        "/public/../admin",
        "/public/..;/admin",
        "/public/.%2e/admin",
        "/admin/",
        "/admin/.",
        "/admin//",
        "//admin",
        "/public//..//admin",
        "/admin;x=1",
        "/admin;/",
        "/;/admin",
        "/admin%3b",
        "\\admin",
        "/public\\..\\admin",
        "/public/..%5cadmin",
        "/%61dmin",
        "/admi%6e/x",
        "/admin%2fx",
        "/admin%00",
        "/admin%0d%0a",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%u002e%u002e/admin",
        "/auth/../admin",
        "/auth/callback/../../admin",
        "http://app.example.com/admin",
        "https://app.example.com/public/../admin",
        "ftp://app.example.com/admin",
        "http://b.example.com/admin",
        "*",
        "app.example.com:443",
    ] {
        for cookie in ["Cookie: a=b", &format!("Cookie: {}", alice.cookie)] {
            let answer = front.request(&format!("GET {target}"), &[cookie]).await;
            assert!(
                matches!(status(&answer), 400 | 401 | 403),
                "{target} got {answer}"
            );
        }
        assert_eq!(
            front.upstream.requests().len(),
            0,
            "{target} reached the upstream"
        );
    }
}

#[tokio::test]
async fn the_upstream_gets_the_canonical_path_and_the_query_as_sent() {
    let front = Front::start().await;
    for (sent, received) in [
        (
            "/public/a?b=%2F..%2f&c=/../d",
            "/public/a?b=%2F..%2f&c=/../d",
        ),
        ("/public/%c3%bc", "/public/%C3%BC"),
        ("/public/ü", "/public/%C3%BC"),
        ("/%70ublic/%7euser", "/public/~user"),
        ("/public/", "/public/"),
        ("/public/a[1]|b", "/public/a%5B1%5D%7Cb"),
        ("/public/．．/admin", "/public/%EF%BC%8E%EF%BC%8E/admin"),
        ("/public?", "/public?"),
        ("http://app.example.com/public/x?y", "/public/x?y"),
    ] {
        let answer = front.request(&format!("GET {sent}"), &[]).await;
        assert_eq!(status(&answer), 200, "{sent}: {answer}");
        assert_eq!(front.upstream.last_request().target, received, "{sent}");
    }
}

#[tokio::test]
async fn a_prefix_ends_at_a_segment_border() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let cookie = format!("Cookie: {}", alice.cookie);
    assert_eq!(
        status(&front.request("GET /administer", &[&cookie]).await),
        200
    );
    assert_eq!(
        status(&front.request("GET /admin/x", &[&cookie]).await),
        403
    );
    assert_eq!(status(&front.request("GET /publicity", &[]).await), 401);
}

#[tokio::test]
async fn the_gateways_own_prefix_is_never_forwarded() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let cookie = format!("Cookie: {}", alice.cookie);
    for path in ["/auth", "/auth/", "/auth/unknown", "/%61uth/x", "/auth/x?y"] {
        let answer = front.request(&format!("GET {path}"), &[&cookie]).await;
        assert_eq!(status(&answer), 404, "{path}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn hosts_are_those_that_are_configured() {
    let front = Front::start().await;
    for host in [
        "evil.example",
        "app.example.com.evil.example",
        "127.0.0.1",
        "example.com",
    ] {
        let answer = front
            .raw(format!(
                "GET /public/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), 421, "{host}");
    }
    for host in [
        "user@app.example.com",
        "app.example.com/x",
        "app.example.com:x",
        "a b",
    ] {
        let answer = front
            .raw(format!(
                "GET /public/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(matches!(status(&answer), 400 | 421), "{host}: {answer}");
    }
    assert_eq!(front.upstream.requests().len(), 0);
    let answer = front
        .raw("GET /public/a HTTP/1.1\r\nHost: APP.example.com:8443\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&answer), 200);
    assert_eq!(
        front.upstream.last_request().header("host"),
        Some("app.example.com")
    );
}

#[tokio::test]
async fn a_session_of_one_host_is_none_on_another() {
    let front = Front::start().await;
    let alice = front.sign_in("b.example.com").await;
    let cookie = format!("Cookie: {}", alice.cookie);
    assert_eq!(status(&front.request("GET /things", &[&cookie]).await), 401);
    assert_eq!(front.upstream.requests().len(), 0);
}

/// PO-03: only navigations are sent to the login; everything else gets 401.
#[tokio::test]
async fn strangers_are_sent_to_the_login_only_when_they_navigate() {
    let front = Front::start().await;
    let answer = front
        .request("GET /things?a=b", &["Accept: text/html"])
        .await;
    assert_eq!(status(&answer), 303);
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("location: /auth/login?return_to=/things%3fa%3db"),
        "{answer}"
    );
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("cache-control: no-store")
    );
    for fields in [
        &["Accept: application/json"][..],
        &["Accept: text/html", "X-Requested-With: XMLHttpRequest"],
        &["Accept: text/html", "Sec-Fetch-Mode: cors"],
        &[
            "Accept: text/html",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Dest: iframe",
        ],
        &["Accept: text/html", "Sec-Purpose: prefetch"],
    ] {
        let answer = front.request("GET /things", fields).await;
        assert_eq!(status(&answer), 401, "{fields:?}");
        assert!(
            answer
                .to_ascii_lowercase()
                .contains("www-authenticate: bearer"),
            "{answer}"
        );
        assert!(
            answer.contains("\"continue_at\":\"/auth/login\""),
            "{answer}"
        );
    }
    let answer = front
        .request("POST /things", &["Accept: text/html", "Content-Length: 0"])
        .await;
    assert_eq!(status(&answer), 401);
    assert_eq!(front.upstream.requests().len(), 0);
}

/// RG-21: before the registration is complete nothing of that user reaches the upstream.
#[tokio::test]
async fn a_pending_registration_reaches_nothing() {
    let front = Front::start().await;
    let newcomer = front.sign_in_pending("app.example.com").await;
    let cookie = format!("Cookie: {}", newcomer.cookie);
    let page = front
        .request("GET /things", &[&cookie, "Accept: text/html"])
        .await;
    assert_eq!(status(&page), 303);
    assert!(
        page.to_ascii_lowercase()
            .contains("location: /auth/register\r\n"),
        "{page}"
    );
    let head = front
        .request("HEAD /things", &[&cookie, "Accept: text/html"])
        .await;
    assert_eq!(status(&head), 303);
    for (line, field) in [
        ("GET /api/things", "Accept: application/json"),
        ("HEAD /api/things", "Accept: */*"),
        ("GET /ws", "Upgrade: websocket"),
        ("GET /things", "Sec-Purpose: prefetch"),
        ("POST /api/things", "Content-Length: 0"),
    ] {
        let answer = front.request(line, &[&cookie, field]).await;
        assert_eq!(status(&answer), 403, "{line}: {answer}");
        if !line.starts_with("HEAD") {
            assert!(answer.contains("registration_required"), "{answer}");
        }
    }
    assert_eq!(front.upstream.requests().len(), 0);
    let public = front.request("GET /public/a", &[&cookie]).await;
    assert_eq!(status(&public), 200);
    assert_eq!(
        front.upstream.last_request().header("x-vestibule-user"),
        None
    );
}

/// PN-17: browsers send no cookie with a preflight; it passes as nobody, with both of its fields
/// only, and tells the upstream nothing that the client made up.
#[tokio::test]
async fn a_preflight_passes_as_nobody() {
    let front = Front::start().await;
    let (origin, asked) = (
        "Origin: https://a.example",
        "Access-Control-Request-Method: PUT",
    );
    let preflight = [origin, asked, "X-Vestibule-User: root"];
    assert_eq!(
        status(&front.request("OPTIONS /things", &preflight).await),
        200
    );
    let request = front.upstream.last_request();
    assert!(request.method == "OPTIONS" && request.header("x-vestibule-user").is_none());
    front.upstream.forget();
    for (line, fields) in [
        ("OPTIONS /things", &[origin][..]),
        ("OPTIONS /things", &[asked]),
        ("OPTIONS /admin", &[origin, asked]),
        ("GET /things", &[origin, asked]),
    ] {
        assert_eq!(
            status(&front.request(line, fields).await),
            401,
            "{line} {fields:?}"
        );
    }
    assert_eq!(front.upstream.requests().len(), 0);
}
