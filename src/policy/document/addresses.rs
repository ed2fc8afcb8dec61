//! The part of `onboarding.toml` that is about e-mail addresses.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator_file::At;

/// With which e-mail addresses people may register themselves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// Those of mailboxes that are thrown away. Default: `refuse`.
    pub disposable: Option<Welcome>,
    /// Those of offices instead of people, such as `info@` and `sales@`. Default: `allow`.
    pub role: Option<Welcome>,
    /// Domains that are disposable besides the shipped list; a domain counts with all below it.
    #[serde(default)]
    pub disposable_too: Vec<At<String>>,
    /// Domains that are welcome although the shipped list has them.
    #[serde(default)]
    pub not_disposable: Vec<At<String>>,
}

/// Whether something is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Welcome {
    /// It is let in.
    Allow,
    /// It is not.
    Refuse,
}
