//! How long sessions live (pure).

use std::time::Duration;

use crate::clock::Timestamp;

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without a request.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
    /// While the registration is not complete.
    pub pending: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(8),
            absolute: Duration::from_hours(24),
            pending: Duration::from_hours(2),
        }
    }
}

impl Lifetimes {
    /// The idle end of a session seen at `now` that ends at `ends_at` at the latest.
    pub fn idle_until(&self, now: Timestamp, ends_at: Timestamp) -> Timestamp {
        now.plus(self.idle).min(ends_at)
    }

    /// Whether the idle end should be moved: at most once a sixteenth of the idle span, so that
    /// requests do not write.
    pub fn wants_touch(&self, idle_until: Timestamp, now: Timestamp, ends_at: Timestamp) -> bool {
        self.idle_until(now, ends_at).since(idle_until) > self.idle / 16
    }

    /// The moment after which [`Lifetimes::wants_touch`] holds; none when the idle end cannot be
    /// moved any further.
    pub fn touch_from(&self, idle_until: Timestamp, ends_at: Timestamp) -> Option<Timestamp> {
        let wanted = idle_until.plus(self.idle / 16);
        (wanted < ends_at).then(|| wanted.minus(self.idle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_idle_end_moves_with_requests_but_never_past_the_absolute_end() {
        let lifetimes = Lifetimes::default();
        let start = Timestamp::from_millis(0);
        let ends_at = start.plus(24 * HOUR);
        assert_eq!(lifetimes.idle_until(start, ends_at), start.plus(8 * HOUR));
        assert_eq!(
            lifetimes.idle_until(start.plus(20 * HOUR), ends_at),
            ends_at
        );
    }

    #[test]
    fn a_request_right_after_another_does_not_write() {
        let lifetimes = Lifetimes::default();
        let start = Timestamp::from_millis(0);
        let ends_at = start.plus(24 * HOUR);
        let idle_until = lifetimes.idle_until(start, ends_at);
        assert!(!lifetimes.wants_touch(idle_until, start.plus(HOUR / 4), ends_at));
        assert!(lifetimes.wants_touch(idle_until, start.plus(HOUR), ends_at));
        assert!(!lifetimes.wants_touch(ends_at, start.plus(23 * HOUR), ends_at));
    }

    proptest! {
        #[test]
        fn the_moment_to_touch_is_when_a_touch_is_wanted(
            idle in 16_u64..1_000_000, now in 0_i64..1_000_000, left in 0_i64..1_000_000,
            ends in 0_i64..2_000_000,
        ) {
            let idle = Duration::from_millis(idle - idle % 16);
            let lifetimes = Lifetimes { idle, ..Lifetimes::default() };
            let (now, ends_at) = (Timestamp::from_millis(now), Timestamp::from_millis(ends));
            let idle_until = Timestamp::from_millis(left).min(ends_at);
            let from = lifetimes.touch_from(idle_until, ends_at);
            prop_assert_eq!(
                lifetimes.wants_touch(idle_until, now, ends_at),
                from.is_some_and(|from| now > from)
            );
        }
    }
}
