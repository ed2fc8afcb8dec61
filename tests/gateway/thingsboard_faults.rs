//! Every call of a provisioning in ThingsBoard gets lost once, before and after it took effect, is
//! refused for its number, or comes with a token that has expired: there is one of everything, or
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use vestibule::identity::{CustomerId, UserId};
use vestibule::platform::thingsboard::ThingsBoard as Adapter;
use vestibule::platform::{
    Made, Mark, PasswordCheck, Platform, PlatformError, ThingsBoardCredentials,
};

use crate::harness::thingsboard::{Edition, Fault, ThingsBoard};
use crate::platform_contract::places::{adapter, by_api_key, by_login};
use crate::thingsboard::{company, email, home_of, new_mark, user_of};

/// More calls than a registration takes.
const CALLS: usize = 45;

/// A kind of ThingsBoard, and what opens it.
type Kind = (Edition, &'static str, fn() -> ThingsBoardCredentials);

const KINDS: [Kind; 3] = [
    (Edition::Community, "3.7.0", by_login),
    (Edition::Community, "4.3.0.1", by_api_key),
    (Edition::Professional, "4.3.0PE", by_login),
];

async fn server(edition: Edition, version: &str) -> ThingsBoard {
    match edition {
        Edition::Community => ThingsBoard::community(version).await,
        Edition::Professional => ThingsBoard::professional(version).await,
    }
}

/// As the provisioning job does: again, as long as what went wrong passes.
async fn until_done<T>(mut step: impl AsyncFnMut() -> Result<T, PlatformError>) -> T {
    for _ in 0..5 {
        match step().await {
            Ok(done) => return done,
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
    }
    panic!("it never ends")
}

struct Registration {
    platform: Adapter,
    mark: Mark,
}

impl Registration {
    async fn is_made(&self) -> CustomerId {
        let Self { platform, mark } = self;
        let acme = company("Acme");
        let coded = vestibule::platform::NewCustomer {
            code: Some("M-1".to_owned()),
            ..acme
        };
        let customer = until_done(async || platform.ensure_customer(mark, &coded).await).await;
        let customer = customer.into_inner();
        let home = home_of(&customer);
        until_done(async || platform.ensure_location(mark, &home).await).await;
        let (new, password) = (user_of(&customer, "mario@acme.example"), password());
        until_done(async || platform.ensure_user(mark, &new, Some(&password)).await).await;
        customer
    }

    async fn is_undone(&self, customer: &CustomerId) {
        let Self { platform, mark } = self;
        let new = user_of(customer, "mario@acme.example");
        until_done(async || platform.remove_user(mark, &new).await).await;
        let home = home_of(customer);
        until_done(async || platform.remove_location(mark, &home).await).await;
        until_done(async || platform.remove_customer(mark, &company("Acme")).await).await;
    }
}

fn password() -> SecretString {
    SecretString::from("violet tractor umbrella")
}

/// Whether the fault came to pass.
async fn survives((edition, version, credentials): Kind, (fault, number): (Fault, usize)) -> bool {
    let what = format!("{version}, call {number}, {fault:?}");
    let server = server(edition, version).await;
    let registration = Registration {
        platform: adapter(&server, credentials()),
        mark: new_mark(),
    };
    server.strikes_nth(fault, number);
    let customer = registration.is_made().await;
    let struck = server.has_struck();
    server.is_well();
    assert_eq!(server.counts(), [1, 1, 1], "{what}");
    assert_eq!(server.letters(), 0, "{what}");
    let platform = &registration.platform;
    let checked = platform
        .check_password(&email("mario@acme.example"), &password())
        .await;
    assert!(
        matches!(checked, Ok(PasswordCheck::Right(_))),
        "{what}: {checked:?}"
    );
    let administrators = platform.administrators(&customer).await.unwrap();
    assert_eq!(administrators.len(), 1, "{what}");
    let found = platform.customer_by_code("M-1").await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(customer), "{what}");
    struck
}

async fn every_call_survives(fault: Fault) {
    for kind in KINDS {
        let all = (0..CALLS).map(|number| survives(kind, (fault, number)));
        let struck = join_all(all)
            .await
            .into_iter()
            .filter(|struck| *struck)
            .count();
        assert!(struck > 12, "{struck} calls were struck");
        assert!(struck < CALLS, "not every call was tried");
    }
}

#[tokio::test]
async fn every_call_may_be_lost_on_its_way() {
    every_call_survives(Fault::LostBefore).await;
}

#[tokio::test]
async fn every_reply_may_be_lost() {
    every_call_survives(Fault::LostAfter).await;
}

#[tokio::test]
async fn every_call_may_be_one_too_many() {
    every_call_survives(Fault::TooMany).await;
}

#[tokio::test]
async fn the_token_may_expire_at_every_call() {
    every_call_survives(Fault::Expired).await;
}

#[tokio::test]
async fn every_call_of_undoing_may_be_lost() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::TooMany] {
        for (edition, version, credentials) in KINDS {
            for number in 0..16 {
                let what = format!("{version}, call {number}, {fault:?}");
                let server = server(edition, version).await;
                let registration = Registration {
                    platform: adapter(&server, credentials()),
                    mark: new_mark(),
                };
                let customer = registration.is_made().await;
                server.strikes_nth(fault, number);
                registration.is_undone(&customer).await;
                assert_eq!(server.counts(), [0, 0, 0], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn one_login_serves_everybody_and_expired_tokens_are_renewed() {
    let server = ThingsBoard::community("3.7.0").await;
    let platform = Arc::new(adapter(&server, by_login()));
    let logins = |path: &str| {
        let asked = server.asked();
        asked.iter().filter(|asked| asked.path == path).count()
    };
    let everybody = async || {
        let asking = (0..20).map(|_| {
            let platform = Arc::clone(&platform);
            tokio::spawn(async move { platform.user_by_email(&email("x@acme.example")).await })
        });
        for answer in join_all(asking).await {
            assert_eq!(answer.unwrap().unwrap(), None);
        }
    };
    everybody().await;
    assert_eq!(logins("/api/auth/login"), 1);
    server.tokens_expire();
    everybody().await;
    assert_eq!(
        (logins("/api/auth/login"), logins("/api/auth/token")),
        (1, 1)
    );
    server.sessions_end();
    everybody().await;
    assert_eq!(logins("/api/auth/login"), 2);
}

#[tokio::test]
async fn a_slow_platform_is_not_waited_for_and_nothing_is_doubled() {
    let server = ThingsBoard::community("4.3.0.1").await;
    let registration = Registration {
        platform: adapter(&server, by_api_key()),
        mark: new_mark(),
    };
    server.strikes(
        Fault::Slow(Duration::from_secs(20)),
        "POST",
        "/api/customer",
    );
    let first = registration
        .platform
        .ensure_customer(&registration.mark, &company("Acme"))
        .await;
    assert!(
        matches!(first, Err(PlatformError::Unreachable(_))),
        "{first:?}"
    );
    let again = registration
        .platform
        .ensure_customer(&registration.mark, &company("Acme"))
        .await;
    assert!(matches!(again, Ok(Made::Created(_))), "{again:?}");
    assert_eq!(server.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn a_404_of_something_in_front_says_nothing_about_users() {
    let server = ThingsBoard::community("4.3.0.1").await;
    let platform = adapter(&server, by_api_key());
    let customer = server.staff_makes_customer("Acme");
    let user = server.staff_makes_user(&customer, "mario@acme.example", Some("correct horse"));
    let user = UserId::new(user);
    server.strikes(Fault::Misled, "GET", user.as_str());
    let answer = platform.user(&user).await;
    assert!(
        matches!(answer, Err(PlatformError::Garbled(_))),
        "{answer:?}"
    );
    assert!(platform.user(&user).await.unwrap().is_some());
}
