//! Several servers of an upstream: which gets a request, when one gets none, and when a request is
//! sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::harness::{
    Answer, Front, FrontSettings, Http2Upstream, Received, SignedIn, Upstream, status,
    wait_until_async,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vestibule::proxy::{
    HealthQuestion, HealthSettings, SetAside, UpstreamProtocol, UpstreamServer, UpstreamSettings,
};

fn server(upstream: &Upstream) -> UpstreamServer {
    UpstreamServer::parse(&upstream.url(), None).unwrap()
}

/// A front before its own upstream and these.
async fn with_more(
    more: &[&Upstream],
    change: impl Fn(&mut UpstreamSettings) + Send + 'static,
) -> Front {
    let settings = FrontSettings {
        more_upstreams: more.iter().map(|upstream| server(upstream)).collect(),
        of_upstream: Box::new(change),
        ..FrontSettings::default()
    };
    Front::with(settings).await
}

/// Requests for things, not for health.
fn got(upstream: &Upstream) -> Vec<Received> {
    let mut all = upstream.requests();
    all.retain(|request| !request.target.starts_with("/health"));
    all
}

fn soon(question: HealthQuestion) -> HealthSettings {
    HealthSettings {
        every: Duration::from_millis(50),
        timeout: Duration::from_secs(5),
        ..HealthSettings::asking(question)
    }
}

fn asks_path(upstream: &mut UpstreamSettings) {
    upstream.health = Some(soon(HealthQuestion::Path("/health/ready".to_owned())));
}

