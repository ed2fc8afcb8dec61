//! A provider's metadata (OpenID Connect Discovery 1.0, section 3): judged before it is used
//! (pure).

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, ProviderMetadata};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::super::provider::ProviderError;
use super::standing::Published;
use crate::identity::Issuer;
use crate::outbound::is_secure;

/// What the gateway reads of metadata beyond OpenID Connect Discovery.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct FurtherMetadata {
    /// OpenID Connect RP-Initiated Logout 1.0, section 2.1.
    #[serde(default)]
    end_session_endpoint: Option<Url>,
    /// RFC 8414, section 2.
    #[serde(default)]
    revocation_endpoint: Option<Url>,
    /// RFC 9207, section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
    /// OpenID Connect Prompt Create 1.0, section 4.
    #[serde(default)]
    prompt_values_supported: Option<Vec<String>>,
}

impl AdditionalProviderMetadata for FurtherMetadata {}

/// Metadata as the `openidconnect` crate reads it.
pub type FullMetadata = ProviderMetadata<
    FurtherMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Metadata that is the configured issuer's own, with every address safe to use.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// All of it.
    pub full: FullMetadata,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// Where further claims are.
    pub userinfo_endpoint: Option<Url>,
    /// Where sessions are ended.
    pub end_session_endpoint: Option<Url>,
    /// Where tokens are given back.
    pub revocation_endpoint: Option<Url>,
    /// Whether every answer names its issuer (RFC 9207), so that one without it is foreign.
    pub names_issuer: bool,
    /// The `prompt` with which one chooses another account.
    pub other_account_prompt: &'static str,
}

/// Where an issuer's metadata is.
pub fn address(issuer: &Issuer) -> Option<Url> {
    let base = issuer.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/.well-known/openid-configuration")).ok()
}

/// A document in which an issuer describes itself, and nobody else.
pub fn own_document(document: &[u8], issuer: &Issuer) -> Result<Value, ProviderError> {
    let plain: Value = serde_json::from_slice(document).map_err(ProviderError::Metadata)?;
    let named = plain
        .get("issuer")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if named != issuer.as_str() {
        return Err(ProviderError::ForeignMetadata {
            found: named.chars().take(200).collect(),
        });
    }
    Ok(plain)
}

impl Published for Metadata {
    fn addresses(issuer: &Issuer) -> Vec<Url> {
        address(issuer).into_iter().collect()
    }

    fn parse(document: &[u8], issuer: &Issuer) -> Result<Self, ProviderError> {
        let plain = own_document(document, issuer)?;
        let full: FullMetadata = serde_json::from_value(plain).map_err(ProviderError::Metadata)?;
        Self::judge(full)
    }

    /// A protection that was there stays, whatever the provider says later.
    fn following(self, before: Option<&Self>) -> Self {
        let Some(before) = before else {
            return self;
        };
        report_changes(before, &self);
        let names_issuer = self.names_issuer || before.names_issuer;
        Self {
            names_issuer,
            ..self
        }
    }

    fn keys_at(&self) -> Option<&Url> {
        Some(&self.jwks_uri)
    }
}

impl Metadata {
    fn judge(full: FullMetadata) -> Result<Self, ProviderError> {
        let token = full.token_endpoint().ok_or(ProviderError::Incomplete {
            what: "token_endpoint",
        })?;
        let further = full.additional_metadata();
        let secure = |endpoint: &'static str, address: &Url| {
            is_secure(address)
                .then_some(())
                .ok_or(ProviderError::InsecureEndpoint { endpoint })
        };
        secure(
            "authorization_endpoint",
            full.authorization_endpoint().url(),
        )?;
        secure("token_endpoint", token.url())?;
        secure("jwks_uri", full.jwks_uri().url())?;
        let userinfo_endpoint = full
            .userinfo_endpoint()
            .map(|address| address.url().clone());
        if let Some(address) = &userinfo_endpoint {
            secure("userinfo_endpoint", address)?;
        }
        if let Some(address) = &further.end_session_endpoint {
            secure("end_session_endpoint", address)?;
        }
        if let Some(address) = &further.revocation_endpoint {
            secure("revocation_endpoint", address)?;
        }
        let prompts = further
            .prompt_values_supported
            .as_deref()
            .unwrap_or_default();
        let can_select = prompts.iter().any(|prompt| prompt == "select_account");
        Ok(Self {
            jwks_uri: full.jwks_uri().url().clone(),
            userinfo_endpoint,
            end_session_endpoint: further.end_session_endpoint.clone(),
            revocation_endpoint: further.revocation_endpoint.clone(),
            names_issuer: further.authorization_response_iss_parameter_supported == Some(true),
            other_account_prompt: if can_select {
                "select_account"
            } else {
                "login"
            },
            full,
        })
    }
}

