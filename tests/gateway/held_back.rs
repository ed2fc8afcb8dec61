//! Strangers who ask for too much are asked to wait, in every lane of `[abuse]`: they are told how
//! long, nothing that they typed is lost, and nobody learns which addresses are known.

use std::time::Duration;

use serde_json::json;

use super::harness::{
    Browser, GatewayBuilder, Page, TestGateway, on_both_set_ups, wait_until_async,
};
use super::joining::{Scene, asks, link_in};
use super::self_registration::Open;

const ADDRESS: &str = "mario@rossi.example";
const AMARA: &str = "amara@harbour.example";
const DEEP_LINK: &str = "/things/17";
const SECRET: &str = "violet tractor umbrella";
const BY_MAIL: &str = "[self_registration]\nenabled = true\n";
const ASK_TO_JOIN: &str =
    "[[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"ask_to_join\"\n";

/// A page that asks to wait, and says for how long.
#[track_caller]
fn asks_to_wait(page: &Page) -> u64 {
    assert_eq!(page.status(), 429, "{}", page.text());
    let pause: u64 = page.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&pause), "{pause}");
    assert!(page.text().contains("try again in"), "{}", page.text());
    pause
}

/// What a page says, but for numbers and the address.
fn words(page: &Page, address: &str) -> String {
    let text = page.body().replace(address, "…");
    let without_token = text.lines().filter(|line| !line.contains("form_token"));
    let lines: Vec<_> = without_token.collect();
    lines.join("\n").replace(|c: char| c.is_ascii_digit(), "")
}

/// Opens the deep link and logs in at the provider, where the login page offers more than that.
async fn comes(browser: Browser, who: &str) -> Page {
    let page = browser.open(DEEP_LINK).await;
    let page = page.follow("Continue with Provider corp").await;
    page.login_at_provider(who).await
}

async fn asks_for_password(browser: &Browser, address: &str) -> Page {
    let page = browser.open("/auth/password").await;
    let page = page.fill("Your e-mail address", address);
    page.press("Send me the link").await
}

on_both_set_ups!(an_address_gets_few_letters_and_nobody_learns_whether_it_is_known);

async fn an_address_gets_few_letters_and_nobody_learns_whether_it_is_known(
    set_up: GatewayBuilder<'_>,
) {
    let limits = "[abuse.mail]\naddress = [\"3/h\"]\nnetwork = [\"100/h\"]\n";
    let open = Open::start(set_up.policy("limits.toml", limits)).await;
    open.register(ADDRESS).await;
    let known = open.gateway.browser();
    for _ in 0..2 {
        open.ask_for_link(&known, ADDRESS).await.has_status(200);
    }
    let unknown = open.gateway.browser();
    for spelling in [
        "nobody@rossi.example",
        "Nobody@rossi.example",
        "nobody@Rossi.example",
    ] {
        open.ask_for_link(&unknown, spelling).await.has_status(200);
    }
    let answers = [
        open.ask_for_link(&known, ADDRESS).await,
        open.ask_for_link(&unknown, "nobody@rossi.example").await,
    ];
    for (page, address) in answers.iter().zip([ADDRESS, "nobody@rossi.example"]) {
        asks_to_wait(page);
        assert_eq!(
            page.value_of("email").as_deref(),
            Some(address),
            "it is kept"
        );
    }
    assert_eq!(
        words(&answers[0], ADDRESS),
        words(&answers[1], "nobody@rossi.example")
    );
    // Whoever used up an address keeps nobody from a new password.
    let forgotten = [
        asks_for_password(&known, ADDRESS).await,
        asks_for_password(&unknown, "nobody@rossi.example").await,
    ];
    assert_eq!(
        words(&forgotten[0], ADDRESS),
        words(&forgotten[1], "nobody@rossi.example")
    );

    open.ask_for_link(&unknown, "last@rossi.example").await;
    wait_until_async("all letters", async || {
        open.mailbox.letters().await.len() >= 8
    })
    .await;
    let letters = open.mailbox.letters().await;
    let to = |address: &str| {
        let is_to = |to: &String| to.to_lowercase().contains(address);
        letters
            .iter()
            .filter(|letter| letter.to.iter().any(is_to))
            .count()
    };
    assert_eq!((to("mario"), to("nobody")), (4, 3));
}

