//! A person, as their identity provider has told. Pure.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::EmailAddress;

crate::identity::text_id! {
    /// A person's id in SCIM, made here.
    PersonId
}

/// By what people of a provider are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchBy {
    /// `externalId` is the subject of their tokens.
    Subject,
    /// `userName` is the `email` claim of their tokens.
    Email,
}

/// A name in the form in which names are compared: addresses folded, others in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct NameKey(String);

impl NameKey {
    /// The key of a name.
    pub fn of(name: &str) -> Self {
        match EmailAddress::parse(name) {
            Ok(email) => Self::of_email(&email),
            Err(_) => Self(name.trim().to_lowercase()),
        }
    }

    /// The key of an address.
    pub fn of_email(email: &EmailAddress) -> Self {
        Self(email.folded())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a provider tells of a person. More is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonData {
    /// `userName`.
    pub user_name: String,
    /// `externalId`.
    pub external_id: Option<String>,
    /// Whether they may come in.
    pub active: bool,
}

impl PersonData {
    /// The name in the form in which names are compared.
    pub fn name_key(&self) -> NameKey {
        NameKey::of(&self.user_name)
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// What the provider tells.
    pub data: PersonData,
    /// Counts changes.
    pub version: i64,
    /// When they were taken up.
    pub created_at: Timestamp,
    /// When they were last changed.
    pub updated_at: Timestamp,
}

impl Person {
    /// A new person.
    pub fn new(data: PersonData, now: Timestamp) -> Self {
        Self {
            id: PersonId::new(uuid::Uuid::now_v7().to_string()),
            data,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// The same person with other data.
    #[must_use]
    pub fn changed(&self, data: PersonData, now: Timestamp) -> Self {
        Self {
            data,
            version: self.version + 1,
            updated_at: now,
            ..self.clone()
        }
    }
}
