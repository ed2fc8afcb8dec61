//! Checks whose bearer tokens count.

use std::time::Duration;

use super::{Check, Sound};
use crate::config::file::{
    ApiIssuer, ClientAuthentication as Authentication, Introspection, TokenTypeWord,
};
use crate::identity::ProviderId;
use crate::login::bearer::BELIEVED_FOR;
use crate::login::jwt::{Algorithm, TokenKind};
use crate::login::openid::{
    ApiIssuerSettings, ClientAuthentication, IntrospectionSettings, OpenIdSettings,
};
use crate::proxy::HostSettings;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

impl Check<'_> {
    pub(super) fn api_issuers(
        &mut self,
        issuers: &[ApiIssuer],
        hosts: &[HostSettings],
        providers: &[OpenIdSettings],
    ) -> Vec<ApiIssuerSettings> {
        self.findings
            .no_doubles("issuer of tokens", issuers.iter().map(|issuer| &issuer.id));
        let mut all: Vec<ApiIssuerSettings> = Vec::new();
        for issuer in issuers {
            let Some(one) = self.api_issuer(issuer, hosts, providers) else {
                continue;
            };
            if all.iter().any(|other| other.issuer == one.issuer) {
                let message = "two `[[api_issuer]]` have this issuer, so that one is never asked";
                self.findings
                    .error(&issuer.issuer.span, message, "make one of them");
            }
            all.push(one);
        }
        all
    }

    fn api_issuer(
        &mut self,
        shape: &ApiIssuer,
        hosts: &[HostSettings],
        providers: &[OpenIdSettings],
    ) -> Sound<ApiIssuerSettings> {
        let ApiIssuer {
            id,
            issuer,
            audience,
            token_type,
            algorithms,
            scopes_claim,
            introspection,
            timeout,
            ca,
        } = shape;
        let is_named = self.short_name("an issuer of tokens", id);
        let algorithms = self.algorithms(algorithms.as_ref());
        let timeout = self.findings.take_optional(timeout.as_ref());
        let asking = introspection.as_ref().map(|one| self.introspection(one));
        let roots = self.further_roots(ca.as_ref()).unwrap_or_default();
        let settings = ApiIssuerSettings {
            id: ProviderId::new(id.value.as_str()),
            issuer: self.issuer(issuer)?,
            audiences: match audience {
                Some(audience) => audience.value.clone(),
                None => hosts.iter().map(|host| host.origin.to_string()).collect(),
            },
            is_by_host: audience.is_none(),
            algorithms: algorithms.unwrap_or_else(|| Algorithm::DEFAULT.to_vec()),
            kind: match token_type.value {
                TokenTypeWord::AccessToken => TokenKind::Access,
                TokenTypeWord::Any => TokenKind::AnyAccess,
            },
            scopes_claim: match scopes_claim {
                Some(claim) => claim.value.clone(),
                None => "scope".to_owned(),
            },
            introspection: asking.flatten(),
            timeout: timeout.unwrap_or(ANSWER_WITHIN),
            roots,
        };
        self.audience(shape, &settings, providers);
        is_named.then_some(settings)
    }

    /// An ID token is for the client id, and is no access token.
    fn audience(
        &mut self,
        shape: &ApiIssuer,
        settings: &ApiIssuerSettings,
        providers: &[OpenIdSettings],
    ) {
        let Some(audience) = &shape.audience else {
            return;
        };
        if audience.iter().all(|one| one.trim().is_empty()) {
            let message = "tokens are for somebody";
            let advice = "write what the issuer calls this gateway, such as its address";
            self.findings.error(&audience.span, message, advice);
        }
        let is_ours = |one: &&OpenIdSettings| {
            one.issuer == settings.issuer && settings.audiences.contains(&one.client_id)
        };
        let same = providers.iter().find(is_ours);
        if let Some(provider) = same.filter(|_| settings.kind == TokenKind::AnyAccess) {
            let message = format!(
                "`{}` is in the ID tokens of `{}`, which would pass as access tokens",
                provider.client_id, provider.id
            );
            let advice = "have tokens for an audience of their own, or take `token_type` out";
            self.findings.error(&audience.span, message, advice);
        }
    }

    fn introspection(&mut self, shape: &Introspection) -> Sound<IntrospectionSettings> {
        let Introspection {
            client_id,
            client_secret,
            client_authentication,
            without_audience,
            believe_for,
        } = shape;
        let span = self.findings.take_optional(believe_for.as_ref());
        if let (Some(span), Some(at)) = (span, believe_for)
            && span > BELIEVED_FOR
        {
            let message = "a token that was revoked would be good for too long";
            let advice = format!("write `{}s` or less", BELIEVED_FOR.as_secs());
            self.findings.error(&at.span, message, advice);
        }
        Some(IntrospectionSettings {
            client_id: client_id.value.clone(),
            client_secret: self.secret(client_secret, 1)?,
            authentication: match client_authentication {
                Authentication::Basic => ClientAuthentication::Basic,
                Authentication::Post => ClientAuthentication::Post,
            },
            without_audience: *without_audience,
            believed_for: span.unwrap_or(BELIEVED_FOR),
        })
    }
}
