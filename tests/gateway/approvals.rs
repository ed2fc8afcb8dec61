//! Registrations that wait for somebody's word: the back office by API and command line, two
//! answers at once, answers too late, nodes that die in between.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::identity::{AccountType, CustomerOptions, UserOptions, VerifiedIdentity};
use vestibule::onboarding::{
    BehindLink, Decided, Decision, Failure, NextStep, ProgressStanding, RegistrationId,
};
use vestibule::platform::builtin::{Added, Listing};
use vestibule::platform::{BelongsTo, Mark, NewCustomer, NewUser};
use vestibule::policy::onboarding::{KnownBy, KnownCustomer, WhenKnown};
use vestibule::sql_execute;

use super::harness::office::{COMPANY, HOST, Office, TERMS, client, mario, policy, somebody};
use super::harness::{
    GatewayBuilder, OPERATOR_TOKEN, TestGateway, on_both_set_ups, wait_until_async,
};
use super::joining::{Scene, asks, get, link_in};

const BACK_OFFICE: &str = "[approval]\naccount_types = [\"business\"]\n\
                           notify = [\"sales@acme.example\"]\n";
const DEEP_LINK: &str = "/things/17?tab=values";
const DAY: Duration = Duration::from_hours(24);

/// An office where colleagues ask to join.
async fn offices() -> [Office; 2] {
    let policy = policy(|onboarding| {
        onboarding.known_customer = vec![KnownCustomer {
            by: KnownBy::Claim("org".to_owned()),
            then: WhenKnown::AskToJoin,
        }];
    });
    let offices = Office::on_both(&policy).await;
    for office in &offices {
        let customer = NewCustomer {
            account_type: AccountType::Business,
            name: "Harbour Lights".to_owned(),
            code: Some("HLH".to_owned()),
            fields: serde_json::Map::new(),
            options: CustomerOptions::default(),
        };
        let made = office.platform.add_customer(&customer, None).await.unwrap();
        let customer = made.into_inner();
        for name in ["amara", "bela"] {
            let user = NewUser {
                belongs_to: BelongsTo::Customer(customer.clone()),
                email: format!("{name}@harbour.example").try_into().unwrap(),
                name: name.to_owned(),
                account_type: AccountType::Business,
                language: "en".to_owned(),
                administrator: true,
                fields: serde_json::Map::new(),
                options: UserOptions::default(),
            };
            office
                .platform
                .add_user(&user, Added::default())
                .await
                .unwrap();
        }
    }
    offices
}

fn kwame() -> VerifiedIdentity {
    let claims = json!({
        "email": "kwame@harbour.example", "email_verified": true, "name": "Kwame Mensah",
        "org": "HLH",
    });
    somebody("kwame", claims)
}

/// Kwame has asked, and the letters are out; the tokens in them.
async fn asked(office: &Office) -> (RegistrationId, Vec<String>) {
    let id = office
        .submit(
            &kwame(),
            &[("name", "Kwame Mensah"), ("agreement.terms", TERMS)],
        )
        .await
        .unwrap();
    office.onboarding.carry_on(&id).await.unwrap();
    (id, tokens(office))
}

fn tokens(office: &Office) -> Vec<String> {
    let letters = office.outbox.letters();
    let token = |text: &str| {
        let start = text.find("?link=")? + "?link=".len();
        let token = text[start..].split_whitespace().next()?;
        Some(token.to_owned())
    };
    letters
        .iter()
        .filter_map(|letter| token(&letter.text))
        .collect()
}

async fn standing(office: &Office) -> ProgressStanding {
    let report = office.onboarding.progress(&kwame()).await.unwrap();
    report.unwrap().standing
}

async fn users(office: &Office) -> usize {
    office.counts().await.2
}

#[tokio::test]
async fn two_administrators_answer_at_once_and_one_answer_counts() {
    for office in offices().await {
        let (id, tokens) = asked(&office).await;
        assert_eq!(
            tokens.len(),
            2,
            "each administrator has a link of their own"
        );
        let onboarding = &office.onboarding;
        let who = client();
        let (yes, no) = tokio::join!(
            onboarding.decide_by_link(&tokens[0], Decision::Approved, &who),
            onboarding.decide_by_link(&tokens[1], Decision::Rejected, &who),
        );
        let (yes, no) = (yes.unwrap(), no.unwrap());
        let now = [yes, no].iter().filter(|one| **one == Decided::Now).count();
        assert_eq!(now, 1, "{yes:?} {no:?}");
        office.onboarding.carry_on(&id).await.unwrap();
        if yes == Decided::Now {
            assert_eq!(no, Decided::Before(Decision::Approved));
            assert_eq!(standing(&office).await, ProgressStanding::Completed);
            assert_eq!(users(&office).await, 3);
        } else {
            assert_eq!(yes, Decided::Before(Decision::Rejected));
            assert_eq!(
                standing(&office).await,
                ProgressStanding::Failed(Failure::Rejected)
            );
            assert_eq!(users(&office).await, 2);
        }
    }
}

