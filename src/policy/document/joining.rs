//! The shapes of `[partner]` and `[approval]` in `policies/onboarding.toml`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::identity::AccountType;
use crate::operator_file::{At, Parsed};

/// People of partner organisations.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerShape {
    /// The partner, as the platform names it, that takes in people who give no code. Default:
    /// none, so that a code is required.
    pub without_code: Option<At<String>>,
}

/// Registrations that wait for somebody's word before anything is made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalShape {
    /// The account types that wait for the back office. Default: none.
    #[serde(default)]
    pub account_types: Vec<At<AccountType>>,
    /// The addresses in the back office that are written to.
    #[serde(default)]
    pub notify: Vec<At<String>>,
    /// After how long the letters are sent once more. Default: `3d`.
    pub remind_after: Option<Parsed<Duration>>,
    /// After how long a request is over that nobody answered. Default: `14d`.
    pub expires_after: Option<Parsed<Duration>>,
    /// How long somebody who was rejected cannot ask again. Default: `7d`.
    pub ask_again_after: Option<Parsed<Duration>>,
}
