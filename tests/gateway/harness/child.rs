//! A server process that ends when the test process does, however that ends, and takes its
//! temporary folder with it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Waits until its input closes, which it does when the test process is gone, then cleans up.
/// `$1` is the folder to remove, if any, the rest is the server. The output is the server's alone,
/// so that its end is seen.
const WATCHER: &str = r#"
trap : INT TERM
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
echo "$server"
exec >&-
cat <&3 >/dev/null
kill -INT "$server" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
kill -KILL "$server" 2>/dev/null
[ -z "$folder" ] || rm -rf "$folder"
"#;

/// A running server.
pub struct ServerProcess {
    watcher: Child,
    /// The process id of the server itself.
    id: u32,
    /// What the server prints on its standard output.
    output: Option<BufReader<ChildStdout>>,
}

impl ServerProcess {
    /// Starts `program`; the folder is removed in the end.
    pub fn start<A: AsRef<OsStr>>(folder: &Path, program: &str, arguments: &[A]) -> Self {
        let mut command = watcher(folder.as_os_str());
        command.arg(program).args(arguments);
        Self::spawn(command)
    }

    /// Starts `program` with an environment; what it leaves behind stays.
    pub fn start_with(program: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let mut command = watcher(OsStr::new(""));
        command
            .arg(program)
            .args(arguments)
            .envs(environment.iter().cloned());
        Self::spawn(command)
    }

    /// Like [`ServerProcess::start_with`], with an open file in the place of standard error.
    pub fn start_on(
        file: OwnedFd,
        program: &str,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let mut command = watcher(OsStr::new(""));
        command
            .arg(program)
            .args(arguments)
            .envs(environment.iter().cloned())
            .stderr(file);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut watcher = command.spawn().expect("sh starts");
        let mut output = BufReader::new(watcher.stdout.take().expect("a piped output"));
        let id = read_line(&mut output)
            .trim()
            .parse()
            .expect("the process id of the server");
        Self {
            watcher,
            id,
            output: Some(output),
        }
    }

    /// Whether the server has not ended by itself.
    pub fn is_running(&self) -> bool {
        // The watcher has not buried its child: a dead one is a zombie.
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.id));
        status.is_ok_and(|line| {
            !line
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" Z"))
        })
    }

    /// The next line that the server prints.
    pub fn line(&mut self) -> String {
        self.output.as_mut().map(read_line).unwrap_or_default()
    }

    /// The most memory that the server had at any time, octets.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id));
        let status = status.expect("a running server");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kibibytes.expect("a size").parse::<u64>().expect("a number") * 1024
    }

    /// Sends a signal to the server, such as `KILL`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.id, name);
    }
}

fn watcher(folder: &OsStr) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", WATCHER, "watcher"]).arg(folder);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.output = None;
        let _ = self.watcher.wait();
    }
}

/// Sends a signal to any process of ours.
pub fn signal(id: u32, name: &str) {
    let done = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .status();
    assert!(
        done.expect("kill starts").success(),
        "no process {id} to send {name} to"
    );
}

fn read_line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line from the server");
    line
}

/// Ports that the system gives nobody by itself: a server that is started again could find that a
/// client has its port meanwhile.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// A port of loopback that nobody listens on, another one each time.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs beside each other begin at different places.
    let [.., high, low] = std::process::id().to_be_bytes();
    let start = u16::from_be_bytes([high, low]);
    for _ in PORTS {
        let place = start.wrapping_add(NEXT.fetch_add(1, Relaxed)) % (PORTS.end - PORTS.start);
        let port = PORTS.start + place;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// A new folder that everybody may enter (PostgreSQL runs as another user).
pub fn new_folder(name: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(&format!("vestibule-{name}-"))
        .tempdir();
    folder.expect("a temporary folder").keep()
}

/// Waits until `ready` says so.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ready() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `ready` says so, without stopping the other tasks of the test.
pub async fn wait_until_async(what: &str, ready: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ready().await {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether somebody listens there.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
