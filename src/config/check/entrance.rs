//! Checks what a listener says before HTTP: certificates, the way on to https, balancers.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use ipnet::IpNet;

use super::door::excludes;
use super::{Check, Sound};
use crate::config::file::{Certificate, Hsts};
use crate::operator_file::{At, OneOrMany, Parsed};
use crate::proxy::{CertificateFiles, CertificateProblem, HostSettings};

impl Check<'_> {
    pub(super) fn certificates(
        &mut self,
        tls: Option<&At<OneOrMany<Certificate>>>,
        hosts: &[HostSettings],
    ) -> Vec<CertificateFiles> {
        let Some(tls) = tls else {
            return Vec::new();
        };
        if tls.value.is_empty() {
            self.needs_one(
                &tls.span,
                "certificate",
                "tls = { certificate = …, key = … }",
            );
        }
        let secure = hosts.iter().filter(|host| host.scheme == "https");
        let mut unnamed: Vec<&str> = secure.map(|host| &*host.name).collect();
        unnamed.retain(|name| name.trim_matches(['[', ']']).parse::<IpAddr>().is_err());
        let mut all = Vec::new();
        for one in tls.value.iter() {
            let (files, named) = self.certificate(one, |files| files.hosts_among(&unnamed));
            match named {
                Some(named) => unnamed.retain(|name| !named.contains(name)),
                // It may be for any of them.
                None => unnamed.clear(),
            }
            all.push(files);
        }
        for name in unnamed {
            let message = format!("no certificate is for the host `{name}`");
            let advice = "add one to `tls`: browsers do not accept the first one instead";
            self.findings.warning(&tls.span, message, advice);
        }
        all
    }

    /// The files of a certificate, and what is read in them; none where it is no certificate that
    /// can be shown.
    pub(super) fn certificate<T>(
        &mut self,
        Certificate { certificate, key }: &Certificate,
        read: impl FnOnce(&CertificateFiles) -> Result<T, CertificateProblem>,
    ) -> (CertificateFiles, Sound<T>) {
        let files = CertificateFiles {
            certificate: self.existing_file(certificate),
            key: self.existing_file(key),
        };
        if !(files.certificate.is_file() && files.key.is_file()) {
            return (files, None);
        }
        let found = read(&files).map_err(|problem| {
            let advice = "name a PEM file with the chain, and the private key of its certificate";
            self.findings
                .error(&certificate.span, problem.to_string(), advice);
        });
        (files, found.ok())
    }

    /// The hosts, those of https with what their answers say for browsers to stay there.
    pub(super) fn told_to_stay_secure(
        &mut self,
        hosts: &[HostSettings],
        wanted: Option<&At<Hsts>>,
    ) -> Vec<HostSettings> {
        let mut hosts = hosts.to_vec();
        let Some(wanted) = wanted else {
            return hosts;
        };
        let Hsts {
            max_age,
            subdomains,
            preload,
        } = &wanted.value;
        let Some(age) = self.findings.take(max_age) else {
            return hosts;
        };
        if *preload && !subdomains {
            let message = "browser vendors build in no host without its `subdomains`";
            self.findings
                .error(&wanted.span, message, "add `subdomains = true`");
        }
        let mut value = format!("max-age={}", age.as_secs());
        for (is_said, word) in [(subdomains, "; includeSubDomains"), (preload, "; preload")] {
            value.push_str(if *is_said { word } else { "" });
        }
        for host in hosts.iter_mut().filter(|host| host.scheme == "https") {
            host.transport_security = HeaderValue::from_str(&value).ok();
        }
        hosts
    }

    pub(super) fn redirect(
        &mut self,
        redirect: Option<&Parsed<SocketAddr>>,
        (traffic, admin): (&Parsed<SocketAddr>, Sound<SocketAddr>),
        hosts: &[HostSettings],
    ) -> Option<SocketAddr> {
        let parsed = redirect?;
        let address = self.findings.take(parsed)?;
        let others = [traffic.outcome.as_ref().ok().copied(), admin];
        if others
            .into_iter()
            .flatten()
            .any(|other| excludes(address, other))
        {
            let message = "another listener has this address";
            let advice = "give it a port of its own, such as `0.0.0.0:80`";
            self.findings.error(&parsed.span, message, advice);
        }
        if !hosts.iter().any(|host| host.scheme == "https") {
            let message = "there is no https host to send anybody on to";
            self.findings
                .error(&parsed.span, message, "take the key out");
        }
        Some(address)
    }

    pub(super) fn proxy_protocol(&mut self, wanted: Option<&At<bool>>, trusted: &[IpNet]) -> bool {
        let Some(wanted) = wanted.filter(|wanted| wanted.value) else {
            return false;
        };
        if trusted.is_empty() {
            let message = "nobody is trusted to say whom a connection is for";
            let advice = "name the networks of your balancers in `trusted_proxies`";
            self.findings.error(&wanted.span, message, advice);
        }
        true
    }
}
