//! One tenant of a ThingsBoard, this one or one that really runs, as its staff see and change it:
//! by its REST API. `make test-thingsboard` names one that runs; without, each test has its own.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ADMINISTRATOR, PASSWORD, ThingsBoard};
use crate::harness::wire_client;

/// What marks everything of one test.
#[derive(Debug, Clone)]
pub struct Tag(String);

/// Where a ThingsBoard is, and whom it lets in.
#[derive(Debug, Clone)]
pub struct Site {
    pub url: String,
    pub user: String,
    pub password: String,
}

/// A tenant, and the marks of one test in it.
pub struct Tenant {
    pub site: Site,
    pub tag: Tag,
    run: String,
}

impl Tag {
    /// A name with the tag behind it.
    pub fn name(&self, plain: &str) -> String {
        format!("{plain} {}", self.0)
    }

    /// An address in a domain of the test's own.
    pub fn address(&self, plain: &str) -> String {
        let (local, domain) = plain.split_once('@').expect("an address");
        format!("{local}@{}.{domain}", self.0)
    }

    /// A name or an address without the tag.
    pub fn without(&self, tagged: &str) -> String {
        let name = tagged.replace(&format!(" {}", self.0), "");
        name.replace(&format!("@{}.", self.0), "@")
    }
}

impl Site {
    /// The one that `make test-thingsboard` names.
    pub fn live() -> Option<Self> {
        // Only a run of that target has an id, so that `make test` never goes there.
        live_run()?;
        Some(Self {
            url: told("URL").expect("THINGSBOARD_URL"),
            user: told("USER").expect("THINGSBOARD_USER"),
            password: told("PASSWORD").expect("THINGSBOARD_PASSWORD"),
        })
    }
}

/// The id of a run against a ThingsBoard that really runs.
fn live_run() -> Option<String> {
    told("RUN")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a make target tells the tests what they are run against"
)]
fn told(name: &str) -> Option<String> {
    std::env::var(format!("THINGSBOARD_{name}")).ok()
}

impl Tenant {
    /// The tenant that the tests are run against: one that really runs, or one of the test's own.
    pub async fn start() -> Self {
        match Site::live() {
            Some(site) => Self::at(site),
            None => Self::of(&ThingsBoard::community("4.3.0.1").await),
        }
    }

    /// The tenant of a ThingsBoard of the test's own.
    pub fn of(server: &ThingsBoard) -> Self {
        Self::at(Site {
            url: server.url().to_owned(),
            user: ADMINISTRATOR.to_owned(),
            password: PASSWORD.to_owned(),
        })
    }

