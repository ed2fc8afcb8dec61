//! `kill -9` before and after every effect of provisioning, then a start: the registration ends as
//! it must, nothing is doubled, and the user's next request goes through. Needs the feature
//! `fault-points`.

use std::sync::Arc;
use std::time::Duration;

use vestibule::clock::SystemClock;
use vestibule::database::{Database, DatabaseAddress};
use vestibule::identity::{
    AccountType, CustomerId, CustomerOptions, EmailAddress, PlatformId, UserOptions,
};
use vestibule::platform::builtin::{Added, BuiltinPlatform};
use vestibule::platform::{BelongsTo, NewCustomer, NewUser};

use crate::first_login::{giulia, registers};
use crate::harness::{Browser, OidcProvider, TestGateway, Upstream};

pub const FAULT: &str = "VESTIBULE_FAULT_POINT";
pub const DEEP_LINK: &str = "/things/17?tab=values";

/// Where provisioning is interrupted on its way.
pub const ON_THE_WAY: &[&str] = &[
    "create_customer.begun",
    "create_customer.made",
    "create_customer.done",
    "create_location.begun",
    "create_location.made",
    "create_location.done",
    "create_user.begun",
    "create_user.made",
    "create_user.done",
    "registration.finished",
    "registration.completed",
];

/// Where undoing is interrupted.
pub const ON_THE_WAY_BACK: &[&str] = &[
    "registration.turned_back",
    "create_user.taken_back",
    "create_user.undone",
    "create_location.taken_back",
    "create_location.undone",
    "create_customer.taken_back",
    "create_customer.undone",
];

/// A gateway whose next registration is interrupted, and somebody who has come to its form.
struct Scene {
    gateway: TestGateway,
    browser: Browser,
    upstream: Upstream,
    _provider: OidcProvider,
}

impl Scene {
    async fn interrupted_at(point: &str) -> Self {
        let provider = OidcProvider::start().await;
        let upstream = Upstream::start().await;
        let mut gateway = TestGateway::embedded()
            .provider(&provider)
            .upstream(&upstream)
            .environment(FAULT, point)
            .start()
            .await;
        giulia(&provider).await;
        let browser = gateway.browser();
        let page = browser
            .open(DEEP_LINK)
            .await
            .login_at_provider("giulia")
            .await;
        // The gateway may be gone before it answers.
        let _ = tokio::spawn(registers(page)).await;
        gateway.node(0).ends().await;
        gateway.node(0).unset(FAULT);
        Self {
            gateway,
            browser,
            upstream,
            _provider: provider,
        }
    }

    /// The builtin platform's tables, while the gateway is down.
    async fn back_office(&self) -> (Database, Arc<BuiltinPlatform>) {
        let file = self.gateway.folder().join("vestibule.db");
        let database = Database::open(&DatabaseAddress::Sqlite(file))
            .await
            .unwrap();
        let id = PlatformId::new("main");
        let platform = BuiltinPlatform::new(id, database.clone(), Arc::new(SystemClock));
        (database, Arc::new(platform))
    }

    /// Makes the user whose address the interrupted registration wants.
    async fn somebody_takes_the_address(&self) {
        let (database, platform) = self.back_office().await;
        let customer = NewCustomer {
            account_type: AccountType::Business,
            name: "Ferraro".to_owned(),
            code: None,
            fields: serde_json::Map::new(),
            options: CustomerOptions::default(),
        };
        let made = platform.add_customer(&customer, None).await.unwrap();
        let user = NewUser {
            belongs_to: BelongsTo::Customer(CustomerId::new(made.into_inner().as_str())),
            email: EmailAddress::parse("giulia@ferraro.example").unwrap(),
            name: "Giulia Ferraro".to_owned(),
            account_type: AccountType::Business,
            language: "it".to_owned(),
            administrator: false,
            fields: serde_json::Map::new(),
            options: UserOptions::default(),
        };
        platform.add_user(&user, Added::default()).await.unwrap();
        database.close().await;
    }
}

#[tokio::test]
async fn a_registration_survives_every_crash_and_nothing_is_doubled() {
    for point in ON_THE_WAY {
        let mut scene = Scene::interrupted_at(point).await;
        assert!(scene.upstream.requests().is_empty(), "{point}");
        scene.gateway.restart().await;
        let page = scene.browser.open(DEEP_LINK).await;
        page.waits_until_on(DEEP_LINK).await;
        assert_eq!(scene.gateway.platform_counts().await, [1, 1, 1], "{point}");
        let request = scene.upstream.last_request();
        assert!(request.header("x-vestibule-user").is_some(), "{point}");
    }
}

#[tokio::test]
async fn undoing_survives_every_crash_and_leaves_nothing() {
    for point in ON_THE_WAY_BACK {
        let mut scene = Scene::interrupted_at("create_user.begun").await;
        scene.somebody_takes_the_address().await;
        scene.gateway.node(0).set(FAULT, point);
        scene.gateway.node(0).start();
        scene.gateway.node(0).ends().await;
        scene.gateway.node(0).unset(FAULT);
        scene.gateway.restart().await;
        for _ in 0..100 {
            if scene.gateway.platform_counts().await == [1, 0, 1] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        scene.browser.open(DEEP_LINK).await;
        assert_eq!(
            scene.gateway.platform_counts().await,
            [1, 0, 1],
            "{point}: only the other's is there"
        );
        assert!(scene.upstream.requests().is_empty(), "{point}");
    }
}
