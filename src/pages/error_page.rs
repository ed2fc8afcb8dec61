//! Pages that say what went wrong, with a reference and a way on.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};

use super::Pages;
use super::problem::Problem;
use super::stop::{self, Stop};
use super::views::{MessagePage, Way};
use super::visit::Visit;
use crate::access::{ClientContext, RequestKind};
use crate::language::{Language, Texts};
use crate::login::Cookies;

/// What an error page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorText {
    title: String,
    text: Sentence,
    provider: Option<String>,
    way_on: Option<Way>,
}

/// A sentence of an error page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sentence {
    /// A key of the language files.
    Key(String),
    /// The operator's own words.
    Written(String),
}

impl ErrorText {
    /// Title and text by their keys.
    pub(super) fn keyed(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            text: Sentence::Key(text.into()),
            provider: None,
            way_on: None,
        }
    }

    /// A title by its key, and the operator's own words.
    pub(super) fn written(title: &str, text: String) -> Self {
        Self {
            text: Sentence::Written(text),
            ..Self::keyed(title, "")
        }
    }

    /// The same with the provider that it is about, and a way on.
    pub(super) fn leading_on(self, provider: Option<String>, way_on: Way) -> Self {
        Self {
            provider,
            way_on: Some(way_on),
            ..self
        }
    }

    /// What is said about a status where nothing more is known.
    pub(super) fn of(status: StatusCode) -> Self {
        let (title, text) = match status.as_u16() {
            401 => ("error-401-title", "error-401-text"),
            403 => ("error-403-title", "error-403-text"),
            404 | 405 => ("error-404-title", "error-404-text"),
            413 => ("error-413-title", "error-413-text"),
            421 => ("error-421-title", "error-421-text"),
            429 => ("error-429-title", "error-429-text"),
            502 | 504 => ("error-502-title", "error-502-text"),
            503 => ("error-503-title", "error-503-text"),
            500.. => ("error-500-title", "error-500-text"),
            _ => ("error-400-title", "error-400-text"),
        };
        Self::keyed(title, text)
    }

    /// What is said about a request that the data plane answered itself.
    fn of_refusal(refusal: &RefusedRequest<'_>) -> Self {
        match refusal.code {
            "forbidden" | "unfit_claim" | "rule_failed" | "foreign_origin" => {
                Self::keyed("refused-forbidden-title", "refused-forbidden-text")
            }
            "upstream_down" | "upstream_broken" | "upstream_slow" => {
                Self::keyed("error-502-title", "error-502-text")
            }
            _ => Self::of(refusal.status),
        }
    }

    fn title(&self, texts: Texts, operator: &str) -> String {
        texts
            .get_with(&self.title, &[("operator", operator)])
            .into_owned()
    }

    fn sentence(&self, texts: Texts, operator: &str) -> String {
        let provider = self.provider.as_deref().unwrap_or(operator);
        match &self.text {
            Sentence::Written(text) => text.clone(),
            Sentence::Key(key) => {
                let values = [("operator", operator), ("provider", provider)];
                texts.get_with(key, &values).into_owned()
            }
        }
    }
}

/// A request that the data plane did not forward.
#[derive(Debug, Clone, Copy)]
pub struct RefusedRequest<'a> {
    /// The status of the answer.
    pub status: StatusCode,
    /// The stable word for the reason.
    pub code: &'a str,
    /// The host that was asked; empty when it is none of ours.
    pub host: &'a str,
    /// `Accept-Language`.
    pub accept_language: Option<&'a str>,
    /// The reference to quote.
    pub reference: &'a str,
}

impl Pages {
    /// The page for a request that the data plane did not forward, as HTML.
    pub fn refused_request(&self, refusal: &RefusedRequest<'_>) -> String {
        let visit = Visit {
            client: ClientContext {
                host: refusal.host.to_owned(),
                own_origin: String::new(),
                client: std::net::Ipv4Addr::UNSPECIFIED.into(),
                kind: RequestKind::Page,
                reference: refusal.reference.to_owned(),
                device: String::new(),
            },
            language: Language::negotiate(None, refusal.accept_language),
            accept_language: None,
            cookies: Cookies::default(),
            headers: HeaderMap::new(),
            method: axum::http::Method::GET,
            here: "/".to_owned(),
            wants_page: true,
        };
        let text = ErrorText::of_refusal(refusal);
        self.error_page(&visit, refusal.status, text)
            .render()
            .unwrap_or_default()
    }

    /// An error page as an answer.
    pub(super) fn error_response(
        &self,
        visit: &Visit,
        status: StatusCode,
        text: ErrorText,
    ) -> Response<Body> {
        let page = self.error_page(visit, status, text);
        stop::show(status, &page)
            .unwrap_or_else(|_| Problem::of(status, &visit.client.reference).into_response())
    }

    fn error_page(&self, visit: &Visit, status: StatusCode, text: ErrorText) -> MessagePage {
        let mut frame = self.frame(visit, "");
        let texts = visit.texts();
        frame.title = text.title(texts, &frame.operator);
        let paragraphs = vec![text.sentence(texts, &frame.operator)];
        MessagePage {
            frame,
            who: None,
            paragraphs,
            reference: Some(visit.client.reference.clone()).filter(|known| !known.is_empty()),
            way_on: text.way_on.or_else(|| way_on(status, visit)),
            other_way: None,
        }
    }
}

/// Trying again where that can help, else the start page; nothing for a host without one.
fn way_on(status: StatusCode, visit: &Visit) -> Option<Way> {
    if status == StatusCode::MISDIRECTED_REQUEST {
        return None;
    }
    let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let way = |href: &str, key| Way {
        href: href.to_owned(),
        text: visit.texts().get(key).into_owned(),
    };
    Some(if again {
        // An empty reference leads to the page that is shown (RFC 3986, section 4.4).
        way("", "error-try-again")
    } else {
        way("/", "refused-start-page")
    })
}

/// There is no such page.
pub(super) async fn not_found(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    pages.stopped(&visit, Stop::NotFound)
}

/// There is such a page, but not by this method.
pub(super) async fn wrong_method(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    pages.stopped(&visit, Stop::WrongMethod)
}
