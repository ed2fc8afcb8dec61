//! What would happen to a request, whoever sends it.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::SecretString;
use serde_json::Map;

use super::Ground;
use crate::access::path::CanonicalPath;
use crate::access::{
    ApiClient, BearerStanding, ClientAccount, Refusal, RequestFacts, RequestKind, Standing,
    Verdict, decide, rule_for,
};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::identity::{
    Account, Issuer, PlatformId, ProviderId, Subject, UserId, VerifiedClaims, VerifiedIdentity,
};
use crate::paths;
use crate::policy::duties::Duty;
use crate::policy::{Access, HandOff, Rule, StepUp};
use crate::proxy::{Problem, UpstreamSettings, kept_from_thingsboard, upstream_for};
use crate::session::{Handoffs, OpenSession, SessionKey, SessionRecord, SessionStanding, Stage};

/// Who asks.
pub(super) struct Caller {
    /// By the claims that were given.
    pub(super) identity: VerifiedIdentity,
    /// The platform's user, where one was given.
    pub(super) account: Option<Account>,
}

/// The explanation.
pub(super) fn explain(
    ground: &Ground,
    request: &str,
    caller: Option<&Caller>,
) -> anyhow::Result<String> {
    let facts = facts(ground, request)?;
    let path = facts.path.as_str();
    let mut text = format!("Request: {} {path} on {}\n", facts.method, facts.host);
    if paths::is_ours(path) {
        text.push_str("The path is the gateway's own and is never forwarded.\n");
        return Ok(text);
    }
    let rule = match rule_for(&facts, &ground.policy) {
        Ok(rule) => rule,
        Err(refusal) => {
            let _ = writeln!(text, "Everybody: {}", refused(&refusal));
            return Ok(text);
        }
    };
    text.push_str(&describe(rule));
    text.push_str(&passed_over(ground, (rule, &facts)));
    let upstreams = &ground.settings.proxy.upstreams;
    if let Some(upstream) = upstream_for(upstreams, &facts.host, path) {
        let _ = writeln!(text, "Upstream: {}", upstream.name);
        let _ = writeln!(text, "Hand-off: {}", handed_off(rule, upstream));
        if let Some(kept) = kept_from_thingsboard(&upstream.handoff, (rule, &facts)) {
            let _ = writeln!(text, "Everybody: {kept}");
            return Ok(text);
        }
    }
    for (who, standing) in standings(ground, rule, caller) {
        let judge = |facts: &RequestFacts| decide(facts, rule, &standing, &ground.policy);
        let _ = writeln!(text, "{who}:{}", outcomes(&facts, rule, judge));
    }
    Ok(text)
}

/// Everybody who can ask, as far as the gateway tells them apart.
fn standings(
    ground: &Ground,
    rule: &Rule,
    caller: Option<&Caller>,
) -> Vec<(&'static str, Standing)> {
    let anybody = Caller {
        identity: nobody_in_particular(),
        account: None,
    };
    let pending = Stage::Pending {
        return_to: "/".to_owned(),
    };
    let pending = session(caller.unwrap_or(&anybody), pending, ground);
    let mut all = vec![
        ("Nobody", SessionStanding::Absent),
        ("With a session that is over", SessionStanding::Expired),
        ("Not registered yet", SessionStanding::Pending(pending)),
        (
            "While the session store is down",
            SessionStanding::StoreDown,
        ),
    ];
    if let Some(caller) = caller {
        let account = caller.account.clone().unwrap_or_else(any_account);
        let live = session(caller, Stage::Live(account), ground);
        all.push(("Signed in with these claims", SessionStanding::Live(live)));
    }
    let by_session = |(who, standing)| (who, Standing::Session(standing));
    let mut all: Vec<_> = all.into_iter().map(by_session).collect();
    if rule.access == Access::Api {
        let bad = BearerStanding::Bad;
        all.push(("With a bad bearer token", Standing::Bearer(bad)));
        let good = caller.map(|caller| BearerStanding::Good(Arc::new(client(caller))));
        let named = |good| ("With a token of these claims", Standing::Bearer(good));
        all.extend(good.map(named));
    }
    all
}

/// A program with a token of these claims; without an account where none was given.
fn client(caller: &Caller) -> ApiClient {
    let scopes = caller.identity.text("scope").unwrap_or_default();
    ApiClient {
        key: "explained".into(),
        token: SecretString::default(),
        identity: caller.identity.clone(),
        account: caller
            .account
            .clone()
            .map_or(ClientAccount::None, ClientAccount::Live),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        origins: None,
        ends_at: Timestamp::from_millis(i64::MAX),
        handoffs: Handoffs::default(),
    }
}

