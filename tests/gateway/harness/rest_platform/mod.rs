//! Platforms with REST APIs in the test's own process, in two tongues: a plain CRUD service, and one
//! in the style of Servitly. The shipped files under `deploy/rest` are what they are spoken to by.

mod crud;
mod door;
mod records;
mod tenant;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::thingsboard::{Fault, Faults};
use records::Records;

/// What opens the CRUD service, and what the other one's login is asked with.
pub const API_KEY: &str = "key-of-the-tests";
/// The gateway's own user.
pub const EMAIL: &str = "gateway@vendor.example";
/// Their password.
pub const PASSWORD: &str = "gateway-of-the-tests";

/// How a platform speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// Plain CRUD with an API key.
    Crud,
    /// A tenant header, a login, tokens that expire, Spring pages.
    Tenant,
}

/// One platform, gone with the test's runtime.
#[derive(Clone)]
pub struct RestServer {
    url: String,
    tongue: Tongue,
    state: Arc<Mutex<State>>,
}

/// All that a platform has.
pub struct State {
    pub records: Records,
    pub faults: Faults,
    pub asked: Vec<String>,
    pub tokens: Tokens,
}

/// Tokens in force.
#[derive(Default)]
pub struct Tokens {
    pub access: Vec<String>,
    pub renewal: Vec<String>,
    pub given: usize,
}

impl RestServer {
    pub async fn start(tongue: Tongue) -> Self {
        let state = Arc::new(Mutex::new(State {
            records: Records::new(tongue == Tongue::Tenant),
            faults: Faults::default(),
            asked: Vec::new(),
            tokens: Tokens::default(),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = door::router(tongue, Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, tongue, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it speaks.
    pub fn tongue(&self) -> Tongue {
        self.tongue
    }

    /// A user's roles.
    pub fn roles_of(&self, user: &str) -> Vec<String> {
        let mut state = self.state();
        let user = state.records.get_mut("user", user).unwrap();
        let roles = user["roles"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = roles
            .iter()
            .filter_map(|role| role.as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The shipped file by which it is spoken to.
    pub fn file(&self) -> &'static str {
        match self.tongue {
            Tongue::Crud => concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rest/crud.toml"),
            Tongue::Tenant => concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/deploy/rest/servitly-style.toml"
            ),
        }
    }

    /// What the file calls `secret`.
    pub fn secrets(&self) -> Vec<(&'static str, &'static str)> {
        match self.tongue {
            Tongue::Crud => vec![("api_key", API_KEY)],
            Tongue::Tenant => vec![
                ("api_key", API_KEY),
                ("email", EMAIL),
                ("password", PASSWORD),
            ],
        }
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

    /// No token is valid any more; those for renewal are.
    pub fn tokens_expire(&self) {
        self.state().tokens.access.clear();
    }

    /// Neither are those for renewal.
    pub fn sessions_end(&self) {
        self.state().tokens = Tokens::default();
    }

    /// How many customers, locations and users there are.
    pub fn counts(&self) -> [usize; 3] {
        let records = &self.state().records;
        [
            records.customers.len(),
            records.locations.len(),
            records.users.len(),
        ]
    }

    /// How often a path was asked for.
    pub fn times_asked(&self, path: &str) -> usize {
        let state = self.state();
        state
            .asked
            .iter()
            .filter(|asked| asked.ends_with(path))
            .count()
    }

    /// The user with exactly this address.
    pub fn user(&self, email: &str) -> Option<Value> {
        let state = self.state();
        let mut users = state.records.users.iter();
        users.find(|user| user["email"] == email).cloned()
    }

    /// What the platform's staff does: makes a user without a registration.
    pub fn staff_makes_user(&self, user: Value) -> String {
        let made = self.state().records.add("user", user);
        made.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// What the platform's staff does: blocks a user, or lets them in again.
    pub fn set_enabled(&self, user: &str, enabled: bool) {
        let mut state = self.state();
        let user = state.records.get_mut("user", user).unwrap();
        user["enabled"] = Value::from(enabled);
    }
}
