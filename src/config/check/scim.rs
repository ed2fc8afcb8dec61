//! Checks `[platform]` of the kind `scim`.

use url::Url;

use super::platform::is_true;
use super::{Check, Sound};
use crate::config::file::Platform;
use crate::operator_file::{At, Parsed, Span};
use crate::outbound::is_secure;
use crate::platform::{ScimCredentials, ScimSettings};

impl Check<'_> {
    pub(super) fn scim(&mut self, platform: &Platform, kind: &Span) -> Sound<ScimSettings> {
        let url = self.distant_url(platform, ("the SCIM server", kind));
        let credentials = self.scim_credentials(platform, kind);
        let roots = self.further_roots(platform.ca.as_ref());
        let timeout = self.time_of_answers(platform);
        let customers = platform.customers.as_ref().map(|customers| customers.value);
        Some(ScimSettings {
            url: url?,
            plain_http: is_true(platform.plain_http.as_ref()),
            credentials: credentials?,
            customers: customers.unwrap_or_default(),
            email_proves: is_true(platform.email_proves.as_ref()),
            timeout,
            roots: roots?,
        })
    }

    fn scim_credentials(&mut self, platform: &Platform, kind: &Span) -> Sound<ScimCredentials> {
        let token = platform.token.as_ref();
        let login = platform.user.as_ref().zip(platform.password.as_ref());
        let client = platform
            .client_id
            .as_ref()
            .zip(platform.client_secret.as_ref());
        let client = platform.token_url.as_ref().zip(client);
        let written = [
            token.map(|at| &at.span),
            platform.user.as_ref().map(|at| &at.span),
            platform.password.as_ref().map(|at| &at.span),
            platform.token_url.as_ref().map(|at| &at.span),
            platform.client_id.as_ref().map(|at| &at.span),
            platform.client_secret.as_ref().map(|at| &at.span),
        ];
        let count = written.iter().flatten().count();
        match (token, login, client) {
            (Some(token), None, None) if count == 1 => {
                self.secret(token, 1).map(ScimCredentials::Token)
            }
            (None, Some((user, password)), None) if count == 2 => Some(ScimCredentials::Login {
                user: user.value.clone(),
                password: self.secret(password, 1)?,
            }),
            (None, None, Some((url, (id, secret)))) if count == 3 => {
                let token_url = self.token_url(url, is_true(platform.plain_http.as_ref()));
                let secret = self.secret(secret, 1);
                Some(ScimCredentials::Client {
                    token_url: token_url?,
                    id: id.value.clone(),
                    secret: secret?,
                    scope: platform
                        .scope
                        .as_ref()
                        .map(|scope: &At<String>| scope.value.clone()),
                })
            }
            _ => {
                let message = "the SCIM server asks for one way of letting the gateway in";
                let advice = "write `token`; or `user` and `password`; or `token_url`, \
                              `client_id` and `client_secret`";
                let place = written.into_iter().flatten().next().unwrap_or(kind);
                self.findings.error(place, message, advice);
                None
            }
        }
    }

    fn token_url(&mut self, url: &Parsed<Url>, plain_http: bool) -> Sound<Url> {
        let address = self.findings.take(url)?;
        let is_plain = plain_http && address.scheme() == "http" && address.has_host();
        if is_secure(&address) || is_plain {
            return Some(address);
        }
        let message = "the client secret would travel in the open";
        self.findings.error(&url.span, message, "write `https://…`");
        None
    }
}
