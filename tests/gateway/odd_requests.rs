//! Requests that no page of the gateway sends, to every page that it has: no crash, no trip to
//! anywhere, no session.

use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::net::TcpListener;

use super::first_login::{giulia, registers};
use super::harness::{
    GatewayBuilder, OidcProvider, RawConnection, ScriptedProvider, TestGateway, Upstream,
    on_both_set_ups, wire_client,
};

const PAGES: [&str; 20] = [
    "/auth/login",
    "/auth/login/corp",
    "/auth/login/nobody",
    "/auth/callback",
    "/auth/continue",
    "/auth/register",
    "/auth/register/email",
    "/auth/register/link",
    "/auth/register/progress",
    "/auth/register/prove",
    "/auth/register/approval",
    "/auth/register/invitation",
    "/auth/password",
    "/auth/password/new",
    "/auth/accept",
    "/auth/verify",
    "/auth/logout",
    "/auth/language",
    "/auth/hand-off/token",
    "/auth/agreements/terms",
];

async fn unlimited(provider: &ScriptedProvider, upstream: &Upstream) -> TestGateway {
    TestGateway::embedded()
        .scripted_provider(provider)
        .upstream(upstream)
        .policy("limits.toml", "")
        .start()
        .await
}

/// PX-21: bodies that are empty, of no type or of a wrong one; the answer is never a fault of ours.
#[tokio::test]
async fn odd_bodies_bring_no_page_down() {
    let (provider, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let gateway = unlimited(&provider, &upstream).await;
    let client = wire_client();
    let types = [
        None,
        Some(""),
        Some("application/x-www-form-urlencoded"),
        Some("application/json"),
        Some("multipart/form-data"),
        Some("\u{ff}"),
    ];
    let bodies: [&[u8]; 6] = [
        b"",
        b"&&&===%",
        b"{\"a\":",
        b"\0\xff\xfe",
        b"form_token=%00&email=%ff%fe&return_to=%0d%0aX:%20y",
        b"email=a&email=b&form_token=",
    ];
    for page in PAGES {
        for kind in types {
            for body in bodies {
                let mut request = client
                    .post(format!("{}{page}", gateway.origin()))
                    .header("Origin", gateway.origin())
                    .body(body.to_vec());
                if let Some(kind) = kind {
                    let kind: Vec<u8> = kind.chars().map(|c| c as u8).collect();
                    request = request.header("Content-Type", kind);
                }
                let answer = request.send().await.expect("an answer");
                let shown = format!("{page} {kind:?} {body:?}: {}", answer.status());
                assert!(answer.status().as_u16() < 500, "{shown}");
                assert!(!sets_session(answer.headers()), "{shown}");
            }
        }
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "get", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = client.request(method.clone(), format!("{}{page}", gateway.origin()));
            let answer = request.send().await.expect("an answer");
            assert!(
                answer.status().as_u16() < 500,
                "{method} {page}: {}",
                answer.status()
            );
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

fn sets_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all("set-cookie");
    cookies.iter().any(|cookie| {
        let cookie = cookie.to_str().unwrap_or_default();
        cookie.starts_with("__Host-vestibule=") && !cookie.starts_with("__Host-vestibule=;")
    })
}

/// SS-01, SS-03: addresses in requests and in what a provider says of itself, which nobody asked
/// for, are never visited.
#[tokio::test]
async fn nobody_sends_the_gateway_anywhere() {
    let (provider, upstream) = (ScriptedProvider::start().await, Upstream::start().await);
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = format!("http://{}", trap.local_addr().unwrap());
    let bait = there.clone();
    provider.forge_discovery(move |metadata| {
        for name in [
            "logo_uri",
            "op_policy_uri",
            "service_documentation",
            "request_uri",
            "sector_identifier_uri",
            "registration_endpoint",
            "check_session_iframe",
        ] {
            metadata[name] = bait.clone().into();
        }
    });
    let gateway = unlimited(&provider, &upstream).await;
    for query in [
        format!("iss={there}"),
        format!("iss={there}&target_link_uri={there}/x&login_hint=a@b"),
        format!("issuer={there}&resource=acct:a@{there}"),
        format!("request_uri={there}&return_to=/things"),
        format!("return_to={there}"),
    ] {
        for page in ["/auth/login", "/auth/login/corp", "/auth/callback"] {
            let address = format!("{}{page}?{query}", gateway.origin());
            let request = wire_client().get(address).header("Accept", "text/html");
            let answer = request.send().await.expect("an answer");
            let location = answer.headers().get("location");
            let location = location.map_or("", |location| location.to_str().unwrap());
            assert!(!location.starts_with(&there), "{page}?{query}: {location}");
            if page == "/auth/login/corp" && !location.is_empty() {
                assert!(location.starts_with(&provider.issuer), "{location}");
                let sent = location.replace("%3A", ":").replace("%2F", "/");
                assert!(!sent.contains(&there), "{page}?{query}: {location}");
            }
        }
    }
    let browser = gateway.browser();
    browser.open("/things").await;
    let visit = tokio::time::timeout(std::time::Duration::from_secs(1), trap.accept());
    assert!(visit.await.is_err(), "the gateway went where it was sent");
}

/// LO-03: no logout token is taken anywhere: a forged one ends no session.
#[tokio::test]
async fn nothing_takes_logout_tokens() {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let set_up = TestGateway::embedded().provider(&provider);
    let gateway = set_up.upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    for page in [
        "/auth/logout",
        "/auth/backchannel-logout",
        "/auth/backchannel_logout",
        "/auth/logout/backchannel",
        "/auth/callback",
        "/auth/logged-out",
    ] {
        let query = "?logout_token=e30.e30.&sid=s-1&iss=https://idp.example.com";
        for address in [page.to_owned(), format!("{page}{query}")] {
            let answer = wire_client()
                .post(format!("{}{address}", gateway.origin()))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body("logout_token=e30.e30.&sub=giulia")
                .send()
                .await
                .expect("an answer");
            assert!(
                answer.status().is_client_error(),
                "{address}: {}",
                answer.status()
            );
        }
    }
    browser.fetch("GET", "/things", None).await.has_status(200);
}

on_both_set_ups!(texts_that_stores_stumble_over_are_told_so);

/// FT-07: NUL, which PostgreSQL keeps in no text, characters of four octets, and a field of 70 KiB:
/// a mistake that is told, or kept as it is; never a fault.
async fn texts_that_stores_stumble_over_are_told_so(set_up: GatewayBuilder<'_>) {
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
    giulia(&provider).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    let cookie = browser.cookie("__Host-vestibule").expect("a session");
    let token = page.value_of("form_token").expect("a token");
    let long = "x".repeat(70_000);
    for company in [
        "%00",
        "a%00b",
        "%F0%9D%84%9E",
        "%ED%A0%80",
        "%ff",
        "\u{202e}x",
        &long,
    ] {
        let answer = wire_client()
            .post(format!("{}/auth/register", gateway.origin()))
            .header("Origin", gateway.origin())
            .header("Cookie", format!("__Host-vestibule={cookie}"))
            .header("Accept", "text/html")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!(
                "form_token={token}&account_type=business&company={company}"
            ))
            .send()
            .await
            .expect("an answer");
        let shown: String = company.chars().take(20).collect();
        let status = answer.status().as_u16();
        assert!((400..500).contains(&status), "{shown}: {status}");
    }
    let host = gateway.origin().trim_start_matches("http://").to_owned();
    let mut raw = RawConnection::open(&host).await;
    let login = "/auth/login?return_to=/%00&name=%00";
    let head = format!("GET {login} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n");
    raw.send(head).await;
    assert!(raw.answer().await.expect("an answer").status < 500);
    let page = registers(page).await;
    page.waits_until_on("/").await;
}
