//! The platform behind the gateway, as a raw socket that keeps what it received byte for byte.
//! Answers JSON that says what it saw; speaks keep-alive, chunked bodies and WebSocket echo.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

/// One upstream, gone with the value.
pub struct Upstream {
    port: u16,
    seen: Arc<Seen>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    answers: Mutex<Vec<(String, Answer)>>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Request line and header fields, untouched.
    pub head: Vec<u8>,
    pub method: String,
    /// The request target, untouched; other than UTF-8 is replaced.
    pub target: String,
    /// Header fields in their order and spelling.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a test has the upstream answer.
#[derive(Debug, Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    delay: Duration,
    closes: bool,
    /// Sent before the request's body is read.
    is_early: bool,
}

impl Answer {
    /// A page.
    pub fn html(body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}");
        Self::raw(format!("{head}\r\n\r\n{body}"))
    }

    /// Exactly these bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            delay: Duration::ZERO,
            closes: false,
            is_early: false,
        }
    }

    /// Sent as soon as the head is there; the body is read afterwards, to its end.
    #[must_use]
    pub fn before_the_body(self) -> Self {
        Self {
            is_early: true,
            ..self
        }
    }

    /// Waits first.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Closes the connection behind it.
    #[must_use]
    pub fn then_close(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }
}

impl Received {
    /// The first value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all_headers(name).first().copied()
    }

    /// All values of a header.
    pub fn all_headers(&self, name: &str) -> Vec<&str> {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let seen = Arc::<Seen>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&seen)));
        Self {
            port,
            seen,
            listening: Mutex::new(Some(task)),
        }
    }

    /// Address for `[upstream] servers`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers requests below a path so, instead of by the echo.
    pub fn answers(&self, path: &str, answer: Answer) {
        self.seen
            .answers
            .lock()
            .expect("answers")
            .insert(0, (path.to_owned(), answer));
    }

    /// Everything that arrived so far.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().expect("requests").clone()
    }

    /// What arrived last.
    #[track_caller]
    pub fn last_request(&self) -> Received {
        self.requests()
            .pop()
            .expect("a request reached the upstream")
    }

    /// Forgets what arrived.
    pub fn forget(&self) {
        self.seen.requests.lock().expect("requests").clear();
    }

    /// Stops listening and drops all connections.
    pub async fn stop(&self) {
        let task = self.listening.lock().expect("the task").take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again on the same port.
    pub async fn resume(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .expect("the same port");
        let task = tokio::spawn(accept(listener, Arc::clone(&self.seen)));
        *self.listening.lock().expect("the task") = Some(task);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(task) = self.listening.get_mut().expect("the task").take() {
            task.abort();
        }
    }
}

/// Connections live in the set and end with it when this task is aborted.
async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(BufReader::new(stream), Arc::clone(&seen)));
    }
}

async fn serve(mut stream: BufReader<TcpStream>, seen: Arc<Seen>) {
    while let Some(mut request) = read_head(&mut stream).await {
        let answer = scripted(&seen, &request.target);
        if let Some(early) = answer.as_ref().filter(|answer| answer.is_early)
            && stream.write_all(&early.bytes).await.is_err()
        {
            return;
        }
        let Some(body) = read_body(&mut stream, &request).await else {
            return;
        };
        request.body = body;
        seen.requests
            .lock()
            .expect("requests")
            .push(request.clone());
        if let Some(answer) = answer {
            if answer.is_early {
                continue;
            }
            tokio::time::sleep(answer.delay).await;
            if stream.write_all(&answer.bytes).await.is_err() || answer.closes {
                return;
            }
        } else if let Some(key) = request.header("sec-websocket-key") {
            echo_messages(stream, key).await;
            return;
        } else if stream.write_all(&echo(&request)).await.is_err() {
            return;
        }
    }
}

fn scripted(seen: &Seen, target: &str) -> Option<Answer> {
    let answers = seen.answers.lock().expect("answers");
    answers
        .iter()
        .find(|(path, _)| target.starts_with(path))
        .map(|(_, answer)| answer.clone())
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.trim_end().split("\r\n");
    let mut words = lines.next()?.splitn(3, ' ').map(str::to_owned);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let request = Received {
        method: words.next()?,
        target: words.next()?,
        headers: headers
            .map(|(name, v)| (name.to_owned(), v.trim().to_owned()))
            .collect(),
        head,
        body: Vec::new(),
    };
    if request.header("expect").is_some() {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .ok()?;
    }
    Some(request)
}

async fn read_body(stream: &mut BufReader<TcpStream>, request: &Received) -> Option<Vec<u8>> {
    if request.header("transfer-encoding").is_none() {
        let length = request
            .header("content-length")
            .map_or(Some(0), |l| l.parse().ok())?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        return Some(body);
    }
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

fn echo(request: &Received) -> Vec<u8> {
    let body = json!({
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": String::from_utf8_lossy(&request.body),
    });
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let shown = if request.method == "HEAD" { "" } else { &body };
    (head + shown).into_bytes()
}

async fn echo_messages(mut stream: BufReader<TcpStream>, key: &str) {
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || socket.send(message).await.is_err() {
            return;
        }
    }
}
