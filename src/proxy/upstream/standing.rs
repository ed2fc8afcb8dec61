//! How a server stands: what checks found, and whether connections to it failed lately.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::settings::{HealthSettings, SetAside};

/// How a server stands.
#[derive(Debug)]
pub(super) struct Standing {
    began: Instant,
    is_down: AtomicBool,
    /// Whether any check has said something.
    is_checked: AtomicBool,
    /// Answers of checks in a row that speak against how it stands.
    contrary: AtomicU32,
    /// Failures of connections in a row.
    failures: AtomicU32,
    /// Milliseconds from the beginning until it is tried again; 0 while it takes requests.
    aside_until: AtomicU64,
}

impl Standing {
    /// Of a server that nothing is known of: it gets requests.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_down: AtomicBool::new(false),
            is_checked: AtomicBool::new(false),
            contrary: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
        }
    }

    /// Whether checks find it well.
    pub(super) fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    /// Whether it is passed over for the moment.
    pub(super) fn is_aside(&self) -> bool {
        let until = self.aside_until.load(Relaxed);
        until > 0 && millis(self.began.elapsed()) < until
    }

    /// What a check found; true when the server stands otherwise from here on. The first one
    /// counts at once.
    pub(super) fn was_checked(&self, is_well: bool, settings: &HealthSettings) -> bool {
        let is_first = !self.is_checked.swap(true, Relaxed);
        if is_well == self.is_up() {
            self.contrary.store(0, Relaxed);
            return false;
        }
        let enough = if is_well {
            settings.up_after
        } else {
            settings.down_after
        };
        if !is_first && self.contrary.fetch_add(1, Relaxed) + 1 < enough {
            return false;
        }
        self.contrary.store(0, Relaxed);
        self.is_down.store(!is_well, Relaxed);
        true
    }

    /// A connection failed; true when the server is passed over from here on.
    pub(super) fn failed(&self, settings: SetAside) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if failures < settings.after {
            return false;
        }
        let until = self.began.elapsed() + settings.span;
        self.aside_until.store(millis(until), Relaxed);
        failures == settings.after
    }

    /// It answered a request.
    pub(super) fn answered(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
            self.aside_until.store(0, Relaxed);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::settings::HealthQuestion;
    use super::*;

    #[test]
    fn the_first_check_counts_at_once_and_later_ones_in_a_row() {
        let settings = HealthSettings::asking(HealthQuestion::Path("/".to_owned()));
        let standing = Standing::new();
        let says = |is_well| standing.was_checked(is_well, &settings);
        assert!(says(false), "it was never well");
        assert!(!standing.is_up());
        assert_eq!([true, false, true].map(says), [false; 3], "not in a row");
        assert!(says(true));
        assert_eq!([false, false].map(says), [false; 2]);
        assert!(standing.is_up());
        assert!(says(false));
        assert!(!standing.is_up());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_set_it_aside_for_a_while() {
        let standing = Standing::new();
        let failed = || standing.failed(SetAside::default());
        assert_eq!([failed(), failed()], [false; 2]);
        standing.answered();
        assert_eq!([failed(), failed()], [false; 2]);
        assert!(!standing.is_aside());
        assert!(failed());
        assert!(standing.is_aside());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!standing.is_aside(), "it gets another chance");
        assert!(!failed(), "said once");
        assert!(standing.is_aside(), "one failure is enough");
        standing.answered();
        assert!(!standing.is_aside());
    }
}