/// What becomes of each kind of request, those with the same end together.
fn outcomes(facts: &RequestFacts, rule: &Rule, judge: impl Fn(&RequestFacts) -> Verdict) -> String {
    let mut found: Vec<(Vec<&str>, String)> = Vec::new();
    for (kind, word) in kinds(&facts.method) {
        let kind = kind.under(rule.access);
        let facts = RequestFacts {
            kind,
            ..facts.clone()
        };
        let end = spoken(&judge(&facts), kind);
        match found.iter_mut().find(|(_, known)| *known == end) {
            Some((words, _)) => words.push(word),
            None => found.push((vec![word], end)),
        }
    }
    if let [(_, only)] = found.as_slice() {
        return format!(" {only}");
    }
    let each = |(words, end): &(Vec<&str>, String)| format!("\n    {}: {end}", words.join(", "));
    found.iter().map(each).collect()
}

/// The kinds of request that come by a method.
fn kinds(method: &http::Method) -> &'static [(RequestKind, &'static str)] {
    match method.as_str() {
        "GET" => &[
            (RequestKind::Page, "page"),
            (RequestKind::Api, "program"),
            (RequestKind::WebSocket, "WebSocket"),
        ],
        "HEAD" => &[(RequestKind::Page, "page"), (RequestKind::Api, "program")],
        "OPTIONS" => &[
            (RequestKind::Api, "program"),
            (RequestKind::Preflight, "question of another origin (CORS)"),
        ],
        _ => &[(RequestKind::Api, "program")],
    }
}

/// The rules that are for the request as well, and less specific.
fn passed_over(ground: &Ground, (rule, facts): (&Arc<Rule>, &RequestFacts)) -> String {
    let (path, method) = (facts.path.as_str(), facts.method.as_str());
    let is_for = |other: &&Arc<Rule>| {
        !Arc::ptr_eq(other, rule)
            && other.path.matches(path)
            && other.host.as_deref().is_none_or(|own| own == &*facts.host)
            && (other.methods.is_empty() || other.methods.iter().any(|own| own == method))
    };
    let others = ground.policy.rules.all().iter().filter(is_for);
    let names: Vec<String> = others.map(|other| placed(other)).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("Passed over, as less specific: {}\n", names.join("; "))
}

/// A rule's name, and what it is for.
fn placed(rule: &Rule) -> String {
    let methods = rule.methods.join(", ");
    let by_method = if methods.is_empty() { "" } else { " " };
    let on_host = rule.host.as_ref().map(|host| format!(" on {host}"));
    format!(
        "{}, for {methods}{by_method}{}{}",
        rule.name,
        rule.path,
        on_host.unwrap_or_default()
    )
}

/// By what the upstream learns who somebody is.
fn handed_off(rule: &Rule, upstream: &UpstreamSettings) -> String {
    let all = HandOff::ALL.into_iter();
    let chosen = all.filter(|by| upstream.handoff.has(*by) && rule.hands_off(*by));
    let words: Vec<&str> = chosen.map(HandOff::as_str).collect();
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.join(", ")
}

fn facts(ground: &Ground, request: &str) -> anyhow::Result<RequestFacts> {
    let (method, target) = request
        .split_once(' ')
        .context("a request is a method and a path: `GET /devices`")?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let path = CanonicalPath::parse(path.as_bytes())
        .context("a request with this path gets 400, whatever the rules say")?;
    let method = http::Method::from_bytes(method.as_bytes()).context("this is not a method")?;
    let is_page = matches!(method.as_str(), "GET" | "HEAD");
    let hosts = &ground.settings.proxy.hosts;
    let host = hosts.iter().find(|host| *host.name == *ground.host);
    let host = host.context("there is no host")?;
    Ok(RequestFacts {
        host: Arc::clone(&host.name),
        own_origin: Arc::clone(&host.origin),
        method,
        path,
        query,
        kind: if is_page {
            RequestKind::Page
        } else {
            RequestKind::Api
        },
        client: Ipv4Addr::LOCALHOST.into(),
        at: SystemClock.now(),
        origin: None,
    })
}

fn describe(rule: &Rule) -> String {
    let mut text = format!("Rule: {}\n", placed(rule));
    let access = match rule.access {
        Access::Public => "everybody",
        Access::Login => "who is signed in and registered",
        Access::Api => "programs with a good token, and who is signed in and registered",
    };
    let _ = writeln!(text, "It lets in: {access}");
    if !rule.tokens.scopes.is_empty() {
        let scopes = rule.tokens.scopes.join(" ");
        let _ = writeln!(text, "It wants of tokens the scopes: {scopes}");
    }
    if let Some(condition) = &rule.require {
        let _ = writeln!(text, "It requires: {}", condition.source());
    }
    if let Some(wanted) = &rule.step_up {
        let _ = writeln!(text, "It asks of the sign-in: {}", sign_in_of(wanted));
    }
    if let Some(limit) = &rule.limit {
        let _ = writeln!(text, "It draws from the limit: {}", limit.name);
    }
    for (what, fields) in [
        ("requests", &rule.headers.request),
        ("responses", &rule.headers.response),
    ] {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "It sets in {what}: {}", names.join(", "));
        }
    }
    text
}

