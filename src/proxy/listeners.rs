//! Listening sockets and certificates.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::settings::{CertificateFiles, ListenerSettings};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

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

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateProblem {
    /// A file cannot be read, or holds something else.
    #[error("{} is not a readable PEM file with a {wanted}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// A certificate or a private key.
        wanted: &'static str,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// The chain holds no certificate.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("the key in {} cannot be used with its certificate", path.display())]
    UnfitKey {
        /// The file of the key.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
}

/// TLS on a listener.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({})", self.certificates.files.certificate.display())
    }
}

impl Listener {
    /// Binds an address; must be called on the runtime.
    ///
    /// Several processes may share it (`SO_REUSEPORT`), so that a new one can take over before
    /// the old one stops.
    pub fn bind(settings: &ListenerSettings) -> Result<Self, ListenProblem> {
        let tls = settings.tls.as_ref().map(Tls::new).transpose()?;
        let taken = |cause| ListenProblem::Address {
            address: settings.address,
            cause,
        };
        let socket = open(settings.address)
            .and_then(TcpListener::from_std)
            .map_err(taken)?;
        let address = socket.local_addr().map_err(taken)?;
        Ok(Self {
            socket,
            address,
            tls,
        })
    }

    /// The address that it is bound to, with the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// What to ask for a reload of the certificate; none for plain HTTP.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.tls.as_ref().map(|tls| Arc::clone(&tls.certificates))
    }
}

fn open(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Tls {
    fn new(files: &CertificateFiles) -> Result<Self, CertificateProblem> {
        let certificates = Arc::new(Certificates {
            files: files.clone(),
            current: ArcSwap::from(load(files)?),
        });
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

impl CertificateFiles {
    /// Whether a listener could use them.
    pub fn check(&self) -> Result<(), CertificateProblem> {
        load(self).map(|_| ())
    }
}

/// The certificate in use, exchanged without dropping a connection.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads the files again; the old certificate stays in use if they cannot be used.
    pub fn reload(&self) -> Result<(), CertificateProblem> {
        self.current.store(load(&self.files)?);
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn load(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateProblem> {
    let unreadable = |path: &Path, wanted| {
        let path = path.to_owned();
        move |cause| CertificateProblem::Unreadable {
            path,
            wanted,
            cause,
        }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(CertificateProblem::Empty {
            path: files.certificate.clone(),
        });
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key, "private key"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map(Arc::new)
        .map_err(|cause| CertificateProblem::UnfitKey {
            path: files.key.clone(),
            cause,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> CertificateFiles {
        CertificateFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        }
    }

    fn write(files: &CertificateFiles, name: &str) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let problem = |files: &CertificateFiles| load(files).unwrap_err().to_string();
        assert!(problem(&files).contains("tls.crt is not a readable PEM file"));
        std::fs::write(&files.certificate, "").unwrap();
        std::fs::write(&files.key, "").unwrap();
        assert!(problem(&files).contains("tls.crt holds no certificate"));
        write(&files, "one.example");
        let certificate = std::fs::read(&files.certificate).unwrap();
        std::fs::write(&files.key, "no key").unwrap();
        assert!(problem(&files).contains("tls.key is not a readable PEM file"));
        write(&files, "other.example");
        std::fs::write(&files.certificate, certificate).unwrap();
        assert!(
            problem(&files).contains("the key in"),
            "of another certificate"
        );
    }

    #[test]
    fn a_reload_takes_the_new_certificate_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files, "one.example");
        let tls = Tls::new(&files).unwrap();
        let in_use = || tls.certificates.current.load().cert[0].to_vec();
        let second = write(&files, "two.example");
        tls.certificates.reload().unwrap();
        assert_eq!(in_use(), second);
        std::fs::write(&files.key, "broken").unwrap();
        assert!(tls.certificates.reload().is_err());
        assert_eq!(in_use(), second);
    }

    #[tokio::test]
    async fn any_free_port_is_told() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(&ListenerSettings { address, tls: None }).unwrap();
        assert_ne!(listener.local_address().port(), 0);
        let foreign = SocketAddr::from(([192, 0, 2, 1], 1));
        let problem = Listener::bind(&ListenerSettings {
            address: foreign,
            tls: None,
        });
        assert_eq!(
            problem.unwrap_err().to_string(),
            "cannot listen on 192.0.2.1:1"
        );
    }
}
