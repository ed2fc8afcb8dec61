//! The part of `vestibule.toml` that is about traffic: hosts, listeners, what the upstream
//! is told.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::certificate::Certificate;
use crate::operator_file::{At, Octets, OneOrMany, Parsed};

/// A host that is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Scheme, host and port as browsers see them: `https://app.example.com`. Plain `http` is for
    /// `localhost` only.
    pub origin: At<String>,
    /// The platform that its people belong to, by its `id`. Default: the first one.
    pub platform: Option<At<String>>,
}

/// Where the gateway listens, and what it puts up with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port for traffic.
    pub address: Parsed<SocketAddr>,
    /// The certificate, or a list of several: each host gets the first one that is for its name,
    /// anybody else the first of all. Read again at SIGHUP, and with `watch` when the files change.
    /// Without one the gateway speaks plain HTTP, and something in front of it has to speak TLS.
    pub tls: Option<At<OneOrMany<Certificate>>>,
    /// Address and port for plain HTTP, where every request is sent on to https: `0.0.0.0:80`.
    /// Default: none.
    pub redirect: Option<Parsed<SocketAddr>>,
    /// What https answers say for browsers to never ask by plain HTTP again (HSTS). Default: nothing.
    pub hsts: Option<At<Hsts>>,
    /// Address and port for health, metrics and the admin API; never one that the public reaches.
    /// Default: `127.0.0.1:9090`.
    pub admin: Option<Parsed<SocketAddr>>,
    /// Networks of proxies in front of the gateway, whose `X-Forwarded-For` counts. Default: none.
    #[serde(default)]
    pub trusted_proxies: Vec<Parsed<IpNet>>,
    /// Whether connections of those proxies begin with a PROXY header, version 1 or 2, which says
    /// for whom they are; one that does not is closed. Others are taken as they come. Default:
    /// `false`.
    pub proxy_protocol: Option<At<bool>>,
    /// How large requests may be.
    #[serde(default)]
    pub sizes: Sizes,
    /// How long clients may take.
    #[serde(default)]
    pub waits: Waits,
    /// How many connections there may be.
    #[serde(default)]
    pub connections: Connections,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// How long browsers remember it: `365d`. It cannot be taken back sooner.
    pub max_age: Parsed<Duration>,
    /// Whether it is for all names below the host's as well. Default: `false`.
    #[serde(default)]
    pub subdomains: bool,
    /// Whether browser vendors may build it in; they ask for `subdomains` and a year. Default:
    /// `false`.
    #[serde(default)]
    pub preload: bool,
}

/// How large requests may be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Request line and header together; more is 431. Default: `32KiB`.
    pub head: Option<Parsed<Octets>>,
    /// Path and query; more is 414. Default: `8KiB`.
    pub target: Option<Parsed<Octets>>,
    /// Header fields; more is 431. Default: 100.
    pub fields: Option<At<u16>>,
    /// The body, where the rule of `access.toml` says nothing; more is 413. Default: `1GiB`.
    pub body: Option<Parsed<Octets>>,
    /// The body of a form of the gateway's own pages; more is 413. Default: `64KiB`.
    pub form: Option<Parsed<Octets>>,
}

/// How long clients may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// From accepting a connection until the header is complete. Default: `10s`.
    pub head: Option<Parsed<Duration>>,
    /// Between two pieces of a request body. Default: `60s`.
    pub body: Option<Parsed<Duration>>,
    /// For the next request on a connection. Default: `75s`.
    pub keep_alive: Option<Parsed<Duration>>,
    /// For requests in flight, when the gateway stops. Default: `30s`.
    pub drain: Option<Parsed<Duration>>,
    /// For a request on an idle connection, when the gateway stops: it is answered as the last one
    /// there. Default: `3s`.
    pub goodbye: Option<Parsed<Duration>>,
}

/// How many connections there may be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// In all. Default: 10000.
    pub total: Option<At<u32>>,
    /// Of one network (an IPv4 address, an IPv6 /64). Default: 256.
    pub per_network: Option<At<u32>>,
    /// Concurrent requests on one HTTP/2 connection. Default: 100.
    pub http2_streams: Option<At<u32>>,
}

/// Header names of the hand-off.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOff {
    /// The platform's user id. Default: `X-Vestibule-User`.
    pub user: Option<Parsed<HeaderName>>,
    /// The platform's customer id, where there is one. Default: `X-Vestibule-Customer`.
    pub customer: Option<Parsed<HeaderName>>,
    /// The e-mail address, where there is one. Default: `X-Vestibule-Email`.
    pub email: Option<Parsed<HeaderName>>,
    /// The client id of a program that came with a bearer token. Default: `X-Vestibule-Client`.
    pub client: Option<Parsed<HeaderName>>,
    /// A signed token that says all this and more, for upstreams that others can reach as well;
    /// see `docs/hand-off.md`. Default: none.
    pub assertion: Option<At<AssertionTable>>,
    /// The identity provider's access token, kept sealed in the session and renewed with its refresh
    /// token; see `docs/hand-off.md`. `{}` is enough. Default: none.
    pub access_token: Option<At<AccessTokenTable>>,
    /// ThingsBoard's own token for its pages and its API, where the platform is a ThingsBoard; see
    /// `docs/platforms/thingsboard.md`. `{}` is enough. Default: none.
    pub thingsboard: Option<At<ThingsBoardTable>>,
}

/// The hand-off of the identity provider's access token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenTable {
    /// The header that carries it; in `Authorization` it stands behind `Bearer`, in others alone.
    /// Default: `Authorization`.
    pub header: Option<Parsed<HeaderName>>,
}

/// The hand-off to ThingsBoard.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThingsBoardTable {
    /// What of ThingsBoard's own ways in is closed: `login` (its passwords and its OAuth 2.0),
    /// `sign_up`, `passwords` (activation and forgotten passwords). Default: all three.
    pub close: Option<Vec<OwnWayIn>>,
}

/// One of ThingsBoard's own ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnWayIn {
    /// Its login by password, by a public link, and by OAuth 2.0.
    Login,
    /// Its self-registration.
    SignUp,
    /// Activation of users by its letters, and forgotten passwords.
    Passwords,
}

/// The signed assertion: a JWT, by the keys at `/auth/jwks.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionTable {
    /// `aud`: what the upstream calls itself. It refuses tokens for others.
    pub audience: At<String>,
    /// The header that carries it. Default: `X-Vestibule-Assertion`.
    pub header: Option<Parsed<HeaderName>>,
    /// How it is signed. Default: `ES256`.
    #[serde(default)]
    pub algorithm: AssertionWord,
    /// How long one is good for, `2m` to `1h`; a new one is made every minute. Default: `5m`.
    pub valid_for: Option<Parsed<Duration>>,
}

/// How assertions are signed.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
pub enum AssertionWord {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}
