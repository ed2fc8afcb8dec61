//! Slowing abuse: lanes of requests, each with a rate and a burst.

pub mod node;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use node::NodeLimits;

/// Whose requests share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The client's network: an IPv4 address, an IPv6 /64.
    Ip,
    /// The signed-in user; anonymous requests count by network.
    User,
    /// The customer of the signed-in user; anonymous requests count by network.
    Customer,
    /// The session; anonymous requests count by network.
    Session,
}

/// A named limit, as policy declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name in `policies/limits.toml`.
    pub name: String,
    /// Requests allowed per `period`, at least 1.
    pub requests: u32,
    /// The period.
    pub period: Duration,
    /// How many may come at once, at least 1.
    pub burst: u32,
    /// Whose requests share a bucket.
    pub per: Per,
}

/// Too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowDown {
    /// When the next request will be let through.
    pub retry_after: Duration,
}

/// Draws from buckets. Never blocks, never fails: a limiter that lost its shared store falls to
/// the limits of this node.
pub trait RateLimiter: Send + Sync {
    /// Takes one request from the bucket of `limit` and `key`.
    fn draw(&self, limit: &Limit, key: &str) -> Result<(), SlowDown>;
}
