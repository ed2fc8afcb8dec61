//! May this request pass? Pure: facts, rule, standing and policy in, a [`Verdict`] out.

mod caller;
mod device;
mod facts;
pub mod header_hygiene;
pub mod path;
mod return_to;
mod verdict;

use std::sync::Arc;

use serde_json::Value;

use crate::policy::duties::Duty;
use crate::policy::step_up::SignIn;
use crate::policy::{Access, Policy, Rule};
use crate::session::{OpenSession, SessionStanding};

pub use caller::{ApiClient, BearerStanding, Caller, ClientAccount, Standing};
pub use device::device_word;
pub use facts::{ClientContext, RequestFacts, RequestKind};
pub use return_to::ReturnTo;
pub use verdict::{Permit, Refusal, StepUpDemand, Verdict};

/// Decides what happens to a request under the rule that is chosen for it by [`rule_for`].
///
/// An error on the way is never Forward.
pub fn decide(
    facts: &RequestFacts,
    rule: &Arc<Rule>,
    standing: &Standing,
    policy: &Policy,
) -> Verdict {
    if let Some(refusal) = unfit(facts, rule) {
        return Verdict::Refuse(refusal);
    }
    match standing {
        Standing::Session(session) => for_session(rule, facts, (session, policy)),
        Standing::Bearer(bearer) => for_bearer(rule, facts, bearer),
    }
}

/// Why a request is not looked at further, whoever sends it.
fn unfit(facts: &RequestFacts, rule: &Rule) -> Option<Refusal> {
    if facts.path.has_encoded_slash() && !rule.allow_encoded_slash {
        return Some(Refusal::EncodedSlash);
    }
    if facts.path.has_semicolon() && !rule.allow_semicolon {
        return Some(Refusal::PathParameters);
    }
    foreign_websocket(facts)
}

fn for_session(
    rule: &Arc<Rule>,
    facts: &RequestFacts,
    (standing, policy): (&SessionStanding, &Policy),
) -> Verdict {
    if let Some(duty) = first_duty(rule, facts, (standing, policy)) {
        return Verdict::DoFirst(duty, ReturnTo::from_request(facts));
    }
    match (rule.access, standing) {
        (_, SessionStanding::Live(session) | SessionStanding::NeedsRefresh(session)) => {
            judge(rule, facts, Some(&Caller::Session(session.clone())))
        }
        (Access::Public, _) => judge(rule, facts, None),
        (_, SessionStanding::Absent) if is_answerable_preflight(rule, facts) => {
            Verdict::Forward(Permit::new(rule, facts, None))
        }
        (_, SessionStanding::StoreDown) => Verdict::Refuse(Refusal::StoreDown),
        (_, SessionStanding::Pending(session)) => Verdict::Onboard(session.clone()),
        (Access::Api, _) => Verdict::Challenge,
        (
            Access::Login,
            SessionStanding::Absent | SessionStanding::Expired | SessionStanding::Unreadable,
        ) => ask_to_log_in(facts),
    }
}

/// Under other rules than those for programs a bearer token says nothing.
fn for_bearer(rule: &Arc<Rule>, facts: &RequestFacts, standing: &BearerStanding) -> Verdict {
    if rule.access != Access::Api {
        return Verdict::Challenge;
    }
    match standing {
        BearerStanding::Good(client) => for_client(rule, facts, client),
        BearerStanding::Bad => Verdict::RefuseToken,
        BearerStanding::Unknown => Verdict::Refuse(Refusal::IssuerDown),
    }
}

fn for_client(rule: &Arc<Rule>, facts: &RequestFacts, client: &Arc<ApiClient>) -> Verdict {
    let demands = &rule.tokens;
    let issuer = client.identity.provider();
    if !issuer.is_some_and(|issuer| demands.trusts(issuer)) {
        return Verdict::RefuseToken;
    }
    match &client.account {
        ClientAccount::Closed => return Verdict::Refuse(Refusal::AccountClosed),
        ClientAccount::None if demands.needs_account => {
            return Verdict::Refuse(Refusal::NoAccount);
        }
        ClientAccount::None | ClientAccount::Live(_) => {}
    }
    if !demands.scopes.iter().all(|own| client.scopes.contains(own)) {
        return Verdict::WidenScope(Arc::clone(rule));
    }
    judge(rule, facts, Some(&Caller::Client(Arc::clone(client))))
}

/// The rule for a request: the most specific; the built-in one, which needs a login, where none
/// matches. Refused when encoded delimiters in the path (`%40` for `@`) would choose another one
/// than the plain ones, for which the upstream may take them.
pub fn rule_for<'a>(facts: &RequestFacts, policy: &'a Policy) -> Result<&'a Arc<Rule>, Refusal> {
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
    is_one.then_some(rule).ok_or(Refusal::AmbiguousPath)
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

fn judge(rule: &Arc<Rule>, facts: &RequestFacts, who: Option<&Caller>) -> Verdict {
    let Some(condition) = &rule.require else {
        return by_sign_in(rule, facts, who);
    };
    // Only what the condition reads is made for a request.
    let made = |name: &str, value: &dyn Fn() -> Option<Value>| {
        let wanted = condition.reads(name).then(value);
        wanted.flatten().unwrap_or_default()
    };
    let identity = made("identity", &|| Some(who?.identity().claims().to_value()));
    let account = made("account", &|| serde_json::to_value(who?.account()).ok());
    let request = made("request", &|| Some(facts.as_value()));
    let variables = [
        ("identity", &identity),
        ("account", &account),
        ("request", &request),
    ];
    let holds = match who {
        Some(caller) => condition.holds_of(caller.identity(), &variables),
        None => condition.holds(&variables),
    };
    match holds {
        Ok(true) => by_sign_in(rule, facts, who),
        Ok(false) => Verdict::Forbid {
            rule: rule.name.clone(),
        },
        Err(cause) => Verdict::Refuse(Refusal::RuleFailed {
            rule: rule.name.clone(),
            cause,
        }),
    }
}

/// Forwards whoever has signed in as the rule asks. Whom it would not let in anyway is not asked
/// to sign in once more.
fn by_sign_in(rule: &Arc<Rule>, facts: &RequestFacts, who: Option<&Caller>) -> Verdict {
    if let Some(wanted) = &rule.step_up {
        let sign_in = who.map(|caller| SignIn::of_identity(caller.identity()));
        if let Some(lacks) = wanted.shortfall(&sign_in.unwrap_or_default(), facts.at) {
            let demand = StepUpDemand {
                rule: rule.name.clone(),
                wanted: wanted.clone(),
                lacks,
            };
            return Verdict::StepUp(demand, ReturnTo::from_request(facts));
        }
    }
    Verdict::Forward(Permit::new(rule, facts, who))
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
mod client_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
