//! How somebody must have signed in for a rule: strongly enough, and not too long ago (RFC 9470).
//! Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::identity::{Claims, VerifiedIdentity, VouchedBy};

/// How far the clocks of gateway and identity provider may be apart.
const LEEWAY: Duration = Duration::from_mins(1);

/// What a rule asks of a sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUp {
    /// The authentication context classes of which one is needed (OpenID Connect Core 1.0,
    /// section 2, `acr`); empty where any will do.
    pub acr: Vec<String>,
    /// How long ago somebody may have authenticated.
    pub max_age: Option<Duration>,
}

/// How somebody has signed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignIn<'a> {
    /// The class, where it is told.
    pub acr: Option<&'a str>,
    /// When, where it is told.
    pub at: Option<Timestamp>,
}

/// What a sign-in lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// Its class is none of those that are needed.
    #[error("the sign-in is not of a class that is needed")]
    Class,
    /// It is too long ago, or nobody says when it was.
    #[error("the sign-in is too long ago")]
    Age,
}

impl<'a> SignIn<'a> {
    /// What the claims of a verified token say. `iat` tells when a token was made, which is not
    /// when anybody authenticated.
    fn of_claims(claims: &'a Claims) -> Self {
        let at = claims.get("auth_time").and_then(Value::as_f64);
        Self {
            acr: claims.get("acr").and_then(Value::as_str),
            at: at.and_then(Timestamp::from_numeric_date),
        }
    }

    /// What is known of an identity: the gateway was there itself when a password was checked.
    pub fn of_identity(identity: &'a VerifiedIdentity) -> Self {
        match identity.vouched_by() {
            VouchedBy::Provider(_) => Self::of_claims(identity.claims()),
            VouchedBy::Platform => Self {
                acr: None,
                at: Some(identity.authenticated_at()),
            },
            VouchedBy::MailedLink => Self::default(),
        }
    }
}

impl StepUp {
    /// What a sign-in lacks; none where it is good enough.
    pub fn shortfall(&self, sign_in: &SignIn<'_>, now: Timestamp) -> Option<Shortfall> {
        let is_wanted = |acr: &str| self.acr.iter().any(|own| own == acr);
        if !self.acr.is_empty() && !sign_in.acr.is_some_and(is_wanted) {
            return Some(Shortfall::Class);
        }
        let max_age = self.max_age?;
        let is_recent = sign_in
            .at
            .is_some_and(|at| at <= now.plus(LEEWAY) && now <= at.plus(max_age).plus(LEEWAY));
        (!is_recent).then_some(Shortfall::Age)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn wanted(acr: &[&str], minutes: Option<u64>) -> StepUp {
        StepUp {
            acr: acr.iter().map(|&one| one.to_owned()).collect(),
            max_age: minutes.map(Duration::from_mins),
        }
    }

    fn lacks(wanted: &StepUp, claims: &Value) -> Option<Shortfall> {
        let claims = claims.as_object().unwrap().clone().into();
        wanted.shortfall(&SignIn::of_claims(&claims), NOW)
    }

    #[test]
    fn one_of_the_classes_is_needed_as_it_is_written() {
        let mfa = wanted(&["mfa", "phr"], None);
        for acr in ["mfa", "phr"] {
            assert_eq!(lacks(&mfa, &json!({ "acr": acr })), None);
        }
        for claims in [
            json!({}),
            json!({ "acr": "pwd" }),
            json!({ "acr": "MFA" }),
            json!({ "acr": "mfa phr" }),
            json!({ "acr": ["mfa"] }),
            json!({ "acr": null }),
            json!({ "amr": ["mfa"] }),
        ] {
            assert_eq!(lacks(&mfa, &claims), Some(Shortfall::Class), "{claims}");
        }
    }

    #[test]
    fn the_moment_is_that_of_the_authentication_and_of_nothing_else() {
        let recent = wanted(&[], Some(5));
        let seconds = NOW.seconds();
        for at in [seconds, seconds - 300, seconds + 30] {
            assert_eq!(lacks(&recent, &json!({ "auth_time": at })), None, "{at}");
        }
        for claims in [
            json!({ "iat": seconds }),
            json!({ "auth_time": seconds - 400 }),
            json!({ "auth_time": seconds + 400 }),
            json!({ "auth_time": seconds.to_string() }),
            json!({ "auth_time": -1 }),
            json!({ "auth_time": 1e300 }),
        ] {
            assert_eq!(lacks(&recent, &claims), Some(Shortfall::Age), "{claims}");
        }
    }

    proptest! {
        #[test]
        fn whoever_is_good_enough_for_more_is_good_enough_for_less(
            acr in "a|b|c", age in 0i64..10_000, allowed in 1u64..100, more in 0u64..100
        ) {
            let claims = json!({ "acr": acr, "auth_time": NOW.seconds() - age });
            let strict = wanted(&["a"], Some(allowed));
            if lacks(&strict, &claims).is_none() {
                prop_assert_eq!(lacks(&wanted(&["a", "b"], Some(allowed + more)), &claims), None);
                prop_assert_eq!(lacks(&wanted(&["a"], None), &claims), None);
                prop_assert_eq!(lacks(&wanted(&[], Some(allowed)), &claims), None);
            }
        }
    }
}
