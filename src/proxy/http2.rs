//! One HTTP/2 connection: a deadline for its first request, then a task for every stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession as Http2Session, handshake,
};
use pingora_core::protocols::{Digest, Stream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{Connection, Door};
use super::patience::Patience;

/// HTTP/2 streams of one connection that the proxy library itself refused as malformed.
const MALFORMED_STREAMS: usize = 32;

/// How long an idle client may take to see that the connection ends.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

impl Door {
    /// Serves an HTTP/2 connection until it closes.
    pub(super) async fn serve_http2(
        self: Arc<Self>,
        stream: Stream,
        deadline: Instant,
        connection: Arc<Connection>,
    ) {
        let Ok(Ok(mut http2)) =
            tokio::time::timeout_at(deadline, handshake(stream, Some(self.http2_options()))).await
        else {
            return;
        };
        let digest = Arc::new(Digest::default());
        let streams = Arc::new(OpenStreams::default());
        let mut patience = Patience::until(deadline);
        let mut refused = 0;
        let (mut is_stopping, mut is_idle) = (false, false);
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stopping.cancelled(), if !is_stopping => {
                    http2.graceful_shutdown();
                    is_stopping = true;
                    continue;
                }
                accepted = Http2Session::from_h2_conn(&mut http2, Arc::clone(&digest)) => accepted,
                () = streams.idle_for(&mut patience, self.limits.keep_alive) => {
                    if is_idle {
                        return;
                    }
                    // Said first, so that no request crosses the end of the connection.
                    http2.graceful_shutdown();
                    is_idle = true;
                    patience.move_to(Instant::now() + GOODBYE_TIME);
                    continue;
                }
            };
            match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    patience.move_to(Instant::now() + self.limits.keep_alive);
                    self.spawn_stream(session, &streams, Arc::clone(&connection));
                }
                Ok(Some(H2Accept::Rejected)) if refused < MALFORMED_STREAMS => refused += 1,
                Ok(Some(H2Accept::Rejected) | None) | Err(_) => return,
            }
        }
    }

    fn spawn_stream(
        self: &Arc<Self>,
        session: Http2Session,
        streams: &Arc<OpenStreams>,
        connection: Arc<Connection>,
    ) {
        let door = Arc::clone(self);
        let open = streams.open();
        self.tracker.spawn(async move {
            let _open = open;
            let mut next_look = Patience::until(Instant::now());
            let session = ServerSession::new_http2(session);
            door.process(session, &connection, &mut next_look).await;
        });
    }

    fn http2_options(&self) -> H2Options {
        let mut options = H2Options::default();
        options
            .max_header_list_size(u32::try_from(self.limits.head).unwrap_or(u32::MAX))
            .max_concurrent_streams(self.limits.streams)
            .max_send_buffer_size(1 << 18)
            .initial_window_size(1 << 18)
            .initial_connection_window_size(1 << 20);
        options
    }
}

/// Counts the open streams of an HTTP/2 connection.
#[derive(Debug, Default)]
struct OpenStreams {
    count: AtomicUsize,
    none_left: Notify,
}

impl OpenStreams {
    fn open(self: &Arc<Self>) -> OpenStream {
        self.count.fetch_add(1, Ordering::AcqRel);
        OpenStream(Arc::clone(self))
    }

    /// Ends when patience does while no stream is open.
    async fn idle_for(&self, patience: &mut Patience, keep_alive: Duration) {
        loop {
            while self.count.load(Ordering::Acquire) > 0 {
                self.none_left.notified().await;
                patience.move_to(Instant::now() + keep_alive);
            }
            patience.end().await;
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
        }
    }
}

/// An open stream; dropping it closes it.
struct OpenStream(Arc<OpenStreams>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_one();
        }
    }
}
