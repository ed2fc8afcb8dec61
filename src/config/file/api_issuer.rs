//! Issuers of bearer tokens: the shape of `[[api_issuer]]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{ClientAuthentication, SecretReference};
use crate::operator_file::{At, Parsed};

/// An issuer of bearer tokens, with which programs come to rules with `access = "api"`; see
/// `docs/api-clients.md`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiIssuer {
    /// A short name that rules can use: lower-case letters, digits, `-`.
    pub id: At<String>,
    /// The issuer identifier, exactly as its metadata and tokens have it. `https`, except on
    /// loopback. One that is also an `[[identity_provider]]`'s has the same people.
    pub issuer: Parsed<Url>,
    /// As whom the gateway is known to it: tokens name one of these in `aud`. Default: the origin
    /// of the host that is asked.
    pub audience: Option<At<Vec<String>>>,
    /// What its signed tokens call themselves in `typ`. Default: `at+jwt`.
    #[serde(default)]
    pub token_type: At<TokenTypeWord>,
    /// The algorithms that its tokens may be signed with, as in `[[identity_provider]]`. Default:
    /// `["RS256", "ES256", "EdDSA", "PS256"]`.
    pub algorithms: Option<At<Vec<String>>>,
    /// The claim with the scopes: one text with spaces between, or a list. Default: `scope`.
    pub scopes_claim: Option<At<String>>,
    /// How it is asked about tokens that are not signed (RFC 7662). Default: such tokens are
    /// refused.
    pub introspection: Option<Introspection>,
    /// How long each of its answers may take. Default: `10s`.
    pub timeout: Option<Parsed<Duration>>,
    /// A file with certificates (PEM) that the issuer's may come from, besides the public roots.
    pub ca: Option<At<PathBuf>>,
}

/// What signed tokens call themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TokenTypeWord {
    /// `at+jwt`, as RFC 9068 wants it.
    #[default]
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// `at+jwt`, `JWT` or nothing: for issuers that do not tell their access tokens from other
    /// tokens. `audience` then has to be one that no ID token has.
    #[serde(rename = "any")]
    Any,
}

/// How an issuer is asked about tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// The gateway's client id there.
    pub client_id: At<String>,
    /// The client secret.
    pub client_secret: At<SecretReference>,
    /// How the secret is sent. Default: `basic`.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// Whether tokens count for which the answer names no audience (`aud`). The issuer then has to
    /// refuse, to this client, tokens that are for others. Default: `false`.
    #[serde(default)]
    pub without_audience: bool,
    /// How long an answer is believed: a token that was revoked is good for so long. At most and by
    /// default `30s`.
    pub believe_for: Option<Parsed<Duration>>,
}
