//! From a proven identity to a working account: registration below the pages, on SQLite and on
//! PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use vestibule::clock::Clock as _;
use vestibule::expression::Condition;
use vestibule::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, UserOptions, VerifiedIdentity,
};
use vestibule::language::Language;
use vestibule::onboarding::ProofStore as _;
use vestibule::onboarding::proof_store::{NewCode, ProofLimits};
use vestibule::onboarding::sql::SqlRegistrationStore;
use vestibule::onboarding::{
    AccountStanding, Failure, FieldProblemKind, NextStep, ProgressStanding, ProofError, StepState,
    SubmitError, TurnedAway,
};
use vestibule::platform::builtin::{Added, Listing};
use vestibule::platform::{BelongsTo, Made, NewCustomer, NewUser, Platform as _};
use vestibule::policy::onboarding::{Exclusion, KnownBy, KnownCustomer, WhenKnown};
use vestibule::telemetry::metrics::render;
use vestibule::{sql_fetch_all, sql_fetch_optional};

use crate::harness::office::{COMPANY, HOST, Office, client, mario, policy, somebody};

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A customer that the back office made, with one user.
pub async fn back_office_customer(office: &Office, address: &str) -> (CustomerId, NewUser) {
    let customer = NewCustomer {
        account_type: AccountType::Business,
        name: "Acme Pumps".to_owned(),
        code: Some("ACME-1".to_owned()),
        fields: serde_json::Map::new(),
        options: CustomerOptions::default(),
    };
    let Made::Created(id) = office.platform.add_customer(&customer, None).await.unwrap() else {
        panic!("nothing was there before")
    };
    let user = NewUser {
        belongs_to: BelongsTo::Customer(id.clone()),
        email: email(address),
        name: "Mario Rossi".to_owned(),
        account_type: AccountType::Business,
        language: "it".to_owned(),
        administrator: false,
        fields: serde_json::Map::new(),
        options: UserOptions::default(),
    };
    let added = Added {
        mark: None,
        password: Some(SecretString::from("correct horse")),
    };
    office.platform.add_user(&user, added).await.unwrap();
    (id, user)
}

async fn audited(office: &Office) -> Vec<String> {
    let rows = sql_fetch_all!(
        &office.database,
        (String,),
        "SELECT kind FROM audit_events ORDER BY at, id"
    );
    rows.unwrap().into_iter().map(|(kind,)| kind).collect()
}

#[tokio::test]
async fn a_first_timer_gets_customer_location_and_user_and_is_signed_in() {
    for office in Office::on_both(&policy(|_| {})).await {
        let NextStep::Register(form) = office.next_step(&mario()).await else {
            panic!("the registration page comes first")
        };
        let known: Vec<_> = form
            .fields
            .iter()
            .map(|field| {
                (
                    field.declared.name.as_str(),
                    field.value.as_deref(),
                    field.locked,
                )
            })
            .collect();
        assert_eq!(
            known,
            [
                ("name", Some("Mario Rossi"), false),
                ("email", Some("mario@acme.example"), true),
                ("company", None, false),
            ]
        );
        let id = office.register(&mario()).await;
        assert_eq!(office.counts().await, (1, 1, 1));
        let report = office.onboarding.progress(&mario()).await.unwrap().unwrap();
        assert_eq!(
            (report.id, report.standing),
            (id, ProgressStanding::Completed)
        );
        assert!(
            report
                .steps
                .iter()
                .all(|(_, state)| *state == StepState::Done)
        );
        let NextStep::SignedIn(account) = office.next_step(&mario()).await else {
            panic!("the account works")
        };
        let user = office.platform.user(&account.user).await.unwrap().unwrap();
        assert_eq!(user.customer, account.customer);
        assert_eq!(account.account_type, Some(AccountType::Business));
    }
}

#[tokio::test]
async fn what_was_typed_is_sealed_while_it_is_kept_and_erased_when_done() {
    for office in Office::on_both(&policy(|_| {})).await {
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        let kept = || async {
            let sql = "SELECT sealed, email_digest FROM registrations";
            sql_fetch_optional!(&office.database, (String, String), sql)
                .unwrap()
                .unwrap()
        };
        let (sealed, digest) = kept().await;
        assert!(!sealed.is_empty());
        for secret in ["mario", "Acme"] {
            assert!(!sealed.contains(secret) && !digest.contains(secret));
        }
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(kept().await.0, "");
    }
}

