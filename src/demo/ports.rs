//! Ports for the gateway: the one that was wished for, else free ones.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// No port can be had.
#[derive(Debug, thiserror::Error)]
#[error("no port of 127.0.0.1 could be had")]
pub struct NoFreePort(#[source] std::io::Error);

/// Where the gateway will listen.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// For traffic.
    pub traffic: u16,
    /// For the admin listener.
    pub admin: u16,
}

impl Ports {
    /// `wished` if it is free, else any; and another one for the admin listener.
    pub fn find(wished: u16) -> Result<Self, NoFreePort> {
        let traffic = if is_free(wished) { wished } else { any()? };
        Ok(Self {
            traffic,
            admin: any()?,
        })
    }
}

/// Whether `localhost` would reach nobody there: neither by IPv4 nor by IPv6, which browsers try
/// first. A machine without IPv6 has nobody there.
fn is_free(port: u16) -> bool {
    let nobody_by_ipv6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrInUse,
    };
    nobody_by_ipv6 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn any() -> Result<u16, NoFreePort> {
    let listener =
        TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(NoFreePort)?;
    Ok(listener.local_addr().map_err(NoFreePort)?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_not_given() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports::find(port).unwrap();
        assert_ne!(ports.traffic, port);
        assert_ne!(ports.traffic, ports.admin);
        drop(taken);
        assert_eq!(Ports::find(port).unwrap().traffic, port);
    }
}
