//! The contract of platforms, one body for every adapter: the builtin platform on SQLite and on
//! PostgreSQL, and another installation's builtin platform by its REST API.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, json};
use vestibule::admin::platform_api;
use vestibule::clock::SystemClock;
use vestibule::database::{Database, DatabaseAddress};
use vestibule::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, PlatformId, UserId, UserOptions,
};
use vestibule::outbound::Outbound;
use vestibule::platform::RemoteSettings;
use vestibule::platform::builtin::remote::RemoteBuiltinPlatform;
use vestibule::platform::builtin::{Added, BuiltinPlatform};
use vestibule::platform::{
    BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck, Platform,
    PlatformError, ProfileChange, Undone,
};

use crate::harness::Postgres;

/// A platform, and what keeps its neighbour alive.
struct Place {
    platform: Arc<dyn Platform>,
    /// Where a user with a password can be put.
    back_office: Arc<BuiltinPlatform>,
    _folder: Option<tempfile::TempDir>,
}

async fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = DatabaseAddress::Sqlite(folder.path().join("platform.db"));
    let sqlite = builtin(&sqlite).await;
    let url = Postgres::shared().fresh_database().await;
    let postgres = builtin(&DatabaseAddress::Postgres(url)).await;
    let url = Postgres::shared().fresh_database().await;
    let shared = builtin(&DatabaseAddress::Postgres(url)).await;
    vec![
        Place {
            platform: sqlite.clone(),
            back_office: sqlite,
            _folder: Some(folder),
        },
        Place {
            platform: postgres.clone(),
            back_office: postgres,
            _folder: None,
        },
        Place {
            platform: Arc::new(remote(&shared).await),
            back_office: shared,
            _folder: None,
        },
    ]
}

async fn builtin(address: &DatabaseAddress) -> Arc<BuiltinPlatform> {
    let database = Database::open(address).await.unwrap();
    database.migrate().await.unwrap();
    let id = PlatformId::new("builtin");
    Arc::new(BuiltinPlatform::new(id, database, Arc::new(SystemClock)))
}

async fn remote(shared: &Arc<BuiltinPlatform>) -> RemoteBuiltinPlatform {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = platform_api::router(Arc::clone(shared));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = RemoteSettings {
        url: url.parse().unwrap(),
        token: SecretString::from("not asked for without the admin listener"),
    };
    let outbound = Outbound::new().unwrap();
    RemoteBuiltinPlatform::new(PlatformId::new("shared"), settings, outbound)
}

