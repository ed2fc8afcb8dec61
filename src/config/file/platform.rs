//! The shape of `[platform]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::SecretReference;
use crate::operator_file::{At, Parsed, Span};
use crate::platform::{ScimCustomers, ThingsBoardEdition};

/// A platform, seen as something that holds customers and users: one `[platform]`, or several
/// `[[platform]]`. Who signs in on a host belongs to that host's platform; each keeps links,
/// registrations and sessions in a database of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// What kind of platform it is. Default: `builtin`.
    pub kind: Option<At<PlatformWord>>,
    /// Its name in account links: never change it once people have signed in. Lower-case letters,
    /// digits, `-`. Default: `main`.
    pub id: Option<At<String>>,
    /// The folder with the policy files for its hosts. Default: that of the installation.
    pub policies: Option<At<PathBuf>>,
    /// Where its API is: `https://…`, or `http://` on a loopback address. For `thingsboard`, its
    /// address without `/api`; for `rest`, what the paths of `file` start at; for `scim`, its base
    /// address, often with `/v2`. For `builtin`, the admin listener of another installation whose
    /// builtin platform is shared. Default, with `builtin` only: this installation's own.
    pub url: Option<Parsed<Url>>,
    /// With `builtin` elsewhere: a token of that installation's `[[admin.token]]`. With `scim`: a
    /// bearer token.
    pub token: Option<At<SecretReference>>,
    /// With `thingsboard` from 4.3 on: an API key of a tenant administrator.
    pub api_key: Option<At<SecretReference>>,
    /// With `thingsboard`, instead of an API key: a tenant administrator's e-mail address. With
    /// `scim`, instead of a token: a user name (HTTP Basic).
    pub user: Option<At<String>>,
    /// Their password.
    pub password: Option<At<SecretReference>>,
    /// With `scim`, instead of a token: where tokens are fetched (OAuth 2.0, client credentials).
    pub token_url: Option<Parsed<Url>>,
    /// The gateway's client id there.
    pub client_id: Option<At<String>>,
    /// The client secret, sent by HTTP Basic.
    pub client_secret: Option<At<SecretReference>>,
    /// The scope that is asked for there.
    pub scope: Option<At<String>>,
    /// With `scim`: what customers are, `groups` with their users as members, or the
    /// `organization` that users have. Default: `groups`.
    pub customers: Option<At<ScimCustomers>>,
    /// With `scim`: whether a letter to a user's address reaches nobody but that user, so that a
    /// code in it proves that an existing account is theirs. Only where users cannot put down
    /// addresses without proving them. Default: `false`.
    pub email_proves: Option<At<bool>>,
    /// With `thingsboard`: its edition, `ce` or `pe`. Default: what it says itself.
    pub edition: Option<At<ThingsBoardEdition>>,
    /// With `thingsboard`: the server attribute of customers that holds their organisation code.
    /// Default: `organizationCode`.
    pub code_attribute: Option<At<String>>,
    /// With `rest`: the file that says how the platform is spoken to. Examples are in `deploy/rest`.
    pub file: Option<At<PathBuf>>,
    /// With `rest`: what `file` calls `secret`, by name.
    #[serde(default)]
    pub secrets: BTreeMap<String, At<SecretReference>>,
    /// With `thingsboard`, `rest` and `scim`: how long each of its answers may take, at most `8s`.
    /// Default: `5s`.
    pub timeout: Option<Parsed<Duration>>,
    /// With `thingsboard`, `rest` and `scim`: a file with certificates (PEM) that its own may come
    /// from, besides the public roots.
    pub ca: Option<At<PathBuf>>,
    /// With `thingsboard`, `rest` and `scim`: whether `http://` is taken for other machines too, on a
    /// network of your own on which nobody else listens. Passwords and keys travel in the open.
    /// Default: `false`.
    pub plain_http: Option<At<bool>>,
}

/// What kind of platform it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformWord {
    /// Customers and users live in the gateway's own database; the platform asks for them by the
    /// API on the admin listener.
    #[default]
    Builtin,
    /// ThingsBoard, Community or Professional Edition, from 3.7 on.
    ThingsBoard,
    /// Any platform with a REST API, as `file` describes it.
    Rest,
    /// Any server that speaks SCIM 2.0.
    Scim,
}

impl Platform {
    /// Its name in account links.
    pub fn name(&self) -> &str {
        self.id.as_ref().map_or("main", |id| id.value.as_str())
    }

    /// Where something of it is written, for what is wrong with it as a whole.
    pub fn span(&self) -> Span {
        let id = self.id.as_ref().map(|id| id.span.clone());
        let kind = self.kind.as_ref().map(|kind| kind.span.clone());
        id.or(kind).unwrap_or_default()
    }
}
