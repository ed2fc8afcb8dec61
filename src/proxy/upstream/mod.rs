//! An upstream: its servers, which of them gets a request, and how it is reached.

mod checks;
mod choice;
mod client_certificate;
mod server;
mod settings;
mod standing;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::CertKey;
use tokio::net::lookup_host;

use super::authorities::Authorities;
use super::hand_off::Handoff;
use super::upstreams::UpstreamHealth;
use crate::access::RequestKind;
use crate::telemetry::upstreams::{ServerLabels, UpstreamMetrics};
use choice::Turns;
pub(super) use choice::mix;
pub use client_certificate::check_client_certificate;
pub(super) use server::Server;
pub use settings::{
    HealthQuestion, HealthSettings, SetAside, UpstreamProblem, UpstreamProtocol, UpstreamServer,
    UpstreamSettings,
};

/// How often server names are looked up, and client certificates read, again.
const RENEW_EVERY: Duration = Duration::from_secs(30);

/// An upstream: its servers, and what it is told.
pub(super) struct Upstream {
    settings: UpstreamSettings,
    /// Keeps its connections apart from those of other upstreams at the same address.
    number: u64,
    handoff: Handoff,
    authorities: Option<Arc<CaType>>,
    line_up: ArcSwap<LineUp>,
    next: AtomicUsize,
    metrics: UpstreamMetrics,
    health: UpstreamHealth,
}

/// The servers as they were last looked up.
#[derive(Default)]
struct LineUp {
    servers: Vec<Arc<Server>>,
    turns: Turns,
}

/// What a request does with its connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A request and its answer.
    Exchange,
    /// The same, with a body that may take long to come.
    Upload,
    /// Pieces that may be long in coming: server-sent events, gRPC.
    Stream,
    /// A WebSocket, which is HTTP/1.1's.
    Tunnel,
}

impl Use {
    /// What a request does, by what it asks for.
    pub(super) fn of(kind: RequestKind, headers: &HeaderMap) -> Self {
        match kind {
            RequestKind::WebSocket => Self::Tunnel,
            RequestKind::Grpc => Self::Stream,
            RequestKind::Api if accepts_events(headers) => Self::Stream,
            _ => Self::Exchange,
        }
    }
}

/// Whether any media type that is accepted (RFC 9110, section 12.5.1) is that of server-sent
/// events.
fn accepts_events(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT).iter();
    let mut ranges = fields.flat_map(|field| field.as_bytes().split(|octet| *octet == b','));
    ranges.any(|range| {
        let media_type = range.split(|octet| *octet == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        media_type.eq_ignore_ascii_case(b"text/event-stream")
    })
}

impl Upstream {
    /// Servers that are not looked up yet; `number` is its own among all upstreams.
    pub(super) fn new(
        settings: UpstreamSettings,
        number: u64,
        handoff: Handoff,
        (metrics, health): (UpstreamMetrics, UpstreamHealth),
    ) -> Self {
        let authorities = settings.authorities.as_ref();
        Self {
            authorities: authorities.map(Authorities::for_peers),
            settings,
            number,
            handoff,
            line_up: ArcSwap::default(),
            next: AtomicUsize::new(0),
            metrics,
            health,
        }
    }

    /// The server for a request: the caller's own where callers stay with one, the next in turn
    /// otherwise, and one that was not tried yet, if there is one. Servers that are set aside
    /// are asked when no other is left; those that their checks find down, never.
    pub(super) fn choose(
        &self,
        caller: Option<&str>,
        tried: &[Arc<Server>],
    ) -> Option<Arc<Server>> {
        let line_up = self.line_up.load();
        let caller = caller.filter(|_| self.settings.sticky);
        let turn = self.next.fetch_add(1, Relaxed);
        let is_tried = |server: &Server| tried.iter().any(|one| one.address == server.address);
        line_up
            .choose(caller, turn, |server| {
                server.standing.is_up() && !server.standing.is_aside() && !is_tried(server)
            })
            .or_else(|| {
                line_up.choose(caller, turn, |server| {
                    server.standing.is_up() && !is_tried(server)
                })
            })
            .or_else(|| line_up.choose(caller, turn, |server| server.standing.is_up()))
            .cloned()
    }

    /// How a server is reached for such a use.
    pub(super) fn peer(&self, server: &Server, with: Use) -> Box<HttpPeer> {
        let mut peer = Box::new(server.peer.clone());
        if with != Use::Exchange {
            // On HTTP/2 the proxy library counts the time of the request's body in.
            peer.options.read_timeout = Some(self.settings.tunnel_timeout);
        }
        if matches!(with, Use::Stream | Use::Tunnel) {
            peer.options.write_timeout = Some(self.settings.tunnel_timeout);
        }
        if with == Use::Tunnel {
            peer.options.set_http_version(1, 1);
        }
        peer
    }

