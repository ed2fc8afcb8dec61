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
            // An empty line before a request is passed over (RFC 9112, section 2.2).
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
