//! What is asked of another installation's builtin platform.

use http::Method;
use serde_json::Value;

/// What is asked.
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Option<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Question {
    pub(super) fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: None,
            body: None,
        }
    }

    pub(super) fn by(mut self, key: &'static str, value: &str) -> Self {
        self.query = Some((key, value.to_owned()));
        self
    }

    pub(super) fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}
