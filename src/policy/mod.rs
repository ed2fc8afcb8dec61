//! What the operator decided: documents in `policies/`, compiled to one [`Policy`] value.

pub mod abuse;
pub mod addresses;
pub mod attributes;
mod compile;
pub mod document;
pub mod duties;
mod files;
pub mod folder;
pub mod hooks;
pub mod joining;
pub mod onboarding;
pub mod place;
mod public_mail;
pub mod route;
pub mod signup_form;
pub mod step_up;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rate_limit::Limit;

pub use compile::{Surroundings, compile};
pub use joining::{ApprovalPolicy, PartnerPolicy};
pub use onboarding::OnboardingPolicy;
pub use route::{Access, HandOff, Rule, RuleHeaders, Rules, TokenDemands};
pub use signup_form::{Agreement, Brand, Field, FieldKind, SignupForm};
pub use step_up::StepUp;

/// Everything that the operator decided, compiled and ready to be asked.
#[derive(Debug)]
pub struct Policy {
    /// Digest of all files that it was made from; kept with registrations, and shown in metrics and
    /// the access log.
    pub version: Arc<str>,
    /// Who may request what.
    pub rules: Rules,
    /// Who becomes a customer, and how.
    pub onboarding: OnboardingPolicy,
    /// Named limits, and those that apply by default.
    pub limits: Limits,
    /// The sign-up form per host; `default` for hosts without one.
    pub forms: Forms,
}

/// The limits of `policies/limits.toml`.
#[derive(Debug, Default)]
pub struct Limits {
    /// By name.
    pub named: BTreeMap<String, Arc<Limit>>,
    /// All forwarded traffic of a network, where set.
    pub forwarded_per_network: Option<Arc<Limit>>,
    /// All forwarded traffic of a user, where set.
    pub forwarded_per_user: Option<Arc<Limit>>,
    /// Starting and finishing logins, per network.
    pub login: Option<Arc<Limit>>,
    /// Bearer tokens that are refused, per network.
    pub bad_token: Option<Arc<Limit>>,
    /// What strangers may do to others through us.
    pub abuse: abuse::AbuseLimits,
}

/// Sign-up forms by host.
#[derive(Debug)]
pub struct Forms {
    /// For hosts without a form of their own.
    pub default: Arc<SignupForm>,
    /// By host name.
    pub by_host: BTreeMap<String, Arc<SignupForm>>,
}

impl Forms {
    /// The form of a host.
    pub fn of(&self, host: &str) -> &Arc<SignupForm> {
        self.by_host.get(host).unwrap_or(&self.default)
    }
}

/// Where the policy in force is read; a reader keeps the value for the length of one decision.
pub trait PolicySource: Send + Sync {
    /// The policy in force.
    fn current(&self) -> Arc<Policy>;
}
