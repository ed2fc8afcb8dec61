//! What the service manager that started the process is told, if it wants to hear it
//! (`sd_notify(3)`).

use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::telemetry::with_causes;

/// Where it listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Connections are accepted. Names this process as the one that matters, for it may have taken over
/// from another one.
pub(super) fn ready() {
    tell(&format!("MAINPID={}\nREADY=1", std::process::id()));
}

/// Policies and certificates are being read again; [`ready`] says when that is done.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// No more connections are accepted.
pub(super) fn stopping() {
    tell("STOPPING=1");
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is no setting: the service manager says it so"
)]
fn tell(state: &str) {
    let Ok(place) = std::env::var(SOCKET) else {
        return;
    };
    if let Err(error) = send(&place, state) {
        let cause = with_causes(&error);
        tracing::warn!(cause, "the service manager cannot be told");
    }
}

fn send(place: &str, state: &str) -> std::io::Result<()> {
    let address = match place.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> std::io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> std::io::Result<SocketAddr> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_at_a_path_or_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").to_string_lossy().into_owned();
        let name = format!("vestibule-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let address = abstract_address(&name).unwrap();
        let at_name = UnixDatagram::bind_addr(&address).unwrap();
        for (listening, place) in [(at_path, path), (at_name, format!("@{name}"))] {
            send(&place, "READY=1").unwrap();
            let mut heard = [0; 64];
            let length = listening.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1");
        }
    }
}
