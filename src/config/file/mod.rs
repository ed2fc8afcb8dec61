//! The shape of `vestibule.toml`: the installation. Every field's documentation is also its entry
//! in the JSON Schema and in `docs/configuration.md`.

mod api_issuer;
mod captcha;
mod certificate;
mod door;
mod platform;
mod sessions;
mod traces;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::operator_file::{At, Mailbox, OneOrMany, Parsed};
use crate::roster::MatchBy;

pub use api_issuer::{ApiIssuer, Introspection, TokenTypeWord};
pub use captcha::Captcha;
pub use certificate::Certificate;
pub use door::{
    AccessTokenTable, AssertionTable, AssertionWord, Connections, HandOff, Host, Hsts, Listen,
    OwnWayIn, Sizes, ThingsBoardTable, Waits,
};
pub use platform::{Platform, PlatformWord};
pub use sessions::{Sessions, SessionsTable};
pub use traces::Traces;
pub use upstream::{Health, ProtocolWord, Server, SetAsideTable, Upstream};

/// The installation: addresses, stores, identity providers, platform, mail, keys.
///
/// Relative paths start at the folder of this file. A change needs a restart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "vestibule.toml")]
pub struct VestibuleFile {
    /// The hosts that are served, at least one. A request for another host gets 421.
    pub host: At<Vec<Host>>,
    /// Where the gateway listens, and what it puts up with.
    pub listen: Listen,
    /// The platform, seen as a peer that requests are forwarded to; with several systems behind
    /// the gateway, each of them.
    pub upstream: OneOrMany<Upstream>,
    /// Where things are kept.
    #[serde(default)]
    pub store: Store,
    /// The key ring that seals what is kept.
    #[serde(default)]
    pub keys: Keys,
    /// The identity providers, at least one. With more than one, people choose.
    pub identity_provider: At<Vec<IdentityProvider>>,
    /// Issuers of the bearer tokens with which programs come; without one, they need a session.
    #[serde(default)]
    pub api_issuer: Vec<ApiIssuer>,
    /// The platform, seen as something that holds customers and users; or several, each with hosts
    /// of its own. Default: the builtin one.
    pub platform: Option<OneOrMany<Platform>>,
    /// How letters are sent. Without it, nobody can prove by mail that an existing account is
    /// theirs.
    pub mail: Option<At<Mail>>,
    /// The operator's own endpoints that have a say in registrations, or hear of them.
    pub hooks: Option<At<Hooks>>,
    /// Captchas of vendors that sign-up files can name. None is needed: the default captcha is
    /// the gateway's own.
    #[serde(default)]
    pub captcha: Vec<Captcha>,
    /// How long sessions live.
    #[serde(default)]
    pub session: Session,
    /// Who may use the admin listener beyond health and metrics.
    #[serde(default)]
    pub admin: Admin,
    /// What is logged, and how.
    #[serde(default)]
    pub log: Log,
    /// Traces for a collector (OpenTelemetry). Default: none are made.
    pub traces: Option<At<Traces>>,
    /// The folder with the policy files. Default: `policies`.
    pub policies: Option<At<PathBuf>>,
    /// Whether policies and certificates are read again by themselves, a few seconds after their
    /// files have changed. Default: `false`, at SIGHUP only.
    #[serde(default)]
    pub watch: bool,
}

/// A secret, kept elsewhere: exactly one of the two. White space around it is cut off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretReference {
    /// A file that holds nothing but the secret; nobody but the gateway's user may read it.
    pub file: Option<PathBuf>,
    /// An environment variable that holds the secret.
    pub env: Option<String>,
}

/// Where things are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite://path`, or `postgres://user@host/name`. Default: `sqlite://vestibule.db`, one
    /// file, for one node.
    pub database: Option<At<String>>,
    /// The password of the PostgreSQL user.
    pub database_password: Option<At<SecretReference>>,
    /// Redis: `"redis://host:6379"`, or with TLS `"rediss://host:6379"`; the master that sentinels
    /// name, `{ sentinels = ["redis://a:26379", "redis://b:26379"], master = "sessions" }`; or a
    /// Cluster, by some of its nodes: `{ cluster = ["redis://a:6379", "redis://b:6379"] }`.
    /// Default: the database.
    pub sessions: Option<At<Sessions>>,
    /// The password for Redis.
    pub sessions_password: Option<At<SecretReference>>,
    /// The password for the sentinels, where they want one.
    pub sentinels_password: Option<At<SecretReference>>,
}

/// The key ring.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Keys of 32 octets in base64url (`openssl rand -base64 32` makes one). The first seals, all
    /// open: to rotate, put a new one last and restart every node, then put it first and restart
    /// again, and drop the oldest a session's lifetime later.
    /// Default, with SQLite only: a file `vestibule.key` beside the database, made at the first
    /// start.
    #[serde(default)]
    pub seal: Vec<At<SecretReference>>,
}

