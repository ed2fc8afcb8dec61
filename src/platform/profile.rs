//! What the platform knows of a user, for the user to confirm or put right.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the platform knows of a user, of their customer, and of its first location.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The user's name.
    pub user_name: String,
    /// The user's language tag, where the platform says.
    #[serde(default)]
    pub language: Option<String>,
    /// Further fields of the user.
    pub user: Map<String, Value>,
    /// The customer; partner users and staff have none.
    pub customer: Option<CustomerProfile>,
    /// Fields of the customer's first location, where there is one.
    pub location: Option<Map<String, Value>>,
}

/// What the platform knows of a customer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CustomerProfile {
    /// Its name.
    pub name: String,
    /// Further fields.
    pub fields: Map<String, Value>,
}

/// What a user confirmed or put right, or an identity provider says; what is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileChange {
    /// The user's name.
    pub user_name: Option<String>,
    /// The user's language tag.
    pub language: Option<String>,
    /// Fields of the user.
    pub user: Map<String, Value>,
    /// The customer's name.
    pub customer_name: Option<String>,
    /// Fields of the customer.
    pub customer: Map<String, Value>,
    /// Fields of the customer's first location.
    pub location: Map<String, Value>,
}
