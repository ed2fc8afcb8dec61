//! The shapes of the policy files. Every field's documentation is also its entry in the JSON
//! Schema and in `docs/configuration.md`.

mod abuse;
mod addresses;
mod attributes;
mod hooks;
mod joining;
mod rule;
mod signup;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::expression::Condition;
use crate::identity::AccountType;
use crate::operator_file::{At, Octets, Parsed, Rate, schema_of};
use crate::rate_limit::{Per, Scope};

pub use abuse::{AbuseShape, CodeLanes, FormLanes, LinkLanes, MailLanes};
pub use addresses::{Addresses, Welcome};
pub use attributes::{AttributeShape, RoleRuleShape, WriteWord};
pub use hooks::{HookShape, WhenDown};
pub use joining::{ApprovalShape, PartnerShape};
pub use rule::{RuleHeadersShape, StepUpShape};
pub use signup::{
    AccountTypeShape, AgreementChoice, BrandShape, DefaultDashboardShape, FieldShape,
    HomeDashboardShape, Kind, LinkShape, Localised, NotifyShape, OptionShape, PlatformShape,
    Prefill, RoleShape, SignupFile, Target,
};

/// Who may request what. Host, path and method choose one rule, the most specific; what matches
/// none needs a login.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "policies/access.toml")]
pub struct AccessFile {
    /// The rules, in any order.
    #[serde(default)]
    pub rule: Vec<RuleShape>,
}

/// A rule of access.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleShape {
    /// Its name, for logs and `vestibule explain`.
    pub name: At<String>,
    /// The host that it is for. Default: all.
    pub host: Option<At<String>>,
    /// A path (`/health`), or a path and everything below it (`/admin/**`).
    pub path: At<String>,
    /// The methods that it is for, in capitals. Default: all.
    #[serde(default)]
    pub methods: Vec<At<String>>,
    /// Who may pass. Default: `login`.
    #[serde(default)]
    pub access: AccessWord,
    /// With `access = "api"`: scopes that a bearer token needs, all of them.
    pub scopes: Option<At<Vec<String>>>,
    /// With `access = "api"`: whether a bearer token has to be that of an account of the platform.
    /// Default: `required`.
    pub account: Option<At<AccountWord>>,
    /// With `access = "api"`: whose bearer tokens count, by their ids in `[[api_issuer]]`. Default:
    /// those of all.
    pub issuers: Option<At<Vec<At<String>>>>,
    /// What must hold besides: CEL over `identity` (claims), `account` and `request`. False is
    /// 403; so is a condition that cannot be evaluated. Use `has(identity.x)` for what may be
    /// missing.
    pub require: Option<Parsed<Condition>>,
    /// How somebody must have signed in: `{ acr = "mfa", max_age = "5m" }`. Default: in any way.
    pub step_up: Option<At<StepUpShape>>,
    /// A limit of `limits.toml` to draw from.
    pub limit: Option<At<String>>,
    /// Whether paths with an encoded slash (`%2F`) pass. Default: `false`.
    #[serde(default)]
    pub allow_encoded_slash: bool,
    /// Whether paths with `;` pass. Default: `false`.
    #[serde(default)]
    pub allow_semicolon: bool,
    /// The largest request body. Default: that of `vestibule.toml`.
    pub max_body: Option<Parsed<Octets>>,
    /// By what the upstream learns who it is: `headers`, `assertion`, `access_token`,
    /// `thingsboard`, of those that `[upstream.hand_off]` sets up; `[]` for nothing at all, as
    /// devices have it. Default: all that the upstream has.
    pub hand_off: Option<At<Vec<HandOffWord>>>,
    /// Fields that are set in heads, or taken out:
    /// `headers.response = { "X-Frame-Options" = "DENY", "Server" = "" }`.
    #[serde(default)]
    pub headers: RuleHeadersShape,
}

/// By what an upstream learns who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandOffWord {
    /// Plain headers.
    Headers,
    /// The signed assertion.
    Assertion,
    /// The identity provider's access token.
    AccessToken,
    /// ThingsBoard's own token.
    #[serde(rename = "thingsboard")]
    ThingsBoard,
}

