//! What a rule of `access.toml` says besides who may pass.

use std::collections::BTreeMap;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator_file::{At, Parsed, Words};

/// How somebody must have signed in. Whoever has not is sent to the identity provider once more,
/// and comes back; programs get 401 `insufficient_user_authentication` (RFC 9470).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUpShape {
    /// The authentication context class (`acr`) that the identity provider must have confirmed, or
    /// a list of which one is enough. What there is, the identity provider decides.
    pub acr: Option<At<Words>>,
    /// How long ago somebody may have given password or second factor, give or take a minute.
    pub max_age: Option<Parsed<Duration>>,
}

/// Fields that are set in heads, whatever was sent; an empty text takes the field out. What frames
/// a message, and what only the gateway says, cannot be set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleHeadersShape {
    /// In requests, as the upstream gets them.
    #[serde(default)]
    pub request: BTreeMap<String, At<String>>,
    /// In the upstream's responses, as the client gets them.
    #[serde(default)]
    pub response: BTreeMap<String, At<String>>,
}
