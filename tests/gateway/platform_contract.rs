//! The contract of platforms, one body for every adapter: the builtin platform on SQLite and on
//! PostgreSQL, another installation's builtin platform by its REST API, ThingsBoard in its
//! editions, old and new, by login and by API key, and a SCIM server with all that the standard
//! offers and with as little as it allows.

mod live;
pub mod places;
mod tagged;

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, json};
use vestibule::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, UserId, UserOptions,
};
use vestibule::platform::{
    BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck, Platform,
    PlatformError, ProfileChange, RoleChange, Undone,
};

use places::{Place, places};

/// The mark of a registration of 2024; the same for the same name.
fn mark(name: &str) -> Mark {
    let tail = name
        .bytes()
        .fold(0_u64, |tail, byte| tail << 8 | u64::from(byte));
    Mark::new(format!("0190f5ea-0000-7000-8000-{tail:012x}"))
}

fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn company(code: Option<&str>) -> NewCustomer {
    company_called("Müller & Söhne", code)
}

fn company_called(name: &str, code: Option<&str>) -> NewCustomer {
    NewCustomer {
        account_type: AccountType::Business,
        name: name.to_owned(),
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
    let company = company_called(name, None);
    let made = platform.ensure_customer(&mark(name), &company).await;
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
        assert!(found.enabled);
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
        let other = company_called("Meier", Some("M-1"));
        let second = platform.ensure_customer(&mark("r-2"), &other).await;
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
        let ours = mark("r-1");
        let customer = made_customer(platform, "r-1").await;
        made_customer(platform, "r-2").await;
        let home = home_of(&customer);
        platform.ensure_location(&ours, &home).await.unwrap();
        let new = user_of(&customer, "mario@acme.example");
        platform.ensure_user(&ours, &new, None).await.unwrap();
        let company = company_called("r-1", None);
        for expected in [Undone::Removed, Undone::Absent] {
            let undone = platform.remove_user(&ours, &new).await.unwrap();
            assert_eq!(undone, expected, "the user");
            let undone = platform.remove_location(&ours, &home).await.unwrap();
            assert_eq!(undone, expected, "the location");
            let undone = platform.remove_customer(&ours, &company).await.unwrap();
            assert_eq!(undone, expected, "the customer");
        }
        let (other, company) = (mark("r-2"), company_called("r-2", None));
        let undone = platform.remove_customer(&other, &company).await.unwrap();
        assert_eq!(undone, Undone::Removed);
    }
}

