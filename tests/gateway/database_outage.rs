//! A registration is sent while the database cannot take it: 503, nothing is half done, and what was
//! typed travels in the page, to be sent again.

use sqlx::Connection as _;

use crate::first_login::{giulia, registers};
use crate::harness::{
    Browser, GatewayBuilder, OidcProvider, Page, Postgres, TestGateway, Upstream,
};

const DEEP_LINK: &str = "/things/17?tab=values";

/// Giulia at the registration page.
struct Scene {
    gateway: TestGateway,
    upstream: Upstream,
    browser: Browser,
    page: Page,
    _provider: OidcProvider,
}

impl Scene {
    async fn set(set_up: GatewayBuilder<'_>) -> Self {
        let (provider, upstream) = (OidcProvider::start().await, Upstream::start().await);
        let gateway = set_up.provider(&provider).upstream(&upstream).start().await;
        giulia(&provider).await;
        let browser = gateway.browser();
        let page = browser.open(DEEP_LINK).await;
        let page = page.login_at_provider("giulia").await;
        Self {
            gateway,
            upstream,
            browser,
            page,
            _provider: provider,
        }
    }

    /// Sends the form in vain; gives the page that offers to send it again.
    async fn sends_in_vain(&self) -> Page {
        let page = registers(self.page.clone()).await;
        let page = page
            .has_status(503)
            .shows("We could not save this yet")
            .shows("Send again");
        let company = page.value_of("company");
        assert_eq!(company.as_deref(), Some("Ferraro Impianti"));
        assert!(!page.header("retry-after").is_empty());
        assert!(self.upstream.requests().is_empty());
        page
    }

    /// Sends it again, and it is as if nothing had been.
    async fn sends_again(&self, page: Page) {
        assert_eq!(self.gateway.count("registrations").await, 0);
        assert_eq!(self.gateway.count("acceptances").await, 0);
        let page = page.press("Send again").await;
        page.waits_until_on(DEEP_LINK).await;
        assert_eq!(self.gateway.platform_counts().await, [1, 1, 1]);
    }
}

#[tokio::test]
async fn a_postgres_that_is_down_loses_nothing_that_was_typed() {
    let mut postgres = Postgres::start();
    let scene = Scene::set(TestGateway::distributed_on(&postgres)).await;
    postgres.stop();
    let page = scene.sends_in_vain().await;
    scene.sends_in_vain().await;
    postgres.resume_after_stop();
    scene.sends_again(page).await;
}

#[tokio::test]
async fn an_sqlite_file_that_somebody_else_locks_loses_nothing_that_was_typed() {
    let scene = Scene::set(TestGateway::embedded()).await;
    let file = scene.gateway.folder().join("vestibule.db");
    let address = format!("sqlite://{}", file.display());
    let mut other = sqlx::SqliteConnection::connect(&address).await.unwrap();
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut other);
    lock.await.expect("a lock");
    let page = scene.sends_in_vain().await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    scene.sends_again(page).await;
}

/// FT-07: with sessions elsewhere, whoever is signed in needs no database for what is forwarded.
#[tokio::test]
async fn whoever_is_signed_in_goes_on_while_the_database_is_away() {
    let mut postgres = Postgres::start();
    let scene = Scene::set(TestGateway::distributed_on(&postgres)).await;
    let page = registers(scene.page.clone()).await;
    page.waits_until_on(DEEP_LINK).await;
    postgres.stop();
    for _ in 0..5 {
        scene
            .browser
            .fetch("GET", "/things", None)
            .await
            .has_status(200);
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    }
    postgres.resume_after_stop();
    scene.browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);
}
