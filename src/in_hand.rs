//! What this node is working on: each piece of work once, and so many at a time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{self, JoinError, JoinSet};

/// Pieces of work by their ids. Dropping it aborts them.
#[derive(Debug)]
pub struct InHand {
    most: usize,
    ids: HashMap<task::Id, String>,
    tasks: JoinSet<()>,
}

impl InHand {
    /// Has room for so many at once.
    pub fn up_to(most: usize) -> Self {
        Self {
            most,
            ids: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// How many more could be taken in hand.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.tasks.len())
    }

    /// Takes a piece of work in hand, unless it is or there is no room.
    pub fn add(&mut self, id: &str, work: impl Future<Output = ()> + Send + 'static) {
        if self.room() > 0 && !self.ids.values().any(|held| held == id) {
            let task = self.tasks.spawn(work);
            self.ids.insert(task.id(), id.to_owned());
        }
    }

    /// Lets go of what is done, or ended in a panic.
    pub fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.let_go(&ended);
        }
    }

    /// Waits for one of them; for ever while there is none.
    pub async fn one_done(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.let_go(&ended),
            None => std::future::pending().await,
        }
    }

    /// Waits for all of them, so long at most; says whether they are done.
    pub async fn finish(mut self, within: Duration) -> bool {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(within, all).await.is_ok()
    }

    fn let_go(&mut self, ended: &Result<(task::Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        self.ids.remove(&task);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    async fn forever() {
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn each_is_taken_once_and_no_more_than_there_is_room_for() {
        let mut in_hand = InHand::up_to(2);
        in_hand.add("a", forever());
        in_hand.add("a", forever());
        assert_eq!(in_hand.room(), 1);
        in_hand.add("b", forever());
        in_hand.add("c", forever());
        assert_eq!((in_hand.room(), in_hand.ids.len()), (0, 2));
    }

    #[tokio::test]
    async fn what_panics_is_let_go_while_others_go_on() {
        let mut in_hand = InHand::up_to(2);
        in_hand.add("steady", forever());
        in_hand.add("unlucky", async { panic!("as a bug would") });
        in_hand.one_done().await;
        let (told, hears) = oneshot::channel();
        in_hand.add("unlucky", async { _ = told.send(()) });
        hears.await.expect("it is taken in hand again");
    }

    #[tokio::test(start_paused = true)]
    async fn finishing_has_an_end() {
        let mut in_hand = InHand::up_to(1);
        in_hand.add("a", forever());
        assert!(!in_hand.finish(Duration::from_secs(15)).await);
        let mut in_hand = InHand::up_to(1);
        in_hand.add("a", tokio::time::sleep(Duration::from_secs(5)));
        assert!(in_hand.finish(Duration::from_secs(15)).await);
    }
}
