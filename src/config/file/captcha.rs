//! The captchas of vendors.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::SecretReference;
use crate::captcha::Vendor;
use crate::operator_file::{At, Parsed};

/// A vendor's captcha, which sign-up files name by its id. Where one is named, pages load the
/// vendor's script, and the vendor sees who opens them; nothing else is ever loaded from others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Captcha {
    /// What sign-up files call it: lower-case letters, digits, `-`. Default: its `kind`.
    pub id: Option<At<String>>,
    /// Whose captcha it is: `recaptcha-v2` (the box to tick), `recaptcha-v3` (a score),
    /// `hcaptcha` or `turnstile`.
    pub kind: At<Vendor>,
    /// The site key, which pages show.
    pub site_key: At<String>,
    /// The secret key.
    pub secret: At<SecretReference>,
    /// With `recaptcha-v3`: the least score of a person, 0 to 1. Whoever has less is treated like
    /// a browser without scripts. Default: `0.5`.
    pub min_score: Option<At<f64>>,
    /// With `recaptcha-v3` and `turnstile`: the name of the action, in the vendor's statistics and
    /// compared in its answers. Default: `send_link`.
    pub action: Option<At<String>>,
    /// The hosts on which it may be solved, such as `testkey.google.com` for a vendor's test keys.
    /// Default: the host of the page alone.
    pub hostnames: Option<At<Vec<String>>>,
    /// With reCAPTCHA: where scripts, frames and verification come from;
    /// `https://www.recaptcha.net` for people who do not reach google.com. Default:
    /// `https://www.google.com`.
    pub origin: Option<Parsed<Url>>,
    /// Where answers are verified: `https://…`, or `http://` on a loopback address. Default: the
    /// vendor's `siteverify`.
    pub verify_url: Option<Parsed<Url>>,
    /// Whether the client's address is sent along with an answer. Default: `true`; the vendor
    /// knows it from the widget.
    pub send_client_address: Option<bool>,
    /// How long a verification may take; after that the answer counts as if there were none.
    /// Default: `5s`.
    pub timeout: Option<Parsed<Duration>>,
}
