//! An operator invites a named address into a customer: it works for that address, once, in time.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::identity::{AccountType, CustomerId, CustomerOptions};
use vestibule::language::Language;
use vestibule::onboarding::{InvitationState, InviteError, NewInvite, NextStep, Scope};
use vestibule::platform::NewCustomer;

use super::approvals::{fails, says};
use super::harness::office::{Office, TERMS, policy, somebody};
use super::harness::{GatewayBuilder, on_both_set_ups};
use super::joining::{Scene, link_in};

const DEEP_LINK: &str = "/things/17?tab=values";
const CLOSED: &str = "[sso]\ncreate_customer_on_first_login = false\n";

on_both_set_ups!(whoever_is_invited_joins_with_the_address_that_was_named);

async fn whoever_is_invited_joins_with_the_address_that_was_named(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, CLOSED).await;
    let customer = scene.company().await;
    let claims =
        |email: &str| json!({ "name": "Ines Gast", "email": email, "email_verified": true });
    scene
        .provider
        .person("ines", claims("Ines@guest.example"))
        .await;
    scene.arrives("ines").await.has_status(403);

    let to = [
        "--email",
        "ines@guest.example",
        "--customer",
        &customer,
        "--administrator",
    ];
    let create = [&["invitations", "create"], &to[..]].concat();
    assert!(says(&scene.gateway, &create).contains("Invited"));
    let listed = says(&scene.gateway, &["invitations", "list"]);
    assert!(
        listed.contains("open") && listed.contains("ines@guest.example"),
        "{listed}"
    );
    let letter = scene.mailbox.wait_for("ines@guest.example").await;
    let link = link_in(&letter);
    for _ in 0..3 {
        let page = scene.gateway.browser().open(&link).await;
        page.shows("You are invited to Harbour Lights");
    }
    let page = scene.arrives("ines").await;
    page.shows("You are invited to Harbour Lights. Your account will belong to it.")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    assert_eq!(
        scene.customer_of("ines@guest.example").await,
        Some(customer.clone())
    );
    let path = format!("/platform/v1/customers/{customer}/administrators");
    let all = super::joining::get(&scene.gateway, &path).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let page = scene.gateway.browser().open(&link).await;
    page.shows("This invitation was used");
    let again = fails(&scene.gateway, &create);
    assert!(
        again.contains("a user with this address already"),
        "{again}"
    );
}

on_both_set_ups!(whoever_has_no_single_sign_on_joins_by_mail_with_the_address_that_was_named);

async fn whoever_has_no_single_sign_on_joins_by_mail_with_the_address_that_was_named(
    set_up: GatewayBuilder<'_>,
) {
    let policy = format!("{CLOSED}[self_registration]\nenabled = true\n");
    let scene = Scene::with(set_up, &policy).await;
    let customer = scene.company().await;
    let to = ["--email", "ines@guest.example", "--customer", &customer];
    says(
        &scene.gateway,
        &[&["invitations", "create"], &to[..]].concat(),
    );
    let invitation = link_in(&scene.mailbox.wait_for("ines@guest.example").await);
    let registers = async |address: &str| {
        let browser = scene.gateway.browser();
        let page = browser.open(&invitation).await;
        let page = page.follow("Register ines@guest.example by mail").await;
        let page = page.fill("email", address).press("Send me the link").await;
        page.lands_on("/auth/register/email?return_to=%2F&sent");
        let letter = scene.wait_for_subject(address, "Confirm").await;
        let mut words = letter.text.split_whitespace();
        let link = words.find(|word| word.contains("token=")).expect("a link");
        browser.open(link).await.press("Yes, continue").await
    };
    // The link is no key: with another address it is a registration like any other.
    let other = registers("otto@guest.example").await;
    assert!(!other.text().contains("Harbour Lights"), "{}", other.text());
    let page = registers("ines@guest.example").await;
    page.shows("You are invited to Harbour Lights. Your account will belong to it.")
        .fill("Full name", "Ines Gast")
        .fill("Password", "violet tractor umbrella")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
        .waits_until_on("/")
        .await;
    assert_eq!(
        scene.customer_of("ines@guest.example").await,
        Some(customer)
    );
}

on_both_set_ups!(an_invitation_is_taken_back);

