//! What the builtin platform's API takes: unknown keys are refused, texts are bounded.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Answer, Problem};
use crate::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, PartnerId, UserOptions,
};
use crate::platform::builtin::{Listing, NewPartner};
use crate::platform::{BelongsTo, NewCustomer, NewLocation, NewUser};

/// The longest name or code, characters.
const LONGEST_TEXT: usize = 500;
const MOST_IN_A_PART: u32 = 1000;
const USUAL_PART: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerBody {
    account_type: AccountType,
    name: String,
    code: Option<String>,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    options: CustomerOptions,
}

impl CustomerBody {
    pub(super) fn check(self) -> Answer<NewCustomer> {
        if self.account_type == AccountType::Partner {
            return Err(Problem::Field("account_type"));
        }
        Ok(NewCustomer {
            account_type: self.account_type,
            name: text("name", self.name)?,
            code: self.code.map(|code| text("code", code)).transpose()?,
            fields: self.fields,
            options: self.options,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationBody {
    customer: String,
    name: String,
    #[serde(default)]
    fields: Map<String, Value>,
}

impl LocationBody {
    pub(super) fn check(self) -> Answer<NewLocation> {
        Ok(NewLocation {
            customer: CustomerId::new(text("customer", self.customer)?),
            name: text("name", self.name)?,
            fields: self.fields,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartnerBody {
    name: String,
    code: String,
}

impl PartnerBody {
    pub(super) fn check(self) -> Answer<NewPartner> {
        Ok(NewPartner {
            name: text("name", self.name)?,
            code: text("code", self.code)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserBody {
    email: EmailAddress,
    name: String,
    customer: Option<String>,
    partner: Option<String>,
    account_type: AccountType,
    language: Option<String>,
    password: Option<SecretText>,
    #[serde(default)]
    administrator: bool,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    options: UserOptions,
}

impl UserBody {
    pub(super) fn check(self) -> Answer<(NewUser, Option<SecretString>)> {
        let belongs_to = match (self.customer, self.partner) {
            (Some(customer), None) => BelongsTo::Customer(CustomerId::new(customer)),
            (None, Some(partner)) => BelongsTo::Partner(PartnerId::new(partner)),
            _ => return Err(Problem::Field("customer")),
        };
        let user = NewUser {
            belongs_to,
            email: self.email,
            name: text("name", self.name)?,
            account_type: self.account_type,
            language: text("language", self.language.unwrap_or_else(|| "en".to_owned()))?,
            administrator: self.administrator,
            fields: self.fields,
            options: self.options,
        };
        Ok((user, self.password.map(SecretString::from)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    pub(super) enabled: Option<bool>,
    pub(super) administrator: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    pub(super) email: String,
    pub(super) password: SecretText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPasswordBody {
    pub(super) password: SecretText,
}

/// A password as it comes in; it goes on as a [`SecretString`] only.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct SecretText(String);

impl From<SecretText> for SecretString {
    fn from(text: SecretText) -> Self {
        Self::from(text.0)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeQuery {
    pub(super) code: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfCustomer {
    customer: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserQuery {
    pub(super) email: Option<String>,
    customer: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

impl CodeQuery {
    pub(super) fn part(&self) -> Listing {
        part(self.after.as_deref(), self.limit)
    }
}

impl OfCustomer {
    pub(super) fn part(&self) -> Listing {
        part(self.after.as_deref(), self.limit)
    }

    pub(super) fn customer(&self) -> Option<CustomerId> {
        self.customer.as_ref().map(CustomerId::new)
    }
}

impl UserQuery {
    pub(super) fn part(&self) -> Listing {
        part(self.after.as_deref(), self.limit)
    }

    pub(super) fn customer(&self) -> Option<CustomerId> {
        self.customer.as_ref().map(CustomerId::new)
    }
}

fn part(after: Option<&str>, limit: Option<u32>) -> Listing {
    Listing {
        after: after.unwrap_or_default().to_owned(),
        limit: limit.unwrap_or(USUAL_PART).clamp(1, MOST_IN_A_PART),
    }
}

fn text(field: &'static str, text: String) -> Answer<String> {
    let is_sound = !text.trim().is_empty()
        && text.chars().count() <= LONGEST_TEXT
        && !text.chars().any(char::is_control);
    is_sound.then_some(text).ok_or(Problem::Field(field))
}
