//! Journeys 1 to 7 in front of ThingsBoard, seen from both sides: what people meet, and what the
//! tenant's staff then find. In `make test` each has a ThingsBoard of its own;
//! `make test-thingsboard` leads the same ones before one that really runs. What only a ThingsBoard
//! of one's own can be made to do comes last.

use std::sync::Arc;

use serde_json::json;
use vestibule::language::Language;
use vestibule::onboarding::{NextStep, ProofError};

use super::first_login::{giulia, registers};
use super::harness::office::{Office, client, mario, policy};
use super::harness::thingsboard::{API_KEY, Tenant, ThingsBoard, id};
use super::harness::{
    GatewayBuilder, Mailbox, OidcProvider, Page, TestGateway, Upstream, on_both_set_ups,
    wait_until_async,
};
use super::joining::link_in;
use super::platform_contract::places::{adapter, by_api_key};
use super::self_registration::signs_in;

const DEEP_LINK: &str = "/dashboards/17?tab=values";
const GIULIA: &str = "giulia@ferraro.example";
const PASSWORD: &str = "violet tractor umbrella";
const SOON: &str = "[sso]\nrecheck_account_every = \"1s\"\n";

/// A tenant, and the neighbours of the gateway in front of it.
struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
    mailbox: Mailbox,
    tenant: Tenant,
}

impl Stage {
    async fn set() -> Self {
        Self {
            provider: OidcProvider::start().await,
            upstream: Upstream::start().await,
            mailbox: Mailbox::start().await,
            tenant: Tenant::start().await,
        }
    }

    /// A gateway with this onboarding policy.
    async fn start<'a>(&'a self, set_up: GatewayBuilder<'a>, onboarding: &str) -> TestGateway {
        let site = &self.tenant.site;
        let platform = format!(
            "[platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\nplain_http = {}\n\
             user = \"{}\"\npassword = {{ env = \"TB_PASSWORD\" }}\n",
            site.url,
            site.url.starts_with("http:"),
            site.user,
        );
        set_up
            .provider(&self.provider)
            .upstream(&self.upstream)
            .mail(&self.mailbox)
            .config(&platform)
            .environment("TB_PASSWORD", &site.password)
            .policy("onboarding.toml", onboarding)
            .start()
            .await
    }

    /// Somebody whom the provider knows, with an address of this test's and further claims.
    async fn person(&self, login: &str, plain: &str, further: serde_json::Value) {
        let mut claims = json!({
            "name": "Giulia Ferraro", "email": self.tenant.tag.address(plain),
            "email_verified": true, "phone_number": "+390461234567",
        });
        for (claim, value) in further.as_object().expect("claims") {
            claims[claim] = value.clone();
        }
        self.provider.person(login, claims).await;
    }

    /// Opens the deep link in a new browser, and logs in.
    async fn arrives(&self, gateway: &TestGateway, login: &str) -> Page {
        let page = gateway.browser().open(DEEP_LINK).await;
        page.login_at_provider(login).await
    }

    /// Connects an account that staff made: its user accepts what was accepted by nobody for them.
    async fn accepts(&self, page: Page) {
        let to_accept = "/auth/accept?return_to=/dashboards/17%3Ftab%3Dvalues";
        let page = page.waits_until_on(to_accept).await;
        page.tick("I have read and accept: Terms of use")
            .press("Accept and continue")
            .await
            .waits_until_on(DEEP_LINK)
            .await;
    }

    /// Fills in the registration page of a company of this test's, and waits until it is done.
    async fn registers(&self, page: Page, company: &str) {
        page.shows("Set up your account")
            .fill("account_type", "business")
            .fill("Company name", &self.tenant.tag.name(company))
            .fill("Country", "Italy")
            .tick("I have read and accept: Terms of use")
            .press("Create account")
            .await
            .waits_until_on(DEEP_LINK)
            .await;
    }
}

on_both_set_ups!(a_first_time_user_is_made_in_thingsboard_and_lands_on_her_page);

