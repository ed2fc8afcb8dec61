//! The part of `limits.toml` that is about strangers.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator_file::{Parsed, Rate};

/// How often strangers may have letters sent, open links, try codes and send forms; counted for
/// all nodes together where `[store] sessions` is a Redis. Each is a list of rates that all have to
/// hold: `["2/min", "5/h"]` makes those who ask again wait longer and longer. `[]` is no limit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbuseShape {
    /// Letters to addresses that nobody has proven yet.
    #[serde(default)]
    pub mail: MailLanes,
    /// Opening mailed links.
    #[serde(default)]
    pub link: LinkLanes,
    /// Trying codes: mailed ones, and those of partners.
    #[serde(default)]
    pub code: CodeLanes,
    /// Sending forms.
    #[serde(default)]
    pub form: FormLanes,
}

/// Letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailLanes {
    /// Asked for by one network (an IPv4 address, an IPv6 /64). Default: `["10/min", "60/h"]`.
    pub network: Option<Vec<Parsed<Rate>>>,
    /// To one mailbox, whatever follows a `+`. Default: `["2/min", "5/h", "10/d"]`.
    pub address: Option<Vec<Parsed<Rate>>>,
    /// To one mail domain. Default: `["100/min", "600/h"]`.
    pub domain: Option<Vec<Parsed<Rate>>>,
    /// In all. Default: `["300/min", "3000/h"]`.
    pub total: Option<Vec<Parsed<Rate>>>,
}

/// Links.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkLanes {
    /// Opened by one network. Default: `["30/min"]`.
    pub network: Option<Vec<Parsed<Rate>>>,
    /// In all. Default: `[]`.
    pub total: Option<Vec<Parsed<Rate>>>,
}

/// Codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeLanes {
    /// Tried by one network. Default: `["10/min", "60/h"]`.
    pub network: Option<Vec<Parsed<Rate>>>,
    /// Tried by one identity. Default: `["10/min", "30/h"]`.
    pub subject: Option<Vec<Parsed<Rate>>>,
    /// In all. Default: `["1000/h"]`.
    pub total: Option<Vec<Parsed<Rate>>>,
}

/// Forms.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormLanes {
    /// Sent by one network. Default: `["60/min"]`.
    pub network: Option<Vec<Parsed<Rate>>>,
    /// Sent by one identity. Default: `["20/min"]`.
    pub subject: Option<Vec<Parsed<Rate>>>,
    /// In all. Default: `[]`.
    pub total: Option<Vec<Parsed<Rate>>>,
}
