//! One server of an upstream: where it is, how it is reached, how it stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::TcpKeepalive;
use pingora_core::upstreams::peer::HttpPeer;

use super::choice::digest;
use super::settings::{UpstreamProtocol, UpstreamServer, UpstreamSettings};
use super::standing::Standing;

/// Requests at once on one HTTP/2 connection to a server.
const HTTP2_STREAMS: usize = 100;

/// What a server may send on HTTP/2 before it is read, for a request and for a connection, octets.
const HTTP2_WINDOWS: (u32, u32) = (1 << 20, 4 << 20);

/// A server that is gone without a word is noticed on a silent connection within two minutes.
pub(in crate::proxy) const KEEP_ALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_mins(1),
    interval: Duration::from_secs(15),
    count: 4,
    user_timeout: Duration::ZERO,
};

/// One server: an address that a configured server has.
pub(in crate::proxy) struct Server {
    /// Where it is.
    pub(in crate::proxy) address: SocketAddr,
    /// Of the configured server among all.
    pub(super) place: usize,
    pub(super) weight: u32,
    /// What it is called where the gateway itself asks it something.
    pub(super) host: String,
    /// Of its address, for sessions that stay with one server.
    pub(super) digest: u64,
    pub(super) peer: HttpPeer,
    pub(super) standing: Arc<Standing>,
}

impl Server {
    /// A configured server at this address, which stands as it stood `before`.
    pub(super) fn new(
        (place, configured): (usize, &UpstreamServer),
        (address, peer): (SocketAddr, HttpPeer),
        before: &[Arc<Self>],
    ) -> Self {
        let known = before.iter().find(|known| known.address == address);
        Self {
            address,
            place,
            weight: configured.weight,
            host: configured.host_field(),
            digest: digest(address.to_string().as_bytes()),
            peer,
            standing: known.map_or_else(
                || Arc::new(Standing::new()),
                |known| Arc::clone(&known.standing),
            ),
        }
    }

    /// It answered a request.
    pub(in crate::proxy) fn answered(&self) {
        self.standing.answered();
    }
}

/// How servers are spoken to, as the upstream's settings have it.
pub(super) fn set_options(peer: &mut HttpPeer, settings: &UpstreamSettings) {
    let options = &mut peer.options;
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    options.read_timeout = Some(settings.read_timeout);
    options.write_timeout = Some(settings.write_timeout);
    options.idle_timeout = Some(settings.idle_timeout);
    options.tcp_keepalive = Some(KEEP_ALIVE);
    options.max_h2_streams = HTTP2_STREAMS;
    options.h2_stream_window_size = Some(HTTP2_WINDOWS.0);
    options.h2_connection_window_size = Some(HTTP2_WINDOWS.1);
    match settings.protocol {
        UpstreamProtocol::Http1 => options.set_http_version(1, 1),
        UpstreamProtocol::Http2 => options.set_http_version(2, 2),
        UpstreamProtocol::Auto => options.set_http_version(2, 1),
    }
}
