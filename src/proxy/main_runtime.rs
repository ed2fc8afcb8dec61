//! Work that needs a store or makes a page, on the runtime that everything else is on.
//!
//! It is carried through even if the client goes away, so that the number of streams does not
//! bound it; the caps here do.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::guard::Caps;
use crate::rate_limit::Network;
use crate::telemetry::traces;

/// A way to the main runtime for one kind of work.
#[derive(Debug, Clone)]
pub(super) struct MainRuntime {
    runtime: Handle,
    caps: Arc<Caps>,
}

/// Why work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// Too much of it is under way, in all or for this network.
    Full,
    /// It panicked.
    Panicked,
}

impl MainRuntime {
    /// To the current runtime; no more than `total` at once, and `per_network` for one network.
    pub(super) fn current(total: usize, per_network: usize) -> Self {
        Self {
            runtime: Handle::current(),
            caps: Arc::new(Caps::new(total, per_network)),
        }
    }

    /// Does the work there, and nobody waits; not at all while too much is under way.
    pub(super) fn start(&self, work: impl Future<Output: Send> + Send + 'static) {
        if let Some(place) = self.caps.admit(None) {
            self.runtime.spawn(async move {
                let _place = place;
                work.await
            });
        }
    }

    /// Does the work there; `None` for the network exempts it from that cap.
    pub(super) async fn run<F>(
        &self,
        network: Option<Network>,
        work: F,
    ) -> Result<F::Output, Undone>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let place = self.caps.admit(network).ok_or(Undone::Full)?;
        let working = async move {
            let _place = place;
            work.await
        };
        self.runtime
            .spawn(traces::carried(working))
            .await
            .map_err(|_| Undone::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_has_bounds_and_is_carried_through() {
        let main = MainRuntime::current(1, 1);
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let waiting = main.run(None, wait);
        let abandoned = tokio::time::timeout(std::time::Duration::from_millis(20), waiting).await;
        assert!(abandoned.is_err(), "it waits");
        assert_eq!(main.run(None, async {}).await, Err(Undone::Full));
        go.send(()).expect("somebody still listens");
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(main.run(None, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_stays_there_and_makes_room() {
        let main = MainRuntime::current(1, 1);
        let outcome = main.run(None, async { panic!("on purpose") }).await;
        assert_eq!(outcome, Err::<(), _>(Undone::Panicked));
        assert_eq!(main.run(None, async {}).await, Ok(()));
    }
}