/// Journeys 1 and 2.
async fn a_first_time_user_is_made_in_thingsboard_and_lands_on_her_page(
    set_up: GatewayBuilder<'_>,
) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up, SOON).await;
    assert!(
        gateway.log().contains("the platform is ThingsBoard"),
        "{}",
        gateway.log()
    );
    stage.person("giulia", GIULIA, json!({})).await;
    let page = stage.arrives(&gateway, "giulia").await;
    let tenant = &stage.tenant;
    assert_eq!(tenant.counts().await, [0, 0, 0]);
    stage.registers(page, "Ferraro Impianti").await;

    assert_eq!(tenant.counts().await, [1, 1, 1]);
    let (customer, user) = is_there_whole(tenant).await;
    let request = stage.upstream.last_request();
    assert_eq!(request.target, DEEP_LINK);
    assert_eq!(request.header("x-vestibule-user"), Some(&*user));
    assert_eq!(request.header("x-vestibule-customer"), Some(&*customer));

    let again = gateway.browser().open("/again").await;
    again.login_at_provider("giulia").await.lands_on("/again");
    assert_eq!(tenant.counts().await, [1, 1, 1]);
}

/// What staff find of the company that Giulia registered: ids of the customer and of the user.
async fn is_there_whole(tenant: &Tenant) -> (String, String) {
    let customer = &tenant.customers().await[0];
    assert_eq!(customer["title"], tenant.tag.name("Ferraro Impianti"));
    assert_eq!(customer["country"], "IT");
    let asset = &tenant.assets().await[0];
    assert_eq!(asset["label"], "Location");
    assert_eq!(asset["customerId"], customer["id"]);
    let user = tenant.user(GIULIA).await.unwrap();
    assert_eq!(user["customerId"], customer["id"]);
    assert_eq!(user["authority"], "CUSTOMER_USER");
    (id(customer), id(&user))
}

on_both_set_ups!(a_user_whom_thingsboard_disables_is_out_and_stays_out);

async fn a_user_whom_thingsboard_disables_is_out_and_stays_out(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(set_up, SOON).await;
    stage.person("giulia", GIULIA, json!({})).await;
    let browser = gateway.browser();
    let page = browser
        .open(DEEP_LINK)
        .await
        .login_at_provider("giulia")
        .await;
    stage.registers(page, "Ferraro Impianti").await;
    let user = stage.tenant.user(GIULIA).await.unwrap();
    stage.tenant.sets_enabled(&id(&user), false).await;
    wait_until_async("the session of a disabled user ends", async || {
        browser.fetch("GET", "/api/me", None).await.status() == 401
    })
    .await;
    stage.upstream.forget();
    let page = stage.arrives(&gateway, "giulia").await;
    assert_eq!(page.status(), 403);
    assert!(stage.upstream.requests().is_empty());
    assert_eq!(
        stage.tenant.counts().await,
        [1, 1, 1],
        "no second account either"
    );
}

/// A company that staff made, found by its code: the customer's id, the code.
async fn harbour_lights(tenant: &Tenant) -> (String, String) {
    let customer = tenant.makes_customer("Harbour Lights").await;
    let code = tenant.tag.name("HLH");
    tenant
        .writes_attributes(&customer, &json!({ "organizationCode": code }))
        .await;
    (customer, code)
}

fn known_customer(then: &str) -> String {
    format!("[[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"{then}\"\n")
}

/// Journey 3.
#[tokio::test]
async fn a_colleague_joins_the_customer_that_has_the_code() {
    let stage = Stage::set().await;
    let (customer, code) = harbour_lights(&stage.tenant).await;
    let gateway = stage
        .start(TestGateway::embedded(), &known_customer("join"))
        .await;
    stage
        .person(
            "kwame",
            "kwame@harbour.example",
            json!({ "organization_code": code }),
        )
        .await;
    let page = stage.arrives(&gateway, "kwame").await;
    page.shows("Your account will belong to Harbour Lights")
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
        .waits_until_on(DEEP_LINK)
        .await;
    let user = stage.tenant.user("kwame@harbour.example").await.unwrap();
    assert_eq!(user["customerId"]["id"], *customer);
    assert_eq!(stage.tenant.counts().await, [1, 0, 1]);
}

