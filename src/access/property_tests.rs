//! What holds of every decision, whatever the rules, the request and whoever sends it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::client_tests::{client, linked};
use super::path::CanonicalPath;
use super::tests::{
    NOW, decide_for, decide_for_any, facts, identity, live_with, nobodies, somebodies, with_rules,
};
use super::*;
use crate::expression::Condition;
use crate::identity::{ProviderId, VerifiedIdentity};
use crate::policy::place::PathPattern;
use crate::policy::{StepUp, TokenDemands};

const HOSTS: [&str; 2] = ["app.example.com", "b.example.com"];
const METHODS: [&str; 4] = ["GET", "POST", "OPTIONS", "get"];

const ACCESS: [Access; 3] = [Access::Public, Access::Login, Access::Api];

const SCOPES: [&str; 2] = ["read", "write"];

const ISSUERS: [&str; 2] = ["corp", "shop"];

/// The third cannot be evaluated for nobody, nor without the claim.
const CONDITIONS: [&str; 3] = ["true", "false", "identity.level > 3"];

/// What a generated rule says.
#[derive(Debug, Clone)]
struct Says {
    path: String,
    is_exact: bool,
    host: Option<&'static str>,
    methods: Vec<&'static str>,
    access: Access,
    tokens: TokenDemands,
    require: Option<&'static str>,
    step_up: Option<StepUp>,
    allows_odd_paths: bool,
}

fn says() -> impl Strategy<Value = Says> {
    let place = (
        "(/([ab]|@|%40|c;d|e%2Ff)){0,3}",
        any::<bool>(),
        option::of(prop::sample::select(&HOSTS[..])),
        vec(prop::sample::select(&METHODS[..]), 0..3),
    );
    let demands = (
        prop::sample::select(&ACCESS[..]),
        tokens(),
        option::of(prop::sample::select(&CONDITIONS[..])),
        option::of(step_up()),
        any::<bool>(),
    );
    (place, demands).prop_map(|((path, is_exact, host, methods), demands)| {
        let (access, tokens, require, step_up, allows_odd_paths) = demands;
        Says {
            path,
            is_exact,
            host,
            methods,
            access,
            tokens,
            require,
            step_up: step_up.filter(|_| access != Access::Public),
            allows_odd_paths,
        }
    })
}

fn tokens() -> impl Strategy<Value = TokenDemands> {
    let issuers = option::of(prop::sample::subsequence(&ISSUERS[..], 0..=2));
    (scopes(), any::<bool>(), issuers).prop_map(|(scopes, needs_account, issuers)| {
        let issuers = issuers.map(|all| all.into_iter().map(ProviderId::new).collect());
        TokenDemands {
            scopes,
            needs_account,
            issuers,
        }
    })
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    let some = prop::sample::subsequence(&SCOPES[..], 0..=2);
    some.prop_map(|scopes| scopes.into_iter().map(str::to_owned).collect())
}

fn step_up() -> impl Strategy<Value = StepUp> {
    (vec("[ab]", 0..2), option::of(1u64..20)).prop_map(|(acr, minutes)| StepUp {
        acr,
        max_age: minutes.map(std::time::Duration::from_mins),
    })
}

fn rule(number: usize, says: &Says) -> Rule {
    let path = match (says.is_exact, says.path.as_str()) {
        (true, "") => PathPattern::Exact("/".to_owned()),
        (true, path) => PathPattern::Exact(path.to_owned()),
        (false, path) => PathPattern::Below(path.to_owned()),
    };
    Rule {
        host: says.host.map(str::to_owned),
        methods: says.methods.iter().map(|&own| own.to_owned()).collect(),
        tokens: says.tokens.clone(),
        require: says.require.map(|text| Condition::compile(text).unwrap()),
        step_up: says.step_up.clone(),
        allow_encoded_slash: says.allows_odd_paths,
        allow_semicolon: says.allows_odd_paths,
        ..Rule::new(number.to_string(), path, says.access)
    }
}

fn policy(all: &[Says]) -> Policy {
    let rules = all.iter().enumerate();
    with_rules(rules.map(|(number, says)| rule(number, says)).collect())
}

fn requests() -> impl Strategy<Value = RequestFacts> {
    let kinds = [
        RequestKind::Page,
        RequestKind::Api,
        RequestKind::WebSocket,
        RequestKind::Preflight,
        RequestKind::Grpc,
    ];
    (
        "(/([abx]|@|%40|c;d|e%2Ff)){1,4}/?",
        prop::sample::select(kinds.to_vec()),
        prop::sample::select(&HOSTS[..]),
        prop::sample::select(&METHODS[..]),
        option::of("[a-z=&/.]{0,8}"),
    )
        .prop_map(|(path, kind, host, method, query)| RequestFacts {
            host: host.into(),
            method: method.parse().unwrap(),
            path: CanonicalPath::parse(path.as_bytes()).unwrap(),
            query,
            ..facts("/", kind)
        })
}

