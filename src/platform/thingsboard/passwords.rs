//! Passwords: the rules that ThingsBoard publishes, whether one is right, and ones that nobody
//! knows.

use std::time::Duration;

use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use super::ThingsBoard;
use super::client::Call;
use super::session::token_pair;
use super::trouble::Trouble;
use crate::identity::EmailAddress;
use crate::platform::{PasswordCheck, PasswordRules};
use crate::seal;

/// How long the published rules are taken for current.
const CURRENT_FOR: Duration = Duration::from_mins(1);

/// Passwords that nobody knows are this long, where the rules allow it.
const RANDOM: usize = 40;

const UPPERCASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWERCASE: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
const SPECIALS: &[u8] = b"-_.!+*#";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublishedPolicy {
    minimum_length: Option<usize>,
    maximum_length: Option<usize>,
    minimum_uppercase_letters: Option<usize>,
    minimum_lowercase_letters: Option<usize>,
    minimum_digits: Option<usize>,
    minimum_special_characters: Option<usize>,
    allow_whitespaces: Option<bool>,
}

impl From<PublishedPolicy> for PasswordRules {
    fn from(policy: PublishedPolicy) -> Self {
        Self {
            min_length: policy.minimum_length.unwrap_or(6),
            max_length: policy.maximum_length.unwrap_or(72),
            uppercase: policy.minimum_uppercase_letters.unwrap_or(0),
            lowercase: policy.minimum_lowercase_letters.unwrap_or(0),
            digits: policy.minimum_digits.unwrap_or(0),
            specials: policy.minimum_special_characters.unwrap_or(0),
            spaces: policy.allow_whitespaces.unwrap_or(true),
        }
    }
}

impl ThingsBoard {
    /// The rules that passwords are judged by.
    pub(super) async fn published_rules(&self) -> Result<PasswordRules, Trouble> {
        let known = self.rules.lock().ok().and_then(|known| *known);
        if let Some((_, rules)) = known.filter(|(at, _)| at.elapsed() < CURRENT_FOR) {
            return Ok(rules);
        }
        let call = Call::get(&["noauth", "userPasswordPolicy"]);
        let policy: PublishedPolicy = self.client.ask_openly(call).await?;
        let rules = PasswordRules::from(policy);
        if let Ok(mut known) = self.rules.lock() {
            *known = Some((Instant::now(), rules));
        }
        Ok(rules)
    }

    /// Tries a login as ThingsBoard's own page would, for the one customer's user who has the
    /// address. Where a second factor is wanted the password alone proves too little.
    pub(super) async fn try_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, Trouble> {
        let mut found = self.users_addressed(email).await?;
        let user = found.pop().filter(|_| found.is_empty());
        // Also asked for nobody, so that it takes as long.
        let name = user
            .as_ref()
            .map_or(email.as_str(), |user| user.text("email"));
        let pair = match token_pair(&self.client, name, password).await {
            Ok(pair) => pair,
            Err(Trouble::Refused(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => {
                return Ok(PasswordCheck::Wrong);
            }
            Err(trouble) => return Err(trouble),
        };
        let Some(user) = user else {
            return Ok(PasswordCheck::Wrong);
        };
        if !pair.is_whole() {
            tracing::info!(
                user = user.id(),
                "a second factor is set: the password is not enough"
            );
            return Ok(PasswordCheck::Wrong);
        }
        let standing = self.standing(&user).await?;
        if standing.enabled && pair.user().as_deref() == user.id() {
            return Ok(PasswordCheck::Right(standing));
        }
        Ok(PasswordCheck::Wrong)
    }
}

/// A password that keeps the rules and that nobody knows.
pub(super) fn random(rules: &PasswordRules) -> SecretString {
    let mut password = String::new();
    for (letters, least) in [
        (UPPERCASE, rules.uppercase),
        (LOWERCASE, rules.lowercase),
        (DIGITS, rules.digits),
        (SPECIALS, rules.specials),
    ] {
        password.extend((0..least.max(1)).map(|_| one_of(letters)));
    }
    let length = RANDOM.max(rules.min_length).min(rules.max_length);
    let all = [UPPERCASE, LOWERCASE, DIGITS].concat();
    while password.chars().count() < length {
        password.push(one_of(&all));
    }
    SecretString::from(password)
}

/// A letter; the remainder favours none noticeably, since 2^64 is many times the count.
fn one_of(letters: &[u8]) -> char {
    let count = u64::try_from(letters.len()).unwrap_or(1);
    let number = u64::from_le_bytes(seal::random_bytes()) % count;
    let index = usize::try_from(number).unwrap_or(0);
    letters.get(index).copied().map_or('x', char::from)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn random_passwords_keep_the_rules() {
        let rules = PasswordRules {
            min_length: 12,
            max_length: 16,
            uppercase: 3,
            lowercase: 2,
            digits: 4,
            specials: 2,
            spaces: false,
        };
        let (one, other) = (random(&rules), random(&rules));
        assert_ne!(one.expose_secret(), other.expose_secret());
        let count = |test: fn(&char) -> bool| one.expose_secret().chars().filter(test).count();
        assert_eq!(one.expose_secret().len(), 16);
        assert!(count(char::is_ascii_uppercase) >= 3);
        assert!(count(char::is_ascii_lowercase) >= 2);
        assert!(count(char::is_ascii_digit) >= 4);
        assert!(count(char::is_ascii_punctuation) >= 2);
    }
}
