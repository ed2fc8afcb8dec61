//! Every call of a provisioning in platforms with REST APIs gets lost once, before and after it took
//! effect, is refused for its number, or comes with a token that has expired: there is one of
//! everything, or nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use serde_json::json;
use vestibule::identity::{CustomerId, UserId};
use vestibule::platform::rest::RestPlatform;
use vestibule::platform::{Made, Mark, NewCustomer, PasswordCheck, Platform, PlatformError};

use crate::harness::rest_platform::{RestServer, Tongue};
use crate::harness::thingsboard::Fault;
use crate::platform_contract::places::rest_adapter;
use crate::thingsboard::{company, email, home_of, new_mark, user_of};

/// More calls than a registration takes.
const CALLS: usize = 24;

const TONGUES: [Tongue; 2] = [Tongue::Crud, Tongue::Tenant];

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
    platform: RestPlatform,
    mark: Mark,
}

impl Registration {
    fn with(server: &RestServer) -> Self {
        Self {
            platform: rest_adapter(server),
            mark: new_mark(),
        }
    }

    async fn is_made(&self) -> CustomerId {
        let Self { platform, mark } = self;
        let coded = coded();
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
        until_done(async || platform.remove_customer(mark, &coded()).await).await;
    }
}

fn coded() -> NewCustomer {
    NewCustomer {
        code: Some("M-1".to_owned()),
        ..company("Acme")
    }
}

fn password() -> SecretString {
    SecretString::from("violet tractor umbrella")
}

/// Whether the fault came to pass.
async fn survives(tongue: Tongue, fault: Fault, number: usize) -> bool {
    let what = format!("{tongue:?}, call {number}, {fault:?}");
    let server = RestServer::start(tongue).await;
    let registration = Registration::with(&server);
    server.strikes_nth(fault, number);
    let customer = registration.is_made().await;
    let struck = server.has_struck();
    server.is_well();
    assert_eq!(server.counts(), [1, 1, 1], "{what}");
    let platform = &registration.platform;
    let checked = platform
        .check_password(&email("mario@acme.example"), &password())
        .await;
    assert!(
        matches!(checked, Ok(PasswordCheck::Right(_))),
        "{what}: {checked:?}"
    );
    let found = platform.customer_by_code("M-1").await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(customer), "{what}");
    struck
}

async fn every_call_survives(fault: Fault) {
    for tongue in TONGUES {
        let all = (0..CALLS).map(|number| survives(tongue, fault, number));
        let struck = join_all(all).await;
        let struck = struck.into_iter().filter(|struck| *struck).count();
        assert!(struck > 7, "{struck} calls were struck");
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
    let all = (0..CALLS).map(|number| survives(Tongue::Tenant, Fault::Expired, number));
    let struck = join_all(all).await;
    assert!(struck.into_iter().filter(|struck| *struck).count() > 7);
}

#[tokio::test]
async fn every_call_of_undoing_may_be_lost() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::TooMany] {
        for tongue in TONGUES {
            let all = (0..12).map(async |number| {
                let server = RestServer::start(tongue).await;
                let registration = Registration::with(&server);
                let customer = registration.is_made().await;
                server.strikes_nth(fault, number);
                registration.is_undone(&customer).await;
                let what = format!("{tongue:?}, call {number}, {fault:?}");
                assert_eq!(server.counts(), [0, 0, 0], "{what}");
            });
            join_all(all).await;
        }
    }
}

#[tokio::test]
async fn one_login_serves_everybody_and_expired_tokens_are_renewed() {
    let server = RestServer::start(Tongue::Tenant).await;
    let platform = Arc::new(rest_adapter(&server));
    let everybody = async || {
        let asking = (0..20).map(|_| {
            let platform = Arc::clone(&platform);
            tokio::spawn(async move { platform.user_by_email(&email("x@acme.example")).await })
        });
        for answer in join_all(asking).await {
            assert_eq!(answer.unwrap().unwrap(), None);
        }
    };
    let calls = || {
        let logins = server.times_asked("/identity/users/login");
        (logins, server.times_asked("/me/renewToken"))
    };
    everybody().await;
    assert_eq!(calls(), (1, 0));
    server.tokens_expire();
    everybody().await;
    assert_eq!(calls(), (1, 1));
    server.sessions_end();
    everybody().await;
    assert_eq!(calls(), (2, 2));
}

#[tokio::test]
async fn a_slow_platform_is_not_waited_for_and_nothing_is_doubled() {
    for (tongue, path) in [
        (Tongue::Crud, "/v1/customers"),
        (Tongue::Tenant, "/v2/inventory/customers"),
    ] {
        let server = RestServer::start(tongue).await;
        let Registration { platform, mark } = Registration::with(&server);
        server.strikes(Fault::Slow(Duration::from_secs(20)), "POST", path);
        let first = platform.ensure_customer(&mark, &company("Acme")).await;
        assert!(
            matches!(first, Err(PlatformError::Unreachable(_))),
            "{first:?}"
        );
        let again = platform.ensure_customer(&mark, &company("Acme")).await;
        assert!(matches!(again, Ok(Made::Created(_))), "{again:?}");
        assert_eq!(server.counts(), [1, 0, 0]);
    }
}

#[tokio::test]
async fn a_404_of_something_in_front_says_nothing_about_users() {
    for tongue in TONGUES {
        let server = RestServer::start(tongue).await;
        let platform = rest_adapter(&server);
        let mario = json!({
            "email": "mario@acme.example", "name": "Mario", "type": "CUSTOMER_BUSINESS",
        });
        let user = UserId::new(server.staff_makes_user(mario));
        server.strikes(Fault::Misled, "GET", user.as_str());
        let answer = platform.user(&user).await;
        assert!(
            matches!(answer, Err(PlatformError::Garbled(_))),
            "{answer:?}"
        );
        assert!(platform.user(&user).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn no_id_names_another_path() {
    let server = RestServer::start(Tongue::Crud).await;
    let platform = rest_adapter(&server);
    for id in ["", ".", "..", "../customers", "u-1/password", "?x", "#"] {
        assert_eq!(platform.user(&UserId::new(id)).await.unwrap(), None, "{id}");
    }
    let asked = server.state().asked.clone();
    assert!(
        asked.iter().all(|path| path.starts_with("GET /v1/users/")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn of_two_users_with_one_address_neither_is_linked() {
    let server = RestServer::start(Tongue::Crud).await;
    let platform = rest_adapter(&server);
    for address in ["mario@acme.example", "Mario@acme.example"] {
        let user = json!({ "id": address, "email": address, "enabled": true, "verified": true });
        server.state().records.users.push(user);
    }
    let found = platform.user_by_email(&email("mario@acme.example")).await;
    let found = found.unwrap().unwrap();
    assert!(!found.email_proves && !found.has_password);
}
