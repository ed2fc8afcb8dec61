//! How fast the body of a forwarded request comes in, and for how long its answer may then be
//! waited for.
//!
//! Pieces are counted as they pass, without a look at the clock; what they come to is judged every
//! other second in `streams.rs`. There is no such thing for WebSockets and gRPC.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What of a body has to come in each span, octets: less than the slowest line carries, while an
/// octet a minute would hold a request of 1 GiB for two thousand years.
const FLOOR: u64 = 1024;

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// The client's body.
    Body,
    /// The upstream's answer.
    Answer,
}

/// The pace of one request.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    octets: AtomicU64,
    /// The span in which the floor has to come, milliseconds; 0 while no body is waited for.
    span: AtomicU64,
    /// From the beginning until an answer has to come, milliseconds; 0 while it has its time.
    answer_by: AtomicU64,
    late: OnceLock<Late>,
}

/// When a span began, and what had come by then.
#[derive(Debug, Default)]
pub(super) struct Span(Option<(Instant, u64)>);

impl Pace {
    /// Of a request that nothing is waited for.
    pub(super) fn from(began: Instant) -> Self {
        Self {
            began,
            octets: AtomicU64::new(0),
            span: AtomicU64::new(0),
            answer_by: AtomicU64::new(0),
            late: OnceLock::new(),
        }
    }

    /// A body is to come, its floor in each such span.
    pub(super) fn body_comes(&self, span: Duration) {
        self.span.store(millis(span), Relaxed);
    }

    /// So many octets of it came.
    pub(super) fn came(&self, octets: u64) {
        self.octets.fetch_add(octets, Relaxed);
    }

    /// All of it came; an answer has to come `within` this, where that is for us to watch.
    pub(super) fn body_is_there(&self, within: Option<Duration>) {
        self.span.store(0, Relaxed);
        if let Some(within) = within {
            let by = self.began.elapsed() + within;
            self.answer_by.store(millis(by), Relaxed);
        }
    }

    /// The answer has begun.
    pub(super) fn answered(&self) {
        self.answer_by.store(0, Relaxed);
    }

    /// What the request was found to be late with.
    pub(super) fn late(&self) -> Option<Late> {
        self.late.get().copied()
    }

    /// Finds out whether it is late, from one look to the next.
    pub(super) fn look(&self, now: Instant, span: &mut Span) -> Option<Late> {
        let late = if self.is_body_late(now, span) {
            Late::Body
        } else if self.is_answer_late(now) {
            Late::Answer
        } else {
            return None;
        };
        Some(*self.late.get_or_init(|| late))
    }

    fn is_body_late(&self, now: Instant, span: &mut Span) -> bool {
        let length = Duration::from_millis(self.span.load(Relaxed));
        if length.is_zero() {
            span.0 = None;
            return false;
        }
        let octets = self.octets.load(Relaxed);
        let (since, before) = *span.0.get_or_insert((now, octets));
        if now - since < length {
            return false;
        }
        span.0 = Some((now, octets));
        octets - before < FLOOR
    }

    fn is_answer_late(&self, now: Instant) -> bool {
        let by = Duration::from_millis(self.answer_by.load(Relaxed));
        !by.is_zero() && now.duration_since(self.began) >= by
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Looked at every other second, how long a body lasts of which so much comes in between; at
    /// most an hour.
    fn lasts(octets: impl Fn(u32) -> u64) -> Duration {
        let began = Instant::now();
        let (pace, mut span) = (Pace::from(began), Span::default());
        pace.body_comes(MINUTE);
        let ends = (1..1800).find(|look| {
            pace.came(octets(*look));
            pace.look(began + Duration::from_secs(2) * *look, &mut span) == Some(Late::Body)
        });
        Duration::from_secs(2) * ends.unwrap_or(1800)
    }

    #[test]
    fn a_body_has_a_floor_in_each_minute() {
        let hour = 60 * MINUTE;
        assert_eq!(lasts(|_| 40), hour, "a slow line");
        assert_eq!(lasts(|look| 1024 * u64::from(look % 30 == 0)), hour);
        assert!(lasts(|_| 1) <= MINUTE + Duration::from_secs(4), "drops");
        assert!(lasts(|_| 0) <= MINUTE + Duration::from_secs(4), "nothing");
        let first_fast = lasts(|look| if look < 300 { 100_000 } else { 1 });
        assert!(first_fast < 13 * MINUTE, "{first_fast:?}");
    }

    #[test]
    fn an_answer_has_its_time_from_the_end_of_the_body() {
        let began = Instant::now();
        let (pace, mut span) = (Pace::from(began), Span::default());
        pace.body_comes(MINUTE);
        pace.came(5000);
        assert_eq!(pace.look(began + MINUTE, &mut span), None);
        pace.body_is_there(Some(5 * MINUTE));
        assert_eq!(pace.look(began + 4 * MINUTE, &mut span), None);
        let later = began + 6 * MINUTE;
        assert_eq!(pace.look(later, &mut span), Some(Late::Answer));
        assert_eq!(pace.late(), Some(Late::Answer));
        let (answered, mut span) = (Pace::from(began), Span::default());
        answered.body_is_there(Some(MINUTE));
        answered.answered();
        assert_eq!(answered.look(later, &mut span), None);
    }
}
