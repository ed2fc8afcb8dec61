//! Checks `[platform]`.

use std::time::Duration;

use url::Url;

use super::{Check, Sound};
use crate::config::file::{Platform, PlatformWord, SecretReference};
use crate::identity::PlatformId;
use crate::operator_file::{At, Parsed, Span};
use crate::outbound::is_secure;
use crate::platform::{
    PlatformKind, PlatformSettings, RemoteSettings, ThingsBoardCredentials, ThingsBoardSettings,
};

/// A step of a registration may take ten seconds, with all its calls.
const LONGEST_ANSWER: Duration = Duration::from_secs(8);

impl Check<'_> {
    pub(super) fn platform(&mut self, platform: &Platform) -> Sound<PlatformSettings> {
        let is_sound = platform
            .id
            .as_ref()
            .is_none_or(|id| self.short_name("a platform", id));
        let name = is_sound.then(|| PlatformId::new(platform.name()));
        self.keys_of_others(platform);
        let kind = match &platform.kind {
            Some(word) if word.value == PlatformWord::ThingsBoard => {
                let settings = self.thingsboard(platform, &word.span);
                settings.map(|settings| PlatformKind::ThingsBoard(Box::new(settings)))
            }
            Some(word) if word.value == PlatformWord::Rest => {
                let settings = self.rest(platform, &word.span);
                settings.map(|settings| PlatformKind::Rest(Box::new(settings)))
            }
            Some(word) if word.value == PlatformWord::Scim => {
                let settings = self.scim(platform, &word.span);
                settings.map(|settings| PlatformKind::Scim(Box::new(settings)))
            }
            _ => self.builtin(platform),
        };
        Some(PlatformSettings {
            id: name?,
            kind: kind?,
        })
    }

    /// Keys that mean nothing to this kind.
    fn keys_of_others(&mut self, platform: &Platform) {
        let word = platform.kind.as_ref().map(|word| word.value);
        let word = word.unwrap_or_default();
        for (key, span, kinds) in keys(platform) {
            if let Some(span) = span.filter(|_| !kinds.contains(&word)) {
                let message = format!("`{key}` means nothing to this kind of platform");
                let advice = "remove it, or write another `kind`";
                self.findings.error(span, message, advice);
            }
        }
    }

    fn builtin(&mut self, platform: &Platform) -> Sound<PlatformKind> {
        match (&platform.url, &platform.token) {
            (None, None) => Some(PlatformKind::Builtin),
            (Some(url), Some(token)) => {
                let shared = self.shared_directory(url, token);
                shared.map(PlatformKind::Shared)
            }
            (Some(url), None) => {
                let message = "the other installation asks for a token";
                let advice = "write `token = { file = \"…\" }`, a token of its `[[admin.token]]`";
                self.findings.error(&url.span, message, advice);
                None
            }
            (None, Some(token)) => {
                let message = "a token without the installation that it opens";
                let advice = "write `url`, the other installation's admin listener";
                self.findings.error(&token.span, message, advice);
                None
            }
        }
    }

    fn shared_directory(
        &mut self,
        url: &Parsed<Url>,
        token: &At<SecretReference>,
    ) -> Sound<RemoteSettings> {
        let address = self.findings.take(url)?;
        if !is_secure(&address) || address.query().is_some() || address.fragment().is_some() {
            let message = "this is not the address of an admin listener";
            let advice = "write it like `https://directory.example.com:9090`";
            self.findings.error(&url.span, message, advice);
            return None;
        }
        Some(RemoteSettings {
            url: address,
            token: self.secret(token, 1)?,
        })
    }

    fn thingsboard(&mut self, platform: &Platform, kind: &Span) -> Sound<ThingsBoardSettings> {
        let plain_http = is_true(platform.plain_http.as_ref());
        let url = self.distant_url(platform, ("ThingsBoard", kind));
        let has_api = |url: &Url| url.path().trim_end_matches('/').ends_with("/api");
        if let (Some(at), true) = (&platform.url, url.as_ref().is_some_and(has_api)) {
            let message = "the address is without `/api`";
            self.findings.error(&at.span, message, "leave `/api` out");
        }
        let credentials = self.thingsboard_credentials(platform, kind);
        let roots = self.further_roots(platform.ca.as_ref());
        let timeout = self.time_of_answers(platform);
        let code_attribute = platform.code_attribute.as_ref();
        if let Some(name) = code_attribute.filter(|name| name.value.trim().is_empty()) {
            let advice = "write the name of the attribute, or leave it out";
            self.findings.error(&name.span, "the name is empty", advice);
        }
        Some(ThingsBoardSettings {
            url: url?,
            plain_http,
            credentials: credentials?,
            edition: platform.edition.as_ref().map(|edition| edition.value),
            code_attribute: code_attribute
                .map_or_else(|| "organizationCode".to_owned(), |name| name.value.clone()),
            timeout,
            roots: roots?,
        })
    }

    /// How long each answer may take.
    pub(super) fn time_of_answers(&mut self, platform: &Platform) -> Duration {
        let timeout = self.findings.take_optional(platform.timeout.as_ref());
        if let (Some(wanted), Some(at)) = (timeout, &platform.timeout)
            && (wanted > LONGEST_ANSWER || wanted.is_zero())
        {
            let message = "answers must come within the time that a step of a registration has";
            self.findings.error(&at.span, message, "write `8s` or less");
        }
        timeout.unwrap_or(Duration::from_secs(5))
    }

    /// Where a platform of another maker is.
    pub(super) fn distant_url(
        &mut self,
        platform: &Platform,
        (name, kind): (&str, &Span),
    ) -> Sound<Url> {
        let Some(url) = &platform.url else {
            let message = format!("nothing says where {name} is");
            let advice = "write `url = \"https://platform.example.com\"` in [platform]";
            self.findings.error(kind, message, advice);
            return None;
        };
        let address = self.findings.take(url)?;
        let is_plain = address.scheme() == "http" && address.has_host();
        let (message, advice) = if address.query().is_some() || address.fragment().is_some() {
            (
                format!("this is not an address of {name}"),
                "write it like `https://platform.example.com`",
            )
        } else if !address.username().is_empty() || address.password().is_some() {
            (
                "credentials are no part of the address".to_owned(),
                "write them into keys of their own, such as `token` or `password`",
            )
        } else if is_secure(&address) || (is_plain && is_true(platform.plain_http.as_ref())) {
            return Some(address);
        } else {
            (
                "the gateway's key or password would travel in the open".to_owned(),
                "write `https://…`; or, on a network of your own, add `plain_http = true`",
            )
        };
        self.findings.error(&url.span, message, advice);
        None
    }

    fn thingsboard_credentials(
        &mut self,
        platform: &Platform,
        kind: &Span,
    ) -> Sound<ThingsBoardCredentials> {
        match (&platform.api_key, &platform.user, &platform.password) {
            (Some(key), None, None) => self.secret(key, 1).map(ThingsBoardCredentials::ApiKey),
            (None, Some(user), Some(password)) => Some(ThingsBoardCredentials::Login {
                user: user.value.clone(),
                password: self.secret(password, 1)?,
            }),
            (key, user, password) => {
                let message = "ThingsBoard asks for an API key, or for a user with a password";
                let advice = "write `api_key = { file = \"…\" }` (from 4.3 on), or `user` and \
                              `password`";
                let places = [
                    key.as_ref().map(|at| &at.span),
                    user.as_ref().map(|at| &at.span),
                    password.as_ref().map(|at| &at.span),
                ];
                let place = places.into_iter().flatten().next().unwrap_or(kind);
                self.findings.error(place, message, advice);
                None
            }
        }
    }
}

