//! Where Redis is.

use redis::Client;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::servers::{Cluster, Sentinel, Servers};
use super::{CONNECTS_WITHIN, REPLIES_WITHIN};

/// Where Redis is; every address is `redis://host:port`, or `rediss://host:port` for TLS, with
/// user and password filled in.
#[derive(Debug, Clone)]
pub enum RedisAddress {
    /// One server.
    Server(SecretString),
    /// The master that sentinels name.
    Sentinel {
        /// The sentinels, at least one.
        sentinels: Vec<SecretString>,
        /// What they call the master.
        master: String,
        /// How the master is spoken to; its host and port are theirs to say.
        template: SecretString,
    },
    /// The masters of a Cluster, told by any of these nodes, at least one.
    Cluster(Vec<SecretString>),
}

/// An address that is no Redis URL.
#[derive(Debug, thiserror::Error)]
#[error("not a Redis address: write redis://host:port or rediss://host:port")]
pub struct NotARedisAddress(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl RedisAddress {
    pub(super) fn servers(&self) -> Result<Servers, NotARedisAddress> {
        Ok(match self {
            Self::Server(url) => Servers::One(client(url)?),
            Self::Sentinel {
                sentinels,
                master,
                template,
            } => Servers::Sentinel(Sentinel {
                sentinels: sentinels.iter().map(client).collect::<Result<_, _>>()?,
                master: master.clone(),
                template: parsed(template)?,
            }),
            Self::Cluster(nodes) => Servers::Cluster(Box::new(Cluster {
                client: cluster(nodes)?,
                template: parsed(nodes.first().ok_or_else(no_node)?)?,
                nodes: nodes.iter().map(client).collect::<Result<_, _>>()?,
            })),
        })
    }
}

fn client(url: &SecretString) -> Result<Client, NotARedisAddress> {
    Client::open(url.expose_secret()).map_err(because)
}

fn cluster(nodes: &[SecretString]) -> Result<ClusterClient, NotARedisAddress> {
    ClusterClientBuilder::new(nodes.iter().map(SecretString::expose_secret))
        .connection_timeout(CONNECTS_WITHIN)
        .response_timeout(REPLIES_WITHIN)
        // Whoever asks decides whether to ask again; a redirection is not such a case.
        .retries(2)
        .min_retry_wait(20)
        .max_retry_wait(100)
        .build()
        .map_err(because)
}

fn parsed(url: &SecretString) -> Result<Url, NotARedisAddress> {
    Url::parse(url.expose_secret()).map_err(because)
}

fn no_node() -> NotARedisAddress {
    NotARedisAddress("no node is named".into())
}

fn because(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NotARedisAddress {
    NotARedisAddress(cause.into())
}
