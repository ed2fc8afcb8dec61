//! Which roles a user is given and which are taken away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Roles by the names that the platform has for them; those in neither set stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleChange {
    /// What the user is to have.
    pub give: BTreeSet<String>,
    /// What the user is not to have.
    pub take: BTreeSet<String>,
}

impl RoleChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.give.is_empty() && self.take.is_empty()
    }
}
