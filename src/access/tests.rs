//! The decision: a table of every kind of access with every standing.

use std::collections::BTreeMap;

use serde_json::json;

use super::path::CanonicalPath;
use super::*;
use crate::clock::Timestamp;
use crate::expression::Condition;
use crate::identity::{
    Account, AccountType, Cleared, CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId,
    VerifiedClaims, VerifiedIdentity,
};
use crate::policy::duties::{Duties, Meanwhile};
use crate::policy::onboarding::{LocalLogin, SelfRegistration};
use crate::policy::place::PathPattern;
use crate::policy::route::{ACCOUNT_MEMBERS, REQUEST_MEMBERS};
use crate::policy::signup_form::{Agreement, AgreementText};
use crate::policy::step_up::Shortfall;
use crate::policy::{
    ApprovalPolicy, Forms, Limits, OnboardingPolicy, PartnerPolicy, Rules, SignupForm, StepUp,
};
use crate::session::{SessionKey, SessionRecord, Stage};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Decides as the data plane does: chooses the rule, and has it judge.
pub(super) fn decide_for(
    facts: &RequestFacts,
    standing: &SessionStanding,
    policy: &Policy,
) -> Verdict {
    decide_for_any(facts, &Standing::Session(standing.clone()), policy)
}

/// The same for whoever sends it.
pub(super) fn decide_for_any(
    facts: &RequestFacts,
    standing: &Standing,
    policy: &Policy,
) -> Verdict {
    match rule_for(facts, policy) {
        Ok(rule) => decide(facts, rule, standing, policy),
        Err(refusal) => Verdict::Refuse(refusal),
    }
}

pub(super) fn below(path: &str) -> PathPattern {
    PathPattern::Below(path.to_owned())
}

pub(super) fn requiring(mut rule: Rule, condition: &str) -> Rule {
    rule.require = Some(Condition::compile(condition).unwrap());
    rule
}

/// `/public` is open, `/admin` needs the group `adm`, `/odd` has a condition that fails on most
/// claims, `/files` takes encoded slashes and `;`, everything else needs a login.
fn policy() -> Policy {
    let mut files = Rule::new("files", below("/files"), Access::Public);
    files.allow_encoded_slash = true;
    files.allow_semicolon = true;
    with_rules(vec![
        Rule::new("public", below("/public"), Access::Public),
        Rule::new(
            "me",
            PathPattern::Exact("/public/@me".to_owned()),
            Access::Login,
        ),
        requiring(
            Rule::new("admin", below("/admin"), Access::Login),
            "'adm' in identity.groups",
        ),
        requiring(
            Rule::new("odd", below("/odd"), Access::Public),
            "identity.level > 3",
        ),
        files,
    ])
}

pub(super) fn with_rules(rules: Vec<Rule>) -> Policy {
    let form = SignupForm::default();
    Policy {
        version: "test".into(),
        rules: Rules::new(rules),
        onboarding: OnboardingPolicy {
            create_customer_on_first_login: true,
            account_types: vec![AccountType::Business],
            add_default_location: true,
            known_customer: vec![],
            exclude: vec![],
            recheck_account_every: std::time::Duration::from_mins(5),
            self_registration: SelfRegistration::default(),
            duties: Duties::default(),
            addresses: crate::policy::addresses::AddressPolicy::default(),
            hooks: crate::policy::hooks::HookPolicy::default(),
            local_login: LocalLogin::default(),
            partner: PartnerPolicy::default(),
            approval: ApprovalPolicy::default(),
            attributes: crate::policy::attributes::AttributePolicy::default(),
        },
        limits: Limits::default(),
        forms: Forms {
            default: Arc::new(form),
            by_host: BTreeMap::new(),
        },
    }
}

