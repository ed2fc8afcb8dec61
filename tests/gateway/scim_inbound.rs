//! An identity provider tells by SCIM whom it has deactivated: their sessions end on every node,
//! and they do not come in until it says otherwise. Requests are those that Entra ID and Okta send.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::harness::{
    Browser, GatewayBuilder, OPERATOR_TOKEN, OidcProvider, Page, TestGateway, on_both_set_ups,
    wire_client,
};
use super::known_user::{Stage, registered};

const CORP: &str = "the SCIM token of the provider corp";
const PARTNERS: &str = "the SCIM token of the provider partners";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn source(provider: &str, token: &str, match_by: &str) -> String {
    format!(
        "[[admin.scim]]\nidentity_provider = \"{provider}\"\ntoken = {{ env = \"{token}\" }}\n\
         match = \"{match_by}\"\n"
    )
}

/// A gateway that `corp` tells of its people.
pub fn told_by<'a>(set_up: GatewayBuilder<'a>, match_by: &str) -> GatewayBuilder<'a> {
    set_up
        .config(&source("corp", "CORP_SCIM", match_by))
        .environment("CORP_SCIM", CORP)
}

/// Mario's provider, which tells by subject, and one node.
async fn embedded() -> (Stage, TestGateway) {
    let stage = Stage::set().await;
    let set_up = told_by(TestGateway::embedded(), "subject");
    let gateway = stage.start(set_up).await;
    (stage, gateway)
}

on_both_set_ups!(a_block_holds_for_the_address_that_somebody_had_before);

async fn a_block_holds_for_the_address_that_somebody_had_before(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(told_by(set_up, "email")).await;
    let corp = Client::corp(&gateway);
    registered(&gateway).await;
    let id = corp.takes_up_mario("mario@acme.example").await;
    let other = json!({ "email": "other@acme.example", "email_verified": true, "name": "Mario" });
    stage.provider.person("mario", other).await;
    let browser = gateway.browser();
    browser.open("/").await.login_at_provider("mario").await;
    browser.fetch("GET", "/things", None).await.has_status(200);
    corp.deactivates(&id).await;
    is_out(&browser).await;
    assert_eq!(comes_back(&gateway).await.status(), 403);
}

#[tokio::test]
async fn whoever_gets_the_name_of_somebody_deleted_does_not_let_them_in() {
    let (_stage, gateway) = embedded().await;
    let corp = Client::corp(&gateway);
    registered(&gateway).await;
    let id = corp.takes_up_mario("mario@acme.example").await;
    let (status, _) = corp
        .send(Method::DELETE, &format!("/Users/{id}"), None)
        .await;
    assert_eq!(status, 204);
    assert_eq!(comes_back(&gateway).await.status(), 403);
    let next = json!({
        "schemas": [USER], "externalId": "mario-2", "userName": "mario@acme.example",
        "active": true,
    });
    let (status, _) = corp.send(Method::POST, "/Users", Some(next)).await;
    assert_eq!(status, 201);
    assert_eq!(comes_back(&gateway).await.status(), 403);
}

/// What a SCIM client sends, and what comes back.
pub struct Client<'a> {
    gateway: &'a TestGateway,
    token: &'a str,
}

