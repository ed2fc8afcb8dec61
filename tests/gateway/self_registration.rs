//! Journey 6: people register by a mailed link, on both set-ups, and what an attacker could try.

use std::time::Duration;

use reqwest::Method;

use super::harness::{
    Browser, GatewayBuilder, Letter, Mailbox, OidcProvider, Page, Redis, TestGateway, Upstream,
    on_both_set_ups, wait_until_async,
};

const DEEP_LINK: &str = "/things/17?tab=values";
const PASSWORD: &str = "violet tractor umbrella";
const POLICY: &str = "[self_registration]\nenabled = true\n";

/// A gateway that takes registrations by mail, and its neighbours.
pub struct Open {
    pub gateway: TestGateway,
    pub mailbox: Mailbox,
    pub upstream: Upstream,
    _provider: OidcProvider,
}

impl Open {
    pub async fn start(set_up: GatewayBuilder<'_>) -> Self {
        Self::with_policy(set_up, POLICY).await
    }

    pub async fn with_policy(set_up: GatewayBuilder<'_>, policy: &str) -> Self {
        let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
        let mailbox = Mailbox::start().await;
        let set_up = set_up.provider(&provider).upstream(&upstream);
        let set_up = set_up.mail(&mailbox).policy("onboarding.toml", policy);
        Self {
            gateway: set_up.start().await,
            mailbox,
            upstream,
            _provider: provider,
        }
    }

    /// Asks for a link as a browser; gives the page that says so.
    pub async fn ask_for_link(&self, browser: &Browser, address: &str) -> Page {
        let page = browser.open(DEEP_LINK).await;
        let page = page.follow("Create new account").await;
        page.fill("Your e-mail address", address)
            .press("Send me the link")
            .await
    }

    /// The link in the newest letter to an address.
    pub async fn link_to(&self, address: &str) -> String {
        let letter = self.mailbox.wait_for(address).await;
        let link = letter.text.lines().find(|line| line.contains("token="));
        link.unwrap_or_else(|| panic!("no link in {}", letter.text))
            .trim()
            .to_owned()
    }

    /// Registers somebody to the end, as a person would.
    pub async fn register(&self, address: &str) -> Browser {
        let browser = self.gateway.browser();
        self.ask_for_link(&browser, address).await;
        let page = browser.open(&self.link_to(address).await).await;
        let page = page.press("Yes, continue").await;
        fills_in(page).await.waits_until_on(DEEP_LINK).await;
        browser
    }
}

/// Fills in the registration page, and sends it.
async fn fills_in(page: Page) -> Page {
    page.lands_on("/auth/register")
        .fill("account_type", "business")
        .fill("Full name", "Mario Rossi")
        .fill("Company name", "Rossi Impianti")
        .fill("Country", "Italy")
        .fill("Password", PASSWORD)
        .tick("I have read and accept: Terms of use")
        .press("Create account")
        .await
}

/// A page's whole address.
pub fn page_of(gateway: &TestGateway, path: &str) -> url::Url {
    let origin = url::Url::parse(gateway.origin()).expect("an origin");
    origin.join(path).expect("an address")
}

/// Signs in by password, as a person would.
pub async fn signs_in(browser: &Browser, path: &str, address: &str, password: &str) -> Page {
    browser
        .open(path)
        .await
        .fill("E-mail address", address)
        .fill("password", password)
        .press("Sign in")
        .await
}

on_both_set_ups!(somebody_registers_by_a_mailed_link_and_is_signed_in);

async fn somebody_registers_by_a_mailed_link_and_is_signed_in(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let gateway = &open.gateway;
    let browser = gateway.browser();
    let page = open.ask_for_link(&browser, "mario@rossi.example").await;
    page.shows("Look into your mailbox");
    let link = open.link_to("mario@rossi.example").await;
    assert!(link.starts_with(&format!("{}/auth/register/link?token=", gateway.origin())));
    assert_eq!(
        gateway.count("builtin_users").await,
        0,
        "nothing is made yet"
    );
    assert_eq!(gateway.count("registrations").await, 0);

    let page = browser.open(&link).await.shows("mario@rossi.example");
    let page = page.press("Yes, continue").await;
    assert_eq!(
        page.value_of("email"),
        None,
        "a proven address is shown and not asked"
    );
    assert!(open.upstream.requests().is_empty());
    fills_in(page).await.waits_until_on(DEEP_LINK).await;

    everything_is_made_and_nothing_typed_is_kept(gateway).await;
    let request = open.upstream.last_request();
    assert_eq!(
        request.header("x-vestibule-email"),
        Some("mario@rossi.example")
    );
    assert!(request.header("x-vestibule-customer").is_some());

    // Another day, on another device, by password.
    let elsewhere = gateway.browser();
    signs_in(&elsewhere, DEEP_LINK, "Mario@Rossi.example", PASSWORD)
        .await
        .lands_on(DEEP_LINK);
    assert_eq!(gateway.count("account_links").await, 1);
}

on_both_set_ups!(whoever_read_the_mail_before_gets_no_account_that_its_owner_makes);