fn sign_in_of(wanted: &StepUp) -> String {
    let class = (!wanted.acr.is_empty()).then(|| format!("acr {}", wanted.acr.join(" or ")));
    let age = wanted
        .max_age
        .map(|age| format!("at most {} s ago", age.as_secs()));
    let both: Vec<String> = class.into_iter().chain(age).collect();
    both.join(", ")
}

fn spoken(verdict: &Verdict, kind: RequestKind) -> String {
    let is_page = kind == RequestKind::Page;
    match verdict {
        Verdict::Forward(permit) if permit.who().is_some() => "forwarded, as themselves".to_owned(),
        Verdict::Forward(_) => "forwarded, as nobody".to_owned(),
        Verdict::LogIn(_) => "sent to the login page".to_owned(),
        Verdict::Challenge => "401".to_owned(),
        Verdict::RefuseToken => "401: the token is not good here".to_owned(),
        Verdict::WidenScope(rule) => {
            let scopes = rule.tokens.scopes.join(" ");
            format!("403: the token needs the scopes {scopes}")
        }
        Verdict::Onboard(_) if is_page => "sent to the registration page".to_owned(),
        Verdict::Onboard(_) => "403 registration_required".to_owned(),
        Verdict::DoFirst(Duty::Accept, _) => "sent to the agreements first".to_owned(),
        Verdict::DoFirst(Duty::Verify, _) => "sent to the confirmation of data first".to_owned(),
        Verdict::StepUp(demand, _) if is_page => {
            format!("sent to the identity provider once more: {}", demand.lacks)
        }
        Verdict::StepUp(demand, _) => {
            format!("401 insufficient_user_authentication: {}", demand.lacks)
        }
        Verdict::Forbid { .. } => "403: what the rule requires does not hold".to_owned(),
        Verdict::Refuse(refusal) => refused(refusal),
    }
}

fn refused(refusal: &Refusal) -> String {
    let status = Problem::Refused(refusal.clone()).status();
    let mut text = format!("{}: {refusal}", status.as_u16());
    if let Refusal::RuleFailed { cause, .. } = refusal {
        let _ = write!(text, ": {cause}");
    }
    text
}

/// A session as it would be, with nothing to do first.
fn session(caller: &Caller, stage: Stage, ground: &Ground) -> OpenSession {
    OpenSession {
        key: SessionKey::from_store("explained"),
        handoffs: Arc::default(),
        record: Arc::new(SessionRecord {
            identity: caller.identity.clone(),
            stage,
            cleared: ground.policy.forms.of(&ground.host).all_cleared(),
            host: ground.host.as_str().into(),
            created_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(i64::MAX),
        }),
    }
}

/// An account that stands for any.
fn any_account() -> Account {
    Account {
        platform: PlatformId::new("explained"),
        user: UserId::new("explained"),
        customer: None,
        account_type: None,
    }
}

fn nobody_in_particular() -> VerifiedIdentity {
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new("explained"),
        issuer: Issuer::new("explained"),
        subject: Subject::new("explained"),
        claims: Map::new(),
        email_trusted: false,
        authenticated_at: Timestamp::from_millis(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::explain::tests::{ground, somebody};
    use crate::identity::CustomerId;

    #[test]
    fn a_request_is_judged_for_everybody() {
        let (_folder, ground) = ground();
        let caller = Caller {
            identity: somebody(&ground),
            account: None,
        };
        let ask = |request| explain(&ground, request, Some(&caller)).unwrap();
        insta::assert_snapshot!(
            [
                ask("GET /public/x"),
                ask("GET /admin/users"),
                ask("GET /admin/keys"),
                ask("POST /things"),
                ask("OPTIONS /things"),
                ask("GET /things%40home"),
                ask("GET /a%2Fb"),
                ask("GET /auth/login"),
            ]
            .join("\n")
        );
    }

    #[test]
    fn what_a_condition_says_of_an_account_is_judged_by_it() {
        let (_folder, ground) = ground();
        let ask = |customer: Option<&str>| {
            let caller = Caller {
                identity: somebody(&ground),
                account: Some(Account {
                    customer: customer.map(CustomerId::new),
                    ..any_account()
                }),
            };
            explain(&ground, "GET /acme", Some(&caller)).unwrap()
        };
        assert!(ask(Some("acme")).contains("with these claims: forwarded, as themselves"));
        assert!(ask(None).contains("with these claims: 403"));
    }

    #[test]
    fn what_no_request_can_be_is_said() {
        let (_folder, ground) = ground();
        assert!(explain(&ground, "GET", None).is_err());
        assert!(explain(&ground, "GET /a/../b", None).is_err());
    }
}
