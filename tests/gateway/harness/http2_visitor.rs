//! A client that speaks HTTP/2 in TLS, stream by stream.

use std::sync::Arc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Front;

/// One connection.
pub struct Http2Visitor(SendRequest<Bytes>);

impl Http2Visitor {
    pub async fn dial(front: &Front) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from(front.certificate.clone());
        roots.add(certificate).expect("a root");
        let mut config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(front.secure_address).await;
        let name = ServerName::try_from("app.example.com").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket.expect("a socket"));
        let (sending, connection) = h2::client::handshake(stream.await.expect("TLS"))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self(sending)
    }

    /// Sends a head whose body is to follow.
    pub async fn send(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = self.0.clone().ready().await.expect("a connection");
        ready.send_request(request, false).expect("a stream")
    }
}
