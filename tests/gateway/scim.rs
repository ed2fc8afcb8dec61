//! SCIM servers as they are: with our extensions and without, customers as groups and as
//! organizations, the gateway's ways in; and the journeys of somebody whose platform is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use vestibule::identity::{AccountType, CustomerId, PlatformId, UserId};
use vestibule::platform::scim::{CannotUse, Scim};
use vestibule::platform::{
    Made, NewCustomer, NewUser, Platform, PlatformError, ScimCredentials, ScimCustomers,
    ScimSettings, Undone,
};

use super::first_login::{giulia, registers};
use super::harness::scim::{Kind, SCIM_TOKEN, ScimServer};
use super::harness::{GatewayBuilder, OidcProvider, TestGateway, Upstream, on_both_set_ups};
use super::platform_contract::places::scim_adapter;
use super::thingsboard::{company, email, home_of, new_mark, user_of};

const DEEP_LINK: &str = "/dashboards/17?tab=values";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async fn made_customer(platform: &Scim) -> CustomerId {
    let made = platform
        .ensure_customer(&new_mark(), &company("Acme"))
        .await;
    made.unwrap().into_inner()
}

async fn made_user(platform: &Scim, customer: &CustomerId, address: &str) -> UserId {
    let new = user_of(customer, address);
    let made = platform.ensure_user(&new_mark(), &new, None).await;
    made.unwrap().into_inner()
}

#[tokio::test]
async fn what_is_made_looks_as_the_standard_has_it() {
    let server = ScimServer::start(Kind::Full).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    let mark = new_mark();
    let made = platform.ensure_customer(&mark, &company("Acme")).await;
    let customer = made.unwrap().into_inner();
    let mut new = user_of(&customer, "mario@acme.example");
    for (field, value) in [("city", "Modena"), ("address", "Via Roma 1")] {
        new.fields.insert(field.to_owned(), json!(value));
    }
    let password = SecretString::from("violet tractor umbrella");
    let made = platform.ensure_user(&mark, &new, Some(&password)).await;
    let id = made.unwrap().into_inner();

    let group = &server.all("/Groups").await[0];
    assert_eq!(group["displayName"], "Acme");
    assert_eq!(
        group["externalId"],
        format!("customer:business:{}", mark.as_str())
    );
    assert_eq!(group["members"], json!([{ "value": id.as_str() }]));
    let user = &server.all("/Users").await[0];
    assert_eq!(user["externalId"], mark.as_str());
    assert_eq!(user["userName"], "mario@acme.example");
    assert_eq!(user["name"]["familyName"], "Rossi");
    assert_eq!(user["preferredLanguage"], "it");
    assert_eq!(user["phoneNumbers"][0]["value"], "+390461234567");
    assert_eq!(user["addresses"][0]["streetAddress"], "Via Roma 1");
    assert_eq!(user["addresses"][0]["locality"], "Modena");
    assert_eq!(user["active"], true);
    let bodies = server.bodies();
    let posted = bodies.iter().find(|body| body["userName"].is_string());
    assert_eq!(posted.unwrap()["password"], "violet tractor umbrella");
}

#[tokio::test]
async fn a_server_without_our_extensions_has_customers_and_users_all_the_same() {
    let server = ScimServer::start(Kind::Plain).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    platform.introduce().await.unwrap();
    assert!(!platform.capabilities().locations);
    let person = NewCustomer {
        account_type: AccountType::Personal,
        code: Some("M-1".to_owned()),
        ..company("Mario Rossi")
    };
    let mark = new_mark();
    let customer = platform.ensure_customer(&mark, &person).await.unwrap();
    let customer = customer.into_inner();
    let new = user_of(&customer, "mario@acme.example");
    let user = platform.ensure_user(&mark, &new, None).await.unwrap();
    let user = platform.user(&user.into_inner()).await.unwrap().unwrap();
    assert_eq!(user.customer, Some(customer.clone()));
    assert_eq!(user.account_type, Some(AccountType::Personal));
    assert!(!user.has_password && !user.email_proves);
    let location = platform.ensure_location(&mark, &home_of(&customer)).await;
    assert!(
        matches!(location, Err(PlatformError::NotSetUp { .. })),
        "{location:?}"
    );
    assert_eq!(platform.customer_by_code("M-1").await.unwrap(), None);
    let profile = platform.profile(&user.id).await.unwrap().unwrap();
    assert_eq!(profile.user["phone"], "+390461234567");
    platform.remove_user(&mark, &new).await.unwrap();
    let undone = platform.remove_customer(&mark, &person).await;
    assert_eq!(undone.unwrap(), Undone::Removed);
    assert_eq!(server.counts().await, [0, 0, 0]);
}

