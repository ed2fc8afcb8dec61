//! The key that signs ID tokens: ES256, made at start, gone at the end.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::seal;

/// A key that could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The generator gave no key.
    #[error("no signing key could be made")]
    NoKey(#[from] aws_lc_rs::error::Unspecified),
    /// The token could not be signed.
    #[error("the token could not be signed")]
    NotSigned(#[from] jsonwebtoken::errors::Error),
}

/// What an ID token says (OpenID Connect Core 1.0, section 2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IdToken {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: String,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
    pub(super) at_hash: String,
    pub(super) sid: String,
}

/// A signing key with its public half.
pub(super) struct SigningKey {
    private: EncodingKey,
    public: DecodingKey,
    jwk: Jwk,
    kid: String,
}

impl SigningKey {
    /// A fresh key on P-256.
    pub(super) fn generate() -> Result<Self, SigningError> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        let private = EncodingKey::from_ec_der(pkcs8.as_ref());
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        let public = DecodingKey::from_jwk(&jwk)?;
        Ok(Self {
            private,
            public,
            jwk,
            kid,
        })
    }

    /// The public key set (RFC 7517, section 5).
    pub(super) fn key_set(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.jwk.clone()],
        }
    }

    /// Signs claims as a JWT.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }

    /// Reads a token that this key signed. One that has expired is still a good hint of who is
    /// leaving (OpenID Connect RP-Initiated Logout 1.0, section 4), so its time is not looked at.
    pub(super) fn read<T: DeserializeOwned>(&self, token: &str, issuer: &str) -> Option<T> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss"]);
        Some(
            jsonwebtoken::decode(token, &self.public, &validation)
                .ok()?
                .claims,
        )
    }
}

/// The `at_hash` of an access token for ES256: the left half of its SHA-256 digest
/// (OpenID Connect Core 1.0, section 3.1.3.6).
pub(super) fn access_token_hash(access_token: &str) -> String {
    let digest = seal::from_base64(&seal::digest(access_token.as_bytes())).unwrap_or_default();
    seal::to_base64(digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_it_signed_for_that_issuer() {
        let key = SigningKey::generate().unwrap();
        let claims = serde_json::json!({ "iss": "http://127.0.0.1:1", "sub": "a", "exp": 1 });
        let token = key.sign(&claims).unwrap();
        assert_eq!(
            key.read::<serde_json::Value>(&token, "http://127.0.0.1:1"),
            Some(claims)
        );
        assert!(
            key.read::<serde_json::Value>(&token, "http://127.0.0.1:2")
                .is_none()
        );
        let other = SigningKey::generate().unwrap();
        assert!(
            other
                .read::<serde_json::Value>(&token, "http://127.0.0.1:1")
                .is_none()
        );
    }

    #[test]
    fn the_published_key_has_no_private_half() {
        let set = serde_json::to_value(SigningKey::generate().unwrap().key_set()).unwrap();
        let key = &set["keys"][0];
        assert_eq!(
            (key["kty"].as_str(), key["crv"].as_str()),
            (Some("EC"), Some("P-256"))
        );
        assert!(key.get("d").is_none());
        assert!(key["kid"].is_string());
    }

    #[test]
    fn the_access_token_hash_is_that_of_the_specification() {
        // The worked example of OpenID Connect Core 1.0, appendix A.3.
        assert_eq!(
            access_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
    }
}
