//! A real PostgreSQL: one cluster for the test process, one fresh database for each test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::child::{ServerProcess, free_port, listens, new_folder, wait_until};

/// One PostgreSQL cluster.
pub struct Postgres {
    port: u16,
    data: PathBuf,
    /// The server after it was stopped and started again; ends before its folder is removed.
    again: Option<ServerProcess>,
    server: ServerProcess,
}

impl Postgres {
    /// The cluster that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A cluster of one's own, to stop.
    pub fn start() -> Self {
        let programs = programs();
        let folder = new_folder("postgres");
        let data = folder.join("data");
        make_cluster(&programs, &folder, &data);
        let port = free_port();
        let (program, arguments) = server_command(&programs, &data, port);
        let server = ServerProcess::start(&folder, &program, &arguments);
        wait_until("postgres", || listens(port) && is_ready(&programs, port));
        Self {
            port,
            data,
            again: None,
            server,
        }
    }

    /// Ends the server and all its connections without a word.
    pub fn stop(&mut self) {
        self.again.as_ref().unwrap_or(&self.server).signal("QUIT");
        wait_until("postgres stops", || !listens(self.port));
    }

    /// Starts it again, on what it left behind.
    pub fn resume_after_stop(&mut self) {
        let (programs, port) = (programs(), self.port);
        let (program, arguments) = server_command(&programs, &self.data, port);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.again = Some(ServerProcess::start_with(&program, &arguments, &[]));
        wait_until("postgres", || listens(port) && is_ready(&programs, port));
    }

    /// Makes an empty database and returns its address, for `[store] database`.
    pub async fn fresh_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres"))
            .await
            .expect("a connection");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create)
            .execute(&mut admin)
            .await
            .expect("a new database");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://vestibule@127.0.0.1:{}/{database}", self.port)
    }
}

/// Waits until so many connections to a database wait for locks of others.
pub async fn waits_for_locks(observer: &mut PgConnection, wanted: i64) {
    let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let waiting: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut *observer)
            .await
            .expect("a number");
        if waiting >= wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{waiting} of {wanted} wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The folder of the newest server programs that Debian installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .max()
        .expect("PostgreSQL with its server programs is installed")
}

/// PostgreSQL refuses to run as root.
fn are_we_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id starts");
    id.stdout.starts_with(b"0\n")
}

fn make_cluster(programs: &Path, folder: &Path, data: &Path) {
    if are_we_root() {
        let owner = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(
            owner.expect("chown starts").success(),
            "the user postgres exists"
        );
    }
    let (program, first) = as_postgres(&programs.join("initdb"));
    let made = Command::new(program)
        .args(first)
        .arg("--pgdata")
        .arg(data)
        .args([
            "--username=vestibule",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .current_dir("/")
        .stdout(Stdio::null())
        .status();
    assert!(
        made.expect("initdb starts").success(),
        "initdb makes a cluster"
    );
}

/// The program and arguments of the server.
fn server_command(programs: &Path, data: &Path, port: u16) -> (String, Vec<String>) {
    let (program, mut arguments) = as_postgres(&programs.join("postgres"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    arguments.extend([
        "-D".to_owned(),
        text(data),
        "-p".to_owned(),
        port.to_string(),
    ]);
    let folder = data.parent().expect("a folder above");
    let socket_folder = format!("unix_socket_directories={}", text(folder));
    let settings = [
        "listen_addresses=127.0.0.1",
        &socket_folder,
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=400",
        "logging_collector=off",
    ];
    arguments.extend(
        settings
            .iter()
            .flat_map(|s| ["-c".to_owned(), (*s).to_owned()]),
    );
    (program, arguments)
}

/// The program and first arguments that run `program` as a user that PostgreSQL accepts.
fn as_postgres(program: &Path) -> (String, Vec<String>) {
    let program = program.to_string_lossy().into_owned();
    if are_we_root() {
        let switch = [
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ];
        let mut arguments: Vec<String> = switch.map(str::to_owned).to_vec();
        arguments.push(program);
        return ("setpriv".to_owned(), arguments);
    }
    (program, Vec::new())
}

fn is_ready(programs: &Path, port: u16) -> bool {
    Command::new(programs.join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}