/// An identity provider (OpenID provider).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// A short name for URLs and policy files: lower-case letters, digits, `-`.
    pub id: At<String>,
    /// The name that people know it by. Default: the id.
    pub name: Option<String>,
    /// The issuer identifier, exactly as its metadata has it. `https`, except on loopback.
    pub issuer: Parsed<Url>,
    /// The gateway's client id there.
    pub client_id: At<String>,
    /// The client secret. Without one the gateway is a public client (PKCE is used either way).
    pub client_secret: Option<At<SecretReference>>,
    /// The secret before that; tried if the provider refuses the first, so that secrets rotate.
    pub previous_client_secret: Option<At<SecretReference>>,
    /// How the secret is sent. Default: `basic`.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// Scopes besides `openid`. Default: `["profile", "email"]`.
    pub scopes: Option<Vec<At<String>>>,
    /// Further parameters of the authorization request, such as `acr_values` or `domain_hint`.
    #[serde(default)]
    pub parameters: BTreeMap<String, At<String>>,
    /// Whether this provider's `email_verified` counts: `false`, `true` for all addresses, or a
    /// list of domains. Default: `false`. Only for providers that own or prove the addresses.
    pub trust_email: Option<At<TrustEmail>>,
    /// Whether the userinfo endpoint is asked for further claims. Default: `true`.
    pub ask_userinfo: Option<bool>,
    /// The algorithms that its ID tokens may be signed with: `RS256`, `RS384`, `RS512`, `PS256`,
    /// `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`. Default: `["RS256", "ES256", "EdDSA", "PS256"]`.
    pub algorithms: Option<At<Vec<String>>>,
    /// How long ago people may have authenticated there. Default: no bound.
    pub max_age: Option<Parsed<Duration>>,
    /// How long each of its answers may take. Default: `10s`.
    pub timeout: Option<Parsed<Duration>>,
    /// A file with certificates (PEM) that the provider's may come from, besides the public roots.
    pub ca: Option<At<PathBuf>>,
}

/// How a client secret is sent.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the `Authorization` header (`client_secret_basic`).
    #[default]
    Basic,
    /// In the request body (`client_secret_post`).
    Post,
}

/// For which addresses `email_verified` counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TrustEmail {
    /// For all or none.
    All(bool),
    /// For those of these domains.
    Domains(Vec<String>),
}

/// How letters are sent: `smtp` or `pickup`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtps://user@host` (TLS) or `smtp://user@host` (STARTTLS, required; plain on loopback).
    pub smtp: Option<Parsed<Url>>,
    /// The password of the SMTP user.
    pub password: Option<At<SecretReference>>,
    /// Whether STARTTLS is required with `smtp://`. Default: `true`, `false` on loopback.
    pub starttls: Option<At<bool>>,
    /// A file with certificates (PEM) that the server's may come from, besides the public roots.
    pub ca: Option<At<PathBuf>>,
    /// A folder that letters are put into instead of being sent; for development.
    pub pickup: Option<At<PathBuf>>,
    /// The sender: `Acme <no-reply@example.com>`.
    pub from: Parsed<Mailbox>,
}

/// Endpoints of the operator's; `docs/hooks.md` has what they are asked and told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Asked before a registration is accepted: `https://…`, or `http://` on a loopback address.
    /// When, and what happens while it is down, is in `policies/onboarding.toml`.
    pub before: Option<Parsed<Url>>,
    /// Told of every registration that is complete, until it has taken that.
    pub after: Option<Parsed<Url>>,
    /// Signs what is sent, as Standard Webhooks says: `whsec_` and base64 of 24 octets or more.
    pub secret: At<SecretReference>,
}

/// How long sessions live.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Without a request. Default: `8h`.
    pub idle: Option<Parsed<Duration>>,
    /// In all. Default: `24h`.
    pub absolute: Option<Parsed<Duration>>,
    /// While the registration is not complete. Default: `2h`.
    pub pending: Option<Parsed<Duration>>,
    /// How long a trip to the identity provider may take before the login starts over. Default:
    /// `15m`.
    pub login: Option<Parsed<Duration>>,
}

/// The admin listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Bearer tokens, 24 characters at least, one per purpose. Without one, only health and
    /// metrics answer.
    #[serde(default)]
    pub token: Vec<AdminToken>,
    /// Identity providers that tell by SCIM which of their people may come in; `docs/scim-inbound.md`
    /// has what they ask.
    #[serde(default)]
    pub scim: Vec<AdminScim>,
}

/// An identity provider that tells by SCIM which of its people may come in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminScim {
    /// Its id in `[[identity_provider]]`: only its own people are touched.
    pub identity_provider: At<String>,
    /// Its bearer token, 24 characters at least, which opens nothing else.
    pub token: At<SecretReference>,
    /// By what its people are told: `subject` when `externalId` is the subject of their tokens,
    /// `email` when `userName` is the `email` claim.
    #[serde(rename = "match")]
    pub match_by: At<MatchBy>,
}

/// A bearer token for the admin listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// What it is for.
    pub name: At<String>,
    /// The token.
    pub secret: At<SecretReference>,
}

/// What is logged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look. Default: `text`.
    #[serde(default)]
    pub format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or per target, as in
    /// `info,access=off`. Default: `info`.
    pub filter: Option<At<String>>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
