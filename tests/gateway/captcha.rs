//! Robots are kept from asking for letters: by the gateway's own proof of work, and by the captchas
//! of vendors that judge, lie, sleep and fall down; and people without scripts are not.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::header;
use sha2::{Digest as _, Sha256};
use vestibule::seal;

use super::harness::{
    CaptchaVendor, GatewayBuilder, Mailbox, Mood, OidcProvider, Page, SITE_KEY, TestGateway,
    Upstream, VENDOR_SECRET, Ways, on_both_set_ups, wait_until_async, wire_client,
};

const EMAIL_PAGE: &str = "/auth/register/email";
const PASSWORD_PAGE: &str = "/auth/password";
const POLICY: &str = "[self_registration]\nenabled = true\n";
/// Limits that these tests do not reach.
const LIMITS: &str =
    "[abuse.mail]\nnetwork = [\"6000/min\"]\n[abuse.form]\nnetwork = [\"6000/min\"]\n";
/// How many letters an hour a network gets without a check.
const UNCHECKED: usize = 5;

const WRONG: &str = "We could not tell that you are not a robot";
const SPENT: &str = "too old, or was used before";
const TOO_MANY: &str = "Too many requests whose browser could not be checked";

/// A gateway that can ask any vendor, and its neighbours.
struct Guarded {
    gateway: TestGateway,
    mailbox: Mailbox,
    vendors: Vec<CaptchaVendor>,
    _provider: OidcProvider,
    _upstream: Upstream,
}

impl Guarded {
    /// One whose form names no captcha: the proof of work.
    async fn start(set_up: GatewayBuilder<'_>) -> Self {
        let mut vendors = Vec::new();
        for ways in Ways::ALL {
            vendors.push(CaptchaVendor::start(ways).await);
        }
        let config: String = vendors
            .iter()
            .map(|one| one.toml("timeout = \"1s\""))
            .collect();
        let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
        let mailbox = Mailbox::start().await;
        let set_up = set_up
            .provider(&provider)
            .upstream(&upstream)
            .mail(&mailbox);
        let set_up = set_up
            .policy("onboarding.toml", POLICY)
            .policy("limits.toml", LIMITS)
            .policy("signup/default.toml", "[brand]\nname = \"Acme\"\n")
            .config(&format!(
                "{config}[[host]]\norigin = \"http://other.localhost\"\n"
            ))
            .environment("VENDOR_SECRET", VENDOR_SECRET);
        Self {
            gateway: set_up.start().await,
            mailbox,
            vendors,
            _provider: provider,
            _upstream: upstream,
        }
    }

    /// The form names a vendor from now on.
    async fn uses(&self, ways: Ways) -> &CaptchaVendor {
        let form = format!("captcha = \"{}\"\n[brand]\nname = \"Acme\"\n", ways.kind());
        self.gateway.rewrite_policy("signup/default.toml", &form);
        let vendor = self.vendors.iter().find(|one| one.ways() == ways);
        let vendor = vendor.expect("all ways have a vendor");
        wait_until_async("the new policy", async || {
            let page = self.gateway.browser().open(EMAIL_PAGE).await;
            page.body().contains(script_of(vendor))
        })
        .await;
        vendor
    }

    /// Asks for a link as a browser does whose widget gave this answer.
    async fn asks(&self, path: &str, ways: Ways, answer: &str) -> Page {
        let page = self
            .gateway
            .browser()
            .open(path)
            .await
            .fill("email", &fresh_address());
        let page = match ways {
            Ways::RecaptchaV3 => page.fill(ways.field(), answer),
            _ => page.with_scripted_field(ways.field(), answer),
        };
        page.press("Send me the link").await
    }

    /// Asks for a link as a browser without scripts does.
    async fn asks_without_script(&self) -> Page {
        let page = self.gateway.browser().open(EMAIL_PAGE).await;
        page.fill("email", &fresh_address())
            .press("Send me the link")
            .await
    }

    /// The page for an address, of the other host that is served.
    async fn page_of_another_host(&self) -> String {
        let address = format!("{}{EMAIL_PAGE}", self.gateway.origin());
        let request = wire_client()
            .get(address)
            .header(header::HOST, "other.localhost");
        let answer = request.send().await.expect("an answer");
        answer.text().await.expect("a page")
    }