    /// A connection to a server failed before it answered.
    pub(super) fn failed(&self, server: &Server) {
        if server.standing.failed(self.settings.set_aside) {
            self.metrics.set_aside(&self.labels(server));
            tracing::warn!(upstream = self.settings.name, server = %server.address, "set a server aside");
        }
    }

    /// A request is sent a second time.
    pub(super) fn sends_again(&self) {
        self.metrics.sent_again(&self.settings.name);
    }

    /// What it is told about requests.
    pub(super) fn handoff(&self) -> &Handoff {
        &self.handoff
    }

    /// How many servers there are.
    pub(super) fn count(&self) -> usize {
        self.line_up.load().servers.len()
    }

    /// Between two pieces of a response.
    pub(super) fn read_timeout(&self) -> Duration {
        self.settings.read_timeout
    }

    /// Between two pieces of a request.
    pub(super) fn write_timeout(&self) -> Duration {
        self.settings.write_timeout
    }

    /// Whether servers may be spoken to by HTTP/2.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.settings.protocol != UpstreamProtocol::Http1
    }

    /// Between two pieces of an upgraded connection.
    pub(super) fn tunnel_timeout(&self) -> Duration {
        self.settings.tunnel_timeout
    }

    /// Looks all names up, and reads the client certificate; servers whose names cannot be found
    /// keep their last addresses. Nothing is cut: requests under way to a server that is gone end
    /// as they would have.
    pub(super) async fn renew(&self) {
        let before = self.line_up.load_full();
        let certificate = self.client_certificate(&before);
        let mut servers: Vec<Arc<Server>> = Vec::new();
        for (place, server) in self.settings.servers.iter().enumerate() {
            let addresses = match lookup_host((server.host.as_str(), server.port)).await {
                Ok(addresses) => addresses.collect(),
                Err(cause) => {
                    tracing::warn!(server = server.host, %cause, "an upstream cannot be looked up");
                    before.addresses_of(place)
                }
            };
            for address in addresses {
                let peer = self.peer_at((server, address), certificate.as_ref());
                let server = Server::new((place, server), (address, peer), &before.servers);
                servers.push(Arc::new(server));
            }
        }
        servers.sort_by_key(|server| (server.place, server.address));
        servers.dedup_by_key(|server| (server.place, server.address));
        self.show(&before.servers, &servers);
        self.line_up.store(Arc::new(LineUp::of(servers)));
    }

    /// Renews again and again, where anything can change.
    pub(super) async fn keep_renewing(&self) {
        let servers = &self.settings.servers;
        let has_names = servers
            .iter()
            .any(|server| server.host.parse::<IpAddr>().is_err());
        if !has_names && self.settings.client_certificate.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            self.renew().await;
        }
    }

    /// The client certificate as its files are; the last good one when they are broken.
    fn client_certificate(&self, before: &LineUp) -> Option<Arc<CertKey>> {
        let files = self.settings.client_certificate.as_ref()?;
        match client_certificate::read(files) {
            Ok(read) => Some(read),
            Err(problem) => {
                tracing::error!(%problem, "the client certificate for an upstream cannot be used");
                before.servers.first()?.peer.client_cert_key.clone()
            }
        }
    }

    fn peer_at(
        &self,
        (server, address): (&UpstreamServer, SocketAddr),
        certificate: Option<&Arc<CertKey>>,
    ) -> HttpPeer {
        // Without a name the library would not check the certificate at all.
        let name = server.tls_name.clone().unwrap_or_default();
        let mut peer = HttpPeer::new(address, server.is_tls(), name);
        peer.group_key = self.number;
        peer.client_cert_key = certificate.filter(|_| server.is_tls()).cloned();
        server::set_options(&mut peer, &self.settings);
        peer.options.ca.clone_from(&self.authorities);
        peer
    }

    fn labels(&self, server: &Server) -> ServerLabels {
        ServerLabels {
            upstream: self.settings.name.clone(),
            server: server.address.to_string(),
        }
    }

    /// Shows the servers that there are, and no others.
    fn show(&self, before: &[Arc<Server>], servers: &[Arc<Server>]) {
        for gone in before {
            if !servers.iter().any(|server| server.address == gone.address) {
                self.metrics.forget(&self.labels(gone));
            }
        }
        for server in servers {
            self.metrics
                .show(&self.labels(server), server.standing.is_up());
        }
    }
}

impl LineUp {
    fn of(servers: Vec<Arc<Server>>) -> Self {
        let weights: Vec<u32> = servers.iter().map(|server| server.weight).collect();
        Self {
            turns: Turns::of(&weights),
            servers,
        }
    }

