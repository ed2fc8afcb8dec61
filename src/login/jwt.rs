//! The outer form of a signed token (RFC 7515, RFC 8725): taken apart and judged before any key is
//! looked for (pure). What it says is judged in [`super::claims`].

use serde_json::{Map, Value};

use crate::seal::{self, HashSize};

/// Larger tokens are refused unread, octets; a token with 200 groups has about 8 KiB.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A signature algorithm that a token may have. There is no `none`, and none with a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Those that are taken where the operator names none.
    pub const DEFAULT: [Self; 4] = [Self::Rs256, Self::Es256, Self::EdDsa, Self::Ps256];

    /// The name in tokens and configuration (RFC 7518, section 3.1; RFC 8037).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The hash of `at_hash` and `c_hash` (OpenID Connect Core 1.0, section 3.1.3.6).
    pub const fn hash_size(self) -> HashSize {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => HashSize::Sha256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => HashSize::Sha384,
            Self::Rs512 | Self::Ps512 | Self::EdDsa => HashSize::Sha512,
        }
    }
}

/// Why a token is not genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// It is too large.
    #[error("the token is larger than {MAX_TOKEN} octets")]
    TooLarge,
    /// It has not three parts of canonical base64url, the first two JSON objects.
    #[error("the token is not a signed token in compact form")]
    Form,
    /// Its algorithm is not among those configured.
    #[error("the token's algorithm is not among those configured")]
    Algorithm,
    /// It is of another kind (`typ`).
    #[error("the token is of another kind")]
    Kind,
    /// It wants something understood that is not (`crit`, `b64`, `cty`).
    #[error("the token has critical header parameters")]
    Critical,
    /// No key, or more than one, is its own.
    #[error("no key of the identity provider is the token's")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    Signature,
}

/// What kind of token is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An ID token.
    Id,
    /// An access token that says so: `at+jwt` (RFC 9068, section 2.1).
    Access,
    /// An access token that may also call itself `JWT`, or nothing.
    AnyAccess,
}

impl TokenKind {
    /// Whether a token of this media type (`typ`), lower case and without `application/`, is one.
    fn has(self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (Self::Id | Self::AnyAccess, None | Some("jwt"))
            | (Self::Access | Self::AnyAccess, Some("at+jwt")) => true,
            (Self::Id | Self::Access | Self::AnyAccess, _) => false,
        }
    }
}

/// A token taken apart; nothing it says is true yet.
#[derive(Debug)]
pub struct UnverifiedToken<'token> {
    /// What was signed.
    pub signed: &'token [u8],
    /// The signature.
    pub signature: Vec<u8>,
    /// The algorithm, one of those allowed.
    pub algorithm: Algorithm,
    /// Which key it names.
    pub key_id: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
}

impl<'token> UnverifiedToken<'token> {
    /// Takes an ID token apart. Keys or key addresses inside it (`jwk`, `jku`, `x5u`, `x5c`) are
    /// not looked at.
    pub fn parse(token: &'token str, allowed: &[Algorithm]) -> Result<Self, TokenProblem> {
        Self::parse_as(TokenKind::Id, token, allowed)
    }

    /// [`UnverifiedToken::parse`] for other kinds.
    pub fn parse_as(
        kind: TokenKind,
        token: &'token str,
        allowed: &[Algorithm],
    ) -> Result<Self, TokenProblem> {
        if token.len() > MAX_TOKEN {
            return Err(TokenProblem::TooLarge);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenProblem::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Form)?;
        let header = object(header)?;
        let algorithm = algorithm(&header, allowed)?;
        check_kind(&header, kind)?;
        Ok(Self {
            signed: signed.as_bytes(),
            signature: seal::from_base64(signature).ok_or(TokenProblem::Form)?,
            algorithm,
            key_id: key_id(&header)?,
            claims: object(claims)?,
        })
    }
}

/// A part of the token; `serde_json` itself refuses more than 128 levels.
fn object(part: &str) -> Result<Map<String, Value>, TokenProblem> {
    let octets = seal::from_base64(part).ok_or(TokenProblem::Form)?;
    serde_json::from_slice(&octets).map_err(|_| TokenProblem::Form)
}

fn algorithm(
    header: &Map<String, Value>,
    allowed: &[Algorithm],
) -> Result<Algorithm, TokenProblem> {
    header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::from_name)
        .filter(|algorithm| allowed.contains(algorithm))
        .ok_or(TokenProblem::Algorithm)
}

