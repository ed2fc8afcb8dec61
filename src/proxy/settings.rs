//! What the data plane needs to know: hosts, upstream servers, hand-off, limits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use url::{Host, Url};

use super::authorities::Authorities;
use crate::platform::handoff::AssertionSettings;
use crate::policy::HandOff;
use crate::policy::place::PathPattern;

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

/// One system that requests are forwarded to, and how.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name, of its own, for `explain` and assertions.
    pub name: String,
    /// The hosts whose requests it gets; empty for all.
    pub hosts: Vec<String>,
    /// The paths that it gets, at least one; of two upstreams, the more specific one gets a
    /// request, as among rules.
    pub paths: Vec<PathPattern>,
    /// The servers, at least one, in turn.
    pub servers: Vec<UpstreamServer>,
    /// By which fields it learns who the user is.
    pub handoff: HandoffSettings,
    /// For a connection to be made, TLS included.
    pub connect_timeout: Duration,
    /// Between two pieces of a response.
    pub read_timeout: Duration,
    /// Between two pieces of a request.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Between two pieces of a WebSocket or another upgraded connection.
    pub tunnel_timeout: Duration,
    /// Where the certificates of `https` servers come from; none for the public roots.
    pub authorities: Option<Authorities>,
}

impl UpstreamSettings {
    /// These servers for everything, with the usual hand-off and timeouts.
    pub fn to(servers: Vec<UpstreamServer>) -> Self {
        Self {
            name: "main".to_owned(),
            hosts: Vec::new(),
            paths: vec![PathPattern::everything()],
            servers,
            handoff: HandoffSettings::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            tunnel_timeout: Duration::from_hours(1),
            authorities: None,
        }
    }
}

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamServer {
    /// Host name or address.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
    /// The name that its certificate must carry; none for plain HTTP.
    pub(super) tls_name: Option<String>,
}

impl UpstreamServer {
    /// Host name or address, and port.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

/// A URL that is no upstream server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamProblem {
    /// Not `http://host:port` or `https://host:port`.
    #[error("an upstream server is `http://` or `https://`, a host, and a port")]
    NotAServer,
    /// It has a path: what is decided on is forwarded as it is, so there is nothing to prepend.
    #[error("an upstream server has no path")]
    HasPath,
    /// `https` to an address: without a name the certificate could not be checked.
    #[error("`https` to an address needs the name that the certificate carries")]
    NamelessTls,
}

impl UpstreamServer {
    /// Takes `http://10.0.0.5:8080` or `https://platform.internal` apart; `tls_name` is the name
    /// that the certificate carries where it differs from the host.
    pub fn parse(url: &str, tls_name: Option<&str>) -> Result<Self, UpstreamProblem> {
        let url = Url::parse(url).map_err(|_| UpstreamProblem::NotAServer)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(UpstreamProblem::HasPath);
        }
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(UpstreamProblem::NotAServer),
        };
        let host = url.host().ok_or(UpstreamProblem::NotAServer)?;
        let own_name = match &host {
            Host::Domain(name) => Some((*name).to_owned()),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        };
        let name = tls_name
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .or(own_name);
        if is_tls && name.is_none() {
            return Err(UpstreamProblem::NamelessTls);
        }
        Ok(Self {
            host: match host {
                Host::Domain(name) => name.to_owned(),
                Host::Ipv4(address) => address.to_string(),
                Host::Ipv6(address) => address.to_string(),
            },
            port: url
                .port_or_known_default()
                .ok_or(UpstreamProblem::NotAServer)?,
            tls_name: name.filter(|_| is_tls),
        })
    }
}

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

    #[test]
    fn tls_to_an_upstream_always_has_a_name() {
        let server = |url, name| UpstreamServer::parse(url, name);
        assert_eq!(
            server("https://10.0.0.5", None),
            Err(UpstreamProblem::NamelessTls)
        );
        assert_eq!(
            server("https://[::1]:8443", Some("")),
            Err(UpstreamProblem::NamelessTls)
        );
        let named = server("https://10.0.0.5", Some("platform")).unwrap();
        assert_eq!(named.tls_name.as_deref(), Some("platform"));
        assert_eq!(named.port, 443);
        let own = server("https://platform.internal:8443", None).unwrap();
        assert_eq!(own.tls_name.as_deref(), Some("platform.internal"));
        assert_eq!(server("http://10.0.0.5:8080", None).unwrap().tls_name, None);
    }

    #[test]
    fn an_upstream_has_no_path() {
        assert_eq!(
            UpstreamServer::parse("http://a:1/base", None),
            Err(UpstreamProblem::HasPath)
        );
        assert_eq!(
            UpstreamServer::parse("unix:/x", None),
            Err(UpstreamProblem::HasPath)
        );
    }
}