/// Claims that do or do not do.
fn claims() -> impl Strategy<Value = Value> {
    let claims = (
        option::of(0i64..6),
        option::of("[ab]"),
        option::of(0i64..2000),
    );
    claims.prop_map(|(level, acr, age)| {
        let at = age.map(|age| NOW.seconds() - age);
        let mut claims = json!({});
        for (name, value) in [
            ("level", level.map(|level| json!(level))),
            ("acr", acr.map(|acr| json!(acr))),
            ("auth_time", at.map(|at| json!(at))),
        ] {
            if let Some(value) = value {
                claims[name] = value;
            }
        }
        claims
    })
}

/// Everybody who can ask: nobody in five ways, somebody, and programs.
fn standings() -> impl Strategy<Value = Standing> {
    let somebody = (claims(), any::<bool>()).prop_map(|(claims, is_stale)| {
        let [fresh, stale] = somebodies(&live_with(&claims));
        if is_stale { stale } else { fresh }
    });
    let nobody = (0..nobodies().len()).prop_map(|which| nobodies()[which].clone());
    prop_oneof![
        nobody.prop_map(Standing::Session),
        somebody.prop_map(Standing::Session),
        no_good_token().prop_map(Standing::Bearer),
        programs().prop_map(|client| Standing::Bearer(BearerStanding::Good(Arc::new(client)))),
    ]
}

fn no_good_token() -> impl Strategy<Value = BearerStanding> {
    prop_oneof![Just(BearerStanding::Bad), Just(BearerStanding::Unknown)]
}

/// Programs with a good token.
fn programs() -> impl Strategy<Value = ApiClient> {
    let accounts = [ClientAccount::None, ClientAccount::Closed, linked()];
    let of = (
        prop::sample::select(accounts.to_vec()),
        prop::sample::select(&ISSUERS[..]),
    );
    (of, claims(), scopes()).prop_map(|((account, issuer), claims, scopes)| ApiClient {
        identity: identity(issuer, &claims),
        scopes,
        ..client(account)
    })
}

fn is_somebody(standing: &Standing) -> bool {
    matches!(
        standing,
        Standing::Session(SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_))
            | Standing::Bearer(BearerStanding::Good(_))
    )
}

/// The most specific of all rules, the default where none is for the request.
fn chosen<'a>(rules: &'a [Rule], default: &'a Rule, facts: &RequestFacts, path: &str) -> &'a Rule {
    let mut best = (None, default);
    for rule in rules {
        let (text, is_exact) = match &rule.path {
            PathPattern::Exact(text) => (text, true),
            PathPattern::Below(text) => (text, false),
        };
        let is_below = path == text || path.starts_with(&format!("{text}/"));
        let has_method = |own: &String| own == facts.method.as_str();
        let is_for = (if is_exact { path == text } else { is_below })
            && (rule.host.is_none() || rule.host.as_deref() == Some(&*facts.host))
            && (rule.methods.is_empty() || rule.methods.iter().any(has_method));
        let weight = (
            text.len(),
            is_exact,
            rule.host.is_some(),
            !rule.methods.is_empty(),
        );
        if is_for && Some(weight) > best.0 {
            best = (Some(weight), rule);
        }
    }
    best.1
}

/// What a rule comes to for somebody whom it lets in, or for nobody.
fn judged(rule: &Rule, who: Option<&VerifiedIdentity>) -> &'static str {
    let claim = |name: &str| who.and_then(|who| who.claims().get(name));
    match rule.require.as_ref().map(Condition::source) {
        Some("false") => return "forbidden",
        Some("identity.level > 3") => match claim("level").and_then(Value::as_i64) {
            None => return "refused",
            Some(level) if level <= 3 => return "forbidden",
            Some(_) => {}
        },
        _ => {}
    }
    let Some(StepUp { acr, max_age }) = &rule.step_up else {
        return "forwarded";
    };
    let acr_fits = acr.is_empty() || acr.iter().any(|own| claim("acr") == Some(&json!(own)));
    let age = claim("auth_time").map(|at| NOW.seconds() - at.as_i64().unwrap());
    let age_fits = max_age.is_none_or(|most| {
        age.is_some_and(|age| age <= i64::try_from(most.as_secs()).unwrap() + 60)
    });
    if acr_fits && age_fits {
        "forwarded"
    } else {
        "stepped up"
    }
}

