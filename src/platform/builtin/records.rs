//! Rows of the builtin platform, as the database has them and as its REST API shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::garbled;
use crate::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, PartnerId, UserId, UserOptions,
};
use crate::platform::{
    Administrator, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser,
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRecord {
    /// Its id.
    pub id: String,
    /// Business or Personal.
    pub account_type: AccountType,
    /// Its name.
    pub name: String,
    /// The organisation code by which colleagues find it.
    pub code: Option<String>,
    /// Further fields.
    pub fields: Map<String, Value>,
    /// What its sign-up form says besides.
    #[serde(default)]
    pub options: CustomerOptions,
    /// The registration that made it.
    pub mark: Option<String>,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
}

/// A partner organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct PartnerRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The code with which its people register.
    pub code: String,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
}

/// A location of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationRecord {
    /// Its id.
    pub id: String,
    /// The customer.
    pub customer: String,
    /// Its name.
    pub name: String,
    /// Further fields.
    pub fields: Map<String, Value>,
    /// The registration that made it.
    pub mark: Option<String>,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its id.
    pub id: String,
    /// The address.
    pub email: String,
    /// The name to show.
    pub name: String,
    /// The customer, if any.
    pub customer: Option<String>,
    /// The partner organisation, if any.
    pub partner: Option<String>,
    /// The account type; staff have none.
    pub account_type: Option<AccountType>,
    /// The language tag.
    pub language: Option<String>,
    /// Further fields.
    pub fields: Map<String, Value>,
    /// What their sign-up form says besides.
    #[serde(default)]
    pub options: UserOptions,
    /// Whether the user is let in.
    pub enabled: bool,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether the user decides who belongs to the customer.
    #[serde(default)]
    pub administrator: bool,
    /// The registration that made it.
    pub mark: Option<String>,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
    /// The hash; never shown.
    #[serde(skip)]
    pub(super) password: Option<String>,
}

impl UserRecord {
    /// The user in the words of the seam.
    pub fn as_platform_user(&self) -> Result<PlatformUser, PlatformError> {
        Ok(PlatformUser {
            id: UserId::new(&self.id),
            email: EmailAddress::parse(&self.email).map_err(garbled)?,
            customer: self.customer.as_ref().map(CustomerId::new),
            account_type: self.account_type,
            enabled: self.enabled,
            has_password: self.has_password,
            email_proves: true,
        })
    }
}

impl TryFrom<UserRecord> for Administrator {
    type Error = PlatformError;

    fn try_from(record: UserRecord) -> Result<Self, PlatformError> {
        Ok(Self {
            user: UserId::new(record.id),
            email: EmailAddress::parse(&record.email).map_err(garbled)?,
            name: record.name,
            language: record.language,
        })
    }
}

impl From<PartnerRecord> for PlatformPartner {
    fn from(record: PartnerRecord) -> Self {
        Self {
            id: PartnerId::new(record.id),
            name: record.name,
        }
    }
}

impl From<CustomerRecord> for PlatformCustomer {
    fn from(record: CustomerRecord) -> Self {
        Self {
            id: CustomerId::new(record.id),
            name: record.name,
            account_type: record.account_type,
        }
    }
}

/// What a row holds that this program never wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the builtin platform holds an unknown account type")]
struct UnknownAccountType;

#[derive(sqlx::FromRow)]
pub(super) struct CustomerRow {
    id: String,
    account_type: String,
    name: String,
    code: Option<String>,
    fields: String,
    options: String,
    mark: Option<String>,
    created_at: i64,
}

impl TryFrom<CustomerRow> for CustomerRecord {
    type Error = PlatformError;

    fn try_from(row: CustomerRow) -> Result<Self, PlatformError> {
        Ok(Self {
            account_type: account_type(&row.account_type)?,
            fields: fields(&row.fields)?,
            options: serde_json::from_str(&row.options).map_err(garbled)?,
            id: row.id,
            name: row.name,
            code: row.code,
            mark: row.mark,
            created_at: row.created_at,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct LocationRow {
    id: String,
    customer_id: String,
    name: String,
    fields: String,
    mark: Option<String>,
    created_at: i64,
}

impl TryFrom<LocationRow> for LocationRecord {
    type Error = PlatformError;

    fn try_from(row: LocationRow) -> Result<Self, PlatformError> {
        Ok(Self {
            fields: fields(&row.fields)?,
            id: row.id,
            customer: row.customer_id,
            name: row.name,
            mark: row.mark,
            created_at: row.created_at,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    id: String,
    email: String,
    name: String,
    customer_id: Option<String>,
    partner_id: Option<String>,
    account_type: Option<String>,
    language: Option<String>,
    fields: String,
    options: String,
    password: Option<String>,
    enabled: bool,
    administrator: bool,
    mark: Option<String>,
    created_at: i64,
}

impl TryFrom<UserRow> for UserRecord {
    type Error = PlatformError;

    fn try_from(row: UserRow) -> Result<Self, PlatformError> {
        Ok(Self {
            account_type: row.account_type.as_deref().map(account_type).transpose()?,
            fields: fields(&row.fields)?,
            options: serde_json::from_str(&row.options).map_err(garbled)?,
            has_password: row.password.is_some(),
            id: row.id,
            email: row.email,
            name: row.name,
            customer: row.customer_id,
            partner: row.partner_id,
            language: row.language,
            enabled: row.enabled,
            administrator: row.administrator,
            mark: row.mark,
            created_at: row.created_at,
            password: row.password,
        })
    }
}

fn account_type(word: &str) -> Result<AccountType, PlatformError> {
    AccountType::from_word(word).ok_or_else(|| garbled(UnknownAccountType))
}

pub(super) fn fields(text: &str) -> Result<Map<String, Value>, PlatformError> {
    serde_json::from_str(text).map_err(garbled)
}
