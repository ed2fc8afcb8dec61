//! One client connection, from accept to close: what a balancer says of it, TLS, then HTTP/1 or
//! HTTP/2, every request with a deadline for its head.

use std::net::{IpAddr, SocketAddr, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::HeaderValue;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use super::gateway::Gateway;
use super::guard::{Admission, Caps};
use super::head::{HeadLimits, HeadProblem};
use super::head_reader::HeadReader;
use super::listeners::{BACKLOG, Entrance, Listener, Tls};
use super::patience::Patience;
use super::proxy_header::read_proxy_header;
use super::settings::DoorLimits;
use super::streams::RequestScope;
use super::wire::Wire;
use super::workers::{Seat, Workers};
use crate::rate_limit::Network;
use crate::telemetry::metrics::Gauge;

/// How much is read and thrown away after an early answer, lest a reset take the answer with it.
const LINGER_OCTETS: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_millis(500);

/// A client that is gone without a word is noticed on a silent connection within three minutes
/// (Linux asks nine times).
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(10));

/// Out of file descriptors, most likely: others must close first.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// What is known of a connection.
pub(super) struct Connection {
    /// The peer's address.
    pub(super) peer: IpAddr,
    /// Whether the peer is a configured proxy.
    pub(super) is_trusted: bool,
    /// Whether its requests are sent on to https.
    pub(super) is_redirected: bool,
    /// The peer's address for `X-Forwarded-For`.
    field: HeaderValue,
    /// The worker that carries it.
    seat: Seat,
}

impl Connection {
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

/// A connection that was accepted, before it is known whose it is.
struct Arrival {
    peer: IpAddr,
    is_trusted: bool,
    entrance: Entrance,
    seat: Seat,
    open: OpenConnection,
}

/// What all connections share.
pub(super) struct Door {
    pub(super) workers: Workers,
    pub(super) gateway: Arc<Gateway>,
    pub(super) limits: DoorLimits,
    /// Whether connections of configured proxies begin with a PROXY header.
    pub(super) proxy_protocol: bool,
    /// How long an idle connection may still bring a request after the stop.
    pub(super) goodbye: Duration,
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
            entrance,
            address,
        } = listener;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = self.stopping.cancelled() => break,
            };
            let accepted = accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, entrance.clone()),
                Err(cause) => {
                    tracing::error!(%address, %cause, "cannot accept connections");
                    tokio::time::sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
                }
            }
        }
        self.admit_waiting(socket, &entrance);
    }

    /// Takes in who waits to be accepted when the gateway stops: as far as they know, they are
    /// connected, and closing the socket would reset them.
    fn admit_waiting(self: &Arc<Self>, socket: TcpListener, entrance: &Entrance) {
        let Ok(socket) = socket.into_std() else {
            return;
        };
        for _ in 0..BACKLOG {
            match socket.accept() {
                Ok((stream, peer)) if stream.set_nonblocking(true).is_ok() => {
                    self.admit(stream, peer, entrance.clone());
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn admit(self: &Arc<Self>, socket: StdStream, peer: SocketAddr, entrance: Entrance) {
        let address = peer.ip().to_canonical();
        let network = (!self.gateway.trusts(address)).then(|| Network::of(address));
        let Some(admission) = self.caps.admit(network) else {
            self.gateway.counters.connections_refused.inc();
            return;
        };
        let open = OpenConnection::new(&self.gateway.counters.connections, admission);
        let Some(seat) = self.workers.seat() else {
            return;
        };
        let runtime = seat.runtime().clone();
        let arrival = Arrival {
            peer: address,
            is_trusted: network.is_none(),
            entrance,
            seat,
            open,
        };
        let door = Arc::clone(self);
        let carrying = async move {
            // What cannot be registered is closed.
            if let Ok(socket) = TcpStream::from_std(socket) {
                door.receive(socket, arrival).await;
            }
        };
        self.tracker.spawn_on(carrying, &runtime);
    }

    async fn receive(self: Arc<Self>, mut socket: TcpStream, mut arrival: Arrival) {
        let deadline = Instant::now() + self.limits.head_time;
        if self.proxy_protocol && arrival.is_trusted {
            // Boxed, so that other connections do not carry the room for it.
            let introduced = Box::pin(self.introduce(&mut socket, &mut arrival, deadline));
            if !introduced.await {
                self.gateway.counters.connections_refused.inc();
                return;
            }
        }
        let Arrival {
            peer,
            is_trusted,
            entrance,
            seat,
            open: _open,
        } = arrival;
        let connection = Arc::new(Connection {
            peer,
            is_trusted,
            is_redirected: matches!(entrance, Entrance::Redirect),
            field: address_field(peer),
            seat,
        });
        self.serve(socket, connection, (entrance, deadline)).await;
    }

    /// Takes from a configured proxy whom it passes the connection on for; says whether it did so
    /// in time, and whether there is room for that client.
    async fn introduce(
        &self,
        socket: &mut TcpStream,
        arrival: &mut Arrival,
        deadline: Instant,
    ) -> bool {
        let reading = tokio::time::timeout_at(deadline, read_proxy_header(socket));
        match reading.await {
            Ok(Ok(client)) => {
                // Where nobody behind it is named, what heads say of a client does not count.
                arrival.is_trusted = client.is_some_and(|client| self.gateway.trusts(client));
                let Some(client) = client else { return true };
                arrival.peer = client;
                arrival.is_trusted || arrival.open.admission.also_counts_for(Network::of(client))
            }
            Ok(Err(cause)) => {
                let proxy = arrival.peer;
                tracing::info!(%proxy, %cause, "refused a connection of a balancer");
                false
            }
            Err(_) => false,
        }
    }

    /// Serves one accepted connection until it closes.
    async fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        connection: Arc<Connection>,
        (entrance, deadline): (Entrance, Instant),
    ) {
        let id = socket.as_raw_fd();
        // Answers leave at once; where this fails they leave a little later.
        let _ = socket.set_nodelay(true);
        // Where this fails, a client that is gone without a word is noticed later.
        let _ = SockRef::from(&socket).set_tcp_keepalive(&KEEP_ALIVE);
        let Entrance::Secure(tls) = entrance else {
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
            let reader = HeadReader {
                stream: &mut stream,
                patience: &mut patience,
                limits: self.head_limits(),
                head_time: self.limits.head_time,
            };
            let head = next_head(reader, stopping.as_mut(), self.goodbye).await;
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

/// The head of the next request; after the stop, of one that is on its way by then.
async fn next_head(
    mut reader: HeadReader<'_>,
    stopping: Pin<&mut WaitForCancellationFuture<'_>>,
    goodbye: Duration,
) -> Result<Option<BytesMut>, HeadProblem> {
    let reading = reader.read();
    tokio::pin!(reading);
    tokio::select! {
        biased;
        head = &mut reading => head,
        // The client does not know yet. What it sends is answered, as the last.
        () = stopping => {
            let last = Box::pin(tokio::time::timeout(goodbye, reading));
            last.await.unwrap_or(Ok(None))
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
    admission: Admission,
}

impl OpenConnection {
    fn new(gauge: &Gauge, admission: Admission) -> Self {
        gauge.inc();
        Self {
            gauge: gauge.clone(),
            admission,
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
