//! Checks the operator's endpoints that have a say in registrations.

use secrecy::ExposeSecret as _;
use url::Url;

use super::{Check, Sound};
use crate::config::file::Hooks;
use crate::hooks::{HookSecret, HookSettings};
use crate::operator_file::{At, Parsed};
use crate::outbound::is_secure;

impl Check<'_> {
    /// `Some(None)` where there are none.
    pub(super) fn hooks(&mut self, hooks: Option<&At<Hooks>>) -> Sound<Option<HookSettings>> {
        let Some(hooks) = hooks else {
            return Some(None);
        };
        let Hooks {
            before,
            after,
            secret,
        } = &hooks.value;
        if before.is_none() && after.is_none() {
            let advice = "add `before`, `after` or both, or remove [hooks]";
            self.findings
                .error(&hooks.span, "there is no endpoint to call", advice);
        }
        let before = self.endpoint(before.as_ref());
        let after = self.endpoint(after.as_ref());
        let text = self.secret(secret, 1)?;
        let key = HookSecret::parse(text.expose_secret());
        if key.is_none() {
            let message = "this is no secret of 24 octets or more in base64";
            let advice = "make one with `echo whsec_$(openssl rand -base64 32)`";
            self.findings.error(&secret.span, message, advice);
        }
        Some(Some(HookSettings {
            before: before?,
            after: after?,
            secret: key?,
        }))
    }

    /// An address that is called; `Some(None)` where there is none.
    pub(super) fn endpoint(&mut self, url: Option<&Parsed<Url>>) -> Sound<Option<Url>> {
        let Some(written) = url else {
            return Some(None);
        };
        let url = self.findings.take(written)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if is_secure(&url) && is_plain && url.fragment().is_none() {
            return Some(Some(url));
        }
        let message = "an endpoint is called by https, without user, password or fragment";
        let advice = "write it like `https://crm.example.com/vestibule`; `http` is for loopback";
        self.findings.error(&written.span, message, advice);
        None
    }
}