/// Who may pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessWord {
    /// Everybody; those who are signed in pass as themselves.
    Public,
    /// Those who are signed in and registered.
    #[default]
    Login,
    /// Programs with a bearer token of an `[[api_issuer]]`, and those who are signed in. Nobody is
    /// sent to a page: whoever may not pass gets 401 or 403.
    Api,
}

/// Whether a program has to be somebody whom the platform knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountWord {
    /// The token's subject has an account.
    Required,
    /// A token that is good is enough; `account` is `null` for who has none.
    Optional,
}

/// Who becomes a customer, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "policies/onboarding.toml")]
pub struct OnboardingFile {
    /// People who come through an identity provider.
    #[serde(default)]
    pub sso: Sso,
    /// People who come without an identity provider, by a link that is mailed to them.
    #[serde(default)]
    pub self_registration: SelfRegistrationShape,
    /// Agreements that change after they were accepted.
    #[serde(default)]
    pub agreements: AgreementsShape,
    /// Users whom the back office made.
    #[serde(default)]
    pub customer_verification: VerificationShape,
    /// With which e-mail addresses people may register themselves.
    #[serde(default)]
    pub addresses: Addresses,
    /// When the operator's hook is asked.
    #[serde(default)]
    pub hooks: HookShape,
    /// People of partner organisations.
    #[serde(default)]
    pub partner: PartnerShape,
    /// Registrations that wait for somebody's word before anything is made.
    #[serde(default)]
    pub approval: ApprovalShape,
    /// Signing in by the platform's own passwords.
    #[serde(default)]
    pub local_login: LocalLoginShape,
    /// What of a user follows the identity provider's claims.
    #[serde(default)]
    pub attribute: Vec<AttributeShape>,
    /// Which roles follow the identity provider's claims.
    #[serde(default)]
    pub role: Vec<RoleRuleShape>,
}

/// Signing in by the platform's own passwords.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalLoginShape {
    /// Whether the login page asks for e-mail address and password, where the platform can check
    /// them. Default: as `self_registration.enabled`.
    pub enabled: Option<At<bool>>,
    /// The page on which a forgotten password is replaced: an `https` URL. Default: a page of the
    /// gateway, which mails a link, where the platform takes new passwords.
    pub forgotten_password: Option<At<String>>,
}

/// People who come without an identity provider, by a link that is mailed to them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfRegistrationShape {
    /// Whether the login page offers "Create new account". Default: `false`.
    pub enabled: Option<At<bool>>,
    /// The account types to choose from, in this order. Default: `["business", "personal"]`.
    pub account_types: Option<At<Vec<AccountType>>>,
    /// Whether a location is made with the customer. Default: `true`.
    pub add_default_location: Option<bool>,
    /// How long a mailed link can be followed. Default: `1h`.
    pub link_valid_for: Option<Parsed<Duration>>,
    /// Who never becomes a customer this way: CEL over `identity`, which has `email` only. Whom
    /// `sso.exclude` keeps out by that alone does not come this way either.
    #[serde(default)]
    pub exclude: Vec<ExclusionShape>,
}

/// Users whom the back office made confirm at first access what the platform knows of them; it is
/// asked once, and written back. Whoever registered here gave it themselves and is not asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationShape {
    /// Whether they are asked. Default: `false`.
    #[serde(default)]
    pub enabled: bool,
    /// The fields that they confirm: known names, or fields of the sign-up form.
    #[serde(default)]
    pub fields: Vec<At<String>>,
    /// What programs get until then. Default: `allow`.
    #[serde(default)]
    pub api: MeanwhileWord,
}

/// Agreements that change after they were accepted: whoever is signed in accepts them again at the
/// next page, and comes back to it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementsShape {
    /// What programs get until then. Default: `allow`.
    #[serde(default)]
    pub api: MeanwhileWord,
}

/// What programs get while their user has something to do first.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeanwhileWord {
    /// They pass; the user is asked at the next page.
    #[default]
    Allow,
    /// 403 with a link to the page that asks.
    Refuse,
}

