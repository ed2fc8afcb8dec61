//! A gateway in front of platforms with REST APIs, spoken to by the shipped files: first login,
//! registration, page first asked for; and those who are known.

use serde_json::json;

use super::first_login::{giulia, registers};
use super::harness::rest_platform::{RestServer, Tongue};
use super::harness::{GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups};

const DEEP_LINK: &str = "/dashboards/17?tab=values";

struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
    server: RestServer,
}

impl Stage {
    async fn set(tongue: Tongue) -> Self {
        let stage = Self {
            provider: OidcProvider::start().await,
            upstream: Upstream::start().await,
            server: RestServer::start(tongue).await,
        };
        giulia(&stage.provider).await;
        stage
    }

    async fn start<'a>(&'a self, mut set_up: GatewayBuilder<'a>) -> TestGateway {
        let mut secrets = Vec::new();
        for (name, secret) in self.server.secrets() {
            let variable = format!("REST_{}", name.to_uppercase());
            secrets.push(format!("{name} = {{ env = \"{variable}\" }}"));
            set_up = set_up.environment(&variable, secret);
        }
        let platform = format!(
            "[platform]\nkind = \"rest\"\nid = \"rest\"\nurl = \"{}\"\nfile = \"{}\"\n\
             secrets = {{ {} }}\n",
            self.server.url(),
            self.server.file(),
            secrets.join(", ")
        );
        set_up
            .provider(&self.provider)
            .upstream(&self.upstream)
            .config(&platform)
            .start()
            .await
    }
}

async fn a_first_time_user_registers(set_up: GatewayBuilder<'_>, tongue: Tongue) {
    let stage = Stage::set(tongue).await;
    let gateway = stage.start(set_up).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    assert_eq!(stage.server.counts(), [0, 0, 0]);
    registers(page).await.waits_until_on(DEEP_LINK).await;

    assert_eq!(stage.server.counts(), [1, 1, 1]);
    let user = stage.server.user("giulia@ferraro.example").unwrap();
    let request = stage.upstream.last_request();
    assert_eq!(request.target, DEEP_LINK);
    assert_eq!(request.header("x-vestibule-user"), user["id"].as_str());
    let customer = request.header("x-vestibule-customer");
    assert_eq!(customer, user["customer"].as_str());

    let again = gateway.browser().open("/again").await;
    again.login_at_provider("giulia").await.lands_on("/again");
    assert_eq!(stage.server.counts(), [1, 1, 1]);
}

on_both_set_ups!(a_first_time_user_is_made_in_a_crud_service_and_lands_on_her_page);

async fn a_first_time_user_is_made_in_a_crud_service_and_lands_on_her_page(
    set_up: GatewayBuilder<'_>,
) {
    a_first_time_user_registers(set_up, Tongue::Crud).await;
}

#[tokio::test]
async fn the_same_in_a_platform_with_tenants_and_logins() {
    a_first_time_user_registers(TestGateway::embedded(), Tongue::Tenant).await;
}

#[tokio::test]
async fn a_user_who_is_there_already_connects_by_the_platforms_password() {
    let stage = Stage::set(Tongue::Tenant).await;
    stage.server.staff_makes_user(json!({
        "email": "giulia@ferraro.example", "password": "correct horse", "first": "Giulia",
        "last": "Ferraro", "type": "CUSTOMER_BUSINESS", "role": "USER", "language": "it",
    }));
    let gateway = stage.start(TestGateway::embedded()).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    let page = page
        .lands_on("/auth/register/prove")
        .shows("Connect your existing account")
        .fill("Your Acme password", "not hers")
        .press("Connect account")
        .await;
    assert_eq!(page.status(), 422);
    page.shows("This password is not right")
        .fill("Your Acme password", "correct horse")
        .press("Connect account")
        .await
        .tick("I have read and accept: Terms of use")
        .press("Accept and continue")
        .await
        .lands_on(DEEP_LINK);
    assert_eq!(stage.server.counts(), [0, 0, 1], "no second account");
}

#[tokio::test]
async fn a_user_whom_the_platform_blocks_does_not_come_in() {
    let stage = Stage::set(Tongue::Crud).await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on(DEEP_LINK).await;
    let user = stage.server.user("giulia@ferraro.example").unwrap();
    stage
        .server
        .set_enabled(user["id"].as_str().unwrap(), false);
    stage.upstream.forget();
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    assert_eq!(page.status(), 403);
    assert!(stage.upstream.requests().is_empty());
}
