//! The part of `onboarding.toml` that is about the operator's hook.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator_file::{At, Parsed};

/// When the endpoint of `[hooks] before` in `vestibule.toml` is asked, and for how long; see
/// `docs/hooks.md`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookShape {
    /// Whether it is asked before the form is shown, to fill it in or to block. Default: `false`.
    pub start: Option<bool>,
    /// Whether it is asked about a form that was sent, to change values, refuse fields or block.
    /// Default: `true`.
    pub submit: Option<At<bool>>,
    /// How long one try may take, 10 seconds at most. Default: `3s`.
    pub timeout: Option<Parsed<Duration>>,
    /// Further tries where nobody answered, or with a status from 500 on; 3 at most. Default: 1.
    pub retries: Option<At<u8>>,
    /// What happens while it is down: `allow` goes on without it, `refuse` asks people to come
    /// back. Default: `refuse`.
    pub when_down: Option<WhenDown>,
}

/// What happens while the endpoint is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenDown {
    /// Registrations go on without it.
    Allow,
    /// Registrations wait for it.
    Refuse,
}
