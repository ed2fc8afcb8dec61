//! Who becomes a customer, and how: `policies/onboarding.toml`, compiled.

use super::attributes::AttributePolicy;
use super::duties::Duties;
use crate::expression::Condition;
use crate::identity::{AccountType, VerifiedIdentity};
use crate::policy::addresses::AddressPolicy;
use crate::policy::hooks::HookPolicy;

use super::joining::{ApprovalPolicy, PartnerPolicy};

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
    /// With which addresses people may register themselves.
    pub addresses: AddressPolicy,
    /// When the operator's hook is asked.
    pub hooks: HookPolicy,
    /// How the platform account is checked again while a session lives.
    pub recheck_account_every: std::time::Duration,
    /// People who come without an identity provider, by a mailed link.
    pub self_registration: SelfRegistration,
    /// What somebody who is signed in has to do first.
    pub duties: Duties,
    /// Signing in by the platform's own passwords.
    pub local_login: LocalLogin,
    /// People of partner organisations.
    pub partner: PartnerPolicy,
    /// Registrations that wait for somebody's word.
    pub approval: ApprovalPolicy,
    /// What an identity provider's claims change at each sign-in.
    pub attributes: AttributePolicy,
}

impl OnboardingPolicy {
    /// What it says to those who come the way of this applicant.
    pub fn entrance_of(&self, applicant: &VerifiedIdentity) -> Entrance<'_> {
        let by_mail = &self.self_registration;
        if applicant.is_by_mail() {
            Entrance {
                is_open: by_mail.enabled,
                account_types: &by_mail.account_types,
                add_default_location: by_mail.add_default_location,
                exclude: &by_mail.exclude,
            }
        } else {
            Entrance {
                is_open: self.create_customer_on_first_login,
                account_types: &self.account_types,
                add_default_location: self.add_default_location,
                exclude: &self.exclude,
            }
        }
    }
}

/// What the policy says to those who come one way: by an identity provider, or by a mailed link.
#[derive(Debug, Clone, Copy)]
pub struct Entrance<'a> {
    /// Whether they may make a customer at all.
    pub is_open: bool,
    /// Which account types they may choose from.
    pub account_types: &'a [AccountType],
    /// Whether a default location is made with the customer.
    pub add_default_location: bool,
    /// Who of them never becomes a customer.
    pub exclude: &'a [Exclusion],
}

/// Signing in by the platform's own passwords.
#[derive(Debug, Default)]
pub struct LocalLogin {
    /// Whether the login page asks for them, where the platform can check them.
    pub enabled: bool,
    /// Where a forgotten password is replaced; none for here, where the platform lets that be.
    pub forgotten_password: Option<url::Url>,
}

/// Registration by a mailed link.
#[derive(Debug)]
pub struct SelfRegistration {
    /// Whether there is any.
    pub enabled: bool,
    /// The account types to choose from, in this order; never empty.
    pub account_types: Vec<AccountType>,
    /// Whether a default location is made with the customer.
    pub add_default_location: bool,
    /// How long a mailed link can be followed.
    pub link_valid_for: std::time::Duration,
    /// Who never becomes a customer this way (`identity` has `email` only).
    pub exclude: Vec<Exclusion>,
}

impl Default for SelfRegistration {
    fn default() -> Self {
        Self {
            enabled: false,
            account_types: vec![AccountType::Business, AccountType::Personal],
            add_default_location: true,
            link_valid_for: std::time::Duration::from_hours(1),
            exclude: Vec::new(),
        }
    }
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
    /// The customer's own administrators are asked first.
    AskToJoin,
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
