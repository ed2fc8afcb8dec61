//! Access rules: host, path and method choose one rule, the most specific, which then judges.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::place::{PathPattern, Placed, Places};
use super::step_up::StepUp;
use crate::expression::Condition;
use crate::identity::ProviderId;
use crate::rate_limit::Limit;

/// What a condition may read of `account`.
pub const ACCOUNT_MEMBERS: [&str; 4] = ["account_type", "customer", "platform", "user"];

/// What a condition may read of `request`.
pub const REQUEST_MEMBERS: [&str; 4] = ["client", "host", "method", "path"];

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody passes *as somebody* unless signed in.
    Public,
    /// Whoever is signed in and registered.
    Login,
    /// Programs with a bearer token, and whoever is signed in; nobody is ever sent to a page.
    Api,
}

/// What a rule wants of the bearer tokens of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDemands {
    /// Scopes that a token needs, all of them (RFC 6749, section 3.3).
    pub scopes: Vec<String>,
    /// Whether the token has to be that of an account of the platform.
    pub needs_account: bool,
    /// Whose tokens count, by configured id; none for those of all issuers.
    pub issuers: Option<Vec<ProviderId>>,
}

impl Default for TokenDemands {
    fn default() -> Self {
        Self {
            scopes: Vec::new(),
            needs_account: true,
            issuers: None,
        }
    }
}

impl TokenDemands {
    /// Whether tokens of this issuer count.
    pub fn trusts(&self, issuer: &ProviderId) -> bool {
        let issuers = self.issuers.as_ref();
        issuers.is_none_or(|trusted| trusted.contains(issuer))
    }
}

/// By what an upstream learns who somebody is. Names of fields, keys and audiences are the
/// installation's; a rule chooses among what its upstream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOff {
    /// Plain fields.
    Headers,
    /// A signed assertion.
    Assertion,
    /// The identity provider's access token.
    AccessToken,
    /// ThingsBoard's own token.
    ThingsBoard,
}

impl HandOff {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Headers,
        Self::Assertion,
        Self::AccessToken,
        Self::ThingsBoard,
    ];

    /// The word for it in `access.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Assertion => "assertion",
            Self::AccessToken => "access_token",
            Self::ThingsBoard => "thingsboard",
        }
    }
}

/// One rule of `policies/access.toml`.
#[derive(Debug)]
pub struct Rule {
    /// Its name, for logs and `explain`.
    pub name: String,
    /// The host that it is for; none for all.
    pub host: Option<String>,
    /// The path pattern: an exact path, or a prefix ending in `/**` that ends at a segment border.
    pub path: PathPattern,
    /// The methods that it is for, case-sensitive; empty for all.
    pub methods: Vec<String>,
    /// Who may pass.
    pub access: Access,
    /// What is wanted of bearer tokens, under [`Access::Api`].
    pub tokens: TokenDemands,
    /// What must hold besides (CEL): false forbids, an error refuses.
    pub require: Option<Condition>,
    /// How somebody must have signed in; none where any way will do.
    pub step_up: Option<StepUp>,
    /// The limit drawn from.
    pub limit: Option<Arc<Limit>>,
    /// Whether encoded slashes pass (`%2F`).
    pub allow_encoded_slash: bool,
    /// Whether `;` passes.
    pub allow_semicolon: bool,
    /// The largest request body, octets; none for the installation's limit.
    pub max_body: Option<u64>,
    /// By what the upstream learns who it is; none for all that the upstream has.
    pub hand_off: Option<Vec<HandOff>>,
    /// What is set in heads, or taken out.
    pub headers: RuleHeaders,
}

/// Fields that a rule sets, whatever was sent, or takes out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RuleHeaders {
    /// Of requests, as the upstream gets them.
    pub request: Vec<SetField>,
    /// Of the upstream's responses, as the client gets them.
    pub response: Vec<SetField>,
}

/// A field's name, and its value; none takes it out.
pub type SetField = (HeaderName, Option<HeaderValue>);

impl Rule {
    /// A rule for all hosts and methods that asks for no more than `access` says.
    pub fn new(name: impl Into<String>, path: PathPattern, access: Access) -> Self {
        Self {
            name: name.into(),
            host: None,
            path,
            methods: Vec::new(),
            access,
            tokens: TokenDemands::default(),
            require: None,
            step_up: None,
            limit: None,
            allow_encoded_slash: false,
            allow_semicolon: false,
            max_body: None,
            hand_off: None,
            headers: RuleHeaders::default(),
        }
    }

    /// Whether the upstream learns by this who it is.
    pub fn hands_off(&self, by: HandOff) -> bool {
        self.hand_off
            .as_ref()
            .is_none_or(|chosen| chosen.contains(&by))
    }
}

impl Placed for Rule {
    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn path(&self) -> &PathPattern {
        &self.path
    }

    fn methods(&self) -> &[String] {
        &self.methods
    }
}

/// All rules.
#[derive(Debug)]
pub struct Rules {
    declared: Places<Rule>,
    default: Arc<Rule>,
}

impl Rules {
    /// Orders the rules: by path, then host, then methods.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            declared: Places::new(rules),
            default: Arc::new(Rule::new(
                "default",
                PathPattern::everything(),
                Access::Login,
            )),
        }
    }

    /// The rule for a request; the built-in one, which needs a login, when none matches.
    pub fn choose(&self, host: &str, path: &str, method: &str) -> &Arc<Rule> {
        let declared = self.declared.choose(host, path, method);
        declared.unwrap_or(&self.default)
    }

    /// The declared rule of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Rule>> {
        self.all().iter().find(|rule| rule.name == name)
    }

    /// All declared rules, the most specific first.
    pub fn all(&self) -> &[Arc<Rule>] {
        self.declared.all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_none_needs_a_login() {
        let rules = Rules::new(vec![]);
        assert_eq!(rules.choose("h", "/other", "GET").access, Access::Login);
    }
}
