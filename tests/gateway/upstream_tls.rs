//! An upstream behind TLS must be the one that is meant.

use std::sync::Arc;

use super::harness::{Front, FrontSettings, status};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vestibule::proxy::UpstreamServer;

/// A server with a certificate that no public root vouches for; gives its port and certificate.
async fn private_server() -> (u16, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nimpostor";
                let _ = stream.write_all(answer).await;
            }
        }
    });
    (port, made.cert.pem().into_bytes())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (port, _) = private_server().await;
    for (url, name) in [
        (format!("https://localhost:{port}"), None),
        (format!("https://127.0.0.1:{port}"), Some("localhost")),
    ] {
        let settings = FrontSettings {
            only_upstream: Some(UpstreamServer::parse(&url, name).unwrap()),
            ..FrontSettings::default()
        };
        let front = Front::with(settings).await;
        let answer = front.request("GET /public/a", &[]).await;
        assert!(matches!(status(&answer), 502 | 503), "{answer}");
        assert!(!answer.contains("impostor"));
    }
}

#[tokio::test]
async fn a_certificate_of_the_named_authority_is_taken_and_no_other() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ((port, ca), (_, another)) = (private_server().await, private_server().await);
    for (ca, is_taken) in [(ca, true), (another, false)] {
        let url = format!("https://localhost:{port}");
        let settings = FrontSettings {
            only_upstream: Some(UpstreamServer::parse(&url, None).unwrap()),
            upstream_ca: Some(ca),
            ..FrontSettings::default()
        };
        let front = Front::with(settings).await;
        let answer = front.request("GET /public/a", &[]).await;
        assert_eq!(answer.contains("impostor"), is_taken, "{answer}");
    }
}
