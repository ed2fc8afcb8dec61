//! Listening sockets that are open already: those that the service manager opened, and those of the
//! process that serves already.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::handover::{self, Predecessor};

/// Sockets that are open already.
#[derive(Debug, Default)]
pub struct Sockets {
    inherited: Vec<TcpListener>,
    predecessor: Option<Predecessor>,
}

impl Sockets {
    /// Those that the service manager opened for this process (`sd_listen_fds(3)`), if any.
    pub fn from_service_manager() -> std::io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let places = 0..passed.len();
        let inherited = places.filter_map(|place| passed.take_tcp_listener(place).transpose());
        Ok(Self {
            inherited: inherited.collect::<Result<_, _>>()?,
            predecessor: None,
        })
    }

    /// Those of the process that serves this address now, besides; it stops when this one accepts
    /// connections. Says whether there is one.
    pub async fn take_over(&mut self, address: SocketAddr) -> std::io::Result<bool> {
        let Some((sockets, predecessor)) = handover::ask(address).await? else {
            return Ok(false);
        };
        self.inherited.extend(sockets);
        self.predecessor = Some(predecessor);
        Ok(true)
    }

    /// The one that listens on an address; given once.
    pub(super) fn at(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_it = |socket: &TcpListener| {
            let bound = socket.local_addr();
            bound.is_ok_and(|bound| is_same(bound, address))
        };
        let place = self.inherited.iter().position(is_it)?;
        Some(self.inherited.swap_remove(place))
    }

    /// The process to replace, if there is one; what it had besides is closed. Fails with the
    /// address of a socket of the service manager that nobody wanted: connections there would wait
    /// for ever.
    pub(super) fn predecessor(self) -> Result<Option<Predecessor>, SocketAddr> {
        let first = self.inherited.first();
        let unasked = first.and_then(|socket| socket.local_addr().ok());
        match (self.predecessor, unasked) {
            (None, Some(address)) => Err(address),
            (predecessor, _) => Ok(predecessor),
        }
    }
}

/// Whether a socket takes the connections that one at an address would: every address of the
/// machine is `[::]` as well as `0.0.0.0`.
fn is_same(bound: SocketAddr, wanted: SocketAddr) -> bool {
    let are_wide = bound.ip().is_unspecified() && wanted.ip().is_unspecified();
    bound == wanted || (are_wide && bound.port() == wanted.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_its_address() {
        let address = |text: &str| text.parse().unwrap();
        assert!(is_same(address("[::]:443"), address("0.0.0.0:443")));
        assert!(is_same(address("10.0.0.1:443"), address("10.0.0.1:443")));
        assert!(!is_same(address("10.0.0.1:443"), address("0.0.0.0:443")));
        assert!(!is_same(address("[::]:443"), address("0.0.0.0:80")));
    }

    #[test]
    fn an_inherited_socket_is_given_once_and_what_nobody_wants_is_told() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = [(); 2].map(|()| TcpListener::bind(loopback).unwrap());
        let addresses = sockets
            .each_ref()
            .map(|socket| socket.local_addr().unwrap());
        let mut known = Sockets {
            inherited: sockets.into(),
            predecessor: None,
        };
        assert_eq!(
            known.at(addresses[1]).unwrap().local_addr().unwrap(),
            addresses[1]
        );
        assert_eq!(known.predecessor().unwrap_err(), addresses[0]);
    }
}
