//! Every call of a provisioning at a SCIM server gets lost once, before and after it took effect, or
//! is refused for its number: there is one of everything, or nothing.

use std::time::Duration;

use futures_util::future::join_all;
use vestibule::identity::{CustomerId, UserId};
use vestibule::platform::scim::Scim;
use vestibule::platform::{Made, Mark, NewCustomer, Platform, PlatformError, ScimCustomers};

use crate::harness::scim::{Kind, ScimServer};
use crate::harness::thingsboard::Fault;
use crate::platform_contract::places::scim_adapter;
use crate::thingsboard::{company, email, home_of, new_mark, user_of};

/// More calls than a registration takes.
const CALLS: usize = 30;

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
    platform: Scim,
    mark: Mark,
}

impl Registration {
    fn at(server: &ScimServer) -> Self {
        Self {
            platform: scim_adapter(server, ScimCustomers::Groups),
            mark: new_mark(),
        }
    }

    async fn is_made(&self) -> CustomerId {
        let Self { platform, mark } = self;
        let coded = NewCustomer {
            code: Some("M-1".to_owned()),
            ..company("Acme")
        };
        let customer = until_done(async || platform.ensure_customer(mark, &coded).await).await;
        let customer = customer.into_inner();
        let home = home_of(&customer);
        until_done(async || platform.ensure_location(mark, &home).await).await;
        let new = user_of(&customer, "mario@acme.example");
        until_done(async || platform.ensure_user(mark, &new, None).await).await;
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

/// Whether the fault came to pass.
async fn survives(kind: Kind, (fault, number): (Fault, usize)) -> bool {
    let what = format!("{kind:?}, call {number}, {fault:?}");
    let server = ScimServer::start(kind).await;
    let registration = Registration::at(&server);
    server.strikes_nth(fault, number);
    let customer = registration.is_made().await;
    let struck = server.has_struck();
    server.is_well();
    assert_eq!(server.counts().await, [1, 1, 1], "{what}");
    let platform = &registration.platform;
    let user = platform.user_by_email(&email("mario@acme.example")).await;
    let user = user.unwrap().unwrap();
    assert_eq!(user.customer.as_ref(), Some(&customer), "{what}");
    let administrators = platform.administrators(&customer).await.unwrap();
    assert_eq!(administrators.len(), 1, "{what}");
    let found = platform.customer_by_code("M-1").await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(customer), "{what}");
    struck
}

async fn every_call_survives(fault: Fault, kinds: &[Kind]) {
    for &kind in kinds {
        let all = (0..CALLS).map(|number| survives(kind, (fault, number)));
        let struck = join_all(all).await;
        let struck = struck.into_iter().filter(|struck| *struck).count();
        assert!(struck > 12, "{struck} calls were struck");
        assert!(struck < CALLS, "not every call was tried");
    }
}

#[tokio::test]
async fn every_call_may_be_lost_on_its_way() {
    every_call_survives(Fault::LostBefore, &[Kind::Full]).await;
}

#[tokio::test]
async fn every_reply_may_be_lost() {
    every_call_survives(Fault::LostAfter, &[Kind::Full, Kind::Poor]).await;
}

#[tokio::test]
async fn every_call_may_be_one_too_many() {
    every_call_survives(Fault::TooMany, &[Kind::Full]).await;
}

#[tokio::test]
async fn every_call_of_undoing_may_be_lost() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::TooMany] {
        let all = (0..14).map(async |number| {
            let server = ScimServer::start(Kind::Full).await;
            let registration = Registration::at(&server);
            let customer = registration.is_made().await;
            server.strikes_nth(fault, number);
            registration.is_undone(&customer).await;
            let what = format!("call {number}, {fault:?}");
            assert_eq!(server.counts().await, [0, 0, 0], "{what}");
        });
        join_all(all).await;
    }
}

#[tokio::test]
async fn a_slow_server_is_not_waited_for_and_nothing_is_doubled() {
    let server = ScimServer::start(Kind::Full).await;
    let registration = Registration::at(&server);
    server.strikes(Fault::Slow(Duration::from_secs(7)), "POST", "/Groups");
    let Registration { platform, mark } = &registration;
    let first = platform.ensure_customer(mark, &company("Acme")).await;
    assert!(
        matches!(first, Err(PlatformError::Unreachable(_))),
        "{first:?}"
    );
    let again = platform.ensure_customer(mark, &company("Acme")).await;
    assert!(matches!(again, Ok(Made::Created(_))), "{again:?}");
    let customer = again.unwrap().into_inner();
    let new = user_of(&customer, "mario@acme.example");
    platform.ensure_user(mark, &new, None).await.unwrap();
    // What was given up comes through by now.
    let mut tries = 0;
    while server.counts().await[0] < 2 {
        tries += 1;
        assert!(tries < 100, "the slow call never comes through");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = platform.ensure_customer(mark, &company("Acme")).await;
    assert_eq!(found.unwrap(), Made::Found(customer));
    assert_eq!(server.counts().await, [1, 0, 1]);
}

#[tokio::test]
async fn a_404_of_something_in_front_says_nothing_about_users() {
    let server = ScimServer::start(Kind::Full).await;
    let registration = Registration::at(&server);
    registration.is_made().await;
    let platform = &registration.platform;
    let user = &server.all("/Users").await[0];
    let user = UserId::new(user["id"].as_str().unwrap());
    server.strikes(Fault::Misled, "GET", user.as_str());
    let answer = platform.user(&user).await;
    assert!(
        matches!(answer, Err(PlatformError::Garbled(_))),
        "{answer:?}"
    );
    assert!(platform.user(&user).await.unwrap().is_some());
}
