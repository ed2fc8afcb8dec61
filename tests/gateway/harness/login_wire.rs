//! A login step by step, for whoever interferes between two steps: every redirect is shown, none
//! is followed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use reqwest::{Method, RequestBuilder, StatusCode, header};
use url::Url;

use super::node_services::wire_client;

/// How a request looks to the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Looks(pub &'static [(&'static str, &'static str)]);

impl Looks {
    /// A person goes to a page.
    pub const NAVIGATION: Self = Self(&[
        ("Accept", "text/html,*/*;q=0.8"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "none"),
    ]);
}

/// The cookies of one browser, and what it is sent.
#[derive(Debug, Default)]
pub struct Wire {
    cookies: Mutex<BTreeMap<String, String>>,
}

/// One answer, not followed.
#[derive(Debug)]
pub struct Step {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub body: String,
}

impl Step {
    /// Where the browser is sent, empty if nowhere.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        let fields = self.headers.get_all(header::SET_COOKIE).iter();
        fields.map(|value| value.to_str().expect("ASCII")).collect()
    }
}

impl Wire {
    /// Goes to a page.
    pub async fn goes_to(&self, address: &str) -> Step {
        self.sends(Method::GET, address, Looks::NAVIGATION).await
    }

    /// Sends a request that looks like this.
    pub async fn sends(&self, method: Method, address: &str, looks: Looks) -> Step {
        let mut request = wire_client().request(method, address);
        for (name, value) in looks.0 {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Sends a request with the cookies of this browser, and keeps what is set.
    pub async fn send(&self, request: RequestBuilder) -> Step {
        let field = self.cookie_field();
        let request = if field.is_empty() {
            request
        } else {
            request.header(header::COOKIE, field)
        };
        let answer = request.send().await.expect("an answer");
        let step = Step {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await.expect("a body"),
        };
        for text in step.set_cookies() {
            self.keep(text);
        }
        step
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().get(name).cloned()
    }

    /// Names of all cookies.
    pub fn cookie_names(&self) -> Vec<String> {
        self.jar().keys().cloned().collect()
    }

    /// What the browser sends as `Cookie`.
    pub fn cookie_field(&self) -> String {
        let pairs = self.jar();
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Another browser with the same cookies, as if they were stolen.
    pub fn copied(&self) -> Self {
        Self {
            cookies: Mutex::new(self.jar().clone()),
        }
    }

    fn keep(&self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
        let (name, value) = pair.split_once('=').expect("a cookie");
        if attributes.contains("Max-Age=0") {
            self.jar().remove(name);
        } else {
            self.jar().insert(name.to_owned(), value.to_owned());
        }
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().expect("the cookies")
    }
}

/// An address with one query parameter replaced, or taken out.
pub fn with_parameter(address: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(address).expect("an address");
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(found, _)| found != name)
        .map(|(found, value)| (found.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .extend_pairs(value.map(|value| (name, value)));
    url.into()
}
