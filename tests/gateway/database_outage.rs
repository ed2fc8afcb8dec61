//! A registration is sent while the database cannot take it: 503, nothing is half done, and what was
//! typed travels in the page, to be sent again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::databases::migrations;
use crate::first_login::{giulia, registers};
use crate::harness::{
    Browser, GatewayBuilder, OidcProvider, Page, Postgres, TestGateway, Upstream, wait_until_async,
    waits_for_locks,
};

const DEEP_LINK: &str = "/things/17?tab=values";

/// Giulia at the registration page.
struct Scene {
    gateway: TestGateway,
    upstream: Upstream,
    browser: Browser,
    page: Page,
    provider: OidcProvider,
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
            provider,
        }
    }

    /// Another connection to the database, with which to hold up the gateway's.
    async fn other(&self) -> PgConnection {
        let connecting = PgConnection::connect(self.gateway.database());
        connecting.await.expect("a connection")
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

/// FT-07: all connections of the node wait for a lock, and more requests for a connection.
#[tokio::test]
async fn whoever_is_signed_in_goes_on_while_every_connection_waits() {
    let scene = Scene::set(TestGateway::distributed()).await;
    let page = registers(scene.page.clone()).await;
    page.waits_until_on(DEEP_LINK).await;
    let luca = json!({ "name": "Luca", "email": "luca@ferraro.example", "email_verified": true });
    scene.provider.person("luca", luca).await;
    let newcomer = scene.gateway.browser();
    let page = newcomer.open(DEEP_LINK).await;
    let page = page.login_at_provider("luca").await;

    let (mut other, mut observer) = (scene.other().await, scene.other().await);
    let mut lock = other.begin().await.unwrap();
    let statement = "LOCK TABLE registrations, account_links IN ACCESS EXCLUSIVE MODE";
    lock.execute(statement).await.unwrap();
    let held_up = tokio::spawn({
        let newcomer = newcomer.clone();
        async move { join_all((0..40).map(|_| newcomer.open("/auth/register"))).await }
    });
    waits_for_locks(&mut observer, 14).await;
    for _ in 0..5 {
        let began = Instant::now();
        let answer = scene.browser.fetch("GET", "/things", None).await;
        answer.has_status(200);
        assert!(began.elapsed() < Duration::from_secs(2), "it waits as well");
    }
    for page in held_up.await.unwrap() {
        assert_eq!(page.status(), 503, "{page:?}");
    }
    lock.rollback().await.unwrap();
    registers(page).await.waits_until_on(DEEP_LINK).await;
}

/// FT-07: PostgreSQL ends a deadlock by giving up the gateway's transaction.
#[tokio::test]
async fn a_transaction_that_gave_way_loses_nothing_that_was_typed() {
    let scene = Scene::set(TestGateway::distributed()).await;
    let (mut other, mut observer) = (scene.other().await, scene.other().await);
    let mut lock = other.begin().await.unwrap();
    // Whoever looks for a deadlock first gives way: not this one.
    lock.execute("SET LOCAL deadlock_timeout = '1min'")
        .await
        .unwrap();
    lock.execute("LOCK TABLE acceptances IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let crossing = async {
        waits_for_locks(&mut observer, 1).await;
        let statement = "LOCK TABLE registrations IN ACCESS EXCLUSIVE MODE";
        lock.execute(statement).await.unwrap();
        lock.rollback().await.unwrap();
    };
    let (page, ()) = tokio::join!(scene.sends_in_vain(), crossing);
    wait_until_async("PostgreSQL has counted it", async || {
        let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let mut observer = scene.other().await;
        let deadlocks: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut observer)
            .await
            .unwrap();
        deadlocks == 1
    })
    .await;
    scene.sends_again(page).await;
}

/// FT-07: what a server says whose transactions are serializable.
#[tokio::test]
async fn a_transaction_that_cannot_be_serialized_loses_nothing_that_was_typed() {
    let scene = Scene::set(TestGateway::distributed()).await;
    let mut other = scene.other().await;
    let refusing = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                    RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$; \
                    CREATE TRIGGER refuse BEFORE INSERT ON acceptances \
                    FOR EACH ROW EXECUTE FUNCTION refuse()";
    other.execute(sqlx::raw_sql(refusing)).await.unwrap();
    let page = scene.sends_in_vain().await;
    other
        .execute("DROP TRIGGER refuse ON acceptances")
        .await
        .unwrap();
    scene.sends_again(page).await;
}

/// FT-07: while nodes are replaced one by one, those of the version before work on the new schema,
/// and start on it.
#[tokio::test]
async fn a_node_works_on_the_schema_of_the_version_after_it() {
    let mut scene = Scene::set(TestGateway::distributed()).await;
    let next = "CREATE TABLE of_the_next (id TEXT NOT NULL PRIMARY KEY);\n\
                ALTER TABLE registrations ADD COLUMN of_the_next TEXT;\n";
    let later = migrations(usize::MAX, &[("9001_next.sql", next)]).await;
    later.run(&mut scene.other().await).await.unwrap();
    let page = registers(scene.page.clone()).await;
    page.waits_until_on(DEEP_LINK).await;
    scene.gateway.kill9();
    scene.gateway.restart().await;
    scene.browser.open(DEEP_LINK).await.lands_on(DEEP_LINK);
    assert_eq!(scene.gateway.platform_counts().await, [1, 1, 1]);
}
