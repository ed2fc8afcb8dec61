//! Partners, and registrations that wait for somebody's word: parts of the onboarding policy.

use std::time::Duration;

use crate::identity::{AccountType, EmailAddress, PartnerId};

/// People of partner organisations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartnerPolicy {
    /// Who takes in people who give no code; none where a code is required.
    pub without_code: Option<PartnerId>,
}

/// Registrations that wait for somebody's word before anything is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// The account types that wait for the back office.
    pub account_types: Vec<AccountType>,
    /// Who in the back office is written to.
    pub notify: Vec<EmailAddress>,
    /// After how long the letters are sent once more.
    pub remind_after: Duration,
    /// After how long a request is over that nobody answered.
    pub expires_after: Duration,
    /// How long somebody who was rejected cannot ask again.
    pub ask_again_after: Duration,
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self {
            account_types: Vec::new(),
            notify: Vec::new(),
            remind_after: days(3),
            expires_after: days(14),
            ask_again_after: days(7),
        }
    }
}
