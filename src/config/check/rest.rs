//! Checks `[platform]` of the kind `rest`, and the file that describes the platform.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::{Check, Sound};
use crate::config::file::Platform;
use crate::operator_file::{SourceFile, Span};
use crate::outbound::is_secure;
use crate::platform::RestSettings;
use crate::platform::rest::{self, Description};

impl Check<'_> {
    pub(super) fn rest(&mut self, platform: &Platform, kind: &Span) -> Sound<RestSettings> {
        let plain_http = platform
            .plain_http
            .as_ref()
            .is_some_and(|plain| plain.value);
        let url = self.rest_url(platform, (kind, plain_http));
        let secrets = self.rest_secrets(platform);
        let description = self.rest_description(platform, kind);
        let roots = self.further_roots(platform.ca.as_ref());
        let timeout = self.time_of_answers(platform);
        Some(RestSettings {
            url: url?,
            plain_http,
            description: description?,
            secrets: secrets?,
            timeout,
            roots: roots?,
        })
    }

    fn rest_url(&mut self, platform: &Platform, (kind, plain_http): (&Span, bool)) -> Sound<Url> {
        let Some(url) = &platform.url else {
            let message = "nothing says where the platform is";
            let advice = "write `url = \"https://api.example.com\"` in [platform]";
            self.findings.error(kind, message, advice);
            return None;
        };
        let address = self.findings.take(url)?;
        let is_plain = address.scheme() == "http" && address.has_host();
        let (message, advice) = if address.query().is_some() || address.fragment().is_some() {
            (
                "paths cannot start at an address with a query",
                "write parameters into the `query` of operations",
            )
        } else if !address.username().is_empty() || address.password().is_some() {
            (
                "credentials are no part of the address",
                "write them into [authentication], by `secret`",
            )
        } else if is_secure(&address) || (is_plain && plain_http) {
            return Some(address);
        } else {
            (
                "the gateway's key or password would travel in the open",
                "write `https://…`; or, on a network of your own, add `plain_http = true`",
            )
        };
        self.findings.error(&url.span, message, advice);
        None
    }

    fn rest_secrets(&mut self, platform: &Platform) -> Sound<BTreeMap<String, SecretString>> {
        let secrets = platform.secrets.iter();
        let found: Vec<_> = secrets
            .map(|(name, reference)| Some((name.clone(), self.secret(reference, 1)?)))
            .collect();
        found.into_iter().collect()
    }

    fn rest_description(&mut self, platform: &Platform, kind: &Span) -> Sound<Description> {
        let Some(file) = &platform.file else {
            let message = "nothing says how the platform is spoken to";
            let advice = "write `file = \"rest.toml\"` in [platform]; examples are in deploy/rest";
            self.findings.error(kind, message, advice);
            return None;
        };
        let path = self.path(file);
        if !path.is_file() {
            self.existing_file(file);
            return None;
        }
        let names: Vec<&str> = platform.secrets.keys().map(String::as_str).collect();
        let problems = self.findings.problems();
        let source = SourceFile::read(&path, problems)?;
        rest::read(&source, &names, problems)
    }
}
