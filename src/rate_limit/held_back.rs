//! Networks that did something too often, and until when they are not listened to.

use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::{Network, SlowDown};

/// How many networks are remembered.
const MOST: u64 = 100_000;

/// The longest that one is held back.
const LONGEST: Duration = Duration::from_mins(1);

/// Networks that are held back.
pub struct HeldBackNetworks(Cache<Network, Instant>);

impl Default for HeldBackNetworks {
    fn default() -> Self {
        let until = Cache::builder().max_capacity(MOST).time_to_live(LONGEST);
        Self(until.build())
    }
}

impl HeldBackNetworks {
    /// Whether a network is listened to.
    pub fn check(&self, network: Network) -> Result<(), SlowDown> {
        let until = self.0.get(&network);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(retry_after) => Err(SlowDown { retry_after }),
            None => Ok(()),
        }
    }

    /// Holds a network back until it may go on, or for a minute.
    pub fn hold(&self, network: Network, slow_down: SlowDown) {
        let span = slow_down.retry_after.min(LONGEST);
        self.0.insert(network, Instant::now() + span);
    }
}