/// The decision, told at length: every rule is looked at, and judges by itself.
fn by_looking_at_every_rule(
    facts: &RequestFacts,
    standing: &Standing,
    all: &[Says],
) -> &'static str {
    let rules = all.iter().enumerate();
    let rules: Vec<Rule> = rules.map(|(number, says)| rule(number, says)).collect();
    let default = Rule::new("default", PathPattern::everything(), Access::Login);
    let path = facts.path.as_str();
    let rule = chosen(&rules, &default, facts, path);
    let as_plain = chosen(&rules, &default, facts, &path.replace("%40", "@"));
    let is_odd = path.contains("%2F") || path.contains(';');
    if as_plain.name != rule.name || (is_odd && !rule.allow_encoded_slash) {
        return "refused";
    }
    match standing {
        Standing::Session(session) => by_session(rule, facts, session),
        Standing::Bearer(_) if rule.access != Access::Api => "challenged",
        Standing::Bearer(BearerStanding::Good(client)) => by_token(rule, client),
        Standing::Bearer(BearerStanding::Bad) => "refused a token",
        Standing::Bearer(BearerStanding::Unknown) => "refused",
    }
}

fn by_session(rule: &Rule, facts: &RequestFacts, standing: &SessionStanding) -> &'static str {
    match standing {
        SessionStanding::Live(who) | SessionStanding::NeedsRefresh(who) => {
            judged(rule, Some(&who.record.identity))
        }
        _ if rule.access == Access::Public => judged(rule, None),
        SessionStanding::Absent
            if facts.kind == RequestKind::Preflight && rule.require.is_none() =>
        {
            "forwarded"
        }
        SessionStanding::Pending(_) => "onboarded",
        SessionStanding::StoreDown => "refused",
        _ if facts.kind == RequestKind::Page && rule.access == Access::Login => "logged in",
        _ => "challenged",
    }
}

fn by_token(rule: &Rule, client: &ApiClient) -> &'static str {
    let demands = &rule.tokens;
    let lacks = |scope: &String| !client.scopes.contains(scope);
    if !trusts(demands, client) {
        "refused a token"
    } else if !has_account(demands, client) {
        "refused"
    } else if demands.scopes.iter().any(lacks) {
        "asked for scopes"
    } else {
        judged(rule, Some(&client.identity))
    }
}

fn trusts(demands: &TokenDemands, client: &ApiClient) -> bool {
    let issuers = demands.issuers.as_ref();
    issuers.is_none_or(|all| {
        all.iter()
            .any(|one| Some(one) == client.identity.provider())
    })
}

fn has_account(demands: &TokenDemands, client: &ApiClient) -> bool {
    match client.account {
        ClientAccount::Live(_) => true,
        ClientAccount::None => !demands.needs_account,
        ClientAccount::Closed => false,
    }
}

fn end_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Forward(_) => "forwarded",
        Verdict::LogIn(_) => "logged in",
        Verdict::Challenge => "challenged",
        Verdict::RefuseToken => "refused a token",
        Verdict::WidenScope(_) => "asked for scopes",
        Verdict::Onboard(_) => "onboarded",
        Verdict::DoFirst(..) => "held up",
        Verdict::StepUp(..) => "stepped up",
        Verdict::Forbid { .. } => "forbidden",
        Verdict::Refuse(_) => "refused",
    }
}

fn is_forwarded(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Forward(_))
}

