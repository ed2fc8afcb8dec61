//! The signed assertion: a short-lived JWT (RFC 7519) by which an upstream learns whom a request
//! is from, and can tell that the gateway says so and nobody else.
//!
//! The signing keys are derived from the ring that seals: every node has the same without a store,
//! and they change with the ring. The first signs; all are published, so that what was signed
//! before a change is still believed.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use bytes::Bytes;
use http::HeaderName;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::identity::{Account, AccountType, CustomerId, VerifiedIdentity};
use crate::seal::{self, KeyRing, Purpose};

/// How assertions are made.
#[derive(Debug, Clone)]
pub struct AssertionSettings {
    /// The field that carries it.
    pub header: HeaderName,
    /// `aud`: whom it is for. A verifier refuses what is for others.
    pub audience: String,
    /// How it is signed.
    pub algorithm: AssertionAlgorithm,
    /// How long it is good for; at least twice [`FRESH_FOR`].
    pub valid_for: Duration,
}

/// How long an assertion is sent before a new one is made.
pub const FRESH_FOR: Duration = Duration::from_mins(1);

/// How an assertion is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
    Es256,
    /// Ed25519 (RFC 8037, section 3.1).
    EdDsa,
}

/// Signs assertions.
pub struct Assertions {
    settings: AssertionSettings,
    header: Header,
    key: EncodingKey,
    public: Vec<Map<String, Value>>,
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A key cannot be made, or does not sign.
#[derive(Debug, thiserror::Error)]
#[error("the assertion cannot be signed: {0}")]
pub struct CannotSign(String);

/// Whom an assertion speaks of.
#[derive(Debug, Clone, Copy)]
pub struct Bearer<'a> {
    /// The origin on which they are signed in: `iss`.
    pub origin: &'a str,
    /// Who they are in the platform; programs may be nobody there.
    pub account: Option<&'a Account>,
    /// The name of the program, where it is one.
    pub client: Option<&'a str>,
    /// Who they are for whoever vouched.
    pub identity: &'a VerifiedIdentity,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Cow<'a, str>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_type: Option<AccountType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// The keys that assertions are believed by: a JWK Set (RFC 7517, section 5).
pub fn key_set<'a>(all: impl IntoIterator<Item = &'a Assertions>) -> Bytes {
    let mut keys: Vec<&Map<String, Value>> = Vec::new();
    for key in all.into_iter().flat_map(|signing| &signing.public) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    json!({ "keys": keys }).to_string().into()
}

impl Assertions {
    /// Signs with keys of this ring.
    pub fn new(settings: AssertionSettings, ring: &KeyRing) -> Result<Self, CannotSign> {
        let seeds = ring.seeds(Purpose::Assertion);
        let made = seeds.iter().map(|seed| settings.algorithm.key(seed));
        let made = made.collect::<Result<Vec<_>, _>>()?;
        let public = made.iter().map(|key| key.public.clone()).collect();
        let first = made.into_iter().next();
        let first = first.ok_or_else(|| CannotSign("there is no key".to_owned()))?;
        let mut header = Header::new(settings.algorithm.registered());
        header.kid = Some(first.id);
        Ok(Self {
            settings,
            header,
            key: first.private,
            public,
        })
    }

    /// The field that carries assertions.
    pub fn field(&self) -> &HeaderName {
        &self.settings.header
    }

    /// Says who somebody is, from `now` on.
    pub fn sign(&self, bearer: Bearer<'_>, now: Timestamp) -> Result<String, CannotSign> {
        let (account, identity) = (bearer.account, bearer.identity);
        let email = identity.text("email");
        let customer = account.and_then(|account| account.customer.as_ref());
        let claims = Claims {
            iss: bearer.origin,
            aud: &self.settings.audience,
            sub: subject(&bearer),
            iat: now.seconds(),
            exp: now.plus(self.settings.valid_for).seconds(),
            client_id: bearer.client,
            customer: customer.map(CustomerId::as_str),
            account_type: account.and_then(|account| account.account_type),
            email,
            email_verified: email.map(|_| identity.has_proven_email()),
            name: identity.text("name"),
        };
        encode(&self.header, &claims, &self.key).map_err(|error| CannotSign(error.to_string()))
    }
}