#[tokio::test]
async fn what_another_mark_made_is_never_removed() {
    for Place { platform, .. } in &places().await {
        let customer = made_customer(platform, "r-1").await;
        let (home, new) = (home_of(&customer), user_of(&customer, "mario@acme.example"));
        platform.ensure_location(&mark("r-1"), &home).await.unwrap();
        let made = platform.ensure_user(&mark("r-1"), &new, None).await;
        let user = made.unwrap().into_inner();
        let (other, company) = (mark("r-2"), company_called("r-1", None));
        for undone in [
            platform.remove_user(&other, &new).await.unwrap(),
            platform.remove_location(&other, &home).await.unwrap(),
            platform.remove_customer(&other, &company).await.unwrap(),
        ] {
            assert_ne!(undone, Undone::Removed);
        }
        assert!(platform.user(&user).await.unwrap().is_some());
        assert!(platform.customer(&customer).await.unwrap().is_some());
        let again = platform.ensure_location(&mark("r-1"), &home).await;
        assert!(matches!(again, Ok(Made::Found(_))));
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
        let company = company_called("r-1", None);
        let undone = platform.remove_customer(&mark("r-1"), &company).await;
        assert_eq!(undone.unwrap(), Undone::Kept);
        assert!(platform.customer(&customer).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_name_that_is_unique_belongs_to_one() {
    for Place {
        platform, traits, ..
    } in &places().await
    {
        let first = platform.ensure_customer(&mark("r-1"), &company(None)).await;
        first.unwrap();
        let second = platform.ensure_customer(&mark("r-2"), &company(None)).await;
        let is_taken = matches!(second, Err(PlatformError::NameTaken));
        assert_eq!(is_taken, traits.unique_names);
        let person = NewCustomer {
            account_type: AccountType::Personal,
            ..company_called("Mario Rossi", None)
        };
        for name in ["r-3", "r-4"] {
            let made = platform.ensure_customer(&mark(name), &person).await;
            let made = made.unwrap_or_else(|error| panic!("persons share names: {error}"));
            let again = platform.ensure_customer(&mark(name), &person).await;
            assert_eq!(again.unwrap(), Made::Found(made.into_inner()));
        }
        for name in ["r-3", "r-4"] {
            let undone = platform.remove_customer(&mark(name), &person).await;
            assert_eq!(undone.unwrap(), Undone::Removed);
        }
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
        let checks = platform.capabilities().passwords;
        assert_eq!(is_right(&chosen).await, checks);
        let other = SecretString::from("copper lantern meadow");
        let is_set = platform.set_password(&user, &other).await.unwrap();
        assert_eq!(is_set, platform.capabilities().new_passwords);
        assert_eq!(is_right(&other).await, is_set && checks);
        assert_eq!(is_right(&chosen).await, !is_set && checks);
        let nobody = UserId::new("nobody");
        assert!(!platform.set_password(&nobody, &other).await.unwrap());
    }
}

#[tokio::test]
async fn only_the_right_password_of_an_enabled_user_is_right() {
    for place in &places().await {
        let platform = &place.platform;
        let customer = made_customer(platform, "r-1").await;
        let new = user_of(&customer, "mario@acme.example");
        let chosen = SecretString::from("correct horse");
        let made = platform
            .ensure_user(&mark("r-1"), &new, Some(&chosen))
            .await;
        let user = made.unwrap().into_inner();
        let check = async |address: &str, password: &str| {
            let password = SecretString::from(password);
            platform
                .check_password(&email(address), &password)
                .await
                .unwrap()
        };
        if !platform.capabilities().passwords {
            let unknown = check("mario@acme.example", "correct horse").await;
            assert_eq!(unknown, PasswordCheck::Unsupported);
            continue;
        }
        for address in ["mario@acme.example", "MARIO@acme.example"] {
            let PasswordCheck::Right(right) = check(address, "correct horse").await else {
                panic!("the password is right")
            };
            assert_eq!(right.id, user);
            assert!(right.has_password);
        }
        assert_eq!(
            check("mario@acme.example", "wrong").await,
            PasswordCheck::Wrong
        );
        assert_eq!(
            check("luigi@acme.example", "correct horse").await,
            PasswordCheck::Wrong
        );
        place.back_office.set_enabled(&user, false).await;
        let disabled = check("mario@acme.example", "correct horse").await;
        assert_eq!(disabled, PasswordCheck::Wrong);
    }
}

#[tokio::test]
async fn a_user_whom_staff_disables_stays_disabled() {
    for place in &places().await {
        let platform = &place.platform;
        let customer = made_customer(platform, "r-1").await;
        let new = user_of(&customer, "mario@acme.example");
        let chosen = SecretString::from("correct horse");
        let ours = mark("r-1");
        let make = || platform.ensure_user(&ours, &new, Some(&chosen));
        let user = make().await.unwrap().into_inner();
        assert!(platform.user(&user).await.unwrap().unwrap().enabled);
        place.back_office.set_enabled(&user, false).await;
        assert!(!platform.user(&user).await.unwrap().unwrap().enabled);
        let found = platform.user_by_email(&new.email).await.unwrap().unwrap();
        assert!(!found.enabled);
        assert_eq!(make().await.unwrap(), Made::Found(user.clone()));
        assert!(!platform.user(&user).await.unwrap().unwrap().enabled);
    }
}

#[tokio::test]
async fn published_rules_are_those_that_passwords_are_judged_by() {
    for place in &places().await {
        let platform = &place.platform;
        let Some(rules) = platform.password_rules().await.unwrap() else {
            continue;
        };
        assert!(rules.min_length > 1 && rules.max_length >= rules.min_length);
        let customer = made_customer(platform, "r-1").await;
        let new = user_of(&customer, "mario@acme.example");
        let short = SecretString::from("x".repeat(rules.min_length - 1));
        let refused = platform.ensure_user(&mark("r-1"), &new, Some(&short)).await;
        assert!(matches!(refused, Err(PlatformError::Refused { field }) if field == "password"));
    }
}

#[tokio::test]
async fn the_enabled_administrators_of_a_customer_are_known() {
    for place in &places().await {
        let platform = &place.platform;
        let customer = made_customer(platform, "r-1").await;
        let mut ids = Vec::new();
        for (name, address, administrator) in [
            ("r-1", "mario@acme.example", true),
            ("r-2", "luigi@acme.example", false),
            ("r-3", "peach@acme.example", true),
        ] {
            let new = NewUser {
                administrator,
                ..user_of(&customer, address)
            };
            let made = platform.ensure_user(&mark(name), &new, None).await;
            ids.push(made.unwrap().into_inner());
        }
        place.back_office.set_enabled(&ids[2], false).await;
        let found = platform.administrators(&customer).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].user, ids[0]);
        assert_eq!(found[0].email, email("mario@acme.example"));
        assert_eq!(found[0].name, "Mario Rossi");
        assert_eq!(found[0].language.as_deref(), Some("it"));
        for nobody in ["none", "0190f5ea-0000-7000-8000-000000000001"] {
            let nobody = CustomerId::new(nobody);
            assert_eq!(platform.administrators(&nobody).await.unwrap(), vec![]);
        }
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
            language: Some("de".to_owned()),
            ..ProfileChange::default()
        };
        for _ in 0..2 {
            assert!(platform.update_profile(&id, &change).await.unwrap());
        }
        let known = platform.profile(&id).await.unwrap().unwrap();
        assert_eq!(known.user["phone"], "+390461234567");
        assert_eq!(known.user["newsletter"], true, "what is not named stays");
        assert_eq!(known.user_name, "Mario Rossi");
        let language = known.language.unwrap();
        assert!(language.starts_with("de"), "{language}");
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

#[tokio::test]
async fn roles_that_are_named_are_given_and_taken_and_others_stay() {
    for place in &places().await {
        let platform = &place.platform;
        let customer = made_customer(platform, "r-1").await;
        let user = user_of(&customer, "mario@acme.example");
        let made = platform.ensure_user(&mark("r-1"), &user, None).await;
        let id = made.unwrap().into_inner();
        let change = |give: &[&str], take: &[&str]| {
            let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            RoleChange {
                give: set(give),
                take: set(take),
            }
        };
        let operator = change(&["operator"], &["auditor"]);
        if !platform.capabilities().roles {
            assert!(!platform.update_roles(&id, &operator).await.unwrap());
            continue;
        }
        for role in ["operator", "auditor"] {
            place.back_office.add_role(&customer, role).await;
        }
        let mut expected = place.back_office.roles_of(&id).await;
        for _ in 0..2 {
            assert!(platform.update_roles(&id, &operator).await.unwrap());
        }
        expected.push("operator".to_owned());
        assert_eq!(place.back_office.roles_of(&id).await, expected);
        let auditor = change(&["auditor"], &["operator", "unheard of"]);
        for _ in 0..2 {
            assert!(platform.update_roles(&id, &auditor).await.unwrap());
        }
        expected.pop();
        expected.push("auditor".to_owned());
        expected.sort();
        assert_eq!(place.back_office.roles_of(&id).await, expected);
        let nobody = UserId::new("nobody");
        assert!(!platform.update_roles(&nobody, &auditor).await.unwrap());
    }
}
