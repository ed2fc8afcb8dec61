//! ThingsBoard as it is and not as one would wish: addresses that users change, other tenants,
//! wildcards, codes that become numbers, roles and dashboards of both editions.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, json};
use vestibule::identity::{
    AccountType, CustomerId, CustomerOptions, DefaultDashboard, EmailAddress, HomeDashboard, Role,
    UserId, UserOptions,
};
use vestibule::platform::thingsboard::CannotUse;
use vestibule::platform::{
    BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck, Platform,
    PlatformError, ThingsBoardCredentials, ThingsBoardEdition, Undone,
};

use crate::harness::thingsboard::ThingsBoard;
use crate::platform_contract::places::{adapter, adapter_at, by_api_key, by_login};

pub fn new_mark() -> Mark {
    Mark::new(uuid::Uuid::now_v7().to_string())
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn company(name: &str) -> NewCustomer {
    NewCustomer {
        account_type: AccountType::Business,
        name: name.to_owned(),
        code: None,
        fields: Map::from_iter([
            ("vat_number".to_owned(), json!("IT1")),
            ("city".to_owned(), json!("Modena")),
        ]),
        options: CustomerOptions::default(),
    }
}

pub fn user_of(customer: &CustomerId, address: &str) -> NewUser {
    NewUser {
        belongs_to: BelongsTo::Customer(customer.clone()),
        email: email(address),
        name: "Mario Rossi".to_owned(),
        account_type: AccountType::Business,
        language: "it".to_owned(),
        administrator: true,
        fields: Map::from_iter([("phone".to_owned(), json!("+390461234567"))]),
        options: UserOptions::default(),
    }
}

pub fn home_of(customer: &CustomerId) -> NewLocation {
    NewLocation {
        customer: customer.clone(),
        name: "Sede".to_owned(),
        fields: Map::new(),
    }
}

async fn community() -> (ThingsBoard, Arc<dyn Platform>) {
    let server = ThingsBoard::community("4.3.0.1").await;
    let platform = adapter(&server, by_api_key());
    (server, Arc::new(platform))
}

async fn made_customer(platform: &dyn Platform, mark: &Mark) -> CustomerId {
    let made = platform.ensure_customer(mark, &company("Acme")).await;
    made.unwrap().into_inner()
}

#[tokio::test]
async fn what_is_made_looks_as_its_own_interface_would_have_made_it() {
    let (server, platform) = community().await;
    let mark = new_mark();
    let customer = made_customer(&*platform, &mark).await;
    let new = user_of(&customer, "mario@acme.example");
    platform
        .ensure_location(&mark, &home_of(&customer))
        .await
        .unwrap();
    platform.ensure_user(&mark, &new, None).await.unwrap();
    let record = &server.customers()[0];
    assert_eq!(record["title"], "Acme");
    assert_eq!(record["city"], "Modena");
    assert_eq!(
        record["additionalInfo"]["gatewayFields"],
        json!({ "vat_number": "IT1" })
    );
    assert_eq!(
        record["additionalInfo"]["gatewayRegistrationId"],
        mark.as_str()
    );
    let asset = &server.assets()[0];
    assert_eq!(asset["name"], "Acme / Sede");
    assert_eq!(asset["label"], "Sede");
    assert_eq!(asset["type"], "Location");
    let user = server.user("mario@acme.example").unwrap();
    assert_eq!(user["authority"], "CUSTOMER_USER");
    assert_eq!(user["firstName"], "Mario");
    assert_eq!(user["lastName"], "Rossi");
    assert_eq!(user["phone"], "+390461234567");
    assert_eq!(user["additionalInfo"]["lang"], "it_IT");
    assert_eq!(
        server.letters(),
        0,
        "ThingsBoard sends no letter of its own"
    );
    let asked = server.asked();
    let open = asked
        .iter()
        .filter(|asked| asked.path.starts_with("/api/noauth/"));
    assert!(open.clone().count() > 0);
    for asked in open {
        assert_eq!(asked.authorization, None, "{}", asked.path);
    }
}

#[tokio::test]
async fn two_customers_have_a_location_of_one_name() {
    let (server, platform) = community().await;
    for name in ["Acme", "Meier"] {
        let mark = new_mark();
        let made = platform.ensure_customer(&mark, &company(name)).await;
        let customer = made.unwrap().into_inner();
        platform
            .ensure_location(&mark, &home_of(&customer))
            .await
            .unwrap();
    }
    // Staff took the name that the third one would have.
    let (mark, third) = (new_mark(), company("Rossi"));
    let customer = platform
        .ensure_customer(&mark, &third)
        .await
        .unwrap()
        .into_inner();
    let other = NewLocation {
        name: "Sede".to_owned(),
        ..home_of(&customer)
    };
    platform.ensure_location(&new_mark(), &other).await.unwrap();
    platform.ensure_location(&mark, &other).await.unwrap();
    let again = platform.ensure_location(&mark, &other).await.unwrap();
    assert!(matches!(again, Made::Found(_)));
    assert_eq!(server.assets().len(), 4);
}

#[tokio::test]
async fn a_pattern_in_an_address_finds_nobody_else() {
    let (server, platform) = community().await;
    let customer = server.staff_makes_customer("Acme");
    server.staff_makes_user(&customer, "axb@acme.example", Some("secret of x"));
    server.staff_makes_user(&customer, "zaxb@acme.example", None);
    let found = platform.user_by_email(&email("a_b@acme.example")).await;
    assert_eq!(found.unwrap(), None);
    let found = platform.user_by_email(&email("AXB@acme.example")).await;
    assert_eq!(found.unwrap().unwrap().email, email("axb@acme.example"));
}

#[tokio::test]
async fn an_address_in_another_tenant_is_taken_and_nothing_is_left() {
    let (server, platform) = community().await;
    server.has_elsewhere("mario@acme.example");
    let mark = new_mark();
    let customer = made_customer(&*platform, &mark).await;
    let new = user_of(&customer, "mario@acme.example");
    assert_eq!(platform.user_by_email(&new.email).await.unwrap(), None);
    let refused = platform.ensure_user(&mark, &new, None).await;
    assert!(matches!(refused, Err(PlatformError::EmailTaken)));
    assert_eq!(
        platform.remove_user(&mark, &new).await.unwrap(),
        Undone::Absent
    );
    let undone = platform.remove_customer(&mark, &company("Acme")).await;
    assert_eq!(undone.unwrap(), Undone::Removed);
    assert_eq!(server.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn two_spellings_of_one_address_let_nobody_in() {
    let (server, platform) = community().await;
    let customer = server.staff_makes_customer("Acme");
    server.staff_makes_user(&customer, "mario@acme.example", Some("correct horse"));
    server.staff_makes_user(&customer, "Mario@acme.example", Some("correct horse"));
    let address = email("mario@acme.example");
    let found = platform.user_by_email(&address).await.unwrap().unwrap();
    assert!(!found.email_proves && !found.has_password);
    let password = SecretString::from("correct horse");
    let checked = platform.check_password(&address, &password).await;
    assert_eq!(checked.unwrap(), PasswordCheck::Wrong);
    let new = user_of(&CustomerId::new(customer), "MARIO@acme.example");
    let taken = platform.ensure_user(&new_mark(), &new, None).await;
    assert!(matches!(taken, Err(PlatformError::EmailTaken)));
}

#[tokio::test]
async fn a_password_is_not_enough_where_a_second_factor_is_set() {
    let (server, platform) = community().await;
    let customer = server.staff_makes_customer("Acme");
    server.staff_makes_user(&customer, "mario@acme.example", Some("correct horse"));
    let address = email("mario@acme.example");
    let password = SecretString::from("correct horse");
    let checked = platform.check_password(&address, &password).await;
    assert!(matches!(checked, Ok(PasswordCheck::Right(_))));
    server.wants_second_factor_of("mario@acme.example");
    let checked = platform.check_password(&address, &password).await;
    assert_eq!(checked.unwrap(), PasswordCheck::Wrong);
}

#[tokio::test]
async fn administrators_of_the_tenant_are_never_accounts() {
    let (_server, platform) = community().await;
    let address = email(crate::harness::thingsboard::ADMINISTRATOR);
    let found = platform.user_by_email(&address).await.unwrap().unwrap();
    assert!(!found.enabled && !found.email_proves && !found.has_password);
    assert_eq!(found.customer, None);
    assert!(!platform.user(&found.id).await.unwrap().unwrap().enabled);
    let password = SecretString::from(crate::harness::thingsboard::PASSWORD);
    let checked = platform.check_password(&address, &password).await;
    assert_eq!(checked.unwrap(), PasswordCheck::Wrong);
    let customer = made_customer(&*platform, &new_mark()).await;
    let new = user_of(&customer, address.as_str());
    let taken = platform.ensure_user(&new_mark(), &new, None).await;
    assert!(matches!(taken, Err(PlatformError::EmailTaken)));
}

#[tokio::test]
async fn an_address_proves_something_only_of_who_has_never_been_let_in() {
    for version in ["3.7.0", "3.8.1", "4.3.0.1"] {
        let server = ThingsBoard::community(version).await;
        let platform = adapter(&server, by_login());
        let customer = server.staff_makes_customer("Acme");
        server.staff_makes_user(&customer, "new@acme.example", None);
        server.staff_makes_user(&customer, "old@acme.example", Some("correct horse"));
        // Whatever the user writes into their own record.
        let own = json!({ "additionalInfo": { "userActivated": false, "lastLoginTs": null } });
        server
            .user_changes_own("old@acme.example", "correct horse", own)
            .await;
        let found = platform.user_by_email(&email("new@acme.example")).await;
        let found = found.unwrap().unwrap();
        assert!(
            found.enabled && found.email_proves && !found.has_password,
            "{version}"
        );
        let found = platform.user_by_email(&email("old@acme.example")).await;
        let found = found.unwrap().unwrap();
        assert!(
            found.enabled && !found.email_proves && found.has_password,
            "{version}"
        );
        server.set_enabled(found.id.as_str(), false);
        let found = platform.user(&found.id).await.unwrap().unwrap();
        assert!(!found.enabled && !found.email_proves, "{version}");
    }
}

#[tokio::test]
async fn what_customers_of_the_professional_edition_make_proves_nothing() {
    let server = ThingsBoard::professional("4.3.0PE").await;
    let platform = adapter(&server, by_api_key());
    let customer = server.staff_makes_customer("Mallory & Sons");
    server.staff_makes_user(&customer, "giulia@acme.example", None);
    let found = platform.user_by_email(&email("giulia@acme.example")).await;
    let found = found.unwrap().unwrap();
    assert!(!found.email_proves && !found.has_password);
    let below = NewCustomer {
        options: CustomerOptions {
            group: None,
            parent: Some("Mallory & Sons".to_owned()),
        },
        ..company("Acme")
    };
    let made = platform.ensure_customer(&new_mark(), &below).await;
    let below = made.unwrap().into_inner();
    server.staff_writes_attributes(below.as_str(), &json!({ "organizationCode": "M-1" }));
    assert_eq!(platform.customer_by_code("M-1").await.unwrap(), None);
    server.staff_writes_attributes(&customer, &json!({ "organizationCode": "M-1" }));
    let found = platform.customer_by_code("M-1").await.unwrap().unwrap();
    assert_eq!(found.id.as_str(), customer);
}

#[tokio::test]
async fn a_colleague_with_a_copied_mark_is_not_the_registrations_user() {
    let (server, platform) = community().await;
    let customer = server.staff_makes_customer("Acme");
    server.staff_makes_user(&customer, "mallory@acme.example", Some("correct horse"));
    // A registration that begins in an hour, so that Mallory is older than it.
    let later = std::time::Duration::from_hours(1).as_secs();
    let begun = u64::try_from(jiff::Timestamp::now().as_second()).unwrap() + later;
    let begun = uuid::Timestamp::from_unix(uuid::NoContext, begun, 0);
    let mark = Mark::new(uuid::Uuid::new_v7(begun).to_string());
    let change = json!({
        "email": "giulia@acme.example",
        "additionalInfo": { "gatewayRegistrationId": mark.as_str() },
    });
    server
        .user_changes_own("mallory@acme.example", "correct horse", change)
        .await;
    let new = user_of(&CustomerId::new(&customer), "giulia@acme.example");
    let taken = platform.ensure_user(&mark, &new, None).await;
    assert!(matches!(taken, Err(PlatformError::EmailTaken)));
    assert_eq!(
        platform.remove_user(&mark, &new).await.unwrap(),
        Undone::Absent
    );
    assert!(server.user("giulia@acme.example").is_some());
}

#[tokio::test]
async fn limits_and_refusals_are_told_apart() {
    let (server, platform) = community().await;
    server.staff_makes_customer("Meier");
    server.limits("CUSTOMER", 1);
    let full = platform
        .ensure_customer(&new_mark(), &company("Acme"))
        .await;
    let full = full.unwrap_err();
    assert!(
        matches!(&full, PlatformError::Full { what } if what == "CUSTOMER"),
        "{full}"
    );
    assert!(full.is_passing(), "the operator can raise it");
    server.limits("CUSTOMER", 10);
    for name in ["<b>Acme</b>", "Public"] {
        let refused = platform.ensure_customer(&new_mark(), &company(name)).await;
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, PlatformError::Refused { field } if field == "company"));
        assert!(
            !refused.to_string().contains(name),
            "no answer of ThingsBoard's is shown"
        );
    }
    assert!(platform.takes_email(&email("mario@acme.example")));
    assert!(!platform.takes_email(&email("mario@пример.рф")));
}

#[tokio::test]
async fn codes_are_kept_to_the_letter_and_staff_can_write_them() {
    let (server, platform) = community().await;
    let coded = |name: &str, code: &str| NewCustomer {
        code: Some(code.to_owned()),
        ..company(name)
    };
    let made = platform
        .ensure_customer(&new_mark(), &coded("Bond", "007"))
        .await;
    let bond = made.unwrap().into_inner();
    let made = platform
        .ensure_customer(&new_mark(), &coded("Seven", "7"))
        .await;
    let seven = made.unwrap().into_inner();
    let staffs = server.staff_makes_customer("Staff's");
    server.staff_writes_attributes(&staffs, &json!({ "organizationCode": "M-1" }));
    for (code, expected) in [
        ("007", Some(bond.as_str())),
        ("7", Some(seven.as_str())),
        ("07", None),
        ("7.0", None),
        ("M-1", Some(staffs.as_str())),
        ("m-1", None),
        ("", None),
        ("a\0b", None),
    ] {
        let found = platform.customer_by_code(code).await.unwrap();
        assert_eq!(
            found.as_ref().map(|found| found.id.as_str()),
            expected,
            "{code}"
        );
    }
    let taken = platform
        .ensure_customer(&new_mark(), &coded("Other", "M-1"))
        .await;
    assert!(matches!(taken, Err(PlatformError::CodeTaken)));
    for (name, long) in [
        ("Long", "12345678901234567890"),
        ("Zero", "012345678901234567890"),
        ("Eighteen", "012345678901234567"),
    ] {
        let made = platform
            .ensure_customer(&new_mark(), &coded(name, long))
            .await;
        let id = made.unwrap().into_inner();
        let found = platform.customer_by_code(long).await.unwrap();
        assert_eq!(found.map(|found| found.id), Some(id), "{long}");
    }
    // Staff gives a second customer the code: nobody can tell which one is meant.
    server.staff_writes_attributes(seven.as_str(), &json!({ "organizationCode": "M-1" }));
    assert!(platform.customer_by_code("M-1").await.is_err());
}

#[tokio::test]
async fn of_two_colleagues_at_once_one_founds_the_customer() {
    for _ in 0..10 {
        let (server, platform) = community().await;
        let found = |name: &'static str| {
            let (platform, mark) = (Arc::clone(&platform), new_mark());
            tokio::spawn(async move {
                let new = NewCustomer {
                    code: Some("M-1".to_owned()),
                    ..company(name)
                };
                let made = platform.ensure_customer(&mark, &new).await;
                if made.is_err() {
                    platform.remove_customer(&mark, &new).await.unwrap();
                }
                made
            })
        };
        let (one, other) = tokio::join!(found("Acme"), found("Acme Srl"));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(server.counts(), [1, 0, 0]);
        assert!(platform.customer_by_code("M-1").await.unwrap().is_some());
    }
}

