//! A client that speaks HTTP/2 in TLS, stream by stream.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Front;

/// One connection.
pub struct Http2Visitor(SendRequest<Bytes>);

impl Http2Visitor {
    pub async fn dial(front: &Front) -> Self {
        let name = "app.example.com";
        Self::dial_to(front.secure_address, front.certificate.clone(), name).await
    }

    /// A connection to a server of this name, whose certificate (DER) is its own authority.
    pub async fn dial_to(address: SocketAddr, certificate: Vec<u8>, name: &'static str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from(certificate))
            .expect("a root");
        let mut config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(address).await;
        let name = ServerName::try_from(name).expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket.expect("a socket"));
        let (sending, connection) = h2::client::handshake(stream.await.expect("TLS"))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self(sending)
    }

    /// The status of a whole answer; `None` where the connection takes no more requests, so that
    /// this one was not sent.
    pub async fn ask(&self, request: Request<()>) -> Option<Result<StatusCode, h2::Error>> {
        let mut ready = self.0.clone().ready().await.ok()?;
        let (answer, _) = ready.send_request(request, true).ok()?;
        Some(read_whole(answer).await)
    }

    /// Sends a head whose body is to follow.
    pub async fn send(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = self.0.clone().ready().await.expect("a connection");
        ready.send_request(request, false).expect("a stream")
    }
}

async fn read_whole(answer: ResponseFuture) -> Result<StatusCode, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    Ok(head.status)
}
