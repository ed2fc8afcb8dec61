//! What a node knows of a bucket that all nodes draw from: cells that it was lent, or until when
//! there are none.
//!
//! Whoever draws often is lent several cells at a time, so that most draws ask nobody. Lent cells
//! count as drawn for everybody else, and are worth nothing after [`LENT_FOR`]. So the cells that
//! all nodes use within a time `t` were all given out within `t + LENT_FOR`, and that is at most
//! `burst + rate * (t + LENT_FOR)`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rate_limit::{Drawn, Limit, SlowDown};

/// How long lent cells can be used.
pub(super) const LENT_FOR: Duration = Duration::from_secs(1);

/// No cell of a limit takes longer to fill; a clock that was set back may say otherwise.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// No node is lent more than this part of a bucket at a time.
const PART_LENT: u32 = 8;

/// A bucket, as this node knows it.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Its name in the store.
    pub(super) key: String,
    pub(super) interval: Duration,
    pub(super) burst: u32,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// The loan that is used, and the one that follows.
    loans: [Loan; 2],
    /// How many cells are asked for next.
    next: u32,
    is_asking: bool,
    /// Before this there is no cell for anybody.
    empty_until: Instant,
    /// From here on a draw passes, if nobody else was faster.
    sure_from: Instant,
    /// How many cells the store had left when it was asked last.
    left: u32,
}

#[derive(Debug, Clone, Copy)]
struct Loan {
    cells: u32,
    until: Instant,
}

/// How a cell is come by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// From what was lent; it is time to ask for so many more, if any.
    Lent(Drawn, Option<u32>),
    /// So many have to be asked for.
    Ask(u32),
}

/// What the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    /// Cells that this node may use.
    pub(super) cells: u32,
    /// Cells that are left for everybody.
    pub(super) left: u32,
    /// When there will be one, if there is none.
    pub(super) wait: Duration,
}

impl Bucket {
    /// A bucket of which nothing is known.
    pub(super) fn new(key: String, limit: &Limit, now: Instant) -> Self {
        let nothing = Loan {
            cells: 0,
            until: now,
        };
        Self {
            key,
            interval: limit.interval(),
            burst: limit.burst.max(1),
            known: Mutex::new(Known {
                loans: [nothing; 2],
                next: 1,
                is_asking: false,
                empty_until: now,
                sure_from: now,
                left: 0,
            }),
        }
    }

    /// Why nobody gets a cell, where that is known.
    pub(super) fn refusal(&self, now: Instant) -> Option<SlowDown> {
        let mut known = self.known();
        known.drop_expired(now);
        let is_refused = known.lent() == 0 && now < known.empty_until;
        is_refused.then(|| known.slow_down(now))
    }

    /// Takes a cell that was lent, or says how many to ask for.
    pub(super) fn take(&self, now: Instant) -> Taken {
        let most = self.most_lent();
        let mut known = self.known();
        known.drop_expired(now);
        let Some(left) = known.use_one() else {
            let was_used_up = known.loans.iter().any(|loan| now < loan.until);
            known.grow(was_used_up, most);
            return Taken::Ask(known.ask());
        };
        let is_low = known.next > 1 && known.lent() <= known.next / 2;
        let more = is_low && !known.is_asking && known.loans[1].cells == 0;
        known.grow(more, most);
        Taken::Lent(Drawn { left }, more.then(|| known.ask()))
    }

    /// Takes in what the store gave; a cell of it is for whoever waits for the answer.
    pub(super) fn receive(
        &self,
        given: Given,
        (asked_at, is_waited_for): (Instant, bool),
    ) -> Result<Drawn, SlowDown> {
        let mut known = self.known();
        known.is_asking = false;
        known.left = given.left;
        if given.cells == 0 {
            let wait = given.wait.min(LONGEST_WAIT);
            known.empty_until = known.empty_until.max(asked_at + wait);
            // The draw has used a cell of this node, which takes its time to fill as well.
            let sure_from = asked_at + wait.max(self.interval);
            known.sure_from = known.sure_from.max(sure_from);
            return Err(known.slow_down(asked_at));
        }
        known.lend(given.cells - u32::from(is_waited_for), asked_at + LENT_FOR);
        Ok(Drawn {
            left: known.left.saturating_add(known.lent()),
        })
    }