    async fn has_mailed(&self, letters: usize) {
        wait_until_async("the letters", async || {
            self.mailbox.letters().await.len() >= letters
        })
        .await;
        assert_eq!(self.mailbox.letters().await.len(), letters);
    }

    /// A count of `vestibule_captchas_total`.
    async fn counted(&self, outcome: &str) -> usize {
        let answer = wire_client()
            .get(self.gateway.admin("/metrics"))
            .send()
            .await;
        let text = answer.expect("an answer").text().await.expect("its text");
        let name = format!("vestibule_captchas_total{{outcome=\"{outcome}\",platform=\"main\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&name));
        count.map_or(0, |count| count.parse().expect("a number"))
    }
}

/// Where the script of a vendor comes from.
fn script_of(vendor: &CaptchaVendor) -> &str {
    match vendor.ways() {
        Ways::RecaptchaV2 | Ways::RecaptchaV3 => vendor.address(),
        Ways::Hcaptcha => "https://js.hcaptcha.com/1/api.js",
        Ways::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/api.js",
    }
}

#[track_caller]
fn is_sent(page: Page) {
    page.shows("Look into your mailbox").has_status(200);
}

/// One of many: a mailbox gets few letters an hour, whoever asks.
fn fresh_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("mario{number}@rossi.example")
}

#[track_caller]
fn keeps_what_was_typed(page: &Page) {
    let email = page.value_of("email").expect("a field for the address");
    assert!(email.starts_with("mario"), "{email:?} was typed");
}

#[track_caller]
fn is_refused(page: Page, words: &str) {
    let page = page
        .has_status(422)
        .shows("There is a problem")
        .shows(words);
    keeps_what_was_typed(&page);
}

on_both_set_ups!(a_persons_answer_counts_once_and_others_do_not);

async fn a_persons_answer_counts_once_and_others_do_not(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    for (number, ways) in Ways::ALL.into_iter().enumerate() {
        let vendor = guarded.uses(ways).await;
        let asks = async |answer: &str| guarded.asks(EMAIL_PAGE, ways, answer).await;
        let right = vendor.answer();
        is_sent(asks(&right).await);
        guarded.has_mailed(number + 1).await;
        is_refused(asks(&right).await, SPENT);
        is_refused(asks("never given").await, WRONG);
        is_refused(asks(&"x".repeat(20_000)).await, WRONG);
        let late = vendor.answer_with(|found| found.is_over = true);
        is_refused(asks(&late).await, SPENT);
        let elsewhere = vendor.answer_with(|found| found.hostname = "evil.example".to_owned());
        is_refused(asks(&elsewhere).await, WRONG);
        if ways.has_actions() {
            let other = vendor.answer_with(|found| found.action = "login".to_owned());
            is_refused(asks(&other).await, WRONG);
        }
        // The gateway remembers by itself what it took.
        vendor.feels(Mood::Forgetful);
        let twice = vendor.answer();
        is_sent(guarded.asks(PASSWORD_PAGE, ways, &twice).await);
        is_refused(guarded.asks(PASSWORD_PAGE, ways, &twice).await, SPENT);
        vendor_was_told_what_it_needs(vendor, &right);
    }
    guarded.has_mailed(Ways::ALL.len()).await;
    assert_eq!(guarded.counted("solved").await, 2 * Ways::ALL.len());
    assert_eq!(guarded.counted("spent").await, 3 * Ways::ALL.len());
    assert_eq!(guarded.counted("unchecked").await, 0);
}

#[track_caller]
fn vendor_was_told_what_it_needs(vendor: &CaptchaVendor, answer: &str) {
    let asked = vendor.asked();
    let first = &asked[0];
    assert_eq!(first["secret"], VENDOR_SECRET);
    assert_eq!(first["response"], answer);
    assert_eq!(first["remoteip"], "127.0.0.1");
    let sitekey = first.get("sitekey").map(String::as_str);
    assert_eq!(
        sitekey,
        (vendor.ways() == Ways::Hcaptcha).then_some(SITE_KEY)
    );
    // What is too long to be an answer is not passed on.
    assert!(asked.iter().all(|form| form["response"].len() < 1000));
}

on_both_set_ups!(nobody_is_turned_away_because_a_vendor_is_down);

