//! Which e-mail addresses may register themselves: not those of mailboxes that are thrown away,
//! and not those of offices instead of people, where the operator says so.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use crate::identity::EmailAddress;

/// Domains of disposable mailboxes; source and licence are in its head.
const DISPOSABLE: &str = include_str!("data/disposable_domains.txt");

/// Mailboxes named by RFC 2142, and their like.
const ROLES: [&str; 27] = [
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "contact",
    "finance",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "hr",
    "info",
    "it",
    "marketing",
    "no-reply",
    "noc",
    "noreply",
    "office",
    "postmaster",
    "privacy",
    "root",
    "sales",
    "security",
    "support",
    "webmaster",
];

/// The operator's word on addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether addresses of disposable mailboxes are refused.
    pub refuses_disposable: bool,
    /// Whether addresses of offices (`info@`, `sales@`) are refused.
    pub refuses_roles: bool,
    /// Disposable besides those that are known.
    pub disposable_too: BTreeSet<String>,
    /// Known as disposable, and welcome here.
    pub not_disposable: BTreeSet<String>,
}

/// Why an address may not register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwelcome {
    /// It is one of a disposable mailbox.
    Disposable,
    /// It is that of an office.
    Role,
}

impl AddressPolicy {
    /// Whether somebody may register with an address.
    pub fn judge(&self, address: &EmailAddress) -> Result<(), Unwelcome> {
        if self.refuses_disposable && self.is_disposable(address.domain()) {
            return Err(Unwelcome::Disposable);
        }
        if self.refuses_roles && is_role(address) {
            return Err(Unwelcome::Role);
        }
        Ok(())
    }

    /// A domain counts with all below it; the longest name that is listed decides.
    fn is_disposable(&self, domain: &str) -> bool {
        for name in upwards(domain) {
            if self.not_disposable.contains(name) {
                return false;
            }
            if self.disposable_too.contains(name) || KNOWN.contains(name) {
                return true;
            }
        }
        false
    }
}

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = DISPOSABLE.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
});

/// `a.b.example`, `b.example`, `example`.
fn upwards(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |name| {
        name.split_once('.').map(|(_, above)| above)
    })
}

fn is_role(address: &EmailAddress) -> bool {
    let folded = address.folded();
    let local = folded.split(['@', '+']).next().unwrap_or_default();
    ROLES.contains(&local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &AddressPolicy, address: &str) -> Result<(), Unwelcome> {
        policy.judge(&EmailAddress::parse(address).unwrap())
    }

    fn strict() -> AddressPolicy {
        AddressPolicy {
            refuses_disposable: true,
            refuses_roles: true,
            ..AddressPolicy::default()
        }
    }

    #[test]
    fn disposable_mailboxes_are_known_with_all_below_them() {
        for address in ["a@mailinator.com", "a@x.MAILINATOR.com", "a@yopmail.com"] {
            assert_eq!(judge(&strict(), address), Err(Unwelcome::Disposable));
            assert_eq!(judge(&AddressPolicy::default(), address), Ok(()));
        }
        for address in [
            "a@gmail.com",
            "a@mailinator.com.acme.example",
            "a@acme.example",
        ] {
            assert_eq!(judge(&strict(), address), Ok(()), "{address}");
        }
    }

    #[test]
    fn the_operator_adds_and_excepts() {
        let policy = AddressPolicy {
            disposable_too: ["example".to_owned()].into(),
            not_disposable: ["acme.example".to_owned(), "mailinator.com".to_owned()].into(),
            ..strict()
        };
        assert_eq!(
            judge(&policy, "a@burner.example"),
            Err(Unwelcome::Disposable)
        );
        assert_eq!(judge(&policy, "a@mail.acme.example"), Ok(()));
        assert_eq!(judge(&policy, "a@mailinator.com"), Ok(()));
    }

    #[test]
    fn offices_are_no_people() {
        for address in ["info@acme.example", "Sales+x@acme.example"] {
            assert_eq!(judge(&strict(), address), Err(Unwelcome::Role));
        }
        assert_eq!(judge(&strict(), "information@acme.example"), Ok(()));
    }

    #[test]
    fn the_list_is_of_domains() {
        assert!(KNOWN.len() > 5_000);
        for domain in KNOWN.iter() {
            let address = EmailAddress::parse(&format!("a@{domain}"));
            assert_eq!(
                address.map(|one| one.domain().to_owned()).as_deref(),
                Ok(*domain)
            );
        }
    }
}