/// Logout tokens (`logout+jwt`) and all other declared kinds are neither ID nor access tokens.
fn check_kind(header: &Map<String, Value>, kind: TokenKind) -> Result<(), TokenProblem> {
    if ["crit", "b64", "cty", "enc", "zip"]
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return Err(TokenProblem::Critical);
    }
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) => Some(typ.to_ascii_lowercase()),
        Some(_) => return Err(TokenProblem::Kind),
    };
    let typ = typ.as_deref();
    let typ = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    kind.has(typ).then_some(()).ok_or(TokenProblem::Kind)
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, TokenProblem> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(TokenProblem::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn token(header: &Value) -> String {
        let part = |value: &Value| seal::to_base64(value.to_string().as_bytes());
        format!(
            "{}.{}.{}",
            part(header),
            part(&json!({"sub": "a"})),
            seal::to_base64(b"sig")
        )
    }

    fn judge(header: &Value) -> Result<(), TokenProblem> {
        UnverifiedToken::parse(&token(header), &Algorithm::DEFAULT).map(|_| ())
    }

    #[test]
    fn takes_the_configured_algorithms_only() {
        assert_eq!(judge(&json!({"alg": "RS256"})), Ok(()));
        for alg in [
            json!("none"),
            json!("None"),
            json!("nOnE"),
            json!(""),
            json!("HS256"),
            json!("rs256"),
            json!("RS512"),
            json!(null),
            json!(1),
            json!(["RS256"]),
        ] {
            assert_eq!(
                judge(&json!({"alg": alg})),
                Err(TokenProblem::Algorithm),
                "{alg}"
            );
        }
        assert_eq!(judge(&json!({})), Err(TokenProblem::Algorithm));
    }

    #[test]
    fn other_kinds_of_token_are_no_id_tokens() {
        assert_eq!(judge(&json!({"alg": "RS256", "typ": "JWT"})), Ok(()));
        for typ in [
            json!("at+jwt"),
            json!("logout+jwt"),
            json!("application/at+jwt"),
            json!(1),
        ] {
            let outcome = judge(&json!({"alg": "RS256", "typ": typ}));
            assert_eq!(outcome, Err(TokenProblem::Kind), "{typ}");
        }
    }

    #[test]
    fn critical_parameters_are_refused() {
        for (name, value) in [
            ("crit", json!(["x"])),
            ("crit", json!([])),
            ("b64", json!(false)),
        ] {
            let outcome = judge(&json!({"alg": "RS256", name: value}));
            assert_eq!(outcome, Err(TokenProblem::Critical), "{name}");
        }
    }

    #[test]
    fn five_parts_padding_trailing_bits_and_odd_json_are_refused() {
        let good = token(&json!({"alg": "RS256"}));
        let parse = |text: &str| UnverifiedToken::parse(text, &Algorithm::DEFAULT).map(|_| ());
        assert_eq!(parse(&good), Ok(()));
        let header = seal::to_base64(br#"{"alg":"RS256"}"#);
        let deep = seal::to_base64("[".repeat(5000).as_bytes());
        for bad in [
            String::new(),
            "a".to_owned(),
            "a.b".to_owned(),
            format!("{good}.x.y"),
            format!("{good}="),
            format!("{header}.W10.c2ln"),
            format!("{header}.{deep}.c2ln"),
            format!("{header}.e30.c2lnZh"),
            ".".repeat(10_000),
        ] {
            assert_eq!(parse(&bad), Err(TokenProblem::Form), "{bad:.80}");
        }
        assert_eq!(parse(&"a".repeat(300_000)), Err(TokenProblem::TooLarge));
    }

    #[test]
    fn a_key_id_is_text() {
        assert_eq!(
            judge(&json!({"alg": "RS256", "kid": 7})),
            Err(TokenProblem::Form)
        );
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in "\\PC{0,200}") {
            let _ = UnverifiedToken::parse(&text, &Algorithm::ALL);
        }
    }

    #[test]
    fn fuzzed_tokens_are_signed_and_of_one_spelling_or_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "tokens",
            corpus: include_str!("../../tests/fuzz/corpus/tokens.txt"),
            words: &[
                "\"alg\":",
                "\"RS256\"",
                "\"none\"",
                "\"typ\":",
                "\"JWT\"",
                "\"kid\":",
                "\"crit\":",
                "\n",
            ],
        };
        fuzz.run(|octets| {
            let raw = String::from_utf8_lossy(octets);
            let judged = |token: &str| {
                let parsed = UnverifiedToken::parse(token, &Algorithm::DEFAULT);
                if let Ok(parsed) = &parsed {
                    assert!(Algorithm::DEFAULT.contains(&parsed.algorithm));
                    assert_eq!(token.split('.').count(), 3);
                    let signed = std::str::from_utf8(parsed.signed).unwrap();
                    let signature = seal::to_base64(&parsed.signature);
                    assert_eq!(format!("{signed}.{signature}"), token, "one spelling only");
                }
                let parsed = parsed.map(|parsed| (parsed.algorithm, parsed.key_id.is_some()));
                parsed.map_err(|problem| problem as u8)
            };
            (judged(&raw), judged(&crate::fuzz::token_of(octets)))
        });
    }
}