fn unwell() -> Answer {
    Answer::raw("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
}

fn well() -> Answer {
    Answer::raw("HTTP/1.1 204 No Content\r\n\r\n")
}

async fn shows(front: &Front, upstream: &Upstream, is_up: bool) {
    let address = upstream.url().replace("http://", "");
    let line = format!(
        "vestibule_upstream_up{{upstream=\"main\",server=\"{address}\"}} {}",
        u8::from(is_up)
    );
    wait_until_async(&line, async || front.metrics().contains(&line)).await;
}

async fn asks(front: &Front, times: usize) {
    for _ in 0..times {
        let answer = front.request("GET /public/a", &[]).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[tokio::test]
async fn servers_get_requests_by_their_weight() {
    let heavy = Upstream::start().await;
    let front = with_more(&[&heavy], |upstream| upstream.servers[0].weight = 3).await;
    asks(&front, 20).await;
    assert_eq!((got(&heavy).len(), got(&front.upstream).len()), (15, 5));
}

#[tokio::test]
async fn a_server_that_is_not_well_gets_nothing_until_it_is() {
    let other = Upstream::start().await;
    other.answers("/health", unwell());
    let front = with_more(&[&other], asks_path).await;
    shows(&front, &other, false).await;
    asks(&front, 10).await;
    assert_eq!((got(&other).len(), got(&front.upstream).len()), (0, 10));
    other.answers("/health", well());
    shows(&front, &other, true).await;
    asks(&front, 10).await;
    assert_eq!((got(&other).len(), got(&front.upstream).len()), (5, 15));
    let asked = other.requests();
    let question = asked
        .iter()
        .find(|one| one.target == "/health/ready")
        .unwrap();
    assert_eq!(question.method, "GET");
}

/// A server that knows its checks by its own name only; counts those that it answered well.
async fn answers_for_its_name() -> (UpstreamServer, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("localhost:{}", listener.local_addr().unwrap().port());
    let server = UpstreamServer::parse(&format!("http://{name}"), None).unwrap();
    let well = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&well);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
            let is_check = head.starts_with("get /health/");
            let status = if is_check && !head.contains(&format!("\r\nhost: {name}\r\n")) {
                "404 Not Found"
            } else {
                counted.fetch_add(usize::from(is_check), Ordering::SeqCst);
                "200 OK"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (server, well)
}

#[tokio::test]
async fn a_server_is_checked_under_its_own_name() {
    let (named, well) = answers_for_its_name().await;
    let settings = FrontSettings {
        only_upstream: Some(named),
        of_upstream: Box::new(asks_path),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    wait_until_async("three good checks", async || {
        well.load(Ordering::SeqCst) > 2
    })
    .await;
    asks(&front, 1).await;
}

#[tokio::test]
async fn where_no_server_is_well_nobody_is_asked() {
    let front = with_more(&[], asks_path).await;
    front.upstream.answers("/health", unwell());
    shows(&front, &front.upstream, false).await;
    let answer = front.request("GET /public/a", &[]).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert_eq!(got(&front.upstream).len(), 0);
}

/// What a server does before it stops: it says that it is not well, and finishes what it has.
#[tokio::test]
async fn a_server_that_leaves_keeps_what_it_has_begun() {
    let leaving = Upstream::start().await;
    let front = with_more(&[&leaving], asks_path).await;
    leaving.answers(
        "/public/long",
        Answer::html("at last").after(Duration::from_secs(3)),
    );
    front
        .upstream
        .answers("/public/long", Answer::html("at once"));
    let long = [(); 2].map(|()| front.request("GET /public/long", &[]));
    let leave = async {
        wait_until_async("a long request", async || got(&leaving).len() == 1).await;
        leaving.answers("/health", unwell());
        shows(&front, &leaving, false).await;
        asks(&front, 4).await;
        assert_eq!(got(&leaving).len(), 1);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(long), leave);
    let finished = answers.iter().filter(|answer| answer.ends_with("at last"));
    assert_eq!(finished.count(), 1, "{answers:?}");
}

#[tokio::test]
async fn grpc_servers_are_asked_in_their_way() {
    let grpc = Http2Upstream::start().await;
    let url = format!("http://127.0.0.1:{}", grpc.port());
    let settings = FrontSettings {
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        of_upstream: Box::new(|upstream| {
            upstream.protocol = UpstreamProtocol::Http2;
            upstream.health = Some(soon(HealthQuestion::Grpc(String::new())));
        }),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    asks(&front, 1).await;
    for is_well in [false, true] {
        grpc.is_well(is_well);
        let line = format!("\"}} {}", u8::from(is_well));
        let up = |line: &String| {
            let metrics = front.metrics();
            let mut lines = metrics.lines();
            lines.any(|one| one.starts_with("vestibule_upstream_up{") && one.ends_with(line))
        };
        wait_until_async("the check", async || up(&line)).await;
        let answer = front.request("GET /public/a", &[]).await;
        assert_eq!(status(&answer) == 200, is_well, "{answer}");
    }
}

/// Which of them answers a session.
async fn server_of(front: &Front, session: &SignedIn, all: &[&Upstream]) -> usize {
    let before: Vec<usize> = all.iter().map(|upstream| got(upstream).len()).collect();
    let cookie = format!("Cookie: {}", session.cookie);
    let answer = front.request("GET /a", &[&cookie]).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let served = |place: &usize| got(all[*place]).len() > before[*place];
    (0..all.len()).find(served).expect("a server")
}

#[tokio::test]
async fn a_session_stays_with_its_server_while_that_takes_requests() {
    let (second, third) = (Upstream::start().await, Upstream::start().await);
    let front = with_more(&[&second, &third], |upstream| upstream.sticky = true).await;
    let all = [&front.upstream, &second, &third];
    let mut of_first = None;
    let mut used = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let session = front.sign_in("app.example.com").await;
        let own = server_of(&front, &session, &all).await;
        for _ in 0..3 {
            assert_eq!(server_of(&front, &session, &all).await, own);
        }
        used.insert(own);
        of_first.get_or_insert((session, own));
    }
    assert!(used.len() > 1, "not all with one server");
    let (session, own) = of_first.unwrap();
    all[own].stop().await;
    let next = server_of(&front, &session, &all).await;
    assert_ne!(next, own);
    all[own].resume().await;
    assert_eq!(server_of(&front, &session, &all).await, own, "back home");
    let before = got(&second).len() + got(&third).len();
    asks(&front, 9).await;
    assert_eq!(
        got(&second).len() + got(&third).len() - before,
        6,
        "strangers take turns"
    );
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_set_aside() {
    let gone = Upstream::start().await;
    let front = with_more(&[&gone], |upstream| {
        upstream.set_aside = SetAside {
            after: 2,
            span: Duration::from_secs(2),
        };
    })
    .await;
    gone.stop().await;
    for _ in 0..6 {
        let answer = front
            .request("POST /public/a", &["Content-Length: 0"])
            .await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let line = format!(
        "vestibule_upstream_set_aside_total{{upstream=\"main\",server=\"{}\"}} 1",
        gone.url().replace("http://", "")
    );
    assert!(front.metrics().contains(&line), "{}", front.metrics());
    gone.resume().await;
    wait_until_async("it is tried again", async || {
        asks(&front, 1).await;
        !got(&gone).is_empty()
    })
    .await;
}

/// A server whose queue of connections is full: it does not even refuse.
async fn answers_no_knock() -> (UpstreamServer, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(taken)) =
        tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        waiting.push(taken);
    }
    tokio::spawn(async move {
        let _listener = listener;
        std::future::pending::<()>().await;
    });
    let server = UpstreamServer::parse(&format!("http://{address}"), None).unwrap();
    (server, waiting)
}

/// The front's `connect_timeout` is a second; the system tries for two minutes.
#[tokio::test]
async fn a_server_that_answers_no_knock_is_given_up_soon() {
    let (silent, _waiting) = answers_no_knock().await;
    let settings = FrontSettings {
        only_upstream: Some(silent),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let answer = front.request("GET /public/a", &[]).await;
    assert_eq!(status(&answer), 503, "{answer}");
}

/// A server that takes one request of each connection and closes it without an answer.
async fn closes_after_reading() -> (UpstreamServer, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match socket.read(&mut piece).await {
                    Ok(read @ 1..) => request.extend_from_slice(&piece[..read]),
                    _ => break,
                }
            }
            let line = String::from_utf8_lossy(&request);
            let line = line.lines().next().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(line);
        }
    });
    (UpstreamServer::parse(&url, None).unwrap(), got)
}

/// PX-15: what may have had an effect is not sent twice.
#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    let large = "x".repeat(100 * 1024);
    for (request, body, is_sent_again) in [
        ("GET", "", true),
        ("PUT", "x", true),
        ("POST", "x", false),
        ("PATCH", "x", false),
        // More than is kept of a body.
        ("PUT", large.as_str(), false),
    ] {
        let (breaking, seen) = closes_after_reading().await;
        let settings = FrontSettings {
            more_upstreams: vec![breaking],
            ..FrontSettings::default()
        };
        let front = Front::with(settings).await;
        let mut statuses = Vec::new();
        // The first server breaks off.
        for _ in 0..2 {
            let length = body.len();
            let raw = format!(
                "{request} /public/a HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            statuses.push(status(&front.raw(raw).await));
        }
        let broken = seen.lock().unwrap().len();
        let what = format!("{request} of {} octets: {statuses:?}", body.len());
        if is_sent_again {
            // The second time takes a turn, so the next request begins with the same server.
            assert_eq!((statuses, broken), (vec![200, 200], 2), "{what}");
            assert_eq!(got(&front.upstream).len(), 2, "{what}");
            let line = "vestibule_upstream_sent_again_total{upstream=\"main\"} 2";
            assert!(front.metrics().contains(line), "{what}");
        } else {
            assert_eq!((statuses, broken), (vec![502, 200], 1), "{what}");
            assert_eq!(got(&front.upstream).len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn a_request_is_sent_twice_and_no_more() {
    let (one, seen_by_one) = closes_after_reading().await;
    let (other, seen_by_other) = closes_after_reading().await;
    let settings = FrontSettings {
        more_upstreams: vec![one],
        of_upstream: Box::new(move |upstream| {
            upstream.servers.pop();
            upstream.servers.push(other.clone());
        }),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    assert_eq!(status(&front.request("GET /public/a", &[]).await), 502);
    let tries = (
        seen_by_one.lock().unwrap().len(),
        seen_by_other.lock().unwrap().len(),
    );
    assert_eq!(tries, (1, 1));
    assert_eq!(front.upstream.requests().len(), 0);
}

/// What takes too long would take as long again, and may have been done.
#[tokio::test]
async fn what_takes_too_long_is_not_sent_again() {
    let slow = Upstream::start().await;
    slow.answers(
        "/public",
        Answer::html("late").after(Duration::from_secs(30)),
    );
    let settings = FrontSettings {
        more_upstreams: vec![server(&slow)],
        read_timeout: Duration::from_secs(1),
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let mut statuses = vec![];
    for _ in 0..2 {
        statuses.push(status(&front.request("GET /public/a", &[]).await));
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 504]);
    assert_eq!((got(&slow).len(), got(&front.upstream).len()), (1, 1));
}

/// Server-sent events that are silent for longer than a request may be.
#[tokio::test]
async fn events_may_be_long_in_coming() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        socket.write_all(b"data: 2\n\n").await.unwrap();
    });
    let second = Duration::from_secs(1);
    let limits = vestibule::proxy::DoorLimits {
        head_time: second,
        keep_alive: second,
        body_time: second,
        ..vestibule::proxy::DoorLimits::default()
    };
    let settings = FrontSettings {
        limits,
        only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
        read_timeout: second,
        ..FrontSettings::default()
    };
    let front = Front::with(settings).await;
    let answer = front
        .request("GET /public/events", &["Accept: text/event-stream"])
        .await;
    assert!(answer.contains("data: 2"), "{answer}");
}
