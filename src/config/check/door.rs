//! Checks what is about traffic: hosts, listeners, the upstream.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host as UrlHost, Url};

use super::{Check, Sound};
use crate::config::file::{Connections, Host, Listen, Sizes, Tls, Upstream, Waits};
use crate::operator_file::{At, Octets, Parsed};
use crate::proxy::{
    Authorities, CertificateFiles, DoorLimits, HandoffSettings, HostSettings, ListenerSettings,
    ProxySettings, UpstreamServer, UpstreamSettings,
};

/// What the section `[listen]` says.
pub(super) struct Listening {
    listener: ListenerSettings,
    admin: SocketAddr,
    trusted_proxies: Vec<IpNet>,
    limits: DoorLimits,
    grace: Duration,
}

impl Listening {
    pub(super) fn with(
        self,
        hosts: Vec<HostSettings>,
        upstream: UpstreamSettings,
        handoff: HandoffSettings,
    ) -> (ProxySettings, ListenerSettings, SocketAddr) {
        let proxy = ProxySettings {
            hosts,
            trusted_proxies: self.trusted_proxies,
            upstream,
            handoff,
            limits: self.limits,
            grace: self.grace,
        };
        (proxy, self.listener, self.admin)
    }
}

impl Check<'_> {
    pub(super) fn hosts(&mut self, hosts: &At<Vec<Host>>) -> Vec<HostSettings> {
        if hosts.is_empty() {
            self.needs_one(
                &hosts.span,
                "host",
                "[[host]] origin = \"https://app.example.com\"",
            );
        }
        let mut found: Vec<HostSettings> = Vec::new();
        for Host { origin } in &hosts.value {
            let Some(host) = self.host(origin) else {
                continue;
            };
            if found.iter().any(|other| other.name == host.name) {
                let message = format!("the host `{}` is declared twice", host.name);
                self.findings
                    .error(&origin.span, message, "remove one of the two");
            }
            found.push(host);
        }
        found
    }

    fn host(&mut self, origin: &At<String>) -> Sound<HostSettings> {
        if origin.contains('*') {
            let message = "a host cannot have a wildcard";
            let advice = "write one [[host]] for each name: each has its own cookies and sessions";
            self.findings.error(&origin.span, message, advice);
            return None;
        }
        match HostSettings::from_origin(origin) {
            Err(problem) => {
                let advice = "write it like `https://app.example.com`, without a path";
                self.findings
                    .error(&origin.span, problem.to_string(), advice);
                None
            }
            Ok(host) if host.scheme == "http" && !is_local(origin) => {
                let message = "browsers keep the gateway's cookies on https only";
                let advice = format!("write `{}`", origin.replacen("http:", "https:", 1));
                self.findings.error(&origin.span, message, advice);
                None
            }
            Ok(host) => Some(host),
        }
    }

    pub(super) fn listen(&mut self, listen: &Listen, hosts: &At<Vec<Host>>) -> Sound<Listening> {
        let Listen {
            address,
            tls,
            admin,
            trusted_proxies,
            sizes,
            waits,
            connections,
        } = listen;
        let tls = tls.as_ref().map(|tls| self.certificate(tls));
        let trusted_proxies = self.trusted_proxies(trusted_proxies);
        let limits = self.limits(sizes, waits, connections);
        let grace = self.findings.take_optional(waits.drain.as_ref());
        let admin = self.admin_address(admin.as_ref(), address);
        let taken = self.findings.take(address)?;
        let is_https = hosts.iter().any(|host| host.origin.starts_with("https:"));
        if tls.is_none() && is_https && !taken.ip().is_loopback() && trusted_proxies.is_empty() {
            let message = "plain HTTP on a public address, for hosts that are https";
            let advice = "add `tls`, or name the TLS proxy in `trusted_proxies`";
            self.findings.warning(&address.span, message, advice);
        }
        Some(Listening {
            listener: ListenerSettings {
                address: taken,
                tls,
            },
            admin: admin?,
            trusted_proxies,
            limits,
            grace: grace.unwrap_or(Duration::from_secs(30)),
        })
    }

    fn certificate(&mut self, tls: &At<Tls>) -> CertificateFiles {
        let Tls { certificate, key } = &tls.value;
        let files = CertificateFiles {
            certificate: self.existing_file(certificate),
            key: self.existing_file(key),
        };
        if files.certificate.is_file()
            && files.key.is_file()
            && let Err(problem) = files.check()
        {
            let advice = "name a PEM file with the chain, and the private key of its certificate";
            self.findings.error(&tls.span, problem.to_string(), advice);
        }
        files
    }

    fn trusted_proxies(&mut self, networks: &[Parsed<IpNet>]) -> Vec<IpNet> {
        let mut found = Vec::new();
        for network in networks {
            let Some(taken) = self.findings.take(network) else {
                continue;
            };
            if taken.prefix_len() == 0 {
                let message = "this trusts everybody to say where requests come from";
                let advice = "name the networks of your own proxies";
                self.findings.error(&network.span, message, advice);
            }
            found.push(taken);
        }
        found
    }

    fn admin_address(
        &mut self,
        admin: Option<&Parsed<SocketAddr>>,
        traffic: &Parsed<SocketAddr>,
    ) -> Sound<SocketAddr> {
        let Some(parsed) = admin else {
            return Some(SocketAddr::from(([127, 0, 0, 1], 9090)));
        };
        let address = self.findings.take(parsed)?;
        let is_same = traffic.outcome.as_ref().is_ok_and(|traffic| {
            traffic.port() == address.port()
                && address.port() != 0
                && (traffic.ip() == address.ip()
                    || traffic.ip().is_unspecified()
                    || address.ip().is_unspecified())
        });
        if is_same {
            let message = "the admin listener has the address of the traffic";
            let advice = "give it another port, such as `127.0.0.1:9090`";
            self.findings.error(&parsed.span, message, advice);
        } else if address.ip().is_unspecified() {
            let message = "the admin listener answers on every address of this machine";
            let advice = "see that the public cannot reach it, or write `127.0.0.1`";
            self.findings.warning(&parsed.span, message, advice);
        } else if is_public(address.ip()) {
            let message = "the admin listener has a public address";
            let advice = "use a loopback or private address, such as `127.0.0.1:9090`";
            self.findings.error(&parsed.span, message, advice);
        }
        Some(address)
    }

    fn limits(&mut self, sizes: &Sizes, waits: &Waits, connections: &Connections) -> DoorLimits {
        let mut limits = DoorLimits::default();
        self.sizes(sizes, &mut limits);
        let Waits {
            head,
            body,
            keep_alive,
            drain: _,
        } = waits;
        self.set(head.as_ref(), &mut limits.head_time);
        self.set(body.as_ref(), &mut limits.body_time);
        self.set(keep_alive.as_ref(), &mut limits.keep_alive);
        let Connections {
            total,
            per_network,
            http2_streams,
        } = connections;
        let counts = [
            (total, &mut limits.connections),
            (per_network, &mut limits.connections_per_network),
        ];
        for (count, limit) in counts {
            if let Some(count) = self.at_least_one(count.as_ref()) {
                *limit = usize::try_from(count).unwrap_or(usize::MAX);
            }
        }
        if let Some(count) = self.at_least_one(http2_streams.as_ref()) {
            limits.streams = count;
        }
        limits
    }

    fn sizes(&mut self, sizes: &Sizes, limits: &mut DoorLimits) {
        let Sizes {
            head,
            target,
            fields,
            body,
            form,
        } = sizes;
        let octets = [
            (head, &mut limits.head),
            (target, &mut limits.target),
            (form, &mut limits.page_body),
        ];
        for (size, limit) in octets {
            if let Some(Octets(size)) = self.findings.take_optional(size.as_ref()) {
                *limit = usize::try_from(size).unwrap_or(usize::MAX);
            }
        }
        if let Some(Octets(size)) = self.findings.take_optional(body.as_ref()) {
            limits.body = size;
        }
        if let Some(fields) = fields {
            limits.fields = usize::from(fields.value);
            // The proxy underneath takes no more.
            if !(20..=250).contains(&fields.value) {
                let message = format!("{} header fields", fields.value);
                self.findings
                    .error(&fields.span, message, "write a number from 20 to 250");
            }
        }
    }

    fn at_least_one(&mut self, count: Option<&At<u32>>) -> Option<u32> {
        let count = count?;
        if count.value == 0 {
            self.findings
                .error(&count.span, "0 lets nobody in", "write a number above 0");
        }
        Some(count.value)
    }

    fn set(&mut self, span: Option<&Parsed<Duration>>, setting: &mut Duration) {
        if let Some(span) = self.findings.take_optional(span) {
            *setting = span;
        }
    }

    pub(super) fn upstream(
        &mut self,
        upstream: &Upstream,
        hosts: &[HostSettings],
    ) -> (Sound<UpstreamSettings>, HandoffSettings) {
        let Upstream {
            servers,
            tls_name,
            ca,
            connect_timeout,
            read_timeout,
            write_timeout,
            idle_timeout,
            tunnel_timeout,
            hand_off,
        } = upstream;
        if servers.is_empty() {
            self.needs_one(&servers.span, "upstream server", "http://10.0.0.5:8080");
        }
        let name = tls_name.as_ref().map(|name| name.as_str());
        let found: Vec<_> = servers
            .iter()
            .filter_map(|server| {
                self.no_loop(server, hosts);
                self.server(server, name)
            })
            .collect();
        let is_whole = !found.is_empty() && found.len() == servers.len();
        let mut settings = UpstreamSettings::to(found);
        self.set(connect_timeout.as_ref(), &mut settings.connect_timeout);
        self.set(read_timeout.as_ref(), &mut settings.read_timeout);
        self.set(write_timeout.as_ref(), &mut settings.write_timeout);
        self.set(idle_timeout.as_ref(), &mut settings.idle_timeout);
        self.set(tunnel_timeout.as_ref(), &mut settings.tunnel_timeout);
        if let Some(ca) = ca {
            settings.authorities = self.authorities(ca);
        }
        (is_whole.then_some(settings), self.hand_off(hand_off))
    }

    fn authorities(&mut self, ca: &At<PathBuf>) -> Option<Authorities> {
        let pem = self.further_roots(Some(ca))?;
        let parsed = Authorities::parse(&pem);
        let advice = "name a file with certificates in PEM";
        parsed
            .map_err(|problem| self.findings.error(&ca.span, problem.to_string(), advice))
            .ok()
    }

    /// What is forwarded to the gateway's own origin comes in again, and again.
    fn no_loop(&mut self, server: &At<String>, hosts: &[HostSettings]) {
        let own = hosts
            .iter()
            .find(|host| is_same_place(&host.origin, server));
        if let Some(own) = own {
            let message = format!("`{}` is the gateway itself", own.origin);
            let advice = "name the server behind it, such as `http://10.0.0.5:8080`";
            self.findings.error(&server.span, message, advice);
        }
    }

    fn server(&mut self, server: &At<String>, name: Option<&str>) -> Sound<UpstreamServer> {
        let parsed = UpstreamServer::parse(server, name);
        parsed
            .map_err(|problem| {
                let advice = "write it like `http://10.0.0.5:8080`; for `https` to an address \
                              add `tls_name`";
                self.findings
                    .error(&server.span, problem.to_string(), advice);
            })
            .ok()
    }
}

/// Whether two URLs have the same host and port.
fn is_same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| {
        let url = Url::parse(text).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

fn is_local(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    match url.host() {
        Some(UrlHost::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(UrlHost::Ipv4(ip)) => ip.is_loopback(),
        Some(UrlHost::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}
