//! Letters on their way: kept in SQL until a real mail server has taken them, over restarts,
//! `kill -9`, and mail servers that are down, slow, or say no.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    GatewayBuilder, Letter, Mailbox, OPERATOR_TOKEN, OidcProvider, Page, TestGateway,
    on_both_set_ups, wait_until_async,
};

const ADDRESS: &str = "giulia@ferraro.example";

/// Somebody whose address the platform knows, and whom it does not know by her login.
async fn provider() -> OidcProvider {
    let provider = OidcProvider::start().await;
    let claims = json!({ "name": "Giulia Ferraro", "email": ADDRESS, "email_verified": true });
    provider.person("giulia", claims).await;
    provider
}

async fn back_office_knows_giulia(gateway: &TestGateway) {
    let made = order(
        gateway,
        "customers",
        json!({ "account_type": "business", "name": "F" }),
    );
    let customer = made.await["id"].as_str().expect("an id").to_owned();
    let user = json!({
        "email": ADDRESS, "name": "Giulia", "customer": customer, "account_type": "business",
        "language": "en",
    });
    order(gateway, "users", user).await;
}

async fn order(gateway: &TestGateway, what: &str, body: Value) -> Value {
    let answer = reqwest::Client::new()
        .post(gateway.admin(&format!("/platform/v1/{what}")))
        .bearer_auth(OPERATOR_TOKEN)
        .json(&body)
        .send()
        .await
        .expect("the admin listener answers");
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
    answer.json().await.expect("JSON")
}

/// Asks for a code, as whoever has to prove that an existing account is theirs does.
async fn asks_for_a_code(gateway: &TestGateway) -> Page {
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    page.shows("Connect your existing account")
        .press("E-mail me a code")
        .await
}

fn code(letter: &Letter) -> String {
    let mut words = letter.text.split(|c: char| !c.is_ascii_digit());
    words
        .find(|word| word.len() == 8)
        .expect("a code")
        .to_owned()
}

/// Waits until the queue is as long as this.
async fn waits(gateway: &TestGateway, letters: i64) {
    wait_until_async(&format!("{letters} letters in the queue"), async || {
        gateway.count("outbox").await == letters
    })
    .await;
}

/// Runs `vestibule mail …` on the gateway's own configuration.
fn mail(gateway: &TestGateway, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg("mail")
        .args(arguments)
        .arg("--config")
        .arg(gateway.folder().join("vestibule-0.toml"))
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said + &complained)
}

on_both_set_ups!(a_code_leaves_at_once_and_nothing_of_it_is_kept);

async fn a_code_leaves_at_once_and_nothing_of_it_is_kept(set_up: GatewayBuilder<'_>) {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let gateway = set_up.provider(&provider).mail(&mailbox).start().await;
    back_office_knows_giulia(&gateway).await;
    let page = asks_for_a_code(&gateway).await.shows("is on its way");
    let letter = mailbox.wait_for(ADDRESS).await;
    waits(&gateway, 0).await;
    page.fill("Code from the e-mail", &code(&letter))
        .press("Connect account")
        .await;
    assert_eq!(gateway.count("account_links").await, 1);
    assert_eq!(mailbox.letters().await.len(), 1);
}

on_both_set_ups!(a_letter_waits_for_a_mail_server_that_is_down_and_for_a_restart);

async fn a_letter_waits_for_a_mail_server_that_is_down_and_for_a_restart(
    set_up: GatewayBuilder<'_>,
) {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let mut gateway = set_up.provider(&provider).mail(&mailbox).start().await;
    back_office_knows_giulia(&gateway).await;
    mailbox.stop().await;
    asks_for_a_code(&gateway).await.shows("is on its way");
    waits(&gateway, 1).await;
    gateway.kill9();
    gateway.restart().await;
    mailbox.resume().await;
    let letter = mailbox.wait_for(ADDRESS).await;
    assert_eq!(code(&letter).len(), 8);
    waits(&gateway, 0).await;
    assert_eq!(mailbox.letters().await.len(), 1);
}

on_both_set_ups!(a_kill_between_sending_and_noting_it_sends_the_same_letter_again);

async fn a_kill_between_sending_and_noting_it_sends_the_same_letter_again(
    set_up: GatewayBuilder<'_>,
) {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let mut gateway = set_up.provider(&provider).mail(&mailbox).start().await;
    back_office_knows_giulia(&gateway).await;
    mailbox.behaves("stall").await;
    asks_for_a_code(&gateway).await;
    mailbox.has(1).await;
    gateway.kill9();
    mailbox.behaves("take").await;
    gateway.restart().await;
    let letters = mailbox.has(2).await;
    assert!(!letters[0].id.is_empty());
    assert_eq!(letters[0].id, letters[1].id, "receivers can tell the copy");
    waits(&gateway, 0).await;
    assert_eq!(mailbox.letters().await.len(), 2);
}

