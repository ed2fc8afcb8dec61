//! Customers and users of the system behind us, and the hand-off to it.
//!
//! [`Platform`] is the seam; every adapter passes the same contract tests. A *mark* is the id of
//! the registration that makes something: with it every creation is find-or-create, so that a
//! lost reply or a crash neither loses nor doubles anything, and undoing touches only what that
//! registration made.

pub mod builtin;
mod error;
pub mod handoff;
mod making;
mod password_rules;
mod profile;
pub mod rest;
mod roles;
pub mod scim;
mod settings;
pub mod thingsboard;
pub mod tokens;
mod user_tokens;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use error::PlatformError;
pub use making::{BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, Undone};
pub use password_rules::PasswordRules;
pub use profile::{CustomerProfile, Profile, ProfileChange};
pub use roles::RoleChange;
pub use settings::{
    PlatformKind, PlatformSettings, RemoteSettings, RestSettings, ScimCredentials, ScimCustomers,
    ScimSettings, ThingsBoardCredentials, ThingsBoardEdition, ThingsBoardSettings,
};
pub use user_tokens::UserTokens;

use crate::identity::{
    Account, AccountType, CustomerId, EmailAddress, LocationId, PartnerId, PlatformId, UserId,
};

/// A user that the platform has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformUser {
    /// The user.
    pub id: UserId,
    /// The address that the platform has.
    pub email: EmailAddress,
    /// The customer; partner users and staff have none.
    pub customer: Option<CustomerId>,
    /// The account type, where the platform says.
    pub account_type: Option<AccountType>,
    /// Whether the platform lets the user in.
    pub enabled: bool,
    /// Whether the platform holds a password with which the user can prove ownership.
    pub has_password: bool,
    /// Whether a letter to `email` reaches nobody but the user. False where users may put down an
    /// address without proving it: who reads its mail is then not known to be the user.
    pub email_proves: bool,
}

impl PlatformUser {
    /// The account that leads to this user, with what the platform says about it today.
    pub fn as_account_of(&self, linked: &Account) -> Account {
        Account {
            platform: linked.platform.clone(),
            user: self.id.clone(),
            customer: self.customer.clone(),
            account_type: self.account_type.or(linked.account_type),
        }
    }
}

/// A customer that the platform has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformCustomer {
    /// The customer.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Business or Personal.
    pub account_type: AccountType,
}

/// A partner organisation that the platform has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformPartner {
    /// The partner.
    pub id: PartnerId,
    /// Its name.
    pub name: String,
}

/// Somebody who decides who belongs to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// The user.
    pub user: UserId,
    /// Where letters go.
    pub email: EmailAddress,
    /// The name to greet with.
    pub name: String,
    /// The language tag, where the platform says.
    pub language: Option<String>,
}

/// What came of a password check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordCheck {
    /// Right; this is the user.
    Right(PlatformUser),
    /// Wrong password, unknown or disabled user: the platform does not tell them apart for us.
    Wrong,
    /// The platform cannot check passwords.
    Unsupported,
}

/// What a platform can do beyond customers and users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes or no of its own"
)]
pub struct Capabilities {
    /// It can check passwords, and takes them from the gateway with a new user.
    pub passwords: bool,
    /// It takes a new password for a user that it has.
    pub new_passwords: bool,
    /// It has locations.
    pub locations: bool,
    /// It has partners.
    pub partners: bool,
    /// It gives roles to users that it has, and takes them away.
    pub roles: bool,
}

/// The system behind us, seen as something that holds customers and users.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Its configured id.
    fn id(&self) -> &PlatformId;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it would take this address for a new user.
    fn takes_email(&self, _email: &EmailAddress) -> bool {
        true
    }

    /// The user with this id.
    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError>;

    /// The user with this address, compared on the folded form.
    async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, PlatformError>;

    /// The customer with exactly this organisation code.
    async fn customer_by_code(&self, code: &str)
    -> Result<Option<PlatformCustomer>, PlatformError>;

    /// The customer with this id.
    async fn customer(&self, id: &CustomerId) -> Result<Option<PlatformCustomer>, PlatformError>;

    /// The partner with exactly this code.
    async fn partner_by_code(&self, code: &str) -> Result<Option<PlatformPartner>, PlatformError>;

    /// The enabled users who decide who belongs to a customer; none where the platform does not
    /// know any.
    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError>;

    /// Makes the customer, or finds the one that this mark made.
    async fn ensure_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Made<CustomerId>, PlatformError>;

    /// Makes the location, or finds the one that this mark made.
    async fn ensure_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Made<LocationId>, PlatformError>;

    /// Makes the user, with the password that they chose if they chose one, or finds the one that
    /// this mark made.
    async fn ensure_user(
        &self,
        mark: &Mark,
        user: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, PlatformError>;

    /// Removes the customer that this mark made, unless it has users or other locations meanwhile.
    /// What was to be made is given for platforms that cannot look for marks.
    async fn remove_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Undone, PlatformError>;

    /// Removes the location that this mark made.
    async fn remove_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Undone, PlatformError>;

    /// Removes the user that this mark made.
    async fn remove_user(&self, mark: &Mark, user: &NewUser) -> Result<Undone, PlatformError>;

    /// What is known of a user, of their customer and of its first location. A platform that tells
    /// nothing has nothing that users could confirm.
    async fn profile(&self, _user: &UserId) -> Result<Option<Profile>, PlatformError> {
        Ok(None)
    }

    /// Changes what is known of a user; `Ok(false)` when there is no such user, or nothing can be
    /// changed. Doing it twice is doing it once.
    async fn update_profile(
        &self,
        _user: &UserId,
        _change: &ProfileChange,
    ) -> Result<bool, PlatformError> {
        Ok(false)
    }

    /// Gives a user roles and takes others away, the latter first; `Ok(false)` when there is no such
    /// user, or the platform has no roles. Roles that are not named stay as they are, and doing it
    /// twice is doing it once. A role to be given that the platform does not know is
    /// [`PlatformError::NotSetUp`].
    async fn update_roles(
        &self,
        _user: &UserId,
        _change: &RoleChange,
    ) -> Result<bool, PlatformError> {
        Ok(false)
    }

    /// Checks a password, with the same timing for unknown users.
    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, PlatformError>;

    /// Gives a user a new password; `Ok(false)` when there is no such user, or none that is let in.
    async fn set_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, PlatformError>;

    /// What the platform demands of passwords, where it publishes that.
    async fn password_rules(&self) -> Result<Option<PasswordRules>, PlatformError> {
        Ok(None)
    }

    /// A token of the platform's own for the user whose account this is, by what the platform says
    /// of them today; none where it does not let them in, or makes no such tokens.
    async fn user_token(&self, _account: &Account) -> Result<Option<tokens::Token>, PlatformError> {
        Ok(None)
    }

    /// Has the platform take such a token no longer, where it can.
    async fn revoke_token(&self, _token: &SecretString) -> Result<(), PlatformError> {
        Ok(())
    }
}
