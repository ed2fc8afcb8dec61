//! Who becomes a customer, and how: `policies/onboarding.toml`, compiled.

use crate::expression::Condition;
use crate::identity::AccountType;

/// The compiled onboarding policy.
#[derive(Debug)]
pub struct OnboardingPolicy {
    /// Whether a first-time SSO user may make a customer at all.
    pub create_customer_on_first_login: bool,
    /// Which account types a first-time SSO user may choose from, in this order; never empty.
    pub account_types: Vec<AccountType>,
    /// Whether a default location is made with the customer.
    pub add_default_location: bool,
    /// How a customer that the platform knows is recognised, and what happens then.
    pub known_customer: Vec<KnownCustomer>,
    /// Who never becomes a customer; the first that holds decides.
    pub exclude: Vec<Exclusion>,
    /// How the platform account is checked again while a session lives.
    pub recheck_account_every: std::time::Duration,
}

/// One way to recognise a customer that the platform knows.
#[derive(Debug)]
pub struct KnownCustomer {
    /// How.
    pub by: KnownBy,
    /// What happens.
    pub then: WhenKnown,
}

/// How a known customer is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    /// The value of this claim is the customer's organisation code.
    Claim(String),
    /// The verified e-mail domain is tied to this customer *and* this identity provider.
    Domain {
        /// The domain, lower case, whole.
        domain: String,
        /// The provider through which one must come.
        provider: crate::identity::ProviderId,
        /// The customer, as the platform names it.
        customer: crate::identity::CustomerId,
    },
}

/// What happens to a first-time user of a known customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenKnown {
    /// The user is made inside that customer at once.
    Join,
    /// A new customer is made.
    Register,
    /// Nobody gets in this way.
    Deny,
}

/// Somebody who never becomes a customer.
#[derive(Debug)]
pub struct Exclusion {
    /// Its place or name, for logs and `explain`.
    pub name: String,
    /// When it holds (CEL over `identity`).
    pub when: Condition,
    /// The id of the message shown: a key of the language files (`staff`) or the text itself.
    pub message: String,
}