proptest! {
    #[test]
    fn a_decision_is_what_looking_at_every_rule_gives(
        all in vec(says(), 0..8), request in requests(), standing in standings()
    ) {
        let verdict = decide_for_any(&request, &standing, &policy(&all));
        let expected = by_looking_at_every_rule(&request, &standing, &all);
        prop_assert_eq!(end_of(&verdict), expected, "{:?}", verdict);
    }

    #[test]
    fn without_a_session_nothing_behind_login_is_forwarded_and_nobody_is_somebody(
        all in vec(says(), 0..8), request in requests(), which in 0usize..5
    ) {
        let standing = nobodies()[which].clone();
        if let Verdict::Forward(permit) = decide_for(&request, &standing, &policy(&all)) {
            prop_assert!(permit.who().is_none());
            let is_question = request.kind == RequestKind::Preflight
                && matches!(standing, SessionStanding::Absent);
            prop_assert!(permit.rule().access == Access::Public || is_question);
        }
    }

    #[test]
    fn without_a_good_token_no_program_is_forwarded_anywhere(
        all in vec(says(), 0..8), request in requests(), bearer in no_good_token()
    ) {
        let standing = Standing::Bearer(bearer);
        let verdict = decide_for_any(&request, &standing, &policy(&all));
        prop_assert!(!is_forwarded(&verdict));
    }

    #[test]
    fn a_program_passes_only_where_its_token_is_what_the_rule_asks_for(
        all in vec(says(), 0..8), request in requests(), program in programs()
    ) {
        let program = Arc::new(program);
        let standing = Standing::Bearer(BearerStanding::Good(Arc::clone(&program)));
        match decide_for_any(&request, &standing, &policy(&all)) {
            Verdict::Forward(permit) => {
                let (access, demands) = (permit.rule().access, &permit.rule().tokens);
                prop_assert_eq!(access, Access::Api);
                prop_assert!(trusts(demands, &program) && has_account(demands, &program));
                prop_assert!(demands.scopes.iter().all(|own| program.scopes.contains(own)));
                prop_assert!(matches!(permit.who(), Some(Caller::Client(who)) if Arc::ptr_eq(who, &program)));
            }
            Verdict::WidenScope(rule) => {
                prop_assert!(rule.tokens.scopes.iter().any(|own| !program.scopes.contains(own)));
            }
            verdict => prop_assert!(
                !matches!(verdict, Verdict::LogIn(_) | Verdict::Onboard(_) | Verdict::DoFirst(..))
            ),
        }
    }

    #[test]
    fn a_token_without_one_of_the_scopes_never_does_more(
        all in vec(says(), 0..8), request in requests(), program in programs()
    ) {
        let judged = |scopes: &[String]| {
            let standing = Standing::Bearer(BearerStanding::Good(Arc::new(ApiClient {
                identity: program.identity.clone(),
                scopes: scopes.to_vec(),
                ..client(program.account.clone())
            })));
            decide_for_any(&request, &standing, &policy(&all))
        };
        let before = judged(&program.scopes);
        let fewer = judged(program.scopes.get(1..).unwrap_or_default());
        prop_assert!(is_forwarded(&before) || !is_forwarded(&fewer));
    }

    #[test]
    fn what_is_forwarded_is_what_was_decided_on(
        all in vec(says(), 0..8), request in requests(), standing in standings()
    ) {
        if let Verdict::Forward(permit) = decide_for_any(&request, &standing, &policy(&all)) {
            let path = request.path.as_str();
            let target = match &request.query {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            prop_assert_eq!(permit.target(), target);
            prop_assert!(permit.rule().path.matches(path));
            prop_assert_eq!(permit.who().is_some(), is_somebody(&standing));
        }
    }

    #[test]
    fn whoever_passes_has_signed_in_as_the_rule_asks(
        all in vec(says(), 0..8), request in requests(), standing in standings()
    ) {
        if let Verdict::Forward(permit) = decide_for_any(&request, &standing, &policy(&all))
            && let (Some(wanted), Some(who)) = (&permit.rule().step_up, permit.who())
        {
            let sign_in = SignIn::of_identity(who.identity());
            prop_assert_eq!(wanted.shortfall(&sign_in, NOW), None);
        }
    }

    #[test]
    fn another_deny_rule_never_widens_access(
        all in vec(says(), 0..8), deny in says(), request in requests(), standing in standings()
    ) {
        let deny = Says { require: Some("false"), ..deny };
        let before = decide_for_any(&request, &standing, &policy(&all));
        let stricter: Vec<Says> = all.into_iter().chain([deny]).collect();
        let after = decide_for_any(&request, &standing, &policy(&stricter));
        prop_assert!(is_forwarded(&before) || !is_forwarded(&after));
    }

    #[test]
    fn a_rule_that_asks_for_more_never_widens_access(
        all in vec(says(), 1..8), which in any::<prop::sample::Index>(), more in step_up(),
        request in requests(), standing in standings()
    ) {
        let before = decide_for_any(&request, &standing, &policy(&all));
        let mut stricter = all.clone();
        let one = &mut stricter[which.index(all.len())];
        if one.access == Access::Public {
            one.access = Access::Login;
        }
        one.step_up.get_or_insert(more);
        let after = decide_for_any(&request, &standing, &policy(&stricter));
        let is_question = request.kind == RequestKind::Preflight
            && matches!(standing, Standing::Session(SessionStanding::Absent));
        prop_assert!(is_forwarded(&before) || !is_forwarded(&after) || is_question);
    }

    #[test]
    fn the_order_of_rules_that_differ_in_place_does_not_matter(
        all in vec(says(), 0..8), request in requests(), standing in standings()
    ) {
        let place = |says: &Says| (says.path.clone(), says.is_exact, says.host);
        let mut told_apart: Vec<Says> = Vec::new();
        for says in all {
            if !told_apart.iter().any(|other| place(other) == place(&says)) {
                told_apart.push(says);
            }
        }
        let there = decide_for_any(&request, &standing, &policy(&told_apart));
        told_apart.reverse();
        let back = decide_for_any(&request, &standing, &policy(&told_apart));
        prop_assert_eq!(end_of(&there), end_of(&back));
    }
}