fn report_changes(before: &Metadata, after: &Metadata) {
    let drops_issuer = before.names_issuer && !after.names_issuer;
    let (old, new) = (before.jwks_uri.host_str(), after.jwks_uri.host_str());
    if drops_issuer || old != new {
        tracing::warn!(
            drops_issuer,
            old,
            new,
            "the metadata has changed: the issuer's name stays required, keys may be elsewhere"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issuer() -> Issuer {
        Issuer::new("https://idp.example/realms/acme")
    }

    fn good() -> Value {
        json!({
            "issuer": "https://idp.example/realms/acme",
            "authorization_endpoint": "https://idp.example/auth",
            "token_endpoint": "https://idp.example/token",
            "userinfo_endpoint": "https://idp.example/me",
            "jwks_uri": "https://idp.example/jwks",
            "end_session_endpoint": "https://idp.example/end",
            "authorization_response_iss_parameter_supported": true,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "XX999"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "tls_client_auth"],
        })
    }

    fn parse(document: &Value) -> Result<Metadata, ProviderError> {
        Metadata::parse(document.to_string().as_bytes(), &issuer())
    }

    fn with(name: &str, value: Value) -> ProviderError {
        let mut document = good();
        document[name] = value;
        parse(&document).unwrap_err()
    }

    #[test]
    fn reads_what_a_login_needs() {
        let metadata = parse(&good()).unwrap();
        assert!(metadata.names_issuer);
        assert_eq!(
            metadata.end_session_endpoint.unwrap().as_str(),
            "https://idp.example/end"
        );
        assert_eq!(metadata.other_account_prompt, "login");
        assert_eq!(
            address(&issuer()).unwrap().as_str(),
            "https://idp.example/realms/acme/.well-known/openid-configuration"
        );
    }

    #[test]
    fn the_issuer_is_exactly_the_configured_one() {
        for other in [
            json!("https://idp.example/realms/acme/"),
            json!("https://idp.example/realms/{tenantid}"),
            json!("https://evil.example"),
            json!(null),
            json!(["https://idp.example/realms/acme"]),
        ] {
            let problem = with("issuer", other);
            assert!(
                matches!(problem, ProviderError::ForeignMetadata { .. }),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn every_endpoint_is_https() {
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
            "revocation_endpoint",
        ] {
            for address in [
                "http://idp.example/x",
                "javascript://idp.example/x",
                "file:///x",
            ] {
                let problem = with(endpoint, json!(address));
                assert!(
                    matches!(problem, ProviderError::InsecureEndpoint { .. }),
                    "{endpoint} {address} {problem:?}"
                );
            }
        }
    }

    #[test]
    fn metadata_without_a_token_endpoint_is_no_use() {
        let mut document = good();
        document.as_object_mut().unwrap().remove("token_endpoint");
        assert!(matches!(
            parse(&document),
            Err(ProviderError::Incomplete { .. })
        ));
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for document in ["", "<html>", "[]", "{}"] {
            assert!(
                Metadata::parse(document.as_bytes(), &issuer()).is_err(),
                "{document}"
            );
        }
    }

    #[test]
    fn a_promise_to_name_the_issuer_is_kept_for_the_provider() {
        let before = parse(&good()).unwrap();
        let mut document = good();
        document["authorization_response_iss_parameter_supported"] = json!(false);
        let after = parse(&document).unwrap();
        assert!(!after.names_issuer);
        assert!(after.following(Some(&before)).names_issuer);
    }
}
