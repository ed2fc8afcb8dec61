//! A provider's public keys (RFC 7517): read strictly, found by a plain look-up, used to check
//! signatures (pure).

use jsonwebtoken::crypto::verify;
use jsonwebtoken::{Algorithm as Registered, DecodingKey};
use serde_json::{Map, Value};

use super::super::jwt::{Algorithm, TokenProblem, UnverifiedToken};
use crate::seal;

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 100;
/// RSA moduli, octets: 2048 bits (RFC 7518, section 3.3) to 8192, so that no key is weak and none
/// takes long.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa,
            Algorithm::Es256 => Self::P256,
            Algorithm::Es384 => Self::P384,
            Algorithm::EdDsa => Self::Ed25519,
        }
    }
}

#[derive(Debug, Clone)]
struct PublicKey {
    id: Option<String>,
    family: Family,
    /// The one algorithm that it is for, where it says.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
    /// Digest of the key itself.
    print: String,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        let told = |one: &Self| (one.family, one.algorithm);
        self.id == other.id && told(self) == told(other) && self.print == other.print
    }
}

impl Eq for PublicKey {}

/// The keys of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// No keys, of somebody who signs nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads a key set and keeps the keys that can check signatures; none when there is no such
    /// key. What cannot be understood is left out, as RFC 7517, section 5 has it.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let document: Map<String, Value> = serde_json::from_slice(document).ok()?;
        let keys: Vec<_> = document
            .get("keys")?
            .as_array()?
            .iter()
            .take(MAX_KEYS)
            .filter_map(|key| PublicKey::parse(key.as_object()?))
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Checks a token's signature with the one key that is its own.
    pub fn check(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenProblem> {
        let key = self.find(token.key_id.as_deref(), token.algorithm)?;
        let signature = seal::to_base64(&token.signature);
        let algorithm = registered(token.algorithm);
        match verify(&signature, token.signed, &key.key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenProblem::Signature),
        }
    }

    /// Two keys of one id and family are as good as none: which one is meant cannot be known.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, TokenProblem> {
        let mut fitting = self.0.iter().filter(|key| {
            key.family == Family::of(algorithm)
                && key.algorithm.is_none_or(|own| own == algorithm)
                && (id.is_none() || key.id.as_deref() == id)
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(TokenProblem::UnknownKey),
        }
    }
}

impl PublicKey {
    fn parse(key: &Map<String, Value>) -> Option<Self> {
        if key.get("use").is_some_and(|usage| usage != "sig") || !allows_checking(key) {
            return None;
        }
        let algorithm = match key.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::from_name(name.as_str()?)?),
        };
        let id = match key.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        let (family, material) = Material::parse(key)?;
        let fits = algorithm.is_none_or(|algorithm| Family::of(algorithm) == family);
        fits.then_some(Self {
            id,
            family,
            algorithm,
            key: material.key()?,
            print: material.print(),
        })
    }
}

fn allows_checking(key: &Map<String, Value>) -> bool {
    match key.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|one| one == "verify"),
        Some(_) => false,
    }
}

/// What a key consists of.
enum Material {
    Rsa(Vec<u8>, Vec<u8>),
    Ec(Vec<u8>, Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    fn parse(key: &Map<String, Value>) -> Option<(Family, Self)> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let octets = |name: &str| seal::from_base64(text(name)?);
        Some(match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let modulus = octets("n")?.into_iter().skip_while(|octet| *octet == 0);
                let (modulus, exponent) = (modulus.collect::<Vec<u8>>(), octets("e")?);
                let is_sound = RSA_MODULUS.contains(&modulus.len()) && is_exponent(&exponent);
                let key = Self::Rsa(modulus, exponent);
                (Family::Rsa, is_sound.then_some(key)?)
            }
            ("EC", Some("P-256")) => (Family::P256, Self::Ec(octets("x")?, octets("y")?)),
            ("EC", Some("P-384")) => (Family::P384, Self::Ec(octets("x")?, octets("y")?)),
            ("OKP", Some("Ed25519")) => (Family::Ed25519, Self::Ed25519(octets("x")?)),
            _ => return None,
        })
    }

    fn key(&self) -> Option<DecodingKey> {
        match self {
            Self::Rsa(n, e) => Some(DecodingKey::from_rsa_raw_components(n, e)),
            Self::Ec(x, y) => {
                DecodingKey::from_ec_components(&seal::to_base64(x), &seal::to_base64(y)).ok()
            }
            Self::Ed25519(x) => DecodingKey::from_ed_components(&seal::to_base64(x)).ok(),
        }
    }

    fn print(&self) -> String {
        let (one, other) = match self {
            Self::Rsa(one, other) | Self::Ec(one, other) => (one, other.as_slice()),
            Self::Ed25519(only) => (only, &[][..]),
        };
        seal::digest_parts(&[&seal::to_base64(one), &seal::to_base64(other)])
    }
}

