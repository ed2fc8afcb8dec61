//! The secret that a browser holds, and the digest by which the store knows it.

use std::sync::Arc;

use zeroize::Zeroize;

use crate::seal;

/// How many characters the cookie's value has: 32 octets as base64url.
const COOKIE_LENGTH: usize = 43;

/// The secret that a browser holds, never stored: 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// A new one.
    pub fn random() -> Self {
        Self(seal::random_bytes())
    }

    /// Reads a cookie's value; none when it is not one that [`SessionId::to_cookie_value`] makes.
    pub fn from_cookie(value: &str) -> Option<Self> {
        if value.len() != COOKIE_LENGTH {
            return None;
        }
        seal::key_from_base64(value).map(Self)
    }

    /// The cookie's value.
    pub fn to_cookie_value(&self) -> String {
        seal::to_base64(&self.0)
    }

    /// The digest by which the store knows the session.
    pub fn key(&self) -> SessionKey {
        SessionKey::from_digest(&self.digest())
    }

    /// The digest as octets.
    pub(super) fn digest(&self) -> Digest {
        seal::digest_octets(&self.0)
    }

    /// What the record is sealed with, besides the server's ring.
    pub(super) fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// A SHA-256 digest.
pub(super) type Digest = [u8; 32];

/// The digest by which the store knows a session, as base64url text. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(Arc<str>);

impl SessionKey {
    /// The digest as base64url text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as a store gave it.
    pub fn from_store(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub(super) fn from_digest(digest: &Digest) -> Self {
        Self(seal::to_base64(digest).into())
    }

    /// The digest as octets; none when a store gave something else.
    pub(super) fn to_digest(&self) -> Option<Digest> {
        seal::from_base64(&self.0)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cookie_is_read_back() {
        let id = SessionId::random();
        assert_eq!(id.to_cookie_value().len(), COOKIE_LENGTH);
        assert_eq!(SessionId::from_cookie(&id.to_cookie_value()), Some(id));
    }

    #[test]
    fn the_store_learns_the_digest_alone() {
        let id = SessionId::random();
        assert_ne!(id.key().as_str(), id.to_cookie_value());
        assert_eq!(id.key().to_digest(), Some(id.digest()));
        assert_eq!(format!("{id:?}"), "SessionId(…)");
    }

    #[test]
    fn trailing_bits_make_no_second_spelling() {
        let value = SessionId([0; 32]).to_cookie_value();
        let other = format!("{}B", &value[..COOKIE_LENGTH - 1]);
        assert_eq!(SessionId::from_cookie(&other), None);
    }

    proptest! {
        #[test]
        fn garbage_is_no_id(text in ".{0,80}") {
            if let Some(id) = SessionId::from_cookie(&text) {
                prop_assert_eq!(id.to_cookie_value(), text);
            }
        }
    }
}
