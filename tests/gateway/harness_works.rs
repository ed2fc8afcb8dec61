//! The harness itself: each neighbour is real and answers.

use serde_json::json;
use sqlx::Connection;

use super::harness::{
    Answer, Browser, Endpoint, Mailbox, OidcProvider, Postgres, RawConnection, Redis,
    ScriptedProvider, Upstream,
};

#[tokio::test]
async fn the_provider_logs_a_person_in_and_sends_them_back() {
    let gateway = Upstream::start().await;
    gateway.answers("/auth/callback", Answer::html("<p>welcome back</p>"));
    let callback = format!("{}/auth/callback", gateway.url());
    let provider = OidcProvider::start().await;
    provider
        .register(std::slice::from_ref(&callback), &[])
        .await;
    provider
        .person("mario", json!({ "email": "mario@acme.example" }))
        .await;

    let address = format!(
        "{}/auth?response_type=code&client_id=vestibule&scope=openid%20email&state=s&redirect_uri={}\
         &code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        provider.issuer, callback
    );
    let page = Browser::at(&gateway.url())
        .open(&address)
        .await
        .login_at_provider("mario")
        .await;

    assert!(page.text().contains("welcome back"), "{page:?}");
    let query = page.url().query().expect("a query");
    assert!(
        query.contains("code=") && query.contains("iss=http"),
        "{query}"
    );
}

#[tokio::test]
async fn the_provider_rotates_keys_stops_and_resumes() {
    let provider = OidcProvider::start().await;
    let keys = format!("{}/jwks", provider.issuer);
    let browser = Browser::at(&provider.issuer);
    let before = browser.open(&keys).await.json();
    provider.stop().await;
    provider.resume().await;
    assert_eq!(browser.open(&keys).await.json(), before);
    provider.rotate_keys().await;
    assert_ne!(browser.open(&keys).await.json(), before);
}

#[tokio::test]
async fn the_mailbox_keeps_letters() {
    use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
    let mailbox = Mailbox::start().await;
    let letter = Message::builder()
        .from("Acme <no-reply@acme.example>".parse().unwrap())
        .to("mario@acme.example".parse().unwrap())
        .subject("Grüße")
        .body("Willkommen".to_owned())
        .unwrap();
    let smtp = AsyncSmtpTransport::<Tokio1Executor>::from_url(&mailbox.url())
        .unwrap()
        .build();
    smtp.send(letter).await.unwrap();

    let arrived = mailbox.wait_for("Mario@acme.example").await;
    assert_eq!(arrived.subject, "Grüße");
    assert_eq!(arrived.text.trim(), "Willkommen");
}

#[tokio::test]
async fn every_test_has_a_database_of_its_own() {
    let first = Postgres::shared().fresh_database().await;
    let second = Postgres::shared().fresh_database().await;
    assert_ne!(first, second);
    let mut connection = sqlx::PgConnection::connect(&first).await.unwrap();
    sqlx::query("CREATE TABLE things (id TEXT)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut connection = sqlx::PgConnection::connect(&second).await.unwrap();
    sqlx::query("CREATE TABLE things (id TEXT)")
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn redis_stops_and_comes_back_on_the_same_port() {
    let mut redis = Redis::start();
    let client = redis::Client::open(redis.url(3)).unwrap();
    let set = redis::cmd("SET").arg("a").arg("b").clone();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    set.exec_async(&mut connection).await.unwrap();
    redis.stop();
    assert!(client.get_multiplexed_async_connection().await.is_err());
    redis.resume_after_stop();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    set.exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn the_upstream_keeps_what_it_received() {
    let upstream = Upstream::start().await;
    let browser = Browser::at(&upstream.url());
    let page = browser.open("/a%2Fb?q=1").await.has_status(200);
    assert_eq!(page.json()["target"], "/a%2Fb?q=1");
    let request = upstream.last_request();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/a%2Fb?q=1")
    );
    assert_eq!(request.header("sec-fetch-mode"), Some("navigate"));
}

#[tokio::test]
async fn a_raw_connection_sends_what_no_client_would() {
    let upstream = Upstream::start().await;
    let address = upstream.url().replace("http://", "");
    let mut connection = RawConnection::open(&address).await;
    for target in ["/../a", "/b c"] {
        connection
            .send(format!("GET {target} HTTP/1.1\r\nX_Odd : 1\r\n\r\n"))
            .await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("CONTENT-type")),
            (200, Some("application/json"))
        );
    }
    assert_eq!(upstream.requests()[0].target, "/../a");
    assert!(!connection.is_closed().await);
    upstream.stop().await;
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn the_upstream_echoes_websocket_messages() {
    use futures_util::{SinkExt, StreamExt};
    let upstream = Upstream::start().await;
    let url = format!("{}/ws", upstream.url().replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send("hello".into()).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap().into_text().unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn the_scripted_provider_lies_as_told() {
    let provider = ScriptedProvider::start().await;
    provider.forge_discovery(|document| document["issuer"] = json!("https://evil.example"));
    let browser = Browser::at(&provider.issuer);
    let document = browser
        .open("/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(document["issuer"], "https://evil.example");
    assert_eq!(provider.asked(Endpoint::Discovery).len(), 1);
}

#[tokio::test]
async fn the_browser_fills_forms_and_keeps_honest_cookies() {
    let site = Upstream::start().await;
    site.answers(
        "/form",
        Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nReferrer-Policy: no-referrer\r\n\
             Set-Cookie: __Host-a=1; Path=/; Secure; HttpOnly\r\n\
             Set-Cookie: __Host-b=1; Path=/; Domain=127.0.0.1; Secure\r\n\
             Connection: close\r\n\r\n\
             <form method=post action='/sent'><input type=hidden name=token value=t>\
             <label for=c>Company</label><input id=c name=company value=old>\
             <label><input type=checkbox name=terms value=yes> I accept</label>\
             <select name=country><option value=IT>Italy</option><option value=DE>Germany</option>\
             </select><button>Go</button></form>",
        )
        .then_close(),
    );
    let browser = Browser::at(&site.url());
    let page = browser.open("/form").await;
    assert_eq!(page.value_of("Company").as_deref(), Some("old"));
    page.fill("Company", "Acme")
        .fill("country", "Germany")
        .tick("I accept")
        .press("Go")
        .await;

    let sent = site.last_request();
    assert_eq!(sent.body, b"token=t&company=Acme&terms=yes&country=DE");
    assert_eq!(sent.header("cookie"), Some("__Host-a=1"));
    assert_eq!(sent.header("origin"), Some("null"));
    assert_eq!(sent.header("sec-fetch-site"), Some("same-origin"));
}
