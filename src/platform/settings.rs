//! Which platform the installation has, as its configuration says.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::rest::Description;
use crate::identity::PlatformId;

/// Which platform, and how it is reached.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// Its name in account links.
    pub id: PlatformId,
    /// What it is.
    pub kind: PlatformKind,
}

/// What a platform is, with what its adapter has to know.
#[derive(Debug, Clone)]
pub enum PlatformKind {
    /// This installation's own builtin platform.
    Builtin,
    /// Another installation's builtin platform.
    Shared(RemoteSettings),
    /// A ThingsBoard.
    ThingsBoard(Box<ThingsBoardSettings>),
    /// Any platform with a REST API that a file describes.
    Rest(Box<RestSettings>),
    /// A server that speaks SCIM 2.0.
    Scim(Box<ScimSettings>),
}

/// Where a REST API is, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct RestSettings {
    /// What the paths of the description start at.
    pub url: Url,
    /// Whether plain HTTP is spoken to another machine.
    pub plain_http: bool,
    /// How it is spoken to.
    pub description: Description,
    /// What the description calls `secret`, by name.
    pub secrets: BTreeMap<String, SecretString>,
    /// How long each answer may take.
    pub timeout: Duration,
    /// Certificates (PEM) that its own may come from, besides the public roots.
    pub roots: Vec<u8>,
}

impl PlatformKind {
    /// Whether users have roles that can be given and taken away; none where that is asked later.
    pub fn has_roles(&self) -> Option<bool> {
        match self {
            Self::Builtin | Self::Shared(_) | Self::Scim(_) => Some(true),
            Self::ThingsBoard(settings) => {
                let is_professional = |edition| edition == ThingsBoardEdition::Professional;
                settings.edition.map(is_professional)
            }
            Self::Rest(settings) => Some(settings.description.gives_roles()),
        }
    }
}

/// Where another installation's admin listener is, and what opens it.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// The admin listener: `https://…`, or `http://` on a loopback address.
    pub url: Url,
    /// A bearer token of its `[[admin.token]]`.
    pub token: SecretString,
}

/// Where a ThingsBoard is, and how it is to be used.
#[derive(Debug, Clone)]
pub struct ThingsBoardSettings {
    /// Where its REST API is, without `/api`.
    pub url: Url,
    /// Whether plain HTTP is spoken to another machine.
    pub plain_http: bool,
    /// What lets the gateway in.
    pub credentials: ThingsBoardCredentials,
    /// Its edition; asked for where it is not said.
    pub edition: Option<ThingsBoardEdition>,
    /// The server attribute of customers that holds their organisation code.
    pub code_attribute: String,
    /// How long each answer may take.
    pub timeout: Duration,
    /// Certificates (PEM) that its own may come from, besides the public roots.
    pub roots: Vec<u8>,
}

/// What lets the gateway in.
#[derive(Debug, Clone)]
pub enum ThingsBoardCredentials {
    /// An API key of a tenant administrator (from 4.3 on).
    ApiKey(SecretString),
    /// A tenant administrator.
    Login {
        /// The e-mail address.
        user: String,
        /// The password.
        password: SecretString,
    },
}

/// Which ThingsBoard it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub enum ThingsBoardEdition {
    /// Community Edition.
    #[serde(rename = "ce")]
    Community,
    /// Professional Edition, also in the cloud.
    #[serde(rename = "pe")]
    Professional,
}

/// Where a SCIM server is, and how it is to be used.
#[derive(Debug, Clone)]
pub struct ScimSettings {
    /// Its base address, which endpoints such as `/Users` are below.
    pub url: Url,
    /// Whether plain HTTP is spoken to another machine.
    pub plain_http: bool,
    /// What lets the gateway in.
    pub credentials: ScimCredentials,
    /// What customers are there.
    pub customers: ScimCustomers,
    /// Whether a letter to a user's address reaches nobody but the user.
    pub email_proves: bool,
    /// How long each answer may take.
    pub timeout: Duration,
    /// Certificates (PEM) that its own may come from, besides the public roots.
    pub roots: Vec<u8>,
}

/// What lets the gateway in at a SCIM server.
#[derive(Debug, Clone)]
pub enum ScimCredentials {
    /// A bearer token.
    Token(SecretString),
    /// A user (HTTP Basic).
    Login {
        /// The user name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A client of OAuth 2.0 that fetches tokens with its own credentials.
    Client {
        /// The token endpoint.
        token_url: Url,
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: SecretString,
        /// The scope that is asked for.
        scope: Option<String>,
    },
}

/// What customers are at a SCIM server.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ScimCustomers {
    /// Groups, with their users as members.
    #[default]
    Groups,
    /// The `organization` that users have.
    Organization,
}
