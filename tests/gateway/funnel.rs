//! How far applicants come, by metrics and audit: each stage by account type and host, for those who
//! come by mail and for those who come through an identity provider.

use std::time::Duration;

use serde_json::json;
use vestibule::identity::{CustomerId, UserOptions, VerifiedIdentity};
use vestibule::onboarding::LinkStep;
use vestibule::platform::builtin::Added;
use vestibule::platform::{BelongsTo, NewUser};
use vestibule::sql_fetch_all;
use vestibule::telemetry::metrics::render;

use super::harness::office::{COMPANY, HOST, Office, TERMS, policy, somebody};

/// A stage and account type, how often it is counted, the audit event, how often that is kept.
type Expected = (&'static str, &'static str, usize, &'static str, usize);

const BY_MAIL: [Expected; 7] = [
    // Anybody can ask for any number of links: that is counted and not kept.
    ("started", "unknown", 3, "registration_started", 0),
    ("email_proven", "unknown", 3, "email_proven", 3),
    ("submitted", "business", 1, "registration_submitted", 2),
    ("submitted", "personal", 1, "registration_submitted", 2),
    ("completed", "business", 1, "registration_completed", 1),
    ("failed", "personal", 1, "registration_failed", 1),
    ("abandoned", "unknown", 1, "registration_abandoned", 1),
];
const BY_PROVIDER: [Expected; 7] = [
    ("started", "unknown", 3, "registration_started", 3),
    ("email_proven", "unknown", 0, "email_proven", 0),
    ("submitted", "business", 1, "registration_submitted", 2),
    ("submitted", "personal", 1, "registration_submitted", 2),
    ("completed", "business", 1, "registration_completed", 1),
    ("failed", "personal", 1, "registration_failed", 1),
    ("abandoned", "unknown", 1, "registration_abandoned", 1),
];

async fn offices() -> [Office; 2] {
    let open = policy(|onboarding| onboarding.self_registration.enabled = true);
    Office::on_both(&open).await
}

/// Somebody who asked for a link, got it, and followed it.
async fn by_mail(office: &Office, address: &str) -> VerifiedIdentity {
    let token = office.mailed_token(LinkStep::Registration, address).await;
    let redeemed = office.onboarding.redeem_registration_link(HOST, &token);
    redeemed.await.unwrap().0
}

fn by_provider(address: &str) -> VerifiedIdentity {
    let claims = json!({ "email": address, "email_verified": true });
    somebody(address, claims)
}

/// One completes, one fails, one leaves.
async fn three_apply(office: &Office, [first, second, third]: [&VerifiedIdentity; 3]) {
    for who in [first, second, third] {
        for _ in 0..2 {
            office.next_step(who).await;
        }
    }
    let company = COMPANY.iter().filter(|(name, _)| *name != "email");
    let company: Vec<_> = company.copied().chain(password_of(first)).collect();
    let id = office.submit(first, &company).await.unwrap();
    office.onboarding.carry_on(&id).await.unwrap();

    let person = [
        ("account_type", "personal"),
        ("name", "Otto"),
        ("agreement.terms", TERMS),
    ];
    let person: Vec<_> = person.into_iter().chain(password_of(second)).collect();
    let id = office.submit(second, &person).await.unwrap();
    somebody_takes_the_address_of(office, second).await;
    office.onboarding.carry_on(&id).await.unwrap();
    office.clock.advance(Duration::from_hours(25));
    for _ in 0..2 {
        office.onboarding.sweep_funnel().await;
    }
}

fn password_of(who: &VerifiedIdentity) -> Option<(&'static str, &'static str)> {
    let chosen = ("password", "violet tractor umbrella");
    who.is_by_mail().then_some(chosen)
}

async fn somebody_takes_the_address_of(office: &Office, who: &VerifiedIdentity) {
    let listing = vestibule::platform::builtin::Listing {
        after: String::new(),
        limit: 10,
    };
    let customers = office.platform.customers(&listing).await.unwrap();
    let user = NewUser {
        belongs_to: BelongsTo::Customer(CustomerId::new(customers[0].id.as_str())),
        email: who.email().expect("an address"),
        name: "Somebody".to_owned(),
        account_type: vestibule::identity::AccountType::Business,
        language: "en".to_owned(),
        administrator: false,
        fields: serde_json::Map::new(),
        options: UserOptions::default(),
    };
    office
        .platform
        .add_user(&user, Added::default())
        .await
        .unwrap();
}

async fn counts(office: &Office, expected: &[Expected]) {
    let metrics = render(&office.metrics.registry());
    let events = sql_fetch_all!(
        &office.database,
        (String, Option<String>),
        "SELECT kind, host FROM audit_events"
    );
    let events = events.unwrap();
    for (stage, account_type, counted, event, kept) in expected {
        let line = format!(
            "vestibule_registrations_total{{stage=\"{stage}\",account_type=\"{account_type}\",host=\"{HOST}\",platform=\"\"}} "
        );
        let found = metrics.lines().find_map(|one| one.strip_prefix(&line));
        assert_eq!(
            found.unwrap_or("0"),
            counted.to_string(),
            "{stage}\n{metrics}"
        );
        let here = (String::from(*event), Some(HOST.to_owned()));
        let found = events.iter().filter(|one| **one == here).count();
        assert_eq!(found, *kept, "{event} in {events:?}");
    }
}

#[tokio::test]
async fn those_who_come_by_mail_are_counted_at_each_stage() {
    for office in offices().await {
        let first = by_mail(&office, "mario@acme.example").await;
        let second = by_mail(&office, "otto@else.example").await;
        let third = by_mail(&office, "maria@else.example").await;
        three_apply(&office, [&first, &second, &third]).await;
        counts(&office, &BY_MAIL).await;
    }
}

#[tokio::test]
async fn those_who_come_through_a_provider_are_counted_at_each_stage() {
    for office in offices().await {
        let [first, second, third] = [
            "mario@acme.example",
            "otto@else.example",
            "maria@else.example",
        ]
        .map(by_provider);
        three_apply(&office, [&first, &second, &third]).await;
        counts(&office, &BY_PROVIDER).await;
    }
}
