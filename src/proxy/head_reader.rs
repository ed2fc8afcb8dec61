//! Reads the head of the next request of an HTTP/1 connection, before the proxy library does.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::head::{HeadLimits, HeadProblem, HeadScanner, asks_for_websocket, judge};
use super::patience::Patience;

/// What a read of a head begins with; most heads fit.
const HEAD_BUFFER: usize = 2 * 1024;

/// Reads the head of the next request of an HTTP/1 connection.
pub(super) struct HeadReader<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) patience: &'a mut Patience,
    pub(super) limits: HeadLimits,
    pub(super) head_time: Duration,
}

impl HeadReader<'_> {
    /// The head, and what of the body came with it; none when the connection is over.
    pub(super) async fn read(&mut self) -> Result<Option<BytesMut>, HeadProblem> {
        let mut buffer = BytesMut::with_capacity(HEAD_BUFFER);
        let mut scanner = HeadScanner::default();
        let mut has_begun = false;
        loop {
            let read = tokio::select! {
                biased;
                read = self.stream.read_buf(&mut buffer) => read,
                () = self.patience.end() => return Ok(None),
            };
            if !matches!(read, Ok(1..)) {
                return Ok(None);
            }
            // An empty line before a request is passed over (RFC 9112, section 2.2), whole.
            if !has_begun && buffer == b"\r"[..] {
                continue;
            }
            if !has_begun && buffer.starts_with(b"\r\n") {
                buffer.advance(2);
            }
            if let Some(end) = scanner.end(&buffer, self.limits)? {
                let head = buffer.get(..end).unwrap_or_default();
                judge(head, self.limits)?;
                if buffer.len() > end && asks_for_websocket(head) {
                    return Err(HeadProblem::EarlyTunnel);
                }
                return Ok(Some(buffer));
            }
            if !has_begun && !buffer.is_empty() {
                has_begun = true;
                let soon = Instant::now() + self.head_time;
                self.patience.shorten_to(soon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Wire;
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// What is read of these octets, which come one by one.
    async fn read(octets: Vec<u8>) -> Result<Option<BytesMut>, HeadProblem> {
        let (mut client, own) = tokio::io::duplex(1);
        let mut stream: Stream = Box::new(Wire::new(own, 0));
        let minute = Duration::from_mins(1);
        let mut reader = HeadReader {
            stream: &mut stream,
            patience: &mut Patience::until(Instant::now() + minute),
            limits: HeadLimits {
                head: 1024,
                target: 100,
                fields: 10,
            },
            head_time: minute,
        };
        tokio::spawn(async move { client.write_all(&octets).await });
        reader.read().await
    }

    #[tokio::test]
    async fn an_empty_line_is_passed_over_however_it_comes() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for before in ["", "\r\n", "\r\n\r\n"] {
            let head = read([before, request].concat().into()).await;
            assert_eq!(head.unwrap().unwrap(), request, "{before:?}");
        }
        let half = read(["\r", request].concat().into()).await;
        assert!(half.is_err(), "half an empty line");
    }
}
