//! What an ID token must say to be for this login (OpenID Connect Core 1.0, section 3.1.3.7),
//! judged with strict JSON types and one leeway (pure).

use std::time::Duration;

use serde_json::{Map, Value};

use super::jwt::Algorithm;
use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};
use crate::seal;

/// How far the clocks of gateway and identity provider may be apart.
pub const LEEWAY: Duration = Duration::from_mins(1);
/// How old an ID token may be when it arrives; it was issued for the code that was just sent.
pub const MAX_ISSUED_AGE: Duration = Duration::from_mins(10);
/// The longest subject (OpenID Connect Core 1.0, section 2), characters.
const MAX_SUBJECT: usize = 255;

/// Why a token's claims do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsProblem {
    /// `iss` is another one, or no text.
    #[error("`iss` is not the configured issuer")]
    Issuer,
    /// `sub` is missing, empty, too long, or not plain ASCII text.
    #[error("`sub` is no valid subject")]
    Subject,
    /// `aud` does not name this client, or names others without `azp`.
    #[error("`aud` is not for this client")]
    Audience,
    /// `azp` is another client.
    #[error("`azp` is another client")]
    AuthorizedParty,
    /// `exp` is missing, no moment, or past.
    #[error("`exp` is past or no moment")]
    Expired,
    /// `iat` is missing, no moment, in the future, or long ago.
    #[error("`iat` is in the future, long ago, or no moment")]
    IssuedAt,
    /// `nbf` is in the future or no moment.
    #[error("`nbf` is in the future or no moment")]
    NotBefore,
    /// `nonce` is not the one that was sent.
    #[error("`nonce` is not the one that was sent")]
    Nonce,
    /// `auth_time` is missing though asked for, in the future, too long ago, or no moment.
    #[error("`auth_time` is missing, in the future, too long ago, or no moment")]
    AuthenticatedAt,
    /// `at_hash` or `c_hash` does not fit.
    #[error("`at_hash` or `c_hash` does not fit")]
    Hash,
}

/// What a token must say.
#[derive(Debug)]
pub struct Expected<'login> {
    /// The configured issuer.
    pub issuer: &'login Issuer,
    /// This client.
    pub client_id: &'login str,
    /// The nonce that was sent.
    pub nonce: &'login str,
    /// The `max_age` that was sent.
    pub max_age: Option<Duration>,
    /// The access token that came with it.
    pub access_token: &'login str,
    /// The code that it was got for.
    pub code: &'login str,
    /// The present moment.
    pub now: Timestamp,
}

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub subject: Subject,
    /// When they authenticated: `auth_time`, else `iat`.
    pub authenticated_at: Timestamp,
}

/// Judges the claims of a token whose signature fits.
pub fn judge(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    expected: &Expected<'_>,
) -> Result<Holding, ClaimsProblem> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer.as_str()) {
        return Err(ClaimsProblem::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    let issued_at = check_times(claims, expected.now)?;
    check_nonce(claims, expected.nonce)?;
    for (claim, value) in [
        ("at_hash", expected.access_token),
        ("c_hash", expected.code),
    ] {
        check_hash(claims.get(claim), algorithm, value)?;
    }
    let authenticated_at = check_authentication(claims, expected)?.unwrap_or(issued_at);
    Ok(Holding {
        subject: subject(claims)?,
        authenticated_at,
    })
}

/// What an ID token must say that comes with renewed tokens.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedAgain<'a> {
    /// The provider's issuer.
    pub issuer: &'a Issuer,
    /// Our client id.
    pub client_id: &'a str,
    /// The access token that came with it.
    pub access_token: &'a str,
    /// Whom the first one was about.
    pub subject: &'a Subject,
    /// Now.
    pub now: Timestamp,
}

/// Judges the claims of an ID token that comes with renewed tokens: as the first one, without what
/// only an authorization request can be compared with (OpenID Connect Core 1.0, section 12.2).
pub fn judge_again(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    expected: &ExpectedAgain<'_>,
) -> Result<(), ClaimsProblem> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer.as_str()) {
        return Err(ClaimsProblem::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    check_times(claims, expected.now)?;
    check_hash(claims.get("at_hash"), algorithm, expected.access_token)?;
    let is_same = subject(claims)? == *expected.subject;
    is_same.then_some(()).ok_or(ClaimsProblem::Subject)
}

/// The subject of a token or a userinfo answer.
pub fn subject(claims: &Map<String, Value>) -> Result<Subject, ClaimsProblem> {
    let text = claims
        .get("sub")
        .and_then(Value::as_str)
        .ok_or(ClaimsProblem::Subject)?;
    let is_plain = !text.is_empty()
        && text.len() <= MAX_SUBJECT
        && text
            .bytes()
            .all(|octet| octet == b' ' || octet.is_ascii_graphic())
        && text.trim() == text;
    is_plain
        .then(|| Subject::new(text))
        .ok_or(ClaimsProblem::Subject)
}

/// Claims about the token itself, which userinfo has no say in.
const OF_THE_TOKEN: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "auth_time",
    "acr",
    "amr",
    "sid",
    "cnf",
];
/// What says that another claim is proven goes with that claim alone.
const PROOFS: [(&str, &str); 2] = [
    ("email_verified", "email"),
    ("phone_number_verified", "phone_number"),
];

