//! What the data plane needs to know: hosts, upstream servers, hand-off, limits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use url::Url;

use super::upstream::UpstreamSettings;
use crate::platform::handoff::AssertionSettings;
use crate::policy::HandOff;

/// What the data plane needs to know.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// The hosts that are served; a request for another one is 421.
    pub hosts: Vec<HostSettings>,
    /// Peers whose `X-Forwarded-For` counts; none by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections of those peers begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Where requests are forwarded to: for every host and path, one of these.
    pub upstreams: Vec<UpstreamSettings>,
    /// Bounds on what clients may send, and how long they may take.
    pub limits: DoorLimits,
    /// How long requests in flight may take when the gateway stops.
    pub grace: Duration,
    /// How long an idle connection may then still bring a request, its last one.
    pub goodbye: Duration,
}

/// A served host.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Lower case, without port.
    pub name: Arc<str>,
    /// `https://app.example.com`, as configured.
    pub origin: Arc<str>,
    /// Host and port as the origin has them, for `Host` and `X-Forwarded-Host`.
    pub authority: HeaderValue,
    /// `https` or `http`, for `X-Forwarded-Proto`.
    pub scheme: HeaderValue,
    /// The port, also where the origin leaves it out, for `X-Forwarded-Port`.
    pub port: HeaderValue,
    /// The site that its people belong to, by its place among all.
    pub site: usize,
    /// `Strict-Transport-Security` of its answers (RFC 6797); none to say nothing.
    pub transport_security: Option<HeaderValue>,
}

/// An origin that no host can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    /// It is not `https://host` or `http://host`, with a port if need be.
    #[error("an origin is `https://` or `http://`, a host, and a port if it is not the usual one")]
    NotAnOrigin,
}

impl HostSettings {
    /// Takes an origin apart; it is of the first site.
    pub fn from_origin(origin: &str) -> Result<Self, HostProblem> {
        let url = Url::parse(origin).map_err(|_| HostProblem::NotAnOrigin)?;
        let text = url.origin().ascii_serialization();
        let is_origin = matches!(url.scheme(), "https" | "http")
            && text.eq_ignore_ascii_case(origin.trim_end_matches('/'));
        let name = url
            .host_str()
            .filter(|_| is_origin)
            .ok_or(HostProblem::NotAnOrigin)?;
        let authority = text
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| HostProblem::NotAnOrigin);
        Ok(Self {
            name: name.to_ascii_lowercase().into(),
            authority: value(authority)?,
            scheme: value(url.scheme())?,
            port: url.port_or_known_default().unwrap_or_default().into(),
            origin: text.as_str().into(),
            site: 0,
            transport_security: None,
        })
    }
}

/// Hosts by name. Operators alone fill it, so that strangers cannot make it slow.
pub(super) type Hosts = HashMap<Arc<str>, Arc<HostSettings>, foldhash::fast::RandomState>;

/// By what the upstream learns who the user is.
#[derive(Debug, Clone)]
pub struct HandoffSettings {
    /// The platform's user id.
    pub user: HeaderName,
    /// The platform's customer id, where there is one.
    pub customer: HeaderName,
    /// The e-mail claim, where there is one.
    pub email: HeaderName,
    /// The name of the program, where a bearer token was shown.
    pub client: HeaderName,
    /// A signed assertion of all that, where there is one.
    pub assertion: Option<AssertionSettings>,
    /// The field that carries the identity provider's access token, where the upstream wants it.
    pub access_token: Option<HeaderName>,
    /// ThingsBoard's own token, where the upstream is one.
    pub thingsboard: Option<ClosedWays>,
}

impl HandoffSettings {
    /// Whether the upstream learns by this who somebody is, where a rule says nothing else.
    pub fn has(&self, by: HandOff) -> bool {
        match by {
            HandOff::Headers => true,
            HandOff::Assertion => self.assertion.is_some(),
            HandOff::AccessToken => self.access_token.is_some(),
            HandOff::ThingsBoard => self.thingsboard.is_some(),
        }
    }
}

/// Which of ThingsBoard's own ways in are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedWays {
    /// Passwords, public links, OAuth 2.0.
    pub login: bool,
    /// Self-registration.
    pub sign_up: bool,
    /// Activation and forgotten passwords.
    pub passwords: bool,
}

impl Default for HandoffSettings {
    fn default() -> Self {
        Self {
            user: HeaderName::from_static("x-vestibule-user"),
            customer: HeaderName::from_static("x-vestibule-customer"),
            email: HeaderName::from_static("x-vestibule-email"),
            client: HeaderName::from_static("x-vestibule-client"),
            assertion: None,
            access_token: None,
            thingsboard: None,
        }
    }
}

/// Bounds on what clients may send, and how long they may take.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// The whole head of a request, octets: 431.
    pub head: usize,
    /// The request target, octets: 414.
    pub target: usize,
    /// Fields in a head: 431.
    pub fields: usize,
    /// A request body where its rule says nothing, octets: 413.
    pub body: u64,
    /// A body for the gateway's own pages, octets: 413.
    pub page_body: usize,
    /// From accept (or the first octet of a later request) until the head is complete.
    pub head_time: Duration,
    /// Without an octet of a next request.
    pub keep_alive: Duration,
    /// Between two pieces of a request body.
    pub body_time: Duration,
    /// In each such span at least 1 KiB of a body that is forwarded has to come.
    pub body_pace: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one network (IPv4 address, IPv6 /64).
    pub connections_per_network: usize,
    /// Concurrent requests on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            head: 32 * 1024,
            target: 8 * 1024,
            fields: 100,
            body: 1 << 30,
            page_body: 64 * 1024,
            head_time: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_time: Duration::from_mins(1),
            body_pace: Duration::from_mins(1),
            connections: 10_000,
            connections_per_network: 256,
            streams: 100,
        }
    }
}

/// Where the gateway listens.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Address and port; port 0 takes any free one.
    pub address: SocketAddr,
    /// The certificates, the first for whoever asks for a name that none is for; empty for plain
    /// HTTP/1.1.
    pub tls: Vec<CertificateFiles>,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_becomes_a_host() {
        let host = HostSettings::from_origin("https://App.example.com:8443").unwrap();
        assert_eq!(&*host.name, "app.example.com");
        assert_eq!(&*host.origin, "https://app.example.com:8443");
        assert_eq!(host.authority, "app.example.com:8443");
        for wrong in [
            "app.example.com",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://",
        ] {
            assert_eq!(
                HostSettings::from_origin(wrong).unwrap_err(),
                HostProblem::NotAnOrigin,
                "{wrong}"
            );
        }
    }
}
