//! What an identity provider's claims change on the platform at each sign-in, compiled.

use std::sync::Arc;

use super::signup_form::Field;
use crate::expression::{Condition, Mapping, Path};
use crate::identity::{ProviderId, VerifiedIdentity};

/// What claims change.
#[derive(Debug, Default)]
pub struct AttributePolicy {
    /// What is written, in the order of the file.
    pub attributes: Vec<Attribute>,
    /// Roles that follow claims.
    pub roles: Vec<RoleRule>,
}

impl AttributePolicy {
    /// Whether claims change nothing.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.roles.is_empty()
    }
}

/// Something of a user's that comes from claims.
#[derive(Debug)]
pub struct Attribute {
    /// Through which provider; none for each.
    pub provider: Option<ProviderId>,
    /// What is written.
    pub to: AttributeTarget,
    /// Where it comes from.
    pub from: Mapping,
    /// When it is written.
    pub write: Write,
}

/// What of a user is written.
#[derive(Debug, Clone)]
pub enum AttributeTarget {
    /// The name itself, or a part of it.
    Name(Arc<Field>),
    /// The language.
    Language,
    /// A field of the user's.
    Field(Arc<Field>),
}

impl AttributeTarget {
    /// Under which name it is remembered what was written. All parts of a name are one.
    pub fn slot(&self) -> &str {
        match self {
            Self::Name(_) => "name",
            Self::Language => "language",
            Self::Field(field) => &field.name,
        }
    }
}

/// When an attribute is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Whenever the claim has changed.
    Always,
    /// Once, where the platform has nothing.
    Once,
}

/// A role that follows claims.
#[derive(Debug)]
pub struct RoleRule {
    /// Through which provider; none for each.
    pub provider: Option<ProviderId>,
    /// The role, as the platform names it.
    pub role: String,
    /// Who has it.
    pub when: Condition,
    /// The claims without which it is not judged.
    pub claims: Vec<Path>,
}

/// Whether what is said about one provider, or about each, is said about whoever came by this one.
pub fn is_about(provider: Option<&ProviderId>, identity: &VerifiedIdentity) -> bool {
    provider.is_none_or(|provider| identity.provider() == Some(provider))
}
