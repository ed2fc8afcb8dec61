//! What a page knows about a request, read once.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use crate::access::{ClientContext, RequestKind};
use crate::language::{Language, Texts};
use crate::login::Cookies;
use crate::paths;

/// The cookie that remembers the language somebody chose.
pub const LANGUAGE_COOKIE: &str = "__Host-vestibule-lang";

/// A request to one of the pages.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Host, client address, reference.
    pub client: ClientContext,
    /// The language to answer in.
    pub language: Language,
    /// `Accept-Language`, for the country to preselect.
    pub accept_language: Option<String>,
    /// All cookies.
    pub cookies: Cookies,
    /// All headers, for the origin of forms.
    pub headers: HeaderMap,
    /// The method.
    pub method: Method,
    /// Path and query of the page, for coming back to it.
    pub here: String,
    /// Whether a person reads the answer.
    pub wants_page: bool,
}

impl Visit {
    /// The texts of the visitor's language.
    pub fn texts(&self) -> Texts {
        self.language.texts()
    }

    fn read(parts: &Parts) -> Self {
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let cookies = Cookies::of(&parts.headers);
        let chosen = chosen_language(&cookies);
        let accept_language = header(ACCEPT_LANGUAGE);
        let client = parts.extensions.get::<ClientContext>().cloned();
        let client = client.unwrap_or_else(nowhere);
        let wants_page = client.kind == RequestKind::Page
            || header(ACCEPT).is_some_and(|accept| accept.contains("text/html"));
        Self {
            language: Language::negotiate(chosen.as_deref(), accept_language),
            accept_language: accept_language.map(str::to_owned),
            client,
            cookies,
            headers: parts.headers.clone(),
            method: parts.method.clone(),
            here: here(parts),
            wants_page,
        }
    }
}

fn chosen_language(cookies: &Cookies) -> Option<String> {
    let found = cookies.starting_with(LANGUAGE_COOKIE);
    let chosen = found.into_iter().find(|(name, _)| *name == LANGUAGE_COOKIE);
    chosen.map(|(_, value)| value.to_owned())
}

/// A callback is not a place to come back to: its code is spent.
fn here(parts: &Parts) -> String {
    let uri = &parts.uri;
    match uri.path() {
        paths::CALLBACK => paths::LOGIN.to_owned(),
        path => uri
            .path_and_query()
            .map_or(path, |all| all.as_str())
            .to_owned(),
    }
}

/// The context of a request that came through no door: it matches no host, so that no session, no
/// form and no login of any host counts for it.
fn nowhere() -> ClientContext {
    ClientContext {
        host: String::new(),
        own_origin: String::new(),
        client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        kind: RequestKind::Api,
        reference: String::new(),
        device: String::new(),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts))
    }
}
