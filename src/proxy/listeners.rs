//! Listening sockets, and TLS on them.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::{ResolvesServerCert, ServerConfig};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::certificates::{CertificateProblem, Certificates};
use super::settings::{CertificateFiles, ListenerSettings};

/// Connections that may wait to be accepted.
pub(super) const BACKLOG: u16 = 1024;

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenProblem {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) entrance: Entrance,
}

/// What is said on the connections of a listener.
#[derive(Debug, Clone)]
pub(super) enum Entrance {
    /// HTTP/1.1.
    Plain,
    /// TLS, and in it HTTP/1.1 or HTTP/2.
    Secure(Tls),
    /// HTTP/1.1, every request of which is sent on to https.
    Redirect,
}

/// TLS on a listener.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.certificates)
    }
}

impl Listener {
    /// Binds an address; must be called on the runtime.
    pub fn bind(settings: &ListenerSettings) -> Result<Self, ListenProblem> {
        let socket = open(settings.address);
        Self::on(socket.map_err(settings.unusable())?, settings)
    }

    /// Listens on a socket that is open already; must be called on the runtime.
    pub fn on(socket: StdListener, settings: &ListenerSettings) -> Result<Self, ListenProblem> {
        let entrance = match settings.tls.as_slice() {
            [] => Entrance::Plain,
            files => Entrance::Secure(Tls::new(files)?),
        };
        Self::with(socket, entrance).map_err(settings.unusable())
    }

    /// Listens on a socket that is open already, and sends everybody on to https; must be called on
    /// the runtime.
    pub fn redirecting(socket: StdListener) -> std::io::Result<Self> {
        Self::with(socket, Entrance::Redirect)
    }

    fn with(socket: StdListener, entrance: Entrance) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            entrance,
        })
    }

    /// The address that it is bound to, with the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for whoever takes it over.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What to ask for a reload of the certificates; none for plain HTTP.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        match &self.entrance {
            Entrance::Secure(tls) => Some(Arc::clone(&tls.certificates)),
            Entrance::Plain | Entrance::Redirect => None,
        }
    }
}

impl ListenerSettings {
    fn unusable(&self) -> impl Fn(std::io::Error) -> ListenProblem {
        let address = self.address;
        move |cause| ListenProblem::Address { address, cause }
    }
}

/// Opens a listening socket.
///
/// Several processes may share the address (`SO_REUSEPORT`), so that a new one can be there before
/// the old one stops.
pub fn open(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}

impl Tls {
    fn new(files: &[CertificateFiles]) -> Result<Self, CertificateProblem> {
        let certificates = Arc::new(Certificates::open(files)?);
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(CertificateProblem::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_free_port_is_told() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(&ListenerSettings {
            address,
            tls: vec![],
        })
        .unwrap();
        assert_ne!(listener.local_address().port(), 0);
        let foreign = SocketAddr::from(([192, 0, 2, 1], 1));
        let problem = Listener::bind(&ListenerSettings {
            address: foreign,
            tls: vec![],
        });
        assert_eq!(
            problem.unwrap_err().to_string(),
            "cannot listen on 192.0.2.1:1"
        );
    }
}
