//! Deadlines that are moved often and seldom reached.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that is moved often and seldom reached: moving it later costs nothing.
pub(super) struct Patience {
    until: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Patience {
    /// A first deadline.
    pub(super) fn until(until: Instant) -> Self {
        Self {
            until,
            alarm: Box::pin(sleep_until(until)),
        }
    }

    /// Another deadline.
    pub(super) fn move_to(&mut self, until: Instant) {
        self.until = until;
        if until < self.alarm.deadline() {
            self.alarm.as_mut().reset(until);
        }
    }

    /// Not longer than until then.
    pub(super) fn shorten_to(&mut self, until: Instant) {
        if until < self.until {
            self.move_to(until);
        }
    }

    /// Waits until the deadline has passed.
    pub(super) async fn end(&mut self) {
        loop {
            self.alarm.as_mut().await;
            if Instant::now() >= self.until {
                return;
            }
            self.alarm.as_mut().reset(self.until);
        }
    }
}
