//! Checks what is about traffic: hosts and listeners.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use url::{Host as UrlHost, Url};

use super::{Check, Sound};
use crate::config::file::{Connections, Host, Listen, Platform, Sizes, Waits};
use crate::operator_file::{At, Octets, Parsed};
use crate::proxy::{DoorLimits, HostSettings, ListenerSettings, ProxySettings};

/// What the section `[listen]` says; upstreams are not its own.
pub(super) struct Listening {
    pub(super) listener: ListenerSettings,
    pub(super) redirect: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
    pub(super) proxy: ProxySettings,
}

impl Check<'_> {
    pub(super) fn hosts(
        &mut self,
        hosts: &At<Vec<Host>>,
        platforms: Option<&[Platform]>,
    ) -> Vec<HostSettings> {
        self.no_idle_platform(platforms, hosts);
        if hosts.is_empty() {
            self.needs_one(
                &hosts.span,
                "host",
                "[[host]] origin = \"https://app.example.com\"",
            );
        }
        let mut found: Vec<HostSettings> = Vec::new();
        for written in &hosts.value {
            let site = self.site(written, platforms);
            let Some(mut host) = self.host(&written.origin) else {
                continue;
            };
            host.site = site;
            if found.iter().any(|other| other.name == host.name) {
                let message = format!("the host `{}` is declared twice", host.name);
                self.findings
                    .error(&written.origin.span, message, "remove one of the two");
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

    pub(super) fn listen(&mut self, listen: &Listen, hosts: &[HostSettings]) -> Sound<Listening> {
        let Listen {
            address,
            tls,
            redirect,
            hsts,
            admin,
            trusted_proxies,
            proxy_protocol,
            sizes,
            waits,
            connections,
        } = listen;
        let tls = self.certificates(tls.as_ref(), hosts);
        let hosts = self.told_to_stay_secure(hosts, hsts.as_ref());
        let trusted_proxies = self.trusted_proxies(trusted_proxies);
        let limits = self.limits(sizes, waits, connections);
        let grace = self.findings.take_optional(waits.drain.as_ref());
        let goodbye = self.findings.take_optional(waits.goodbye.as_ref());
        let admin_address = self.admin_address(admin.as_ref(), address);
        let redirect = self.redirect(redirect.as_ref(), (address, admin_address), &hosts);
        let taken = self.findings.take(address)?;
        let is_https = hosts.iter().any(|host| host.scheme == "https");
        if tls.is_empty() && is_https && !taken.ip().is_loopback() && trusted_proxies.is_empty() {
            let message = "plain HTTP on a public address, for hosts that are https";
            let advice = "add `tls`, or name the TLS proxy in `trusted_proxies`";
            self.findings.warning(&address.span, message, advice);
        }
        let proxy_protocol = self.proxy_protocol(proxy_protocol.as_ref(), &trusted_proxies);
        Some(Listening {
            listener: ListenerSettings {
                address: taken,
                tls,
            },
            redirect,
            admin: admin_address?,
            proxy: ProxySettings {
                hosts,
                trusted_proxies,
                proxy_protocol,
                upstreams: Vec::new(),
                limits,
                grace: grace.unwrap_or(Duration::from_secs(30)),
                goodbye: goodbye.unwrap_or(Duration::from_secs(3)),
            },
        })
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
        let is_same = |traffic| excludes(address, traffic);
        if traffic.outcome.as_ref().copied().is_ok_and(is_same) {
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
            goodbye: _,
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

    pub(super) fn set(&mut self, span: Option<&Parsed<Duration>>, setting: &mut Duration) {
        if let Some(span) = self.findings.take_optional(span) {
            *setting = span;
        }
    }
}

/// Whether only one of two addresses can be listened on.
pub(super) fn excludes(one: SocketAddr, other: SocketAddr) -> bool {
    let is_wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || is_wide)
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
