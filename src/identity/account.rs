//! The platform user that an identity is linked to.

use serde::{Deserialize, Serialize};

use super::CustomerId;

super::text_id! {
    /// A platform by its configured id.
    PlatformId
}
super::text_id! {
    /// A user, as the platform names it.
    UserId
}

/// What kind of account somebody has.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AccountType {
    /// A company's.
    Business,
    /// A private person's.
    Personal,
    /// A partner organisation's.
    Partner,
}

impl AccountType {
    /// All of them, in the order in which pages offer them.
    pub const ALL: [Self; 3] = [Self::Business, Self::Personal, Self::Partner];

    /// The word used in files, SQL and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Personal => "personal",
            Self::Partner => "partner",
        }
    }

    /// The account type that `word` names, if any.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The platform user that an identity is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The platform that holds the user.
    pub platform: PlatformId,
    /// The user there.
    pub user: UserId,
    /// The customer that the user belongs to; partner users and staff have none.
    pub customer: Option<CustomerId>,
    /// The account type; none where the platform does not say.
    pub account_type: Option<AccountType>,
}
