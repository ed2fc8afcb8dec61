//! An upstream: its servers in turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use tokio::net::lookup_host;

use super::authorities::Authorities;
use super::hand_off::Handoff;
use super::settings::{UpstreamServer, UpstreamSettings};

/// How often server names are looked up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// An upstream: its servers, and what it is told.
pub(super) struct Upstream {
    settings: UpstreamSettings,
    handoff: Handoff,
    authorities: Option<Arc<CaType>>,
    peers: ArcSwap<Vec<HttpPeer>>,
    next: AtomicUsize,
}

impl Upstream {
    /// Servers that are not looked up yet.
    pub(super) fn new(settings: UpstreamSettings, handoff: Handoff) -> Self {
        let authorities = settings.authorities.as_ref();
        Self {
            authorities: authorities.map(Authorities::for_peers),
            settings,
            handoff,
            peers: ArcSwap::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// The next server in turn; none while no name could be looked up.
    pub(super) fn next_peer(&self, is_tunnel: bool) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut peer = Box::new(peers.get(turn.checked_rem(peers.len())?)?.clone());
        if is_tunnel {
            peer.options.read_timeout = Some(self.settings.tunnel_timeout);
            peer.options.write_timeout = Some(self.settings.tunnel_timeout);
        }
        Some(peer)
    }

    /// What it is told about requests.
    pub(super) fn handoff(&self) -> &Handoff {
        &self.handoff
    }

    /// How many servers there are.
    pub(super) fn count(&self) -> usize {
        self.peers.load().len()
    }

    /// Between two pieces of an upgraded connection.
    pub(super) fn tunnel_timeout(&self) -> Duration {
        self.settings.tunnel_timeout
    }

    /// Looks all names up; servers whose names cannot be found keep their last addresses.
    pub(super) async fn look_up(&self) {
        let mut peers = Vec::new();
        for server in &self.settings.servers {
            match lookup_host((server.host.as_str(), server.port)).await {
                Ok(addresses) => peers.extend(addresses.map(|address| self.peer(server, address))),
                Err(cause) => {
                    tracing::warn!(server = server.host, %cause, "an upstream cannot be looked up");
                }
            }
        }
        if !peers.is_empty() {
            self.peers.store(Arc::new(peers));
        }
    }

    /// Looks names up again and again, where there are any.
    pub(super) async fn keep_looking_up(&self) {
        let has_names = self
            .settings
            .servers
            .iter()
            .any(|server| server.host.parse::<std::net::IpAddr>().is_err());
        if !has_names {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_UP_EVERY).await;
            self.look_up().await;
        }
    }

    fn peer(&self, server: &UpstreamServer, address: SocketAddr) -> HttpPeer {
        // Without a name the library would not check the certificate at all.
        let name = server.tls_name.clone().unwrap_or_default();
        let mut peer = HttpPeer::new(address, server.tls_name.is_some(), name);
        let options = &mut peer.options;
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout);
        options.read_timeout = Some(self.settings.read_timeout);
        options.write_timeout = Some(self.settings.write_timeout);
        options.idle_timeout = Some(self.settings.idle_timeout);
        options.ca.clone_from(&self.authorities);
        peer
    }
}