async fn whoever_read_the_mail_before_gets_no_account_that_its_owner_makes(
    set_up: GatewayBuilder<'_>,
) {
    let open = Open::start(set_up).await;
    let address = "mario@rossi.example";
    let intruder = open.gateway.browser();
    open.ask_for_link(&intruder, address).await;
    let first = open.link_to(address).await;
    let page = intruder.open(&first).await.press("Yes, continue").await;
    page.lands_on("/auth/register");

    let owner = open.gateway.browser();
    open.ask_for_link(&owner, address).await;
    wait_until_async("the second letter", async || {
        open.link_to(address).await != first
    })
    .await;
    let page = owner.open(&open.link_to(address).await).await;
    let page = page.press("Yes, continue").await;
    fills_in(page).await.waits_until_on(DEEP_LINK).await;

    let page = intruder.open("/auth/continue").await;
    page.lands_on("/auth/login");
    let came = open.upstream.requests().len();
    intruder.open(DEEP_LINK).await;
    assert_eq!(
        open.upstream.requests().len(),
        came,
        "nobody else is let in"
    );
}

on_both_set_ups!(a_letter_that_was_promised_survives_a_restart);

async fn a_letter_that_was_promised_survives_a_restart(set_up: GatewayBuilder<'_>) {
    let mut open = Open::start(set_up).await;
    let browser = open.gateway.browser();
    let page = open.ask_for_link(&browser, "mario@rossi.example").await;
    page.shows("Look into your mailbox");
    open.gateway.node(0).signal("TERM");
    open.gateway.node(0).ends().await;
    open.gateway.restart().await;
    open.mailbox.wait_for("mario@rossi.example").await;
}

