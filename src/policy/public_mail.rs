//! Mail domains that are open to everybody, so that no rule may take them for a company.

/// One domain a line; source and licence are in its head.
const DOMAINS: &str = include_str!("public_mail_domains.txt");

/// Whether anybody can get a mailbox at this domain, lower case.
pub fn is_public(domain: &str) -> bool {
    let mut domains = DOMAINS.lines().filter(|line| !line.starts_with('#'));
    domains.any(|public| public == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_for_everybody_are_told_from_companies() {
        for public in [
            "gmail.com",
            "outlook.com",
            "libero.it",
            "web.de",
            "mailinator.com",
        ] {
            assert!(is_public(public), "{public}");
        }
        for company in ["acme.example", "ferraro-impianti.example", "# Licence", ""] {
            assert!(!is_public(company), "{company}");
        }
    }
}