    fn choose(
        &self,
        caller: Option<&str>,
        turn: usize,
        takes: impl Fn(&Server) -> bool,
    ) -> Option<&Arc<Server>> {
        let place = match caller {
            None => self.turns.choose(turn, |place| {
                self.servers.get(place).is_some_and(|one| takes(one))
            }),
            Some(caller) => {
                let all = self.servers.iter().enumerate();
                let taking = all.filter(|(_, server)| takes(server));
                let taking = taking.map(|(place, one)| (place, one.digest, one.weight));
                choice::of_caller(caller, taking)
            }
        };
        self.servers.get(place?)
    }

    /// The addresses of a configured server, by its place among these.
    fn addresses_of(&self, place: usize) -> Vec<SocketAddr> {
        let own = self.servers.iter().filter(|server| server.place == place);
        own.map(|server| server.address).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_off::{Around, Managed};
    use super::*;
    use crate::clock::SystemClock;
    use crate::proxy::CertificateFiles;

    fn used_for(kind: RequestKind, name: &'static str, value: &'static str) -> Use {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_static(value));
        Use::of(kind, &headers)
    }

    #[test]
    fn streams_are_told_by_what_is_asked_for() {
        let api = |name, value| used_for(RequestKind::Api, name, value);
        assert_eq!(api("accept", "text/event-stream"), Use::Stream);
        let call = used_for(RequestKind::Grpc, "content-type", "application/grpc+proto");
        assert_eq!(call, Use::Stream);
        for events_among_others in [
            "application/json, text/event-stream",
            "application/json;q=0.5 ,Text/Event-Stream; charset=utf-8, */*",
        ] {
            assert_eq!(api("accept", events_among_others), Use::Stream);
        }
        for others in ["*/*", "text/event-stream2", "text/html, application/json"] {
            assert_eq!(api("accept", others), Use::Exchange);
        }
        let mut fields = HeaderMap::new();
        for accepted in ["application/json", "text/event-stream"] {
            fields.append("accept", http::HeaderValue::from_static(accepted));
        }
        assert_eq!(Use::of(RequestKind::Api, &fields), Use::Stream);
        assert_eq!(api("content-type", "application/json"), Use::Exchange);
        let socket = used_for(RequestKind::WebSocket, "accept", "text/event-stream");
        assert_eq!(socket, Use::Tunnel);
    }

    /// An upstream whose servers are not looked up yet.
    fn upstream_of(settings: UpstreamSettings) -> Upstream {
        let all = [settings.clone()];
        let around = Around {
            managed: Managed::of(&all),
            clock: Arc::new(SystemClock),
        };
        let handoff = Handoff::new(settings.handoff.clone(), (0, 1), around, None);
        let seen = (UpstreamMetrics::default(), UpstreamHealth::of(&all));
        Upstream::new(settings, 0, handoff, seen)
    }

    fn addresses(upstream: &Upstream) -> Vec<SocketAddr> {
        upstream.line_up.load().addresses_of(0)
    }

    #[tokio::test]
    async fn names_are_looked_up_again_and_those_that_are_not_found_keep_their_addresses() {
        let before: SocketAddr = "127.0.0.9:8080".parse().unwrap();
        for (name, is_found) in [("localhost", true), ("no name", false)] {
            let mut server = UpstreamServer::parse("http://localhost:8080", None).unwrap();
            server.host = name.to_owned();
            let upstream = upstream_of(UpstreamSettings::to(vec![server.clone()]));
            // As it was looked up before.
            let peer = upstream.peer_at((&server, before), None);
            let known = Server::new((0, &server), (before, peer), &[]);
            upstream
                .line_up
                .store(Arc::new(LineUp::of(vec![Arc::new(known)])));
            upstream.renew().await;
            let after = addresses(&upstream);
            assert_eq!(after.contains(&before), !is_found, "{name}: {after:?}");
            assert!(!after.is_empty(), "{name}");
        }
    }

    fn write(files: &CertificateFiles, name: &str) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[tokio::test]
    async fn a_client_certificate_is_exchanged_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            certificate: folder.path().join("gateway.crt"),
            key: folder.path().join("gateway.key"),
        };
        let server = UpstreamServer::parse("https://localhost:8443", None).unwrap();
        let mut settings = UpstreamSettings::to(vec![server]);
        settings.client_certificate = Some(files.clone());
        let upstream = upstream_of(settings);
        let shown = async || {
            upstream.renew().await;
            let line_up = upstream.line_up.load();
            let server = line_up.servers.first().unwrap();
            let peer = upstream.peer(server, Use::Exchange);
            peer.client_cert_key
                .unwrap()
                .leaf()
                .borrow_raw_cert()
                .clone()
        };
        for name in ["one", "two"] {
            let written = write(&files, name);
            assert_eq!(shown().await, written);
        }
        let last = shown().await;
        std::fs::write(&files.key, "broken").unwrap();
        assert_eq!(shown().await, last);
    }
}