#[tokio::test]
async fn whoever_is_no_administrator_any_more_decides_nothing() {
    for office in offices().await {
        let (id, tokens) = asked(&office).await;
        let all = Listing {
            after: String::new(),
            limit: 10,
        };
        let users = office.platform.users(None, &all).await.unwrap();
        let amara = users.iter().find(|one| one.name == "amara").unwrap();
        let amara = vestibule::identity::UserId::new(amara.id.clone());
        office.platform.set_enabled(&amara, false).await.unwrap();
        let (onboarding, who) = (&office.onboarding, client());
        let mut open = 0;
        for token in &tokens {
            match onboarding.behind_link(token, &who).await.unwrap() {
                BehindLink::Open(_) => open += 1,
                nothing => {
                    assert_eq!(nothing, BehindLink::Nothing);
                    let late = onboarding.decide_by_link(token, Decision::Approved, &who);
                    assert_eq!(late.await.unwrap(), Decided::NotWaiting);
                }
            }
        }
        assert_eq!(open, 1, "the other administrator still decides");
        onboarding.carry_on(&id).await.unwrap();
        let waits = matches!(standing(&office).await, ProgressStanding::Waiting(_));
        assert!(waits, "nobody has said yes");
    }
}

#[tokio::test]
async fn what_was_counted_and_mailed_is_forgotten_once_nothing_asks_for_it() {
    for office in offices().await {
        let kept = async || {
            let all = "SELECT COUNT(*) FROM verifications";
            let counted = vestibule::sql_fetch_all!(&office.database, (i64,), all);
            counted.unwrap().remove(0).0
        };
        for number in 0..3 {
            let network = format!("192.0.2.{number}");
            assert!(office.onboarding.count_unchecked(&network).await.unwrap());
        }
        office.clock.advance(Duration::from_hours(23));
        office.onboarding.sweep_funnel().await;
        assert_eq!(kept().await, 3);
        office.clock.advance(Duration::from_hours(2));
        office.onboarding.sweep_funnel().await;
        assert_eq!(kept().await, 0);
    }
}

#[tokio::test]
async fn many_approvals_at_once_make_one_user() {
    for office in offices().await {
        let (id, tokens) = asked(&office).await;
        let who = client();
        let answers = (0..10).map(|number| {
            let token = &tokens[number % 2];
            office
                .onboarding
                .decide_by_link(token, Decision::Approved, &who)
        });
        let answers = futures_util::future::join_all(answers).await;
        let now = answers.iter().filter(|one| matches!(one, Ok(Decided::Now)));
        assert_eq!(now.count(), 1);
        let carried = (0..5).map(|_| office.onboarding.carry_on(&id));
        futures_util::future::join_all(carried).await;
        assert_eq!(users(&office).await, 3);
    }
}

