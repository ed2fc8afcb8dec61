//! The one place of cryptography: sealing with purpose and context, the key ring, digests, and
//! random values.
//!
//! Sealing is XChaCha20-Poly1305 with a random 192-bit nonce under a key derived by HKDF-SHA-256
//! (RFC 5869) from one ring key and one purpose: one purpose, one derived key. The first key of
//! the ring seals, all open.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const NONCE_LENGTH: usize = 24;

/// What something is sealed for; each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The session record in the store.
    Session,
    /// The identity provider's tokens of a session.
    Tokens,
    /// The cookie that holds a login attempt.
    LoginAttempt,
    /// The `state` parameter of an authorization request.
    State,
    /// A form's token against cross-site requests.
    FormToken,
    /// A registration's personal data in SQL.
    Registration,
    /// A chosen password, until the platform has it.
    Password,
    /// A mailed code.
    MailedCode,
    /// A letter or a webhook that waits in SQL.
    Delivery,
    /// What a mailed link is for.
    MailedLink,
    /// The number that a proof of work looks for.
    ProofOfWork,
    /// An invitation's address in SQL.
    Invitation,
    /// What claims changed of a user, and what is still to be written.
    Attributes,
    /// The keys that sign what upstreams are told.
    Assertion,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"vestibule/session/1",
            Self::Tokens => b"vestibule/tokens/1",
            Self::LoginAttempt => b"vestibule/login-attempt/1",
            Self::State => b"vestibule/state/1",
            Self::FormToken => b"vestibule/form-token/1",
            Self::Registration => b"vestibule/registration/1",
            Self::Password => b"vestibule/password/1",
            Self::MailedCode => b"vestibule/mailed-code/1",
            Self::Delivery => b"vestibule/delivery/1",
            Self::MailedLink => b"vestibule/mailed-link/1",
            Self::ProofOfWork => b"vestibule/proof-of-work/1",
            Self::Invitation => b"vestibule/invitation/1",
            Self::Attributes => b"vestibule/attributes/1",
            Self::Assertion => b"vestibule/assertion/1",
        }
    }
}