pub(super) fn facts(path: &str, kind: RequestKind) -> RequestFacts {
    RequestFacts {
        host: "app.example.com".into(),
        own_origin: "https://app.example.com".into(),
        method: http::Method::GET,
        path: CanonicalPath::parse(path.as_bytes()).unwrap(),
        query: None,
        kind,
        client: std::net::IpAddr::from([192, 0, 2, 10]),
        at: NOW,
        origin: None,
    }
}

pub(super) fn identity(provider: &str, claims: &serde_json::Value) -> VerifiedIdentity {
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new(provider),
        issuer: Issuer::new("https://idp.example.com"),
        subject: Subject::new("alice"),
        claims: claims.as_object().unwrap().clone(),
        email_trusted: false,
        authenticated_at: NOW,
    })
}

fn session(stage: Stage, claims: &serde_json::Value) -> OpenSession {
    let identity = identity("corp", claims);
    OpenSession {
        key: SessionKey::from_store("key".to_owned()),
        handoffs: Arc::default(),
        record: Arc::new(SessionRecord {
            identity,
            stage,
            cleared: Cleared::default(),
            host: "app.example.com".into(),
            created_at: NOW,
            ends_at: NOW.plus(std::time::Duration::from_hours(1)),
        }),
    }
}

pub(super) fn alice() -> OpenSession {
    live_with(&json!({"groups": ["users"], "level": 1}))
}

pub(super) fn live_with(claims: &serde_json::Value) -> OpenSession {
    let account = Account {
        platform: PlatformId::new("demo"),
        user: UserId::new("u1"),
        customer: Some(CustomerId::new("c1")),
        account_type: Some(AccountType::Business),
    };
    session(Stage::Live(account), claims)
}

pub(super) fn pending() -> OpenSession {
    session(
        Stage::Pending {
            return_to: "/x".to_owned(),
        },
        &json!({}),
    )
}

pub(super) fn nobodies() -> [SessionStanding; 5] {
    [
        SessionStanding::Absent,
        SessionStanding::Pending(pending()),
        SessionStanding::Expired,
        SessionStanding::Unreadable,
        SessionStanding::StoreDown,
    ]
}

pub(super) fn somebodies(session: &OpenSession) -> [SessionStanding; 2] {
    [
        SessionStanding::Live(session.clone()),
        SessionStanding::NeedsRefresh(session.clone()),
    ]
}

#[test]
fn conditions_may_read_what_there_is_and_nothing_else() {
    let names = |value: Value| {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>()
    };
    let account = serde_json::to_value(alice().record.account()).unwrap();
    assert_eq!(names(account), ACCOUNT_MEMBERS);
    let request = facts("/", RequestKind::Page).as_value();
    assert_eq!(names(request), REQUEST_MEMBERS);
}

#[test]
fn a_page_behind_login_by_every_standing() {
    let page = facts("/things", RequestKind::Page);
    let policy = policy();
    for standing in somebodies(&alice()) {
        let Verdict::Forward(permit) = decide_for(&page, &standing, &policy) else {
            panic!()
        };
        assert!(permit.who().is_some());
    }
    assert!(matches!(
        decide_for(&page, &SessionStanding::Absent, &policy),
        Verdict::LogIn(_)
    ));
    assert!(matches!(
        decide_for(&page, &SessionStanding::Expired, &policy),
        Verdict::LogIn(_)
    ));
    assert!(matches!(
        decide_for(&page, &SessionStanding::Unreadable, &policy),
        Verdict::LogIn(_)
    ));
    assert!(matches!(
        decide_for(&page, &SessionStanding::Pending(pending()), &policy),
        Verdict::Onboard(_)
    ));
    assert!(matches!(
        decide_for(&page, &SessionStanding::StoreDown, &policy),
        Verdict::Refuse(Refusal::StoreDown)
    ));
}

#[test]
fn only_pages_are_sent_to_the_login() {
    for kind in [RequestKind::Api, RequestKind::WebSocket] {
        for standing in [
            SessionStanding::Absent,
            SessionStanding::Expired,
            SessionStanding::Unreadable,
        ] {
            let verdict = decide_for(&facts("/things", kind), &standing, &policy());
            assert!(
                matches!(verdict, Verdict::Challenge),
                "{kind:?} {standing:?}"
            );
        }
    }
}

