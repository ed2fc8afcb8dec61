//! The choice of a language, remembered in a cookie.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use url::Url;

use super::Pages;
use super::stop::{Stop, see_other, with_cookies};
use super::submission;
use super::visit::{LANGUAGE_COOKIE, Visit};
use crate::access::ReturnTo;
use crate::language::Language;
use crate::paths;
use crate::session::cookie;

const A_YEAR: Duration = Duration::from_hours(365 * 24);

/// Remembers a language, and goes back to the page. The form has no token: it changes nothing but
/// the language, and is taken from our own origin only.
pub async fn choose(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = submission::read(&visit, body).and_then(|fields| {
        let chosen = fields
            .get("language")
            .and_then(|tag| Language::from_tag(tag));
        let language = chosen.ok_or(Stop::Malformed)?;
        let place = fields
            .get("return_to")
            .map(String::as_str)
            .unwrap_or_default();
        let response = see_other(&page_to_come_back_to(place, &visit.client.own_origin));
        Ok(with_cookies(response, &[remember(language)]))
    });
    pages.answer(&visit, outcome)
}

/// The cookie that remembers a language.
pub(super) fn remember(language: Language) -> String {
    cookie::set_cookie(LANGUAGE_COOKIE, language.tag(), Some(A_YEAR))
}

/// One of our own pages, or any other place on the own origin.
fn page_to_come_back_to(place: &str, origin: &str) -> String {
    own_page(place, origin).unwrap_or_else(|| ReturnTo::parse(place, origin).as_str().to_owned())
}

fn own_page(place: &str, origin: &str) -> Option<String> {
    let looks_plain = place.starts_with(paths::PREFIX)
        && place.len() <= 2048
        && !place.contains('\\')
        && !place
            .split('?')
            .next()
            .is_some_and(|path| path.contains('%'))
        && !place.chars().any(char::is_control);
    let base = Url::parse(origin).ok()?;
    let target = base.join(place).ok().filter(|_| looks_plain)?;
    let stays = target.origin() == base.origin()
        && target.path().starts_with(paths::PREFIX)
        && target.path() != paths::CALLBACK;
    stays.then(|| match target.query() {
        Some(query) => format!("{}?{query}", target.path()),
        None => target.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_to_the_same_page_and_never_leaves_the_origin() {
        for (place, reached) in [
            ("/auth/register", "/auth/register"),
            ("/auth/agreements/terms?x=1", "/auth/agreements/terms?x=1"),
            (
                "/auth/login?return_to=%2Fthings%23x",
                "/auth/login?return_to=%2Fthings%23x",
            ),
            ("/things?a=1", "/things?a=1"),
            ("/auth/../../evil", "/evil"),
            ("/auth/callback?code=x", "/"),
            ("//evil.example/auth/", "/"),
            ("https://evil.example/", "/"),
            ("/auth/\\evil.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(
                page_to_come_back_to(place, "https://app.example.com"),
                reached,
                "{place}"
            );
        }
    }
}
