//! The gateway's own pages are called in-process, on HTTP/1 and HTTP/2.

use super::harness::{Front, status, wait_until_async};

#[tokio::test]
async fn pages_learn_who_asks() {
    let front = Front::start().await;
    let answer = front
        .request("GET /auth/whoami", &["Accept: text/html"])
        .await;
    assert!(
        answer.ends_with("app.example.com 127.0.0.1 Page"),
        "{answer}"
    );
    assert_eq!(front.upstream.requests().len(), 0);
}

#[tokio::test]
async fn answers_keep_their_shape() {
    let front = Front::start().await;
    let head = front
        .request("HEAD /auth/whoami", &[])
        .await
        .to_ascii_lowercase();
    assert!(
        head.contains("content-length: 29\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let nothing = front
        .request("GET /auth/nothing", &[])
        .await
        .to_ascii_lowercase();
    assert!(nothing.starts_with("http/1.1 204") && !nothing.contains("content-length"));
    let cookies = front.request("GET /auth/cookies", &[]).await;
    assert_eq!(
        cookies.to_ascii_lowercase().matches("set-cookie: ").count(),
        3,
        "{cookies}"
    );
}

#[tokio::test]
async fn bodies_arrive_whole_and_bounded() {
    let front = Front::start().await;
    let post = |body: String, framing: &str| {
        front.raw(format!(
            "POST /auth/echo HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
             {framing}\r\n\r\n{body}"
        ))
    };
    let plain = post("a".repeat(60_000), "Content-Length: 60000").await;
    assert!(status(&plain) == 200 && plain.ends_with(&"a".repeat(60_000)));
    let chunked = post(
        "3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked",
    )
    .await;
    assert!(
        status(&chunked) == 200 && chunked.ends_with("abc"),
        "{chunked}"
    );
    let large = post("a".repeat(70_000), "Content-Length: 70000").await;
    assert_eq!(status(&large), 413);
    let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
    let endless = post(chunk.repeat(4), "Transfer-Encoding: chunked").await;
    assert_eq!(status(&endless), 413);
}

#[tokio::test]
async fn a_page_that_panics_is_a_500_with_a_reference_and_the_gateway_goes_on() {
    let front = Front::start().await;
    let answer = front.request("GET /auth/panics", &[]).await;
    assert_eq!(status(&answer), 500);
    assert!(answer.contains("\"reference\""), "{answer}");
    assert_eq!(status(&front.request("GET /auth/whoami", &[]).await), 200);
    // An answer is read before the request that it ends is over.
    wait_until_async("no request is in flight", async || {
        front.metrics().contains("vestibule_requests_in_flight 0")
    })
    .await;
}

#[tokio::test]
async fn both_doors_serve_http2() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let client = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_der(&front.certificate).unwrap())
        .resolve("app.example.com", front.secure_address)
        .build()
        .unwrap();
    let url = |path: &str| {
        format!(
            "https://app.example.com:{}{path}",
            front.secure_address.port()
        )
    };
    let page = client.get(url("/auth/whoami")).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.version()),
        (200, http::Version::HTTP_2)
    );
    assert_eq!(page.text().await.unwrap(), "app.example.com 127.0.0.1 Api");
    let refused = client.get(url("/things")).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 401);
    let posted = client
        .post(url("/auth/echo"))
        .body("abc")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.text().await.unwrap(), "abc");
    let large = client
        .post(url("/auth/echo"))
        .body("a".repeat(70_000))
        .send()
        .await
        .unwrap();
    assert_eq!(large.status().as_u16(), 413);
    let things = client
        .get(url("/things"))
        .header("cookie", "a=1")
        .header("cookie", &alice.cookie)
        .header("cookie", "b=2")
        .header("x-vestibule-user", "root")
        .header("x_vestibule_user", "root")
        .send()
        .await
        .unwrap();
    assert_eq!(things.status().as_u16(), 200);
    let request = front.upstream.last_request();
    assert_eq!(request.all_headers("host"), ["app.example.com"]);
    assert_eq!(request.all_headers("cookie"), ["a=1; b=2"]);
    assert_eq!(request.all_headers("x-vestibule-user"), ["user-1"]);
    assert!(request.header("x_vestibule_user").is_none());
}
