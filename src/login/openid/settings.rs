//! How the gateway is known to a provider, and what it asks of it.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::super::jwt::Algorithm;
use super::metadata::Metadata;
use super::standing::Published as _;
use crate::identity::{EmailAddress, Issuer, ProviderId};
use crate::outbound::is_secure;

/// How the gateway proves at the token endpoint who it is (OpenID Connect Core 1.0, section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// `client_secret_basic`.
    #[default]
    Basic,
    /// `client_secret_post`.
    Post,
}

/// For which addresses a provider's `email_verified` counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EmailTrust {
    /// For none.
    #[default]
    None,
    /// For all: the provider has them all proven, or owns them.
    All,
    /// For addresses of these domains, lower case, whole.
    Domains(BTreeSet<String>),
}

impl EmailTrust {
    /// Whether `email_verified` counts for this address.
    pub fn covers(&self, email: Option<&EmailAddress>) -> bool {
        match (self, email) {
            (Self::All, Some(_)) => true,
            (Self::Domains(domains), Some(email)) => domains.contains(email.domain()),
            (Self::None, _) | (_, None) => false,
        }
    }
}

/// An OpenID provider and the gateway's registration there.
#[derive(Debug, Clone)]
pub struct OpenIdSettings {
    /// Its configured id, part of URLs.
    pub id: ProviderId,
    /// The name that people know it by.
    pub name: String,
    /// Its issuer identifier, exactly as its metadata and tokens have it.
    pub issuer: Issuer,
    /// The gateway's client id there.
    pub client_id: String,
    /// The client secrets: the first is used; the others, should the first be refused, so that
    /// secrets rotate. Empty for a public client.
    pub client_secrets: Vec<SecretString>,
    /// How the secret is sent.
    pub client_authentication: ClientAuthentication,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request (`acr_values`, `domain_hint`, `resource`).
    pub parameters: Vec<(String, String)>,
    /// The algorithms that ID tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// How long ago the person may have authenticated.
    pub max_age: Option<Duration>,
    /// Whether the userinfo endpoint is asked for further claims, where there is one.
    pub ask_userinfo: bool,
    /// Whether access tokens are kept in sessions, because an upstream wants them.
    pub keeps_access_tokens: bool,
    /// For which addresses `email_verified` counts.
    pub email_trust: EmailTrust,
    /// How long each answer may take.
    pub timeout: Duration,
    /// Certificates besides the system's roots, PEM; empty for none.
    pub roots: Vec<u8>,
}

/// What is wrong with an [`OpenIdSettings`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenIdSettingsProblem {
    /// The issuer is no URL, has a query or fragment, or is not `https` (loopback excepted).
    #[error("the issuer `{issuer}` must be an https URL without query and fragment")]
    Issuer {
        /// The issuer.
        issuer: String,
    },
    /// A further parameter is one that the gateway sets itself.
    #[error("the parameter `{name}` is set by the gateway itself")]
    ReservedParameter {
        /// The parameter.
        name: String,
    },
    /// No algorithm is left.
    #[error("at least one signature algorithm is needed")]
    NoAlgorithm,
    /// There is no client id.
    #[error("a client id is needed")]
    NoClientId,
}

/// Parameters that nobody else may set.
const RESERVED: [&str; 15] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "request",
    "request_uri",
    "registration",
    "id_token_hint",
];

impl OpenIdSettings {
    /// Where the provider's metadata may be.
    pub fn metadata_addresses(&self) -> Vec<Url> {
        Metadata::addresses(&self.issuer)
    }

    /// Settings with the defaults of everything that can have one.
    pub fn new(id: ProviderId, issuer: Issuer, client_id: impl Into<String>) -> Self {
        Self {
            name: id.to_string(),
            id,
            issuer,
            client_id: client_id.into(),
            client_secrets: Vec::new(),
            client_authentication: ClientAuthentication::Basic,
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            parameters: Vec::new(),
            algorithms: Algorithm::DEFAULT.to_vec(),
            max_age: None,
            ask_userinfo: true,
            keeps_access_tokens: false,
            email_trust: EmailTrust::None,
            timeout: Duration::from_secs(10),
            roots: Vec::new(),
        }
    }

    /// All that is wrong.
    pub fn problems(&self) -> Vec<OpenIdSettingsProblem> {
        let mut problems = Vec::new();
        let is_sound = Url::parse(self.issuer.as_str())
            .is_ok_and(|url| is_secure(&url) && url.query().is_none() && url.fragment().is_none());
        if !is_sound {
            let issuer = self.issuer.to_string();
            problems.push(OpenIdSettingsProblem::Issuer { issuer });
        }
        for (name, _) in &self.parameters {
            if RESERVED.contains(&name.as_str()) {
                problems.push(OpenIdSettingsProblem::ReservedParameter { name: name.clone() });
            }
        }
        if self.algorithms.is_empty() {
            problems.push(OpenIdSettingsProblem::NoAlgorithm);
        }
        if self.client_id.is_empty() {
            problems.push(OpenIdSettingsProblem::NoClientId);
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str) -> OpenIdSettings {
        OpenIdSettings::new(ProviderId::new("corp"), Issuer::new(issuer), "vestibule")
    }

    #[test]
    fn issuers_are_https_except_on_loopback() {
        for issuer in [
            "https://idp.example/realms/acme",
            "http://127.0.0.1:9000",
            "http://localhost:1",
        ] {
            assert_eq!(settings(issuer).problems(), [], "{issuer}");
        }
        for issuer in [
            "http://idp.example",
            "idp.example",
            "https://idp.example?x",
            "https://i.example#x",
        ] {
            assert_eq!(settings(issuer).problems().len(), 1, "{issuer}");
        }
    }

    #[test]
    fn parameters_of_the_gateway_are_its_own() {
        let mut settings = settings("https://idp.example");
        settings.parameters = vec![
            ("acr_values".to_owned(), "mfa".to_owned()),
            ("redirect_uri".to_owned(), "https://evil.example".to_owned()),
            ("nonce".to_owned(), "1".to_owned()),
        ];
        assert_eq!(settings.problems().len(), 2);
    }

    #[test]
    fn addresses_are_trusted_by_whole_domains_and_by_default_not_at_all() {
        let email = EmailAddress::parse("mario@acme.example").unwrap();
        let other = EmailAddress::parse("mario@evilacme.example").unwrap();
        assert!(!EmailTrust::default().covers(Some(&email)));
        assert!(EmailTrust::All.covers(Some(&email)));
        assert!(!EmailTrust::All.covers(None));
        let domains = EmailTrust::Domains(["acme.example".to_owned()].into());
        assert!(domains.covers(Some(&email)));
        assert!(!domains.covers(Some(&other)));
    }
}