#[tokio::test]
async fn what_people_write_does_not_end_a_filter() {
    for kind in [Kind::Full, Kind::Poor] {
        let server = ScimServer::start(kind).await;
        let platform = scim_adapter(&server, ScimCustomers::Groups);
        let mut made = Vec::new();
        for code in [
            r#"a" or displayName pr or code eq ""#,
            r"b\",
            "c",
            "ü\u{1f600}",
        ] {
            let coded = NewCustomer {
                code: Some(code.to_owned()),
                ..company("Acme")
            };
            let id = platform.ensure_customer(&new_mark(), &coded).await;
            made.push((code, id.unwrap().into_inner()));
        }
        for (code, id) in made {
            let found = platform.customer_by_code(code).await.unwrap();
            assert_eq!(found.map(|found| found.id), Some(id), "{code}");
        }
    }
}

#[tokio::test]
async fn groups_of_other_kinds_are_no_customers() {
    let server = ScimServer::start(Kind::Full).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    let customer = made_customer(&platform).await;
    let user = made_user(&platform, &customer, "mario@acme.example").await;
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Everybody",
        "members": [{ "value": user.as_str() }],
    });
    let other = server.staff(Method::POST, "/Groups", Some(group)).await;
    let other = CustomerId::new(other["id"].as_str().unwrap());
    assert_eq!(platform.customer(&other).await.unwrap(), None);
    let found = platform.user(&user).await.unwrap().unwrap();
    assert_eq!(found.customer.as_ref(), Some(&customer));
    let refused = platform
        .ensure_user(&new_mark(), &user_of(&other, "luigi@acme.example"), None)
        .await;
    assert!(matches!(refused, Err(PlatformError::Refused { field }) if field == "customer"));

    let path = format!("/Groups/{}", customer.as_str());
    let mut record = server.staff(Method::GET, &path, None).await;
    record["members"] = json!([]);
    server.staff(Method::PUT, &path, Some(record)).await;
    let found = platform.user(&user).await.unwrap().unwrap();
    assert_eq!(found.customer, None, "staff took him out");
}

#[tokio::test]
async fn a_colleague_who_comes_in_while_a_customer_is_undone_keeps_it() {
    let server = ScimServer::start(Kind::Full).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    let mark = new_mark();
    let made = platform.ensure_customer(&mark, &company("Acme")).await;
    let customer = made.unwrap().into_inner();
    let slow = super::harness::thingsboard::Fault::Slow(std::time::Duration::from_secs(2));
    server.strikes(slow, "DELETE", customer.as_str());
    let acme = company("Acme");
    let undoing = platform.remove_customer(&mark, &acme);
    let joining = async {
        // Once it was looked whether anybody is in there.
        while !server
            .asked()
            .iter()
            .any(|(method, _)| method == Method::DELETE)
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        made_user(&platform, &customer, "luigi@acme.example").await
    };
    let (undone, _) = tokio::join!(undoing, joining);
    assert_eq!(undone.unwrap(), Undone::Kept);
    assert_eq!(server.counts().await, [1, 0, 1]);
}

#[tokio::test]
async fn an_address_of_two_users_proves_nothing_and_one_of_another_name_is_found() {
    let server = ScimServer::start(Kind::Full).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    let staff_makes = async |name: &str| {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "emails": [{ "value": "Mario@acme.example" }],
        });
        server.staff(Method::POST, "/Users", Some(user)).await
    };
    let first = staff_makes("mrossi").await;
    let address = email("mario@acme.example");
    let found = platform.user_by_email(&address).await.unwrap().unwrap();
    assert_eq!(found.id.as_str(), first["id"]);
    let customer = made_customer(&platform).await;
    let taken = platform
        .ensure_user(&new_mark(), &user_of(&customer, "mario@acme.example"), None)
        .await;
    assert!(matches!(taken, Err(PlatformError::EmailTaken)), "{taken:?}");
    staff_makes("mallory").await;
    let found = platform.user_by_email(&address).await.unwrap().unwrap();
    assert!(!found.email_proves);
}

