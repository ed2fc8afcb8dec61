//! What a sign-up form says about a new customer and user besides their data. Each platform takes
//! of it what it has; the builtin platform keeps all of it for its upstream to read.

use serde::{Deserialize, Serialize};

/// What is made of a new customer besides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerOptions {
    /// The group of customers that it is put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The customer above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// What is made of a new user besides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserOptions {
    /// What the user may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// The dashboard after signing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_dashboard: Option<DefaultDashboard>,
    /// The dashboard on the home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_dashboard: Option<HomeDashboard>,
    /// The menu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub menu: Option<String>,
}

/// A role of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name in the platform.
    pub name: String,
    /// The group of things that it is about; none for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_group: Option<String>,
}

/// The dashboard that a user sees after signing in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultDashboard {
    /// Its title in the platform.
    pub title: String,
    /// Whether nothing else is shown.
    #[serde(default)]
    pub full_screen: bool,
}

/// The dashboard on a user's home page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeDashboard {
    /// Its title in the platform.
    pub title: String,
    /// Whether its toolbar is left out.
    #[serde(default)]
    pub hide_toolbar: bool,
}
