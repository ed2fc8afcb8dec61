//! What somebody has done of what a session may have to do first: small enough to be part of the
//! session, and to be compared on every request.

use serde::{Deserialize, Serialize};

use crate::seal;

/// One version of one agreement, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgreementPrint(u64);

impl AgreementPrint {
    /// The number for a version: the start of a digest over both names.
    pub fn of(agreement: &str, version: &str) -> Self {
        let digest = seal::digest_octets(format!("{agreement}@{version}").as_bytes());
        let start = digest.iter().take(8);
        Self(start.fold(0, |number, octet| (number << 8) | u64::from(*octet)))
    }
}

/// What somebody has done already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cleared {
    /// The versions that were accepted.
    pub agreements: Vec<AgreementPrint>,
    /// Whether their data is confirmed, or was given by themselves.
    pub verified: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_every_agreement_has_a_print_of_its_own() {
        let prints = [("terms", "1"), ("terms", "2"), ("privacy", "1")]
            .map(|(id, version)| AgreementPrint::of(id, version));
        assert!(prints[0] != prints[1] && prints[0] != prints[2] && prints[1] != prints[2]);
        assert_eq!(prints[0], AgreementPrint::of("terms", "1"));
    }
}