async fn nobody_is_turned_away_because_a_vendor_is_down(set_up: GatewayBuilder<'_>) {
    let mut guarded = Guarded::start(set_up).await;
    let ways = Ways::Turnstile;
    let vendor = guarded.uses(ways).await;
    for mood in [Mood::Asleep, Mood::Garbled, Mood::Endless, Mood::Broken] {
        vendor.feels(mood);
        is_sent(guarded.asks(EMAIL_PAGE, ways, &vendor.answer()).await);
    }
    let stopped = guarded.vendors.iter_mut().find(|one| one.ways() == ways);
    stopped.expect("this vendor").stop().await;
    is_sent(guarded.asks(EMAIL_PAGE, ways, "whatever").await);
    guarded.has_mailed(UNCHECKED).await;
    // The limits are those of browsers without scripts.
    let page = guarded.asks(EMAIL_PAGE, ways, "whatever").await;
    page.has_status(429).shows(TOO_MANY);
    let log = || guarded.gateway.log();
    wait_until_async("the log", async || {
        log().contains("a captcha cannot be judged")
    })
    .await;
    assert!(!guarded.gateway.log().contains(VENDOR_SECRET));
    let other = guarded.uses(Ways::Hcaptcha).await;
    let answer = other.answer();
    is_sent(guarded.asks(EMAIL_PAGE, Ways::Hcaptcha, &answer).await);
    assert_eq!(guarded.counted("down").await, UNCHECKED);
    assert_eq!(guarded.counted("held_back").await, 1);
}

on_both_set_ups!(a_low_score_is_treated_like_a_browser_without_scripts);

async fn a_low_score_is_treated_like_a_browser_without_scripts(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    let ways = Ways::RecaptchaV3;
    let vendor = guarded.uses(ways).await;
    let low = || vendor.answer_with(|found| found.score = 0.3);
    for _ in 0..UNCHECKED {
        is_sent(guarded.asks(EMAIL_PAGE, ways, &low()).await);
    }
    let page = guarded.asks(EMAIL_PAGE, ways, &low()).await;
    page.has_status(429).shows(TOO_MANY);
    is_sent(guarded.asks(EMAIL_PAGE, ways, &vendor.answer()).await);
    guarded.has_mailed(UNCHECKED + 1).await;
    assert_eq!(guarded.counted("doubtful").await, UNCHECKED);
}

on_both_set_ups!(without_scripts_there_are_fewer_letters_and_nothing_of_a_vendors);

async fn without_scripts_there_are_fewer_letters_and_nothing_of_a_vendors(
    set_up: GatewayBuilder<'_>,
) {
    let guarded = Guarded::start(set_up).await;
    let vendor = guarded.uses(Ways::RecaptchaV2).await;
    for _ in 0..UNCHECKED {
        is_sent(guarded.asks_without_script().await);
    }
    let page = guarded.asks_without_script().await.has_status(429);
    let page = page.shows(TOO_MANY);
    keeps_what_was_typed(&page);
    assert!(vendor.asked().is_empty());
    guarded.has_mailed(UNCHECKED).await;
    for loaded in ["src=\"http", "<link rel=\"stylesheet\" href=\"http"] {
        assert!(!page.body().contains(loaded), "nothing is from elsewhere");
    }
}

on_both_set_ups!(only_the_page_with_a_vendors_captcha_is_opened_to_the_vendor);

async fn only_the_page_with_a_vendors_captcha_is_opened_to_the_vendor(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    let policy = async |path: &str| {
        let page = guarded.gateway.browser().open(path).await;
        page.header("content-security-policy").to_owned()
    };
    let closed = policy("/auth/logged-out").await;
    assert_eq!(
        policy(EMAIL_PAGE).await,
        closed,
        "proof of work asks nobody"
    );
    for ways in Ways::ALL {
        let vendor = guarded.uses(ways).await;
        let own = vendor.address();
        let (scripts, rest) = match ways {
            Ways::RecaptchaV2 | Ways::RecaptchaV3 => (
                format!(
                    "{own}/recaptcha/ https://www.gstatic.com/recaptcha/ \
                     https://www.gstatic.cn/recaptcha/"
                ),
                format!("; frame-src {own}/recaptcha/"),
            ),
            Ways::Hcaptcha => {
                let all = "https://hcaptcha.com https://*.hcaptcha.com";
                (all.to_owned(), format!("; frame-src {all}"))
            }
            Ways::Turnstile => {
                let all = "https://challenges.cloudflare.com";
                (all.to_owned(), format!("; frame-src {all}"))
            }
        };
        let mut opened =
            closed.replace("script-src 'self'", &format!("script-src 'self' {scripts}"));
        if ways == Ways::Hcaptcha {
            for directive in ["style-src 'self'", "connect-src 'self'"] {
                opened = opened.replace(directive, &format!("{directive} {scripts}"));
            }
        }
        for path in [EMAIL_PAGE, PASSWORD_PAGE] {
            assert_eq!(policy(path).await, format!("{opened}{rest}"), "{path}");
        }
        for path in [
            "/auth/login?return_to=/",
            "/auth/register/email?return_to=%2F&sent",
            "/auth/nowhere",
        ] {
            assert_eq!(policy(path).await, closed, "{path}");
        }
    }
}

