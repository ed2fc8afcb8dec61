//! Bodies that take their time: those that come in get their answer, those that only pretend to are
//! given up, and nobody waits for ever.

use std::time::{Duration, Instant};

use super::harness::{Front, FrontSettings, Http2Upstream, Http2Visitor, read_to_end, status};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vestibule::proxy::{DoorLimits, UpstreamProtocol, UpstreamServer};

const SECOND: Duration = Duration::from_secs(1);

/// A front that waits for a second for an answer, before a server that speaks HTTP/2.
async fn before(server: &Http2Upstream) -> Front {
    let url = format!("http://127.0.0.1:{}", server.port());
    let settings = FrontSettings {
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        read_timeout: SECOND,
        of_upstream: Box::new(|upstream| upstream.protocol = UpstreamProtocol::Http2),
        ..FrontSettings::default()
    };
    Front::with(settings).await
}

/// A body of ten octets, one every third of a second, announced or in chunks.
async fn drips(front: &Front, path: &str, is_announced: bool) -> (String, Duration) {
    let framing = if is_announced {
        "Content-Length: 10"
    } else {
        "Transfer-Encoding: chunked"
    };
    let mut stream = front.connect().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..10 {
        tokio::time::sleep(SECOND / 3).await;
        let piece = if is_announced { "x" } else { "1\r\nx\r\n" };
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    if !is_announced {
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    let began = Instant::now();
    (read_to_end(&mut stream).await, began.elapsed())
}

/// A request of an HTTP/2 client that says how long its body is, or does not.
fn upload(path: &str, length: Option<u64>) -> Request<()> {
    let mut request = Request::post(format!("https://app.example.com{path}"));
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    request.body(()).unwrap()
}

#[tokio::test]
async fn the_time_of_an_upload_is_not_that_of_its_answer() {
    let server = Http2Upstream::start().await;
    let front = before(&server).await;
    for is_announced in [true, false] {
        let (answer, _) = drips(&front, "/public/AfterTheBody", is_announced).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let mut visitor = Http2Visitor::dial(&front).await;
    for length in [Some(10), None] {
        let request = upload("/public/AfterTheBody", length);
        let (answer, mut sending) = visitor.send(request).await;
        for piece in 0..10 {
            tokio::time::sleep(SECOND / 3).await;
            sending.send_data("x".into(), piece == 9).unwrap();
        }
        assert_eq!(answer.await.unwrap().status(), 200, "{length:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_waited_for_from_the_end_of_the_upload() {
    let server = Http2Upstream::start().await;
    let front = before(&server).await;
    for is_announced in [true, false] {
        let (answer, took) = drips(&front, "/public/Never", is_announced).await;
        assert_eq!(status(&answer), 504, "{answer}");
        assert!((SECOND / 2..8 * SECOND).contains(&took), "{took:?}");
    }
    let mut visitor = Http2Visitor::dial(&front).await;
    let (answer, mut sending) = visitor.send(upload("/public/Never", Some(1))).await;
    sending.send_data("x".into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 504);
    let (answer, mut sending) = visitor.send(upload("/public/Never", None)).await;
    sending.send_data("x".into(), true).unwrap();
    let end = tokio::time::timeout(10 * SECOND, answer).await;
    assert!(end.expect("an end in time").is_err());
}

/// A front before an HTTP/1 upstream, where 1 KiB has to come every two seconds.
async fn with_a_pace() -> Front {
    let limits = DoorLimits {
        body_pace: 2 * SECOND,
        ..DoorLimits::default()
    };
    let settings = FrontSettings {
        limits,
        of_upstream: Box::new(|upstream| upstream.write_timeout = SECOND),
        ..FrontSettings::default()
    };
    Front::with(settings).await
}

/// Sends pieces of so many octets, so many, five a second; gives what is answered.
async fn sends_pieces(front: &Front, (octets, count): (usize, usize), fields: &str) -> String {
    let stream = front.connect().await;
    let (mut reading, mut writing) = stream.into_split();
    let head = format!(
        "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
         {fields}Content-Length: {}\r\n\r\n",
        octets * count
    );
    writing.write_all(head.as_bytes()).await.unwrap();
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; octets];
        for _ in 0..count {
            tokio::time::sleep(SECOND / 5).await;
            if writing.write_all(&piece).await.is_err() {
                break;
            }
        }
        writing
    });
    let mut answer = Vec::new();
    let read = tokio::time::timeout(20 * SECOND, reading.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "still open");
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_only_drips_is_given_up() {
    let front = with_a_pace().await;
    for fields in [
        "",
        "Accept: a/b, text/event-stream\r\n",
        "Content-Type: application/grpc\r\n",
    ] {
        let answer = sends_pieces(&front, (1, 1000), fields).await;
        let is_grpc = answer.to_ascii_lowercase().contains("grpc-status:");
        let is_told = status(&answer) == 408 && answer.contains("body_too_slow");
        assert!(is_told || is_grpc, "{fields}: {answer}");
    }
    let mut visitor = Http2Visitor::dial(&front).await;
    let (answer, mut sending) = visitor.send(upload("/public/a", None)).await;
    // Then nothing more, ever.
    sending.send_data("x".into(), false).unwrap();
    let end = tokio::time::timeout(15 * SECOND, answer).await;
    assert!(end.expect("an end in time").is_err());
}

#[tokio::test]
async fn a_slow_body_that_keeps_its_pace_arrives() {
    let front = with_a_pace().await;
    let answer = sends_pieces(&front, (1024, 30), "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(front.upstream.last_request().body.len(), 30 * 1024);
}

/// An upstream reads the first piece before the client sends the second.
#[tokio::test]
async fn an_upload_is_passed_on_as_it_comes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, arrived) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains("first") {
            assert!(socket.read_buf(&mut got).await.unwrap() > 0);
        }
        told.send(()).unwrap();
        while !got.ends_with(b"0\r\n\r\n") {
            assert!(socket.read_buf(&mut got).await.unwrap() > 0);
        }
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        socket.write_all(answer).await.unwrap();
    });
    let settings = FrontSettings {
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let mut stream = front.connect().await;
    let begin = "POST /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    stream.write_all(begin.as_bytes()).await.unwrap();
    let arrived = tokio::time::timeout(10 * SECOND, arrived).await;
    arrived.expect("the first piece alone").unwrap();
    stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_to_end(&mut stream).await), 204);
}