#[test]
fn on_public_routes_nobody_passes_as_somebody() {
    for kind in [RequestKind::Page, RequestKind::Api, RequestKind::WebSocket] {
        for standing in nobodies() {
            let verdict = decide_for(&facts("/public/a", kind), &standing, &policy());
            let Verdict::Forward(permit) = verdict else {
                panic!("{standing:?}")
            };
            assert!(permit.who().is_none(), "{standing:?}");
        }
    }
}

#[test]
fn on_public_routes_a_signed_in_user_is_known() {
    for standing in somebodies(&alice()) {
        let verdict = decide_for(&facts("/public/a", RequestKind::Page), &standing, &policy());
        let Verdict::Forward(permit) = verdict else {
            panic!()
        };
        assert_eq!(permit.who().unwrap().key(), "key");
    }
}

/// The policy, with terms that Alice has not accepted.
fn with_terms(api: Meanwhile) -> Policy {
    let text = AgreementText {
        title: "Terms".to_owned(),
        markdown: String::new(),
        version: "2".to_owned(),
    };
    let terms = Agreement::new("terms", [("en".to_owned(), text)].into(), None);
    let form = SignupForm {
        agreements: vec![Arc::new(terms)],
        ..SignupForm::default()
    };
    let mut policy = policy();
    policy.forms.default = Arc::new(form);
    policy.onboarding.duties.agreements = api;
    policy
}

#[test]
fn what_comes_first_holds_up_pages_and_programs_as_the_policy_says() {
    for standing in somebodies(&alice()) {
        let on = |path, kind, api| decide_for(&facts(path, kind), &standing, &with_terms(api));
        for api in [Meanwhile::Allow, Meanwhile::Refuse] {
            let page = on("/things", RequestKind::Page, api);
            assert!(matches!(page, Verdict::DoFirst(Duty::Accept, to) if to.as_str() == "/things"));
            let public = on("/public/a", RequestKind::Page, api);
            assert!(matches!(public, Verdict::Forward(_)));
        }
        for kind in [RequestKind::Api, RequestKind::WebSocket] {
            let passes = on("/things", kind, Meanwhile::Allow);
            assert!(matches!(passes, Verdict::Forward(_)));
            let waits = on("/things", kind, Meanwhile::Refuse);
            assert!(matches!(waits, Verdict::DoFirst(Duty::Accept, _)));
        }
    }
    for standing in nobodies() {
        let policy = with_terms(Meanwhile::Refuse);
        let verdict = decide_for(&facts("/things", RequestKind::Api), &standing, &policy);
        assert!(!matches!(
            verdict,
            Verdict::DoFirst(..) | Verdict::Forward(_)
        ));
    }
}

#[test]
fn a_false_condition_forbids_and_a_failing_one_refuses() {
    let policy = policy();
    let admin = facts("/admin/users", RequestKind::Page);
    let live = SessionStanding::Live(alice());
    assert!(
        matches!(decide_for(&admin, &live, &policy), Verdict::Forbid { rule } if rule == "admin")
    );
    let claimless = SessionStanding::Live(live_with(&json!({})));
    assert!(matches!(
        decide_for(&admin, &claimless, &policy),
        Verdict::Refuse(Refusal::RuleFailed { .. })
    ));
    let administrator = SessionStanding::Live(live_with(&json!({"groups": ["adm"]})));
    assert!(matches!(
        decide_for(&admin, &administrator, &policy),
        Verdict::Forward(_)
    ));
    let odd = facts("/odd", RequestKind::Page);
    assert!(matches!(
        decide_for(&odd, &live, &policy),
        Verdict::Forbid { .. }
    ));
    assert!(matches!(
        decide_for(&odd, &SessionStanding::Absent, &policy),
        Verdict::Refuse(Refusal::RuleFailed { .. })
    ));
}