impl<'a> Client<'a> {
    /// The provider `corp`.
    pub fn corp(gateway: &'a TestGateway) -> Self {
        Self {
            gateway,
            token: CORP,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = self.gateway.admin(&format!("/scim/v2{path}"));
        let mut call = wire_client().request(method, url).bearer_auth(self.token);
        if let Some(body) = body {
            call = call
                .header("Content-Type", "application/scim+json")
                .body(body.to_string());
        }
        let answer = call.send().await.expect("the endpoint answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn find(&self, filter: &str) -> Vec<Value> {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let (status, page) = self
            .send(Method::GET, &format!("/Users?filter={filter}"), None)
            .await;
        assert_eq!(status, 200, "{page}");
        let found = page["Resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(page["totalResults"], found.len());
        found
    }

    /// Takes Mario up as Entra ID does: it looks first, and sends everything that it has.
    pub async fn takes_up_mario(&self, name: &str) -> String {
        assert!(
            self.find(&format!("userName eq \"{name}\""))
                .await
                .is_empty()
        );
        let mario = json!({
            "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "externalId": "mario",
            "userName": name,
            "active": true,
            "emails": [{ "primary": true, "type": "work", "value": "mario@acme.example" }],
            "name": { "formatted": "Mario Rossi", "familyName": "Rossi", "givenName": "Mario" },
            "roles": [],
        });
        let (status, made) = self.send(Method::POST, "/Users", Some(mario)).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn deactivates(&self, id: &str) {
        let off = json!({ "op": "replace", "value": { "active": false } });
        let person = self.patches(id, off).await;
        assert_eq!(person["active"], false);
    }

    async fn patches(&self, id: &str, operation: Value) -> Value {
        let body = json!({ "schemas": [PATCH], "Operations": [operation] });
        let (status, person) = self
            .send(Method::PATCH, &format!("/Users/{id}"), Some(body))
            .await;
        assert_eq!(status, 200, "{person}");
        person
    }
}

async fn comes_back(gateway: &TestGateway) -> Page {
    gateway
        .browser()
        .open("/")
        .await
        .login_at_provider("mario")
        .await
}

async fn is_out(browser: &Browser) {
    for _ in 0..50 {
        if browser.fetch("GET", "/things", None).await.status() == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the session lives on");
}

on_both_set_ups!(entra_deactivates_and_activates_a_person);

async fn entra_deactivates_and_activates_a_person(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(told_by(set_up, "subject")).await;
    let corp = Client::corp(&gateway);
    let browser = registered(&gateway).await;
    let id = corp.takes_up_mario("mario@acme.example").await;
    browser.fetch("GET", "/things", None).await.has_status(200);

    let off = json!({ "op": "Replace", "path": "active", "value": "False" });
    let person = corp.patches(&id, off.clone()).await;
    assert_eq!(person["active"], false);
    is_out(&browser).await;
    assert_eq!(comes_back(&gateway).await.status(), 403);
    let found = corp.find("userName eq \"Mario@ACME.example\"").await;
    assert_eq!(found[0]["active"], false);
    corp.patches(&id, off).await;

    let on = json!({ "op": "Replace", "path": "active", "value": "True" });
    corp.patches(&id, on).await;
    comes_back(&gateway)
        .await
        .lands_on("/")
        .shows("The platform");
    assert_eq!(gateway.count("account_links").await, 1, "the same account");
}

on_both_set_ups!(okta_deactivates_a_person_told_by_their_address);

async fn okta_deactivates_a_person_told_by_their_address(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(told_by(set_up, "email")).await;
    let corp = Client::corp(&gateway);
    let browser = registered(&gateway).await;
    let id = corp.takes_up_mario("Mario@Acme.example").await;
    let person = corp
        .patches(
            &id,
            json!({ "op": "replace", "value": { "active": false } }),
        )
        .await;
    assert_eq!(person["active"], false);
    is_out(&browser).await;
    assert_eq!(comes_back(&gateway).await.status(), 403);

    // An address that the person changes at the provider does not help.
    let other = json!({ "email": "other@acme.example", "email_verified": true, "name": "Mario" });
    stage.provider.person("mario", other).await;
    assert_eq!(comes_back(&gateway).await.status(), 403);

    let whole =
        json!({ "schemas": [USER], "id": id, "userName": "mario@acme.example", "active": true });
    let (status, _) = corp
        .send(Method::PUT, &format!("/Users/{id}"), Some(whole))
        .await;
    assert_eq!(status, 200);
    comes_back(&gateway).await.lands_on("/");
}

#[tokio::test]
async fn on_two_nodes_a_deactivation_at_one_ends_sessions_at_both() {
    let stage = Stage::set().await;
    let set_up = told_by(TestGateway::distributed().nodes(2), "subject");
    let gateway = stage.start(set_up).await;
    let corp = Client::corp(&gateway);
    let browser = registered(&gateway).await;
    for _ in 0..4 {
        browser.fetch("GET", "/things", None).await.has_status(200);
    }
    let id = corp.takes_up_mario("mario").await;
    let (status, _) = corp
        .send(Method::DELETE, &format!("/Users/{id}"), None)
        .await;
    assert_eq!(status, 204);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..4 {
        browser.fetch("GET", "/things", None).await.has_status(401);
    }
}

on_both_set_ups!(whoever_is_told_of_before_their_first_login_is_judged_at_it);

async fn whoever_is_told_of_before_their_first_login_is_judged_at_it(set_up: GatewayBuilder<'_>) {
    let stage = Stage::set().await;
    let gateway = stage.start(told_by(set_up, "subject")).await;
    let corp = Client::corp(&gateway);
    let id = corp.takes_up_mario("mario@acme.example").await;
    assert_eq!(gateway.count("builtin_users").await, 0, "nothing is made");
    let again = json!({ "schemas": [USER], "userName": "MARIO@acme.example", "externalId": "x" });
    let (status, error) = corp.send(Method::POST, "/Users", Some(again)).await;
    assert_eq!(
        (status.as_u16(), &error["scimType"]),
        (409, &json!("uniqueness"))
    );

    corp.deactivates(&id).await;
    assert_eq!(comes_back(&gateway).await.status(), 403);
    assert_eq!(gateway.count("builtin_users").await, 0);

    // Whoever is deleted stays out, until the provider takes them up anew.
    let (status, _) = corp
        .send(Method::DELETE, &format!("/Users/{id}"), None)
        .await;
    assert_eq!(status, 204);
    let (status, _) = corp.send(Method::GET, &format!("/Users/{id}"), None).await;
    assert_eq!(status, 404);
    assert_eq!(comes_back(&gateway).await.status(), 403);
    corp.takes_up_mario("mario@acme.example").await;
    comes_back(&gateway).await.lands_on("/auth/register");
}

#[tokio::test]
async fn a_person_who_is_deactivated_while_they_register_is_out() {
    let (_stage, gateway) = embedded().await;
    let corp = Client::corp(&gateway);
    let page = comes_back(&gateway).await.lands_on("/auth/register");
    let id = corp.takes_up_mario("mario").await;
    corp.deactivates(&id).await;
    page.press("Create account").await;
    assert_eq!(gateway.count("builtin_users").await, 0);
    assert_eq!(comes_back(&gateway).await.status(), 403);
}

#[tokio::test]
async fn a_block_that_nobody_could_match_to_a_session_is_found_at_the_account_check() {
    let stage = Stage::set().await;
    let often = "[sso]\ncreate_customer_on_first_login = true\naccount_types = [\"personal\"]\n\
                 recheck_account_every = \"1s\"\n";
    let set_up = TestGateway::embedded()
        .provider(&stage.provider)
        .upstream(&stage.upstream)
        .policy("onboarding.toml", often)
        .policy("signup/default.toml", "[[field]]\nname = \"name\"\n");
    let gateway = told_by(set_up, "email").start().await;
    let browser = registered(&gateway).await;
    gateway.forget("people_identities").await;
    let corp = Client::corp(&gateway);
    let id = corp.takes_up_mario("mario@acme.example").await;
    corp.deactivates(&id).await;
    is_out(&browser).await;
}

#[tokio::test]
async fn a_providers_token_touches_its_own_people_and_nothing_else() {
    let (stage, partners) = (Stage::set().await, OidcProvider::start().await);
    let mario = json!({ "email": "mario@acme.example", "email_verified": true, "name": "Mario" });
    partners.person("mario", mario).await;
    let set_up = told_by(TestGateway::embedded(), "subject")
        .config(&source("partners", "PARTNERS_SCIM", "email"))
        .environment("PARTNERS_SCIM", PARTNERS)
        .provider(&stage.provider)
        .provider(&partners)
        .upstream(&stage.upstream)
        .policy("signup/default.toml", "[[field]]\nname = \"name\"\n");
    let gateway = set_up.start().await;
    let corp = Client::corp(&gateway);
    let other = Client {
        gateway: &gateway,
        token: PARTNERS,
    };
    let id = corp.takes_up_mario("mario@acme.example").await;
    assert!(other.find("externalId eq \"mario\"").await.is_empty());
    let path = format!("/Users/{id}");
    let off = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "value": { "active": false } }] });
    for (method, body) in [
        (Method::GET, None),
        (Method::PATCH, Some(off)),
        (
            Method::PUT,
            Some(json!({ "userName": "mario@acme.example", "active": false })),
        ),
        (Method::DELETE, None),
    ] {
        let (status, _) = other.send(method.clone(), &path, body).await;
        assert_eq!(status, 404, "{method}");
    }
    // The other provider blocks its own person of the same name.
    let theirs = other.takes_up_mario("mario@acme.example").await;
    other.deactivates(&theirs).await;
    assert_eq!(
        corp.find(&format!("id eq \"{id}\"")).await[0]["active"],
        true
    );
    let page = gateway.browser().open("/").await;
    let page = page
        .follow("Provider corp")
        .await
        .login_at_provider("mario")
        .await;
    page.lands_on("/auth/register");
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_and_nothing_else() {
    let (_stage, gateway) = embedded().await;
    for (token, path, status) in [
        (CORP, "/operator/v1/registrations", 401),
        (CORP, "/platform/v1/users", 401),
        (OPERATOR_TOKEN, "/scim/v2/Users", 401),
        ("wrong", "/scim/v2/Users", 401),
        ("", "/scim/v2/ServiceProviderConfig", 401),
        (CORP, "/scim/v2/ServiceProviderConfig", 200),
        (CORP, "/scim/v2/Groups", 404),
    ] {
        let call = wire_client().get(gateway.admin(path)).bearer_auth(token);
        assert_eq!(call.send().await.unwrap().status(), status, "{path}");
    }
    let public = format!("{}/scim/v2/Users", gateway.origin());
    let call = wire_client()
        .get(public)
        .bearer_auth(CORP)
        .header("X-Requested-With", "fetch");
    assert_ne!(
        call.send().await.unwrap().status(),
        200,
        "not on the public address"
    );
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_scims_words() {
    let (_stage, gateway) = embedded().await;
    let corp = Client::corp(&gateway);
    let id = corp.takes_up_mario("mario").await;
    let path = format!("/Users/{id}");
    for (method, path, body, kind) in [
        (
            Method::POST,
            "/Users",
            json!({ "externalId": "x" }),
            "invalidValue",
        ),
        (
            Method::POST,
            "/Users",
            json!({ "userName": "x" }),
            "invalidValue",
        ),
        (Method::POST, "/Users", json!("x"), "invalidSyntax"),
        (
            Method::PUT,
            &*path,
            json!({ "userName": "x", "externalId": "x", "active": "no" }),
            "invalidValue",
        ),
        (
            Method::PATCH,
            &*path,
            json!({ "Operations": [{ "op": "replace", "value": 1 }] }),
            "noTarget",
        ),
        (
            Method::GET,
            "/Users?filter=title%20pr",
            Value::Null,
            "invalidFilter",
        ),
    ] {
        let (status, error) = corp.send(method, path, Some(body.clone())).await;
        assert_eq!(status, 400, "{body}: {error}");
        assert_eq!(error["scimType"], kind, "{body}");
        assert_eq!(error["status"], "400");
    }
    let outdated = wire_client()
        .delete(gateway.admin(&format!("/scim/v2{path}")))
        .bearer_auth(CORP)
        .header("If-Match", "W/\"7\"");
    assert_eq!(outdated.send().await.unwrap().status(), 412);
    let log = gateway.log();
    assert!(
        !log.contains(CORP) && !log.contains("mario"),
        "nobody is logged"
    );
}

#[tokio::test]
async fn people_are_found_by_a_question_in_a_body() {
    let (_stage, gateway) = embedded().await;
    let corp = Client::corp(&gateway);
    corp.takes_up_mario("mario").await;
    let asked = json!({ "filter": "userName eq \"mario\"", "attributes": ["active"] });
    let (status, found) = corp.send(Method::POST, "/Users/.search", Some(asked)).await;
    assert_eq!(status, 200, "{found}");
    let shown = found["Resources"][0].as_object().unwrap();
    let shown: Vec<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(shown, ["active", "id", "schemas"]);
}
