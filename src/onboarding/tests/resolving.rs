//! Who somebody is to the platform, and what comes next.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::onboarding::RegistrationId;
use crate::onboarding::invitation::{InvitationId, Invited};
use crate::onboarding::resolve::{
    KnownMatch, Linked, LookUps, Outcome, Reason, Resolution, TurnedAway, known_customer_queries,
    resolve,
};
use crate::policy::onboarding::{KnownBy, KnownCustomer, WhenKnown};

fn resolved(claims: serde_json::Value, lookups: &LookUps, policy: &OnboardingPolicy) -> Resolution {
    resolve(
        &identity(claims),
        lookups,
        policy,
        &signup_form(vec![], vec![]),
    )
}

#[test]
fn who_comes_by_mail_registers_where_the_policy_says_so_and_never_takes_over_a_user() {
    let resolved = |lookups: &LookUps, policy: &OnboardingPolicy| {
        let form = signup_form(vec![], vec![]);
        resolve(&by_mail("mario@acme.example"), lookups, policy, &form)
    };
    let mut open = policy();
    open.create_customer_on_first_login = false;
    let registers = resolved(&LookUps::default(), &open);
    assert_eq!(registers.reason, Reason::SelfRegistration);
    assert!(matches!(registers.outcome, Outcome::Register(form)
        if form.fields.iter().any(|field| field.declared.name == "email" && field.locked)));
    let known = LookUps {
        user_by_email: Some(user(true)),
        ..LookUps::default()
    };
    let has_account = resolved(&known, &open).outcome;
    assert!(matches!(
        has_account,
        Outcome::TurnedAway(TurnedAway::HasAccount)
    ));
    // A domain rule is for those who come through its provider.
    let mut joinable = policy();
    joinable.known_customer = vec![by_domain(WhenKnown::Join)];
    assert!(known_customer_queries(&by_mail("mario@acme.example"), &joinable).is_empty());
    let mut closed = policy();
    closed.self_registration.enabled = false;
    let refused = resolved(&LookUps::default(), &closed);
    assert_eq!(refused.reason, Reason::SelfRegistrationOff);
    assert!(matches!(
        refused.outcome,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
}

fn linked(user: Option<PlatformUser>) -> LookUps {
    LookUps {
        link: Some(Linked {
            account: account(),
            user,
        }),
        ..LookUps::default()
    }
}

fn known(then: WhenKnown) -> KnownCustomer {
    KnownCustomer {
        by: KnownBy::Claim("org".to_owned()),
        then,
    }
}

fn by_domain(then: WhenKnown) -> KnownCustomer {
    KnownCustomer {
        by: KnownBy::Domain {
            domain: "acme.example".to_owned(),
            provider: ProviderId::new("corp"),
            customer: CustomerId::new("c-1"),
        },
        then,
    }
}

fn found(rule: usize) -> LookUps {
    LookUps {
        known_customer: Some(KnownMatch {
            rule,
            customer: customer(),
        }),
        ..LookUps::default()
    }
}

#[test]
fn a_linked_user_is_signed_in_as_the_platform_has_them_today() {
    let resolution = resolved(json!({}), &linked(Some(user(true))), &policy());
    let Outcome::SignedIn(account) = resolution.outcome else {
        panic!("linked users are signed in")
    };
    assert_eq!(
        account.customer,
        Some(CustomerId::new("c-1")),
        "not the customer of before"
    );
    assert_eq!(resolution.reason, Reason::Linked);
}

#[test]
fn a_linked_user_is_signed_in_whatever_the_exclusions_say() {
    let mut policy = policy();
    policy.exclude.push(exclusion("true"));
    let resolution = resolved(json!({}), &linked(Some(user(true))), &policy);
    assert!(matches!(resolution.outcome, Outcome::SignedIn(_)));
}

#[test]
fn a_disabled_user_is_turned_away() {
    let resolution = resolved(json!({}), &linked(Some(user(false))), &policy());
    assert!(matches!(
        resolution.outcome,
        Outcome::TurnedAway(TurnedAway::Disabled)
    ));
    assert_eq!(resolution.reason, Reason::LinkedToDisabled);
}

#[test]
fn a_link_to_a_user_that_is_gone_counts_as_none_and_is_reported() {
    let resolution = resolved(json!({}), &linked(None), &policy());
    assert!(matches!(resolution.outcome, Outcome::Register(_)));
    assert_eq!(resolution.stale_link, Some(account()));
}

#[test]
fn a_registration_under_way_is_carried_on() {
    let lookups = LookUps {
        open_registration: Some(RegistrationId::new("r-1")),
        user_by_email: Some(user(true)),
        ..LookUps::default()
    };
    let resolution = resolved(json!({}), &lookups, &policy());
    assert!(matches!(resolution.outcome, Outcome::UnderWay(id) if id.as_str() == "r-1"));
}

#[test]
fn the_first_exclusion_that_holds_turns_away_with_its_message() {
    let mut policy = policy();
    policy
        .exclude
        .push(exclusion("'partners' in identity.groups"));
    policy.exclude.push(exclusion("'ops' in identity.groups"));
    let resolution = resolved(json!({ "groups": ["ops"] }), &LookUps::default(), &policy);
    let Outcome::TurnedAway(TurnedAway::Excluded { message }) = resolution.outcome else {
        panic!("operations staff are excluded")
    };
    assert_eq!(message, "staff");
    let said = resolution.reason.to_string();
    assert_eq!(said, "exclusion `staff` holds: 'ops' in identity.groups");
}

#[test]
fn an_exclusion_that_cannot_be_evaluated_turns_away_and_says_why() {
    let mut policy = policy();
    policy
        .exclude
        .push(exclusion("identity.email.endsWith('@acme.example')"));
    let resolution = resolved(json!({}), &LookUps::default(), &policy);
    assert!(matches!(
        resolution.outcome,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
    let said = resolution.reason.to_string();
    assert!(
        said.starts_with("exclusion `staff` cannot be evaluated"),
        "{said}"
    );
}

#[test]
fn an_exclusion_by_groups_that_are_elsewhere_turns_away() {
    let mut policy = policy();
    let guarded = "has(identity.groups) && 'staff' in identity.groups";
    policy.exclude.push(exclusion(guarded));
    for claims in [
        json!({ "groups": [], "hasgroups": true }),
        json!({ "_claim_names": { "groups": "src1" } }),
    ] {
        let resolution = resolved(claims, &LookUps::default(), &policy);
        assert!(matches!(
            resolution.outcome,
            Outcome::TurnedAway(TurnedAway::Denied)
        ));
        let said = resolution.reason.to_string();
        assert!(
            said.contains("`groups`, which the token says is elsewhere"),
            "{said}"
        );
    }
}

#[test]
fn nobody_is_new_whose_code_is_elsewhere() {
    let mut policy = policy();
    policy.known_customer.push(known(WhenKnown::Deny));
    let claims = json!({ "org": "ACME", "_claim_names": { "org": "src1" } });
    let resolution = resolved(claims, &LookUps::default(), &policy);
    assert!(matches!(
        resolution.outcome,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
    assert_eq!(resolution.reason, Reason::ClaimElsewhere { rule: 1 });
}

#[test]
fn an_address_in_use_needs_proof_even_when_the_provider_vouches_for_it() {
    let lookups = LookUps {
        user_by_email: Some(user(true)),
        ..LookUps::default()
    };
    let claims = json!({ "email": "mario@acme.example", "email_verified": true });
    let resolution = resolved(claims, &lookups, &policy());
    assert!(matches!(resolution.outcome, Outcome::Prove(found) if found == user(true)));
    assert_eq!(resolution.reason, Reason::EmailInUse);
}

#[test]
fn the_policy_says_what_happens_at_a_known_customer() {
    for (then, said) in [
        (
            WhenKnown::Join,
            "known-customer rule 1 found the customer: join",
        ),
        (
            WhenKnown::Register,
            "known-customer rule 1 found the customer: register",
        ),
        (
            WhenKnown::AskToJoin,
            "known-customer rule 1 found the customer: ask to join",
        ),
        (
            WhenKnown::Deny,
            "known-customer rule 1 found the customer: deny",
        ),
    ] {
        let mut policy = policy();
        policy.known_customer.push(known(then));
        let resolution = resolved(json!({ "org": "ACME" }), &found(0), &policy);
        assert_eq!(resolution.reason.to_string(), said);
        match (then, resolution.outcome) {
            (WhenKnown::Join, Outcome::Register(form)) => {
                assert_eq!(form.scope, Scope::Join(customer()));
                assert_eq!(form.account_types, [AccountType::Business]);
            }
            (WhenKnown::AskToJoin, Outcome::Register(form)) => {
                assert_eq!(form.scope, Scope::AskToJoin(customer()));
                assert!(!form.asks_nothing(), "others are asked only on wish");
            }
            (WhenKnown::Register, Outcome::Register(form)) => {
                assert_eq!(
                    form.scope,
                    new_customer(),
                    "the code belongs to the other one"
                );
            }
            (WhenKnown::Deny, Outcome::TurnedAway(TurnedAway::Denied)) => {}
            (then, outcome) => panic!("{then:?} led to {outcome:?}"),
        }
    }
}

#[test]
fn colleagues_may_join_where_new_customers_are_not_made() {
    let mut policy = policy();
    policy.create_customer_on_first_login = false;
    policy.known_customer.push(known(WhenKnown::Join));
    let joins = resolved(json!({ "org": "ACME" }), &found(0), &policy);
    assert!(matches!(joins.outcome, Outcome::Register(form) if form.joins()));
    let unknown = resolved(json!({ "org": "ACME" }), &LookUps::default(), &policy);
    assert!(matches!(
        unknown.outcome,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
    assert_eq!(unknown.reason, Reason::FirstLoginIsOff);
}

#[test]
fn a_new_customer_gets_the_code_by_which_colleagues_will_find_it() {
    let mut policy = policy();
    policy.known_customer.push(known(WhenKnown::Join));
    let resolution = resolved(json!({ "org": " ACME " }), &LookUps::default(), &policy);
    let Outcome::Register(form) = resolution.outcome else {
        panic!("the customer is not known yet")
    };
    let code = Some("ACME".to_owned());
    assert_eq!(form.scope, Scope::NewCustomer { code });
}

#[test]
fn a_domain_counts_only_proven_whole_and_through_its_own_provider() {
    let mut policy = policy();
    policy.known_customer.push(by_domain(WhenKnown::Join));
    let claims = |email: &str, verified: serde_json::Value| json!({ "email": email, "email_verified": verified });
    let asks = |provider: &str, trusted: bool, claims: serde_json::Value| {
        !known_customer_queries(&identity_of(provider, trusted, claims), &policy).is_empty()
    };
    let proven = || claims("a@acme.example", json!(true));
    assert!(asks("corp", true, proven()));
    assert!(!asks("other", true, proven()));
    assert!(!asks("corp", false, proven()));
    assert!(!asks("corp", true, claims("a@acme.example", json!("true"))));
    assert!(!asks("corp", true, claims("a@acme.example", json!(1))));
    for email in [
        "a@evil-acme.example",
        "a@acme.example.evil.example",
        "a@sub.acme.example",
        "a@evil.example@acme.example",
    ] {
        assert!(!asks("corp", true, claims(email, json!(true))), "{email}");
    }
    // A look-up that no rule asked for changes nothing.
    let stranger = identity_of("other", true, proven());
    let resolution = resolve(&stranger, &found(0), &policy, &signup_form(vec![], vec![]));
    assert!(matches!(resolution.outcome, Outcome::Register(form) if !form.joins()));
}

#[test]
fn partner_accounts_are_not_offered_where_the_platform_has_no_partners() {
    let mut policy = policy();
    policy.account_types = vec![AccountType::Partner];
    let resolution = resolved(json!({}), &LookUps::default(), &policy);
    assert!(matches!(
        resolution.outcome,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
    assert_eq!(resolution.reason, Reason::NoAccountType);
}

#[test]
fn partner_accounts_are_offered_where_the_platform_has_partners() {
    let mut policy = policy();
    policy.account_types = vec![AccountType::Business, AccountType::Partner];
    let lookups = LookUps {
        has_partners: true,
        ..LookUps::default()
    };
    let resolution = resolved(json!({ "company": "Acme" }), &lookups, &policy);
    let Outcome::Register(form) = resolution.outcome else {
        panic!("the registration page")
    };
    assert_eq!(form.account_types, policy.account_types);
    let code = |form: &RegistrationForm| {
        let mut fields = form.fields.iter();
        let field = fields.find(|field| field.declared.name == "partner_code");
        field.map(|field| field.declared.required)
    };
    assert_eq!(code(&form), Some(true));
    policy.partner.without_code = Some(PartnerId::new("p-1"));
    let resolution = resolved(json!({}), &lookups, &policy);
    let Outcome::Register(form) = resolution.outcome else {
        panic!("the registration page")
    };
    assert_eq!(code(&form), Some(false));
}

#[test]
fn an_invitation_counts_before_the_rules_and_after_exclusions_and_existing_users() {
    let mut policy = policy();
    policy.known_customer.push(known(WhenKnown::Deny));
    policy.create_customer_on_first_login = false;
    let invited = Invited {
        invitation: InvitationId::new("i-1"),
        customer: customer(),
        administrator: true,
    };
    let lookups = LookUps {
        invited: Some(invited.clone()),
        ..found(0)
    };
    let resolution = resolved(json!({ "org": "ACME" }), &lookups, &policy);
    assert_eq!(resolution.reason, Reason::Invited);
    assert!(matches!(resolution.outcome,
        Outcome::Register(form) if form.scope == Scope::Invited(invited.clone())));
    let with_user = LookUps {
        user_by_email: Some(user(true)),
        ..lookups.clone()
    };
    let resolution = resolved(json!({ "org": "ACME" }), &with_user, &policy);
    assert!(matches!(resolution.outcome, Outcome::Prove(_)));
    policy.exclude.push(exclusion("true"));
    let resolution = resolved(json!({ "org": "ACME" }), &lookups, &policy);
    assert!(matches!(resolution.outcome, Outcome::TurnedAway(_)));
}

#[test]
fn whoever_may_not_come_through_a_provider_does_not_come_by_mail() {
    let mut policy = policy();
    policy.self_registration.enabled = true;
    let comes = |policy: &OnboardingPolicy, address: &str| {
        let form = signup_form(vec![], vec![]);
        resolve(&by_mail(address), &LookUps::default(), policy, &form).outcome
    };
    policy.exclude.push(exclusion("'staff' in identity.groups"));
    let open = comes(&policy, "a@acme.example");
    assert!(
        matches!(open, Outcome::Register(_)),
        "mailboxes have no groups: {open:?}"
    );
    let ends_in = exclusion("identity.email.endsWith('@acme.example')");
    policy.exclude.push(ends_in);
    let turned_away = comes(&policy, "a@acme.example");
    assert!(matches!(
        turned_away,
        Outcome::TurnedAway(TurnedAway::Excluded { .. })
    ));
    let other = comes(&policy, "a@else.example");
    assert!(matches!(other, Outcome::Register(_)));
    // A rule for those who come by mail turns away where it cannot be evaluated, too.
    let own = exclusion("'staff' in identity.groups");
    policy.self_registration.exclude.push(own);
    let turned_away = comes(&policy, "a@else.example");
    assert!(matches!(
        turned_away,
        Outcome::TurnedAway(TurnedAway::Denied)
    ));
}

#[test]
fn who_was_rejected_lately_cannot_ask_again() {
    let mut policy = policy();
    policy.known_customer.push(known(WhenKnown::AskToJoin));
    let lookups = LookUps {
        rejected_lately: Some(RegistrationId::new("r-1")),
        ..found(0)
    };
    let resolution = resolved(json!({ "org": "ACME" }), &lookups, &policy);
    assert_eq!(resolution.reason, Reason::RejectedLately);
    assert!(matches!(resolution.outcome, Outcome::UnderWay(_)));
}

fn any_lookups() -> impl Strategy<Value = LookUps> {
    let link = prop_oneof![
        Just(None),
        Just(Some(None)),
        any::<bool>().prop_map(|enabled| Some(Some(user(enabled)))),
    ];
    let known = prop_oneof![Just(None), (0..3_usize).prop_map(Some)];
    (link, any::<bool>(), any::<bool>(), known).prop_map(|(link, open, by_email, known)| LookUps {
        link: link.map(|user| Linked {
            account: account(),
            user,
        }),
        open_registration: open.then(|| RegistrationId::new("r-1")),
        user_by_email: by_email.then(|| user(true)),
        known_customer: known.map(|rule| KnownMatch {
            rule,
            customer: customer(),
        }),
        has_locations: true,
        ..LookUps::default()
    })
}

fn any_policy() -> impl Strategy<Value = OnboardingPolicy> {
    let then = prop_oneof![
        Just(WhenKnown::Join),
        Just(WhenKnown::Register),
        Just(WhenKnown::Deny)
    ];
    let rule = (then, any::<bool>()).prop_map(
        |(then, domain)| {
            if domain { by_domain(then) } else { known(then) }
        },
    );
    let conditions = prop_oneof![
        Just("identity.email.endsWith('@acme.example')"),
        Just("'ops' in identity.groups"),
        Just("identity.org == 'ACME'"),
    ];
    let excluded = proptest::collection::vec(conditions, 0..3);
    (
        any::<bool>(),
        proptest::collection::vec(rule, 0..3),
        excluded,
    )
        .prop_map(|(jit, known_customer, excluded)| OnboardingPolicy {
            create_customer_on_first_login: jit,
            known_customer,
            exclude: excluded.into_iter().map(exclusion).collect(),
            ..policy()
        })
}

fn any_claims() -> impl Strategy<Value = serde_json::Value> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(email, verified, org, ops)| {
            let mut claims = json!({ "groups": if ops { vec!["ops"] } else { vec![] } });
            if email {
                claims["email"] = json!("mario@acme.example");
                claims["email_verified"] = json!(verified);
            }
            if org {
                claims["org"] = json!("ACME");
            }
            claims
        },
    )
}

/// Whether somebody gets, or may get, further than before.
fn lets_in(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::TurnedAway(_))
}

proptest! {
    #[test]
    fn nobody_is_signed_in_without_a_link_to_an_enabled_user(
        lookups in any_lookups(), policy in any_policy(), claims in any_claims(),
    ) {
        let resolution = resolved(claims, &lookups, &policy);
        let may_sign_in = lookups.link.and_then(|link| link.user).is_some_and(|user| user.enabled);
        prop_assert_eq!(matches!(resolution.outcome, Outcome::SignedIn(_)), may_sign_in);
    }

    #[test]
    fn an_address_alone_never_leads_to_an_account_or_into_its_customer(
        policy in any_policy(), claims in any_claims(),
    ) {
        let lookups = LookUps { user_by_email: Some(user(true)), ..LookUps::default() };
        let resolution = resolved(claims, &lookups, &policy);
        let harmless = matches!(resolution.outcome, Outcome::Prove(_) | Outcome::TurnedAway(_));
        prop_assert!(harmless);
    }

    #[test]
    fn an_unproven_address_never_joins_by_domain(
        lookups in any_lookups(), then in any::<bool>(), claims in any_claims(),
    ) {
        let mut policy = policy();
        policy.known_customer.push(by_domain(if then { WhenKnown::Join } else { WhenKnown::Deny }));
        let stranger = identity_of("corp", false, claims);
        let form = signup_form(vec![], vec![]);
        let resolution = resolve(&stranger, &lookups, &policy, &form);
        let joins = matches!(resolution.outcome, Outcome::Register(form) if form.joins());
        prop_assert!(!joins);
    }

    #[test]
    fn another_exclusion_never_widens(
        lookups in any_lookups(), policy in any_policy(), claims in any_claims(),
        place in 0..3_usize,
    ) {
        let before = resolved(claims.clone(), &lookups, &policy);
        let mut narrower = policy;
        let place = place.min(narrower.exclude.len());
        narrower.exclude.insert(place, exclusion("'ops' in identity.groups"));
        let after = resolved(claims, &lookups, &narrower);
        prop_assert!(lets_in(&before.outcome) || !lets_in(&after.outcome));
    }

    #[test]
    fn where_new_customers_are_off_none_is_made(
        lookups in any_lookups(), mut policy in any_policy(), claims in any_claims(),
    ) {
        policy.create_customer_on_first_login = false;
        let resolution = resolved(claims, &lookups, &policy);
        let makes_one = matches!(resolution.outcome, Outcome::Register(form) if !form.joins());
        prop_assert!(!makes_one);
    }
}