#[tokio::test]
async fn organizations_of_one_name_are_two_and_a_code_names_one() {
    for kind in [Kind::Plain, Kind::Poor] {
        let server = ScimServer::start(kind).await;
        let platform = scim_adapter(&server, ScimCustomers::Organization);
        let mut customers = Vec::new();
        for address in ["mario@acme.example", "mallory@evil.example"] {
            let mark = new_mark();
            let made = platform.ensure_customer(&mark, &company("Acme")).await;
            let customer = made.unwrap().into_inner();
            let new = user_of(&customer, address);
            platform.ensure_user(&mark, &new, None).await.unwrap();
            let again = platform.ensure_customer(&mark, &company("Acme")).await;
            assert_eq!(again.unwrap(), Made::Found(customer.clone()));
            customers.push(customer);
        }
        assert_ne!(customers[0], customers[1]);
        let coded = NewCustomer {
            code: Some("M-1".to_owned()),
            ..company("Acme")
        };
        let mark = new_mark();
        let made = platform.ensure_customer(&mark, &coded).await.unwrap();
        assert_eq!(made, Made::Created(CustomerId::new("M-1")));
        let customer = made.into_inner();
        assert_eq!(
            platform.customer(&customer).await.unwrap(),
            None,
            "nobody is in there"
        );
        let new = user_of(&customer, "luigi@acme.example");
        let user = platform.ensure_user(&mark, &new, None).await.unwrap();
        let user = platform.user(&user.into_inner()).await.unwrap().unwrap();
        assert_eq!(user.customer, Some(customer.clone()));
        let found = platform.customer_by_code("M-1").await.unwrap().unwrap();
        assert_eq!(found.id, customer);
        assert_eq!(found.account_type, AccountType::Business);
        let taken = platform.ensure_customer(&new_mark(), &coded).await;
        assert!(matches!(taken, Err(PlatformError::CodeTaken)), "{taken:?}");
        let users = server.all("/Users").await;
        let luigi = users
            .iter()
            .find(|user| user["userName"] == "luigi@acme.example");
        assert_eq!(luigi.unwrap()[ENTERPRISE]["organization"], "M-1");
        let undone = platform.remove_customer(&mark, &coded).await;
        assert_eq!(undone.unwrap(), Undone::Kept);
        platform.remove_user(&mark, &new).await.unwrap();
        let undone = platform.remove_customer(&mark, &coded).await;
        assert_eq!(undone.unwrap(), Undone::Absent);
    }
}

#[tokio::test]
async fn roles_are_written_and_what_scim_lacks_is_left_out() {
    let server = ScimServer::start(Kind::Full).await;
    let platform = scim_adapter(&server, ScimCustomers::Groups);
    let customer = made_customer(&platform).await;
    let mut new: NewUser = user_of(&customer, "mario@acme.example");
    new.options.roles = serde_json::from_value(json!([{ "name": "viewer" }])).unwrap();
    new.options.menu = Some("small".to_owned());
    platform.ensure_user(&new_mark(), &new, None).await.unwrap();
    let user = &server.all("/Users").await[0];
    assert_eq!(user["roles"], json!([{ "value": "viewer" }]));
}

