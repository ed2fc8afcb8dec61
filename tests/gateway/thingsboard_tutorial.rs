//! docs/platforms/thingsboard-tutorial.md with the files that it names: a sign-up form, a shared
//! dashboard, and, in the Professional Edition, two roles.

use std::path::{Path, PathBuf};

use super::harness::thingsboard::{ADMINISTRATOR, PASSWORD, Tenant, ThingsBoard, id};
use super::harness::{GatewayBuilder, Mailbox, OidcProvider, Page, TestGateway, Upstream};

const DEEP_LINK: &str = "/dashboards/17";
const CHOSEN: &str = "violet tractor umbrella";
const DASHBOARD: &str = "Weather stations";

/// The folder of policies that the tutorial starts from.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/examples/thingsboard-sign-up")
}

/// The gateway of the tutorial, with its files as they are but for the dashboard's title.
struct Tutorial {
    mailbox: Mailbox,
    upstream: Upstream,
    provider: OidcProvider,
}

impl Tutorial {
    async fn set() -> Self {
        Self {
            mailbox: Mailbox::start().await,
            upstream: Upstream::start().await,
            provider: OidcProvider::start().await,
        }
    }

    async fn start(&self, tenant: &Tenant) -> TestGateway {
        let platform = format!(
            "[platform]\nkind = \"thingsboard\"\nid = \"things\"\nurl = \"{}\"\nplain_http = {}\n\
             user = \"{}\"\npassword = {{ env = \"TB_PASSWORD\" }}\n",
            tenant.site.url,
            tenant.site.url.starts_with("http:"),
            tenant.site.user,
        );
        let mut set_up = TestGateway::embedded()
            .provider(&self.provider)
            .upstream(&self.upstream)
            .mail(&self.mailbox)
            .config(&platform)
            .environment("TB_PASSWORD", &tenant.site.password);
        for file in [
            "onboarding.toml",
            "signup/default.toml",
            "agreements/privacy-policy.en.md",
            "agreements/terms-of-use.en.md",
        ] {
            set_up = with_file(set_up, file, tenant);
        }
        set_up.start().await
    }

    /// Registers somebody to the end, as a visitor would.
    async fn registers(&self, gateway: &TestGateway, address: &str) -> Page {
        let browser = gateway.browser();
        let page = browser.open(DEEP_LINK).await;
        let page = page.follow("Create new account").await;
        let page = page.fill("Your e-mail address", address);
        page.press("Send me the link").await;
        let letter = self.mailbox.wait_for(address).await;
        let link = letter.text.lines().find(|line| line.contains("token="));
        let page = browser.open(link.expect("a link").trim()).await;
        let page = page.press("Yes, continue").await;
        page.shows("Sign up to see our weather stations")
            .fill("First name", "Giulia")
            .fill("Last name", "Ferraro")
            .fill("What brings you here?", "sailing")
            .fill("Password", CHOSEN)
            .tick("I have read and accept: Privacy policy")
            .tick("I have read and accept: Terms of use")
            .press("Create account")
            .await
            .waits_until_on(DEEP_LINK)
            .await
    }
}

fn with_file<'a>(set_up: GatewayBuilder<'a>, file: &str, tenant: &Tenant) -> GatewayBuilder<'a> {
    let text = std::fs::read_to_string(folder().join(file)).expect("a shipped file");
    let title = tenant.tag.name(DASHBOARD);
    set_up.policy(file, &text.replace(DASHBOARD, &title))
}

#[tokio::test]
async fn a_visitor_signs_up_and_opens_the_shared_dashboard() {
    let tutorial = Tutorial::set().await;
    let tenant = Tenant::start().await;
    let shared = tenant.makes_dashboard(DASHBOARD).await;
    let other = tenant.makes_dashboard("Back office").await;
    let gateway = tutorial.start(&tenant).await;
    let (plain, letters_to) = ("giulia@ferraro.example", "registrations@weather.example");
    let address = tenant.tag.address(plain);
    tutorial.registers(&gateway, &address).await;

    let customer = &tenant.customers().await[0];
    assert_eq!(customer["title"], format!("Weather {address}"));
    assert_eq!(
        customer["additionalInfo"]["gatewayFields"]["interest"],
        "sailing"
    );
    let user = tenant.user(plain).await.unwrap();
    assert_eq!(user["customerId"], customer["id"]);
    assert_eq!(
        (&user["firstName"], &user["lastName"]),
        (&"Giulia".into(), &"Ferraro".into())
    );
    let info = &user["additionalInfo"];
    assert_eq!(info["defaultDashboardId"], *shared);
    assert_eq!(info["defaultDashboardFullscreen"], true);
    assert!(tenant.shows(plain, CHOSEN, &shared).await);
    assert!(
        !tenant.shows(plain, CHOSEN, &other).await,
        "nothing else is shared"
    );
    tutorial.mailbox.wait_for(letters_to).await;
    let request = tutorial.upstream.last_request();
    assert_eq!(request.header("x-vestibule-user"), Some(&*id(&user)));
}

#[tokio::test]
async fn in_the_professional_edition_a_visitor_gets_two_roles() {
    let tutorial = Tutorial::set().await;
    let server = ThingsBoard::professional("4.3.0PE").await;
    let tenant = Tenant::of(&server);
    assert_eq!(
        (&*tenant.site.user, &*tenant.site.password),
        (ADMINISTRATOR, PASSWORD)
    );
    let shared = server.has_dashboard(&tenant.tag.name(DASHBOARD));
    server.has_role("Read only", true);
    server.has_role("Dashboard viewer", false);
    server.has_group("DASHBOARD", "Shared dashboards");
    server.has_group("CUSTOMER", "Self-registered customers");
    let gateway = tutorial.start(&tenant).await;
    tutorial.registers(&gateway, "giulia@ferraro.example").await;

    let user = server.user("giulia@ferraro.example").unwrap();
    let mut groups = server.groups_of(&id(&user));
    groups.sort();
    assert_eq!(groups, ["Dashboard viewer: Shared dashboards", "Read only"]);
    assert!(server.shows(&id(&user), &shared));
    let customer = &server.customers()[0];
    assert_eq!(
        server.groups_of(&id(customer)),
        ["Self-registered customers"]
    );
}
