//! HTTP/2 frames written by hand, for what no polite client sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Front;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// A connection that writes frames by hand.
pub struct Frames(TlsStream<TcpStream>);

impl Frames {
    pub async fn connect(front: &Front) -> Self {
        Self::dial(front.secure_address, &front.certificate, "app.example.com").await
    }

    /// A connection to a server of this name, whose certificate (DER) is its own authority.
    pub async fn dial(address: SocketAddr, certificate: &[u8], name: &'static str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from(certificate.to_vec()))
            .unwrap();
        let mut config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        Self(
            TlsConnector::from(Arc::new(config))
                .connect(name, socket)
                .await
                .unwrap(),
        )
    }

    pub async fn greeted(front: &Front) -> Self {
        Self::connect(front).await.greet().await
    }

    /// Says the preface and empty settings.
    pub async fn greet(mut self) -> Self {
        self.0.write_all(PREFACE).await.unwrap();
        self.send(SETTINGS, 0, 0, &[]).await;
        self
    }

    /// Writes a frame; says whether the connection still took it.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// Sends a request on stream 1; gives the status, `None` when the stream or the connection
    /// was reset instead.
    pub async fn request(&mut self, fields: Fields<'_>, body: Option<&[u8]>) -> Option<u16> {
        let end = if body.is_none() { END_STREAM } else { 0 };
        self.send(HEADERS, END_HEADERS | end, 1, &block(fields))
            .await;
        if let Some(body) = body {
            self.send(DATA, END_STREAM, 1, body).await;
        }
        self.status().await
    }

    pub async fn status(&mut self) -> Option<u16> {
        loop {
            let (kind, payload) = tokio::time::timeout(Duration::from_secs(5), self.frame())
                .await
                .ok()??;
            match kind {
                HEADERS => return status_of(&payload),
                RST_STREAM | 7 => return None,
                _ => {}
            }
        }
    }

    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    }

    pub async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let closing = async { while self.frame().await.is_some() {} };
        tokio::time::timeout(patience, closing).await.is_ok()
    }
}

/// Literal fields without indexing and without Huffman coding (RFC 7541, section 6.2.2).
pub fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The status is the first field of an answer: indexed, or a literal with an indexed name.
fn status_of(block: &[u8]) -> Option<u16> {
    const TABLE: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match *block {
        [index @ 0x88..=0x8e, ..] => TABLE.get(usize::from(index - 0x88)).copied(),
        [_, length, ref rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(rest.get(..usize::from(length))?)
                .ok()?
                .parse()
                .ok()
        }
        [_, length, ref rest @ ..] => huffman_digits(rest.get(..usize::from(length & 0x7f))?),
        _ => None,
    }
}

/// Three digits in the code of RFC 7541, appendix B: `0` to `2` have five bits, the rest six.
fn huffman_digits(octets: &[u8]) -> Option<u16> {
    let bits = octets
        .iter()
        .fold(String::new(), |bits, octet| format!("{bits}{octet:08b}"));
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = u16::from_str_radix(bits.get(at..at + 5)?, 2).ok()?;
        if five <= 2 {
            number = number * 10 + five;
            at += 5;
        } else {
            number = number * 10 + u16::from_str_radix(bits.get(at..at + 6)?, 2).ok()? - 0x19 + 3;
            at += 6;
        }
    }
    Some(number)
}

/// The fields of an ordinary request.
pub fn get(path: &str) -> [(&str, &str); 4] {
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "app.example.com"),
        (":path", path),
    ]
}