/// A token endpoint that grants the SCIM server's token to one client; every other one is stale.
async fn token_endpoint(grants: Arc<AtomicUsize>) -> String {
    async fn grant(
        State(grants): State<Arc<AtomicUsize>>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, String) {
        let expected = "Basic Z2F0ZXdheSUzQTE6b3BlbitzZXNhbWU=";
        let is_ours = headers["authorization"] == expected;
        if !is_ours || body != "grant_type=client_credentials&scope=scim" {
            return (
                StatusCode::BAD_REQUEST,
                json!({ "error": "invalid_client" }).to_string(),
            );
        }
        let token = match grants.fetch_add(1, Ordering::SeqCst) {
            0 => "stale",
            _ => SCIM_TOKEN,
        };
        let granted = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
        (StatusCode::OK, granted.to_string())
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/token", axum::routing::post(grant))
        .with_state(grants);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn with(server: &ScimServer, credentials: ScimCredentials) -> Scim {
    let settings = ScimSettings {
        url: server.url().parse().unwrap(),
        plain_http: false,
        credentials,
        customers: ScimCustomers::Groups,
        email_proves: true,
        timeout: std::time::Duration::from_secs(5),
        roots: vec![],
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    Scim::new(PlatformId::new("directory"), settings).unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let server = ScimServer::start(Kind::Full).await;
    let grants = Arc::new(AtomicUsize::new(0));
    let token_url: url::Url = token_endpoint(Arc::clone(&grants)).await.parse().unwrap();
    let client = |secret: &str| ScimCredentials::Client {
        token_url: token_url.clone(),
        id: "gateway:1".to_owned(),
        secret: SecretString::from(secret),
        scope: Some("scim".to_owned()),
    };
    let platform = with(&server, client("open sesame"));
    platform.introduce().await.unwrap().unwrap();
    let nobody = platform.user_by_email(&email("x@acme.example")).await;
    assert_eq!(nobody.unwrap(), None);
    assert_eq!(grants.load(Ordering::SeqCst), 2);
    let stranger = with(&server, client("guessed")).introduce().await;
    assert!(matches!(stranger, Err(CannotUse::Credentials)));
}

#[tokio::test]
async fn a_user_is_sent_as_the_standard_says_and_one_who_is_refused_is_told() {
    let server = ScimServer::start(Kind::Full).await;
    let login = ScimCredentials::Login {
        user: "gateway".to_owned(),
        password: SecretString::from("open sesame"),
    };
    let refused = with(&server, login).introduce().await;
    assert!(matches!(refused, Err(CannotUse::Credentials)));
    assert_eq!(
        server.authorizations(),
        ["Basic Z2F0ZXdheTpvcGVuIHNlc2FtZQ=="]
    );
}

struct Stage {
    provider: OidcProvider,
    upstream: Upstream,
    server: ScimServer,
}

impl Stage {
    async fn set(kind: Kind) -> Self {
        let stage = Self {
            provider: OidcProvider::start().await,
            upstream: Upstream::start().await,
            server: ScimServer::start(kind).await,
        };
        giulia(&stage.provider).await;
        stage
    }

    async fn start<'a>(&'a self, set_up: GatewayBuilder<'a>) -> TestGateway {
        let platform = format!(
            "[platform]\nkind = \"scim\"\nid = \"directory\"\nurl = \"{}\"\n\
             token = {{ env = \"SCIM_TOKEN\" }}\n",
            self.server.url()
        );
        set_up
            .provider(&self.provider)
            .upstream(&self.upstream)
            .config(&platform)
            .environment("SCIM_TOKEN", SCIM_TOKEN)
            .policy("onboarding.toml", "[sso]\nrecheck_account_every = \"1s\"\n")
            .start()
            .await
    }
}

fn id(record: &Value) -> Option<&str> {
    record["id"].as_str()
}

on_both_set_ups!(a_first_time_user_is_made_at_the_server_and_lands_on_her_page);

async fn a_first_time_user_is_made_at_the_server_and_lands_on_her_page(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set(Kind::Full).await;
    let gateway = stage.start(set_up).await;
    let log = gateway.log();
    assert!(log.contains("the platform is a SCIM server"), "{log}");
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    assert_eq!(stage.server.counts().await, [0, 0, 0]);
    registers(page).await.waits_until_on(DEEP_LINK).await;

    assert_eq!(stage.server.counts().await, [1, 1, 1]);
    let group = &stage.server.all("/Groups").await[0];
    assert_eq!(group["displayName"], "Ferraro Impianti");
    let user = &stage.server.all("/Users").await[0];
    assert_eq!(user["userName"], "giulia@ferraro.example");
    assert_eq!(group["members"][0]["value"], user["id"]);
    let request = stage.upstream.last_request();
    assert_eq!(request.target, DEEP_LINK);
    assert_eq!(request.header("x-vestibule-user"), id(user));
    assert_eq!(request.header("x-vestibule-customer"), id(group));

    let again = gateway.browser().open("/again").await;
    again.login_at_provider("giulia").await.lands_on("/again");
    assert_eq!(stage.server.counts().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_user_whom_the_server_disables_is_out_and_stays_out() {
    let stage = Stage::set(Kind::Full).await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let browser = gateway.browser();
    let page = browser.open("/").await.login_at_provider("giulia").await;
    registers(page).await.waits_until_on("/").await;
    let user = &stage.server.all("/Users").await[0];
    stage.server.set_enabled(id(user).unwrap(), false).await;
    let mut tries = 0;
    while browser.fetch("GET", "/api/me", None).await.status() != 401 {
        tries += 1;
        assert!(tries < 100, "the session of a disabled user lives on");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let page = gateway.browser().open("/").await;
    let page = page.login_at_provider("giulia").await;
    assert_eq!(page.status(), 403);
}

#[tokio::test]
async fn a_first_time_user_is_made_where_the_server_has_nothing_of_ours() {
    let stage = Stage::set(Kind::Plain).await;
    let gateway = stage.start(TestGateway::embedded()).await;
    let page = gateway.browser().open(DEEP_LINK).await;
    let page = page.login_at_provider("giulia").await;
    registers(page).await.waits_until_on(DEEP_LINK).await;
    assert_eq!(stage.server.counts().await, [1, 0, 1]);
}
