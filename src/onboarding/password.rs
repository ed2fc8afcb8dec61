//! Passwords that applicants choose: judged by the platform's published rules, otherwise by length
//! and by how easily they are guessed; kept sealed until the platform has them.

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::RegistrationId;
use crate::platform::PasswordRules;
use crate::seal::{CannotOpen, KeyRing, Purpose};

/// The key under which a password is submitted.
pub const PASSWORD: &str = "password";

/// Where the platform publishes no rules.
const MIN_LENGTH: usize = 10;
const MAX_LENGTH: usize = 256;

/// What is demanded of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// What the platform publishes.
    Published(PasswordRules),
    /// Enough characters, and not easily guessed.
    HardToGuess,
}

/// What is wrong with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordProblem {
    /// Nothing was given.
    Missing,
    /// It is shorter than that many characters.
    TooShort {
        /// The fewest, characters.
        min: usize,
    },
    /// It is longer than that many characters.
    TooLong {
        /// The most, characters.
        max: usize,
    },
    /// It is among the first that somebody would try.
    Guessable,
    /// Too few upper-case letters.
    Uppercase,
    /// Too few lower-case letters.
    Lowercase,
    /// Too few digits.
    Digits,
    /// Too few characters that are neither letters nor digits.
    Specials,
    /// Spaces, which the platform does not take.
    Spaces,
}

impl Demand {
    /// The fewest characters.
    pub fn min_length(self) -> usize {
        match self {
            Self::Published(rules) => rules.min_length,
            Self::HardToGuess => MIN_LENGTH,
        }
    }

    fn max_length(self) -> usize {
        match self {
            Self::Published(rules) => rules.max_length.min(MAX_LENGTH),
            Self::HardToGuess => MAX_LENGTH,
        }
    }

    /// Judges a password; `known` is what others know of its owner, and would try first.
    pub fn judge(self, password: &SecretString, known: &[&str]) -> Result<(), PasswordProblem> {
        let password = password.expose_secret();
        let (min, max) = (self.min_length(), self.max_length());
        // The octets are counted first, so that nothing huge is looked at.
        let length = if password.len() > 4 * max {
            password.len()
        } else {
            password.chars().count()
        };
        if length == 0 {
            return Err(PasswordProblem::Missing);
        }
        if length < min {
            return Err(PasswordProblem::TooShort { min });
        }
        if length > max {
            return Err(PasswordProblem::TooLong { max });
        }
        match self {
            Self::Published(rules) => by_rules(password, rules),
            Self::HardToGuess => by_guessing(password, known),
        }
    }
}

fn by_rules(password: &str, rules: PasswordRules) -> Result<(), PasswordProblem> {
    let count = |is: fn(char) -> bool| password.chars().filter(|c| is(*c)).count();
    let is_special = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
    if !rules.spaces && count(char::is_whitespace) > 0 {
        return Err(PasswordProblem::Spaces);
    }
    for (found, wanted, problem) in [
        (
            count(char::is_uppercase),
            rules.uppercase,
            PasswordProblem::Uppercase,
        ),
        (
            count(char::is_lowercase),
            rules.lowercase,
            PasswordProblem::Lowercase,
        ),
        (
            count(char::is_numeric),
            rules.digits,
            PasswordProblem::Digits,
        ),
        (count(is_special), rules.specials, PasswordProblem::Specials),
    ] {
        if found < wanted {
            return Err(problem);
        }
    }
    Ok(())
}

fn by_guessing(password: &str, known: &[&str]) -> Result<(), PasswordProblem> {
    let strength = zxcvbn::zxcvbn(password, known);
    if strength.score() < zxcvbn::Score::Three {
        return Err(PasswordProblem::Guessable);
    }
    Ok(())
}

/// A password as the store keeps it; it opens for this registration only.
pub(super) fn seal(keys: &KeyRing, id: &RegistrationId, password: &SecretString) -> String {
    let plain = password.expose_secret().as_bytes();
    keys.seal_text(Purpose::Password, id.as_str().as_bytes(), plain)
}

/// Opens what [`seal`] made.
pub(super) fn open(
    keys: &KeyRing,
    id: &RegistrationId,
    sealed: &str,
) -> Result<SecretString, CannotOpen> {
    let plain = keys.open_text(Purpose::Password, id.as_str().as_bytes(), sealed)?;
    let plain = Zeroizing::new(plain);
    let text = std::str::from_utf8(&plain).map_err(|_| CannotOpen)?;
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

    fn judge(demand: Demand, password: &str) -> Result<(), PasswordProblem> {
        demand.judge(
            &SecretString::from(password),
            &["mario@acme.example", "Acme"],
        )
    }

    #[test]
    fn without_published_rules_a_password_is_long_and_hard_to_guess() {
        let judge = |password| judge(Demand::HardToGuess, password);
        assert_eq!(judge(""), Err(PasswordProblem::Missing));
        assert_eq!(judge("x7!kQ"), Err(PasswordProblem::TooShort { min: 10 }));
        for guessable in [
            "password123",
            "aaaaaaaaaaaa",
            "1234567890",
            "qwertyuiop1",
            "mario@acme.example",
        ] {
            assert_eq!(
                judge(guessable),
                Err(PasswordProblem::Guessable),
                "{guessable}"
            );
        }
        let huge = "x".repeat(100_000);
        assert_eq!(judge(&huge), Err(PasswordProblem::TooLong { max: 256 }));
        assert_eq!(judge("violet tractor umbrella"), Ok(()));
        assert_eq!(judge("grüne Äpfel im Märzwind"), Ok(()));
    }

    #[test]
    fn published_rules_are_the_only_ones_where_there_are_any() {
        let rules = PasswordRules {
            min_length: 6,
            max_length: 72,
            uppercase: 1,
            lowercase: 1,
            digits: 1,
            specials: 1,
            spaces: false,
        };
        let judge = |password| judge(Demand::Published(rules), password);
        assert_eq!(judge("Pass1!"), Ok(()));
        assert_eq!(judge("Pas1!"), Err(PasswordProblem::TooShort { min: 6 }));
        assert_eq!(judge("pass1!"), Err(PasswordProblem::Uppercase));
        assert_eq!(judge("PASS1!"), Err(PasswordProblem::Lowercase));
        assert_eq!(judge("Passs!"), Err(PasswordProblem::Digits));
        assert_eq!(judge("Passs1"), Err(PasswordProblem::Specials));
        assert_eq!(judge("Pass 1!"), Err(PasswordProblem::Spaces));
    }

    #[test]
    fn a_kept_password_opens_for_its_registration_only() {
        let keys = KeyRing::new(SealKey::random(), vec![]);
        let (one, other) = (RegistrationId::new("r-1"), RegistrationId::new("r-2"));
        let sealed = seal(&keys, &one, &SecretString::from("violet tractor"));
        assert!(!sealed.contains("violet"));
        let opened = open(&keys, &one, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "violet tractor");
        assert!(open(&keys, &other, &sealed).is_err());
    }
}
