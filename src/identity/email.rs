//! The one strict e-mail parser.
//!
//! It takes the subset of RFC 5321 that people use: an unquoted local part and a host name with
//! at least one dot. Whatever two mail systems could read differently is refused.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Octets (RFC 5321, section 4.5.3.1).
const LONGEST: usize = 254;

/// An address that was parsed: one `@`, a dotted domain, no quoting, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// Why a text is not an address that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailProblem {
    /// Nothing was given.
    #[error("the address is empty")]
    Empty,
    /// Longer than 254 octets (RFC 5321, section 4.5.3.1), or a local part longer than 64.
    #[error("the address is too long")]
    TooLong,
    /// Not exactly one `@`.
    #[error("the address needs exactly one @")]
    NotOneAt,
    /// The part before the `@` holds something that we do not take.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// The part after the `@` is not a host name with a dot.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

impl EmailAddress {
    /// Parses an address; surrounding ASCII spaces are dropped and the domain is lower-cased.
    pub fn parse(text: &str) -> Result<Self, EmailProblem> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(EmailProblem::Empty);
        }
        if text.len() > LONGEST {
            return Err(EmailProblem::TooLong);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailProblem::NotOneAt)?;
        if domain.contains('@') {
            return Err(EmailProblem::NotOneAt);
        }
        if local.len() > 64 {
            return Err(EmailProblem::TooLong);
        }
        if !is_local_part(local) {
            return Err(EmailProblem::LocalPart);
        }
        let domain = canonical_domain(domain).ok_or(EmailProblem::Domain)?;
        let text = format!("{local}@{domain}");
        // A name beyond ASCII is longer in ASCII.
        if text.len() > LONGEST {
            return Err(EmailProblem::TooLong);
        }
        let at = local.len();
        Ok(Self { text, at })
    }

    /// The address, domain in lower case.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part after the `@`, in lower case and ASCII.
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The form on which uniqueness is judged: NFKC, lower case.
    pub fn folded(&self) -> String {
        self.text
            .nfkc()
            .flat_map(char::to_lowercase)
            .nfkc()
            .collect()
    }

    /// The address with all but the first letter and the domain hidden, for pages.
    pub fn masked(&self) -> String {
        let first: String = self.text.chars().take(1).collect();
        format!("{first}•••@{}", self.domain())
    }
}

/// An ASCII dot-atom (RFC 5322, section 3.2.3).
///
/// Local parts beyond ASCII are refused: look-alike letters would make two people one.
fn is_local_part(local: &str) -> bool {
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$&'*+-/=?^_`{|}~".contains(c);
    !local.is_empty()
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

fn canonical_domain(domain: &str) -> Option<String> {
    let host = url::Host::parse(domain).ok()?;
    let url::Host::Domain(name) = host else {
        return None;
    };
    let labels_are_sound = name.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    });
    let plain = !domain.contains(['%', ' ', '\t', '\r', '\n']);
    (plain && labels_are_sound && name.contains('.') && name.len() <= 253).then_some(name)
}

impl std::fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EmailAddress(…@{})", self.domain())
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailProblem;

    fn try_from(text: String) -> Result<Self, EmailProblem> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_in_ascii_is_refused() {
        let text = format!("{}@{}example", "a".repeat(20), "é.".repeat(29));
        assert!(text.len() < LONGEST);
        assert_eq!(EmailAddress::parse(&text), Err(EmailProblem::TooLong));
    }

    #[test]
    fn takes_what_people_use() {
        for (given, kept) in [
            ("mario.rossi@acme.it", "mario.rossi@acme.it"),
            (" a+b@ACME.Example ", "a+b@acme.example"),
            ("x@bücher.example", "x@xn--bcher-kva.example"),
        ] {
            assert_eq!(EmailAddress::parse(given).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn refuses_what_two_systems_could_read_differently() {
        for given in [
            "",
            "attacker@evil.com@company.com",
            "a@company.com.",
            "a@company.com\n",
            "\"a@company.com\"@evil.com",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@company.com%00@evil.com",
            "a..b@c.de",
            ".a@c.de",
            "a@localhost",
            "a@-x.de",
            "x\r\nBcc: v@x.de",
            "mıke@example.org",
            "a@company.com%00",
            "a b@c.de",
            "a@c_d.de",
            "=?utf-8?q?=0ABcc:?=@x.de\u{202e}",
        ] {
            assert!(EmailAddress::parse(given).is_err(), "{given:?} was taken");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(320))).is_err());
    }

    #[test]
    fn folds_case_for_uniqueness() {
        let upper = EmailAddress::parse("MIKE@example.org").unwrap();
        let lower = EmailAddress::parse("mike@EXAMPLE.org").unwrap();
        assert_ne!(upper, lower);
        assert_eq!(upper.folded(), lower.folded());
    }

    #[test]
    fn does_not_print_the_person() {
        let address = EmailAddress::parse("mario@acme.it").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(…@acme.it)");
        assert_eq!(address.masked(), "m•••@acme.it");
    }

    #[test]
    fn fuzzed_addresses_are_plain_or_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "addresses",
            corpus: include_str!("../../tests/fuzz/corpus/addresses.txt"),
            words: &["@", ".example", "xn--", "evil.com", "company.com", "a"],
        };
        fuzz.run(|octets| {
            let Ok(text) = std::str::from_utf8(octets) else {
                return Err(u8::MAX);
            };
            let parsed = EmailAddress::parse(text);
            if let Ok(address) = &parsed {
                let sent = address.as_str();
                assert!(
                    sent.bytes().all(|octet| octet.is_ascii_graphic()),
                    "{sent:?}"
                );
                assert_eq!(sent.matches('@').count(), 1, "{sent:?}");
                assert!(sent.ends_with(address.domain()) && address.domain().contains('.'));
                assert_eq!(EmailAddress::parse(sent).as_ref(), Ok(address));
                assert_eq!(address.folded(), sent.to_lowercase());
                // The mail server's library reads the same two halves.
                let other: lettre::Address = sent.parse().unwrap();
                assert_eq!(other.domain(), address.domain());
            }
            parsed
                .map(|address| address.domain().matches('.').count())
                .map_err(|p| p as u8)
        });
    }
}
