//! Customers and users of the system behind us, and the hand-off to it.
//!
//! [`Platform`] is the seam; every adapter passes the same contract tests. A *mark* is the id of
//! the registration that makes something: with it every creation is find-or-create, so that a
//! lost reply or a crash neither loses nor doubles anything, and undoing touches only what that
//! registration made.

pub mod builtin;
mod password_rules;
mod profile;

pub use password_rules::PasswordRules;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

pub use profile::{CustomerProfile, Profile, ProfileChange};

use crate::identity::{
    Account, AccountType, CustomerId, CustomerOptions, EmailAddress, LocationId, PartnerId,
    PlatformId, UserId, UserOptions,
};

/// Which platform, and how it is reached.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// Its name in account links.
    pub id: PlatformId,
    /// Another installation whose builtin platform it is; none for this one's own.
    pub elsewhere: Option<RemoteSettings>,
}

/// Where another installation's admin listener is, and what opens it.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// The admin listener: `https://…`, or `http://` on a loopback address.
    pub url: Url,
    /// A bearer token of its `[[admin.token]]`.
    pub token: SecretString,
}

/// The mark that a registration leaves on what it makes: its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(String);

impl Mark {
    /// The mark of a registration.
    pub fn new(registration: impl Into<String>) -> Self {
        Self(registration.into())
    }

    /// The mark as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A customer to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCustomer {
    /// Business or Personal.
    pub account_type: AccountType,
    /// The company's or the person's name.
    pub name: String,
    /// The organisation code by which colleagues find it, if one is known.
    pub code: Option<String>,
    /// Further declared fields by name.
    pub fields: Map<String, Value>,
    /// Its group, the customer above it.
    #[serde(default)]
    pub options: CustomerOptions,
}

/// A location to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLocation {
    /// The customer that it belongs to.
    pub customer: CustomerId,
    /// "Home" or "Location", in the customer's language.
    pub name: String,
    /// Further fields by name (address and the like).
    pub fields: Map<String, Value>,
}

/// A user to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewUser {
    /// What the user belongs to.
    pub belongs_to: BelongsTo,
    /// The address, also the login name where the platform has passwords.
    pub email: EmailAddress,
    /// The name to show.
    pub name: String,
    /// The account type.
    pub account_type: AccountType,
    /// The language tag of the user (`en`, `it`, `de`).
    pub language: String,
    /// Whether the user administers the customer.
    #[serde(default)]
    pub administrator: bool,
    /// Further declared fields by name.
    pub fields: Map<String, Value>,
    /// Roles, dashboards and the like.
    #[serde(default)]
    pub options: UserOptions,
}

/// What a user belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BelongsTo {
    /// A customer.
    Customer(CustomerId),
    /// A partner organisation.
    Partner(PartnerId),
}

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

/// Whether a thing was made or was already there by the same mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made<T> {
    /// Made by this call.
    Created(T),
    /// Made earlier by the same registration.
    Found(T),
}

impl<T> Made<T> {
    /// The thing.
    pub fn into_inner(self) -> T {
        match self {
            Self::Created(thing) | Self::Found(thing) => thing,
        }
    }

    /// The same about something else.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Made<U> {
        match self {
            Self::Created(thing) => Made::Created(change(thing)),
            Self::Found(thing) => Made::Found(change(thing)),
        }
    }
}

/// What came of undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// It was removed.
    Removed,
    /// It was not there.
    Absent,
    /// It was kept, because it is not ours (no such mark) or others use it meanwhile.
    Kept,
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
}

/// Why a platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// It cannot be reached or did not answer in time; whether the call took effect is not known.
    #[error("the platform is out of reach")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It asks to slow down.
    #[error("the platform asks to slow down")]
    Busy {
        /// How long to wait, where it says.
        retry_after: Option<std::time::Duration>,
    },
    /// A user with this address exists already and is not ours.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// A customer with this name exists already and is not ours.
    #[error("a customer with this name exists already")]
    NameTaken,
    /// A customer with this code exists already and is not ours.
    #[error("a customer with this code exists already")]
    CodeTaken,
    /// It refused the data; waiting does not help.
    #[error("the platform refused the data of `{field}`")]
    Refused {
        /// The field that it names.
        field: String,
    },
    /// It refused our own credentials.
    #[error("the platform refused the gateway's own credentials")]
    NotAllowed,
    /// It answered something that cannot be understood.
    #[error("the platform's answer cannot be understood")]
    Garbled(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PlatformError {
    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Busy { .. } | Self::Garbled(_) | Self::NotAllowed
        )
    }
}

/// The system behind us, seen as something that holds customers and users.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Its configured id.
    fn id(&self) -> &PlatformId;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

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
    async fn remove_customer(&self, mark: &Mark) -> Result<Undone, PlatformError>;

    /// Removes the location that this mark made.
    async fn remove_location(&self, mark: &Mark) -> Result<Undone, PlatformError>;

    /// Removes the user that this mark made.
    async fn remove_user(&self, mark: &Mark) -> Result<Undone, PlatformError>;

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
}