/// 256 bits of key material.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// Takes key material as it is.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Fresh key material.
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// The key as base64url text, for a key file.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads base64url (or plain base64) text of exactly 32 octets that look random: a
    /// placeholder made of a few repeated octets is no key.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text
            .trim()
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_");
        let text = Zeroizing::new(text);
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.as_bytes()).ok()?);
        let key = Self(bytes.as_slice().try_into().ok()?);
        key.looks_random().then_some(key)
    }

    /// 32 random octets have fewer than 16 different values less than once in 10^15 times.
    fn looks_random(&self) -> bool {
        self.0.iter().collect::<BTreeSet<_>>().len() >= 16
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// The keys in force; never empty.
#[derive(Debug, Clone)]
pub struct KeyRing {
    first: SealKey,
    older: Vec<SealKey>,
}

/// A sealed value that no key of the ring opens, or that was sealed for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct CannotOpen;

impl KeyRing {
    /// A ring whose `first` key seals and all of which open.
    pub fn new(first: SealKey, older: Vec<SealKey>) -> Self {
        Self { first, older }
    }

    /// A ring of its own for a part of the installation: neither opens what the other seals.
    #[must_use]
    pub fn of_part(&self, name: &str) -> Self {
        let of = |key: &SealKey| {
            derive_with(key, &[b"vestibule/part/1/", name.as_bytes()].concat(), &[])
        };
        Self {
            first: of(&self.first),
            older: self.older.iter().map(of).collect(),
        }
    }

    /// Seals `plain` for one purpose; `context` must be given again to open it.
    pub fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Vec<u8> {
        seal_with(&derive(&self.first, purpose, &[]), context, plain)
    }

    /// Opens what [`KeyRing::seal`] made with any key of this ring.
    pub fn open(
        &self,
        purpose: Purpose,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, CannotOpen> {
        self.keys()
            .find_map(|key| open_with(&derive(key, purpose, &[]), context, sealed).ok())
            .ok_or(CannotOpen)
    }

    /// Seals under a key derived from the ring *and* from `secret`, which the server forgets: the
    /// ring alone opens nothing, and neither does the secret alone.
    pub fn seal_with_secret(
        &self,
        purpose: Purpose,
        secret: &[u8],
        context: &[u8],
        plain: &[u8],
    ) -> Vec<u8> {
        seal_with(&derive(&self.first, purpose, secret), context, plain)
    }

    /// Opens what [`KeyRing::seal_with_secret`] made.
    pub fn open_with_secret(
        &self,
        purpose: Purpose,
        secret: &[u8],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, CannotOpen> {
        self.keys()
            .find_map(|key| open_with(&derive(key, purpose, secret), context, sealed).ok())
            .ok_or(CannotOpen)
    }

    /// [`KeyRing::seal`] as base64url text.
    pub fn seal_text(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> String {
        to_base64(&self.seal(purpose, context, plain))
    }

    /// Opens what [`KeyRing::seal_text`] made.
    pub fn open_text(
        &self,
        purpose: Purpose,
        context: &[u8],
        sealed: &str,
    ) -> Result<Vec<u8>, CannotOpen> {
        self.open(purpose, context, &from_base64(sealed).ok_or(CannotOpen)?)
    }

    /// What keys of another kind are made of, one from each key of the ring, the first one first.
    pub fn seeds(&self, purpose: Purpose) -> Vec<Zeroizing<[u8; 32]>> {
        let seed = |key| Zeroizing::new(derive(key, purpose, &[]).0);
        self.keys().map(seed).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

fn derive(key: &SealKey, purpose: Purpose, secret: &[u8]) -> SealKey {
    derive_with(key, purpose.label(), secret)
}

fn derive_with(key: &SealKey, label: &[u8], secret: &[u8]) -> SealKey {
    let mut material = key.0.to_vec();
    material.extend_from_slice(secret);
    let mut derived = [0; 32];
    // An output of 32 octets is always within HKDF's bound, so that this never fails.
    let outcome = Hkdf::<Sha256>::new(None, &material).expand(label, &mut derived);
    debug_assert!(outcome.is_ok());
    material.zeroize();
    SealKey(derived)
}

fn seal_with(key: &SealKey, context: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LENGTH] = random_bytes();
    let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
    // Encryption fails only for texts of 256 GiB and more.
    let body = cipher
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: plain,
                aad: context,
            },
        )
        .unwrap_or_default();
    [nonce.as_slice(), &body].concat()
}

fn open_with(key: &SealKey, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE_LENGTH>()
        .ok_or(CannotOpen)?;
    let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
    cipher
        .decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: body,
                aad: context,
            },
        )
        .map_err(|_| CannotOpen)
}

/// The SHA-256 digest of `data`, as base64url text.
pub fn digest(data: &[u8]) -> String {
    to_base64(&digest_octets(data))
}

/// A digest of parts that no other division of the same text has.
pub fn digest_parts(parts: &[&str]) -> String {
    let lengths = parts.iter().map(|part| format!("{}:{part}", part.len()));
    digest(lengths.collect::<String>().as_bytes())
}

/// The SHA-256 digest of `data`.
pub fn digest_octets(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// HMAC-SHA-256 (RFC 2104), for signatures that another side checks.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    // A key of any length is taken, so that this never fails.
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key);
    mac.map_or([0; 32], |mac| {
        mac.chain_update(data).finalize().into_bytes().into()
    })
}

/// Which SHA-2 function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashSize {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The left half of a digest as base64url text: `at_hash` and `c_hash` (OpenID Connect Core 1.0,
/// section 3.1.3.6).
pub fn left_half(size: HashSize, data: &[u8]) -> String {
    let digest = match size {
        HashSize::Sha256 => Sha256::digest(data).to_vec(),
        HashSize::Sha384 => Sha384::digest(data).to_vec(),
        HashSize::Sha512 => Sha512::digest(data).to_vec(),
    };
    to_base64(digest.get(..digest.len() / 2).unwrap_or_default())
}

/// Compares in time that does not depend on where the texts differ.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Octets from the operating system's generator.
///
/// # Panics
/// Where the operating system has no randomness: nothing safe could be done there.
#[expect(
    clippy::expect_used,
    reason = "without randomness nothing safe can be done"
)]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random octets");
    bytes
}

/// 256 random bits as base64url text (43 characters).
pub fn random_token() -> String {
    to_base64(&random_bytes::<32>())
}

