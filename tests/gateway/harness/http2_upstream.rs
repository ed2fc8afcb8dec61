//! An upstream that speaks nothing but HTTP/2, as gRPC servers do: every piece of a body comes back
//! at once, and trailers end the answer; below `/AfterTheBody` it answers at the end, below `/Never`
//! not even then. In the clear (h2c), or in TLS.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, request::Parts};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// One such upstream, gone with the value.
pub struct Http2Upstream {
    port: u16,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    is_unwell: AtomicBool,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    pub head: Arc<Parts>,
    /// Once the request has ended with some.
    pub trailers: Option<HeaderMap>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

impl Http2Upstream {
    /// In the clear.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// In TLS, with what `config` says of certificates.
    pub async fn secure(mut config: rustls::ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let seen = Arc::<Seen>::default();
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&seen)));
        Self { port, seen, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything that arrived so far, health checks left out.
    pub fn calls(&self) -> Vec<Call> {
        self.seen.calls.lock().expect("calls").clone()
    }

    #[track_caller]
    pub fn last_call(&self) -> Call {
        self.calls().pop().expect("a call reached the upstream")
    }

    /// What gRPC's health check is told from here on.
    pub fn is_well(&self, is_well: bool) {
        self.seen.is_unwell.store(!is_well, Ordering::SeqCst);
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            let Some(tls) = tls else {
                return serve(socket, seen).await;
            };
            if let Ok(stream) = tls.accept(socket).await {
                serve(stream, seen).await;
            }
        });
    }
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Seen>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else {
        return;
    };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(answer(request, respond, Arc::clone(&seen)));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Arc<Seen>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let head_of_answer = || Response::builder().header("content-type", "application/grpc");
    if path.ends_with("/Refuse") {
        let refused = head_of_answer().header("grpc-status", "7").body(());
        respond.send_response(refused.expect("a head"), true)?;
        seen.remember(head);
        return Ok(());
    }
    if path.ends_with("/AfterTheBody") || path.ends_with("/Never") {
        while let Some(piece) = body.data().await {
            body.flow_control().release_capacity(piece?.len())?;
        }
        if path.ends_with("/Never") {
            std::future::pending::<()>().await;
        }
    }
    let number = (!path.ends_with("Health/Check")).then(|| seen.remember(head));
    let mut back = respond.send_response(head_of_answer().body(()).expect("a head"), false)?;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if number.is_some() {
            back.send_data(piece, false)?;
        }
    }
    let trailers = body.trailers().await?;
    if let Some(number) = number {
        seen.calls.lock().expect("calls")[number].trailers = trailers;
    } else {
        let status = 1 + u8::from(seen.is_unwell.load(Ordering::SeqCst));
        back.send_data(vec![0, 0, 0, 0, 2, 8, status].into(), false)?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-after", HeaderValue::from_static("all"));
    back.send_trailers(trailers)
}

impl Seen {
    fn remember(&self, head: Parts) -> usize {
        let mut calls = self.calls.lock().expect("calls");
        calls.push(Call {
            head: Arc::new(head),
            trailers: None,
        });
        calls.len() - 1
    }
}