/// An odd number of at least 3 and at most 32 bits.
fn is_exponent(octets: &[u8]) -> bool {
    let number = octets.iter().try_fold(0_u32, |number, octet| {
        number
            .checked_mul(256)
            .map(|number| number | u32::from(*octet))
    });
    number.is_some_and(|number| number >= 3 && number % 2 == 1)
}

const fn registered(algorithm: Algorithm) -> Registered {
    match algorithm {
        Algorithm::Rs256 => Registered::RS256,
        Algorithm::Rs384 => Registered::RS384,
        Algorithm::Rs512 => Registered::RS512,
        Algorithm::Ps256 => Registered::PS256,
        Algorithm::Ps384 => Registered::PS384,
        Algorithm::Ps512 => Registered::PS512,
        Algorithm::Es256 => Registered::ES256,
        Algorithm::Es384 => Registered::ES384,
        Algorithm::EdDsa => Registered::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 8037, appendix A: an Ed25519 key and a signature by it.
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const ED_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn set(keys: &[Value]) -> Option<KeySet> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn ed_key(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "kid": id})
    }

    fn ed_token(key_id: Option<&str>) -> UnverifiedToken<'static> {
        let (signed, signature) = ED_TOKEN.rsplit_once('.').unwrap();
        UnverifiedToken {
            signed: signed.as_bytes(),
            signature: seal::from_base64(signature).unwrap(),
            algorithm: Algorithm::EdDsa,
            key_id: key_id.map(str::to_owned),
            claims: Map::new(),
        }
    }

    #[test]
    fn checks_a_signature_with_the_named_key() {
        let keys = set(&[ed_key("a")]).unwrap();
        assert_eq!(keys.check(&ed_token(Some("a"))), Ok(()));
        assert_eq!(keys.check(&ed_token(None)), Ok(()));
        let mut forged = ed_token(Some("a"));
        forged.signature[3] ^= 1;
        assert_eq!(keys.check(&forged), Err(TokenProblem::Signature));
        forged.signature.truncate(10);
        assert_eq!(keys.check(&forged), Err(TokenProblem::Signature));
        forged.signature.clear();
        assert_eq!(keys.check(&forged), Err(TokenProblem::Signature));
    }

    #[test]
    fn a_key_id_is_looked_up_and_nothing_else() {
        let keys = set(&[ed_key("a"), ed_key("b")]).unwrap();
        for id in ["../../etc/passwd", "' OR 1=1--", "\r\n", "", "A"] {
            assert_eq!(
                keys.check(&ed_token(Some(id))),
                Err(TokenProblem::UnknownKey),
                "{id:?}"
            );
        }
        assert_eq!(
            keys.check(&ed_token(None)),
            Err(TokenProblem::UnknownKey),
            "which of two?"
        );
    }

    #[test]
    fn two_keys_of_one_id_are_as_good_as_none() {
        let mut other = ed_key("a");
        other["x"] = json!(seal::to_base64(&[7; 32]));
        let keys = set(&[ed_key("a"), other]).unwrap();
        assert_eq!(
            keys.check(&ed_token(Some("a"))),
            Err(TokenProblem::UnknownKey)
        );
    }

    #[test]
    fn a_signature_of_zeros_is_no_signature() {
        // A P-256 key (RFC 7515, appendix A.3).
        let keys = set(&[json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })])
        .unwrap();
        for size in [0, 1, 63, 64, 65, 1000] {
            let token = UnverifiedToken {
                signed: b"a.b",
                signature: vec![0; size],
                algorithm: Algorithm::Es256,
                key_id: None,
                claims: Map::new(),
            };
            assert_eq!(keys.check(&token), Err(TokenProblem::Signature), "{size}");
        }
    }

    #[test]
    fn keys_that_are_weak_secret_or_for_something_else_are_left_out() {
        let rsa = |octets: usize, e: &str| json!({"kty": "RSA", "n": seal::to_base64(&vec![0xff; octets]), "e": e});
        assert!(set(&[rsa(256, "AQAB")]).is_some());
        for key in [
            rsa(128, "AQAB"),
            rsa(2048, "AQAB"),
            rsa(256, "AQ"),
            rsa(256, "Ag"),
            rsa(256, "AAAB"),
            rsa(256, ""),
            rsa(256, "_________w"),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "use": "enc"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "key_ops": ["sign"]}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "alg": "none"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "alg": "RS256"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": 7}),
            json!("key"),
        ] {
            assert_eq!(set(std::slice::from_ref(&key)), None, "{key}");
            assert!(set(&[key, ed_key("a")]).is_some(), "the good ones are kept");
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>"] {
            assert_eq!(KeySet::parse(document.as_bytes()), None, "{document}");
        }
    }

    #[test]
    fn a_key_answers_for_its_own_algorithm() {
        let mut key = ed_key("a");
        key["alg"] = json!("EdDSA");
        let keys = set(&[key]).unwrap();
        assert_eq!(keys.check(&ed_token(Some("a"))), Ok(()));
        let mut token = ed_token(Some("a"));
        token.algorithm = Algorithm::Rs256;
        assert_eq!(keys.check(&token), Err(TokenProblem::UnknownKey));
    }
}
