//! The decision about programs: a table of every kind of token with every demand of a rule.

use secrecy::SecretString;
use serde_json::json;

use super::tests::*;
use super::*;
use crate::identity::{Account, ProviderId};
use crate::policy::step_up::Shortfall;
use crate::policy::{StepUp, TokenDemands};
use crate::session::Handoffs;

pub(super) fn client(account: ClientAccount) -> ApiClient {
    ApiClient {
        key: "token".into(),
        token: SecretString::from("t"),
        identity: identity("corp", &json!({"client_id": "app", "tier": 2})),
        account,
        scopes: vec!["read".to_owned()],
        origins: None,
        ends_at: NOW.plus(std::time::Duration::from_mins(5)),
        handoffs: Handoffs::default(),
    }
}

pub(super) fn linked() -> ClientAccount {
    let account: Option<Account> = alice().record.account().cloned();
    ClientAccount::Live(account.unwrap())
}

fn api(demands: TokenDemands) -> Rule {
    let mut rule = Rule::new("api", below("/api"), Access::Api);
    rule.tokens = demands;
    rule
}

fn verdict(rule: Rule, standing: BearerStanding) -> Verdict {
    let policy = with_rules(vec![rule]);
    let facts = facts("/api/x", RequestKind::Page.under(Access::Api));
    let rule = rule_for(&facts, &policy).unwrap();
    decide(&facts, rule, &Standing::Bearer(standing), &policy)
}

fn verdict_for(rule: Rule, account: ClientAccount) -> Verdict {
    verdict(rule, BearerStanding::Good(Arc::new(client(account))))
}

#[test]
fn a_good_token_passes_as_the_program_of_its_user() {
    let Verdict::Forward(permit) = verdict_for(api(TokenDemands::default()), linked()) else {
        panic!()
    };
    let who = permit.who().unwrap();
    assert_eq!(who.account().unwrap().user.as_str(), "u1");
    assert!(permit.session().is_none());
}

#[test]
fn an_account_is_wanted_unless_the_rule_says_otherwise() {
    let optional = || TokenDemands {
        needs_account: false,
        ..TokenDemands::default()
    };
    let refused = verdict_for(api(TokenDemands::default()), ClientAccount::None);
    assert!(matches!(refused, Verdict::Refuse(Refusal::NoAccount)));
    let passes = verdict_for(api(optional()), ClientAccount::None);
    assert!(
        matches!(passes, Verdict::Forward(permit) if permit.who().unwrap().account().is_none())
    );
    for demands in [TokenDemands::default(), optional()] {
        let closed = verdict_for(api(demands), ClientAccount::Closed);
        assert!(matches!(closed, Verdict::Refuse(Refusal::AccountClosed)));
    }
}

#[test]
fn all_scopes_are_wanted_and_only_trusted_issuers_count() {
    let wanting = |scopes: &[&str], issuer: &str| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let issuers = Some(vec![ProviderId::new(issuer)]);
        let demands = TokenDemands {
            scopes,
            needs_account: true,
            issuers,
        };
        verdict_for(api(demands), linked())
    };
    assert!(matches!(wanting(&["read"], "corp"), Verdict::Forward(_)));
    assert!(matches!(
        wanting(&["read", "write"], "corp"),
        Verdict::WidenScope(_)
    ));
    assert!(matches!(wanting(&["rea"], "corp"), Verdict::WidenScope(_)));
    assert!(matches!(wanting(&["read"], "other"), Verdict::RefuseToken));
}

#[test]
fn what_is_not_good_never_passes_and_is_never_sent_to_a_page() {
    let rule = || api(TokenDemands::default());
    let bad = verdict(rule(), BearerStanding::Bad);
    assert!(matches!(bad, Verdict::RefuseToken));
    let unknown = verdict(rule(), BearerStanding::Unknown);
    assert!(matches!(unknown, Verdict::Refuse(Refusal::IssuerDown)));
    for access in [Access::Login, Access::Public] {
        let mut other = rule();
        other.access = access;
        let verdict = verdict_for(other, linked());
        assert!(matches!(verdict, Verdict::Challenge), "{access:?}");
    }
}

#[test]
fn the_condition_sees_what_the_token_says() {
    let judged =
        |condition| verdict_for(requiring(api(TokenDemands::default()), condition), linked());
    let passes = judged("identity.client_id == 'app' && account.user == 'u1'");
    assert!(matches!(passes, Verdict::Forward(_)));
    assert!(matches!(
        judged("identity.tier > 2"),
        Verdict::Forbid { .. }
    ));
    let failing = judged("identity.missing == 1");
    assert!(matches!(
        failing,
        Verdict::Refuse(Refusal::RuleFailed { .. })
    ));
}

#[test]
fn whoever_has_a_session_passes_and_nobody_is_redirected() {
    let policy = with_rules(vec![api(TokenDemands::default())]);
    let facts = facts("/api/x", RequestKind::Page);
    let rule = rule_for(&facts, &policy).unwrap();
    let judged = |standing| decide(&facts, rule, &Standing::Session(standing), &policy);
    for standing in somebodies(&alice()) {
        assert!(matches!(judged(standing), Verdict::Forward(_)));
    }
    for standing in nobodies() {
        let verdict = judged(standing);
        assert!(
            !matches!(verdict, Verdict::LogIn(_) | Verdict::Forward(_)),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_token_shows_how_its_user_has_signed_in() {
    let now = NOW.seconds();
    for (claims, expected) in [
        (json!({}), Some(Shortfall::Class)),
        (
            json!({"acr": "pwd", "auth_time": now}),
            Some(Shortfall::Class),
        ),
        (json!({"acr": "mfa", "iat": now}), Some(Shortfall::Age)),
        (
            json!({"acr": "mfa", "auth_time": now - 600}),
            Some(Shortfall::Age),
        ),
        (json!({"acr": "mfa", "auth_time": now - 60}), None),
    ] {
        let mut rule = api(TokenDemands::default());
        rule.step_up = Some(StepUp {
            acr: vec!["mfa".to_owned()],
            max_age: Some(std::time::Duration::from_mins(5)),
        });
        let identity = live_with(&claims).record.identity.clone();
        let client = ApiClient {
            identity,
            ..client(linked())
        };
        let lacks = match verdict(rule, BearerStanding::Good(Arc::new(client))) {
            Verdict::StepUp(demand, _) => Some(demand.lacks),
            Verdict::Forward(_) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(lacks, expected, "{claims}");
    }
}
