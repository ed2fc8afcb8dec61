//! Whatever two servers could read differently is refused, and the upstream sees none of it.

use super::harness::{Front, read_answer, read_to_end, status};
use tokio::io::AsyncWriteExt;

/// The head of a request whose body comes in chunks.
const CHUNKED: &str =
    "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";

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
/// never a complete body, and never a second request; the client is told 400, and the connection ends.
#[tokio::test]
async fn broken_chunks_never_become_a_second_request() {
    let front = Front::start().await;
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    let long = "x".repeat(1 << 20);
    for body in [
        format!("0\n\n{smuggled}"),
        format!("3\nabc\r\n0\r\n\r\n{smuggled}"),
        format!("3\r\nabc0\r\n\r\n{smuggled}"),
        format!("3\r\nabcd\r\n0\r\n\r\n{smuggled}"),
        format!("00000000000000003\r\nabc\r\nzz\r\n{smuggled}"),
        format!("fffffffffffffffff\r\nabc\r\n0\r\n\r\n{smuggled}"),
        format!("3 \r\nabcX0\r\n\r\n{smuggled}"),
        format!("-1\r\n{smuggled}"),
        format!("3;{long}\r\nabc\r\n0\r\n\r\n{smuggled}"),
        format!("3\r\nabc\r\n0\r\nx: {long}\r\n\r\n{smuggled}"),
        format!("0\r\n{}\r\n{smuggled}", "x: a\r\n".repeat(1 << 18)),
    ] {
        let shown = &body[..body.len().min(40)];
        let answer = front.raw(format!("{CHUNKED}{body}")).await;
        assert_eq!(status(&answer), 400, "{shown:?} got {answer:?}");
        assert!(
            answer.to_ascii_lowercase().contains("connection: close"),
            "{shown:?} got {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{shown:?}");
        let requests = front.upstream.requests();
        assert_eq!(requests.len(), 0, "{shown:?}: {requests:#?}");
    }
}

/// A body whose last line end is missing: what follows stands where trailers do, and is dropped with
/// them. It is no request, here or there.
#[tokio::test]
async fn what_stands_in_the_place_of_trailers_is_no_request() {
    let front = Front::start().await;
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    for body in ["0\r\n", "3\r\nabc\r\n0\r\n"] {
        front.upstream.forget();
        let mut stream = front.connect().await;
        let octets = format!("{CHUNKED}{body}{smuggled}");
        stream.write_all(octets.as_bytes()).await.unwrap();
        assert_eq!(status(&read_answer(&mut stream).await), 200, "{body:?}");
        let next = "GET /public/b HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";
        stream.write_all(next.as_bytes()).await.unwrap();
        let rest = read_to_end(&mut stream).await;
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{body:?}: {rest}");
        let reached = front.upstream.requests().into_iter();
        let reached: Vec<String> = reached.map(|request| request.target).collect();
        assert_eq!(reached, ["/public/a", "/public/b"], "{body:?}");
    }
}

/// Trailers say nothing to the upstream, and what stands behind them is the next request.
#[tokio::test]
async fn trailers_in_order_end_a_body() {
    let front = Front::start().await;
    let mut stream = front.connect().await;
    let body = "3\r\nabc\r\n0\r\nx: a\r\nx-vestibule-user: root\r\n\r\n";
    stream
        .write_all(format!("{CHUNKED}{body}").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut stream).await), 200);
    let received = front.upstream.last_request();
    assert_eq!(received.body, b"abc");
    let next = "GET /public/b HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    assert_eq!(status(&read_answer(&mut stream).await), 200);
    assert_eq!(front.upstream.last_request().target, "/public/b");
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
