//! One client connection, from accept to close: TLS, then HTTP/1 or HTTP/2, every request with a
//! deadline for its head.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gateway::Gateway;
use super::guard::{Admission, Caps};
use super::head::{HeadLimits, HeadProblem};
use super::head_reader::HeadReader;
use super::listeners::{Listener, Tls};
use super::patience::Patience;
use super::settings::DoorLimits;
use super::streams::RequestScope;
use super::wire::Wire;
use super::workers::{Seat, Workers};
use crate::rate_limit::Network;
use crate::telemetry::metrics::Gauge;

/// After an early answer: how much of the rest is read and thrown away, so that the answer is
/// not lost with a reset.
const LINGER_OCTETS: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_millis(500);

/// Out of file descriptors, most likely: others must close first.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// What is known of a connection.
pub(super) struct Connection {
    /// The peer's address.
    pub(super) peer: IpAddr,
    /// Whether the peer is a configured proxy.
    pub(super) is_trusted: bool,
    /// The peer's address for `X-Forwarded-For`.
    field: HeaderValue,
    /// The worker that carries it.
    seat: Seat,
}

impl Connection {
    fn new(peer: IpAddr, is_trusted: bool, seat: Seat) -> Self {
        Self {
            peer,
            is_trusted,
            field: address_field(peer),
            seat,
        }
    }

    /// The network whose caps a client draws from; none for whoever comes through a configured
    /// proxy that does not say for whom.
    pub(super) fn network_of(&self, client: IpAddr) -> Option<Network> {
        (client != self.peer || !self.is_trusted).then(|| Network::of(client))
    }

    /// The address of a client behind this connection, for `X-Forwarded-For`.
    pub(super) fn field_of(&self, client: IpAddr) -> HeaderValue {
        if client == self.peer {
            self.field.clone()
        } else {
            address_field(client)
        }
    }
}

/// An address as a field value; `unknown` is RFC 7239's word for what cannot be said.
fn address_field(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// What all connections share.
pub(super) struct Door {
    pub(super) workers: Workers,
    pub(super) gateway: Arc<Gateway>,
    pub(super) limits: DoorLimits,
    pub(super) stopping: CancellationToken,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) tracker: TaskTracker,
    pub(super) caps: Arc<Caps>,
}

impl Door {
    fn head_limits(&self) -> HeadLimits {
        let DoorLimits {
            head,
            target,
            fields,
            ..
        } = self.limits;
        HeadLimits {
            head,
            target,
            fields,
        }
    }

    /// Accepts connections until the gateway stops.
    pub(super) async fn accept_from(self: Arc<Self>, listener: Listener) {
        let Listener {
            socket,
            tls,
            address,
        } = listener;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = self.stopping.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, tls.clone()),
                Err(cause) => {
                    tracing::error!(%address, %cause, "cannot accept connections");
                    tokio::time::sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, tls: Option<Tls>) {
        let address = peer.ip().to_canonical();
        let network = (!self.gateway.trusts(address)).then(|| Network::of(address));
        let Some(admission) = self.caps.admit(network) else {
            self.gateway.counters.connections_refused.inc();
            return;
        };
        let open = OpenConnection::new(&self.gateway.counters.connections, admission);
        let (Some(seat), Ok(socket)) = (self.workers.seat(), stream.into_std()) else {
            return;
        };
        let runtime = seat.runtime().clone();
        let connection = Connection::new(address, network.is_none(), seat);
        let door = Arc::clone(self);
        let carrying = async move {
            let _open = open;
            // What cannot be registered is closed.
            if let Ok(socket) = TcpStream::from_std(socket) {
                door.serve(socket, Arc::new(connection), tls).await;
            }
        };
        self.tracker.spawn_on(carrying, &runtime);
    }