fn with_dashboards() -> UserOptions {
    UserOptions {
        default_dashboard: Some(DefaultDashboard {
            title: "Shared dashboard".to_owned(),
            full_screen: true,
        }),
        home_dashboard: Some(HomeDashboard {
            title: "Home".to_owned(),
            hide_toolbar: true,
        }),
        ..UserOptions::default()
    }
}

#[tokio::test]
async fn dashboards_are_there_before_the_user_is() {
    let (server, platform) = community().await;
    let customer = made_customer(&*platform, &new_mark()).await;
    let new = NewUser {
        options: with_dashboards(),
        ..user_of(&customer, "mario@acme.example")
    };
    let mark = new_mark();
    server.has_dashboard("Shared dashboard of others");
    let missing = platform.ensure_user(&mark, &new, None).await.unwrap_err();
    assert!(missing.is_passing() && missing.to_string().contains("Shared dashboard"));
    assert_eq!(
        server.counts()[2],
        0,
        "nobody is made who would see nothing"
    );
    let shared = server.has_dashboard("Shared dashboard");
    let home = server.has_dashboard("Home");
    let user = platform
        .ensure_user(&mark, &new, None)
        .await
        .unwrap()
        .into_inner();
    let record = server.user("mario@acme.example").unwrap();
    let info = &record["additionalInfo"];
    assert_eq!(info["defaultDashboardId"], shared);
    assert_eq!(info["defaultDashboardFullscreen"], true);
    assert_eq!(info["homeDashboardId"], home);
    assert_eq!(info["homeDashboardHideToolbar"], true);
    assert!(server.shows(user.as_str(), &shared) && server.shows(user.as_str(), &home));
}

