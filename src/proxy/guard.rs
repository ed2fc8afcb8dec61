//! Caps on connections, and on work for them, in all and per network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rate_limit::Network;

/// Counts what is under way.
#[derive(Debug)]
pub(super) struct Caps {
    total: usize,
    per_network: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_network: HashMap<Network, usize>,
}

impl Caps {
    /// Caps in all and per network.
    pub(super) fn new(total: usize, per_network: usize) -> Self {
        Self {
            total,
            per_network,
            open: Mutex::default(),
        }
    }

    /// Lets one more in, or not; `None` for the network exempts it from that cap (a trusted
    /// proxy carries many clients).
    pub(super) fn admit(self: &Arc<Self>, network: Option<Network>) -> Option<Admission> {
        let mut open = self.lock();
        let of_network = network
            .and_then(|network| open.by_network.get(&network))
            .copied();
        if open.total >= self.total || of_network.unwrap_or(0) >= self.per_network {
            return None;
        }
        open.total += 1;
        if let Some(network) = network {
            *open.by_network.entry(network).or_default() += 1;
        }
        Some(Admission {
            caps: Arc::clone(self),
            network,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was let in; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Admission {
    caps: Arc<Caps>,
    network: Option<Network>,
}

impl Admission {
    /// Counts also for a network that was not known when this was let in, if there is room; says
    /// whether there is.
    pub(super) fn also_counts_for(&mut self, network: Network) -> bool {
        let mut open = self.caps.lock();
        let of_network = open.by_network.entry(network).or_default();
        if *of_network >= self.caps.per_network {
            return false;
        }
        *of_network += 1;
        self.network = Some(network);
        true
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.caps.lock();
        open.total -= 1;
        if let Some(network) = self.network {
            let left = open.by_network.get(&network).map_or(0, |count| count - 1);
            if left == 0 {
                open.by_network.remove(&network);
            } else {
                open.by_network.insert(network, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as `admit` takes it")]
    fn network(address: &str) -> Option<Network> {
        Some(Network::of(address.parse().unwrap()))
    }

    #[test]
    fn caps_hold_and_closing_makes_room() {
        let caps = Arc::new(Caps::new(3, 2));
        let first = caps.admit(network("192.0.2.1")).unwrap();
        let _second = caps.admit(network("192.0.2.1")).unwrap();
        assert!(caps.admit(network("192.0.2.1")).is_none());
        let _other = caps.admit(network("192.0.2.2")).unwrap();
        assert!(caps.admit(network("192.0.2.3")).is_none(), "three in all");
        drop(first);
        assert!(caps.admit(network("192.0.2.1")).is_some());
        assert_eq!(caps.open.lock().unwrap().by_network.len(), 2);
    }

    #[test]
    fn who_comes_through_a_proxy_counts_for_a_network_of_their_own() {
        let caps = Arc::new(Caps::new(9, 1));
        let client = Network::of("192.0.2.1".parse().unwrap());
        let mut first = caps.admit(None).unwrap();
        let mut second = caps.admit(None).unwrap();
        assert!(first.also_counts_for(client));
        assert!(!second.also_counts_for(client));
        drop(first);
        assert!(second.also_counts_for(client));
        drop(second);
        assert!(caps.open.lock().unwrap().by_network.is_empty());
    }

    #[test]
    fn trusted_proxies_count_only_in_all() {
        let caps = Arc::new(Caps::new(3, 1));
        let admitted: Vec<_> = (0..4).filter_map(|_| caps.admit(None)).collect();
        assert_eq!(admitted.len(), 3);
    }
}
