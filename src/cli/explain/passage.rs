//! What would happen to a request, to a stranger and to somebody who is signed in.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;

use super::Ground;
use crate::access::path::CanonicalPath;
use crate::access::{RequestFacts, RequestKind, Standing, Verdict, decide, rule_for};
use crate::clock::Timestamp;
use crate::identity::{Account, PlatformId, UserId, VerifiedIdentity};
use crate::paths;
use crate::policy::duties::Duty;
use crate::policy::{HandOff, Rule};
use crate::proxy::{UpstreamSettings, kept_from_thingsboard, upstream_for};
use crate::session::{OpenSession, SessionKey, SessionRecord, SessionStanding, Stage};

/// The explanation.
pub fn explain(
    ground: &Ground,
    request: &str,
    identity: Option<&VerifiedIdentity>,
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
            let _ = writeln!(text, "Everybody: refused: {refusal}");
            return Ok(text);
        }
    };
    text.push_str(&describe(rule));
    let upstreams = &ground.settings.proxy.upstreams;
    if let Some(upstream) = upstream_for(upstreams, &facts.host, path) {
        let _ = writeln!(text, "Upstream: {}", upstream.name);
        let _ = writeln!(text, "Hand-off: {}", handed_off(rule, upstream));
        if let Some(kept) = kept_from_thingsboard(&upstream.handoff, (rule, &facts)) {
            let _ = writeln!(text, "Everybody: {kept}");
            return Ok(text);
        }
    }
    let judge = |standing| decide(&facts, rule, &Standing::Session(standing), &ground.policy);
    let stranger = judge(SessionStanding::Absent);
    let _ = writeln!(text, "A stranger: {}", spoken(&stranger));
    if let Some(identity) = identity {
        let verdict = judge(SessionStanding::Live(session(identity, ground)));
        let _ = writeln!(text, "Signed in with these claims: {}", spoken(&verdict));
    }
    Ok(text)
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
        origin: None,
    })
}

fn describe(rule: &Rule) -> String {
    let mut text = format!("Rule: {}\n", rule.name);
    if let Some(condition) = &rule.require {
        let _ = writeln!(text, "It requires: {}", condition.source());
    }
    if let Some(limit) = &rule.limit {
        let _ = writeln!(text, "It draws from the limit: {}", limit.name);
    }
    text
}

fn spoken(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Forward(permit) if permit.who().is_some() => "forwarded, as themselves".to_owned(),
        Verdict::Forward(_) => "forwarded, as nobody".to_owned(),
        Verdict::LogIn(_) => "sent to the login page (programs get 401)".to_owned(),
        Verdict::Challenge => "401".to_owned(),
        Verdict::RefuseToken => "401: the token is not good here".to_owned(),
        Verdict::WidenScope(rule) => {
            format!(
                "403: the token needs the scopes {}",
                rule.tokens.scopes.join(" ")
            )
        }
        Verdict::Onboard(_) => "sent to the registration page".to_owned(),
        Verdict::DoFirst(Duty::Accept, _) => "sent to the agreements first".to_owned(),
        Verdict::DoFirst(Duty::Verify, _) => "sent to the confirmation of data first".to_owned(),
        Verdict::Forbid { .. } => "403: the condition does not hold".to_owned(),
        Verdict::Refuse(refusal) => format!("refused: {refusal}"),
    }
}

/// A session as it would be, with an account that stands for any and has nothing to do first.
fn session(identity: &VerifiedIdentity, ground: &Ground) -> OpenSession {
    OpenSession {
        key: SessionKey::from_store("explained"),
        handoffs: Arc::default(),
        record: Arc::new(SessionRecord {
            identity: identity.clone(),
            stage: Stage::Live(Account {
                platform: PlatformId::new("explained"),
                user: UserId::new("explained"),
                customer: None,
                account_type: None,
            }),
            cleared: ground.policy.forms.of(&ground.host).all_cleared(),
            host: ground.host.clone(),
            created_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(i64::MAX),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::explain::tests::{ground, somebody};

    #[test]
    fn a_request_is_judged_for_a_stranger_and_for_somebody() {
        let (_folder, ground) = ground();
        let ask = |request| explain(&ground, request, Some(&somebody(&ground))).unwrap();
        insta::assert_snapshot!(
            [
                ask("GET /public/x"),
                ask("GET /admin/users"),
                ask("POST /things"),
                ask("GET /auth/login")
            ]
            .join("\n")
        );
    }

    #[test]
    fn what_no_request_can_be_is_said() {
        let (_folder, ground) = ground();
        assert!(explain(&ground, "GET", None).is_err());
        assert!(explain(&ground, "GET /a/../b", None).is_err());
    }
}
