//! What comes next for somebody, and which rule says so.

use crate::identity::Account;
use crate::onboarding::form::RegistrationForm;
use crate::onboarding::progress::RegistrationId;
use crate::platform::PlatformUser;

/// What comes next, and why.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// What comes next.
    pub outcome: Outcome,
    /// Which rule says so.
    pub reason: Reason,
    /// The link, where it leads to a user that the platform no longer has.
    pub stale_link: Option<Account>,
}

/// What comes next for an identity.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Signed in with this account.
    SignedIn(Account),
    /// A registration is under way, or was rejected lately.
    UnderWay(RegistrationId),
    /// The registration form.
    Register(RegistrationForm),
    /// Proof that this platform user is theirs.
    Prove(PlatformUser),
    /// Nobody gets in this way.
    TurnedAway(TurnedAway),
}

/// Why somebody is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnedAway {
    /// An exclusion holds; its message is a key of the language files or the text itself.
    Excluded {
        /// The message.
        message: String,
    },
    /// The platform has disabled the account.
    Disabled,
    /// The policy lets nobody in this way.
    Denied,
    /// The proven address belongs to a user of the platform, who signs in.
    HasAccount,
}

/// Which rule decided; its text is what `explain` shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The identity is linked to an enabled user.
    #[error("the identity is linked to a user that the platform lets in")]
    Linked,
    /// The identity is linked to a disabled user.
    #[error("the identity is linked to a user that the platform has disabled")]
    LinkedToDisabled,
    /// A registration is under way.
    #[error("a registration of this identity is under way")]
    RegistrationUnderWay,
    /// A registration was rejected lately.
    #[error("a registration of this identity was rejected, and ask_again_after is not over")]
    RejectedLately,
    /// The proven address is invited.
    #[error("the proven e-mail address is invited by an operator")]
    Invited,
    /// An exclusion holds.
    #[error("exclusion `{rule}` holds: {condition}")]
    Excluded {
        /// Its name.
        rule: String,
        /// Its condition.
        condition: String,
    },
    /// An exclusion cannot be evaluated, so that nobody can say that it does not hold.
    #[error("exclusion `{rule}` cannot be evaluated for these claims: {cause}")]
    ExclusionFailed {
        /// Its name.
        rule: String,
        /// What went wrong.
        cause: String,
    },
    /// The address belongs to a user that is not linked to this identity.
    #[error("the e-mail address belongs to a user that is not linked to this identity")]
    EmailInUse,
    /// A known-customer rule holds.
    #[error("known-customer rule {rule} found the customer: {then}")]
    KnownCustomer {
        /// Its place, from 1.
        rule: usize,
        /// What it says.
        then: &'static str,
    },
    /// A known-customer rule asks for a claim of which nothing may be known.
    #[error("known-customer rule {rule} reads a claim that the token says is elsewhere")]
    ClaimElsewhere {
        /// Its place, from 1.
        rule: usize,
    },
    /// The first login of a new customer.
    #[error("no rule knows the customer; create_customer_on_first_login is on")]
    FirstLogin,
    /// Customers are not made on first login.
    #[error("no rule knows the customer; create_customer_on_first_login is off")]
    FirstLoginIsOff,
    /// No account type is on offer.
    #[error("no account type is on offer to people who sign in")]
    NoAccountType,
    /// Nobody registers by a mailed link.
    #[error("self_registration is off")]
    SelfRegistrationOff,
    /// A new customer by a mailed link.
    #[error("self_registration is on")]
    SelfRegistration,
}