/// What the link pays for cannot be had for a moment: it is not spent by that.
#[tokio::test]
async fn a_link_that_came_to_nothing_still_counts() {
    let mut redis = Redis::start_lasting();
    let open = Open::start(TestGateway::distributed_over(&redis)).await;
    let browser = open.gateway.browser();
    open.ask_for_link(&browser, "mario@rossi.example").await;
    let link = open.link_to("mario@rossi.example").await;
    let page = browser.open(&link).await;
    redis.stop();
    page.press("Yes, continue").await.has_status(503);
    redis.resume_after_stop();
    // The gateway finds the store again after a moment.
    let page = loop {
        let page = browser.open(&link).await.shows("mario@rossi.example");
        let page = page.press("Yes, continue").await;
        if page.status() != 503 {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    fills_in(page).await.waits_until_on(DEEP_LINK).await;
    browser.open(&link).await.has_status(410);
}

async fn everything_is_made_and_nothing_typed_is_kept(gateway: &TestGateway) {
    for table in [
        "builtin_customers",
        "builtin_locations",
        "builtin_users",
        "account_links",
    ] {
        assert_eq!(gateway.count(table).await, 1, "{table}");
    }
    assert_eq!(
        gateway
            .count("registrations WHERE sealed_password IS NOT NULL OR sealed <> ''")
            .await,
        0,
        "what was typed is erased, the password too"
    );
    assert_eq!(
        gateway
            .count("account_links WHERE issuer = 'platform:main'")
            .await,
        1
    );
}

on_both_set_ups!(a_link_is_followed_on_another_device_and_works_once);

async fn a_link_is_followed_on_another_device_and_works_once(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let address = "mario@rossi.example";
    open.ask_for_link(&open.gateway.browser(), address).await;
    let link = open.link_to(address).await;

    // Scanners and previews look at links; that changes nothing.
    let phone = open.gateway.browser();
    for method in ["HEAD", "GET", "GET"] {
        phone.fetch(method, &link, None).await.has_status(200);
    }
    assert_eq!(
        open.gateway
            .count("verifications WHERE used_at IS NOT NULL")
            .await,
        0
    );
    let first = phone.open(&link).await;
    let (one, two) = tokio::join!(
        first.clone().press("Yes, continue"),
        first.press("Yes, continue")
    );
    let statuses = [one.status(), two.status()];
    assert!(
        statuses.contains(&200) && statuses.contains(&410),
        "exactly one confirm counts: {statuses:?}"
    );
    let again = open.gateway.browser().open(&link).await.has_status(410);
    again.shows("This link does not work");
    // Whoever clicks twice is led on.
    let page = phone.open(&link).await.has_status(410);
    page.follow("Go on with the registration")
        .await
        .lands_on("/auth/register");
}

on_both_set_ups!(known_and_unknown_addresses_get_the_same_answer);

async fn known_and_unknown_addresses_get_the_same_answer(set_up: GatewayBuilder<'_>) {
    let limits = "[abuse.mail]\naddress = [\"9/h\"]\n";
    let open = Open::start(set_up.policy("limits.toml", limits)).await;
    let (known, unknown) = ("mario@rossi.example", "nobody@rossi.example");
    open.register(known).await;
    let before = open.mailbox.letters().await.len();

    let answer = async |address: &str| {
        let page = open.ask_for_link(&open.gateway.browser(), address).await;
        (page.status(), page.url().clone(), page.text())
    };
    assert_eq!(answer(known).await, answer(unknown).await);
    open.link_to(unknown).await;
    let letters = async || open.mailbox.letters().await.split_off(before);
    let is_known = |letter: &Letter| letter.to.iter().any(|to| to == known);
    wait_until_async("a letter to the known address", async || {
        letters().await.iter().any(is_known)
    })
    .await;
    let to_known = letters()
        .await
        .into_iter()
        .find(is_known)
        .expect("a letter");
    assert!(to_known.subject.contains("already"), "{}", to_known.subject);
    assert!(!to_known.text.contains("token="), "no link that registers");

    let asks = async |address: &str| {
        let page = open.gateway.browser().open("/auth/password").await;
        let page = page.fill("Your e-mail address", address);
        let page = page.press("Send me the link").await;
        (page.status(), page.url().clone(), page.text())
    };
    assert_eq!(asks(known).await, asks(unknown).await);
}

on_both_set_ups!(a_link_belongs_to_its_step_and_its_form_to_our_page);

async fn a_link_belongs_to_its_step_and_its_form_to_our_page(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let address = "mario@rossi.example";
    open.ask_for_link(&open.gateway.browser(), address).await;
    let link = open.link_to(address).await;
    let browser = open.gateway.browser();

    let for_password = link.replace("/auth/register/link", "/auth/password/new");
    browser.open(&for_password).await.has_status(410);
    for cut in [
        &link[..link.len() - 1],
        &format!("{link}x"),
        "/auth/register/link",
    ] {
        browser.open(cut).await.has_status(410);
    }
    let token = link.split("token=").nth(1).expect("a token");
    let page = page_of(&open.gateway, "/auth/register/link");
    let bare = Some(format!("token={token}"));
    browser
        .navigate(Method::POST, page, bare, None)
        .await
        .has_status(403);
    assert_eq!(
        open.gateway
            .count("verifications WHERE used_at IS NOT NULL")
            .await,
        0,
        "a form that is not ours spends nothing"
    );
    let stored = format!("verifications WHERE context = '{token}' OR sealed LIKE '%{token}%'");
    assert_eq!(open.gateway.count(&stored).await, 0, "hashed at rest");
}

on_both_set_ups!(a_confirm_in_somebody_elses_session_ends_that_session);

async fn a_confirm_in_somebody_elses_session_ends_that_session(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let browser = open.register("anna@rossi.example").await;
    let stolen = browser.with_stolen_cookies();
    open.ask_for_link(&open.gateway.browser(), "mario@rossi.example")
        .await;
    let page = browser
        .open(&open.link_to("mario@rossi.example").await)
        .await;
    let page = page.shows("You are signed in already");
    let page = page.press("Yes, continue").await.lands_on("/auth/register");
    page.shows("mario@rossi.example");
    let page = stolen.open("/things/18").await;
    assert!(page.url().path().starts_with("/auth/"), "{}", page.url());
}

on_both_set_ups!(a_weak_password_is_refused_and_none_is_shown_again);

async fn a_weak_password_is_refused_and_none_is_shown_again(set_up: GatewayBuilder<'_>) {
    let open = Open::start(set_up).await;
    let browser = open.gateway.browser();
    open.ask_for_link(&browser, "mario@rossi.example").await;
    let link = open.link_to("mario@rossi.example").await;
    let page = browser.open(&link).await.press("Yes, continue").await;
    let send = |page: Page, password: &str| {
        page.fill("account_type", "personal")
            .fill("Full name", "Mario Rossi")
            .fill("Country", "Italy")
            .fill("Password", password)
            .tick("I have read and accept: Terms of use")
            .press("Create account")
    };
    let page = send(page, "mario rossi").await.has_status(422);
    let page = page.shows("This password is easy to guess");
    assert!(!page.body().contains("value=\"mario rossi\""));
    let page = send(page, "short").await.has_status(422);
    let page = page.shows("Choose a password of at least 10 characters");
    assert_eq!(page.value_of("Full name").as_deref(), Some("Mario Rossi"));
    send(page, PASSWORD).await.waits_until_on(DEEP_LINK).await;
}

#[tokio::test]
async fn odd_addresses_get_no_letter() {
    let open = Open::start(TestGateway::embedded()).await;
    let browser = open.gateway.browser();
    for odd in [
        "attacker@evil.example@rossi.example",
        "mario@rossi.example%0aBcc:victim@x.example",
        "\"a@rossi.example\"@evil.example",
        "m\u{0131}ke@example.org",
        "a@[127.0.0.1]",
        "",
    ] {
        open.ask_for_link(&browser, odd).await.has_status(422);
    }
    assert_eq!(open.mailbox.letters().await.len(), 0);
}

#[tokio::test]
async fn without_self_registration_there_are_no_such_pages() {
    let open = Open::with_policy(TestGateway::embedded(), "").await;
    let browser = open.gateway.browser();
    for page in ["/auth/register/email", "/auth/password"] {
        browser.open(page).await.has_status(404);
    }
    browser
        .open("/auth/register/link?token=x")
        .await
        .has_status(410);
}