/// Base64url without padding (RFC 4648, section 5).
pub fn to_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Plain base64 with padding (RFC 4648, section 4), as other sides want it.
pub fn to_padded_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads plain base64 with padding.
pub fn from_padded_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads 32 octets of canonical base64url without padding.
pub fn key_from_base64(text: &str) -> Option<[u8; 32]> {
    // The decoder wants room for what would come after a last group of three letters.
    let mut octets = [0; 33];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut octets).ok()?;
    let key = octets.first_chunk().copied();
    octets.zeroize();
    key.filter(|_| length == 32)
}

/// Reads canonical base64url without padding.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_its_purpose_context_and_ring() {
        let ring = KeyRing::new(SealKey::random(), vec![]);
        let sealed = ring.seal(Purpose::State, b"app.example.com", b"plain");
        assert_eq!(
            ring.open(Purpose::State, b"app.example.com", &sealed)
                .unwrap(),
            b"plain"
        );
        assert!(
            ring.open(Purpose::Session, b"app.example.com", &sealed)
                .is_err()
        );
        assert!(
            ring.open(Purpose::State, b"b.example.com", &sealed)
                .is_err()
        );
        let other = KeyRing::new(SealKey::random(), vec![]);
        assert!(
            other
                .open(Purpose::State, b"app.example.com", &sealed)
                .is_err()
        );
        for cut in 0..sealed.len() {
            assert!(
                ring.open(Purpose::State, b"app.example.com", &sealed[..cut])
                    .is_err()
            );
        }
    }

    #[test]
    fn keys_rotate() {
        let old = SealKey::random();
        let sealed = KeyRing::new(old.clone(), vec![]).seal(Purpose::State, b"", b"plain");
        let rotated = KeyRing::new(SealKey::random(), vec![old]);
        assert_eq!(
            rotated.open(Purpose::State, b"", &sealed).unwrap(),
            b"plain"
        );
    }

    #[test]
    fn parts_do_not_open_what_others_seal() {
        let (older, newer) = (SealKey::random(), SealKey::random());
        let ring = KeyRing::new(older.clone(), vec![]);
        let shop = ring.of_part("shop");
        let sealed = shop.seal(Purpose::Session, b"", b"plain");
        assert!(ring.open(Purpose::Session, b"", &sealed).is_err());
        assert!(
            ring.of_part("things")
                .open(Purpose::Session, b"", &sealed)
                .is_err()
        );
        let rotated = KeyRing::new(newer, vec![older]).of_part("shop");
        assert!(rotated.open(Purpose::Session, b"", &sealed).is_ok());
    }

    #[test]
    fn the_ring_alone_does_not_open_what_a_secret_sealed() {
        let ring = KeyRing::new(SealKey::random(), vec![]);
        let sealed = ring.seal_with_secret(Purpose::Session, b"cookie", b"", b"plain");
        assert!(ring.open(Purpose::Session, b"", &sealed).is_err());
        assert!(
            ring.open_with_secret(Purpose::Session, b"other", b"", &sealed)
                .is_err()
        );
        assert!(
            ring.open_with_secret(Purpose::Session, b"cookie", b"", &sealed)
                .is_ok()
        );
    }

    #[test]
    fn key_text_is_read_back() {
        let key = SealKey::random();
        assert_eq!(
            SealKey::from_text(&format!("{}\n", key.to_text()))
                .unwrap()
                .0,
            key.0
        );
        assert!(SealKey::from_text("changeme").is_none());
    }

    #[test]
    fn a_placeholder_is_no_key() {
        for octets in [[0; 32], *b"abcabcabcabcabcabcabcabcabcabcab"] {
            assert!(SealKey::from_text(&SealKey::from_bytes(octets).to_text()).is_none());
        }
        for _ in 0..1000 {
            assert!(SealKey::random().looks_random());
        }
    }

    #[test]
    fn nothing_is_sealed_the_same_way_twice() {
        let ring = KeyRing::new(SealKey::random(), vec![]);
        assert_ne!(
            ring.seal(Purpose::State, b"", b"plain"),
            ring.seal(Purpose::State, b"", b"plain")
        );
    }

    #[test]
    fn a_changed_octet_anywhere_is_noticed() {
        let ring = KeyRing::new(SealKey::random(), vec![SealKey::random()]);
        let sealed = ring.seal(Purpose::State, b"", b"plain");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(ring.open(Purpose::State, b"", &changed).is_err());
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let ring = KeyRing::new(SealKey::random(), vec![SealKey::random()]);
        assert_eq!(
            format!("{ring:?}"),
            "KeyRing { first: SealKey(…), older: [SealKey(…)] }"
        );
    }
}
