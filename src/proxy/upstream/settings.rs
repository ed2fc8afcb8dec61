//! What is known of an upstream before it is asked: its servers, how they are spoken to, and for
//! how long.

use std::time::Duration;

use url::{Host, Url};

use crate::policy::place::PathPattern;
use crate::proxy::authorities::Authorities;
use crate::proxy::settings::{CertificateFiles, HandoffSettings};

/// One system that requests are forwarded to, and how.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name, of its own, for `explain`, metrics and assertions.
    pub name: String,
    /// The hosts whose requests it gets; empty for all.
    pub hosts: Vec<String>,
    /// The paths that it gets, at least one; of two upstreams, the more specific one gets a
    /// request, as among rules.
    pub paths: Vec<PathPattern>,
    /// The servers, at least one, in turn.
    pub servers: Vec<UpstreamServer>,
    /// The HTTP that they speak.
    pub protocol: UpstreamProtocol,
    /// Whether a session stays with one server for as long as it takes requests.
    pub sticky: bool,
    /// How servers are asked whether they are well; none to take them for well.
    pub health: Option<HealthSettings>,
    /// After how many failures in a row a server is passed over, and for how long.
    pub set_aside: SetAside,
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
    /// Between two pieces of a stream: a WebSocket, server-sent events, gRPC.
    pub tunnel_timeout: Duration,
    /// Where the certificates of `https` servers come from; none for the public roots.
    pub authorities: Option<Authorities>,
    /// By which `https` servers know the gateway, where they ask.
    pub client_certificate: Option<CertificateFiles>,
}

impl UpstreamSettings {
    /// These servers for everything, with the usual hand-off and timeouts.
    pub fn to(servers: Vec<UpstreamServer>) -> Self {
        Self {
            name: "main".to_owned(),
            hosts: Vec::new(),
            paths: vec![PathPattern::everything()],
            servers,
            protocol: UpstreamProtocol::default(),
            sticky: false,
            health: None,
            set_aside: SetAside::default(),
            handoff: HandoffSettings::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            tunnel_timeout: Duration::from_hours(48),
            authorities: None,
            client_certificate: None,
        }
    }
}

/// The HTTP that servers speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: agreed on in TLS, or by prior knowledge (RFC 9113, section 3.3) where there is none.
    Http2,
    /// HTTP/2 where a server agrees to it in TLS, HTTP/1.1 otherwise.
    Auto,
}

/// How servers are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// What is asked.
    pub question: HealthQuestion,
    /// From one question to the next.
    pub every: Duration,
    /// For an answer; none in time is a bad one.
    pub timeout: Duration,
    /// Bad answers in a row until a server gets no more requests.
    pub down_after: u32,
    /// Good answers in a row until it gets them again.
    pub up_after: u32,
}

impl HealthSettings {
    /// This question, asked as often as usual.
    pub fn asking(question: HealthQuestion) -> Self {
        Self {
            question,
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            down_after: 3,
            up_after: 2,
        }
    }
}

/// What a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthQuestion {
    /// `GET` of this path; a status of 200 to 299 is good.
    Path(String),
    /// gRPC's own health check (`grpc.health.v1.Health/Check`) of this service; empty for the
    /// server as a whole.
    Grpc(String),
}

/// When a server is passed over that does not take connections, or breaks them off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAside {
    /// After so many failures in a row.
    pub after: u32,
    /// For so long.
    pub span: Duration,
}

impl Default for SetAside {
    fn default() -> Self {
        Self {
            after: 3,
            span: Duration::from_secs(10),
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
    /// How much it gets in comparison with the others, at least 1.
    pub weight: u32,
}

impl UpstreamServer {
    /// Host name or address, and port.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// What a request to the server itself carries as `Host`: the name in its certificate, or host
    /// and port as they are configured (RFC 9110, section 7.2).
    pub(super) fn host_field(&self) -> String {
        let Self { host, port, .. } = self;
        match &self.tls_name {
            Some(name) => name.clone(),
            None if host.contains(':') => format!("[{host}]:{port}"),
            None => format!("{host}:{port}"),
        }
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.tls_name.is_some()
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
            weight: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_server_is_called_by_the_name_that_it_is_configured_by() {
        for (url, tls_name, called) in [
            (
                "http://platform.internal:8080",
                None,
                "platform.internal:8080",
            ),
            ("http://platform.internal", None, "platform.internal:80"),
            ("http://[::1]:8080", None, "[::1]:8080"),
            ("https://platform.internal:8443", None, "platform.internal"),
            ("https://10.0.0.5", Some("platform"), "platform"),
        ] {
            let server = UpstreamServer::parse(url, tls_name).unwrap();
            assert_eq!(server.host_field(), called);
        }
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