type Receipt = (String, String, String, String, String);

#[tokio::test]
async fn an_accepted_agreement_leaves_a_receipt_with_its_text() {
    for office in Office::on_both(&policy(|_| {})).await {
        office.register(&mario()).await;
        let sql =
            "SELECT agreement, acceptances.language, acceptances.version, client_address, text
            FROM acceptances JOIN agreements ON agreements.id = agreement
             AND agreements.version = acceptances.version";
        let receipts = sql_fetch_all!(&office.database, Receipt, sql).unwrap();
        let texts = [
            "terms",
            "en",
            "terms-of-today",
            "192.0.2.7",
            "# Terms\nBe kind.",
        ];
        let [agreement, language, version, address, text] = texts.map(str::to_owned);
        assert_eq!(receipts, [(agreement, language, version, address, text)]);
    }
}

#[tokio::test]
async fn every_step_is_audited() {
    for office in Office::on_both(&policy(|_| {})).await {
        office.register(&mario()).await;
        let kinds = audited(&office).await;
        for (kind, times) in [
            ("registration_submitted", 1),
            ("step_done", 3),
            ("linked", 1),
            ("registration_completed", 1),
        ] {
            let found = kinds.iter().filter(|found| *found == kind).count();
            assert_eq!(found, times, "{kind} in {kinds:?}");
        }
    }
}

#[tokio::test]
async fn twenty_submits_at_once_are_one_registration() {
    for office in Office::on_both(&policy(|_| {})).await {
        let office = Arc::new(office);
        let submits = (0..20).map(|_| {
            let office = Arc::clone(&office);
            tokio::spawn(async move {
                let id = office.submit(&mario(), COMPANY).await.unwrap();
                office.onboarding.carry_on(&id).await.unwrap();
                id.as_str().to_owned()
            })
        });
        let mut ids = BTreeSet::new();
        for submit in submits.collect::<Vec<_>>() {
            ids.insert(submit.await.unwrap());
        }
        assert_eq!(ids.len(), 1);
        assert_eq!(office.counts().await, (1, 1, 1));
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::SignedIn(_)
        ));
    }
}

#[tokio::test]
async fn two_identities_with_one_address_make_one_user() {
    for office in Office::on_both(&policy(|_| {})).await {
        let claims = json!({ "email": "mario@acme.example", "email_verified": true });
        let other = somebody("mario-elsewhere", claims);
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        let refused = office.submit(&other, COMPANY).await;
        let Err(SubmitError::Invalid { problems, .. }) = refused else {
            panic!("the address is taken")
        };
        assert_eq!(problems[0].problem, FieldProblemKind::EmailTaken);
        office.onboarding.carry_on(&id).await.unwrap();
        assert!(matches!(office.next_step(&other).await, NextStep::Prove(_)));
        assert_eq!(office.counts().await, (1, 1, 1));
    }
}

