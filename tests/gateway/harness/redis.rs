//! A real Redis, without persistence; tests that share one use different key prefixes or databases,
//! tests that break it start their own.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, OnceLock},
};

use vestibule::redis_link::{Link, RedisAddress};
use vestibule::session::redis::RedisSessionStore;

use super::child::{ServerProcess, free_port, new_folder, wait_until};

/// Commands that say nothing of what is kept.
const KEEP_CONNECTIONS_UP: [&str; 8] = [
    "ping", "info", "hello", "client", "select", "command", "role", "cluster",
];

/// A store of sessions.
pub fn store_at(address: &RedisAddress, part: Option<&str>) -> RedisSessionStore {
    let link = Link::to(address).expect("an address");
    RedisSessionStore::new(Arc::new(link), part)
}

/// One Redis server.
pub struct Redis {
    port: u16,
    server: Option<ServerProcess>,
    /// Where it keeps what it holds, if it outlives the server.
    lasting: Option<tempfile::TempDir>,
}

impl Redis {
    /// The server that all tests of this process share; never break it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, to stop and start.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A server of one's own that keeps what it holds when it is stopped.
    pub fn start_lasting() -> Self {
        Self::start_with(Some(tempfile::tempdir().expect("a temporary folder")))
    }

    fn start_with(lasting: Option<tempfile::TempDir>) -> Self {
        let mut redis = Self {
            port: free_port(),
            server: None,
            lasting,
        };
        redis.resume_after_stop();
        redis
    }

    /// Address for `[store] sessions`. Each test takes a number of its own below 512.
    pub fn url(&self, database: u16) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// A store of sessions there.
    pub fn store(&self, database: u16) -> RedisSessionStore {
        store_at(&RedisAddress::Server(self.url(database).into()), None)
    }

    /// Kills the server; what it held is lost, as after a crash without persistence, unless it is
    /// a lasting one.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("KILL");
        }
    }

    /// Starts the server again on the same port, empty unless it is a lasting one.
    pub fn resume_after_stop(&mut self) {
        let folder = new_folder("redis");
        let data = self
            .lasting
            .as_ref()
            .map_or(folder.as_path(), |lasting| lasting.path());
        let keeps = if self.lasting.is_some() { "yes" } else { "no" };
        let port = self.port.to_string();
        let dir = data.to_string_lossy().into_owned();
        let arguments = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            &dir,
            "--save",
            "",
            "--appendonly",
            keeps,
            "--appendfsync",
            "always",
            "--databases",
            "512",
            "--loglevel",
            "warning",
        ];
        self.server = Some(ServerProcess::start(&folder, "redis-server", &arguments));
        wait_until("redis", || self.answers());
    }

    /// How many commands it was sent in all, but for those that keep connections up, and questions
    /// like this one.
    pub async fn key_commands(&self) -> u64 {
        let client = redis::Client::open(self.url(0)).expect("an address");
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .expect("a connection");
        let mut asking = redis::cmd("INFO");
        let stats: String = asking
            .arg("commandstats")
            .query_async(&mut connection)
            .await
            .expect("statistics");
        let calls = |line: &str| {
            let (command, numbers) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let command = command.split('|').next()?;
            let is_on_keys = !KEEP_CONNECTIONS_UP.contains(&command);
            let calls = numbers.strip_prefix("calls=")?.split(',').next()?;
            is_on_keys.then(|| calls.parse::<u64>().expect("a number"))
        };
        stats.lines().filter_map(calls).sum()
    }

    /// The server keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.server
            .as_ref()
            .expect("a running server")
            .signal("STOP");
    }

    /// The server answers again.
    pub fn thaw(&self) {
        self.server
            .as_ref()
            .expect("a running server")
            .signal("CONT");
    }

    fn answers(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut answer = [0; 5];
        connection.write_all(b"PING\r\n").is_ok()
            && connection.read_exact(&mut answer).is_ok()
            && &answer == b"+PONG"
    }
}