#[tokio::test]
async fn reminded_once_then_over_and_too_late_is_too_late() {
    for office in offices().await {
        let (id, first) = asked(&office).await;
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(
            tokens(&office).len(),
            2,
            "nobody is asked twice before its time"
        );
        office.clock.advance(3 * DAY);
        office.onboarding.carry_on(&id).await.unwrap();
        let all = tokens(&office);
        assert_eq!(all.len(), 4, "a reminder for each");
        let reminders = office.outbox.letters();
        assert!(
            reminders
                .iter()
                .any(|one| one.subject.starts_with("Reminder"))
        );
        let onboarding = &office.onboarding;
        let who = client();
        assert!(matches!(
            onboarding.behind_link(&first[0], &who).await.unwrap(),
            BehindLink::Open(_)
        ));
        office.clock.advance(11 * DAY);
        // The sweep has not come by yet; the time counts all the same.
        let late = onboarding
            .decide_by_link(&all[3], Decision::Approved, &who)
            .await;
        assert_eq!(late.unwrap(), Decided::NotWaiting);
        assert_eq!(
            onboarding.behind_link(&first[0], &who).await.unwrap(),
            BehindLink::Nothing
        );
        let operator = onboarding.decide_by_operator(&id, Decision::Approved).await;
        assert_eq!(operator.unwrap(), Some(Decided::NotWaiting));
        onboarding.carry_on(&id).await.unwrap();
        onboarding.carry_on(&id).await.unwrap();
        let failed = ProgressStanding::Failed(Failure::NotAnswered);
        assert_eq!(standing(&office).await, failed);
        let late = onboarding
            .decide_by_link(&all[3], Decision::Approved, &who)
            .await;
        assert_eq!(late.unwrap(), Decided::Before(Decision::Expired));
        assert_eq!(users(&office).await, 2);
        assert_eq!(onboarding.retry(&id).await.unwrap(), Some(false));
        assert!(matches!(
            office.next_step(&kwame()).await,
            NextStep::Register(_)
        ));
        let told = office.outbox.letters();
        assert!(
            told.iter()
                .any(|one| one.to.as_str() == "kwame@harbour.example"
                    && one.text.contains("have not answered"))
        );
    }
}

#[tokio::test]
async fn a_link_counts_on_its_own_host_only_and_is_kept_as_a_digest() {
    for office in offices().await {
        let (_, tokens) = asked(&office).await;
        let mut elsewhere = client();
        elsewhere.host = "other.example.com".to_owned();
        let onboarding = &office.onboarding;
        let answer = onboarding
            .decide_by_link(&tokens[0], Decision::Approved, &elsewhere)
            .await;
        assert_eq!(answer.unwrap(), Decided::NotWaiting);
        let kept = vestibule::sql_fetch_all!(
            &office.database,
            (String,),
            "SELECT digest FROM approval_links"
        );
        for (digest,) in kept.unwrap() {
            assert!(!tokens.contains(&digest));
        }
        let letters = office.outbox.letters();
        let link = format!("https://{HOST}/auth/register/approval?link=");
        assert!(letters[0].text.contains(&link), "{}", letters[0].text);
    }
}

#[tokio::test]
async fn what_was_rejected_is_not_tried_again_and_not_asked_again_at_once() {
    for office in offices().await {
        let (id, tokens) = asked(&office).await;
        let onboarding = &office.onboarding;
        let who = client();
        let rejected = onboarding.decide_by_link(&tokens[0], Decision::Rejected, &who);
        assert_eq!(rejected.await.unwrap(), Decided::Now);
        assert_eq!(
            standing(&office).await,
            ProgressStanding::Failed(Failure::Rejected)
        );
        onboarding.carry_on(&id).await.unwrap();
        assert_eq!(onboarding.retry(&id).await.unwrap(), Some(false));
        assert!(matches!(
            office.next_step(&kwame()).await,
            NextStep::UnderWay(_)
        ));
        office.clock.advance(8 * DAY);
        assert!(matches!(
            office.next_step(&kwame()).await,
            NextStep::Register(_)
        ));
        assert_eq!(users(&office).await, 2);
    }
}

#[tokio::test]
async fn the_address_taken_meanwhile_is_said_after_the_approval() {
    for office in offices().await {
        let (id, tokens) = asked(&office).await;
        sql_execute!(
            &office.database,
            "UPDATE builtin_users SET email = 'kwame@harbour.example',
                 email_folded = 'kwame@harbour.example' WHERE name = 'bela'"
        )
        .unwrap();
        let onboarding = &office.onboarding;
        let who = client();
        let approved = onboarding.decide_by_link(&tokens[0], Decision::Approved, &who);
        assert_eq!(approved.await.unwrap(), Decided::Now);
        onboarding.carry_on(&id).await.unwrap();
        let failed = ProgressStanding::Failed(Failure::EmailTaken);
        assert_eq!(standing(&office).await, failed);
        let everybody = Listing {
            after: String::new(),
            limit: 10,
        };
        assert_eq!(
            office.platform.users(None, &everybody).await.unwrap().len(),
            2
        );
        let mark = Mark::new(id.as_str());
        let undone = office.platform.undo_user(&mark).await.unwrap();
        assert_eq!(undone, vestibule::platform::Undone::Absent);
    }
}

