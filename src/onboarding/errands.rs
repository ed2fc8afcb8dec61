//! What is done after the answer, such as writing a letter: a bounded queue, a few at a time, first
//! come, first served.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many wait at most. It is more than the shipped limits let in within an hour, so that nobody
/// is refused because of a flood that they end.
const WAITING: usize = 4096;
/// How many are done at once. It is few, so that those who wait for a page do not wait for the
/// database.
const AT_ONCE: usize = 8;

/// Too many errands wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many letters are being written")]
pub struct TooBusy;

/// The queue.
pub(super) struct Errands {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Default for Errands {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            tasks: TaskTracker::new(),
        }
    }
}

impl Errands {
    /// Does it after a pause, when its turn comes.
    pub(super) fn queue<Errand>(
        &self,
        pause: Duration,
        errand: impl FnOnce() -> Errand + Send + 'static,
    ) -> Result<(), TooBusy>
    where
        Errand: Future<Output = ()> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| TooBusy)?;
        let turns = Arc::clone(&self.turns);
        self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            // The semaphore is never closed. Until its turn comes, an errand is what it knows.
            if let Ok(_turn) = turns.acquire_owned().await {
                Box::pin(errand()).await;
            }
            drop(place);
        });
        Ok(())
    }

    /// Waits until all are done, so long at most; says whether they are. No more are to come.
    pub(super) async fn finish(&self, within: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait())
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stopping_node_does_what_waits() {
        let (errands, done) = (Errands::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            let errand = async move || _ = done.fetch_add(1, Ordering::SeqCst);
            errands.queue(Duration::from_millis(500), errand).unwrap();
        }
        assert!(errands.finish(Duration::from_secs(15)).await);
        assert_eq!(done.load(Ordering::SeqCst), 100);
        let endless = async || std::future::pending().await;
        errands.queue(Duration::ZERO, endless).unwrap();
        assert!(!errands.finish(Duration::from_secs(15)).await);
    }

    #[tokio::test]
    async fn many_wait_a_few_are_done_at_once_and_the_rest_is_refused() {
        let errands = Errands::default();
        let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let errand = || {
            let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
            async move || {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
            }
        };
        for _ in 0..WAITING {
            assert_eq!(errands.queue(Duration::ZERO, errand()), Ok(()));
        }
        let another = errands.queue(Duration::ZERO, errand());
        assert_eq!(another, Err(TooBusy));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(begun.load(Ordering::SeqCst), AT_ONCE);
        gate.add_permits(WAITING);
        while begun.load(Ordering::SeqCst) < WAITING {
            tokio::task::yield_now().await;
        }
        let all = u32::try_from(WAITING).unwrap();
        drop(errands.places.acquire_many(all).await.unwrap());
        assert_eq!(errands.queue(Duration::ZERO, errand()), Ok(()));
    }
}