/// The group for a role on a group.
const ON_DEVICES: &str = "Read devices: Public devices";

async fn made_twice(platform: &dyn Platform, new: &NewUser) -> UserId {
    let mark = new_mark();
    platform.ensure_user(&mark, new, None).await.unwrap();
    let again = platform.ensure_user(&mark, new, None).await;
    again.unwrap().into_inner()
}

/// ThingsBoard's own tutorial of self-registration: one shared dashboard, a role for everything and
/// one for a group of devices.
#[tokio::test]
async fn the_tutorial_with_a_shared_dashboard_and_two_roles() {
    let server = ThingsBoard::professional("4.3.0PE").await;
    let platform = adapter(&server, by_api_key());
    let shared = server.has_dashboard("Shared dashboard");
    let internal = server.has_dashboard("Internal dashboard");
    server.has_role("Smart Office User", true);
    server.has_role("Read devices", false);
    server.has_group("DEVICE", "Public devices");
    server.has_group("CUSTOMER", "Self-registered");
    let new = NewCustomer {
        options: CustomerOptions {
            group: Some("Self-registered".to_owned()),
            parent: None,
        },
        ..company("Acme")
    };
    let mark = new_mark();
    let customer = platform
        .ensure_customer(&mark, &new)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(server.groups_of(customer.as_str()), ["Self-registered"]);
    let role = |name: &str, group: Option<&str>| Role {
        name: name.to_owned(),
        entity_group: group.map(str::to_owned),
    };
    let options = UserOptions {
        home_dashboard: None,
        roles: vec![
            role("Smart Office User", None),
            role("Read devices", Some("Public devices")),
        ],
        ..with_dashboards()
    };
    for address in ["mario@acme.example", "luigi@acme.example"] {
        let new = NewUser {
            options: options.clone(),
            ..user_of(&customer, address)
        };
        let user = made_twice(&platform, &new).await;
        let mut groups = server.groups_of(user.as_str());
        groups.sort();
        assert_eq!(groups, [ON_DEVICES, "Smart Office User"]);
        assert!(server.shows(user.as_str(), &shared));
    }
    let on_devices = server.permissions_of(ON_DEVICES);
    let devices = Some("Public devices".to_owned());
    assert_eq!(on_devices, [("Read devices".to_owned(), devices)]);
    let mut general = server.permissions_of("Smart Office User");
    general.sort();
    let dashboards = Some("Shared with registrations: Shared dashboard".to_owned());
    let read = ("Entity Group Read-only User".to_owned(), dashboards);
    assert_eq!(general, [read, ("Smart Office User".to_owned(), None)]);
    assert_eq!(
        server.groups_of(&internal),
        Vec::<String>::new(),
        "nothing else is shared"
    );
}