fn mark(name: &str) -> Mark {
    Mark::new(name)
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn company(code: Option<&str>) -> NewCustomer {
    NewCustomer {
        account_type: AccountType::Business,
        name: "Müller & Söhne".to_owned(),
        code: code.map(str::to_owned),
        fields: Map::from_iter([("vat_number".to_owned(), json!("DE123"))]),
        options: CustomerOptions::default(),
    }
}

fn user_of(customer: &CustomerId, address: &str) -> NewUser {
    NewUser {
        belongs_to: BelongsTo::Customer(customer.clone()),
        email: email(address),
        name: "Mario Rossi".to_owned(),
        account_type: AccountType::Business,
        language: "it".to_owned(),
        administrator: false,
        fields: Map::from_iter([("newsletter".to_owned(), json!(true))]),
        options: UserOptions::default(),
    }
}

fn home_of(customer: &CustomerId) -> NewLocation {
    NewLocation {
        customer: customer.clone(),
        name: "Sede".to_owned(),
        fields: Map::from_iter([("city".to_owned(), json!("Modena"))]),
    }
}

async fn made_customer(platform: &Arc<dyn Platform>, name: &str) -> CustomerId {
    let made = platform.ensure_customer(&mark(name), &company(None)).await;
    made.unwrap().into_inner()
}

#[tokio::test]
async fn the_same_mark_makes_each_thing_once() {
    for Place { platform, .. } in &places().await {
        let mark = mark("r-1");
        let customer = platform
            .ensure_customer(&mark, &company(Some("M-1")))
            .await
            .unwrap();
        assert!(matches!(customer, Made::Created(_)));
        let id = customer.into_inner();
        let again = platform
            .ensure_customer(&mark, &company(Some("M-1")))
            .await
            .unwrap();
        assert_eq!(again, Made::Found(id.clone()));

        let location = platform
            .ensure_location(&mark, &home_of(&id))
            .await
            .unwrap();
        let again = platform
            .ensure_location(&mark, &home_of(&id))
            .await
            .unwrap();
        assert_eq!(again, Made::Found(location.into_inner()));

        let new = user_of(&id, "mario@acme.example");
        let user = platform.ensure_user(&mark, &new, None).await.unwrap();
        let again = platform.ensure_user(&mark, &new, None).await.unwrap();
        assert_eq!(again, Made::Found(user.into_inner()));
    }
}

#[tokio::test]
async fn twenty_at_once_with_one_mark_make_one() {
    for Place { platform, .. } in &places().await {
        let calls = (0..20).map(|_| {
            let platform = Arc::clone(platform);
            tokio::spawn(async move {
                let made = platform
                    .ensure_customer(&mark("r-1"), &company(Some("M-1")))
                    .await;
                let made = made.unwrap();
                (matches!(made, Made::Created(_)), made.into_inner())
            })
        });
        let (mut ids, mut created) = (BTreeSet::new(), 0);
        for call in calls.collect::<Vec<_>>() {
            let (is_new, id) = call.await.unwrap();
            ids.insert(id);
            created += u32::from(is_new);
        }
        assert_eq!((ids.len(), created), (1, 1));
    }
}

#[tokio::test]
async fn what_was_made_is_found_again() {
    for Place { platform, .. } in &places().await {
        let made = platform
            .ensure_customer(&mark("r-1"), &company(Some("M-1")))
            .await;
        let customer = made.unwrap().into_inner();
        let by_code = platform.customer_by_code("M-1").await.unwrap().unwrap();
        assert_eq!(by_code.id, customer);
        assert_eq!(by_code.name, "Müller & Söhne");
        assert_eq!(by_code.account_type, AccountType::Business);
        assert_eq!(
            platform.customer(&customer).await.unwrap().unwrap(),
            by_code
        );

        let new = user_of(&customer, "Mario@acme.example");
        let user = platform
            .ensure_user(&mark("r-1"), &new, None)
            .await
            .unwrap()
            .into_inner();
        let found = platform.user(&user).await.unwrap().unwrap();
        assert_eq!(found.customer.as_ref(), Some(&customer));
        assert_eq!(found.account_type, Some(AccountType::Business));
        assert!(found.enabled && !found.has_password);
        let folded = platform.user_by_email(&email("mARIO@ACME.example")).await;
        assert_eq!(folded.unwrap(), Some(found));
    }
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    for Place { platform, .. } in &places().await {
        let nobody = email("nobody@acme.example");
        assert_eq!(platform.user(&UserId::new("none")).await.unwrap(), None);
        assert_eq!(platform.user_by_email(&nobody).await.unwrap(), None);
        assert_eq!(
            platform.customer(&CustomerId::new("none")).await.unwrap(),
            None
        );
        for code in ["none", "", "M-1' OR '1'='1", "%", "a/../b?c=d&e"] {
            assert_eq!(
                platform.customer_by_code(code).await.unwrap(),
                None,
                "{code}"
            );
        }
    }
}

#[tokio::test]
async fn codes_are_compared_exactly() {
    for Place { platform, .. } in &places().await {
        let made = platform
            .ensure_customer(&mark("r-1"), &company(Some("M-1")))
            .await;
        made.unwrap();
        for code in ["m-1", "M-1 ", "M-", "M-%"] {
            assert_eq!(
                platform.customer_by_code(code).await.unwrap(),
                None,
                "{code}"
            );
        }
    }
}

#[tokio::test]
async fn an_address_and_a_code_belong_to_one() {
    for Place { platform, .. } in &places().await {
        let first = platform
            .ensure_customer(&mark("r-1"), &company(Some("M-1")))
            .await;
        let customer = first.unwrap().into_inner();
        let second = platform
            .ensure_customer(&mark("r-2"), &company(Some("M-1")))
            .await;
        assert!(matches!(second, Err(PlatformError::CodeTaken)));
        let new = user_of(&customer, "mario@acme.example");
        platform
            .ensure_user(&mark("r-1"), &new, None)
            .await
            .unwrap();
        let other = user_of(&customer, "MARIO@acme.example");
        let taken = platform.ensure_user(&mark("r-2"), &other, None).await;
        assert!(matches!(taken, Err(PlatformError::EmailTaken)));
    }
}

#[tokio::test]
async fn a_user_of_a_customer_that_is_not_there_is_refused() {
    for Place { platform, .. } in &places().await {
        let new = user_of(&CustomerId::new("none"), "mario@acme.example");
        let refused = platform.ensure_user(&mark("r-1"), &new, None).await;
        let refused = refused.unwrap_err();
        assert!(!refused.is_passing(), "{refused}");
    }
}

#[tokio::test]
async fn undoing_takes_back_what_the_mark_made_and_nothing_else() {
    for Place { platform, .. } in &places().await {
        let (ours, other) = (mark("r-1"), mark("r-2"));
        let customer = made_customer(platform, "r-1").await;
        made_customer(platform, "r-2").await;
        platform
            .ensure_location(&ours, &home_of(&customer))
            .await
            .unwrap();
        let new = user_of(&customer, "mario@acme.example");
        platform.ensure_user(&ours, &new, None).await.unwrap();

        assert_eq!(platform.remove_user(&ours).await.unwrap(), Undone::Removed);
        assert_eq!(
            platform.remove_location(&ours).await.unwrap(),
            Undone::Removed
        );
        assert_eq!(
            platform.remove_customer(&ours).await.unwrap(),
            Undone::Removed
        );
        assert_eq!(platform.remove_user(&ours).await.unwrap(), Undone::Absent);
        assert_eq!(
            platform.remove_location(&ours).await.unwrap(),
            Undone::Absent
        );
        assert_eq!(
            platform.remove_customer(&ours).await.unwrap(),
            Undone::Absent
        );
        assert_eq!(
            platform.remove_customer(&other).await.unwrap(),
            Undone::Removed
        );
    }
}

#[tokio::test]
async fn a_customer_that_others_use_meanwhile_is_kept() {
    for Place { platform, .. } in &places().await {
        let customer = made_customer(platform, "r-1").await;
        let colleague = user_of(&customer, "luigi@acme.example");
        platform
            .ensure_user(&mark("r-2"), &colleague, None)
            .await
            .unwrap();
        assert_eq!(
            platform.remove_customer(&mark("r-1")).await.unwrap(),
            Undone::Kept
        );
        assert!(platform.customer(&customer).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_chosen_password_comes_with_the_user_and_can_be_replaced() {
    for place in &places().await {
        let platform = &place.platform;
        let new = user_of(&made_customer(platform, "r-1").await, "mario@acme.example");
        let chosen = SecretString::from("violet tractor umbrella");
        let ours = mark("r-1");
        let made = platform.ensure_user(&ours, &new, Some(&chosen)).await;
        let user = made.unwrap().into_inner();
        let is_right = async |password: &SecretString| {
            let checked = platform.check_password(&new.email, password).await.unwrap();
            matches!(checked, PasswordCheck::Right(found) if found.id == user)
        };
        assert!(is_right(&chosen).await);
        let other = SecretString::from("copper lantern meadow");
        assert!(platform.set_password(&user, &other).await.unwrap());
        assert!(is_right(&other).await && !is_right(&chosen).await);
        let nobody = UserId::new("nobody");
        assert!(!platform.set_password(&nobody, &other).await.unwrap());
    }
}

#[tokio::test]
async fn only_the_right_password_of_an_enabled_user_is_right() {
    for place in &places().await {
        let platform = &place.platform;
        let customer = made_customer(platform, "r-1").await;
        let added = Added {
            mark: None,
            password: Some(SecretString::from("correct horse")),
        };
        let new = user_of(&customer, "mario@acme.example");
        let made = place.back_office.add_user(&new, added).await.unwrap();
        let user = made.into_inner();
        let check = async |address: &str, password: &str| {
            let password = SecretString::from(password);
            platform
                .check_password(&email(address), &password)
                .await
                .unwrap()
        };
        let PasswordCheck::Right(right) = check("mario@acme.example", "correct horse").await else {
            panic!("the password is right")
        };
        assert_eq!(right.id, user);
        assert!(right.has_password);
        assert_eq!(
            check("mario@acme.example", "wrong").await,
            PasswordCheck::Wrong
        );
        assert_eq!(
            check("luigi@acme.example", "correct horse").await,
            PasswordCheck::Wrong
        );
        place.back_office.set_enabled(&user, false).await.unwrap();
        let disabled = check("mario@acme.example", "correct horse").await;
        assert_eq!(disabled, PasswordCheck::Wrong);
        assert!(!platform.user(&user).await.unwrap().unwrap().enabled);
    }
}

#[tokio::test]
async fn a_user_is_known_and_what_changes_is_written_where_it_belongs() {
    for Place { platform, .. } in &places().await {
        let customer = made_customer(platform, "r-1").await;
        let location = home_of(&customer);
        platform
            .ensure_location(&mark("r-1"), &location)
            .await
            .unwrap();
        let user = user_of(&customer, "mario@acme.example");
        let made = platform
            .ensure_user(&mark("r-1"), &user, None)
            .await
            .unwrap();
        let id = made.into_inner();
        let known = platform.profile(&id).await.unwrap().unwrap();
        assert_eq!(known.user_name, "Mario Rossi");
        assert_eq!(known.location, Some(location.fields));
        let map = |key: &str, value: &str| Map::from_iter([(key.to_owned(), json!(value))]);
        let change = ProfileChange {
            user: map("phone", "+390461234567"),
            customer: map("vat_number", "DE456"),
            location: map("address", "Via Roma 1"),
            customer_name: Some("Müller GmbH".to_owned()),
            ..ProfileChange::default()
        };
        for _ in 0..2 {
            assert!(platform.update_profile(&id, &change).await.unwrap());
        }
        let known = platform.profile(&id).await.unwrap().unwrap();
        assert_eq!(known.user["phone"], "+390461234567");
        assert_eq!(known.user["newsletter"], true, "what is not named stays");
        assert_eq!(known.user_name, "Mario Rossi");
        let customer = known.customer.unwrap();
        assert_eq!(customer.name, "Müller GmbH");
        assert_eq!(customer.fields["vat_number"], "DE456");
        let location = known.location.unwrap();
        assert_eq!(location["address"], "Via Roma 1");
        assert_eq!(location["city"], "Modena");

        let nobody = UserId::new("nobody");
        assert_eq!(platform.profile(&nobody).await.unwrap(), None);
        assert!(!platform.update_profile(&nobody, &change).await.unwrap());
    }
}