#[tokio::test]
async fn whoever_is_excluded_is_turned_away_and_cannot_submit() {
    let staff = || Exclusion {
        name: "staff".to_owned(),
        when: Condition::compile("identity.email.endsWith('@acme.example')").unwrap(),
        message: "staff".to_owned(),
    };
    let office = Office::on_sqlite(policy(|policy| policy.exclude.push(staff()))).await;
    let excluded = TurnedAway::Excluded {
        message: "staff".to_owned(),
    };
    let NextStep::TurnedAway(why) = office.next_step(&mario()).await else {
        panic!("staff are turned away")
    };
    assert_eq!(why, excluded);
    assert!(matches!(
        office.submit(&mario(), COMPANY).await,
        Err(SubmitError::Elsewhere(_))
    ));
    assert_eq!(office.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn colleagues_join_the_customer_that_their_organisation_code_names() {
    let by_code = |policy: &mut vestibule::policy::OnboardingPolicy| {
        policy.known_customer.push(KnownCustomer {
            by: KnownBy::Claim("org".to_owned()),
            then: WhenKnown::Join,
        });
    };
    for office in Office::on_both(&policy(by_code)).await {
        let first = somebody(
            "mario",
            json!({ "email": "mario@acme.example",
            "email_verified": true, "name": "Mario", "org": "ACME-9" }),
        );
        office.register(&first).await;
        let second = somebody(
            "luigi",
            json!({ "email": "luigi@acme.example",
            "email_verified": true, "name": "Luigi", "org": "ACME-9" }),
        );
        let NextStep::Register(form) = office.next_step(&second).await else {
            panic!("the terms must be accepted")
        };
        assert!(form.joins());
        let accepted = &[("agreement.terms", "terms-of-today"), ("name", "Luigi")];
        let id = office.submit(&second, accepted).await.unwrap();
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(office.counts().await, (1, 1, 2));
    }
}

#[tokio::test]
async fn an_address_in_use_is_linked_only_by_a_mailed_code() {
    for office in Office::on_both(&policy(|_| {})).await {
        let (customer, _) = back_office_customer(&office, "mario@acme.example").await;
        let NextStep::Prove(offer) = office.next_step(&mario()).await else {
            panic!("the address is in use")
        };
        assert_eq!(offer.masked_email, "m•••@acme.example");
        assert!(offer.by_password);
        send_code(&office, &mario()).await.unwrap();
        let code = office.outbox.code();
        let wrong = if code.starts_with('1') {
            "22222222"
        } else {
            "11111111"
        };
        let refused = office
            .onboarding
            .redeem_code(&mario(), &client(), wrong)
            .await;
        assert!(matches!(refused, Err(ProofError::Wrong)));
        let (who, client) = (mario(), client());
        let redeem = office.onboarding.redeem_code(&who, &client, &code);
        let account = redeem.await.unwrap();
        assert_eq!(account.customer, Some(customer));
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::SignedIn(_)
        ));
        assert!(audited(&office).await.contains(&"linked".to_owned()));
    }
}

/// Somebody who typed an address does not share the user with whoever proves that it is theirs.
#[tokio::test]
async fn an_address_that_was_only_typed_gives_way_to_its_owner() {
    for office in Office::on_both(&policy(|_| {})).await {
        let eve = somebody("eve", json!({ "name": "Eve" }));
        office.register(&eve).await;
        let NextStep::SignedIn(account) = office.next_step(&eve).await else {
            panic!("nobody else is there yet")
        };
        let of_eve = (eve.issuer(), eve.subject());
        let standing = || office.onboarding.account_standing(of_eve, &account);
        assert!(matches!(
            standing().await.unwrap(),
            AccountStanding::Active(_)
        ));

        send_code(&office, &mario()).await.unwrap();
        let code = office.outbox.code();
        let proven = office
            .onboarding
            .redeem_code(&mario(), &client(), &code)
            .await;
        assert_eq!(proven.unwrap().user, account.user);
        assert_eq!(standing().await.unwrap(), AccountStanding::Gone);
        assert!(matches!(
            office.next_step(&eve).await,
            NextStep::Register(_)
        ));
    }
}

async fn send_code(office: &Office, who: &VerifiedIdentity) -> Result<(), ProofError> {
    let sent = office
        .onboarding
        .send_code(who, &client(), Language::En)
        .await;
    sent.map(|_| ())
}

#[tokio::test]
async fn a_code_counts_for_one_identity_and_host_a_few_tries_and_a_while() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    back_office_customer(&office, "mario@acme.example").await;
    send_code(&office, &mario()).await.unwrap();
    let code = office.outbox.code();
    let mut elsewhere = client();
    elsewhere.host = "other.example.com".to_owned();
    let other = somebody("eve", json!({ "email": "mario@acme.example" }));
    for (who, place) in [(&mario(), &elsewhere), (&other, &client())] {
        let refused = office.onboarding.redeem_code(who, place, &code).await;
        assert!(matches!(refused, Err(ProofError::NoCode)));
    }
    for _ in 0..4 {
        let refused = office
            .onboarding
            .redeem_code(&mario(), &client(), "x")
            .await;
        assert!(matches!(refused, Err(ProofError::Wrong)));
    }
    let refused = office
        .onboarding
        .redeem_code(&mario(), &client(), "x")
        .await;
    assert!(matches!(refused, Err(ProofError::NoCode)));
    let refused = office
        .onboarding
        .redeem_code(&mario(), &client(), &code)
        .await;
    assert!(matches!(refused, Err(ProofError::NoCode)), "out of tries");

    send_code(&office, &mario()).await.unwrap();
    let code = office.outbox.code();
    office.clock.advance(Duration::from_mins(16));
    let refused = office
        .onboarding
        .redeem_code(&mario(), &client(), &code)
        .await;
    assert!(matches!(refused, Err(ProofError::NoCode)), "over");
}

