//! Whatever two servers could read differently is refused, and the upstream sees none of it.

use super::harness::{Front, read_answer, status};
use tokio::io::AsyncWriteExt;

/// Each head in doubt is answered 400, the connection is closed, and nothing is forwarded.
#[tokio::test]
async fn framing_in_doubt_is_refused_and_closed() {
    let front = Front::start().await;
    for head in [
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: +3\r\n\r\nabc",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /public/a HTTP/1.0\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /public/a HTTP/1.1\nHost: app.example.com\n\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX: a\n\r\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX: a\r\n folded\r\n\r\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX: a\rb\r\n\r\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX: a\0b\r\n\r\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nX Y: a\r\n\r\n",
        "GET /public/a b HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a\tb HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a\0 HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a#b HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET  /public/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "GET /public/a HTTP/1.1\r\n\r\n",
        "GET /public/a HTTP/1.0\r\n\r\n",
        "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nHost: b.example.com\r\n\r\n",
        "GET /public/a HTTP/2.0\r\nHost: app.example.com\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = front.raw(head).await;
        assert_eq!(status(&answer), 400, "{head:?} got {answer:?}");
        assert!(
            answer.to_ascii_lowercase().contains("connection: close"),
            "{answer}"
        );
        assert_eq!(front.upstream.requests().len(), 0, "{head:?}");
    }
    assert!(
        front
            .metrics()
            .contains("verdict=\"malformed\",status=\"4xx\",platform=\"\"} 25")
    );
}

/// Faults in chunks appear while the body is under way: the upstream may have seen a head, but
/// never a complete body, and never a second request.
#[tokio::test]
async fn broken_chunks_never_become_a_second_request() {
    let front = Front::start().await;
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    for body in [
        format!("0\n\n{smuggled}"),
        format!("3\nabc\r\n0\r\n\r\n{smuggled}"),
        format!("00000000000000003\r\nabc\r\nzz\r\n{smuggled}"),
        format!("3 \r\nabcX0\r\n\r\n{smuggled}"),
        format!("-1\r\n{smuggled}"),
        format!("3;{}\r\nabc\r\n0\r\n\r\n{smuggled}", "x".repeat(1 << 20)),
    ] {
        let head = "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\n\
             Transfer-Encoding: chunked\r\n\r\n";
        front.raw(format!("{head}{body}")).await;
        let smuggled_in = front
            .upstream
            .requests()
            .iter()
            .any(|request| request.target.contains("smuggled"));
        assert!(!smuggled_in, "{:?}", &body[..body.len().min(40)]);
    }
}

#[tokio::test]
async fn what_follows_an_upgrade_request_is_not_a_request() {
    let front = Front::start().await;
    let second = "GET /admin HTTP/1.1\r\nHost: app.example.com\r\nX-Vestibule-User: root\r\n\r\n";
    for protocol in ["x", "h2c", "websocket"] {
        front
            .raw(format!(
                "GET /public/a HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: {protocol}\r\n\
                 Connection: upgrade\r\n\r\n{second}"
            ))
            .await;
    }
    for request in front.upstream.requests() {
        assert_eq!(request.target, "/public/a");
        assert_eq!(request.header("x-vestibule-user"), None);
    }
}

#[tokio::test]
async fn several_requests_on_one_connection_are_each_decided() {
    let front = Front::start().await;
    let alice = front.sign_in("app.example.com").await;
    let mut stream = front.connect().await;
    for (fields, path, expected) in [
        (String::new(), "/things", 401),
        (format!("Cookie: {}\r\n", alice.cookie), "/things", 200),
        (String::new(), "/things", 401),
        (String::new(), "/public/x", 200),
        (String::new(), "/auth/whoami", 200),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&read_answer(&mut stream).await), expected, "{path}");
    }
    assert_eq!(front.upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_empty_line_before_a_request_is_passed_over() {
    let front = Front::start().await;
    let answer = front
        .raw("\r\nGET /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn a_request_that_is_no_http_is_told_so_with_a_reference() {
    let front = Front::start().await;
    let answer = front.raw("hello\r\n\r\n").await;
    assert_eq!(status(&answer), 400);
    assert!(answer.contains("application/problem+json") && answer.contains("\"reference\":"));
}
