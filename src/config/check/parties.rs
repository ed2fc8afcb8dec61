//! Checks whom the gateway talks to: identity providers, the mail server, operators.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::{Check, Sound};
use crate::config::MailSettings;
use crate::config::file::{
    Admin, AdminToken, ClientAuthentication as Authentication, IdentityProvider, Mail, TrustEmail,
};
use crate::identity::{Issuer, ProviderId};
use crate::login::jwt::Algorithm;
use crate::login::openid::{ClientAuthentication, EmailTrust, OpenIdSettings};
use crate::mail::pickup::PickupSettings;
use crate::mail::smtp::{Protection, SmtpSettings};
use crate::operator_file::{At, Parsed};
use crate::outbound::is_secure;

pub(super) const SHORTEST_TOKEN: usize = 24;

impl Check<'_> {
    pub(super) fn providers(
        &mut self,
        providers: &At<Vec<IdentityProvider>>,
    ) -> Vec<OpenIdSettings> {
        if providers.is_empty() {
            let example = "[[identity_provider]] id = \"corp\"";
            self.needs_one(&providers.span, "identity provider", example);
        }
        self.findings.no_doubles(
            "identity provider",
            providers.iter().map(|provider| &provider.id),
        );
        providers
            .iter()
            .filter_map(|provider| self.provider(provider))
            .collect()
    }

    fn provider(&mut self, provider: &IdentityProvider) -> Sound<OpenIdSettings> {
        let IdentityProvider {
            id,
            name,
            issuer,
            client_id,
            client_secret,
            previous_client_secret,
            client_authentication,
            scopes,
            parameters,
            trust_email,
            ask_userinfo,
            algorithms,
            max_age,
            timeout,
            ca,
        } = provider;
        let is_named = self.short_name("an identity provider", id);
        let secrets = [client_secret, previous_client_secret];
        let client_secrets = secrets
            .iter()
            .filter_map(|secret| self.optional_secret(secret.as_ref()))
            .collect();
        let max_age = self.findings.take_optional(max_age.as_ref());
        let timeout = self.findings.take_optional(timeout.as_ref());
        let email_trust = self.email_trust(trust_email.as_ref());
        let algorithms = self.algorithms(algorithms.as_ref());
        let issuer = self.issuer(issuer)?;
        let defaults = OpenIdSettings::new(
            ProviderId::new(id.value.as_str()),
            issuer,
            client_id.value.as_str(),
        );
        let settings = OpenIdSettings {
            name: name.clone().unwrap_or_else(|| id.value.clone()),
            client_secrets,
            client_authentication: match client_authentication {
                Authentication::Basic => ClientAuthentication::Basic,
                Authentication::Post => ClientAuthentication::Post,
            },
            scopes: scopes.as_ref().map_or(defaults.scopes, |scopes| {
                scopes.iter().map(|scope| scope.value.clone()).collect()
            }),
            parameters: parameters
                .iter()
                .map(|(name, value)| (name.clone(), value.value.clone()))
                .collect(),
            max_age,
            ask_userinfo: ask_userinfo.unwrap_or(true),
            email_trust,
            algorithms: algorithms.unwrap_or(defaults.algorithms),
            timeout: timeout.unwrap_or(defaults.timeout),
            roots: self.further_roots(ca.as_ref()).unwrap_or_default(),
            ..defaults
        };
        for problem in settings.problems() {
            let advice = "see the documentation of [[identity_provider]]";
            self.findings.error(&id.span, problem.to_string(), advice);
        }
        is_named.then_some(settings)
    }

    /// The issuer exactly as it is written: it is compared octet by octet with that of tokens.
    pub(super) fn issuer(&mut self, issuer: &Parsed<Url>) -> Sound<Issuer> {
        let url = self.findings.take(issuer)?;
        if !is_secure(&url) {
            let message = "an issuer is asked by https only, except on this machine";
            let advice = format!("write `https://{}…`", url.host_str().unwrap_or_default());
            self.findings.error(&issuer.span, message, advice);
            return None;
        }
        let text = self.findings.file().text.get(issuer.span.clone())?;
        let text = text.trim_matches(['"', '\'']);
        if let Some((own, _)) = text.split_once("/.well-known/") {
            let message = "this is where the provider describes itself, not its issuer";
            self.findings
                .error(&issuer.span, message, format!("write `{own}`"));
            return None;
        }
        Some(Issuer::new(text))
    }

    pub(super) fn algorithms(&mut self, names: Option<&At<Vec<String>>>) -> Option<Vec<Algorithm>> {
        let names = names?;
        let mut known = Vec::new();
        for name in &names.value {
            if let Some(algorithm) = Algorithm::from_name(name) {
                known.push(algorithm);
                continue;
            }
            let message = format!("`{name}` is no algorithm for tokens here");
            let all = Algorithm::ALL.map(Algorithm::name).join(", ");
            self.findings
                .error(&names.span, message, format!("use some of {all}"));
        }
        Some(known)
    }

    fn email_trust(&mut self, trust: Option<&At<TrustEmail>>) -> EmailTrust {
        let Some(trust) = trust else {
            return EmailTrust::None;
        };
        match &trust.value {
            TrustEmail::All(true) => EmailTrust::All,
            TrustEmail::All(false) => EmailTrust::None,
            TrustEmail::Domains(domains) => {
                if domains
                    .iter()
                    .any(|domain| domain.contains(['@', '*', ' ']))
                {
                    let message = "a domain is written whole, without `@` and `*`";
                    let advice = "write it like `[\"example.com\"]`";
                    self.findings.error(&trust.span, message, advice);
                }
                EmailTrust::Domains(domains.iter().map(|domain| domain.to_lowercase()).collect())
            }
        }
    }

    pub(super) fn mail(&mut self, mail: Option<&At<Mail>>) -> Sound<MailSettings> {
        let Some(mail) = mail else {
            return Some(MailSettings::Nowhere);
        };
        let Mail {
            smtp,
            password,
            starttls,
            ca,
            pickup,
            from,
        } = &mail.value;
        let roots = self.further_roots(ca.as_ref())?;
        let password = password
            .as_ref()
            .map(|reference| (reference, self.secret(reference, 1)));
        let sender = self.findings.take(from)?;
        let sender = match sender.name {
            Some(name) => format!(
                "\"{}\" <{}>",
                name.replace(['"', '\\'], ""),
                sender.address.as_str()
            ),
            None => sender.address.as_str().to_owned(),
        };
        match (smtp, pickup) {
            (Some(smtp), None) => {
                let has_password = password.is_some();
                let password = password.and_then(|(_, secret)| secret);
                let settings = self.smtp(smtp, (has_password, password), &sender)?;
                let protection = self.protection(settings.protection, starttls.as_ref())?;
                Some(MailSettings::Smtp(SmtpSettings {
                    protection,
                    roots,
                    ..settings
                }))
            }
            (None, Some(folder)) => Some(MailSettings::Pickup(PickupSettings {
                folder: self.path(folder),
                from: sender.parse().ok()?,
            })),
            _ => {
                let message = "letters go to an SMTP server or into a folder, exactly one of them";
                let advice = "write `smtp = \"smtps://user@smtp.example.com\"`, or `pickup` while developing";
                self.findings.error(&mail.span, message, advice);
                None
            }
        }
    }

    fn smtp(
        &mut self,
        smtp: &Parsed<Url>,
        (has_password, password): (bool, Option<SecretString>),
        sender: &str,
    ) -> Sound<SmtpSettings> {
        let url = self.findings.take(smtp)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let (protection, port) = match url.scheme() {
            "smtps" => (Protection::Tls, 465),
            "smtp" if is_here => (Protection::None, 25),
            "smtp" => (Protection::StartTls, 587),
            _ => {
                let advice = "write `smtps://user@smtp.example.com` or `smtp://…`";
                self.findings
                    .error(&smtp.span, "this is no SMTP address", advice);
                return None;
            }
        };
        let user = (!url.username().is_empty()).then(|| decoded(url.username()));
        let trouble = if host.is_empty() {
            Some((
                "the SMTP address has no host",
                "write `smtps://user@smtp.example.com`",
            ))
        } else if url.password().is_some() {
            Some((
                "the SMTP address holds a password",
                "take it out, and add `password = { file = … }`",
            ))
        } else if user.is_some() != has_password {
            Some((
                "an SMTP user needs a password, and a password a user",
                "add the other one",
            ))
        } else {
            None
        };
        if let Some((message, advice)) = trouble {
            self.findings.error(&smtp.span, message, advice);
            return None;
        }
        Some(SmtpSettings {
            host: host.to_owned(),
            port: url.port().unwrap_or(port),
            protection,
            user,
            password,
            roots: Vec::new(),
            from: sender.parse().ok()?,
        })
    }

    /// `starttls` asks for TLS on loopback too; nothing takes it away elsewhere.
    fn protection(&mut self, chosen: Protection, starttls: Option<&At<bool>>) -> Sound<Protection> {
        let Some(wanted) = starttls else {
            return Some(chosen);
        };
        let trouble = match (chosen, wanted.value) {
            (Protection::None, true) => return Some(Protection::StartTls),
            (Protection::None, false) | (Protection::StartTls, true) => return Some(chosen),
            (Protection::StartTls, false) => "letters would travel in the open",
            (Protection::Tls, _) => "`smtps://` is TLS from the first octet",
        };
        self.findings
            .error(&wanted.span, trouble, "remove `starttls`");
        None
    }

    /// Certificates that others may come from, PEM; none where no file is named.
    pub(super) fn further_roots(&mut self, ca: Option<&At<PathBuf>>) -> Sound<Vec<u8>> {
        let Some(ca) = ca else {
            return Some(Vec::new());
        };
        let read = std::fs::read(self.path(&ca.value));
        match read {
            Ok(pem) if String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") => Some(pem),
            Ok(_) => {
                let advice = "name a file with certificates in PEM";
                self.findings
                    .error(&ca.span, "there is no certificate in the file", advice);
                None
            }
            Err(error) => {
                let message = format!("the certificates cannot be read: {error}");
                let advice = "name a file that the gateway's user can read";
                self.findings.error(&ca.span, message, advice);
                None
            }
        }
    }

    pub(super) fn admin_tokens(&mut self, admin: &Admin) -> Vec<SecretString> {
        let Admin { token, scim: _ } = admin;
        self.findings
            .no_doubles("token", token.iter().map(|token| &token.name));
        token
            .iter()
            .filter_map(|AdminToken { name: _, secret }| self.secret(secret, SHORTEST_TOKEN))
            .collect()
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
