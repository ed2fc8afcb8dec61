//! Several real Redis servers: a master that sentinels watch over, and a Cluster.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use redis::{Client, FromRedisValue};
use secrecy::SecretString;
use vestibule::redis_link::RedisAddress;

use super::child::{ServerProcess, free_port, new_folder, wait_until};

/// How long a master is missed before another takes its place, ms.
const MISSED_FOR: &str = "1500";

/// One of several servers.
pub struct Member {
    pub port: u16,
    process: ServerProcess,
}

impl Member {
    fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let folder = new_folder("redis");
        let (port_text, dir) = (port.to_string(), folder.to_string_lossy().into_owned());
        let own = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--dir",
            &dir,
            "--save",
            "",
        ];
        let arguments: Vec<&str> = own.iter().chain(arguments).copied().collect();
        let process = ServerProcess::start(&folder, "redis-server", &arguments);
        let member = Self { port, process };
        wait_until("redis", || member.ask::<String>(&["PING"]).is_ok());
        member
    }

    /// What it answers.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = Client::open(self.url())?;
        let mut asking = redis::Cmd::new();
        asking.arg(words).query(&mut client.get_connection()?)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, or stops it without a word (`STOP`).
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until its replica has everything.
    fn wait_for_its_replica(&self) {
        wait_until("a replica that has everything", || {
            let about = self.ask::<String>(&["INFO", "replication"]);
            let about = about.unwrap_or_default();
            let after = |name: &str| {
                let at = about.split_once(name)?.1;
                at.split([',', '\r']).next().map(str::to_owned)
            };
            let own = after("master_repl_offset:");
            own.is_some() && own == after(",offset=")
        });
    }

    fn is_master(&self) -> bool {
        let role = self.ask::<Vec<redis::Value>>(&["ROLE"]);
        role.is_ok_and(|role| role.first() == Some(&redis::Value::BulkString(b"master".to_vec())))
    }
}

/// A master, its replica, and three sentinels that watch over them.
pub struct WatchedRedis {
    pub servers: Vec<Member>,
    sentinels: Vec<Member>,
    _folder: PathBuf,
}

impl WatchedRedis {
    pub fn start() -> Self {
        let master = Member::start(&[]);
        let of = master.port.to_string();
        let replica = Member::start(&["--replicaof", "127.0.0.1", &of]);
        wait_until("the replica", || {
            let role = replica.ask::<String>(&["INFO", "replication"]);
            role.is_ok_and(|text| text.contains("master_link_status:up"))
        });
        let folder = new_folder("sentinels");
        let sentinels = (0..3)
            .map(|number| sentinel(&folder, number, &of))
            .collect();
        let group = Self {
            servers: vec![master, replica],
            sentinels,
            _folder: folder,
        };
        wait_until("sentinels that know each other", || {
            group.sentinels.iter().all(|sentinel| {
                let known = sentinel.ask::<String>(&["INFO", "sentinel"]);
                known.is_ok_and(|text| text.contains("slaves=1,sentinels=3"))
            })
        });
        group
    }

    pub fn address(&self) -> RedisAddress {
        let url = |member: &Member| SecretString::from(member.url());
        RedisAddress::Sentinel {
            sentinels: self.sentinels.iter().map(url).collect(),
            master: "sessions".to_owned(),
            template: SecretString::from("redis://localhost"),
        }
    }

    /// The value of `[store] sessions`.
    pub fn setting(&self) -> String {
        let urls: Vec<String> = self.sentinels.iter().map(Member::url).collect();
        format!("{{ sentinels = {urls:?}, master = \"sessions\" }}")
    }

    /// Stops the first sentinel without a word.
    pub fn silence_a_sentinel(&self) {
        self.sentinels[0].signal("STOP");
    }

    /// Kills the master and waits until the replica has taken its place.
    pub fn lose_the_master(&self) {
        let at = self.servers.iter().position(Member::is_master);
        let at = at.expect("a master");
        self.servers[at].wait_for_its_replica();
        self.servers[at].signal("KILL");
        let heir = &self.servers[1 - at];
        wait_until("a new master", || heir.is_master());
    }
}

