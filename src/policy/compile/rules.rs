//! `access.toml` to [`Rules`].

use crate::identity::ProviderId;
use crate::operator_file::{At, Findings, Octets, Span};
use crate::policy::Limits;
use crate::policy::document::{AccessFile, AccessWord, AccountWord, HandOffWord, RuleShape};
use crate::policy::place::PathPattern;
use crate::policy::route::{
    ACCOUNT_MEMBERS, Access, HandOff, REQUEST_MEMBERS, Rule, Rules, TokenDemands,
};

use super::{Surroundings, limits, overlaps, rule_headers, step_up};

pub fn compile(
    file: &AccessFile,
    known: Option<&Limits>,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> Rules {
    let AccessFile { rule } = file;
    findings.no_doubles("rule", rule.iter().map(|rule| &rule.name));
    let mut rules: Vec<(Span, Rule)> = Vec::new();
    for shape in rule {
        if let Some(host) = &shape.host {
            around.check_host(host, findings);
        }
        let Some(one) = compile_rule(shape, (known, around), findings) else {
            continue;
        };
        if let Some(issuers) = &shape.issuers {
            around.check_api_issuers(issuers, findings);
        }
        if let (Some(at), Some(chosen)) = (&shape.hand_off, &one.hand_off) {
            around.check_hand_off(at, chosen, findings);
        }
        rules.push((shape.path.span.clone(), one));
    }
    overlaps::report(&rules, &around.hosts, findings);
    Rules::new(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn compile_rule(
    shape: &RuleShape,
    (known, around): (Option<&Limits>, &Surroundings),
    findings: &mut Findings<'_>,
) -> Option<Rule> {
    let RuleShape {
        name,
        host,
        path,
        methods,
        access,
        scopes: _,
        account: _,
        issuers: _,
        require,
        step_up,
        limit,
        allow_encoded_slash,
        allow_semicolon,
        max_body,
        hand_off,
        headers,
    } = shape;
    let pattern = pattern(path, findings);
    let methods = methods.iter().map(|word| method(word, findings)).collect();
    let condition = findings.take_optional(require.as_ref());
    if let (Some(require), Some(condition)) = (require, &condition) {
        let known = ["identity", "account", "request"];
        findings.no_unknown_name(&require.span, condition.unknown_variable(&known), &known);
        for (of, members) in [("account", ACCOUNT_MEMBERS), ("request", REQUEST_MEMBERS)] {
            let unknown = condition.unknown_member(of, &members);
            findings.no_unknown_name(&require.span, unknown, &members);
        }
    }
    let limit = limit
        .as_ref()
        .zip(known)
        .and_then(|(name, known)| limits::find(&known.named, name, findings));
    let max_body = findings
        .take_optional(max_body.as_ref())
        .map(|Octets(size)| size);
    let rule = Rule {
        name: name.value.clone(),
        host: host.as_ref().map(|host| host.value.clone()),
        path: pattern?,
        methods,
        access: match access {
            AccessWord::Public => Access::Public,
            AccessWord::Login => Access::Login,
            AccessWord::Api => Access::Api,
        },
        tokens: tokens(shape, findings),
        require: condition,
        step_up: step_up::compile(step_up.as_ref(), *access, findings),
        limit,
        allow_encoded_slash: *allow_encoded_slash,
        allow_semicolon: *allow_semicolon,
        max_body,
        hand_off: hand_off
            .as_ref()
            .map(|chosen| chosen.iter().copied().map(means).collect()),
        headers: rule_headers::compile(headers, around, findings),
    };
    advise(&rule, path, findings);
    Some(rule)
}

/// What is wanted of bearer tokens; other rules than those for programs look at none.
fn tokens(shape: &RuleShape, findings: &mut Findings<'_>) -> TokenDemands {
    let RuleShape {
        scopes,
        account,
        issuers,
        ..
    } = shape;
    let spans = [
        scopes.as_ref().map(|at| &at.span),
        account.as_ref().map(|at| &at.span),
        issuers.as_ref().map(|at| &at.span),
    ];
    let stray = spans.into_iter().flatten().next();
    if let Some(span) = stray.filter(|_| shape.access != AccessWord::Api) {
        let message = "only rules with `access = \"api\"` look at bearer tokens";
        findings.error(span, message, "write `access = \"api\"`, or take it out");
    }
    let is_scope = |scope: &String| !scope.is_empty() && scope.bytes().all(is_scope_octet);
    if let Some(scopes) = scopes.as_ref().filter(|all| !all.iter().all(is_scope)) {
        let advice = "write each scope as one text, without spaces";
        findings.error(&scopes.span, "that is no scope", advice);
    }
    TokenDemands {
        scopes: scopes.as_ref().map_or_else(Vec::new, |at| at.value.clone()),
        needs_account: account
            .as_ref()
            .is_none_or(|at| at.value == AccountWord::Required),
        issuers: issuers.as_ref().map(|at| {
            let ids = at.iter().map(|id| ProviderId::new(id.value.as_str()));
            ids.collect()
        }),
    }
}

/// RFC 6749, section 3.3.
fn is_scope_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b'"' && octet != b'\\'
}

fn means(word: HandOffWord) -> HandOff {
    match word {
        HandOffWord::Headers => HandOff::Headers,
        HandOffWord::Assertion => HandOff::Assertion,
        HandOffWord::AccessToken => HandOff::AccessToken,
        HandOffWord::ThingsBoard => HandOff::ThingsBoard,
    }
}

/// What is allowed but rarely meant.
fn advise(rule: &Rule, path: &At<String>, findings: &mut Findings<'_>) {
    let is_everything = rule.path == PathPattern::everything();
    if is_everything && rule.access == Access::Public && rule.require.is_none() {
        let message = "everything that no other rule is for is public";
        let advice = "name what is public, or put access in other rules";
        findings.warning(&path.span, message, advice);
    }
    let has = |method: &str| rule.methods.iter().any(|own| own == method);
    if has("GET") && !has("HEAD") {
        let message = format!(
            "`{}` is for GET, and another rule decides about HEAD",
            rule.name
        );
        findings.warning(&path.span, message, "add \"HEAD\" to `methods`");
    }
    for (is_refused, what, key) in [
        (
            path.contains("%2F") && !rule.allow_encoded_slash,
            "an encoded slash",
            "allow_encoded_slash",
        ),
        (
            path.contains(';') && !rule.allow_semicolon,
            "a `;`",
            "allow_semicolon",
        ),
    ] {
        if is_refused {
            let message = format!("`{}` refuses what it is for: {what}", rule.name);
            findings.warning(&path.span, message, format!("add `{key} = true`"));
        }
    }
}

fn method(word: &At<String>, findings: &mut Findings<'_>) -> String {
    let is_method = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    if !is_method {
        let message = format!("`{}` is not a method", word.value);
        let advice = format!("write it in capitals: `{}`", word.to_uppercase());
        findings.error(&word.span, message, advice);
    }
    word.value.clone()
}

/// Which paths a text names, or what is wrong with it.
fn pattern(path: &At<String>, findings: &mut Findings<'_>) -> Option<PathPattern> {
    let parsed = PathPattern::parse(path);
    parsed
        .map_err(|problem| findings.error(&path.span, problem.to_string(), problem.advice()))
        .ok()
}
