//! Says once when the store stops answering, and once when it answers again.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::StoreDown;

/// Whether the last answer of the store was none.
#[derive(Default)]
pub(super) struct OutageLog(AtomicBool);

impl OutageLog {
    /// To be told of every outcome.
    pub(super) fn tell(&self, outage: Option<&StoreDown>) {
        match outage {
            Some(down) if self.turns(true) => say_down(down),
            None if self.turns(false) => say_back(),
            _ => {}
        }
    }

    /// Whether this is the first outcome of its kind.
    fn turns(&self, is_down: bool) -> bool {
        self.0.load(Relaxed) != is_down && self.0.swap(is_down, Relaxed) != is_down
    }
}

fn say_down(down: &StoreDown) {
    tracing::error!(cause = ?down.0, "the session store does not answer");
}

fn say_back() {
    tracing::info!("the session store answers again");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_turns_once_each_way() {
        let log = OutageLog::default();
        let turns = [false, true, true, false, false].map(|is_down| log.turns(is_down));
        assert_eq!(turns, [false, true, false, true, false]);
    }
}