/// The claims of an ID token, completed from a userinfo answer about the same subject. The ID
/// token's win; a proof from userinfo counts for userinfo's own value only.
pub fn merge(own: Map<String, Value>, mut further: Map<String, Value>) -> Map<String, Value> {
    further.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
    for (proof, proven) in PROOFS {
        let differs = own
            .get(proven)
            .is_some_and(|value| further.get(proven) != Some(value));
        if differs {
            further.remove(proof);
        }
        if !own.contains_key(proven) && further.contains_key(proven) && own.contains_key(proof) {
            further.remove(proven);
        }
    }
    further.extend(own);
    further
}

/// With further audiences, `azp` must say that the token was made for this client.
fn check_audience(claims: &Map<String, Value>, client: &str) -> Result<(), ClaimsProblem> {
    let audience = claims.get("aud").ok_or(ClaimsProblem::Audience)?;
    let others = match audience {
        Value::String(only) if only == client => 0,
        Value::Array(all) => {
            let is_text = all.iter().all(Value::is_string);
            let names_us = all.iter().any(|one| one.as_str() == Some(client));
            if !is_text || !names_us {
                return Err(ClaimsProblem::Audience);
            }
            all.len() - 1
        }
        _ => return Err(ClaimsProblem::Audience),
    };
    match claims.get("azp") {
        Some(party) if party.as_str() == Some(client) => Ok(()),
        Some(_) => Err(ClaimsProblem::AuthorizedParty),
        None if others > 0 => Err(ClaimsProblem::Audience),
        None => Ok(()),
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, ClaimsProblem> {
    let expires = moment(claims, "exp")
        .ok()
        .flatten()
        .ok_or(ClaimsProblem::Expired)?;
    if expires.plus(LEEWAY) <= now {
        return Err(ClaimsProblem::Expired);
    }
    let issued = moment(claims, "iat")
        .ok()
        .flatten()
        .ok_or(ClaimsProblem::IssuedAt)?;
    if issued > now.plus(LEEWAY) || issued.plus(MAX_ISSUED_AGE).plus(LEEWAY) < now {
        return Err(ClaimsProblem::IssuedAt);
    }
    match moment(claims, "nbf") {
        Ok(None) => Ok(issued),
        Ok(Some(from)) if from <= now.plus(LEEWAY) => Ok(issued),
        _ => Err(ClaimsProblem::NotBefore),
    }
}

fn check_nonce(claims: &Map<String, Value>, sent: &str) -> Result<(), ClaimsProblem> {
    let nonce = claims
        .get("nonce")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let fits = !sent.is_empty() && seal::equal(nonce.as_bytes(), sent.as_bytes());
    fits.then_some(()).ok_or(ClaimsProblem::Nonce)
}

fn check_hash(
    claim: Option<&Value>,
    algorithm: Algorithm,
    value: &str,
) -> Result<(), ClaimsProblem> {
    let Some(claim) = claim else {
        return Ok(());
    };
    let wanted = seal::left_half(algorithm.hash_size(), value.as_bytes());
    let fits = claim
        .as_str()
        .is_some_and(|found| seal::equal(found.as_bytes(), wanted.as_bytes()));
    fits.then_some(()).ok_or(ClaimsProblem::Hash)
}

fn check_authentication(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Option<Timestamp>, ClaimsProblem> {
    let at = moment(claims, "auth_time").map_err(|NoMoment| ClaimsProblem::AuthenticatedAt)?;
    let holds = match (at, expected.max_age) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(at), limit) => {
            at <= expected.now.plus(LEEWAY)
                && limit.is_none_or(|limit| at.plus(limit).plus(LEEWAY) >= expected.now)
        }
    };
    if holds {
        Ok(at)
    } else {
        Err(ClaimsProblem::AuthenticatedAt)
    }
}

/// A claim that should be a moment is none.
#[derive(Debug)]
pub(super) struct NoMoment;

/// A `NumericDate`; none where there is no such claim.
pub(super) fn moment(
    claims: &Map<String, Value>,
    name: &str,
) -> Result<Option<Timestamp>, NoMoment> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let moment = value.as_f64().and_then(Timestamp::from_numeric_date);
    moment.map(Some).ok_or(NoMoment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn good() -> Map<String, Value> {
        let Value::Object(claims) = json!({
            "iss": "https://idp.example", "sub": "abc", "aud": "vestibule", "nonce": "n",
            "exp": 1_800_000_300, "iat": 1_800_000_000,
        }) else {
            unreachable!()
        };
        claims
    }

    fn with(name: &str, value: Value) -> Result<Holding, ClaimsProblem> {
        let mut claims = good();
        claims.insert(name.to_owned(), value);
        judge_with(&claims, None)
    }

    fn without(name: &str) -> Result<Holding, ClaimsProblem> {
        let mut claims = good();
        claims.remove(name);
        judge_with(&claims, None)
    }

    fn judge_with(
        claims: &Map<String, Value>,
        max_age: Option<Duration>,
    ) -> Result<Holding, ClaimsProblem> {
        let expected = Expected {
            issuer: &Issuer::new("https://idp.example"),
            client_id: "vestibule",
            nonce: "n",
            max_age,
            access_token: "access",
            code: "code",
            now: NOW,
        };
        judge(claims, Algorithm::Rs256, &expected)
    }

    #[test]
    fn a_renewal_is_about_the_same_person_at_the_same_provider() {
        let judged = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut claims = good();
            claims.remove("nonce");
            change(&mut claims);
            let expected = ExpectedAgain {
                issuer: &Issuer::new("https://idp.example"),
                client_id: "vestibule",
                access_token: "access",
                subject: &Subject::new("abc"),
                now: NOW,
            };
            judge_again(&claims, Algorithm::Rs256, &expected)
        };
        assert_eq!(judged(&|_| {}), Ok(()));
        for (claim, value) in [
            ("sub", json!("abd")),
            ("iss", json!("https://other.example")),
            ("aud", json!("other")),
            ("exp", json!(1)),
            ("at_hash", json!("AAAA")),
        ] {
            let refused = judged(&|claims| {
                claims.insert(claim.to_owned(), value.clone());
            });
            assert!(refused.is_err(), "{claim}");
        }
    }

    #[test]
    fn a_good_token_says_who_and_when() {
        let holding = judge_with(&good(), None).unwrap();
        assert_eq!(holding.subject.as_str(), "abc");
        assert_eq!(holding.authenticated_at, NOW);
    }

    #[test]
    fn the_issuer_is_exactly_the_configured_one() {
        for iss in [
            json!("https://idp.example/"),
            json!("https://IDP.example"),
            json!("https://evil"),
            json!(["https://idp.example"]),
            json!(null),
            json!(""),
        ] {
            assert_eq!(with("iss", iss), Err(ClaimsProblem::Issuer));
        }
        assert_eq!(without("iss"), Err(ClaimsProblem::Issuer));
    }

    #[test]
    fn the_subject_is_plain_text() {
        for sub in [
            json!(""),
            json!(7),
            json!("a".repeat(10_240)),
            json!(" abc"),
            json!("abc "),
            json!("a\nb"),
            json!("ü"),
            json!(null),
            json!(["abc"]),
            json!("a\u{0}b"),
        ] {
            assert_eq!(with("sub", sub), Err(ClaimsProblem::Subject));
        }
        assert_eq!(without("sub"), Err(ClaimsProblem::Subject));
        assert!(with("sub", json!("a".repeat(255))).is_ok());
        assert!(with("sub", json!("Mario Rossi|42")).is_ok());
    }

    #[test]
    fn the_audience_names_this_client() {
        assert!(with("aud", json!(["vestibule"])).is_ok());
        for aud in [
            json!("other"),
            json!([]),
            json!(["other"]),
            json!(["vestibule", 7]),
            json!(null),
            json!("VESTIBULE"),
            json!({"vestibule": true}),
            json!(["vestibule", "other"]),
        ] {
            assert_eq!(with("aud", aud), Err(ClaimsProblem::Audience));
        }
        assert_eq!(without("aud"), Err(ClaimsProblem::Audience));
    }

    #[test]
    fn further_audiences_need_an_authorized_party() {
        let mut claims = good();
        claims.insert("aud".to_owned(), json!(["vestibule", "other"]));
        claims.insert("azp".to_owned(), json!("vestibule"));
        assert!(judge_with(&claims, None).is_ok());
        claims.insert("azp".to_owned(), json!("other"));
        assert_eq!(
            judge_with(&claims, None),
            Err(ClaimsProblem::AuthorizedParty)
        );
        assert_eq!(
            with("azp", json!(["vestibule"])),
            Err(ClaimsProblem::AuthorizedParty)
        );
    }

    #[test]
    fn it_has_not_expired() {
        assert!(
            with("exp", json!(2_147_483_648_u64)).is_ok(),
            "2038 is a year like any other"
        );
        assert!(with("exp", json!(1_800_000_000.5)).is_ok());
        assert!(
            with("exp", json!(1_799_999_941)).is_ok(),
            "within the leeway"
        );
        for exp in [
            json!(1e300),
            json!(-1),
            json!(1.5),
            json!(9_223_372_036_854_775_808_u64),
            json!("1"),
            json!(null),
            json!(true),
            json!(1_799_999_940),
        ] {
            assert_eq!(with("exp", exp), Err(ClaimsProblem::Expired));
        }
        assert_eq!(without("exp"), Err(ClaimsProblem::Expired));
    }

    #[test]
    fn it_was_issued_lately() {
        assert!(
            with("iat", json!(1_800_000_030)).is_ok(),
            "half a minute of skew"
        );
        for iat in [
            json!(1_800_000_061),
            json!(1_484_000_000),
            json!("x"),
            json!(null),
        ] {
            assert_eq!(with("iat", iat), Err(ClaimsProblem::IssuedAt));
        }
        assert_eq!(without("iat"), Err(ClaimsProblem::IssuedAt));
    }

    #[test]
    fn it_is_in_force() {
        assert!(with("nbf", json!(1_800_000_030)).is_ok());
        for nbf in [json!(1_800_000_061), json!("x"), json!(null)] {
            assert_eq!(with("nbf", nbf), Err(ClaimsProblem::NotBefore));
        }
    }

    #[test]
    fn the_nonce_is_the_one_that_was_sent() {
        for nonce in [json!("m"), json!(""), json!(null), json!(["n"]), json!("N")] {
            assert_eq!(with("nonce", nonce), Err(ClaimsProblem::Nonce));
        }
        assert_eq!(without("nonce"), Err(ClaimsProblem::Nonce));
    }

    #[test]
    fn hashes_fit_when_they_are_there() {
        let fits = seal::left_half(Algorithm::Rs256.hash_size(), b"access");
        assert!(with("at_hash", json!(fits)).is_ok());
        for wrong in [json!("x"), json!(""), json!(null), json!([fits])] {
            assert_eq!(with("at_hash", wrong.clone()), Err(ClaimsProblem::Hash));
            assert_eq!(with("c_hash", wrong), Err(ClaimsProblem::Hash));
        }
    }

    #[test]
    fn userinfo_completes_and_never_overrules() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let merged = merge(
            object(json!({"sub": "a", "email": "a@own.example", "name": "Own"})),
            object(json!({
                "sub": "a", "email": "a@own.example", "email_verified": true, "name": "Further",
                "groups": ["ops"], "sid": "x", "acr": "mfa", "iss": "y",
            })),
        );
        let expected = json!({
            "sub": "a", "email": "a@own.example", "email_verified": true, "name": "Own",
            "groups": ["ops"],
        });
        assert_eq!(Value::Object(merged), expected);
    }

    #[test]
    fn a_proof_goes_with_its_own_value() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let merged = merge(
            object(json!({"email": "victim@acme.example"})),
            object(json!({"email": "attacker@evil.example", "email_verified": true})),
        );
        assert_eq!(
            Value::Object(merged),
            json!({"email": "victim@acme.example"})
        );
        let merged = merge(
            object(json!({"email_verified": true})),
            object(json!({"email": "attacker@evil.example", "email_verified": false})),
        );
        assert_eq!(Value::Object(merged), json!({"email_verified": true}));
    }

    #[test]
    fn authentication_is_as_recent_as_asked() {
        let minute = Some(Duration::from_mins(1));
        assert_eq!(
            judge_with(&good(), minute),
            Err(ClaimsProblem::AuthenticatedAt)
        );
        for (auth_time, holds) in [
            (json!(1_800_000_000), true),
            (json!(1_799_999_900), true),
            (json!(1_799_999_800), false),
            (json!(1_800_000_061), false),
            (json!("1800000000"), false),
        ] {
            let mut claims = good();
            claims.insert("auth_time".to_owned(), auth_time.clone());
            assert_eq!(judge_with(&claims, minute).is_ok(), holds, "{auth_time}");
        }
        assert_eq!(
            with("auth_time", json!(1e300)),
            Err(ClaimsProblem::AuthenticatedAt)
        );
    }
}
