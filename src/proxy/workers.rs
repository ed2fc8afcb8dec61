//! The threads that carry connections.
//!
//! Each has a runtime, a proxy and upstream connections of its own: a request never waits for
//! another thread, and threads share nothing that is written while a request passes. What may
//! take long or needs a store runs on the runtime that everything else is on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use pingora_proxy::HttpProxy;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::callbacks::Shared;

/// The library's proxy around our callbacks.
pub(super) type Proxy = HttpProxy<Shared>;

/// A thread that carries connections.
pub(super) struct Worker {
    runtime: Handle,
    proxy: Arc<Proxy>,
    connections: AtomicUsize,
}

/// All of them.
pub(super) struct Workers {
    all: Vec<Arc<Worker>>,
    stop: CancellationToken,
    running: TaskTracker,
}

/// A connection on its worker; dropping it makes room.
pub(super) struct Seat(Arc<Worker>);

impl Workers {
    /// Starts one thread for each processor; `proxy` makes the proxy of each, told how many there
    /// are.
    pub(super) fn start(proxy: impl Fn(usize) -> Proxy) -> std::io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut all = Vec::with_capacity(count);
        let (stop, running) = (CancellationToken::new(), TaskTracker::new());
        running.close();
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            all.push(Arc::new(Worker {
                runtime: runtime.handle().clone(),
                proxy: Arc::new(proxy(count)),
                connections: AtomicUsize::new(0),
            }));
            let (stopped, runs) = (stop.clone().cancelled_owned(), running.token());
            thread::Builder::new()
                .name(format!("connections-{number}"))
                .spawn(move || {
                    runtime.block_on(stopped);
                    drop((runtime, runs));
                })?;
        }
        Ok(Self { all, stop, running })
    }

    /// A place on the worker with the fewest connections.
    pub(super) fn seat(&self) -> Option<Seat> {
        let least = |worker: &&Arc<Worker>| worker.connections.load(Relaxed);
        let worker = self.all.iter().min_by_key(least)?;
        worker.connections.fetch_add(1, Relaxed);
        Some(Seat(Arc::clone(worker)))
    }

    /// Ends all threads, and with them whatever still runs there.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.running.wait().await;
    }
}

impl Seat {
    /// The runtime of the worker.
    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// The proxy of the worker.
    pub(super) fn proxy(&self) -> &Arc<Proxy> {
        &self.0.proxy
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
