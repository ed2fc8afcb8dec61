//! A gateway in front of ThingsBoard: first login, registration, page first asked for; and those
//! who must not come in.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::language::Language;
use vestibule::onboarding::{NextStep, ProofError};

use super::first_login::{giulia, registers};
use super::harness::office::{Office, client, mario, policy};
use super::harness::thingsboard::{API_KEY, ThingsBoard};
use super::harness::{GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups};
use super::platform_contract::places::{adapter, by_api_key};

const DEEP_LINK: &str = "/dashboards/17?tab=values";

struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
    server: ThingsBoard,
}

impl Stage {
    async fn set(server: ThingsBoard) -> Self {
        let stage = Self {
            provider: OidcProvider::start().await,
            upstream: Upstream::start().await,
            server,
        };
        giulia(&stage.provider).await;
        stage
    }

    async fn start<'a>(&'a self, set_up: GatewayBuilder<'a>) -> TestGateway {
        let platform = format!(
            "[platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\n\
             api_key = {{ env = \"TB_API_KEY\" }}\n",
            self.server.url()
        );
        set_up
            .provider(&self.provider)
            .upstream(&self.upstream)
            .config(&platform)
            .environment("TB_API_KEY", API_KEY)
            .policy("onboarding.toml", "[sso]\nrecheck_account_every = \"1s\"\n")
            .start()
            .await
    }
}

fn id(record: &Value) -> Option<&str> {
    record["id"]["id"].as_str()
}

on_both_set_ups!(a_first_time_user_is_made_in_thingsboard_and_lands_on_her_page);

async fn a_first_time_user_is_made_in_thingsboard_and_lands_on_her_page(
    set_up: GatewayBuilder<'_>,
) {
    let stage = Stage::set(ThingsBoard::community("4.3.0.1").await).await;
    let gateway = stage.start(set_up).await;
    assert!(
        gateway.log().contains("the platform is ThingsBoard"),
        "{}",
        gateway.log()
    );
    let browser = gateway.browser();
    let page = browser
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    assert_eq!(stage.server.counts(), [0, 0, 0]);
    registers(page).await.waits_until_on(DEEP_LINK).await;

    assert_eq!(stage.server.counts(), [1, 1, 1]);
    let customer = &stage.server.customers()[0];
    assert_eq!(customer["title"], "Ferraro Impianti");
    let user = stage.server.user("giulia@ferraro.example").unwrap();
    assert_eq!(user["customerId"], customer["id"]);
    let request = stage.upstream.last_request();
    assert_eq!(request.target, DEEP_LINK);
    assert_eq!(request.header("x-vestibule-user"), id(&user));
    assert_eq!(request.header("x-vestibule-customer"), id(customer));

    let again = gateway.browser().open("/again").await;
    again.login_at_provider("giulia").await.lands_on("/again");
    assert_eq!(stage.server.counts(), [1, 1, 1]);
}

on_both_set_ups!(a_user_whom_thingsboard_disables_is_out_and_stays_out);

async fn a_user_whom_thingsboard_disables_is_out_and_stays_out(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set(ThingsBoard::community("4.3.0.1").await).await;
    let gateway = stage.start(set_up).await;
    let browser = gateway.browser();
    let page = browser
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    registers(page).await.waits_until_on(DEEP_LINK).await;
    let user = stage.server.user("giulia@ferraro.example").unwrap();
    stage.server.set_enabled(id(&user).unwrap(), false);
    let mut tries = 0;
    while browser.fetch("GET", "/api/me", None).await.status() != 401 {
        tries += 1;
        assert!(tries < 100, "the session of a disabled user lives on");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    stage.upstream.forget();
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    assert_eq!(page.status(), 403);
    assert!(stage.upstream.requests().is_empty());
    assert_eq!(stage.server.counts(), [1, 1, 1], "no second account either");
}

#[tokio::test]
async fn the_same_in_the_professional_edition() {
    let stage = Stage::set(ThingsBoard::professional("4.3.0PE").await).await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on(DEEP_LINK).await;
    assert_eq!(stage.server.counts(), [1, 1, 1]);
    let user = stage.server.user("giulia@ferraro.example").unwrap();
    assert_eq!(
        stage.server.groups_of(id(&user).unwrap()),
        ["Customer Administrators"]
    );
}

#[tokio::test]
async fn whoever_changes_their_address_to_a_victims_gains_nothing() {
    let stage = Stage::set(ThingsBoard::community("4.3.0.1").await).await;
    let own = stage.server.staff_makes_customer("Mallory & Sons");
    let (before, password) = ("mallory@evil.example", "correct horse");
    stage.server.staff_makes_user(&own, before, Some(password));
    let change = json!({ "email": "giulia@ferraro.example" });
    stage
        .server
        .user_changes_own(before, password, change)
        .await;
    let gateway = stage.start(TestGateway::embedded()).await;

    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page
        .login_at_provider("giulia")
        .await
        .lands_on("/auth/register/prove");
    let page = page.shows("Connect your existing account");
    assert!(
        !page.text().contains("E-mail me a code"),
        "her mailbox proves nothing here"
    );
    let page = page
        .fill("Your Acme password", "giulia's own")
        .press("Connect account")
        .await;
    let page = page.shows("This password is not right");
    assert_eq!(page.status(), 422);
    assert_eq!(gateway.count("account_links").await, 0);
    assert!(stage.upstream.requests().is_empty());
}

#[tokio::test]
async fn no_code_is_sent_to_an_address_that_proves_nothing() {
    let server = ThingsBoard::community("4.3.0.1").await;
    let customer = server.staff_makes_customer("Mallory & Sons");
    let user = server.staff_makes_user(&customer, "mario@acme.example", Some("correct horse"));
    let mut office = Office::on_sqlite(policy(|_| {})).await;
    office.through(Arc::new(adapter(&server, by_api_key())), policy(|_| {}));
    let send = async || {
        let onboarding = &office.onboarding;
        onboarding
            .send_code(&mario(), &client(), Language::En)
            .await
    };
    assert!(matches!(send().await, Err(ProofError::NoCode)));
    assert_eq!(office.outbox.letters().len(), 0);
    server.set_enabled(&user, false);
    assert!(send().await.is_err());
    let NextStep::Prove(offer) = office.next_step(&mario()).await else {
        panic!("the address has a user")
    };
    assert!(
        !offer.by_mail && !offer.by_password,
        "nothing proves whom staff has blocked"
    );

    let never_let_in = ThingsBoard::community("4.3.0.1").await;
    let customer = never_let_in.staff_makes_customer("Acme");
    never_let_in.staff_makes_user(&customer, "mario@acme.example", None);
    office.through(
        Arc::new(adapter(&never_let_in, by_api_key())),
        policy(|_| {}),
    );
    let onboarding = &office.onboarding;
    onboarding
        .send_code(&mario(), &client(), Language::En)
        .await
        .unwrap();
    let code = office.outbox.code();
    let account = onboarding.redeem_code(&mario(), &client(), &code).await;
    assert_eq!(account.unwrap().customer.unwrap().as_str(), customer);
}

#[tokio::test]
async fn what_cannot_work_is_said_and_the_gateway_does_not_start() {
    let stage = Stage::set(ThingsBoard::community("4.3.0.1").await).await;
    let mut gateway = stage.start(TestGateway::embedded()).await;
    gateway.kill9();
    // The version before knows no API keys.
    stage.server.becomes("4.2.1");
    gateway.node(0).start();
    gateway.node(0).ends().await;
    let log = gateway.log();
    assert!(
        log.contains("ThingsBoard does not let the gateway in"),
        "{log}"
    );
}
