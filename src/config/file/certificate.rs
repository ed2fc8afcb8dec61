//! A certificate with its key, for clients that come and for servers that are asked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator_file::At;

/// A certificate chain and its key, PEM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The file with the chain, the certificate itself first.
    pub certificate: At<PathBuf>,
    /// The file with the private key.
    pub key: At<PathBuf>,
}
