//! The part of `onboarding.toml` that is about what an identity provider says at each sign-in.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Kind, Prefill};
use crate::expression::Condition;
use crate::operator_file::{At, Parsed};

/// What the identity provider says about a user is written to the platform; see
/// `docs/attributes.md`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeShape {
    /// What is written: `name` (or `given_name` and `family_name`, which are joined), `language`,
    /// `phone`, or a field of the user's. Never an e-mail address.
    pub field: At<String>,
    /// What it holds, which makes it a field of your own that no sign-up form asks: `text`,
    /// `phone`, `country`, `email`, `vat_number` or `checkbox`.
    pub kind: Option<At<Kind>>,
    /// Where it comes from: a claim by name, or `{ cel = "…" }` over `identity`. A claim that is
    /// missing, `null` or empty changes nothing.
    pub from: At<Prefill>,
    /// When it is written. Default: `never`.
    #[serde(default)]
    pub write: WriteWord,
    /// The identity provider whose claims count. Default: each one.
    pub provider: Option<At<String>>,
}

/// When something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteWord {
    /// At the first sign-in, and whenever the claim changes. What the user changes on the platform
    /// stays until then.
    Always,
    /// At the first sign-in that says it, where the platform has nothing there.
    Once,
    /// Not at all.
    #[default]
    Never,
}

/// A role that a user has on the platform for as long as the identity provider says so. Roles that
/// are not named here are never given or taken away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRuleShape {
    /// The role, as the platform names it.
    pub role: At<String>,
    /// When a user has it: CEL over `identity` (claims). It is judged only where every claim that
    /// it names is there; otherwise the role stays as it is.
    pub when: Parsed<Condition>,
    /// The identity provider whose claims count. Default: each one.
    pub provider: Option<At<String>>,
}
