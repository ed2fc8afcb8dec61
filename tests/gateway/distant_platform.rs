//! The platform in a process of its own, behind a line that loses requests and replies, and a
//! gateway that is killed before and after every effect: the registration ends as it must, nothing
//! is doubled, and the user's next request goes through. Needs the feature `fault-points`.

use std::time::Duration;

use serde_json::json;

use crate::first_login::{giulia, registers};
use crate::harness::{Browser, Line, Loss, OidcProvider, TestGateway, Upstream};
use crate::interrupted_provisioning::{DEEP_LINK, FAULT, ON_THE_WAY, ON_THE_WAY_BACK};

/// Another installation, whose builtin platform the gateway uses over a line.
struct Platform {
    installation: TestGateway,
    line: Line,
    _provider: OidcProvider,
}

impl Platform {
    async fn start() -> Self {
        let provider = OidcProvider::start().await;
        let installation = TestGateway::embedded().provider(&provider).start().await;
        let line = Line::to(&installation.admin("")).await;
        Self {
            installation,
            line,
            _provider: provider,
        }
    }

    /// Makes the user whose address an interrupted registration wants.
    async fn somebody_takes_the_address(&self) {
        let customer = json!({ "account_type": "business", "name": "Ferraro" });
        let customer = self
            .installation
            .add_to_platform("customers", &customer)
            .await;
        let user = json!({
            "email": "giulia@ferraro.example", "name": "Giulia Ferraro",
            "account_type": "business", "customer": customer,
        });
        self.installation.add_to_platform("users", &user).await;
    }
}

/// Somebody at the form of a gateway whose platform is elsewhere.
struct Scene {
    gateway: TestGateway,
    platform: Platform,
    browser: Browser,
    upstream: Upstream,
    _provider: OidcProvider,
}

impl Scene {
    /// With an environment variable for the gateway: where it is to die.
    async fn set(fault: &str) -> Self {
        let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
        let platform = Platform::start().await;
        let elsewhere = format!(
            "[platform]\nurl = \"{}\"\ntoken = {{ file = \"operator\" }}",
            platform.line.url()
        );
        let gateway = TestGateway::embedded()
            .provider(&provider)
            .upstream(&upstream)
            .config(&elsewhere)
            .environment(FAULT, fault)
            .start()
            .await;
        giulia(&provider).await;
        Self {
            browser: gateway.browser(),
            gateway,
            platform,
            upstream,
            _provider: provider,
        }
    }

    async fn giulia_registers(&self) {
        let page = self.browser.open(DEEP_LINK).await;
        let page = page.login_at_provider("giulia").await;
        // The gateway may be gone before it answers.
        let _ = tokio::spawn(registers(page)).await;
    }

    async fn dies_and_is_started_again(&mut self) {
        self.gateway.node(0).ends().await;
        self.gateway.node(0).unset(FAULT);
        self.gateway.restart().await;
    }

    /// Giulia lands on her page, and there is one of everything.
    async fn ends_well(&self, what: &str) {
        let page = self.browser.open(DEEP_LINK).await;
        page.waits_until_on(DEEP_LINK).await;
        let counts = self.platform.installation.platform_counts().await;
        assert_eq!(counts, [1, 1, 1], "{what}");
        let request = self.upstream.last_request();
        assert!(request.header("x-vestibule-user").is_some(), "{what}");
    }

    /// Nothing of the registration is left, and Giulia is asked for proof of what others made.
    async fn ends_undone(&self, what: &str) {
        for _ in 0..300 {
            let page = self.browser.open(DEEP_LINK).await;
            if page.text().contains("Connect your existing account") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let counts = self.platform.installation.platform_counts().await;
        assert_eq!(counts, [1, 0, 1], "{what}: only the other's is there");
        assert!(self.upstream.requests().is_empty(), "{what}");
    }
}

/// What a fault point is about, as the platform's API calls it.
fn thing(point: &str) -> &str {
    let subject = point.split('.').next().unwrap_or_default();
    subject.strip_prefix("create_").unwrap_or("user")
}

async fn survives(point: &str, loss: Option<Loss>) {
    let what = format!("{point}, {loss:?}");
    let mut scene = Scene::set(point).await;
    if let Some(loss) = loss {
        scene.platform.line.loses(loss, "PUT", thing(point)).await;
    }
    scene.giulia_registers().await;
    scene.dies_and_is_started_again().await;
    scene.ends_well(&what).await;
    let count = scene.platform.line.lost().await;
    assert_eq!(count, usize::from(loss.is_some()), "{what}");
}

async fn is_undone(point: &str, loss: Option<Loss>) {
    let what = format!("{point}, {loss:?}");
    let mut scene = Scene::set("create_user.begun").await;
    scene.giulia_registers().await;
    scene.gateway.node(0).ends().await;
    scene.platform.somebody_takes_the_address().await;
    if let Some(loss) = loss {
        let line = &scene.platform.line;
        line.loses(loss, "DELETE", thing(point)).await;
    }
    scene.gateway.node(0).set(FAULT, point);
    scene.gateway.node(0).start();
    scene.dies_and_is_started_again().await;
    scene.ends_undone(&what).await;
    let count = scene.platform.line.lost().await;
    assert_eq!(count, usize::from(loss.is_some()), "{what}");
}

#[tokio::test]
async fn a_registration_survives_every_crash() {
    for point in ON_THE_WAY {
        survives(point, None).await;
    }
}

#[tokio::test]
async fn a_registration_survives_every_crash_with_a_lost_reply() {
    for point in ON_THE_WAY {
        survives(point, Some(Loss::Reply)).await;
    }
}

#[tokio::test]
async fn a_registration_survives_every_crash_with_a_lost_request() {
    for point in [
        "create_customer.begun",
        "create_location.begun",
        "create_user.begun",
    ] {
        survives(point, Some(Loss::Request)).await;
    }
}

#[tokio::test]
async fn undoing_survives_every_crash() {
    for point in ON_THE_WAY_BACK {
        is_undone(point, None).await;
    }
}

#[tokio::test]
async fn undoing_survives_every_crash_with_a_lost_reply() {
    for point in ON_THE_WAY_BACK {
        is_undone(point, Some(Loss::Reply)).await;
    }
}

#[tokio::test]
async fn a_gateway_killed_while_it_waits_for_the_platform_finds_what_was_made() {
    for thing in ["customer", "location", "user"] {
        let mut scene = Scene::set("").await;
        scene.platform.line.loses(Loss::Held, "PUT", thing).await;
        scene.giulia_registers().await;
        scene.platform.line.has_lost(1).await;
        scene.gateway.kill9();
        scene.gateway.restart().await;
        scene.ends_well(thing).await;
    }
}