/// Whom an assertion is about: a user of the platform's; a program that is nobody there by the one
/// who vouches and its subject there, which no user's id looks like.
fn subject<'a>(bearer: &Bearer<'a>) -> Cow<'a, str> {
    if let Some(account) = bearer.account {
        return Cow::Borrowed(account.user.as_str());
    }
    let identity = bearer.identity;
    let by = identity.vouched_by().as_str();
    Cow::Owned(format!("client:{by}:{}", identity.subject()))
}

/// A key with its name and its public half.
struct MadeKey {
    id: String,
    private: EncodingKey,
    public: Map<String, Value>,
}

impl AssertionAlgorithm {
    fn registered(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }

    fn key(self, seed: &[u8; 32]) -> Result<MadeKey, CannotSign> {
        match self {
            Self::Es256 => es256(seed),
            Self::EdDsa => ed25519(seed),
        }
    }
}

/// PKCS #8 (RFC 5958) up to the private key: an Ed25519 seed (RFC 8410, section 7).
const ED25519_HEAD: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// PKCS #8 (RFC 5958) up to the private key: a number on P-256 (RFC 5915, section 3).
const P256_HEAD: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];

fn ed25519(seed: &[u8; 32]) -> Result<MadeKey, CannotSign> {
    let private = Zeroizing::new([ED25519_HEAD, seed].concat());
    let pair = Ed25519KeyPair::from_pkcs8(&private);
    let pair = pair.map_err(|error| CannotSign(error.to_string()))?;
    let x = seal::to_base64(pair.public_key().as_ref());
    let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let public = [
        ("kty", "OKP"),
        ("crv", "Ed25519"),
        ("x", &x),
        ("alg", "EdDSA"),
    ];
    let private = EncodingKey::from_ed_der(&private);
    Ok(named(private, &thumbprint, &public))
}

/// A seed is no number on the curve once in 2^32 times; the digest of it is the next candidate.
fn es256(seed: &[u8; 32]) -> Result<MadeKey, CannotSign> {
    let mut candidate = Zeroizing::new(*seed);
    let (private, pair) = loop {
        let private = Zeroizing::new([P256_HEAD, candidate.as_slice()].concat());
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private) {
            Ok(pair) => break (private, pair),
            Err(_) => *candidate = seal::digest_octets(candidate.as_slice()),
        }
    };
    // SEC 1, section 2.3.3: an uncompressed point is 4, then x and y of 32 octets each.
    let [4, point @ ..] = pair.public_key().as_ref() else {
        return Err(CannotSign("the public key is no plain point".to_owned()));
    };
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (seal::to_base64(x), seal::to_base64(y));
    let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let (kind, alg) = (("kty", "EC"), ("alg", "ES256"));
    let public = [kind, ("crv", "P-256"), ("x", &x), ("y", &y), alg];
    let private = EncodingKey::from_ec_der(&private);
    Ok(named(private, &thumbprint, &public))
}

