//! Access rules: host, path and method choose one rule, the most specific, which then judges.

use std::collections::HashMap;
use std::sync::Arc;

use crate::expression::Condition;
use crate::rate_limit::Limit;

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody passes *as somebody* unless signed in.
    Public,
    /// Whoever is signed in and registered.
    Login,
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
    /// What must hold besides (CEL): false forbids, an error refuses.
    pub require: Option<Condition>,
    /// The limit drawn from.
    pub limit: Option<Arc<Limit>>,
    /// Whether encoded slashes pass (`%2F`).
    pub allow_encoded_slash: bool,
    /// Whether `;` passes.
    pub allow_semicolon: bool,
    /// The largest request body, octets; none for the installation's limit.
    pub max_body: Option<u64>,
}

/// Which paths a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// This path and everything below it; without the trailing slash (`/admin` for `/admin/**`).
    Below(String),
}

impl PathPattern {
    /// Whether a canonical path matches.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Below(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// How specific it is: longer wins, exact wins over a prefix of the same length.
    fn weight(&self) -> (usize, bool) {
        match self {
            Self::Exact(path) => (path.len(), true),
            Self::Below(prefix) => (prefix.len(), false),
        }
    }
}

/// All rules, the most specific first.
#[derive(Debug)]
pub struct Rules {
    ordered: Vec<Arc<Rule>>,
    exact: RulesByPath,
    below: RulesByPath,
    default: Arc<Rule>,
}

/// Rules by their path, so that a choice does not take longer the more rules there are; those of
/// one path in their order.
type RulesByPath = HashMap<String, Vec<Arc<Rule>>>;

impl Rules {
    /// Orders the rules: by path, then host, then methods.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut ordered: Vec<_> = rules.into_iter().map(Arc::new).collect();
        ordered.sort_by_key(|rule| {
            std::cmp::Reverse((
                rule.path.weight(),
                rule.host.is_some(),
                !rule.methods.is_empty(),
            ))
        });
        let default = Arc::new(Rule {
            name: "default".to_owned(),
            host: None,
            path: PathPattern::Below(String::new()),
            methods: Vec::new(),
            access: Access::Login,
            require: None,
            limit: None,
            allow_encoded_slash: false,
            allow_semicolon: false,
            max_body: None,
        });
        let (mut exact, mut below) = (RulesByPath::new(), RulesByPath::new());
        for rule in &ordered {
            let (rules, path) = match &rule.path {
                PathPattern::Exact(path) => (&mut exact, path),
                PathPattern::Below(path) => (&mut below, path),
            };
            rules
                .entry(path.clone())
                .or_default()
                .push(Arc::clone(rule));
        }
        Self {
            ordered,
            exact,
            below,
            default,
        }
    }

    /// The rule for a request; the built-in one, which needs a login, when none matches.
    pub fn choose(&self, host: &str, path: &str, method: &str) -> &Arc<Rule> {
        let exact = self.exact.get(path).into_iter();
        let below = prefixes(path).filter_map(|prefix| self.below.get(prefix));
        exact
            .chain(below)
            .flatten()
            .find(|rule| {
                rule.host.as_deref().is_none_or(|own| own == host)
                    && (rule.methods.is_empty() || rule.methods.iter().any(|own| own == method))
            })
            .unwrap_or(&self.default)
    }

    /// All declared rules, the most specific first.
    pub fn all(&self) -> &[Arc<Rule>] {
        &self.ordered
    }
}

/// The path and everything above it, the longest first, each ending at a segment border; the last
/// is empty.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |longer| {
        longer.rfind('/').and_then(|border| longer.get(..border))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(name: &str, path: PathPattern) -> Rule {
        Rule {
            name: name.to_owned(),
            host: None,
            path,
            methods: vec![],
            access: Access::Public,
            require: None,
            limit: None,
            allow_encoded_slash: false,
            allow_semicolon: false,
            max_body: None,
        }
    }

    #[test]
    fn the_most_specific_rule_is_chosen_whatever_the_order() {
        let rules = Rules::new(vec![
            rule("all", PathPattern::Below(String::new())),
            rule("adm", PathPattern::Below("/adm".to_owned())),
            rule("exact", PathPattern::Exact("/adm/x".to_owned())),
            rule("below", PathPattern::Below("/adm/x".to_owned())),
        ]);
        let name = |path| rules.choose("h", path, "GET").name.clone();
        assert_eq!(name("/adm/x"), "exact");
        assert_eq!(name("/adm/x/y"), "below");
        assert_eq!(name("/adm"), "adm");
        assert_eq!(name("/administer"), "all");
    }

    #[test]
    fn what_matches_none_needs_a_login() {
        let rules = Rules::new(vec![rule("p", PathPattern::Below("/public".to_owned()))]);
        assert_eq!(rules.choose("h", "/other", "GET").access, Access::Login);
    }

    proptest! {
        #[test]
        fn the_choice_is_that_of_looking_at_every_rule(
            patterns in proptest::collection::vec(("(/[ab]){0,3}", any::<bool>(), 0u8..3), 0..8),
            path in "(/[abc]){0,4}/?",
            method in "GET|POST"
        ) {
            let rules = patterns.iter().enumerate().map(|(number, (path, is_exact, scope))| {
                let pattern = if *is_exact {
                    PathPattern::Exact(path.clone())
                } else {
                    PathPattern::Below(path.clone())
                };
                let mut rule = rule(&number.to_string(), pattern);
                rule.host = (*scope == 1).then(|| "h".to_owned());
                rule.methods = if *scope == 2 { vec!["GET".to_owned()] } else { vec![] };
                rule
            });
            let rules = Rules::new(rules.collect());
            let by_looking = rules.all().iter().find(|rule| {
                rule.path.matches(&path)
                    && rule.host.as_deref().is_none_or(|own| own == "h")
                    && (rule.methods.is_empty() || rule.methods.contains(&method))
            });
            let expected = by_looking.map_or("default", |rule| rule.name.as_str());
            prop_assert_eq!(&rules.choose("h", &path, &method).name, expected);
        }
    }
}
