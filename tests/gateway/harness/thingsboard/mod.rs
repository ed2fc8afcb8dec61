//! A ThingsBoard in the test's own process, Community or Professional: real paths, shapes, errors,
//! uniqueness rules and quirks, as read from its source. What is not used here is not there.

mod accounts;
mod door;
mod entities;
mod faults;
mod groups;
mod pages;
mod people;
mod refusal;
mod state;
mod tenant;

use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use faults::{Fault, Faults};
pub use state::Edition;
use state::State;
pub use tenant::{Site, Tag, Tenant, id};

/// What opens it for a gateway, where there are API keys.
pub const API_KEY: &str = "tb_gateway-of-the-tests";
/// The tenant administrator that a gateway signs in as.
pub const ADMINISTRATOR: &str = "gateway@vendor.example";
/// Their password.
pub const PASSWORD: &str = "tenant-administrator";

/// One ThingsBoard with one tenant, gone with the test's runtime.
#[derive(Clone)]
pub struct ThingsBoard {
    url: String,
    state: Arc<Mutex<State>>,
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    /// What was in `X-Authorization`.
    pub authorization: Option<String>,
    /// All fields, in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// A field, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

impl ThingsBoard {
    /// A Community Edition of this version.
    pub async fn community(version: &str) -> Self {
        Self::start(Edition::Community, version).await
    }

    /// A Professional Edition of this version.
    pub async fn professional(version: &str) -> Self {
        Self::start(Edition::Professional, version).await
    }

