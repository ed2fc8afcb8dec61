//! The shape of `policies/signup/*.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::identity::AccountType;
use crate::operator_file::At;

/// A sign-up form: what the registration page asks, and how pages look. `default.toml` is for
/// all hosts without a form of their own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "policies/signup/*.toml")]
pub struct SignupFile {
    /// The host that it is for; every file but `default.toml` has one.
    pub host: Option<At<String>>,
    /// The headline. Default: the shipped one.
    pub title: Option<At<Localised>>,
    /// The agreements to accept: ids of texts in `policies/agreements`.
    #[serde(default)]
    pub agreements: Vec<At<AgreementChoice>>,
    /// How pages look.
    #[serde(default)]
    pub brand: BrandShape,
    /// The fields, in page order. What the platform cannot do without (name, e-mail address, a
    /// company's name) is asked even where it is not declared.
    #[serde(default)]
    pub field: Vec<FieldShape>,
}

/// A text: one for all languages, or one for each language tag.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Localised {
    /// For all languages.
    One(String),
    /// By language tag: `{ en = "…", it = "…" }`.
    Many(BTreeMap<String, String>),
}

/// An agreement to accept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AgreementChoice {
    /// By everybody.
    All(String),
    /// By some account types, or with a version of its own.
    Some {
        /// Its id.
        id: String,
        /// The account types. Default: all.
        #[serde(default)]
        account_types: Vec<AccountType>,
        /// The version that counts. While it stays the same, edits of the text ask nobody to
        /// accept it again. Default: the digest of the text, so that every edit asks everybody.
        version: Option<String>,
    },
}

/// How pages look.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandShape {
    /// The operator's name. Default: the host.
    pub name: Option<String>,
    /// The logo: an `.svg`, `.png` or `.webp` file beside this one, 100 KiB at most.
    pub logo: Option<At<PathBuf>>,
    /// `#rrggbb`; adjusted where it would not be readable.
    pub colour: Option<At<String>>,
    /// Where somebody can ask for help: an `https` URL or `mailto:`.
    pub support: Option<At<String>>,
}

/// A field of the registration page.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldShape {
    /// Its name in platform data: lower-case letters, digits, `_`. Some are known and need little
    /// else: `company`, `name`, `given_name`, `family_name`, `phone`, `country`, `address`,
    /// `postal_code`, `city`, `region`, `vat_number`.
    pub name: At<String>,
    /// What it holds. Default: what the known name says, else `text`.
    pub kind: Option<Kind>,
    /// Its label. Default: the shipped text of that name.
    pub label: Option<At<Localised>>,
    /// A sentence of help.
    pub hint: Option<At<Localised>>,
    /// Whether it must be filled in. Default: `true`, and `false` for a checkbox.
    pub required: Option<bool>,
    /// For which account types it is asked. Default: all, and `["business"]` for `company`.
    pub account_types: Option<Vec<AccountType>>,
    /// Which object of the platform gets it. Default: what the known name says, else `customer`.
    pub goes_to: Option<Target>,
    /// Its first value: the name of a claim, or `{ cel = "…" }` over `identity`.
    pub prefill: Option<At<Prefill>>,
    /// Whether a first value that the identity provider vouches for is shown and not editable.
    /// Default: `true` for e-mail addresses and phone numbers, else `false`.
    pub locked_when_verified: Option<bool>,
    /// The longest value, characters. Default: 200.
    pub max_length: Option<At<u16>>,
    /// The HTML `autocomplete` token. Default: what the known name says.
    pub autocomplete: Option<At<String>>,
    /// The options of a `select`.
    #[serde(default)]
    pub options: Vec<OptionShape>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One line of text.
    Text,
    /// An e-mail address.
    Email,
    /// A phone number in any spelling, kept in the international one.
    Phone,
    /// A country, kept as its two-letter code.
    Country,
    /// One of several options.
    Select,
    /// Yes or no.
    Checkbox,
}

/// Which object of the platform gets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The customer's name itself.
    CustomerName,
    /// The customer's fields.
    Customer,
    /// The location's fields.
    Location,
    /// The user's name itself; several such fields are joined in page order.
    UserName,
    /// The user's e-mail address itself.
    UserEmail,
    /// The user's fields.
    User,
}

/// Where a first value comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Prefill {
    /// A claim.
    Claim(String),
    /// An expression over `identity`.
    Expression {
        /// CEL.
        cel: String,
    },
}

/// An option of a `select`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionShape {
    /// What is kept.
    pub value: At<String>,
    /// What is shown. Default: the value.
    pub label: Option<At<Localised>>,
}