/// What a page asks the browser to find: token, salt, digest, bound.
fn work_of(html: &str) -> [String; 4] {
    ["value", "data-work", "data-target", "data-bound"].map(|name| {
        let from = html.find("captcha_token").expect("a proof of work");
        let rest = &html[from..];
        let value = rest
            .split(&format!("{name}=\""))
            .nth(1)
            .expect("an attribute");
        value.split('"').next().unwrap_or_default().to_owned()
    })
}

/// Finds the number as `captcha.js` does: SHA-256 of salt and number, in base64url.
fn found(work: &[String; 4]) -> String {
    let [_, salt, target, bound] = work;
    let bound: u32 = bound.parse().expect("a number");
    let is_it = |number: &u32| {
        let digest = Sha256::digest(format!("{salt}:{number}").as_bytes());
        seal::to_base64(&digest) == *target
    };
    (0..bound)
        .find(is_it)
        .expect("the number is below the bound")
        .to_string()
}

async fn sends_work(page: Page, token: &str, number: &str) -> Page {
    let page = page
        .fill("email", &fresh_address())
        .fill("captcha_token", token);
    page.fill("captcha", number).press("Send me the link").await
}

on_both_set_ups!(work_counts_once_in_its_place_and_done_right);

async fn work_counts_once_in_its_place_and_done_right(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    let open = async || guarded.gateway.browser().open(EMAIL_PAGE).await;
    let page = open().await;
    let work = work_of(page.body());
    let number = found(&work);
    is_sent(sends_work(page, &work[0], &number).await);
    guarded.has_mailed(1).await;
    is_refused(sends_work(open().await, &work[0], &number).await, SPENT);

    let fresh = work_of(open().await.body());
    let wrong = if found(&fresh) == "7" { "8" } else { "7" };
    is_refused(sends_work(open().await, &fresh[0], wrong).await, WRONG);
    is_refused(sends_work(open().await, "forged", wrong).await, WRONG);

    let theirs = work_of(&guarded.page_of_another_host().await);
    let number = found(&theirs);
    is_refused(sends_work(open().await, &theirs[0], &number).await, WRONG);

    guarded.has_mailed(1).await;
    assert_eq!(guarded.counted("solved").await, 1);
    assert_eq!(guarded.counted("wrong").await, 3);
}

on_both_set_ups!(whoever_works_is_not_held_back_with_those_who_do_not);

async fn whoever_works_is_not_held_back_with_those_who_do_not(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    for _ in 0..=UNCHECKED {
        guarded.asks_without_script().await;
    }
    for _ in 0..=UNCHECKED {
        let page = guarded.gateway.browser().open(EMAIL_PAGE).await;
        let work = work_of(page.body());
        let number = found(&work);
        is_sent(sends_work(page, &work[0], &number).await);
    }
    guarded.has_mailed(2 * UNCHECKED + 1).await;
}

on_both_set_ups!(whoever_does_not_work_gets_fewer_letters);

async fn whoever_does_not_work_gets_fewer_letters(set_up: GatewayBuilder<'_>) {
    let guarded = Guarded::start(set_up).await;
    for _ in 0..UNCHECKED {
        is_sent(guarded.asks_without_script().await);
    }
    let page = guarded.asks_without_script().await.has_status(429);
    page.shows(TOO_MANY);
    guarded.has_mailed(UNCHECKED).await;
}