#[test]
fn a_claim_that_is_elsewhere_is_not_taken_for_an_empty_one() {
    let verdict = |condition, claims| {
        let others = Rule::new("others", below("/others"), Access::Login);
        let policy = with_rules(vec![requiring(others, condition)]);
        let live = SessionStanding::Live(live_with(&claims));
        decide_for(&facts("/others", RequestKind::Page), &live, &policy)
    };
    for condition in [
        "!('adm' in identity.groups)",
        "!has(identity.groups) || !('adm' in identity.groups)",
        "!('groups' in identity)",
    ] {
        for partial in [
            json!({"groups": [], "hasgroups": true}),
            json!({"groups": [], "_claim_names": {"groups": "src1"}}),
            json!({"groups": [], "_claim_names": {"groups": "src1", "_claim_names": "src1"}}),
            json!({"groups": [], "hasgroups": true, "_claim_names": {"hasgroups": "src1"}}),
        ] {
            let verdict = verdict(condition, partial);
            let is_refused = matches!(verdict, Verdict::Refuse(Refusal::RuleFailed { .. }));
            assert!(is_refused, "{condition}: {verdict:?}");
        }
    }
    let others = json!({"groups": [], "level": 1, "_claim_names": {"photo": "src1"}});
    let passes = verdict("!('adm' in identity.groups)", others);
    assert!(matches!(passes, Verdict::Forward(_)));
    let of_another = verdict(
        "identity.level == 1",
        json!({"level": 1, "hasgroups": true}),
    );
    assert!(matches!(of_another, Verdict::Forward(_)));
}

#[test]
fn encoded_slashes_and_parameters_need_a_rule_that_takes_them() {
    let decide_on = |path| {
        decide_for(
            &facts(path, RequestKind::Page),
            &SessionStanding::Absent,
            &policy(),
        )
    };
    assert!(matches!(
        decide_on("/public/a%2Fb"),
        Verdict::Refuse(Refusal::EncodedSlash)
    ));
    assert!(matches!(
        decide_on("/public/a;b"),
        Verdict::Refuse(Refusal::PathParameters)
    ));
    assert!(matches!(decide_on("/files/a%2Fb;c"), Verdict::Forward(_)));
}

#[test]
fn another_spelling_of_a_path_does_not_slip_under_another_rule() {
    let decide_on = |path| {
        decide_for(
            &facts(path, RequestKind::Page),
            &SessionStanding::Absent,
            &policy(),
        )
    };
    assert!(matches!(decide_on("/public/@me"), Verdict::LogIn(_)));
    assert!(matches!(
        decide_on("/public/%40me"),
        Verdict::Refuse(Refusal::AmbiguousPath)
    ));
    assert!(matches!(decide_on("/public/%40you"), Verdict::Forward(_)));
}

#[test]
fn a_websocket_from_another_origin_is_refused_even_with_a_session() {
    let mut handshake = facts("/things", RequestKind::WebSocket);
    let live = SessionStanding::Live(alice());
    assert!(matches!(
        decide_for(&handshake, &live, &policy()),
        Verdict::Forward(_)
    ));
    handshake.origin = Some("https://app.example.com".to_owned());
    assert!(matches!(
        decide_for(&handshake, &live, &policy()),
        Verdict::Forward(_)
    ));
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
    ] {
        handshake.origin = Some(origin.to_owned());
        assert!(matches!(
            decide_for(&handshake, &live, &policy()),
            Verdict::Refuse(Refusal::ForeignWebSocket)
        ));
    }
}

#[test]
fn the_upstream_gets_the_path_that_was_decided_on() {
    let mut page = facts("/", RequestKind::Page);
    page.path = CanonicalPath::parse(b"/%61%2Db").unwrap();
    page.query = Some("x=%2F..%2f&y=/../".to_owned());
    let Verdict::Forward(permit) = decide_for(&page, &SessionStanding::Live(alice()), &policy())
    else {
        panic!()
    };
    assert_eq!(permit.target(), "/a-b?x=%2F..%2f&y=/../");
}