on_both_set_ups!(an_operator_sees_what_was_refused_and_tries_again);

async fn an_operator_sees_what_was_refused_and_tries_again(set_up: GatewayBuilder<'_>) {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let gateway = set_up.provider(&provider).mail(&mailbox).start().await;
    back_office_knows_giulia(&gateway).await;
    assert!(
        mail(&gateway, &["queue", "list"])
            .1
            .contains("Nothing waits")
    );
    mailbox.behaves("refuse").await;
    asks_for_a_code(&gateway).await;
    wait_until_async("the refusal", async || {
        mail(&gateway, &["queue", "list"]).1.contains("failed")
    })
    .await;
    let (_, listed) = mail(&gateway, &["queue", "list"]);
    assert!(
        listed.contains("proof-code  g•••@ferraro.example"),
        "{listed}"
    );
    assert!(listed.contains("No such mailbox"), "{listed}");
    assert!(
        !gateway.log().contains(ADDRESS),
        "nobody's address is logged"
    );
    let log = || gateway.log();
    wait_until_async("the log", async || {
        log().contains("not delivered, and given up")
    })
    .await;
    mailbox.behaves("take").await;
    let (well, said) = mail(&gateway, &["queue", "retry", "abc"]);
    assert!(!well && said.contains("there is no such letter"), "{said}");
    let (well, said) = mail(&gateway, &["queue", "retry"]);
    assert!(well && said.contains("1 tried again"), "{said}");
    mailbox.wait_for(ADDRESS).await;
    waits(&gateway, 0).await;
}

#[tokio::test]
async fn two_nodes_send_each_letter_once() {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let limits = "[abuse.mail]\naddress = [\"10/min\"]\n";
    let set_up = TestGateway::distributed()
        .nodes(2)
        .provider(&provider)
        .policy("limits.toml", limits);
    let gateway = set_up.mail(&mailbox).start().await;
    back_office_knows_giulia(&gateway).await;
    mailbox.behaves("defer").await;
    for _ in 0..3 {
        asks_for_a_code(&gateway).await.shows("is on its way");
    }
    waits(&gateway, 3).await;
    mailbox.behaves("take").await;
    waits(&gateway, 0).await;
    let mut ids: Vec<String> = mailbox.has(3).await.into_iter().map(|one| one.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), mailbox.letters().await.len()), (3, 3));
}

#[tokio::test]
async fn starttls_is_required_and_the_certificate_is_checked() {
    let provider = provider().await;
    let (mailbox, certificate) = Mailbox::with_starttls().await;
    for trusted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &certificate).unwrap();
        let smtp = mailbox.url();
        let ca = if trusted {
            format!("ca = {file:?}\n")
        } else {
            String::new()
        };
        let set_up = TestGateway::embedded().provider(&provider).config(&format!(
            "[mail]\nsmtp = \"{smtp}\"\nstarttls = true\n{ca}from = \"no-reply@acme.example\"\n"
        ));
        let gateway = set_up.start().await;
        let (well, said) = mail(&gateway, &["test", "--to", ADDRESS]);
        assert_eq!(well, trusted, "{said}");
        if trusted {
            assert!(said.contains("has taken the letter"), "{said}");
            assert!(mailbox.wait_for(ADDRESS).await.secure);
        } else {
            assert!(said.to_lowercase().contains("certificate"), "{said}");
            assert!(mailbox.letters().await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_mail_server_without_starttls_gets_no_letter() {
    let (provider, mailbox) = (provider().await, Mailbox::start().await);
    let smtp = mailbox.url();
    let set_up = TestGateway::embedded().provider(&provider).config(&format!(
        "[mail]\nsmtp = \"{smtp}\"\nstarttls = true\nfrom = \"no-reply@acme.example\"\n"
    ));
    let gateway = set_up.start().await;
    let (well, said) = mail(&gateway, &["test", "--to", ADDRESS]);
    assert!(!well, "{said}");
    assert!(mailbox.letters().await.is_empty());
}

#[tokio::test]
async fn without_a_mail_server_the_page_says_so() {
    let provider = provider().await;
    let gateway = TestGateway::embedded().provider(&provider).start().await;
    back_office_knows_giulia(&gateway).await;
    asks_for_a_code(&gateway)
        .await
        .has_status(503)
        .shows("could not be sent");
    assert_eq!(gateway.count("outbox").await, 0);
}