/// A key that not every kind of platform has: its name, where it is, and the kinds that have it.
type KeyOfKinds<'a> = (&'static str, Option<&'a Span>, &'static [PlatformWord]);

fn keys(platform: &Platform) -> [KeyOfKinds<'_>; 17] {
    use PlatformWord::{Builtin, Rest, Scim, ThingsBoard};
    let Platform {
        kind: _,
        id: _,
        policies: _,
        url: _,
        token,
        api_key,
        user,
        password,
        token_url,
        client_id,
        client_secret,
        scope,
        customers,
        email_proves,
        edition,
        code_attribute,
        file,
        secrets,
        timeout,
        ca,
        plain_http,
    } = platform;
    [
        ("token", span(token.as_ref()), &[Builtin, Scim]),
        ("api_key", span(api_key.as_ref()), &[ThingsBoard]),
        ("user", span(user.as_ref()), &[ThingsBoard, Scim]),
        ("password", span(password.as_ref()), &[ThingsBoard, Scim]),
        ("token_url", token_url.as_ref().map(|at| &at.span), &[Scim]),
        ("client_id", span(client_id.as_ref()), &[Scim]),
        ("client_secret", span(client_secret.as_ref()), &[Scim]),
        ("scope", span(scope.as_ref()), &[Scim]),
        ("customers", span(customers.as_ref()), &[Scim]),
        ("email_proves", span(email_proves.as_ref()), &[Scim]),
        ("edition", span(edition.as_ref()), &[ThingsBoard]),
        (
            "code_attribute",
            span(code_attribute.as_ref()),
            &[ThingsBoard],
        ),
        (
            "timeout",
            timeout.as_ref().map(|at| &at.span),
            &[ThingsBoard, Rest, Scim],
        ),
        ("file", span(file.as_ref()), &[Rest]),
        ("secrets", span(secrets.values().next()), &[Rest]),
        ("ca", span(ca.as_ref()), &[ThingsBoard, Rest, Scim]),
        (
            "plain_http",
            span(plain_http.as_ref()),
            &[ThingsBoard, Rest, Scim],
        ),
    ]
}

fn span<T>(at: Option<&At<T>>) -> Option<&Span> {
    at.map(|at| &at.span)
}

/// Whether a switch is on; it is off where nothing says so.
pub(super) fn is_true(switch: Option<&At<bool>>) -> bool {
    switch.is_some_and(|switch| switch.value)
}
