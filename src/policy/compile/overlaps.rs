//! Rules that are for the same requests: those that never decide, those of which none is the more
//! specific, and those that lose requests to a rule that asks for less.

use crate::operator_file::{Findings, Span};
use crate::policy::place::{PathPattern, specificity};
use crate::policy::route::{Access, Rule};

/// A rule, and where it stands.
type Declared = (Span, Rule);

/// Reports them.
pub(super) fn report(rules: &[Declared], hosts: &[String], findings: &mut Findings<'_>) {
    for (number, one) in rules.iter().enumerate() {
        let (before, rest) = rules.split_at(number);
        let after = rest
            .iter()
            .filter(|other| is_chosen_before(&other.1, &one.1));
        let preferred: Vec<&Declared> = before
            .iter()
            .filter(|other| !is_chosen_before(&one.1, &other.1))
            .chain(after)
            .filter(|other| other.1.path == one.1.path)
            .collect();
        if is_taken(&one.1, &preferred, hosts) {
            never_decides(one, &preferred, findings);
            continue;
        }
        for other in before {
            compare(other, one, findings);
        }
    }
}

fn is_chosen_before(one: &Rule, other: &Rule) -> bool {
    specificity(one) > specificity(other)
}

/// Whether every request of a rule falls to others of the same path, which are chosen before it.
/// Longer paths never take all: there are always more below.
fn is_taken(rule: &Rule, preferred: &[&Declared], hosts: &[String]) -> bool {
    let all_hosts: Vec<Option<&str>> = match rule.host.as_deref() {
        None if !hosts.is_empty() => hosts.iter().map(|host| Some(host.as_str())).collect(),
        own => vec![own],
    };
    // None is a method that no rule names.
    let all_methods: Vec<Option<&str>> = match rule.methods.as_slice() {
        [] => vec![None],
        own => own.iter().map(|method| Some(method.as_str())).collect(),
    };
    let is_for = |other: &Rule, host: Option<&str>, method: Option<&str>| {
        let names_method = || other.methods.iter().any(|own| Some(own.as_str()) == method);
        (other.host.is_none() || other.host.as_deref() == host)
            && (other.methods.is_empty() || names_method())
    };
    all_hosts.iter().all(|host| {
        all_methods.iter().all(|method| {
            preferred
                .iter()
                .any(|(_, other)| is_for(other, *host, *method))
        })
    })
}

fn never_decides((span, rule): &Declared, preferred: &[&Declared], findings: &mut Findings<'_>) {
    let meeting = preferred.iter().filter(|(_, other)| meet(rule, other));
    let names: Vec<String> = meeting.map(|other| named(other, findings)).collect();
    let message = format!(
        "`{}` never decides: its requests fall to {}",
        rule.name,
        names.join(", ")
    );
    findings.error(span, message, "take it out, or tell them apart");
}

/// Two rules, the first of which is declared before the second.
fn compare(first: &Declared, second: &Declared, findings: &mut Findings<'_>) {
    if !meet(&first.1, &second.1) {
        return;
    }
    if !is_chosen_before(&first.1, &second.1) && !is_chosen_before(&second.1, &first.1) {
        let message = format!(
            "`{}` and {} are both for {}, and none is more specific",
            second.1.name,
            named(first, findings),
            shared(&first.1, &second.1)
        );
        findings.error(&second.0, message, "name a method in one of them only");
        return;
    }
    let (chosen, passed) = if is_chosen_before(&first.1, &second.1) {
        (first, second)
    } else {
        (second, first)
    };
    if !contains(&passed.1, &chosen.1) && asks_for_less(&chosen.1, &passed.1) {
        let message = format!(
            "`{}` does not decide about {}: {} is more specific, and asks for less",
            passed.1.name,
            shared(&first.1, &second.1),
            named(chosen, findings)
        );
        let advice = format!(
            "ask in `{}` for what `{}` asks, or make a rule for both",
            chosen.1.name, passed.1.name
        );
        findings.warning(&passed.0, message, advice);
    }
}

/// Whether there are requests that both are for.
fn meet(one: &Rule, other: &Rule) -> bool {
    let share_path = one.path.covers(&other.path) || other.path.covers(&one.path);
    let share_host = one.host.is_none() || other.host.is_none() || one.host == other.host;
    let share_method = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|own| other.methods.contains(own));
    share_path && share_host && share_method
}

/// Whether one is for all requests that the other is for.
fn contains(one: &Rule, other: &Rule) -> bool {
    let has_methods = one.methods.is_empty()
        || (!other.methods.is_empty() && other.methods.iter().all(|its| one.methods.contains(its)));
    one.path.covers(&other.path) && (one.host.is_none() || one.host == other.host) && has_methods
}

/// Whether one lets pass what the other does not, as far as can be told before there are requests.
fn asks_for_less(one: &Rule, other: &Rule) -> bool {
    let condition = |rule: &Rule| rule.require.as_ref().map(|own| own.source().to_owned());
    let is_more_open = one.access == Access::Public && other.access != Access::Public;
    let lacks_condition = other.require.is_some() && condition(one) != condition(other);
    let lacks_step_up = other.step_up.is_some() && one.step_up != other.step_up;
    let has_scope = |scope: &String| one.tokens.scopes.contains(scope);
    let lacks_scopes = one.access == Access::Api && !other.tokens.scopes.iter().all(has_scope);
    is_more_open || lacks_condition || lacks_step_up || lacks_scopes
}

/// The requests that both are for, in words.
fn shared(one: &Rule, other: &Rule) -> String {
    let path = narrower(&one.path, &other.path);
    let methods: Vec<&str> = match (one.methods.as_slice(), other.methods.as_slice()) {
        ([], own) | (own, []) => own.iter().map(String::as_str).collect(),
        (own, its) => own
            .iter()
            .filter(|method| its.contains(method))
            .map(String::as_str)
            .collect(),
    };
    let host = one.host.as_ref().or(other.host.as_ref());
    let on_host = host.map_or(String::new(), |host| format!(" on {host}"));
    let by_method = if methods.is_empty() {
        String::new()
    } else {
        methods.join(", ") + " "
    };
    format!("{by_method}{path}{on_host}")
}

fn narrower<'a>(one: &'a PathPattern, other: &'a PathPattern) -> &'a PathPattern {
    if one.covers(other) { other } else { one }
}

fn named((span, rule): &Declared, findings: &Findings<'_>) -> String {
    let line = findings.file().place(span.start).line;
    format!("`{}` (line {line})", rule.name)
}
