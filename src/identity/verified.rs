//! What a verified ID token (and userinfo) says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EmailAddress;
use crate::clock::Timestamp;

super::text_id! {
    /// An identity provider by its configured id.
    ProviderId
}
super::text_id! {
    /// The issuer identifier of an identity provider (OpenID Connect Core 1.0, section 2), or
    /// `platform:<id>` for a platform's own passwords.
    Issuer
}
super::text_id! {
    /// The subject identifier, unique and never reassigned within its issuer.
    Subject
}

/// The parts of an identity, as a login adapter found them in a token that it has verified.
#[derive(Debug, Clone)]
pub struct VerifiedClaims {
    /// The provider that was asked.
    pub provider: ProviderId,
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// All claims of ID token and userinfo, merged; the ID token's win.
    pub claims: Map<String, Value>,
    /// Whether this provider's `email_verified` is trusted for the address's domain.
    pub email_trusted: bool,
    /// When the end user authenticated.
    pub authenticated_at: Timestamp,
}

/// Who somebody is according to an identity provider whose token was verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifiedIdentity {
    provider: ProviderId,
    issuer: Issuer,
    subject: Subject,
    claims: Map<String, Value>,
    email_trusted: bool,
    authenticated_at: Timestamp,
}

impl VerifiedIdentity {
    /// The one constructor; called only where a token was verified (and by `explain`, which
    /// shows what would happen).
    pub fn from_verified(claims: VerifiedClaims) -> Self {
        let VerifiedClaims {
            provider,
            issuer,
            subject,
            claims,
            email_trusted,
            authenticated_at,
        } = claims;
        Self {
            provider,
            issuer,
            subject,
            claims,
            email_trusted,
            authenticated_at,
        }
    }

    /// The provider that was asked.
    pub fn provider(&self) -> &ProviderId {
        &self.provider
    }

    /// `iss`.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// `sub`.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// All claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// When the end user authenticated.
    pub fn authenticated_at(&self) -> Timestamp {
        self.authenticated_at
    }

    /// A claim's text; none when it is absent or not a string.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// The e-mail address, if there is one that parses. Contact data: it never links or grants.
    pub fn email(&self) -> Option<EmailAddress> {
        EmailAddress::parse(self.text("email")?).ok()
    }

    /// Whether the address counts as proven: `email_verified` is JSON `true` and the provider is
    /// trusted for it.
    pub fn has_proven_email(&self) -> bool {
        self.email_trusted && self.claims.get("email_verified") == Some(&Value::Bool(true))
    }

    /// The identity provider's session id (`sid`), if it gave one.
    pub fn provider_session(&self) -> Option<&str> {
        self.text("sid")
    }

    /// A name to greet with: `name`, else given and family name, else the address.
    pub fn display_name(&self) -> Option<String> {
        let joined = || {
            let parts: Vec<_> = ["given_name", "family_name"]
                .iter()
                .filter_map(|part| self.text(part))
                .collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        let given = self
            .text("name")
            .filter(|name| !name.trim().is_empty())
            .map(str::to_owned);
        given
            .or_else(joined)
            .or_else(|| self.email().map(|email| email.as_str().to_owned()))
    }
}

/// An address whose owner has just shown that they read its mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenEmail(EmailAddress);

impl ProvenEmail {
    /// Called only where a mailed link or code was redeemed.
    pub fn from_redeemed(address: EmailAddress) -> Self {
        Self(address)
    }

    /// The address.
    pub fn address(&self) -> &EmailAddress {
        &self.0
    }
}

/// Who applies for an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applicant {
    /// Somebody who came through an identity provider.
    Sso(VerifiedIdentity),
    /// Somebody who came by a mailed link.
    Mail(ProvenEmail),
}
