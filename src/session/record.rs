//! What a session's sealed record says.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::{Account, Cleared, VerifiedIdentity};

/// How far somebody is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Proven who, not yet an account; the registration is known once the form was submitted.
    Pending {
        /// Where to go once the account works.
        return_to: String,
    },
    /// Linked to an account that the platform lets in.
    Live(Account),
}

/// The readable part of a session, once opened with its cookie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Who.
    pub identity: VerifiedIdentity,
    /// How far.
    pub stage: Stage,
    /// What they have done of what may come first.
    #[serde(default)]
    pub cleared: Cleared,
    /// On which host (the cookie is sealed to it).
    pub host: Box<str>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends whatever happens.
    pub ends_at: Timestamp,
}

impl SessionRecord {
    /// The account, if there is one yet.
    pub fn account(&self) -> Option<&Account> {
        match &self.stage {
            Stage::Live(account) => Some(account),
            Stage::Pending { .. } => None,
        }
    }
}

/// The identity provider's tokens of a session: sealed, never cached.
#[derive(Debug, Clone, Default)]
pub struct IdpTokens {
    /// For `id_token_hint` at logout.
    pub id_token: SecretString,
    /// For userinfo and hand-off.
    pub access_token: Option<SecretString>,
    /// When the access token ends, where the provider says.
    pub access_until: Option<Timestamp>,
    /// For refresh.
    pub refresh_token: Option<SecretString>,
}

/// [`IdpTokens`] as they are sealed; never printed.
#[derive(Serialize, Deserialize)]
struct PlainTokens {
    id: String,
    access: Option<String>,
    #[serde(default)]
    access_until: Option<Timestamp>,
    refresh: Option<String>,
}

impl IdpTokens {
    /// The plain text to seal.
    pub(super) fn to_plain(&self) -> Result<Vec<u8>, serde_json::Error> {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        serde_json::to_vec(&PlainTokens {
            id: text(&self.id_token),
            access: self.access_token.as_ref().map(text),
            access_until: self.access_until,
            refresh: self.refresh_token.as_ref().map(text),
        })
    }

    /// Reads what [`IdpTokens::to_plain`] made.
    pub(super) fn from_plain(plain: &[u8]) -> Result<Self, serde_json::Error> {
        let PlainTokens {
            id,
            access,
            access_until,
            refresh,
        } = serde_json::from_slice(plain)?;
        Ok(Self {
            id_token: id.into(),
            access_token: access.map(SecretString::from),
            access_until,
            refresh_token: refresh.map(SecretString::from),
        })
    }
}