#[tokio::test]
async fn codes_cannot_be_sent_without_end() {
    for office in Office::on_both(&policy(|_| {})).await {
        back_office_customer(&office, "mario@acme.example").await;
        for _ in 0..5 {
            send_code(&office, &mario()).await.unwrap();
        }
        let refused = send_code(&office, &mario()).await;
        assert!(matches!(refused, Err(ProofError::TooOften)));
        assert_eq!(office.outbox.letters().len(), 5);
        office.clock.advance(Duration::from_mins(61));
        send_code(&office, &mario()).await.unwrap();
    }
}

#[tokio::test]
async fn the_platforms_password_proves_too_and_cannot_be_guessed() {
    for office in Office::on_both(&policy(|_| {})).await {
        back_office_customer(&office, "mario@acme.example").await;
        let prove = |password: &str| {
            let password = SecretString::from(password);
            let onboarding = Arc::clone(&office.onboarding);
            async move {
                onboarding
                    .prove_by_password(&mario(), &client(), &password)
                    .await
            }
        };
        for _ in 0..4 {
            assert!(matches!(prove("wrong").await, Err(ProofError::Wrong)));
        }
        assert!(prove("correct horse").await.is_ok());
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::SignedIn(_)
        ));

        let other = somebody("eve", json!({ "email": "mario@acme.example" }));
        let wrong = SecretString::from("wrong");
        for _ in 0..5 {
            let onboarding = &office.onboarding;
            let refused = onboarding
                .prove_by_password(&other, &client(), &wrong)
                .await;
            assert!(matches!(refused, Err(ProofError::Wrong)));
        }
        let right = SecretString::from("correct horse");
        let refused = office
            .onboarding
            .prove_by_password(&other, &client(), &right)
            .await;
        assert!(matches!(refused, Err(ProofError::TooOften)));
    }
}

#[tokio::test]
async fn a_burst_of_tries_is_no_more_than_there_may_be() {
    for office in Office::on_both(&policy(|_| {})).await {
        let store = Arc::new(SqlRegistrationStore::new(office.database.clone()));
        let now = office.clock.now();
        let limits = ProofLimits {
            since: now.minus(Duration::from_hours(1)),
            per_context: 3,
            per_target: 10,
        };
        let burst = (0..60).map(|number| {
            let (store, id) = (Arc::clone(&store), format!("try-{number}"));
            let entry = NewCode {
                id,
                context: format!("network-{}", number % 6),
                target: "account".to_owned(),
                sealed: String::new(),
                tries: 0,
                at: now,
                expires_at: now,
            };
            tokio::spawn(async move { store.count_try(&entry, limits).await.unwrap() })
        });
        let mut counted = 0;
        for one in burst.collect::<Vec<_>>() {
            counted += usize::from(one.await.unwrap());
        }
        assert_eq!(counted, 10);
    }
}

#[tokio::test]
async fn a_disabled_account_is_refused_and_a_gone_one_is_unknown_again() {
    for office in Office::on_both(&policy(|_| {})).await {
        office.register(&mario()).await;
        let NextStep::SignedIn(account) = office.next_step(&mario()).await else {
            panic!("the account works")
        };
        let owner = mario();
        let standing = || {
            let who = (owner.issuer(), owner.subject());
            office.onboarding.account_standing(who, &account)
        };
        assert_eq!(
            standing().await.unwrap(),
            AccountStanding::Active(account.clone())
        );
        office
            .platform
            .set_enabled(&account.user, false)
            .await
            .unwrap();
        assert_eq!(standing().await.unwrap(), AccountStanding::Disabled);
        let NextStep::TurnedAway(why) = office.next_step(&mario()).await else {
            panic!("disabled accounts are refused")
        };
        assert_eq!(why, TurnedAway::Disabled);
        office.platform.delete_user(&account.user).await.unwrap();
        assert_eq!(standing().await.unwrap(), AccountStanding::Gone);
        let first = office.onboarding.first_step(&mario(), HOST).await.unwrap();
        assert!(matches!(first, NextStep::Register(_)));
        for _ in 0..3 {
            office.next_step(&mario()).await;
        }
        let events = audited(&office).await;
        let gone = events.iter().filter(|kind| *kind == "account_gone");
        assert_eq!(gone.count(), 1, "once a login, however often they look");
        office.register(&mario()).await;
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::SignedIn(_)
        ));
    }
}

