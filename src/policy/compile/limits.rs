//! `limits.toml` to [`Limits`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::operator_file::{At, Findings};
use crate::policy::Limits;
use crate::policy::document::{Apply, LimitShape, LimitsFile};
use crate::rate_limit::{Limit, Per, Scope};
use crate::spelling::closest;

/// The word for no limit.
const NONE: &str = "none";

pub fn compile(file: &LimitsFile, findings: &mut Findings<'_>) -> Limits {
    let LimitsFile {
        limit,
        apply,
        abuse,
    } = file;
    let named: BTreeMap<String, Arc<Limit>> = limit
        .iter()
        .filter_map(|(name, shape)| Some((name.clone(), Arc::new(one(name, shape, findings)?))))
        .collect();
    let Apply {
        network,
        user,
        login,
        bad_token,
    } = apply;
    let mut of = |name: Option<&At<String>>, shipped: Option<Limit>| match name {
        None => shipped.map(Arc::new),
        Some(name) if name.value == NONE => None,
        Some(name) => find(&named, name, findings),
    };
    let forwarded_per_network = of(network.as_ref(), None);
    let forwarded_per_user = of(user.as_ref(), None);
    let login = of(login.as_ref(), Some(shipped("login", 120)));
    let bad_token = of(bad_token.as_ref(), Some(shipped("bad_token", 120)));
    Limits {
        abuse: super::abuse::limits(abuse, findings),
        forwarded_per_network: forwarded_per_network.map(|limit| counted(limit, Per::Ip)),
        forwarded_per_user: forwarded_per_user.map(|limit| counted(limit, Per::User)),
        login: login.map(|limit| counted(limit, Per::Ip)),
        bad_token: bad_token.map(|limit| counted(limit, Per::Ip)),
        named,
    }
}

/// The limit of this name; an unknown one is reported.
pub fn find(
    named: &BTreeMap<String, Arc<Limit>>,
    name: &At<String>,
    findings: &mut Findings<'_>,
) -> Option<Arc<Limit>> {
    let found = named.get(&name.value).cloned();
    if found.is_none() {
        let message = format!("there is no limit `{}`", name.value);
        let advice = match closest(name, named.keys().map(String::as_str)) {
            Some(word) => format!("write `{word}`"),
            None => format!("add `[limit.{}]` to limits.toml", name.value),
        };
        findings.error(&name.span, message, advice);
    }
    found
}

fn one(name: &str, shape: &LimitShape, findings: &mut Findings<'_>) -> Option<Limit> {
    let LimitShape {
        rate,
        burst,
        per,
        scope,
    } = shape;
    let taken = findings.take(rate)?;
    if name == NONE {
        findings.error(&rate.span, "`none` means no limit", "give it another name");
    }
    if !name.chars().all(is_of_a_name) {
        let message = format!("`{name}` cannot be told to clients");
        let advice = "name it with letters, digits, `-`, `_` and `.`";
        findings.error(&rate.span, message, advice);
    }
    if let Some(burst) = burst
        && burst.value == 0
    {
        findings.error(
            &burst.span,
            "a burst of 0 lets nobody through",
            "write at least 1",
        );
        return None;
    }
    Some(Limit {
        name: name.to_owned(),
        requests: taken.requests,
        period: taken.period,
        burst: burst.as_ref().map_or(taken.requests, |burst| burst.value),
        per: per.unwrap_or(Per::Ip),
        scope: *scope,
    })
}

/// Names stand in fields of answers, within quotes.
fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&letter)
}

fn shipped(name: &str, a_minute: u32) -> Limit {
    Limit {
        name: name.to_owned(),
        requests: a_minute,
        period: Duration::from_mins(1),
        burst: a_minute,
        per: Per::Ip,
        scope: Scope::Cluster,
    }
}

/// What is applied everywhere counts by what it is applied to.
fn counted(limit: Arc<Limit>, per: Per) -> Arc<Limit> {
    if limit.per == per {
        return limit;
    }
    Arc::new(Limit {
        per,
        ..Limit::clone(&limit)
    })
}