    /// Serves one accepted connection until it closes.
    async fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        connection: Arc<Connection>,
        tls: Option<Tls>,
    ) {
        let deadline = Instant::now() + self.limits.head_time;
        let id = socket.as_raw_fd();
        // Answers leave at once; where this fails they leave a little later.
        let _ = socket.set_nodelay(true);
        let Some(tls) = tls else {
            let stream: Stream = Box::new(Wire::new(socket, id));
            return self.serve_http1(stream, deadline, connection).await;
        };
        // Boxed, so that plain connections do not carry the room for all this.
        let Some((stream, is_http2)) = Box::pin(secure(socket, id, tls, deadline)).await else {
            return;
        };
        if is_http2 {
            Box::pin(self.serve_http2(stream, deadline, connection)).await;
        } else {
            self.serve_http1(stream, deadline, connection).await;
        }
    }

    async fn serve_http1(
        self: Arc<Self>,
        mut stream: Stream,
        deadline: Instant,
        connection: Arc<Connection>,
    ) {
        let mut patience = Patience::until(deadline);
        let mut next_look = Patience::until(deadline);
        let stopping = self.stopping.cancelled();
        tokio::pin!(stopping);
        loop {
            let mut reader = HeadReader {
                stream: &mut stream,
                patience: &mut patience,
                limits: self.head_limits(),
                head_time: self.limits.head_time,
            };
            let head = tokio::select! {
                biased;
                head = reader.read() => head,
                () = &mut stopping => return,
            };
            let head = match head {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(problem) => return self.turn_away(stream, problem, &connection).await,
            };
            let mut session = ServerSession::new_http1(stream);
            session.set_pipelined_prefix(head);
            let Some(reusable) = self.process(session, &connection, &mut next_look).await else {
                return;
            };
            stream = reusable;
            patience.move_to(Instant::now() + self.limits.keep_alive);
        }
    }

    /// One request; gives the connection back when it can take another one.
    pub(super) async fn process(
        &self,
        session: ServerSession,
        connection: &Arc<Connection>,
        next_look: &mut Patience,
    ) -> Option<Stream> {
        let proxy = connection.seat.proxy();
        let work = proxy.process_new_http(session, &self.shutdown);
        let reused = RequestScope::around(connection, &self.gateway, next_look, work).await??;
        Some(reused.consume().0)
    }

    /// Answers a head that is not understood, and closes.
    async fn turn_away(&self, mut stream: Stream, problem: HeadProblem, connection: &Connection) {
        let answer = self.gateway.malformed(problem, connection);
        if stream.write_all(&answer).await.is_ok() && stream.flush().await.is_ok() {
            linger(&mut stream).await;
        }
    }
}

/// Does the TLS handshake; says whether HTTP/2 was agreed on.
async fn secure(socket: TcpStream, id: i32, tls: Tls, deadline: Instant) -> Option<(Stream, bool)> {
    let handshake = tls.acceptor.accept(socket);
    let secured = tokio::time::timeout_at(deadline, handshake)
        .await
        .ok()?
        .ok()?;
    let is_http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    Some((Box::new(Wire::new(secured, id)), is_http2))
}

/// An open connection; dropping it closes it for the metrics and the caps.
struct OpenConnection {
    gauge: Gauge,
    _admission: Admission,
}

impl OpenConnection {
    fn new(gauge: &Gauge, admission: Admission) -> Self {
        gauge.inc();
        Self {
            gauge: gauge.clone(),
            _admission: admission,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Reads what the client still sends, up to a bound, so that closing does not reset the
/// connection before the answer is read.
async fn linger(stream: &mut Stream) {
    let drain = async {
        if AsyncWriteExt::shutdown(stream).await.is_err() {
            return;
        }
        let mut scratch = vec![0; 4096];
        let mut left = LINGER_OCTETS;
        while let Ok(read @ 1..) = stream.read(&mut scratch).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // Whoever keeps sending is cut off.
    let _ = tokio::time::timeout(LINGER_TIME, drain).await;
}
