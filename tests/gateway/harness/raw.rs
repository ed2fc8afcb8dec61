//! A client without manners: sends any bytes, and tells what came back and whether the connection
//! was closed after it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);
const A_MOMENT: Duration = Duration::from_millis(500);

/// One connection.
pub struct RawConnection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    pub body: Vec<u8>,
}

impl RawConnection {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Self {
        Self::try_open(address).await.expect("a connection")
    }

    /// Connects to `host:port`, unless nobody listens there.
    pub async fn try_open(address: &str) -> std::io::Result<Self> {
        let address = address.replace("localhost", "127.0.0.1");
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Sends bytes as they are; a peer that closed already is no error.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads one answer; `None` if the connection closed without one.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        let end = self.read_until(|unread| find(unread, b"\r\n\r\n")).await?;
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = RawAnswer {
            status,
            head,
            body: Vec::new(),
        };
        if answer.header("transfer-encoding").is_some() {
            let end = self.read_until(|unread| find(unread, b"0\r\n\r\n")).await?;
            answer.body = self.unread.drain(..end + 5).collect();
        } else {
            let length = answer
                .header("content-length")
                .and_then(|l| l.parse().ok())
                .unwrap_or(0);
            self.read_until(|unread| (unread.len() >= length).then_some(length))
                .await?;
            answer.body = self.unread.drain(..length).collect();
        }
        Some(answer)
    }

    /// Whether the gateway closes the connection within a moment.
    pub async fn is_closed(&mut self) -> bool {
        self.is_closed_within(A_MOMENT).await
    }

    /// Whether the gateway closes the connection within `patience`.
    pub async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let mut byte = [0; 1];
        matches!(
            timeout(patience, self.stream.read(&mut byte)).await,
            Ok(Ok(0) | Err(_))
        )
    }

    /// Reads until `found` says where something ends; `None` when the connection closed first.
    async fn read_until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        loop {
            if let Some(at) = found(&self.unread) {
                return Some(at);
            }
            let mut piece = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut piece)).await;
            match read.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.unread.extend_from_slice(&piece[..length]),
            }
        }
    }
}

impl RawAnswer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self
            .head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let mut same = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request on a connection of its own.
pub async fn send_raw(address: &str, bytes: impl AsRef<[u8]>) -> Option<RawAnswer> {
    let mut connection = RawConnection::open(address).await;
    connection.send(bytes).await;
    connection.answer().await
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