    async fn start(edition: Edition, version: &str) -> Self {
        let state = Arc::new(Mutex::new(State::new(edition, version)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = door::router(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.state().asked.clear();
    }

    /// Does this to the next request of this method whose path (without query) ends so.
    pub fn strikes(&self, fault: Fault, method: &str, ending: &str) {
        self.state().faults.on(fault, method, ending);
    }

    /// Does this to the request that is the n-th from now, from 0.
    pub fn strikes_nth(&self, fault: Fault, number: usize) {
        self.state().faults.on_nth(fault, number);
    }

    /// Has no more faults.
    pub fn is_well(&self) {
        self.state().faults = Faults::default();
    }

    /// Whether every fault has happened.
    pub fn has_struck(&self) -> bool {
        self.state().faults.are_over()
    }

    /// No token is valid any more; refresh tokens are.
    pub fn tokens_expire(&self) {
        self.state().expire_tokens();
    }

    /// Neither are refresh tokens.
    pub fn sessions_end(&self) {
        self.state().tokens.clear();
    }

    /// The user with this address is asked for a second factor.
    pub fn wants_second_factor_of(&self, email: &str) {
        self.state().second_factor.insert(email.to_owned());
    }

    /// How many there may be of a kind of entity (`CUSTOMER`, `USER`, `ASSET`).
    pub fn limits(&self, kind: &str, limit: usize) {
        self.state().limits.insert(kind.to_owned(), limit);
    }

    /// What is demanded of passwords.
    pub fn demands_of_passwords(&self, rule: &str, count: usize) {
        self.state().password_policy[rule] = json!(count);
    }

    /// A user of another tenant: there, and invisible.
    pub fn has_elsewhere(&self, email: &str) {
        self.state().elsewhere.insert(email.to_owned());
    }

    /// How many customers, assets and customers' users there are.
    pub fn counts(&self) -> [usize; 3] {
        let state = self.state();
        let users = state.users.values();
        let users = users.filter(|user| user.record["authority"] == "CUSTOMER_USER");
        [state.customers.len(), state.assets.len(), users.count()]
    }

    /// All customers.
    pub fn customers(&self) -> Vec<Value> {
        self.state().customers.values().cloned().collect()
    }

    /// All assets.
    pub fn assets(&self) -> Vec<Value> {
        self.state().assets.values().cloned().collect()
    }

    /// The user with exactly this address.
    pub fn user(&self, email: &str) -> Option<Value> {
        let state = self.state();
        let user = state
            .users
            .values()
            .find(|user| user.record["email"] == email);
        user.map(|user| user.record.clone())
    }

    /// Attributes of an entity, server scope.
    pub fn attributes(&self, id: &str) -> Value {
        Value::Object(self.state().attributes.get(id).cloned().unwrap_or_default())
    }

    /// How many letters it would have sent.
    pub fn letters(&self) -> usize {
        self.state().letters
    }

    /// Makes a dashboard, and gives its id.
    pub fn has_dashboard(&self, title: &str) -> String {
        self.state().add_dashboard(title)
    }

    /// Makes a role, and gives its id (Professional).
    pub fn has_role(&self, name: &str, is_generic: bool) -> String {
        self.state().add_role(name, is_generic)
    }

    /// Makes a group of the tenant's (Professional), and gives its id.
    pub fn has_group(&self, kind: &str, name: &str) -> String {
        let tenant = self.state().tenant.clone();
        self.state().add_group(kind, name, ("TENANT", &tenant))
    }

    /// Makes a group of users in a customer.
    pub fn add_customer_group(&self, customer: &str, name: &str) -> String {
        self.state().add_group("USER", name, ("CUSTOMER", customer))
    }

    /// Groups that an entity is in, by name (Professional).
    pub fn groups_of(&self, id: &str) -> Vec<String> {
        self.state().groups_of(id)
    }

    /// Which role a user group has on which group: (role, entity group).
    pub fn permissions_of(&self, group_name: &str) -> Vec<(String, Option<String>)> {
        self.state().permissions_of(group_name)
    }

    /// Whether a customer's user would see a dashboard.
    pub fn shows(&self, user: &str, dashboard: &str) -> bool {
        self.state().shows(user, dashboard)
    }

    /// What a customer's user does in ThingsBoard: changes their own record, signed in by password.
    pub async fn user_changes_own(&self, email: &str, password: &str, change: Value) {
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", self.url);
        let body = json!({ "username": email, "password": password });
        let login = client.post(url("/api/auth/login")).json(&body).send();
        let login: Value = login.await.unwrap().json().await.unwrap();
        let token = format!("Bearer {}", login["token"].as_str().expect("a token"));
        let me = client.get(url("/api/auth/user"));
        let me = me.header("X-Authorization", &token).send().await.unwrap();
        let mut me: Value = me.json().await.unwrap();
        for (key, value) in change.as_object().unwrap() {
            me[key] = value.clone();
        }
        let saved = client.post(url("/api/user?sendActivationMail=false"));
        let saved = saved.header("X-Authorization", &token).json(&me);
        let saved = saved.send().await.unwrap();
        assert_eq!(saved.status(), 200, "{}", saved.text().await.unwrap());
    }

    /// What the tenant's staff does: blocks a user, or lets them in again.
    pub fn set_enabled(&self, user: &str, enabled: bool) {
        self.state().set_enabled(user, enabled);
    }

    /// Makes of a user what ThingsBoard itself never would: another authority, another customer.
    pub fn alters_user(&self, id: &str, change: &Value) {
        let mut state = self.state();
        let record = &mut state.users.get_mut(id).expect("a user").record;
        for (key, value) in change.as_object().unwrap() {
            record[key] = value.clone();
        }
    }

    /// Whose token this is: the user's id, if it is valid.
    pub fn takes(&self, token: &str) -> Option<String> {
        self.state().bearer(token).ok()
    }

    /// Makes no tokens for users any more, as its operator can have it.
    pub fn makes_no_tokens(&self) {
        self.state().makes_tokens = false;
    }

    /// What the tenant's staff does: makes a customer, and gives its id.
    pub fn staff_makes_customer(&self, title: &str) -> String {
        self.state()
            .add_customer(json!({ "title": title }))
            .unwrap()["id"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What the tenant's staff does: makes a user of a customer who has a password, or never
    /// opened the letter.
    pub fn staff_makes_user(&self, customer: &str, email: &str, password: Option<&str>) -> String {
        self.state().staff_makes_user(customer, email, password)
    }

    /// What the tenant's staff does: writes attributes in the web UI.
    pub fn staff_writes_attributes(&self, id: &str, attributes: &Value) {
        self.state().write_attributes(id, attributes);
    }

    /// Is replaced by another version.
    pub fn becomes(&self, version: &str) {
        version.clone_into(&mut self.state().version);
    }
}