on_both_set_ups!(a_network_asks_for_few_letters_and_others_are_not_held_up);

async fn a_network_asks_for_few_letters_and_others_are_not_held_up(set_up: GatewayBuilder<'_>) {
    let limits = "[abuse.mail]\nnetwork = [\"2/h\"]\n";
    let open = Open::start(set_up.behind_a_proxy().policy("limits.toml", limits)).await;
    let from = |address: &str| open.gateway.browser().coming_from(address);
    for address in ["a1@rossi.example", "a2@rossi.example"] {
        let browser = from("2001:db8::1");
        open.ask_for_link(&browser, address).await.has_status(200);
    }
    let neighbour = from("2001:db8::ffff:2");
    asks_to_wait(&open.ask_for_link(&neighbour, "a3@rossi.example").await);
    for other in ["2001:db8:0:1::1", "192.0.2.7"] {
        let page = open.ask_for_link(&from(other), "b@rossi.example").await;
        page.has_status(200);
    }
    let metrics = reqwest::get(open.gateway.admin("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("vestibule_rate_limited_total{outcome=\"mail\",platform=\"main\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn whoever_has_to_wait_is_told_in_their_language_and_programs_in_theirs() {
    let limits = "[abuse.mail]\ntotal = [\"1/h\"]\n[abuse.link]\nnetwork = [\"1/min\"]\n";
    let open = Open::start(TestGateway::embedded().policy("limits.toml", limits)).await;
    let english = open.gateway.browser();
    open.ask_for_link(&english, ADDRESS).await.has_status(200);
    for (language, words) in [
        ("de", "Versuchen Sie es in 60 Minuten noch einmal."),
        ("it", "riprova tra 60 minuti."),
    ] {
        let browser = open.gateway.browser().speaking(language);
        let page = browser.open("/auth/register/email").await;
        let page = page.fill("email", "x@rossi.example").submit().await;
        page.has_status(429).shows(words);
    }
    let link = "/auth/register/link?token=x";
    english.open(link).await.has_status(410);
    let program = english.fetch("GET", link, None).await.has_status(429);
    assert_eq!(program.header("content-type"), "application/problem+json");
    assert_eq!(program.json()["code"], "slow_down");
    assert!(program.header("retry-after").parse::<u64>().is_ok());
}

on_both_set_ups!(mailed_links_of_every_kind_are_opened_at_a_limited_rate);

async fn mailed_links_of_every_kind_are_opened_at_a_limited_rate(set_up: GatewayBuilder<'_>) {
    let limits = "[abuse.link]\nnetwork = [\"4/h\"]\n";
    let open = Open::start(set_up.behind_a_proxy().policy("limits.toml", limits)).await;
    let browser = open.gateway.browser();
    open.ask_for_link(&browser, ADDRESS).await;
    let link = open.link_to(ADDRESS).await;
    let links = [
        "/auth/register/link?token=guess",
        "/auth/password/new?token=guess",
        "/auth/register/approval?link=guess",
        "/auth/register/invitation?link=guess",
    ];
    for link in links {
        let page = browser.open(link).await;
        assert_ne!(page.status(), 429, "{link}");
    }
    for link in links {
        asks_to_wait(&browser.open(link).await);
    }
    // The right one waits with the others, and is not spent by that.
    asks_to_wait(&browser.open(&link).await);
    let elsewhere = open.gateway.browser().coming_from("192.0.2.7");
    let page = elsewhere.open(&link).await.shows(ADDRESS);
    page.press("Yes, continue").await.lands_on("/auth/register");
}

#[tokio::test]
async fn a_form_that_has_to_wait_is_sent_again_by_one_button() {
    let limits = "[abuse.form]\nnetwork = [\"1/s\"]\n";
    let open = Open::start(TestGateway::embedded().policy("limits.toml", limits)).await;
    let browser = open.gateway.browser();
    let form = browser.open("/auth/register/email").await;
    let form = form.fill("email", "waits@rossi.example");
    let mut waiting = form.clone().press("Send me the link").await;
    while waiting.status() != 429 {
        waiting = form.clone().press("Send me the link").await;
    }
    assert_eq!(asks_to_wait(&waiting), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let page = waiting.press("Send again").await;
    assert!(page.url().path() == "/auth/register/email" && page.status() != 403);
}

/// A gateway that takes one form an hour from a network, and mailed links to two more forms.
struct Strict {
    scene: Scene,
    approval: String,
    new_password: String,
}

impl Strict {
    async fn start(set_up: GatewayBuilder<'_>) -> Self {
        let limits = "[abuse.form]\nnetwork = [\"1/h\"]\n";
        let set_up = set_up.behind_a_proxy().policy("limits.toml", limits);
        let scene = Scene::with(set_up, &format!("{ASK_TO_JOIN}{BY_MAIL}")).await;
        scene.company().await;
        scene.kwame().await;
        for (login, email) in [("nia", "nia@else.example"), ("amara", AMARA)] {
            let claims = json!({ "name": login, "email": email, "email_verified": true });
            scene.provider.person(login, claims).await;
        }
        let from = |address: &str| scene.gateway.browser().coming_from(address);
        asks(comes(from("192.0.2.1"), "kwame").await).await;
        let approval = link_in(&scene.mailbox.wait_for(AMARA).await);
        let asked = asks_for_password(&from("192.0.2.2"), AMARA).await;
        asked.has_status(200);
        let letter = scene.wait_for_subject(AMARA, "password").await;
        let mut words = letter.text.split_whitespace();
        let new_password = words.find(|word| word.contains("token=")).expect("a link");
        Self {
            new_password: new_password.to_owned(),
            approval,
            scene,
        }
    }

    /// A browser on a network that has sent all the forms that it may.
    async fn stranger(&self) -> Browser {
        let stranger = self.scene.gateway.browser().coming_from("192.0.2.3");
        let sent = asks_for_password(&stranger, ADDRESS).await;
        sent.has_status(200);
        stranger
    }
}

on_both_set_ups!(forms_of_strangers_wait_and_keep_what_was_typed);

async fn forms_of_strangers_wait_and_keep_what_was_typed(set_up: GatewayBuilder<'_>) {
    let strict = Strict::start(set_up).await;
    let stranger = strict.stranger().await;
    let page = stranger.open("/auth/register/email").await;
    let page = page.fill("email", ADDRESS).press("Send me the link").await;
    let letters = [page, asks_for_password(&stranger, ADDRESS).await];
    for held in &letters {
        asks_to_wait(held);
        assert_eq!(held.value_of("email").as_deref(), Some(ADDRESS));
    }
    let page = stranger.open(&strict.new_password).await;
    let held = page.fill("password", SECRET).submit().await;
    asks_to_wait(&held);
    assert!(
        held.value_of("token")
            .is_some_and(|token| !token.is_empty())
    );
    assert!(!held.body().contains(SECRET), "no password is shown");

    let page = stranger.open(&strict.approval).await;
    let held = page.press("Approve").await;
    asks_to_wait(&held);
    assert_eq!(held.value_of("do").as_deref(), Some("approve"));
    assert_eq!(strict.scene.gateway.count("builtin_users").await, 1);
}

on_both_set_ups!(forms_of_applicants_wait_and_keep_what_was_typed);

async fn forms_of_applicants_wait_and_keep_what_was_typed(set_up: GatewayBuilder<'_>) {
    let strict = Strict::start(set_up).await;
    let page = comes(strict.stranger().await, "nia").await;
    let page = page.fill("account_type", "business");
    let page = page.fill("Company name", "Nia & Sons");
    let held = page.press("Create account").await;
    asks_to_wait(&held);
    assert_eq!(held.value_of("company").as_deref(), Some("Nia & Sons"));
    assert_eq!(strict.scene.gateway.count("registrations").await, 1);

    let amara = strict.scene.gateway.browser().coming_from("192.0.2.3");
    let page = comes(amara, "amara").await;
    let held = page.press("E-mail me a code").await;
    asks_to_wait(&held);
    assert_eq!(held.value_of("do").as_deref(), Some("send"));
}

/// A gateway where codes are tried twice an hour from a network, three times by one person.
async fn few_codes(set_up: GatewayBuilder<'_>) -> Scene {
    let limits = "[abuse.code]\nnetwork = [\"2/h\"]\nsubject = [\"3/h\"]\n";
    let set_up = set_up.behind_a_proxy().policy("limits.toml", limits);
    let policy = "[sso]\naccount_types = [\"business\", \"partner\"]\n";
    let scene = Scene::with(set_up, policy).await;
    let partner = json!({ "name": "Installers United", "code": "INST-7741" });
    scene.back_office("/platform/v1/partners", partner).await;
    scene.company().await;
    for (login, email) in [("gus", "gus@guess.example"), ("amara", AMARA)] {
        let claims = json!({ "name": login, "email": email, "email_verified": true });
        scene.provider.person(login, claims).await;
    }
    scene
}

on_both_set_ups!(partner_codes_are_tried_a_few_times);

async fn partner_codes_are_tried_a_few_times(set_up: GatewayBuilder<'_>) {
    let scene = few_codes(set_up).await;
    let gus = scene.gateway.browser().coming_from("192.0.2.1");
    let page = gus.open(DEEP_LINK).await.login_at_provider("gus").await;
    let gives = async |page: Page, code: &str| {
        let page = page.fill("account_type", "partner");
        let page = page.fill("Partner code", code);
        let page = page.tick("I have read and accept: Terms of use");
        page.press("Create account").await
    };
    let page = gives(page, "INST-0001").await.has_status(422);
    let page = gives(page, "INST-0002").await.has_status(422);
    // Not even the right code tells anything any more.
    let held = gives(page, "INST-7741").await;
    asks_to_wait(&held);
    assert_eq!(held.value_of("partner_code").as_deref(), Some("INST-7741"));
    let elsewhere = gus.coming_from("192.0.2.2").open("/auth/register").await;
    let page = gives(elsewhere, "INST-0003").await.has_status(422);
    asks_to_wait(&gives(page, "INST-0004").await);
    assert_eq!(scene.gateway.count("builtin_users").await, 1);
}

on_both_set_ups!(mailed_codes_are_tried_a_few_times);

async fn mailed_codes_are_tried_a_few_times(set_up: GatewayBuilder<'_>) {
    let scene = few_codes(set_up).await;
    let amara = scene.gateway.browser().coming_from("192.0.2.3");
    let page = amara.open(DEEP_LINK).await.login_at_provider("amara").await;
    let page = page.press("E-mail me a code").await;
    let tries = async |page: &Page, code: &str| {
        let page = page.clone().fill("code", code);
        page.press("Connect account").await
    };
    // What cannot be a code is said so, and takes no try.
    for cut in ["1", "123 456", "123456789"] {
        let page = tries(&page, cut).await.has_status(422);
        page.shows("A code has 8 digits");
    }
    tries(&page, "1234 5678").await.has_status(422);
    tries(&page, "2345 6789").await.has_status(422);
    let held = tries(&page, "3456 7890").await;
    asks_to_wait(&held);
    assert_eq!(held.value_of("code").as_deref(), Some("3456 7890"));
}

#[tokio::test]
async fn addresses_that_the_operator_does_not_welcome_are_refused_before_they_are_looked_up() {
    let policy = format!("{BY_MAIL}[addresses]\nrole = \"refuse\"\n");
    let open = Open::with_policy(TestGateway::embedded(), &policy).await;
    let browser = open.gateway.browser();
    for (address, words) in [
        ("a@mailinator.com", "Mailboxes that are thrown away"),
        ("info@rossi.example", "the address of an office"),
    ] {
        let page = open.ask_for_link(&browser, address).await.has_status(422);
        let page = page.shows(words);
        assert_eq!(page.value_of("email").as_deref(), Some(address));
        // Whoever has an account by such an address gets a new password all the same.
        let page = asks_for_password(&browser, address).await;
        page.lands_on("/auth/password?return_to=%2F&sent");
    }
    open.ask_for_link(&browser, ADDRESS).await;
    open.mailbox.wait_for(ADDRESS).await;
    assert_eq!(open.mailbox.letters().await.len(), 1);
}
