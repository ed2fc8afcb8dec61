//! What an access token must say to be good here (RFC 9068, section 4; RFC 7662, section 2.2),
//! judged with strict JSON types (pure).

use serde_json::{Map, Value};

use super::super::claims::{LEEWAY, moment, subject};
use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};
use crate::seal;

/// The most scopes that are looked at.
const MOST_SCOPES: usize = 500;

/// Why what a token says does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessProblem {
    /// `iss` is another one, or no text.
    #[error("`iss` is not the configured issuer")]
    Issuer,
    /// `sub` is missing, empty, too long, or not plain ASCII text.
    #[error("`sub` is no valid subject")]
    Subject,
    /// `aud` names nobody that this gateway is.
    #[error("`aud` does not name this gateway")]
    Audience,
    /// `exp` is missing, no moment, or past.
    #[error("`exp` is past or no moment")]
    Expired,
    /// `iat` is in the future or no moment.
    #[error("`iat` is in the future or no moment")]
    IssuedAt,
    /// `nbf` is in the future or no moment.
    #[error("`nbf` is in the future or no moment")]
    NotBefore,
    /// It is good only for whoever has a key (`cnf`), which a bearer token cannot show.
    #[error("the token is bound to a key (`cnf`)")]
    Bound,
    /// It is an ID token, a logout token or a refresh token.
    #[error("the token is of another kind")]
    Kind,
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The configured issuer.
    pub issuer: &'a Issuer,
    /// As whom this gateway is known to it; one of them is enough.
    pub audiences: &'a [String],
    /// Whether an answer to introspection may name nobody.
    pub without_audience: bool,
    /// The claim with the scopes.
    pub scopes_claim: &'a str,
    /// The present moment.
    pub now: Timestamp,
}

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub subject: Subject,
    /// What the token is good for.
    pub scopes: Vec<String>,
    /// When it ends.
    pub ends_at: Timestamp,
    /// When its user authenticated: `auth_time`, else `iat`, else the present.
    pub authenticated_at: Timestamp,
}

/// The issuer that a signed token names, not yet believed; none where the token is not signed, so
/// that only its issuer can say what it is.
pub fn unverified_issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next()?, parts.next()?);
    let is_compact = parts.next().is_some() && parts.next().is_none();
    let header = object(header).filter(|header| is_compact && header.contains_key("alg"));
    header?;
    let named = object(claims).and_then(|claims| Some(claims.get("iss")?.as_str()?.to_owned()));
    Some(named.unwrap_or_default())
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&seal::from_base64(part)?).ok()
}

/// Judges the claims of a token whose signature fits.
pub fn judge(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Holding, AccessProblem> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer.as_str()) {
        return Err(AccessProblem::Issuer);
    }
    let audience = claims.get("aud").ok_or(AccessProblem::Audience)?;
    check_audience(audience, expected.audiences)?;
    check_kind(claims)?;
    let ends_at = moment(claims, "exp").ok().flatten();
    let ends_at = ends_at.ok_or(AccessProblem::Expired)?;
    holding(claims, expected, (ends_at, subject_of(claims)?))
}

/// Judges what an issuer says of a token that it calls active. What such an answer leaves out
/// (RFC 7662, section 2.2) the issuer has judged, except for whom the token is: that counts as
/// judged only where the operator says so. What it says must hold. A token without a subject
/// is that of a program, one without an end lives until `until`.
pub fn judge_answer(
    answer: &Map<String, Value>,
    expected: &Expected<'_>,
    until: Timestamp,
) -> Result<Holding, AccessProblem> {
    let issuer = answer.get("iss");
    if issuer.is_some_and(|own| own.as_str() != Some(expected.issuer.as_str())) {
        return Err(AccessProblem::Issuer);
    }
    match answer.get("aud") {
        Some(audience) => check_audience(audience, expected.audiences)?,
        None if expected.without_audience => {}
        None => return Err(AccessProblem::Audience),
    }
    check_kind(answer)?;
    let ends_at = moment(answer, "exp").map_err(|_| AccessProblem::Expired)?;
    let subject = match answer.get("sub").filter(|sub| !sub.is_null()) {
        Some(_) => subject_of(answer)?,
        None => program(answer)?,
    };
    holding(answer, expected, (ends_at.unwrap_or(until), subject))
}

fn holding(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
    (ends_at, subject): (Timestamp, Subject),
) -> Result<Holding, AccessProblem> {
    let latest = expected.now.plus(LEEWAY);
    if ends_at <= expected.now {
        return Err(AccessProblem::Expired);
    }
    let issued = moment(claims, "iat").map_err(|_| AccessProblem::IssuedAt)?;
    if issued.is_some_and(|at| at > latest) {
        return Err(AccessProblem::IssuedAt);
    }
    let from = moment(claims, "nbf").map_err(|_| AccessProblem::NotBefore)?;
    if from.is_some_and(|from| from > latest) {
        return Err(AccessProblem::NotBefore);
    }
    let authenticated = moment(claims, "auth_time").ok().flatten().or(issued);
    Ok(Holding {
        subject,
        scopes: scopes(claims.get(expected.scopes_claim)),
        ends_at,
        authenticated_at: authenticated.unwrap_or(expected.now),
    })
}