/// People who come through an identity provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sso {
    /// Whether a first-time user may make a customer. Default: `true`.
    pub create_customer_on_first_login: Option<bool>,
    /// The account types to choose from, in this order. Default: `["business", "personal"]`.
    pub account_types: Option<At<Vec<AccountType>>>,
    /// Whether a location is made with the customer. Default: `true`.
    pub add_default_location: Option<bool>,
    /// How a customer that the platform knows is recognised, the first that fits.
    #[serde(default)]
    pub known_customer: Vec<KnownShape>,
    /// Who never becomes a customer; the first that holds decides.
    #[serde(default)]
    pub exclude: Vec<ExclusionShape>,
    /// How often the platform's account is looked at again while a session lives. Default: `5m`.
    pub recheck_account_every: Option<Parsed<Duration>>,
}

/// How a known customer is recognised: by `claim`, or by `domain`, `provider` and `customer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownShape {
    /// The claim whose value is the customer's organisation code.
    pub claim: Option<At<String>>,
    /// The verified e-mail domain.
    pub domain: Option<At<String>>,
    /// The id of the identity provider through which one must come.
    pub provider: Option<At<String>>,
    /// The customer, as the platform names it.
    pub customer: Option<At<String>>,
    /// What happens then.
    pub then: At<Then>,
}

/// What happens to a first-time user of a known customer.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The user is made inside that customer at once.
    Join,
    /// The customer's own administrators are asked by letter first.
    AskToJoin,
    /// A new customer is made.
    Register,
    /// Nobody gets in this way.
    Deny,
}

/// Somebody who never becomes a customer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExclusionShape {
    /// Its name, for logs and `vestibule explain`. Default: its place.
    pub name: Option<At<String>>,
    /// When it holds: CEL over `identity` (claims). One that cannot be evaluated turns away too.
    pub when: Parsed<Condition>,
    /// What the page says: `staff` for the shipped text, or the text itself.
    pub message: At<String>,
}

/// How often things may be asked for. A bucket of `burst` requests fills at `rate`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "policies/limits.toml")]
pub struct LimitsFile {
    /// Limits by name.
    #[serde(default)]
    pub limit: BTreeMap<String, LimitShape>,
    /// Which limits hold everywhere.
    #[serde(default)]
    pub apply: Apply,
    /// How often strangers may have letters sent, open links, try codes and send forms.
    #[serde(default)]
    pub abuse: AbuseShape,
}

/// A limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitShape {
    /// Requests in a period: `10/s`, `100/min`, `1000/h`.
    pub rate: Parsed<Rate>,
    /// How many may come at once. Default: the requests of one period.
    pub burst: Option<At<u32>>,
    /// Whose requests share a bucket. Default: `ip`.
    pub per: Option<Per>,
    /// Whether all nodes count together: `cluster` takes the Redis of `[store] sessions`; without
    /// one, or while it does not answer, each node counts alone. Default: `node`.
    #[serde(default)]
    pub scope: Scope,
}

/// Which limits hold everywhere; each is the name of a limit, or `none`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// To all forwarded traffic of a network. Default: `none`.
    pub network: Option<At<String>>,
    /// To all forwarded traffic of a user. Default: `none`.
    pub user: Option<At<String>>,
    /// To starting and finishing logins, per network. Default: 120 a minute.
    pub login: Option<At<String>>,
    /// To bearer tokens that are refused, per network; what comes from a network that showed too many
    /// is not looked at for a while. Default: 120 a minute.
    pub bad_token: Option<At<String>>,
}

/// The policy files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyFile {
    /// `access.toml`
    Access,
    /// `onboarding.toml`
    Onboarding,
    /// `limits.toml`
    Limits,
    /// `signup/*.toml`
    Signup,
}

impl PolicyFile {
    /// The JSON Schema of the file.
    pub fn schema(self) -> serde_json::Value {
        match self {
            Self::Access => schema_of::<AccessFile>(),
            Self::Onboarding => schema_of::<OnboardingFile>(),
            Self::Limits => schema_of::<LimitsFile>(),
            Self::Signup => schema_of::<SignupFile>(),
        }
    }
}
