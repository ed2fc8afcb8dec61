//! An operator's invitation of one address into one customer.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::EmailAddress;
use crate::language::Language;
use crate::platform::PlatformCustomer;

crate::identity::text_id! {
    /// An invitation.
    InvitationId
}

/// What somebody is invited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// The invitation that is used up by joining.
    pub invitation: InvitationId,
    /// The customer, as the platform has it today.
    pub customer: PlatformCustomer,
    /// Whether the user becomes an administrator of it.
    pub administrator: bool,
}

/// What an invitation says, kept sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationText {
    /// Who is invited.
    pub email: EmailAddress,
    /// The language of the letter.
    pub language: Language,
    /// Whether the user becomes an administrator.
    pub administrator: bool,
}

/// How an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvitationState {
    /// It can be used.
    Open,
    /// Somebody joined by it, or is about to.
    Used,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl InvitationState {
    /// How an invitation stands at a time.
    pub fn at(now: Timestamp, expires_at: Timestamp, (is_used, is_revoked): (bool, bool)) -> Self {
        if is_used {
            Self::Used
        } else if is_revoked {
            Self::Revoked
        } else if now >= expires_at {
            Self::Expired
        } else {
            Self::Open
        }
    }
}