/// Journey 3, where the customer's own people decide.
#[tokio::test]
async fn a_colleague_asks_whom_staff_has_appointed() {
    let stage = Stage::set().await;
    let (customer, code) = harbour_lights(&stage.tenant).await;
    let boss = "amara@harbour.example";
    let appointed = stage
        .tenant
        .makes_user(&customer, boss, Some(PASSWORD))
        .await;
    let attributes = json!({ format!("gatewayAdministrator_{appointed}"): true });
    stage.tenant.writes_attributes(&customer, &attributes).await;
    let gateway = stage
        .start(TestGateway::embedded(), &known_customer("ask_to_join"))
        .await;
    stage
        .person(
            "kwame",
            "kwame@harbour.example",
            json!({ "organization_code": code }),
        )
        .await;
    let page = stage.arrives(&gateway, "kwame").await;
    let waiting = page
        .shows("You are asking to join Harbour Lights")
        .tick("I have read and accept: Terms of use")
        .press("Ask to join")
        .await;
    assert_eq!(stage.tenant.counts().await, [1, 0, 1]);
    let letter = stage
        .mailbox
        .wait_for(&stage.tenant.tag.address(boss))
        .await;
    let page = gateway.browser().open(&link_in(&letter)).await;
    page.press("Approve").await.shows("Approved");
    waiting.waits_until_on(DEEP_LINK).await;
    let user = stage.tenant.user("kwame@harbour.example").await.unwrap();
    assert_eq!(user["customerId"]["id"], *customer);
}

/// Journey 4.
#[tokio::test]
async fn staff_become_nobodys_customer_in_thingsboard() {
    let stage = Stage::set().await;
    let policy = "[[sso.exclude]]\nname = \"staff\"\n\
                  when = \"has(identity.groups) && 'staff' in identity.groups\"\nmessage = \"staff\"\n";
    let gateway = stage.start(TestGateway::embedded(), policy).await;
    stage
        .person(
            "priya",
            "priya@acme.example",
            json!({ "groups": ["staff"] }),
        )
        .await;
    let page = stage.arrives(&gateway, "priya").await;
    page.has_status(403)
        .shows("This sign-in is not for customers");
    assert_eq!(stage.tenant.counts().await, [0, 0, 0]);
    assert!(stage.upstream.requests().is_empty());
}

/// Journey 5, by the password that ThingsBoard has.
#[tokio::test]
async fn an_account_that_is_there_is_connected_by_its_password() {
    let stage = Stage::set().await;
    let customer = stage.tenant.makes_customer("Ferraro Impianti").await;
    stage
        .tenant
        .makes_user(&customer, GIULIA, Some(PASSWORD))
        .await;
    let gateway = stage.start(TestGateway::embedded(), SOON).await;
    stage.person("giulia", GIULIA, json!({})).await;
    let page = stage
        .arrives(&gateway, "giulia")
        .await
        .lands_on("/auth/register/prove");
    let page = page
        .fill("Your Acme password", "not the right one")
        .press("Connect account")
        .await;
    let page = page.has_status(422).shows("This password is not right");
    let page = page
        .fill("Your Acme password", PASSWORD)
        .press("Connect account")
        .await;
    stage.accepts(page).await;
    assert_eq!(stage.tenant.counts().await, [1, 0, 1]);
    let request = stage.upstream.last_request();
    assert_eq!(request.header("x-vestibule-customer"), Some(&*customer));
}

/// Journey 5, by a code to an address that nobody has been let in with.
#[tokio::test]
async fn an_account_that_nobody_has_opened_is_connected_by_a_mailed_code() {
    let stage = Stage::set().await;
    let customer = stage.tenant.makes_customer("Ferraro Impianti").await;
    stage.tenant.makes_user(&customer, GIULIA, None).await;
    let gateway = stage.start(TestGateway::embedded(), SOON).await;
    stage.person("giulia", GIULIA, json!({})).await;
    let page = stage
        .arrives(&gateway, "giulia")
        .await
        .lands_on("/auth/register/prove");
    let page = page.press("E-mail me a code").await;
    let letter = stage
        .mailbox
        .wait_for(&stage.tenant.tag.address(GIULIA))
        .await;
    let is_code = |word: &&str| word.len() >= 6 && word.chars().all(|c| c.is_ascii_digit());
    let code = letter.text.split_whitespace().find(is_code);
    let code = code.unwrap_or_else(|| panic!("no code in {}", letter.text));
    let page = page.fill("code", code).press("Connect account").await;
    stage.accepts(page).await;
    assert_eq!(stage.tenant.counts().await, [1, 0, 1]);
}