    pub fn at(site: Site) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let run = live_run().unwrap_or_else(|| "vt0".to_owned());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tag = Tag(format!("{run}-{number}x"));
        Self { site, tag, run }
    }

    /// Signs in, and gives what the token is sent as.
    async fn token_of(&self, user: &str, password: &str) -> String {
        let login = json!({ "username": user, "password": password });
        let url = format!("{}/api/auth/login", self.site.url);
        let answer = wire_client()
            .post(url)
            .json(&login)
            .send()
            .await
            .expect("ThingsBoard");
        let pair: Value = answer.json().await.expect("JSON");
        let token = pair["token"].as_str();
        format!(
            "Bearer {}",
            token.unwrap_or_else(|| panic!("{user} is not let in: {pair}"))
        )
    }

    async fn asks_as(
        &self,
        token: &str,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let url = format!("{}/api/{path}", self.site.url);
        let asking = wire_client()
            .request(method, url)
            .header("X-Authorization", token);
        let asking = match body {
            Some(body) => asking.json(body),
            None => asking,
        };
        let answer = asking.send().await.expect("ThingsBoard answers");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    /// What the tenant's administrator is answered.
    pub async fn asks(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let token = self.token_of(&self.site.user, &self.site.password).await;
        let (status, answer) = self.asks_as(&token, (method, path), body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// Everything of this test's in a listing.
    async fn of_this_test(&self, listing: &str) -> Vec<Value> {
        self.marked(listing, &self.tag.0).await
    }

    async fn marked(&self, listing: &str, mark: &str) -> Vec<Value> {
        let path = format!("{listing}?pageSize=1000&page=0&textSearch={mark}");
        let page = self.asks(Method::GET, &path, None).await;
        page["data"].as_array().expect("a page").clone()
    }

    pub async fn customers(&self) -> Vec<Value> {
        self.of_this_test("customers").await
    }

    pub async fn assets(&self) -> Vec<Value> {
        self.of_this_test("tenant/assets").await
    }

    pub async fn users(&self) -> Vec<Value> {
        self.of_this_test("users").await
    }

    /// How many customers, assets and users of this test's there are.
    pub async fn counts(&self) -> [usize; 3] {
        let [customers, assets, users] = [
            self.customers().await,
            self.assets().await,
            self.users().await,
        ];
        [customers.len(), assets.len(), users.len()]
    }

    /// The user whose address is this one with the tag.
    pub async fn user(&self, plain: &str) -> Option<Value> {
        let address = self.tag.address(plain);
        let users = self.users().await;
        users.into_iter().find(|user| user["email"] == *address)
    }

    /// Makes a customer whose name gets the tag, and gives its id.
    pub async fn makes_customer(&self, plain: &str) -> String {
        let customer = json!({ "title": self.tag.name(plain) });
        id(&self.asks(Method::POST, "customer", Some(&customer)).await)
    }

    /// Makes a dashboard whose title gets the tag, and gives its id.
    pub async fn makes_dashboard(&self, plain: &str) -> String {
        let dashboard = json!({ "title": self.tag.name(plain) });
        id(&self.asks(Method::POST, "dashboard", Some(&dashboard)).await)
    }

    /// Whether a customer's user, signed in by password, may open a dashboard.
    pub async fn shows(&self, plain: &str, password: &str, dashboard: &str) -> bool {
        let token = self.token_of(&self.tag.address(plain), password).await;
        let path = format!("dashboard/{dashboard}");
        let (status, _) = self.asks_as(&token, (Method::GET, &path), None).await;
        status.is_success()
    }

    /// Makes a user of a customer who has a password, or never opened the letter; gives the id.
    pub async fn makes_user(&self, customer: &str, plain: &str, password: Option<&str>) -> String {
        let user = json!({
            "email": self.tag.address(plain), "authority": "CUSTOMER_USER",
            "firstName": "Amara", "lastName": "Okafor",
            "customerId": { "entityType": "CUSTOMER", "id": customer },
        });
        let made = self
            .asks(Method::POST, "user?sendActivationMail=false", Some(&user))
            .await;
        let user = id(&made);
        if let Some(password) = password {
            self.activates(&user, password).await;
        }
        user
    }

    async fn activates(&self, user: &str, password: &str) {
        let link = self
            .asks(Method::GET, &format!("user/{user}/activationLink"), None)
            .await;
        let (_, token) = link
            .as_str()
            .and_then(|link| link.split_once("activateToken="))
            .expect("a link");
        let body = json!({ "activateToken": token, "password": password });
        let url = format!(
            "{}/api/noauth/activate?sendActivationMail=false",
            self.site.url
        );
        let answer = wire_client()
            .post(url)
            .json(&body)
            .send()
            .await
            .expect("ThingsBoard");
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.text().await);
    }

    /// Writes server attributes of a customer, as the web interface does.
    pub async fn writes_attributes(&self, customer: &str, attributes: &Value) {
        let path = format!("plugins/telemetry/CUSTOMER/{customer}/attributes/SERVER_SCOPE");
        self.asks(Method::POST, &path, Some(attributes)).await;
    }

    /// Blocks a user, or lets them in again.
    pub async fn sets_enabled(&self, user: &str, enabled: bool) {
        let path = format!("user/{user}/userCredentialsEnabled?userCredentialsEnabled={enabled}");
        self.asks(Method::POST, &path, None).await;
    }

    /// What a customer's user does: changes their own record, signed in by password.
    pub async fn user_changes_own(&self, plain: &str, password: &str, change: Value) {
        let token = self.token_of(&self.tag.address(plain), password).await;
        let (status, mut me) = self.asks_as(&token, (Method::GET, "auth/user"), None).await;
        assert_eq!(status, StatusCode::OK, "{me}");
        for (key, value) in change.as_object().expect("an object") {
            me[key] = value.clone();
        }
        let save = (Method::POST, "user?sendActivationMail=false");
        let (status, saved) = self.asks_as(&token, save, Some(&me)).await;
        assert_eq!(status, StatusCode::OK, "{saved}");
    }

    /// Whether somebody comes in by a password, as on ThingsBoard's own page.
    pub async fn lets_in(&self, plain: &str, password: &str) -> bool {
        let login = json!({ "username": self.tag.address(plain), "password": password });
        let url = format!("{}/api/auth/login", self.site.url);
        let answer = wire_client()
            .post(url)
            .json(&login)
            .send()
            .await
            .expect("ThingsBoard");
        answer.status().is_success()
    }

    /// Removes all that the run has made, of whichever test; gives how much is left.
    pub async fn removes_what_the_run_made(&self) -> usize {
        const KINDS: [(&str, &str); 4] = [
            ("tenant/assets", "asset"),
            ("users", "user"),
            ("customers", "customer"),
            ("tenant/dashboards", "dashboard"),
        ];
        let token = self.token_of(&self.site.user, &self.site.password).await;
        for (listing, kind) in KINDS {
            for made in self.marked(listing, &self.run).await {
                let path = format!("{kind}/{}", id(&made));
                self.asks_as(&token, (Method::DELETE, &path), None).await;
            }
        }
        let mut left = 0;
        for (listing, _) in KINDS {
            left += self.marked(listing, &self.run).await.len();
        }
        left
    }
}

/// The id of a record.
pub fn id(record: &Value) -> String {
    record["id"]["id"].as_str().expect("an id").to_owned()
}
