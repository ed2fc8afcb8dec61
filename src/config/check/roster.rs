//! Checks `[[admin.scim]]`: which identity providers tell of their people.

use secrecy::{ExposeSecret as _, SecretString};

use super::parties::SHORTEST_TOKEN;
use super::{Check, Sound};
use crate::admin::scim::ScimSource;
use crate::config::file::{AdminScim, IdentityProvider};
use crate::login::openid::OpenIdSettings;
use crate::seal;

impl Check<'_> {
    /// The providers, each with a token that nobody else has: whose it is says whose people are
    /// touched.
    pub(super) fn scim_sources(
        &mut self,
        scim: &[AdminScim],
        (written, providers): (&[IdentityProvider], &[OpenIdSettings]),
        tokens: &[SecretString],
    ) -> Vec<ScimSource> {
        let ids = scim.iter().map(|one| &one.identity_provider);
        self.findings.no_doubles("SCIM source", ids);
        let mut sources: Vec<ScimSource> = Vec::new();
        for one in scim {
            let Some(source) = self.scim_source(one, (written, providers)) else {
                continue;
            };
            let own = source.token.expose_secret().as_bytes();
            let is_same = |other: &SecretString| seal::equal(other.expose_secret().as_bytes(), own);
            if tokens.iter().any(is_same) || sources.iter().any(|other| is_same(&other.token)) {
                let advice = "make one for this identity provider alone";
                let message = "this token opens something else already";
                self.findings.error(&one.token.span, message, advice);
                continue;
            }
            if sources.iter().any(|other| other.issuer == source.issuer) {
                let message = "another identity provider with the same issuer tells of its people";
                let advice = "keep one of the two";
                self.findings
                    .error(&one.identity_provider.span, message, advice);
            }
            sources.push(source);
        }
        sources
    }

    fn scim_source(
        &mut self,
        one: &AdminScim,
        (written, providers): (&[IdentityProvider], &[OpenIdSettings]),
    ) -> Sound<ScimSource> {
        let AdminScim {
            identity_provider,
            token,
            match_by,
        } = one;
        let id = &identity_provider.value;
        if !written.iter().any(|provider| provider.id.value == *id) {
            let message = format!("there is no identity provider `{id}`");
            let advice = "write the id of one of [[identity_provider]]";
            self.findings
                .error(&identity_provider.span, message, advice);
        }
        let token = self.secret(token, SHORTEST_TOKEN);
        // One that is there and not sound has its own mistakes.
        let provider = providers
            .iter()
            .find(|provider| provider.id.as_str() == id)?;
        Some(ScimSource {
            issuer: provider.issuer.clone(),
            token: token?,
            match_by: match_by.value,
        })
    }
}