fn subject_of(claims: &Map<String, Value>) -> Result<Subject, AccessProblem> {
    subject(claims).map_err(|_| AccessProblem::Subject)
}

/// The subject of a token that is nobody's but the program's own.
fn program(claims: &Map<String, Value>) -> Result<Subject, AccessProblem> {
    let named = claims.get("client_id").cloned();
    let only = named.map(|named| ("sub".to_owned(), named)).into_iter();
    subject_of(&only.collect())
}

fn check_audience(audience: &Value, own: &[String]) -> Result<(), AccessProblem> {
    let names_us = !named_in(audience, own).is_empty();
    names_us.then_some(()).ok_or(AccessProblem::Audience)
}

/// Those of our own names that an audience has: one text or a list of texts (RFC 7519, section 4.1.3).
pub fn named_in(audience: &Value, own: &[String]) -> Vec<String> {
    let all = match audience {
        Value::Array(all) => all.as_slice(),
        only => std::slice::from_ref(only),
    };
    let is_named = |own: &&String| all.iter().any(|one| one.as_str() == Some(own));
    own.iter().filter(is_named).cloned().collect()
}

/// ID tokens are for clients, logout tokens say that somebody is gone, and a token that is bound to
/// a key was stolen from whoever has it (RFC 9449, section 7.1; RFC 8705, section 3).
fn check_kind(claims: &Map<String, Value>) -> Result<(), AccessProblem> {
    if claims.contains_key("cnf") {
        return Err(AccessProblem::Bound);
    }
    let is_other = ["at_hash", "c_hash", "s_hash", "events"]
        .iter()
        .any(|claim| claims.contains_key(*claim));
    let kind = claims
        .get("typ")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_foreign = ["ID", "Refresh", "Offline", "Logout"].contains(&kind);
    // Some servers also answer for refresh tokens, and say so.
    let used_as = claims.get("token_use").and_then(Value::as_str);
    let is_for_issuer =
        used_as.is_some_and(|word| ["refresh_token", "refresh", "id"].contains(&word));
    if is_other || is_foreign || is_for_issuer {
        return Err(AccessProblem::Kind);
    }
    Ok(())
}

