//! The shape of `policies/signup/*.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::expression::{Condition, Expression};
use crate::identity::AccountType;
use crate::operator_file::{At, Parsed};

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
    /// The paragraph below the headline. Default: the shipped one.
    pub intro: Option<At<Localised>>,
    /// What account types are called, and for whom they are: `[account_type.business]`.
    #[serde(default)]
    pub account_type: BTreeMap<AccountType, AccountTypeShape>,
    /// The customer's name: CEL over `form` (fields by name, `form.account_type`) and `identity`
    /// (claims). What gives no text leaves the name that was typed. Default: the company's name,
    /// else the person's.
    pub customer_title: Option<Parsed<Expression>>,
    /// Who gets a letter when a registration is complete.
    pub notify: Option<At<NotifyShape>>,
    /// What the platform makes of a new customer and user besides.
    #[serde(default)]
    pub platform: PlatformShape,
    /// The agreements to accept: ids of texts in `policies/agreements`.
    #[serde(default)]
    pub agreements: Vec<At<AgreementChoice>>,
    /// How robots are kept from asking for letters: `none`, `proof-of-work`, or the id of a
    /// `[[captcha]]` of `vestibule.toml`. Default: `proof-of-work`, which asks no third party.
    pub captcha: Option<At<String>>,
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

/// What an account type is called, and for whom it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountTypeShape {
    /// Its name. Default: the shipped one.
    pub label: Option<At<Localised>>,
    /// For whom it is. Default: the shipped text.
    pub hint: Option<At<Localised>>,
}

/// Who gets a letter when a registration is complete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NotifyShape {
    /// An address, written to in English.
    Email(String),
    /// An address, and the language to write in.
    In {
        /// The address.
        email: String,
        /// The language tag.
        language: String,
    },
}

/// What the platform makes of a new customer and user besides. A platform takes what it has; the
/// builtin platform keeps all of it for its upstream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformShape {
    /// The group of customers that a new one is put into.
    pub customer_group: Option<At<String>>,
    /// The customer above a new one.
    pub parent_customer: Option<At<String>>,
    /// What a new user may do: names of roles, or `{ name = "…", entity_group = "…" }`.
    #[serde(default)]
    pub roles: Vec<At<RoleShape>>,
    /// The dashboard after signing in.
    pub default_dashboard: Option<At<DefaultDashboardShape>>,
    /// The dashboard on the home page.
    pub home_dashboard: Option<At<HomeDashboardShape>>,
    /// The menu of a new user.
    pub menu: Option<At<String>>,
}

/// A role of a new user.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RoleShape {
    /// For everything.
    Name(String),
    /// For a group of things.
    For {
        /// Its name.
        name: String,
        /// The group of things.
        entity_group: String,
    },
}

/// The dashboard after signing in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultDashboardShape {
    /// Its title in the platform.
    pub title: String,
    /// Whether nothing else is shown. Default: `false`.
    #[serde(default)]
    pub full_screen: bool,
}

/// The dashboard on the home page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeDashboardShape {
    /// Its title in the platform.
    pub title: String,
    /// Whether its toolbar is left out. Default: `false`.
    #[serde(default)]
    pub hide_toolbar: bool,
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
    /// `#rrggbb` behind the page's card, in the light scheme; made lighter where text would not be
    /// readable.
    pub background: Option<At<String>>,
    /// The icon of the browser's tab: a file like the logo's. Default: the logo.
    pub favicon: Option<At<PathBuf>>,
    /// Where somebody can ask for help: an `https` URL or `mailto:`.
    pub support: Option<At<String>>,
    /// Links at the bottom of every page.
    #[serde(default)]
    pub links: Vec<LinkShape>,
}

/// A link at the bottom of every page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkShape {
    /// What it says.
    pub label: At<Localised>,
    /// Where it leads: an `https` URL or `mailto:`.
    pub url: At<String>,
}

/// A field of the registration page.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldShape {
    /// Its name in platform data: lower-case letters, digits, `_`. Some are known and need little
    /// else: `company`, `name`, `given_name`, `family_name`, `phone`, `country`, `address`,
    /// `address_2`,
    /// `postal_code`, `city`, `region`, `vat_number`, `tax_code`.
    pub name: At<String>,
    /// What it holds. Default: what the known name says, else `text`.
    pub kind: Option<Kind>,
    /// Its label. Default: the shipped text of that name.
    pub label: Option<At<Localised>>,
    /// A sentence of help.
    pub hint: Option<At<Localised>>,
    /// Whether it must be filled in. Default: `true`, and `false` for a checkbox.
    pub required: Option<bool>,
    /// When it is asked: CEL over `form` (fields by name, `form.account_type`) and `identity`, such
    /// as `form.country == 'IT'`. Judged when the form is sent; what is newly asked is shown then.
    /// Default: always.
    pub when: Option<Parsed<Condition>>,
    /// When it must be filled in although `required` is `false`: CEL, as for `when`.
    pub required_when: Option<Parsed<Condition>>,
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
    /// A VAT number in any spelling, judged by the format of the form's country or of its own
    /// prefix, and kept with the prefix.
    VatNumber,
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