    /// The store did not answer.
    pub(super) fn not_answered(&self) {
        self.known().is_asking = false;
    }

    /// No more than fills again while they are lent: what is not used is missed by nobody for long.
    fn most_lent(&self) -> u32 {
        let filling = LENT_FOR.as_nanos() / self.interval.as_nanos().max(1);
        let filling = u32::try_from(filling).unwrap_or(u32::MAX);
        filling.min(self.burst / PART_LENT).max(1)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn slow_down(&self, now: Instant) -> SlowDown {
        SlowDown {
            retry_after: self.sure_from.saturating_duration_since(now),
        }
    }

    fn lent(&self) -> u32 {
        self.loans[0].cells + self.loans[1].cells
    }

    /// Fewer are asked for after some were not used.
    fn drop_expired(&mut self, now: Instant) {
        for loan in &mut self.loans {
            if loan.cells > 0 && loan.until <= now {
                loan.cells = 0;
                self.next = (self.next / 2).max(1);
            }
        }
    }

    /// Uses a lent cell, the oldest first; gives how many are left.
    fn use_one(&mut self) -> Option<u32> {
        if self.loans[0].cells == 0 {
            self.loans.swap(0, 1);
        }
        self.loans[0].cells = self.loans[0].cells.checked_sub(1)?;
        Some(self.left.saturating_add(self.lent()))
    }

    /// More are asked for when all were used in time.
    fn grow(&mut self, is_due: bool, most: u32) {
        if is_due {
            self.next = self.next.saturating_mul(2).min(most);
        }
    }

    /// How many to ask for; of many who ask at once, one asks for more than its own.
    fn ask(&mut self) -> u32 {
        if std::mem::replace(&mut self.is_asking, true) {
            1
        } else {
            self.next
        }
    }

    /// Two loans are put together where there is no third place; then the shorter time holds.
    fn lend(&mut self, cells: u32, until: Instant) {
        let loan = match &mut self.loans {
            [used, _] if used.cells == 0 => used,
            [_, following] => following,
        };
        *loan = Loan {
            cells: loan.cells + cells,
            until: if loan.cells == 0 {
                until
            } else {
                loan.until.min(until)
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{Per, Scope};
    use proptest::prelude::*;

    fn limit(requests: u32, burst: u32) -> Limit {
        Limit {
            name: "careful".to_owned(),
            requests,
            period: Duration::from_secs(1),
            burst,
            per: Per::User,
            scope: Scope::Cluster,
        }
    }

    /// The script in Redis, in its words.
    struct Store {
        interval: Duration,
        burst: u32,
        full_at: Instant,
    }

    impl Store {
        fn give(&mut self, wanted: u32, now: Instant) -> Given {
            let full_at = self.full_at.max(now);
            let all = self.interval * self.burst;
            let space = (now + all).saturating_duration_since(full_at);
            let free = space.as_nanos() / self.interval.as_nanos();
            let free = u32::try_from(free).unwrap();
            let cells = wanted.min(free);
            self.full_at = full_at + self.interval * cells;
            Given {
                cells,
                left: free - cells,
                wait: (self.full_at + self.interval).saturating_duration_since(now + all),
            }
        }
    }

    /// One draw on a node, with Redis asked and answering at once.
    fn draws(node: &Bucket, store: &mut Store, now: Instant) -> bool {
        if node.refusal(now).is_some() {
            return false;
        }
        match node.take(now) {
            Taken::Lent(_, more) => {
                if let Some(wanted) = more {
                    let _ = node.receive(store.give(wanted, now), (now, false));
                }
                true
            }
            Taken::Ask(wanted) => {
                let given = store.give(wanted, now);
                node.receive(given, (now, true)).is_ok()
            }
        }
    }

    fn nodes(limit: &Limit, count: usize, now: Instant) -> (Vec<Bucket>, Store) {
        let node = |_| Bucket::new("b".to_owned(), limit, now);
        let store = Store {
            interval: limit.interval(),
            burst: limit.burst,
            full_at: now,
        };
        ((0..count).map(node).collect(), store)
    }

    proptest! {
        /// Whatever draws where and when: within any time, all nodes together let no more pass than
        /// a full bucket and what fills in that time and the time of a loan.
        #[test]
        fn nodes_together_pass_a_limit_by_no_more_than_a_loan(
            requests in 1u32..400,
            burst in 1u32..400,
            asked in prop::collection::vec((0usize..4, 0u64..40), 1..800),
        ) {
            let limit = limit(requests, burst);
            let start = Instant::now();
            let (nodes, mut store) = nodes(&limit, 4, start);
            let mut now = start;
            let mut passed = Vec::new();
            for (node, pause) in asked {
                now += Duration::from_millis(pause);
                if draws(&nodes[node], &mut store, now) {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, until) in passed.iter().enumerate().skip(first) {
                    let time = until.duration_since(*from) + LENT_FOR;
                    let filled = time.as_secs_f64() * f64::from(requests);
                    let most = f64::from(burst) + filled + 1.0;
                    let count = u32::try_from(last - first + 1).unwrap();
                    prop_assert!(f64::from(count) <= most, "{count} in {time:?}");
                }
            }
        }

        /// Nobody who stays on one node gets less than the limit says.
        #[test]
        fn one_node_alone_gets_all(requests in 1u32..400, burst in 2u32..400) {
            let limit = limit(requests, burst);
            let start = Instant::now();
            let (nodes, mut store) = nodes(&limit, 1, start);
            let seconds = 3;
            let passed = (0..seconds * 1000)
                .filter(|ms| draws(&nodes[0], &mut store, start + Duration::from_millis(*ms)))
                .count();
            let most = u64::from(burst) + seconds * u64::from(requests);
            let asked = seconds * 1000;
            let least = most.min(asked) - u64::from(requests.max(burst)) / 8 - 2;
            prop_assert!(passed as u64 >= least, "{passed} of {most}");
        }
    }

    #[test]
    fn small_buckets_are_counted_one_by_one() {
        let limit = limit(10, 10);
        let now = Instant::now();
        let (nodes, mut store) = nodes(&limit, 3, now);
        let passed = (0..300).filter(|turn| draws(&nodes[turn % 3], &mut store, now));
        assert_eq!(passed.count(), 10);
    }

    #[test]
    fn who_draws_often_asks_seldom() {
        let limit = limit(1000, 1000);
        let start = Instant::now();
        let bucket = Bucket::new("b".to_owned(), &limit, start);
        let mut asked = 0;
        for turn in 0..1000 {
            let now = start + Duration::from_millis(turn);
            let wanted = match bucket.take(now) {
                Taken::Lent(_, None) => continue,
                Taken::Lent(_, Some(wanted)) | Taken::Ask(wanted) => wanted,
            };
            asked += 1;
            let given = Given {
                cells: wanted,
                left: 500,
                wait: Duration::ZERO,
            };
            bucket.receive(given, (now, turn == 0)).unwrap();
        }
        assert!(asked < 30, "{asked}");
    }

    #[test]
    fn a_loan_is_worth_nothing_after_its_time() {
        let limit = limit(1000, 1000);
        let now = Instant::now();
        let bucket = Bucket::new("b".to_owned(), &limit, now);
        let given = Given {
            cells: 5,
            left: 0,
            wait: Duration::ZERO,
        };
        assert_eq!(bucket.receive(given, (now, true)), Ok(Drawn { left: 4 }));
        assert!(matches!(bucket.take(now), Taken::Lent(..)));
        assert_eq!(bucket.take(now + LENT_FOR), Taken::Ask(1));
    }

    #[test]
    fn what_is_empty_is_refused_without_asking_until_a_cell_is_free() {
        let limit = limit(1, 1);
        let now = Instant::now();
        let bucket = Bucket::new("b".to_owned(), &limit, now);
        let given = Given {
            cells: 0,
            left: 0,
            wait: Duration::from_secs(1),
        };
        let slow_down = bucket.receive(given, (now, true)).unwrap_err();
        assert_eq!(slow_down.retry_after, Duration::from_secs(1));
        let half = now + Duration::from_millis(500);
        let pause = bucket.refusal(half).unwrap().retry_after;
        assert_eq!(pause, Duration::from_millis(500));
        assert_eq!(bucket.refusal(now + Duration::from_secs(1)), None);
    }
}
