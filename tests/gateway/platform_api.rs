//! The builtin platform's REST API, as `docs/builtin-platform-api.md` describes it.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vestibule::admin::platform_api;

use crate::harness::office::{Office, mario, policy};

struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    async fn of(office: &Office) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/platform/v1", listener.local_addr().unwrap());
        let router = platform_api::router(Arc::clone(&office.platform));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            base,
            client: reqwest::Client::new(),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }
}

#[tokio::test]
async fn a_platform_reads_who_registered() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    let api = Api::of(&office).await;
    office.register(&mario()).await;
    let users = api.get("/users?email=MARIO@acme.example").await;
    let user = &users["items"][0];
    assert_eq!(user["name"], "Mario Rossi");
    assert_eq!(user["enabled"], true);
    assert!(user.get("password").is_none(), "the hash is never shown");
    let customer = user["customer"].as_str().unwrap();
    assert_eq!(
        api.get(&format!("/customers/{customer}")).await["name"],
        "Acme Pumps"
    );
    let locations = api.get(&format!("/locations?customer={customer}")).await;
    assert_eq!(locations["items"][0]["name"], "Location");
}

#[tokio::test]
async fn a_back_office_adds_changes_and_deletes() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    let api = Api::of(&office).await;
    let customer = json!({ "account_type": "business", "name": "Acme", "code": "A-1" });
    let (status, made) = api.post("/customers", customer.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, problem) = api.post("/customers", customer).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("code_taken"))
    );
    let user = json!({ "email": "a@acme.example", "name": "A", "account_type": "business",
        "customer": made["id"], "password": "correct horse" });
    let (status, made) = api.post("/users", user).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = format!("/users/{}", made["id"].as_str().unwrap());
    let disable = Some(json!({ "enabled": false }));
    let (_, user) = api.call(Method::PATCH, &path, disable).await;
    assert_eq!(
        (&user["enabled"], &user["has_password"]),
        (&json!(false), &json!(true))
    );
    let (status, _) = api.call(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, problem) = api.call(Method::GET, &path, None).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    let partner = json!({ "name": "Installers Ltd", "code": "P-1" });
    assert_eq!(api.post("/partners", partner).await.0, StatusCode::CREATED);
    assert_eq!(api.get("/partners").await["items"][0]["code"], "P-1");
}

#[tokio::test]
async fn lists_come_a_part_at_a_time() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    let api = Api::of(&office).await;
    for number in 0..5 {
        let customer = json!({ "account_type": "personal", "name": format!("Person {number}") });
        api.post("/customers", customer).await;
    }
    let (mut after, mut names) = (String::new(), Vec::new());
    loop {
        let part = api.get(&format!("/customers?limit=2&after={after}")).await;
        let items = part["items"].as_array().unwrap();
        let Some(last) = items.last() else { break };
        after = last["id"].as_str().unwrap().to_owned();
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(
        names,
        ["Person 0", "Person 1", "Person 2", "Person 3", "Person 4"]
    );
}

#[tokio::test]
async fn what_cannot_be_taken_is_named() {
    let office = Office::on_sqlite(policy(|_| {})).await;
    let api = Api::of(&office).await;
    for (path, body, status) in [
        ("/customers", json!({ "account_type": "business" }), 422),
        (
            "/customers",
            json!({ "account_type": "partner", "name": "P" }),
            422,
        ),
        (
            "/customers",
            json!({ "account_type": "business", "name": " " }),
            422,
        ),
        (
            "/customers",
            json!({ "account_type": "business", "name": "a\nb" }),
            422,
        ),
        (
            "/customers",
            json!({ "account_type": "personal", "name": "A", "admin": true }),
            422,
        ),
        (
            "/users",
            json!({ "email": "a@b@c.de", "name": "A", "account_type": "business" }),
            422,
        ),
        (
            "/users",
            json!({ "email": "a@c.de", "name": "A", "account_type": "business" }),
            422,
        ),
        (
            "/locations",
            json!({ "customer": "none", "name": "Home" }),
            422,
        ),
    ] {
        let (found, problem) = api.post(path, body.clone()).await;
        assert_eq!(found.as_u16(), status, "{path} {body}: {problem}");
        assert!(problem["detail"].is_string());
    }
    let (status, _) = api.call(Method::GET, "/customers?offset=3", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