#[tokio::test]
async fn without_roles_users_get_the_groups_that_every_customer_has() {
    let server = ThingsBoard::professional("4.3.0PE").await;
    let platform = adapter(&server, by_login());
    let customer = made_customer(&platform, &new_mark()).await;
    for (address, administrator, group) in [
        ("mario@acme.example", true, "Customer Administrators"),
        ("luigi@acme.example", false, "Customer Users"),
    ] {
        let new = NewUser {
            administrator,
            ..user_of(&customer, address)
        };
        let user = platform.ensure_user(&new_mark(), &new, None).await.unwrap();
        assert_eq!(server.groups_of(user.into_inner().as_str()), [group]);
    }
}

#[tokio::test]
async fn what_it_is_is_said_at_the_start() {
    for (server, edition) in [
        (
            ThingsBoard::community("3.7.0").await,
            ThingsBoardEdition::Community,
        ),
        (
            ThingsBoard::professional("4.0.1PE").await,
            ThingsBoardEdition::Professional,
        ),
    ] {
        let known = adapter(&server, by_login())
            .introduce(false)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(known.edition, edition);
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_at_the_start() {
    let old = ThingsBoard::community("3.6.4").await;
    let refused = adapter(&old, by_login()).introduce(false).await;
    assert!(matches!(refused, Err(CannotUse::TooOld { .. })));
    let before_keys = ThingsBoard::community("4.2.1").await;
    let refused = adapter(&before_keys, by_api_key()).introduce(false).await;
    assert!(matches!(refused, Err(CannotUse::Credentials)));
    let wrong = ThingsBoardCredentials::Login {
        user: crate::harness::thingsboard::ADMINISTRATOR.to_owned(),
        password: SecretString::from("wrong"),
    };
    let server = ThingsBoard::community("4.3.0.1").await;
    let refused = adapter(&server, wrong).introduce(false).await;
    assert!(matches!(refused, Err(CannotUse::Credentials)));
    let customer = server.staff_makes_customer("Acme");
    server.staff_makes_user(&customer, "mario@acme.example", Some("correct horse"));
    let not_an_administrator = ThingsBoardCredentials::Login {
        user: "mario@acme.example".to_owned(),
        password: SecretString::from("correct horse"),
    };
    let refused = adapter(&server, not_an_administrator)
        .introduce(false)
        .await;
    assert!(matches!(refused, Err(CannotUse::Authority { .. })));
    server.wants_second_factor_of(crate::harness::thingsboard::ADMINISTRATOR);
    let refused = adapter(&server, by_login()).introduce(false).await;
    assert!(matches!(refused, Err(CannotUse::SecondFactor)));
    assert!(
        adapter(&server, by_api_key())
            .introduce(false)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_path_that_is_not_there_says_nothing_about_users() {
    let (server, platform) = community().await;
    let customer = server.staff_makes_customer("Acme");
    let user = UserId::new(server.staff_makes_user(&customer, "mario@acme.example", None));
    assert!(platform.user(&user).await.unwrap().is_some());
    let elsewhere = format!("{}/wrong", server.url());
    let misled = adapter_at(&elsewhere, by_api_key());
    assert!(misled.user(&user).await.is_err());
    let nobody = UserId::new("0190f5ea-0000-7000-8000-000000000001");
    assert_eq!(platform.user(&nobody).await.unwrap(), None);
}

#[tokio::test]
async fn ids_that_are_none_are_not_put_into_addresses() {
    let (server, platform) = community().await;
    for id in ["none", "../tenant", "a/b", ""] {
        assert_eq!(platform.user(&UserId::new(id)).await.unwrap(), None);
        assert_eq!(platform.customer(&CustomerId::new(id)).await.unwrap(), None);
    }
    assert!(server.asked().is_empty());
}
