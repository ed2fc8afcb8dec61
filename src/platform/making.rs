//! What is to be made in a platform, the mark that it gets, and what came of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, PartnerId, UserOptions,
};

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