async fn an_invitation_is_taken_back(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, CLOSED).await;
    let customer = scene.company().await;
    let claims = json!({ "name": "Ines", "email": "ines@guest.example", "email_verified": true });
    scene.provider.person("ines", claims).await;
    let to = [
        "--email",
        "ines@guest.example",
        "--customer",
        &customer,
        "--json",
    ];
    let made = says(
        &scene.gateway,
        &[&["invitations", "create"], &to[..]].concat(),
    );
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    let link = link_in(&scene.mailbox.wait_for("ines@guest.example").await);
    let other = json!({ "name": "Otto", "email": "otto@guest.example", "email_verified": true });
    scene.provider.person("other", other).await;
    // The link is no key: somebody else who has it gets nowhere.
    let stranger = scene
        .gateway
        .browser()
        .open(&link)
        .await
        .follow("Continue")
        .await;
    stranger.login_at_provider("other").await.has_status(403);

    says(&scene.gateway, &["invitations", "revoke", id]);
    let page = scene.gateway.browser().open(&link).await;
    page.shows("This invitation is not valid");
    scene.arrives("ines").await.has_status(403);
    fails(&scene.gateway, &["invitations", "revoke", id]);
    let unknown = [
        "invitations",
        "create",
        "--email",
        "a@b.example",
        "--customer",
        "none",
    ];
    let said = fails(&scene.gateway, &unknown);
    assert!(said.contains("no such customer"), "{said}");
    for (wrong, allowed) in [
        (
            ["--email", "x", "--valid-days", "1"],
            "like `anna@example.com`",
        ),
        (
            ["--email", "a@b.example", "--valid-days", "0"],
            "from 1 to 365",
        ),
    ] {
        let create = ["invitations", "create", "--customer", "none"];
        let said = fails(&scene.gateway, &[&create[..], &wrong[..]].concat());
        assert!(said.contains(allowed), "{said}");
    }
}

#[tokio::test]
async fn it_works_once_in_time_and_for_a_proven_address_only() {
    let closed = policy(|onboarding| onboarding.create_customer_on_first_login = false);
    for office in Office::on_both(&closed).await {
        let customer = NewCustomer {
            account_type: AccountType::Business,
            name: "Harbour Lights".to_owned(),
            code: None,
            fields: serde_json::Map::new(),
            options: CustomerOptions::default(),
        };
        let customer = office.platform.add_customer(&customer, None).await.unwrap();
        let invite = NewInvite {
            email: "ines@guest.example".to_owned().try_into().unwrap(),
            customer: customer.into_inner(),
            host: None,
            language: Language::De,
            administrator: false,
            valid_for: Duration::from_hours(24),
        };
        let onboarding = &office.onboarding;
        onboarding.invite(&invite).await.unwrap();
        let person = |subject: &str, verified: bool| {
            let claims = json!({ "email": "Ines@guest.example", "email_verified": verified });
            somebody(subject, claims)
        };
        let unproven = office.next_step(&person("a", false)).await;
        assert!(matches!(unproven, NextStep::TurnedAway(_)), "{unproven:?}");
        let ines = person("ines", true);
        let NextStep::Register(form) = office.next_step(&ines).await else {
            panic!("she is invited")
        };
        assert!(matches!(form.scope, Scope::Invited(_)));
        office.clock.advance(Duration::from_hours(24));
        let late = office.next_step(&ines).await;
        assert!(matches!(late, NextStep::TurnedAway(_)), "{late:?}");

        onboarding.invite(&invite).await.unwrap();
        let input = [("name", "Ines Gast"), ("agreement.terms", TERMS)];
        let (twin, other) = (person("twin", true), person("other", true));
        let submits = [&ines, &twin, &other].map(|who| office.submit(who, &input));
        let submits = futures_util::future::join_all(submits).await;
        let taken: Vec<_> = submits.into_iter().filter_map(Result::ok).collect();
        assert_eq!(taken.len(), 1, "one of them was first");
        onboarding.carry_on(&taken[0]).await.unwrap();
        assert_eq!(office.counts().await.2, 1);
        let states: Vec<_> = onboarding.invitations(10).await.unwrap();
        let states: Vec<_> = states.iter().map(|one| one.state).collect();
        assert_eq!(states, [InvitationState::Used, InvitationState::Expired]);
        let nowhere = NewInvite {
            customer: CustomerId::new("none"),
            ..invite
        };
        let refused = onboarding.invite(&nowhere).await;
        assert!(matches!(refused, Err(InviteError::NoSuchCustomer)));
    }
}
