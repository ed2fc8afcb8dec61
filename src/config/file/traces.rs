//! The part of `vestibule.toml` that is about traces.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::SecretReference;
use crate::operator_file::{At, Parsed};

/// Traces for a collector; `docs/observability.md` has what they tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Where a collector takes OTLP over HTTP, with the path: `https://otel.example.com/v1/traces`.
    pub endpoint: Parsed<Url>,
    /// Whether `endpoint` may be `http://` and not on loopback, on a network of your own. Default:
    /// `false`.
    pub plain_http: Option<At<bool>>,
    /// Header fields for the collector, such as `authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, At<SecretReference>>,
    /// A file with certificates (PEM) that the collector's may come from, besides the public roots.
    pub ca: Option<At<PathBuf>>,
    /// Which share of the traces that begin here is kept, 0 to 1. A trace that is carried on is
    /// kept if its caller keeps it. Default: `0.1`.
    pub sample: Option<At<f64>>,
    /// What the gateway calls itself (`service.name`). Default: `vestibule`.
    pub service: Option<At<String>>,
    /// Whether the trace that a client names (`traceparent`) is carried on, and kept if it says so,
    /// for anybody. Default: `false`, that is, for `trusted_proxies` only.
    pub from_anyone: Option<At<bool>>,
}
