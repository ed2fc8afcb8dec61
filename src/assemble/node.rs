//! Which process this is among those at one address, and when the earlier ones are gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::site::Site;
use crate::database::Node;

/// How often it is looked whether an earlier process is gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// This process, at the machine and address where it listens.
pub(super) fn node(address: SocketAddr) -> Node {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Node::at(format!("{}:{address}", host.trim()))
}

/// Takes up what earlier processes at this address left in hand, as soon as they are gone: killed,
/// or done with what they were finishing while this one took over. Never ends; to be spawned and
/// aborted, for its claim to the address holds as long as it does.
pub(super) async fn take_over(address: SocketAddr, sites: Arc<[Site]>) {
    let _claim = loop {
        match claim(address) {
            Ok(claim) => break claim,
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    for site in sites.iter() {
        site.free_leases_left().await;
    }
    std::future::pending::<()>().await;
}

/// The system gives a claim to one process at a time, and takes it back however that ends.
#[cfg(target_os = "linux")]
fn claim(address: SocketAddr) -> std::io::Result<std::os::unix::net::UnixListener> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net;
    let name = net::SocketAddr::from_abstract_name(format!("vestibule/{address}"))?;
    net::UnixListener::bind_addr(&name)
}

/// Elsewhere nothing tells who is gone: leases run out by themselves.
#[cfg(not(target_os = "linux"))]
fn claim(_: SocketAddr) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_processs_at_a_time() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let first = claim(address).unwrap();
        assert!(claim(address).is_err());
        assert!(claim(SocketAddr::from(([127, 0, 0, 2], 9))).is_ok());
        drop(first);
        assert!(claim(address).is_ok());
    }
}
