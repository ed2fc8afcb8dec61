//! The part of `vestibule.toml` that is about the systems that requests are forwarded to.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::certificate::Certificate;
use super::door::HandOff;
use crate::operator_file::{At, Parsed};

/// A system that requests are forwarded to: one `[upstream]`, or several `[[upstream]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// A short name, one for each: lower-case letters, digits, `-`. Default: `main`.
    pub name: Option<At<String>>,
    /// The hosts whose requests it gets, by name without scheme and port. Default: all.
    #[serde(default)]
    pub hosts: Vec<At<String>>,
    /// The paths that it gets, as in `policies/access.toml`: `/grafana/**`. Of several upstreams,
    /// the one with the longest path gets a request, then the one that names the host. Default:
    /// `["/**"]`.
    pub paths: Option<Vec<At<String>>>,
    /// `http://host:port` or `https://host:port`, at least one, without a path: requests arrive
    /// with the path that policy judged. `{ url = "…", weight = 3 }` for one that gets more than
    /// others. Every address of a name is a server.
    pub servers: At<Vec<At<Server>>>,
    /// The HTTP that the servers speak. Default: `h1`.
    #[serde(default)]
    pub protocol: ProtocolWord,
    /// Whether a session stays with one server for as long as that takes requests. Default:
    /// `false`.
    #[serde(default)]
    pub sticky: bool,
    /// How servers are asked whether they are well; those that are not get no requests. Default:
    /// not at all.
    pub health: Option<At<Health>>,
    /// When a server is passed over that refuses or breaks off connections, as long as there are
    /// others.
    #[serde(default)]
    pub set_aside: SetAsideTable,
    /// The name that the certificate of `https` servers carries, where it is not their host.
    pub tls_name: Option<At<String>>,
    /// A file with certificates (PEM) that those of `https` servers may come from, instead of the
    /// public roots.
    pub ca: Option<At<PathBuf>>,
    /// The certificate by which `https` servers know the gateway (mutual TLS). Read again twice a
    /// minute. Default: none.
    pub client_certificate: Option<Certificate>,
    /// For a connection to be made. Default: `5s`.
    pub connect_timeout: Option<Parsed<Duration>>,
    /// Between two pieces of a response. Default: `60s`.
    pub read_timeout: Option<Parsed<Duration>>,
    /// Between two pieces of a request. Default: `60s`.
    pub write_timeout: Option<Parsed<Duration>>,
    /// How long an unused connection is kept. Default: `60s`.
    pub idle_timeout: Option<Parsed<Duration>>,
    /// Between two pieces of a stream: a WebSocket, server-sent events, gRPC. Default: `2d`.
    pub tunnel_timeout: Option<Parsed<Duration>>,
    /// The headers by which it learns who the user is. What clients send under the names of any
    /// upstream never arrives.
    #[serde(default)]
    pub hand_off: HandOff,
}

/// The HTTP that servers speak.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolWord {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2, and nothing else: in TLS, or in the clear (h2c). For gRPC.
    H2,
    /// HTTP/2 where an `https` server offers it, HTTP/1.1 otherwise.
    Auto,
}

/// How servers are asked whether they are well: `path` or `grpc`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What is asked with `GET`; a status of 200 to 299 is a good answer.
    pub path: Option<At<String>>,
    /// The service that gRPC's own health check is asked for; `""` for the server as a whole.
    pub grpc: Option<At<String>>,
    /// From one question to the next. Default: `5s`.
    pub every: Option<Parsed<Duration>>,
    /// For an answer. Default: `2s`.
    pub timeout: Option<Parsed<Duration>>,
    /// Bad answers in a row until a server gets no more requests. Default: 3.
    pub down_after: Option<At<u32>>,
    /// Good answers in a row until it gets requests again. Default: 2.
    pub up_after: Option<At<u32>>,
}

/// When a server is passed over that refuses or breaks off connections.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAsideTable {
    /// Failures in a row. Default: 3.
    pub after: Option<At<u32>>,
    /// For so long. Default: `10s`.
    #[serde(rename = "for")]
    pub span: Option<Parsed<Duration>>,
}

/// A server: its URL, or a table with its URL and its weight.
#[derive(Debug)]
pub struct Server {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// How much it gets in comparison with the others, where that is said.
    pub weight: Option<At<u32>>,
}

/// The longer way to write a server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WeighedServer {
    /// `http://host:port` or `https://host:port`.
    url: String,
    /// How much it gets in comparison with the others, 1 to 100. Default: 1.
    weight: Option<At<u32>>,
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlOrTable)
    }
}

struct UrlOrTable;

impl<'de> Visitor<'de> for UrlOrTable {
    type Value = Server;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a table with `url`")
    }

    fn visit_str<E>(self, url: &str) -> Result<Server, E> {
        Ok(Server {
            url: url.to_owned(),
            weight: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Server, A::Error> {
        let WeighedServer { url, weight } =
            WeighedServer::deserialize(MapAccessDeserializer::new(table))?;
        Ok(Server { url, weight })
    }
}

impl JsonSchema for Server {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Server".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<WeighedServer>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
