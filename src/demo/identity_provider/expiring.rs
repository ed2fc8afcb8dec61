//! A bounded table of things that expire, kept by the digest of a secret.

use std::collections::{HashMap, VecDeque};

use crate::clock::Timestamp;
use crate::seal;

/// Values by secret, each until its time; the oldest goes when there are too many.
///
/// The secret itself is not kept, and looking up its digest tells nothing by timing.
#[derive(Debug)]
pub(super) struct Expiring<T> {
    entries: HashMap<String, (Timestamp, T)>,
    order: VecDeque<String>,
    at_most: usize,
}

impl<T> Expiring<T> {
    /// An empty table for that many values.
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            at_most,
        }
    }

    /// Keeps `value` for whoever knows `secret`, until `expires_at`.
    pub(super) fn insert(&mut self, secret: &str, value: T, expires_at: Timestamp) {
        let key = seal::digest(secret.as_bytes());
        if self
            .entries
            .insert(key.clone(), (expires_at, value))
            .is_none()
        {
            self.order.push_back(key);
        }
        while self.order.len() > self.at_most {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.entries.remove(&oldest);
        }
    }

    /// The value for `secret`, if it is there and has not expired.
    pub(super) fn get(&mut self, secret: &str, now: Timestamp) -> Option<&mut T> {
        let (expires_at, value) = self.entries.get_mut(&seal::digest(secret.as_bytes()))?;
        (now < *expires_at).then_some(value)
    }

    /// Forgets every value that `is_over` says so of.
    pub(super) fn forget(&mut self, is_over: impl Fn(&T) -> bool) {
        self.entries.retain(|_, (_, value)| !is_over(value));
        self.order.retain(|key| self.entries.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_and_stays_within_bounds() {
        let at = Timestamp::from_millis;
        let mut table = Expiring::new(2);
        table.insert("a", 1, at(10));
        assert_eq!(table.get("a", at(9)).copied(), Some(1));
        assert!(table.get("a", at(10)).is_none());
        table.insert("b", 2, at(10));
        table.insert("c", 3, at(10));
        assert!(table.get("a", at(0)).is_none());
        table.forget(|value| *value == 2);
        assert!(table.get("b", at(0)).is_none());
        assert_eq!(table.get("c", at(0)).copied(), Some(3));
    }
}