#[tokio::test]
async fn the_back_office_decides_by_account_type() {
    let policy = policy(|onboarding| {
        onboarding.approval.account_types = vec![AccountType::Business];
        onboarding.approval.notify = vec!["sales@acme.example".to_owned().try_into().unwrap()];
    });
    for office in Office::on_both(&policy).await {
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(office.counts().await, (0, 0, 0));
        let letters = office.outbox.letters();
        let to: Vec<_> = letters.iter().map(|one| one.to.as_str()).collect();
        assert_eq!(to, ["sales@acme.example", "mario@acme.example"]);
        assert!(letters[0].text.contains(id.as_str()), "{}", letters[0].text);
        let decided = office
            .onboarding
            .decide_by_operator(&id, Decision::Approved)
            .await;
        assert_eq!(decided.unwrap(), Some(Decided::Now));
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(office.counts().await, (1, 1, 1));
        let unknown = RegistrationId::new("nobody");
        let nobody = office
            .onboarding
            .decide_by_operator(&unknown, Decision::Approved)
            .await;
        assert_eq!(nobody.unwrap(), None);
    }
}

on_both_set_ups!(the_back_office_approves_by_command_line);

async fn the_back_office_approves_by_command_line(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, BACK_OFFICE).await;
    super::first_login::giulia(&scene.provider).await;
    let page = super::first_login::registers(scene.arrives("giulia").await).await;
    let waiting = page.shows("Acme will look at your registration");
    let letter = scene.mailbox.wait_for("sales@acme.example").await;
    assert!(letter.text.contains("Giulia Ferraro"), "{}", letter.text);

    let listed = says(&scene.gateway, &["registrations", "list"]);
    assert!(listed.contains("awaiting_approval"), "{listed}");
    assert!(listed.contains("giulia@ferraro.example"), "{listed}");
    let json = says(&scene.gateway, &["registrations", "list", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let id = json["items"][0]["id"].as_str().unwrap();
    let shown = says(&scene.gateway, &["registrations", "show", id]);
    assert!(shown.contains("Ferraro Impianti"), "{shown}");
    let submitted = shown.lines().find(|line| line.starts_with("submitted "));
    assert!(submitted.is_some_and(|line| line.ends_with('Z')), "{shown}");
    let unheard_of = ["registrations", "list", "--state", "awaiting"];
    let refused = fails(&scene.gateway, &unheard_of);
    assert!(
        refused.contains("`state` is not valid: there are `awaiting_approval`"),
        "{refused}"
    );
    let refused = fails(&scene.gateway, &["registrations", "retry", id]);
    assert!(
        refused.contains("only what failed is tried again"),
        "{refused}"
    );
    let unknown = fails(&scene.gateway, &["registrations", "approve", "nobody"]);
    assert!(unknown.contains("no such registration"), "{unknown}");
    assert_eq!(scene.gateway.count("builtin_users").await, 0);

    let approved = says(&scene.gateway, &["registrations", "approve", id]);
    assert!(approved.contains("Approved"), "{approved}");
    waiting.waits_until_on(DEEP_LINK).await;
    let again = fails(&scene.gateway, &["registrations", "reject", id]);
    assert!(again.contains("answered before: approved"), "{again}");
    let shown = says(&scene.gateway, &["registrations", "show", id]);
    assert!(shown.contains("what was typed is erased"), "{shown}");
    assert_eq!(scene.gateway.count("builtin_users").await, 1);
}

on_both_set_ups!(the_back_office_rejects);

async fn the_back_office_rejects(set_up: GatewayBuilder<'_>) {
    let scene = Scene::with(set_up, BACK_OFFICE).await;
    super::first_login::giulia(&scene.provider).await;
    let page = super::first_login::registers(scene.arrives("giulia").await).await;
    let listed = get(
        &scene.gateway,
        "/operator/v1/registrations?state=awaiting_approval",
    )
    .await;
    let id = listed["items"][0]["id"].as_str().unwrap();
    says(&scene.gateway, &["registrations", "reject", id]);
    scene
        .wait_for_subject("giulia@ferraro.example", "Your request")
        .await;
    let page = page.follow("Look again").await;
    page.shows("Your request was not accepted");
    assert_eq!(scene.gateway.count("builtin_customers").await, 0);
}

#[tokio::test]
async fn the_command_line_says_when_nobody_answers() {
    let mut scene = Scene::with(TestGateway::embedded(), "").await;
    scene.gateway.kill9();
    let said = fails(&scene.gateway, &["registrations", "list"]);
    assert!(said.contains("does it run?"), "{said}");
}

#[tokio::test]
async fn the_applicant_leaves_and_comes_back_on_another_node() {
    let set_up = TestGateway::distributed().nodes(2);
    let ask = "[[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"ask_to_join\"\n";
    let mut scene = Scene::with(set_up, ask).await;
    scene.company().await;
    scene.kwame().await;
    asks(scene.arrives("kwame").await).await;
    let letter = scene.mailbox.wait_for("amara@harbour.example").await;
    let again = scene.arrives("kwame").await;
    let again = again.shows("We have asked Harbour Lights");
    // One node dies before the answer; the other carries on.
    scene.gateway.node(1).kill9();
    let page = scene.gateway.browser().open(&link_in(&letter)).await;
    page.press("Approve").await.shows("Approved");
    again.waits_until_on(DEEP_LINK).await;
    assert_eq!(scene.gateway.count("builtin_users").await, 2);
}

on_both_set_ups!(whoever_came_by_mail_chooses_a_password_after_a_retry);

async fn whoever_came_by_mail_chooses_a_password_after_a_retry(set_up: GatewayBuilder<'_>) {
    let policy = format!("[self_registration]\nenabled = true\n{BACK_OFFICE}");
    let scene = Scene::with(set_up, &policy).await;
    let address = "mario@rossi.example";
    let customer = scene.company().await;
    let browser = scene.gateway.browser();
    let page = browser.open("/auth/register/email").await;
    page.fill("email", address).press("Send me the link").await;
    let letter = scene.mailbox.wait_for(address).await;
    let page = browser.open(&token_link_in(&letter)).await;
    let page = page.press("Yes, continue").await;
    page.fill("account_type", "business")
        .fill("Full name", "Mario Rossi")
        .fill("Company name", "Rossi Impianti")
        .fill("Country", "Italy")
        .fill("Password", "violet tractor umbrella")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await;
    let list = get(&scene.gateway, "/operator/v1/registrations").await;
    let id = list["items"][0]["id"].as_str().expect("an id").to_owned();

    // The back office makes the user itself, which lets the registration fail, and thinks better of it.
    let user = json!({ "email": address, "name": "Mario", "customer": customer, "account_type": "business" });
    let made = scene.back_office("/platform/v1/users", user).await;
    says(&scene.gateway, &["registrations", "approve", &id]);
    scene.waits_for_state(&id, "failed").await;
    let made = made["id"].as_str().expect("an id");
    let gone = reqwest::Client::new()
        .delete(scene.gateway.admin(&format!("/platform/v1/users/{made}")))
        .bearer_auth(OPERATOR_TOKEN);
    assert!(gone.send().await.unwrap().status().is_success());
    says(&scene.gateway, &["registrations", "retry", &id]);
    scene.waits_for_state(&id, "completed").await;

    let letter = scene.wait_for_subject(address, "password").await;
    let page = scene.gateway.browser().open(&token_link_in(&letter)).await;
    let page = page
        .fill("password", "green harbour lantern")
        .submit()
        .await;
    let page = page.fill("E-mail address", address);
    let page = page.fill("password", "green harbour lantern");
    page.press("Sign in").await.lands_on("/");
}

/// The mailed link of somebody who comes by mail.
fn token_link_in(letter: &super::harness::Letter) -> String {
    let mut words = letter.text.split_whitespace();
    let link = words.find(|word| word.contains("token="));
    link.unwrap_or_else(|| panic!("no link in {}", letter.text))
        .to_owned()
}

fn run(gateway: &TestGateway, arguments: &[&str]) -> Output {
    let config = gateway.folder().join("vestibule-0.toml");
    let (command, rest) = arguments.split_first().unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg(command)
        .arg("--config")
        .arg(config)
        .args(rest)
        .output()
        .unwrap()
}

/// What a command prints that succeeds.
pub fn says(gateway: &TestGateway, arguments: &[&str]) -> String {
    let output = run(gateway, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command complains about that fails.
pub fn fails(gateway: &TestGateway, arguments: &[&str]) -> String {
    let output = run(gateway, arguments);
    assert!(!output.status.success(), "{arguments:?} did not fail");
    String::from_utf8(output.stderr).unwrap()
}

impl Scene {
    async fn waits_for_state(&self, id: &str, state: &str) {
        wait_until_async(&format!("the registration is {state}"), async || {
            let path = format!("/operator/v1/registrations/{id}");
            get(&self.gateway, &path).await["state"] == state
        })
        .await;
    }
}