/// One text with spaces between (RFC 8693, section 4.2), or a list of texts.
fn scopes(claim: Option<&Value>) -> Vec<String> {
    let texts: Vec<&str> = match claim {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let named = texts.into_iter().filter(|scope| !scope.is_empty());
    named.take(MOST_SCOPES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::jwt::{Algorithm, TokenKind, UnverifiedToken};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn good() -> Value {
        json!({
            "iss": "https://idp.example", "sub": "mario", "aud": ["https://api.example", "other"],
            "exp": 1_800_000_300, "iat": 1_800_000_000, "client_id": "app", "scope": "read write",
        })
    }

    fn expecting<T>(ask: impl Fn(&Expected<'_>) -> T) -> T {
        let (issuer, own) = (Issuer::new("https://idp.example"), "https://api.example");
        ask(&Expected {
            issuer: &issuer,
            audiences: &[own.to_owned()],
            without_audience: false,
            scopes_claim: "scope",
            now: NOW,
        })
    }

    fn judged(claims: &Value) -> Result<Holding, AccessProblem> {
        expecting(|expected| judge(claims.as_object().unwrap(), expected))
    }

    fn answered(claims: &Value) -> Result<Holding, AccessProblem> {
        let until = NOW.plus(std::time::Duration::from_mins(1));
        expecting(|expected| judge_answer(claims.as_object().unwrap(), expected, until))
    }

    fn with(name: &str, value: Value) -> Result<Holding, AccessProblem> {
        let mut claims = good();
        claims[name] = value;
        judged(&claims)
    }

    #[test]
    fn a_good_token_says_who_for_what_and_until_when() {
        let holding = judged(&good()).unwrap();
        assert_eq!(holding.subject.as_str(), "mario");
        assert_eq!(holding.scopes, ["read", "write"]);
        assert_eq!(holding.ends_at.seconds(), 1_800_000_300);
    }

    #[test]
    fn what_does_not_hold_is_refused() {
        use AccessProblem as P;
        for (name, value, problem) in [
            ("iss", json!("https://idp.example/"), P::Issuer),
            ("iss", json!(["https://idp.example"]), P::Issuer),
            ("aud", json!("other"), P::Audience),
            ("aud", json!([]), P::Audience),
            ("aud", json!(null), P::Audience),
            ("aud", json!("https://api.example/"), P::Audience),
            ("sub", json!(""), P::Subject),
            ("sub", json!(7), P::Subject),
            ("sub", json!("m".repeat(300)), P::Subject),
            ("exp", json!(1_800_000_000), P::Expired),
            ("exp", json!("1800000300"), P::Expired),
            ("exp", json!(1e300), P::Expired),
            ("exp", json!(-1), P::Expired),
            ("iat", json!(1_800_000_100), P::IssuedAt),
            ("nbf", json!(1_800_000_100), P::NotBefore),
            ("cnf", json!({"jkt": "x"}), P::Bound),
            ("at_hash", json!("x"), P::Kind),
            ("events", json!({}), P::Kind),
            ("typ", json!("ID"), P::Kind),
        ] {
            assert_eq!(with(name, value.clone()), Err(problem), "{name} {value}");
        }
        for name in ["iss", "aud", "sub", "exp"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert!(judged(&claims).is_err(), "{name}");
        }
    }

    #[test]
    fn scopes_are_one_text_or_a_list() {
        for (claim, expected) in [
            (json!("a  b"), vec!["a", "b"]),
            (json!(["a", "b", 7]), vec!["a", "b"]),
            (json!({"a": true}), vec![]),
            (json!(""), vec![]),
        ] {
            assert_eq!(with("scope", claim).unwrap().scopes, expected);
        }
    }

    #[test]
    fn what_an_issuer_leaves_out_it_has_judged_and_what_it_says_holds() {
        let ours = json!({"active": true, "client_id": "cron", "aud": "https://api.example"});
        let program = answered(&ours).unwrap();
        assert_eq!(program.subject.as_str(), "cron");
        assert_eq!(program.ends_at.seconds(), 1_800_000_060);
        for wrong in [
            json!({"aud": "other"}),
            json!({"iss": "https://evil.example"}),
            json!({"exp": 1}),
            json!({"cnf": {}}),
            json!({"sub": 7}),
            json!({"client_id": null}),
        ] {
            let mut answer = ours.clone();
            let members = answer.as_object_mut().unwrap();
            members.extend(wrong.as_object().unwrap().clone());
            assert!(answered(&answer).is_err(), "{wrong}");
        }
    }

    #[test]
    fn for_whom_a_token_is_may_be_left_out_only_where_the_operator_says_so() {
        let answer = json!({"client_id": "cron"});
        assert_eq!(answered(&answer), Err(AccessProblem::Audience));
        let until = NOW.plus(std::time::Duration::from_mins(1));
        let judged = |answer: &Value| {
            expecting(|expected| {
                let trusting = Expected {
                    without_audience: true,
                    ..*expected
                };
                judge_answer(answer.as_object().unwrap(), &trusting, until)
            })
        };
        assert!(judged(&answer).is_ok());
        let other = json!({"client_id": "cron", "aud": "other"});
        assert_eq!(judged(&other), Err(AccessProblem::Audience));
    }

    #[test]
    fn a_signed_token_names_its_issuer_and_others_name_none() {
        let part = |value: &Value| seal::to_base64(value.to_string().as_bytes());
        let signed = format!("{}.{}.c2ln", part(&json!({"alg": "ES256"})), part(&good()));
        assert_eq!(
            unverified_issuer(&signed).as_deref(),
            Some("https://idp.example")
        );
        let nameless = format!(
            "{}.{}.c2ln",
            part(&json!({"alg": "none"})),
            part(&json!({}))
        );
        assert_eq!(unverified_issuer(&nameless).as_deref(), Some(""));
        let (long, five) = ("a.".repeat(100_000), format!("{signed}.x.y"));
        for opaque in ["", "abc", "a.b.c", long.as_str(), five.as_str()] {
            assert_eq!(unverified_issuer(opaque), None);
        }
    }
    #[test]
    fn fuzzed_tokens_name_the_issuer_by_which_they_are_judged() {
        let fuzz = crate::fuzz::Fuzz {
            name: "issuers",
            corpus: include_str!("../../../tests/fuzz/corpus/issuers.txt"),
            words: &[
                "\"iss\":",
                "\"alg\":",
                "\"RS256\"",
                "https://idp.example",
                "\n",
                "\\u0069",
            ],
        };
        fuzz.run(|octets| {
            let named = |token: &str| {
                let named = unverified_issuer(token);
                let parsed =
                    UnverifiedToken::parse_as(TokenKind::AnyAccess, token, &Algorithm::ALL);
                if let Ok(parsed) = parsed {
                    let iss = parsed.claims.get("iss").and_then(Value::as_str);
                    assert_eq!(named.as_deref(), Some(iss.unwrap_or_default()));
                }
                assert!(named.is_none() || token.split('.').count() == 3);
                named.map(|named| named.is_empty())
            };
            let raw = String::from_utf8_lossy(octets);
            (named(&raw), named(&crate::fuzz::token_of(octets)))
        });
    }
}
