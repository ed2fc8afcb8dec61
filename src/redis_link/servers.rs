//! The servers behind an address: which are masters now, and connections to them.

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, Value};
use url::Url;

use super::{CONNECTS_WITHIN, NoAnswer, REPLIES_WITHIN};

/// Where questions go.
pub(super) enum Servers {
    One(Client),
    Sentinel(Sentinel),
    Cluster(Box<Cluster>),
}

/// A master that sentinels name.
pub(super) struct Sentinel {
    pub(super) sentinels: Vec<Client>,
    pub(super) master: String,
    pub(super) template: Url,
}

/// Masters that share the keys.
pub(super) struct Cluster {
    pub(super) client: ClusterClient,
    pub(super) nodes: Vec<Client>,
    pub(super) template: Url,
}

/// A connection that takes questions.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn put<T: FromRedisValue>(
        &mut self,
        question: &Pipeline,
    ) -> Result<T, RedisError> {
        match self {
            Self::Server(connection) => question.query_async(connection).await,
            Self::Cluster(connection) => Box::pin(question.query_async(connection)).await,
        }
    }

    /// A connection to a Cluster finds nodes that are back, or new, by itself, and what one node
    /// does not answer says nothing about the others.
    pub(super) fn heals_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl Servers {
    pub(super) async fn connect(&self) -> Result<Connection, NoAnswer> {
        let client = match self {
            Self::One(client) => client.clone(),
            Self::Sentinel(sentinel) => sentinel.master().await?,
            Self::Cluster(cluster) => {
                let connection = cluster.client.get_async_connection().await?;
                return Ok(Connection::Cluster(connection));
            }
        };
        Ok(Connection::Server(connect_to(&client).await?))
    }

    /// Those that take writes now.
    pub(super) async fn masters(&self) -> Result<Vec<Client>, NoAnswer> {
        match self {
            Self::One(client) => Ok(vec![client.clone()]),
            Self::Sentinel(sentinel) => Ok(vec![sentinel.master().await?]),
            Self::Cluster(cluster) => cluster.masters().await,
        }
    }
}

impl Sentinel {
    async fn master(&self) -> Result<Client, NoAnswer> {
        let mut asking = redis::cmd("SENTINEL");
        asking.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let told: Option<(String, u16)> = first_answer(&self.sentinels, &asking).await?;
        let (host, port) = told.ok_or(NoAnswer::UnknownMaster)?;
        server_at(&self.template, &host, port)
    }
}

impl Cluster {
    async fn masters(&self) -> Result<Vec<Client>, NoAnswer> {
        let mut asking = redis::cmd("CLUSTER");
        let slots: Vec<Vec<Value>> = first_answer(&self.nodes, asking.arg("SLOTS")).await?;
        let masters = masters_in(&slots);
        let clients = masters.into_iter();
        clients
            .map(|(host, port)| server_at(&self.template, &host, port))
            .collect()
    }
}

/// The masters in an answer to `CLUSTER SLOTS`: ranges, each with its first and last slot, its
/// master, its replicas.
fn masters_in(slots: &[Vec<Value>]) -> Vec<(String, u16)> {
    let mut masters: Vec<(String, u16)> = slots
        .iter()
        .filter_map(|range| match range.get(2) {
            Some(Value::Array(master)) => {
                let (host, port) = (master.first()?, master.get(1)?);
                Some((
                    String::from_redis_value_ref(host).ok()?,
                    u16::from_redis_value_ref(port).ok()?,
                ))
            }
            _ => None,
        })
        .collect();
    masters.sort();
    masters.dedup();
    masters
}

/// The first answer of several servers that would all say the same. All are asked at once, so that
/// one that is silent holds nobody up.
async fn first_answer<T: FromRedisValue>(servers: &[Client], asking: &Cmd) -> Result<T, NoAnswer> {
    let ask = async |server: &Client| -> Result<T, NoAnswer> {
        let mut connection = connect_to(server).await?;
        Ok(asking.query_async(&mut connection).await?)
    };
    let asked = servers.iter().map(|server| Box::pin(ask(server)));
    let (answer, _) = futures_util::future::select_ok(asked).await?;
    Ok(answer)
}

async fn connect_to(server: &Client) -> Result<MultiplexedConnection, RedisError> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTS_WITHIN))
        .set_response_timeout(Some(REPLIES_WITHIN))
        .set_pipeline_buffer_size(1024);
    server
        .get_multiplexed_async_connection_with_config(&settings)
        .await
}

/// A server spoken to as the template says.
fn server_at(template: &Url, host: &str, port: u16) -> Result<Client, NoAnswer> {
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    let host = if is_bare_ipv6 {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let mut url = template.clone();
    url.set_host(Some(&host))
        .map_err(|_| NoAnswer::UnknownMaster)?;
    url.set_port(Some(port))
        .map_err(|()| NoAnswer::UnknownMaster)?;
    Ok(Client::open(url.as_str())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(host: &str, port: i64) -> Value {
        let host = Value::BulkString(host.as_bytes().to_vec());
        Value::Array(vec![host, Value::Int(port)])
    }

    #[test]
    fn each_master_is_named_once_and_replicas_are_not() {
        let range = |from, of| {
            vec![
                Value::Int(from),
                Value::Int(from + 9),
                of,
                master("10.0.0.9", 1),
            ]
        };
        let slots = [
            range(0, master("10.0.0.2", 6379)),
            range(10, master("10.0.0.1", 6379)),
            range(20, master("10.0.0.2", 6379)),
        ];
        let expected = [("10.0.0.1".to_owned(), 6379), ("10.0.0.2".to_owned(), 6379)];
        assert_eq!(masters_in(&slots), expected);
    }

    #[test]
    fn a_server_keeps_what_the_template_says_of_it() {
        let template = Url::parse("rediss://gateway:secret@localhost/3").unwrap();
        let server = server_at(&template, "::1", 6380).unwrap();
        let about = server.get_connection_info();
        assert_eq!(about.redis_settings().username(), Some("gateway"));
        assert_eq!(about.redis_settings().db(), 3);
        assert!(about.addr().to_string().contains("::1"), "{}", about.addr());
    }
}