#[tokio::test]
async fn what_can_never_succeed_is_undone_and_the_form_shows_what_was_typed() {
    for office in Office::on_both(&policy(|_| {})).await {
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        // Somebody makes the user between submission and provisioning.
        back_office_customer(&office, "mario@acme.example").await;
        office.onboarding.carry_on(&id).await.unwrap();
        let report = office.onboarding.progress(&mario()).await.unwrap().unwrap();
        assert_eq!(
            report.standing,
            ProgressStanding::Failed(Failure::EmailTaken)
        );
        assert!(
            report
                .steps
                .iter()
                .all(|(_, state)| *state == StepState::Undone)
        );
        assert_eq!(
            office.counts().await,
            (1, 0, 1),
            "only the back office's is there"
        );
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::Prove(_)
        ));
        let kinds = audited(&office).await;
        assert!(kinds.contains(&"registration_failed".to_owned()));
        assert_eq!(
            kinds.iter().filter(|kind| *kind == "step_undone").count(),
            3
        );
    }
}

#[tokio::test]
async fn the_users_own_address_is_kept_apart_from_a_typed_one() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    back_office_customer(&office, "boss@acme.example").await;
    let unproven = somebody("eve", json!({ "email": "eve@acme.example", "name": "Eve" }));
    let mut input = COMPANY.to_vec();
    input[3] = ("email", "boss@acme.example");
    let Err(SubmitError::Invalid { form, problems }) = office.submit(&unproven, &input).await
    else {
        panic!("the address belongs to somebody")
    };
    assert_eq!(problems[0].problem, FieldProblemKind::EmailTaken);
    let typed = form
        .fields
        .iter()
        .find(|field| field.declared.name == "company");
    assert_eq!(typed.unwrap().value.as_deref(), Some("Acme Pumps"));
    // A proven address is taken from the identity, whatever is submitted.
    let id = office.submit(&mario(), &input).await.unwrap();
    office.onboarding.carry_on(&id).await.unwrap();
    let all = Listing {
        after: String::new(),
        limit: 10,
    };
    let users = office.platform.users(None, &all).await.unwrap();
    assert!(users.iter().any(|user| user.email == "mario@acme.example"));
}

#[tokio::test]
async fn how_far_applicants_come_is_counted_once_each() {
    for office in Office::on_both(&policy(|_| {})).await {
        let stage = |stage: &str, kind: &str| {
            let text = render(&office.metrics.registry());
            let line = format!(
                "vestibule_registrations_total{{stage=\"{stage}\",account_type=\"{kind}\",host=\"app.example.com\",platform=\"\"}} "
            );
            let found = text.lines().find_map(|one| one.strip_prefix(&line));
            found.map_or(0, |count| count.parse::<u64>().unwrap())
        };
        for _ in 0..3 {
            office.next_step(&mario()).await;
        }
        let maria = somebody("maria", json!({ "email": "maria@x.example" }));
        office.next_step(&maria).await;
        assert_eq!(stage("started", "unknown"), 2);
        office.register(&mario()).await;
        assert_eq!(stage("submitted", "business"), 1);
        assert_eq!(stage("completed", "business"), 1);
        office.clock.advance(Duration::from_hours(23));
        office.onboarding.sweep_funnel().await;
        assert_eq!(stage("abandoned", "unknown"), 0);
        office.clock.advance(Duration::from_hours(2));
        office.onboarding.sweep_funnel().await;
        office.onboarding.sweep_funnel().await;
        assert_eq!(
            stage("abandoned", "unknown"),
            1,
            "Maria never sent the form"
        );
        let kinds = audited(&office).await;
        for kind in [
            "registration_started",
            "registration_submitted",
            "registration_abandoned",
        ] {
            assert!(kinds.iter().any(|kept| kept == kind), "{kind} in {kinds:?}");
        }
    }
}