/// A key is called by its thumbprint (RFC 7638).
fn named(private: EncodingKey, thumbprint: &str, public: &[(&str, &str)]) -> MadeKey {
    let id = seal::digest(thumbprint.as_bytes());
    let own = [("kid", id.as_str()), ("use", "sig")];
    let members = public.iter().copied().chain(own);
    MadeKey {
        public: members
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect(),
        id,
        private,
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    use super::*;
    use crate::identity::{
        CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId, VerifiedClaims,
    };
    use crate::seal::SealKey;

    const AUDIENCE: &str = "https://things.internal";

    fn settings(algorithm: AssertionAlgorithm) -> AssertionSettings {
        AssertionSettings {
            header: HeaderName::from_static("x-vestibule-assertion"),
            audience: AUDIENCE.to_owned(),
            algorithm,
            valid_for: Duration::from_mins(5),
        }
    }

    fn key(octet: u8) -> SealKey {
        let text: Vec<u8> = (0..32).map(|place| (place * 7) ^ octet).collect();
        SealKey::from_bytes(text.try_into().unwrap())
    }

    fn account() -> Account {
        Account {
            platform: PlatformId::new("main"),
            user: UserId::new("u-1"),
            customer: Some(CustomerId::new("c-1")),
            account_type: Some(AccountType::Business),
        }
    }

    fn signed(assertions: &Assertions, now: Timestamp) -> String {
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: ProviderId::new("corp"),
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new("mario"),
            claims: serde_json::Map::new(),
            email_trusted: true,
            authenticated_at: now,
        });
        let bearer = Bearer {
            origin: "https://app.example",
            account: Some(&account()),
            client: None,
            identity: &identity,
        };
        assertions.sign(bearer, now).unwrap()
    }

    /// What a verifier reads that has this key set.
    fn read(set: &Bytes, token: &str, now: Timestamp) -> Option<Value> {
        let set: JwkSet = serde_json::from_slice(set).unwrap();
        let header = decode_header(token).unwrap();
        let jwk = set.find(header.kid.as_deref().unwrap())?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
        (claims["exp"].as_i64()? > now.seconds()).then_some(claims)
    }

    const BOTH: [AssertionAlgorithm; 2] = [AssertionAlgorithm::Es256, AssertionAlgorithm::EdDsa];

    #[test]
    fn what_is_signed_is_believed_by_the_published_keys_and_for_a_while() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for algorithm in BOTH {
            let ring = KeyRing::new(key(1), Vec::new());
            let assertions = Assertions::new(settings(algorithm), &ring).unwrap();
            let token = signed(&assertions, now);
            let claims = read(&key_set([&assertions]), &token, now).unwrap();
            assert_eq!(claims["sub"], "u-1");
            assert_eq!(claims["customer"], "c-1");
            assert_eq!(claims["account_type"], "business");
            assert_eq!(claims["iss"], "https://app.example");
            assert_eq!(claims["exp"], now.seconds() + 300);
            let later = now.plus(Duration::from_mins(6));
            assert_eq!(read(&key_set([&assertions]), &token, later), None);
        }
    }

    #[test]
    fn keys_change_with_the_ring_and_overlap() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for algorithm in BOTH {
            let of = |ring: KeyRing| Assertions::new(settings(algorithm), &ring).unwrap();
            let before = of(KeyRing::new(key(1), Vec::new()));
            let after = of(KeyRing::new(key(2), vec![key(1)]));
            let gone = of(KeyRing::new(key(2), Vec::new()));
            let old = signed(&before, now);
            assert!(read(&key_set([&after]), &old, now).is_some());
            assert!(read(&key_set([&gone]), &old, now).is_none());
            assert!(read(&key_set([&after]), &signed(&after, now), now).is_some());
            assert!(read(&key_set([&before]), &signed(&after, now), now).is_none());
        }
    }

    #[test]
    fn the_same_ring_makes_the_same_keys_on_every_node() {
        for algorithm in BOTH {
            let of = || Assertions::new(settings(algorithm), &KeyRing::new(key(3), Vec::new()));
            assert_eq!(key_set([&of().unwrap()]), key_set([&of().unwrap()]));
        }
    }

    #[test]
    fn a_key_is_called_by_its_thumbprint() {
        // RFC 8037, appendix A.1 to A.3.
        let seed = seal::from_base64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let made = ed25519(&seed.try_into().unwrap()).unwrap();
        assert_eq!(
            made.public["x"],
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        assert_eq!(made.id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_seed_that_is_no_number_on_the_curve_is_no_dead_end() {
        assert!(es256(&[0; 32]).is_ok());
        assert!(es256(&[0xff; 32]).is_ok());
    }
}
