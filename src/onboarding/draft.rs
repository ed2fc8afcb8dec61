//! What a registration carries until it is done: personal data, kept sealed.

use serde::{Deserialize, Serialize};

use super::approval::Asked;
use super::plan::Plan;
use super::progress::RegistrationId;
use crate::identity::{AccountType, EmailAddress, VerifiedIdentity};
use crate::language::Language;
use crate::seal::{CannotOpen, KeyRing, Purpose};

/// What a registration carries until it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Who applies.
    pub identity: VerifiedIdentity,
    /// The chosen account type.
    pub account_type: AccountType,
    /// The user's address.
    pub email: EmailAddress,
    /// The user's name.
    pub name: String,
    /// The language that the page was in.
    pub language: Language,
    /// The host that the page was on.
    pub host: String,
    /// What was typed, for showing the form again.
    pub typed: std::collections::BTreeMap<String, String>,
    /// Whose word it waits for, or waited for.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// The steps.
    pub plan: Plan,
}

impl Draft {
    /// The draft as the store keeps it; it opens for this registration only.
    pub fn seal(&self, keys: &KeyRing, id: &RegistrationId) -> Result<String, CannotOpen> {
        let plain = serde_json::to_vec(self).map_err(|_| CannotOpen)?;
        Ok(keys.seal_text(Purpose::Registration, id.as_str().as_bytes(), &plain))
    }

    /// Opens what [`Draft::seal`] made.
    pub fn open(keys: &KeyRing, id: &RegistrationId, sealed: &str) -> Result<Self, CannotOpen> {
        let plain = keys.open_text(Purpose::Registration, id.as_str().as_bytes(), sealed)?;
        serde_json::from_slice(&plain).map_err(|_| CannotOpen)
    }
}