impl Drop for WatchedRedis {
    fn drop(&mut self) {
        // A stopped one would not hear that it is over.
        self.sentinels[0].signal("CONT");
    }
}

fn sentinel(folder: &Path, number: usize, master: &str) -> Member {
    let port = free_port();
    let file = folder.join(format!("sentinel-{number}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor sessions 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds sessions {MISSED_FOR}\n\
         sentinel failover-timeout sessions 4000\n",
        folder.display(),
    );
    std::fs::write(&file, text).expect("a file of a sentinel");
    let file = file.to_string_lossy().into_owned();
    let process = ServerProcess::start(folder, "redis-server", &[&file, "--sentinel"]);
    let member = Member { port, process };
    wait_until("a sentinel", || member.ask::<String>(&["PING"]).is_ok());
    member
}

/// Three masters with a replica each.
pub struct RedisCluster {
    pub nodes: Vec<Member>,
}

impl RedisCluster {
    /// The one that all tests of this process share; never break it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let bus: Vec<String> = (0..6).map(|_| free_port().to_string()).collect();
        let start = |bus: &String| {
            Member::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                bus,
                "--cluster-node-timeout",
                MISSED_FOR,
            ])
        };
        let cluster = Self {
            nodes: bus.iter().map(start).collect(),
        };
        let (first, masters, replicas) =
            (&cluster.nodes[0], &cluster.nodes[..3], &cluster.nodes[3..]);
        for (node, bus) in cluster.nodes.iter().zip(&bus) {
            let port = node.port.to_string();
            let met = first.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
            met.expect("a node is met");
        }
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (master, (from, to)) in masters.iter().zip(ranges) {
            let taken = master.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
            taken.expect("slots");
        }
        cluster.wait_for("cluster_known_nodes:6");
        for (replica, master) in replicas.iter().zip(masters) {
            let id: String = master.ask(&["CLUSTER", "MYID"]).expect("an id");
            wait_until("a replica that follows", || {
                replica.ask::<()>(&["CLUSTER", "REPLICATE", &id]).is_ok()
            });
        }
        cluster.wait_for("cluster_state:ok");
        wait_until("replicas that are up to date", || {
            replicas.iter().all(|replica| {
                let role = replica.ask::<String>(&["INFO", "replication"]);
                role.is_ok_and(|text| text.contains("master_link_status:up"))
            })
        });
        cluster
    }

    fn wait_for(&self, line: &str) {
        wait_until(line, || {
            self.nodes.iter().all(|node| {
                let about = node.ask::<String>(&["CLUSTER", "INFO"]);
                about.is_ok_and(|text| text.contains(line))
            })
        });
    }

    pub fn address(&self) -> RedisAddress {
        let url = |member: &Member| SecretString::from(member.url());
        RedisAddress::Cluster(self.nodes.iter().take(2).map(url).collect())
    }

    /// The value of `[store] sessions`.
    pub fn setting(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().take(2).map(Member::url).collect();
        format!("{{ cluster = {urls:?} }}")
    }

    /// Kills the master that has keys of this pattern, and waits until its replica has taken its
    /// place.
    pub fn lose_the_master_of(&self, pattern: &str) {
        let has_some = |node: &Member| {
            let keys = node.ask::<Vec<String>>(&["KEYS", pattern]);
            keys.is_ok_and(|keys| !keys.is_empty())
        };
        let number = self.nodes[..3].iter().position(has_some);
        let number = number.expect("a master with such keys");
        self.nodes[number].wait_for_its_replica();
        self.nodes[number].signal("KILL");
        let heir = &self.nodes[number + 3];
        wait_until("a new master", || {
            let state = heir.ask::<String>(&["CLUSTER", "INFO"]);
            heir.is_master() && state.is_ok_and(|text| text.contains("cluster_state:ok"))
        });
    }
}