#[test]
fn methods_are_compared_case_sensitively() {
    let mut read = Rule::new("read", below("/data"), Access::Public);
    read.methods = vec!["GET".to_owned()];
    let policy = with_rules(vec![read]);
    let mut request = facts("/data", RequestKind::Api);
    assert!(matches!(
        decide_for(&request, &SessionStanding::Absent, &policy),
        Verdict::Forward(_)
    ));
    request.method = http::Method::from_bytes(b"get").unwrap();
    assert!(matches!(
        decide_for(&request, &SessionStanding::Absent, &policy),
        Verdict::Challenge
    ));
}

#[test]
fn a_preflight_passes_as_nobody_and_only_without_a_cookie_or_a_condition() {
    let preflight = |path: &str, standing: &SessionStanding| {
        decide_for(&facts(path, RequestKind::Preflight), standing, &policy())
    };
    let Verdict::Forward(permit) = preflight("/things", &SessionStanding::Absent) else {
        panic!()
    };
    assert!(permit.who().is_none());
    assert!(matches!(
        preflight("/admin", &SessionStanding::Absent),
        Verdict::Challenge
    ));
    for standing in nobodies().into_iter().skip(1) {
        let verdict = preflight("/things", &standing);
        assert!(!matches!(verdict, Verdict::Forward(_)), "{standing:?}");
    }
}

/// A policy with one rule, which asks for a second factor of the last five minutes.
fn paying() -> Policy {
    let mut pay = Rule::new("pay", below("/pay"), Access::Login);
    pay.step_up = Some(StepUp {
        acr: vec!["mfa".to_owned()],
        max_age: Some(std::time::Duration::from_mins(5)),
    });
    with_rules(vec![pay])
}

#[test]
fn a_step_up_is_asked_for_until_the_sign_in_is_good_enough() {
    let seconds = NOW.seconds();
    for (claims, expected) in [
        (json!({}), Some(Shortfall::Class)),
        (
            json!({"acr": "pwd", "auth_time": seconds}),
            Some(Shortfall::Class),
        ),
        (json!({"acr": "mfa"}), Some(Shortfall::Age)),
        (
            json!({"acr": "mfa", "auth_time": seconds - 600}),
            Some(Shortfall::Age),
        ),
        (json!({"acr": "mfa", "auth_time": seconds - 60}), None),
    ] {
        for standing in somebodies(&live_with(&claims)) {
            for kind in [RequestKind::Page, RequestKind::Api, RequestKind::WebSocket] {
                let lacks = match decide_for(&facts("/pay/1", kind), &standing, &paying()) {
                    Verdict::StepUp(demand, to) => {
                        assert_eq!((demand.rule.as_str(), to.as_str()), ("pay", "/pay/1"));
                        Some(demand.lacks)
                    }
                    Verdict::Forward(_) => None,
                    other => panic!("{other:?}"),
                };
                assert_eq!(lacks, expected, "{claims}");
            }
        }
    }
    for standing in nobodies() {
        let verdict = decide_for(&facts("/pay/1", RequestKind::Page), &standing, &paying());
        assert!(!matches!(
            verdict,
            Verdict::StepUp(..) | Verdict::Forward(_)
        ));
    }
}

#[test]
fn whom_a_rule_forbids_is_not_asked_for_a_step_up() {
    let mut pay = requiring(
        Rule::new("pay", below("/pay"), Access::Login),
        "'adm' in identity.groups",
    );
    pay.step_up = Some(StepUp {
        acr: vec!["mfa".to_owned()],
        max_age: None,
    });
    let live = SessionStanding::Live(alice());
    let verdict = decide_for(
        &facts("/pay", RequestKind::Page),
        &live,
        &with_rules(vec![pay]),
    );
    assert!(matches!(verdict, Verdict::Forbid { .. }));
}
