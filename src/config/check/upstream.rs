//! Checks the upstreams: what each gets, its servers, and that every request is for one of them.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use url::Url;

use super::{Check, Sound};
use crate::config::file::{Health, ProtocolWord, Server, SetAsideTable, Upstream};
use crate::operator_file::At;
use crate::policy::place::PathPattern;
use crate::proxy::{
    Authorities, HealthQuestion, HealthSettings, HostSettings, SetAside, UpstreamProtocol,
    UpstreamServer, UpstreamSettings, check_client_certificate, places_of,
};

impl Check<'_> {
    pub(super) fn upstreams(
        &mut self,
        upstreams: &[Upstream],
        hosts: &[HostSettings],
    ) -> Sound<Vec<UpstreamSettings>> {
        let mut all: Vec<UpstreamSettings> = Vec::new();
        for upstream in upstreams {
            let Some(settings) = self.upstream(upstream, hosts) else {
                continue;
            };
            let span = upstream
                .name
                .as_ref()
                .map_or(&upstream.servers.span, |name| &name.span);
            if all.iter().any(|other| other.name == settings.name) {
                let message = format!("there are two upstreams called `{}`", settings.name);
                self.findings
                    .error(span, message, "give each a `name` of its own");
            } else if let Some(other) = all.iter().find(|other| overlap(other, &settings)) {
                let message = format!(
                    "`{}` and `{}` are for the same requests",
                    other.name, settings.name
                );
                let advice = "tell them apart by `hosts` or `paths`";
                self.findings.error(span, message, advice);
            }
            all.push(settings);
        }
        if all.len() == upstreams.len()
            && let Some(first) = upstreams.first()
        {
            self.no_gap(&first.servers, (&all, hosts));
            self.no_strangers(upstreams, (&all, hosts));
        }
        (all.len() == upstreams.len() && !all.is_empty()).then_some(all)
    }

    /// Every request of every host is for an upstream.
    fn no_gap<T>(&mut self, at: &At<T>, (all, hosts): (&[UpstreamSettings], &[HostSettings])) {
        for host in hosts {
            let is_whole = all.iter().any(|upstream| {
                let is_for_it = |name: &String| **name == *host.name;
                upstream.paths.contains(&PathPattern::everything())
                    && (upstream.hosts.is_empty() || upstream.hosts.iter().any(is_for_it))
            });
            if !is_whole {
                let message = format!("nobody gets what is asked of {}", host.origin);
                let advice = format!(
                    "an upstream needs `hosts = [\"{}\"]`, or no `hosts`, and `/**` among its \
                     `paths`",
                    host.name
                );
                self.findings.error(&at.span, message, advice);
            }
        }
    }

    /// An upstream knows the users of one platform: those of another may have the same ids.
    fn no_strangers(
        &mut self,
        upstreams: &[Upstream],
        (all, hosts): (&[UpstreamSettings], &[HostSettings]),
    ) {
        for (written, settings) in upstreams.iter().zip(all) {
            let mut own = hosts
                .iter()
                .filter(|host| gets_some_of(settings, host, all));
            let Some(first) = own.next() else {
                continue;
            };
            if let Some(other) = own.find(|host| host.site != first.site) {
                let message = format!(
                    "`{}` gets users of two platforms, those of {} and those of {}",
                    settings.name, first.name, other.name
                );
                let advice = "give each platform an upstream of its own, told apart by `hosts`";
                self.findings.error(&written.servers.span, message, advice);
            }
        }
    }

    fn upstream(&mut self, upstream: &Upstream, hosts: &[HostSettings]) -> Sound<UpstreamSettings> {
        let Upstream {
            name,
            hosts: for_hosts,
            paths,
            servers,
            protocol,
            sticky,
            health,
            set_aside,
            tls_name,
            ca,
            client_certificate,
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
        let tls_name = tls_name.as_ref().map(|name| name.as_str());
        let found: Vec<_> = servers
            .iter()
            .filter_map(|server| {
                self.no_loop(server, hosts);
                self.server(server, tls_name)
            })
            .collect();
        let is_whole = !found.is_empty() && found.len() == servers.len();
        let mut settings = UpstreamSettings::to(found);
        if let Some(name) = name {
            self.short_name("an upstream", name);
            settings.name.clone_from(&name.value);
        }
        settings.hosts = self.served(for_hosts, hosts);
        if let Some(paths) = paths {
            settings.paths = paths.iter().filter_map(|path| self.paths(path)).collect();
        }
        self.set(connect_timeout.as_ref(), &mut settings.connect_timeout);
        self.set(read_timeout.as_ref(), &mut settings.read_timeout);
        self.set(write_timeout.as_ref(), &mut settings.write_timeout);
        self.set(idle_timeout.as_ref(), &mut settings.idle_timeout);
        self.set(tunnel_timeout.as_ref(), &mut settings.tunnel_timeout);
        if let Some(ca) = ca {
            settings.authorities = self.authorities(ca);
        }
        settings.client_certificate = client_certificate
            .as_ref()
            .map(|files| self.certificate(files, check_client_certificate).0);
        settings.protocol = spoken(*protocol);
        settings.sticky = *sticky;
        settings.set_aside = self.set_aside(set_aside);
        settings.health = health
            .as_ref()
            .and_then(|health| self.health(health, &settings));
        settings.handoff = self.hand_off(hand_off);
        is_whole.then_some(settings)
    }

    /// The hosts among those that are served.
    fn served(&mut self, names: &[At<String>], hosts: &[HostSettings]) -> Vec<String> {
        for name in names {
            if !hosts.is_empty() && !hosts.iter().any(|host| *host.name == *name.value) {
                let message = format!("the host `{}` is not served", name.value);
                let served = hosts.iter().map(|host| format!("`{}`", host.name));
                let served: Vec<_> = served.collect();
                let advice = format!("served are {}: name and nothing else", served.join(", "));
                self.findings.error(&name.span, message, advice);
            }
        }
        names.iter().map(|name| name.value.clone()).collect()
    }

    fn paths(&mut self, path: &At<String>) -> Sound<PathPattern> {
        let parsed = PathPattern::parse(path);
        parsed
            .map_err(|problem| {
                self.findings
                    .error(&path.span, problem.to_string(), problem.advice());
            })
            .ok()
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
    fn no_loop(&mut self, server: &At<Server>, hosts: &[HostSettings]) {
        let own = hosts
            .iter()
            .find(|host| is_same_place(&host.origin, &server.url));
        if let Some(own) = own {
            let message = format!("`{}` is the gateway itself", own.origin);
            let advice = "name the server behind it, such as `http://10.0.0.5:8080`";
            self.findings.error(&server.span, message, advice);
        }
    }

    fn server(&mut self, server: &At<Server>, name: Option<&str>) -> Sound<UpstreamServer> {
        let parsed = UpstreamServer::parse(&server.url, name);
        let mut parsed = parsed
            .map_err(|problem| {
                let advice = "write it like `http://10.0.0.5:8080`; for `https` to an address \
                              add `tls_name`";
                self.findings
                    .error(&server.span, problem.to_string(), advice);
            })
            .ok()?;
        if let Some(weight) = self.within(server.weight.as_ref(), 1..=100) {
            parsed.weight = weight;
        }
        Some(parsed)
    }

    fn set_aside(&mut self, table: &SetAsideTable) -> SetAside {
        let SetAsideTable { after, span } = table;
        let mut settings = SetAside::default();
        if let Some(after) = self.within(after.as_ref(), 1..=1000) {
            settings.after = after;
        }
        self.set(span.as_ref(), &mut settings.span);
        settings
    }

    fn health(
        &mut self,
        health: &At<Health>,
        upstream: &UpstreamSettings,
    ) -> Sound<HealthSettings> {
        let Health {
            path,
            grpc,
            every,
            timeout,
            down_after,
            up_after,
        } = &health.value;
        let question = match (path, grpc) {
            (Some(path), None) => HealthQuestion::Path(self.asked_path(path)?),
            (None, Some(service)) => HealthQuestion::Grpc(self.asked_service(service, upstream)?),
            _ => {
                let advice = "write `path = \"/healthz\"`, or `grpc = \"\"`";
                let message = "`health` needs one of `path` and `grpc`";
                self.findings.error(&health.span, message, advice);
                return None;
            }
        };
        let mut settings = HealthSettings::asking(question);
        self.set(every.as_ref(), &mut settings.every);
        self.set(timeout.as_ref(), &mut settings.timeout);
        for (count, setting) in [
            (down_after, &mut settings.down_after),
            (up_after, &mut settings.up_after),
        ] {
            if let Some(count) = self.within(count.as_ref(), 1..=1000) {
                *setting = count;
            }
        }
        Some(settings)
    }

    /// A request target, without anything that would not pass as it is.
    fn asked_path(&mut self, path: &At<String>) -> Sound<String> {
        let is_target = path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic());
        if !is_target {
            let message = format!("`{}` is no path to ask for", path.value);
            let advice = "write it like `/healthz`, encoded as it is sent";
            self.findings.error(&path.span, message, advice);
        }
        is_target.then(|| path.value.clone())
    }

    fn asked_service(
        &mut self,
        service: &At<String>,
        upstream: &UpstreamSettings,
    ) -> Sound<String> {
        let is_known = upstream.protocol != UpstreamProtocol::Http1 && service.len() < 128;
        if !is_known {
            let message = "gRPC's health check needs HTTP/2, and a service of less than 128 octets";
            let advice = "add `protocol = \"h2\"`";
            self.findings.error(&service.span, message, advice);
        }
        is_known.then(|| service.value.clone())
    }

    /// A number within bounds, where one is written.
    fn within(&mut self, number: Option<&At<u32>>, bounds: RangeInclusive<u32>) -> Option<u32> {
        let number = number?;
        if bounds.contains(&number.value) {
            return Some(number.value);
        }
        let message = format!("`{}` is out of range", number.value);
        let advice = format!("write a number from {} to {}", bounds.start(), bounds.end());
        self.findings.error(&number.span, message, advice);
        None
    }
}

fn spoken(word: ProtocolWord) -> UpstreamProtocol {
    match word {
        ProtocolWord::H1 => UpstreamProtocol::Http1,
        ProtocolWord::H2 => UpstreamProtocol::Http2,
        ProtocolWord::Auto => UpstreamProtocol::Auto,
    }
}

/// Whether an upstream gets any request of a host, with these others.
fn gets_some_of(one: &UpstreamSettings, host: &HostSettings, all: &[UpstreamSettings]) -> bool {
    let names =
        |upstream: &UpstreamSettings| upstream.hosts.iter().any(|name| **name == *host.name);
    let is_taken = |path: &PathPattern| {
        let mut others = all.iter().filter(|other| names(other));
        others.any(|other| other.paths.contains(path))
    };
    names(one) || (one.hosts.is_empty() && !one.paths.iter().all(is_taken))
}

/// Whether two upstreams are for the same requests.
fn overlap(one: &UpstreamSettings, other: &UpstreamSettings) -> bool {
    let places = places_of(other);
    places_of(one).iter().any(|place| places.contains(place))
}

/// Whether two URLs have the same host and port.
fn is_same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| {
        let url = Url::parse(text).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}