/// Journey 5, by somebody who is not the user.
#[tokio::test]
async fn whoever_changes_their_address_to_a_victims_gains_nothing() {
    let stage = Stage::set().await;
    let own = stage.tenant.makes_customer("Mallory & Sons").await;
    let before = "mallory@evil.example";
    stage.tenant.makes_user(&own, before, Some(PASSWORD)).await;
    let change = json!({ "email": stage.tenant.tag.address(GIULIA) });
    stage
        .tenant
        .user_changes_own(before, PASSWORD, change)
        .await;
    let gateway = stage.start(TestGateway::embedded(), SOON).await;
    stage.person("giulia", GIULIA, json!({})).await;

    let page = stage
        .arrives(&gateway, "giulia")
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

/// Journeys 6 and 10.
#[tokio::test]
async fn somebody_registers_by_a_mailed_link_and_comes_back_by_password() {
    let stage = Stage::set().await;
    let policy = "[self_registration]\nenabled = true\n[local_login]\nenabled = true\n";
    let gateway = stage.start(TestGateway::embedded(), policy).await;
    let (browser, address) = (gateway.browser(), stage.tenant.tag.address(GIULIA));
    let page = browser
        .open(DEEP_LINK)
        .await
        .follow("Create new account")
        .await;
    let page = page
        .fill("Your e-mail address", &address)
        .press("Send me the link")
        .await;
    page.shows("Look into your mailbox");
    let letter = stage.mailbox.wait_for(&address).await;
    let link = letter
        .text
        .lines()
        .find(|line| line.contains("token="))
        .unwrap();
    let page = browser.open(link.trim()).await.press("Yes, continue").await;
    assert_eq!(stage.tenant.counts().await, [0, 0, 0]);
    let page = page
        .fill("Full name", "Giulia Ferraro")
        .fill("Password", PASSWORD);
    stage.registers(page, "Ferraro Impianti").await;
    assert_eq!(stage.tenant.counts().await, [1, 1, 1]);
    assert!(
        stage.tenant.lets_in(GIULIA, PASSWORD).await,
        "ThingsBoard has her password"
    );

    let elsewhere = gateway.browser();
    let page = signs_in(&elsewhere, DEEP_LINK, &address, "not the right one").await;
    page.has_status(422)
        .shows("E-mail address or password is not right");
    signs_in(&elsewhere, DEEP_LINK, &address, PASSWORD)
        .await
        .lands_on(DEEP_LINK);
    assert_eq!(stage.tenant.counts().await, [1, 1, 1]);
}

/// Journey 7: ThingsBoard has no partners, so that nobody is offered to be one.
#[tokio::test]
async fn nobody_is_offered_to_be_a_partner() {
    let stage = Stage::set().await;
    let policy = "[sso]\naccount_types = [\"business\", \"partner\"]\n";
    let gateway = stage.start(TestGateway::embedded(), policy).await;
    stage
        .person("pia", "pia@installers.example", json!({}))
        .await;
    let page = stage.arrives(&gateway, "pia").await;
    let page = page.shows("Set up your account");
    assert!(!page.text().contains("Partner"), "{}", page.text());
    assert_eq!(page.value_of("partner_code"), None);
    assert_eq!(stage.tenant.counts().await, [0, 0, 0]);
}

/// A gateway in front of a ThingsBoard of one's own, by API key.
async fn before(
    server: &ThingsBoard,
    (provider, upstream): (&OidcProvider, &Upstream),
) -> TestGateway {
    giulia(provider).await;
    let platform = format!(
        "[platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\n\
         api_key = {{ env = \"TB_API_KEY\" }}\n",
        server.url()
    );
    let set_up = TestGateway::embedded()
        .provider(provider)
        .upstream(upstream);
    let set_up = set_up.config(&platform).environment("TB_API_KEY", API_KEY);
    set_up.start().await
}

#[tokio::test]
async fn the_same_in_the_professional_edition() {
    let server = ThingsBoard::professional("4.3.0PE").await;
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let gateway = before(&server, (&provider, &upstream)).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on(DEEP_LINK).await;
    assert_eq!(server.counts(), [1, 1, 1]);
    let user = server.user("giulia@ferraro.example").unwrap();
    assert_eq!(server.groups_of(&id(&user)), ["Customer Administrators"]);
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
    let server = ThingsBoard::community("4.3.0.1").await;
    let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let mut gateway = before(&server, (&provider, &upstream)).await;
    gateway.kill9();
    // The version before knows no API keys.
    server.becomes("4.2.1");
    gateway.node(0).start();
    gateway.node(0).ends().await;
    let log = gateway.log();
    assert!(
        log.contains("ThingsBoard does not let the gateway in"),
        "{log}"
    );
}
