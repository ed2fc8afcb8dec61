//! Slowing abuse: lanes of requests, each with a rate and a burst.

pub mod cluster;
mod held_back;
pub mod node;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use cluster::ClusterLimits;
pub use held_back::HeldBackNetworks;
pub use node::NodeLimits;

/// The network that a client counts to: an IPv4 address, an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from(prefix)))
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

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
    /// All requests of a rule together.
    Route,
}

/// Whose requests of a bucket are counted together.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of each node by themselves.
    #[default]
    Node,
    /// Those of all nodes, in Redis; without Redis, as `node`.
    Cluster,
}

/// A named limit, as policy declares it: a bucket of `burst` cells, of which a request takes one,
/// and which fills by `requests` cells in a `period`.
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
    /// Whether nodes count together.
    pub scope: Scope,
}

impl Limit {
    /// How long a cell takes to fill, at least a nanosecond.
    pub fn interval(&self) -> Duration {
        (self.period / self.requests.max(1)).max(Duration::from_nanos(1))
    }

    /// How long so many cells take to fill.
    pub fn time_for(&self, cells: u32) -> Duration {
        self.interval().saturating_mul(cells)
    }
}

/// A request that was counted and may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// How many more may follow at once, as far as is known.
    pub left: u32,
}

/// Too many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowDown {
    /// When the next request will be let through.
    pub retry_after: Duration,
}

/// What became of a draw.
#[derive(Debug)]
#[must_use]
pub enum Draw {
    /// It is known at once.
    Known(Result<Drawn, SlowDown>),
    /// The other nodes have to be asked.
    Asked {
        /// Where the answer comes. Nothing comes when the shared store does not answer.
        answer: oneshot::Receiver<Result<Drawn, SlowDown>>,
        /// What this node says, which then counts.
        otherwise: Drawn,
    },
}

impl Draw {
    /// Waits for the answer where there is one to wait for.
    pub async fn outcome(self) -> Result<Drawn, SlowDown> {
        match self {
            Self::Known(outcome) => outcome,
            Self::Asked { answer, otherwise } => answer.await.unwrap_or(Ok(otherwise)),
        }
    }
}

/// Draws from buckets. Never fails: a limiter that lost its shared store falls to the limits of
/// this node.
pub trait RateLimiter: Send + Sync {
    /// Takes one cell from the bucket of `limit` and `key`.
    fn draw(&self, limit: &Limit, key: &str) -> Draw;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_64() {
        let network = |address: &str| Network::of(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
