//! May this request pass? Pure: facts, standing and policy in, a [`Verdict`] out.

mod device;
mod facts;
pub mod header_hygiene;
pub mod path;
mod return_to;
mod verdict;

use std::sync::Arc;

use serde_json::Value;

use crate::policy::duties::Duty;
use crate::policy::{Access, Policy, Rule};
use crate::session::{OpenSession, SessionStanding};

pub use device::device_word;
pub use facts::{ClientContext, RequestFacts, RequestKind};
pub use return_to::ReturnTo;
pub use verdict::{Permit, Refusal, Verdict};

/// Decides what happens to a request.
///
/// The rule is chosen by host, path and method; then it judges. No rule means login. An error on
/// the way is never Forward.
pub fn decide(facts: &RequestFacts, standing: &SessionStanding, policy: &Policy) -> Verdict {
    let Some(rule) = rule_for(facts, policy) else {
        return Verdict::Refuse(Refusal::AmbiguousPath);
    };
    if facts.path.has_encoded_slash() && !rule.allow_encoded_slash {
        return Verdict::Refuse(Refusal::EncodedSlash);
    }
    if facts.path.has_semicolon() && !rule.allow_semicolon {
        return Verdict::Refuse(Refusal::PathParameters);
    }
    if let Some(refusal) = foreign_websocket(facts) {
        return Verdict::Refuse(refusal);
    }
    if let Some(duty) = first_duty(rule, facts, (standing, policy)) {
        return Verdict::DoFirst(duty, ReturnTo::from_request(facts));
    }
    match (rule.access, standing) {
        (_, SessionStanding::Live(session) | SessionStanding::NeedsRefresh(session)) => {
            judge(rule, facts, Some(session))
        }
        (Access::Public, _) => judge(rule, facts, None),
        (Access::Login, SessionStanding::Absent) if is_answerable_preflight(rule, facts) => {
            Verdict::Forward(Permit::new(rule, facts, None))
        }
        (Access::Login, SessionStanding::StoreDown) => Verdict::Refuse(Refusal::StoreDown),
        (Access::Login, SessionStanding::Pending(session)) => Verdict::Onboard(session.clone()),
        (
            Access::Login,
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable,
        ) => ask_to_log_in(facts),
    }
}

/// The rule for a request; none when encoded delimiters in the path (`%40` for `@`) would choose
/// another one than the plain ones, for which the upstream may take them.
pub fn rule_for<'a>(facts: &RequestFacts, policy: &'a Policy) -> Option<&'a Arc<Rule>> {
    let choose = |path: &str| {
        policy
            .rules
            .choose(&facts.host, path, facts.method.as_str())
    };
    let rule = choose(facts.path.as_str());
    let is_one = facts
        .path
        .with_plain_delimiters()
        .is_none_or(|plain| Arc::ptr_eq(choose(&plain), rule));
    is_one.then_some(rule)
}

/// A preflight says nothing about anybody and changes nothing; without an answer to it the
/// upstream's own cross-origin calls would never be made. Rules with a condition answer none.
fn is_answerable_preflight(rule: &Rule, facts: &RequestFacts) -> bool {
    facts.kind == RequestKind::Preflight && rule.require.is_none()
}

/// A WebSocket handshake from another origin is refused: browsers send cookies with it, and no
/// CORS rule protects it.
fn foreign_websocket(facts: &RequestFacts) -> Option<Refusal> {
    let is_foreign = facts.kind == RequestKind::WebSocket
        && facts
            .origin
            .as_deref()
            .is_some_and(|origin| *origin != *facts.own_origin);
    is_foreign.then_some(Refusal::ForeignWebSocket)
}

/// What somebody has to do before anything that needs a login; the session says what they did.
fn first_duty(
    rule: &Rule,
    facts: &RequestFacts,
    (standing, policy): (&SessionStanding, &Policy),
) -> Option<Duty> {
    let (SessionStanding::Live(session) | SessionStanding::NeedsRefresh(session)) = standing else {
        return None;
    };
    if rule.access == Access::Public {
        return None;
    }
    let is_page = facts.kind == RequestKind::Page;
    duty_of(session, policy, (&facts.host, is_page))
}

/// What somebody has to do first on a host, for a page or for anything else.
pub fn duty_of(
    session: &OpenSession,
    policy: &Policy,
    (host, is_page): (&str, bool),
) -> Option<Duty> {
    let record = &session.record;
    let account_type = record.account()?.account_type;
    let form = policy.forms.of(host);
    let duties = policy.onboarding.duties;
    duties.first(form, account_type, (&record.cleared, is_page))
}

fn judge(rule: &Arc<Rule>, facts: &RequestFacts, who: Option<&OpenSession>) -> Verdict {
    let Some(condition) = &rule.require else {
        return Verdict::Forward(Permit::new(rule, facts, who));
    };
    let nobody = Value::Null;
    let identity = who.map(|session| Value::Object(session.record.identity.claims().clone()));
    let account = who.and_then(|session| serde_json::to_value(session.record.account()).ok());
    let request = facts.as_value();
    let variables = [
        ("identity", identity.as_ref().unwrap_or(&nobody)),
        ("account", account.as_ref().unwrap_or(&nobody)),
        ("request", &request),
    ];
    match condition.holds(&variables) {
        Ok(true) => Verdict::Forward(Permit::new(rule, facts, who)),
        Ok(false) => Verdict::Forbid {
            rule: rule.name.clone(),
        },
        Err(cause) => Verdict::Refuse(Refusal::RuleFailed {
            rule: rule.name.clone(),
            cause,
        }),
    }
}

/// Only a navigation of a person is sent to the login page; everything else gets 401.
fn ask_to_log_in(facts: &RequestFacts) -> Verdict {
    if facts.kind == RequestKind::Page {
        Verdict::LogIn(ReturnTo::from_request(facts))
    } else {
        Verdict::Challenge
    }
}

#[cfg(test)]
mod tests;
