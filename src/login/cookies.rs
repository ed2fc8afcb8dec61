//! The cookies of a request, as a login needs them.

use http::HeaderMap;
use http::header::COOKIE;

use crate::session::cookie;

/// All Cookie fields of a request; over HTTP/2 there may be several.
#[derive(Clone, Default)]
pub struct Cookies(Vec<Vec<u8>>);

impl Cookies {
    /// Those of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(
            headers
                .get_all(COOKIE)
                .iter()
                .map(|field| field.as_bytes().to_vec())
                .collect(),
        )
    }

    /// The session cookie.
    pub fn session(&self) -> Option<&str> {
        cookie::find(&self.0, cookie::SESSION_COOKIE)
    }

    /// Names and values of all cookies whose name begins with `prefix`.
    pub fn starting_with(&self, prefix: &str) -> Vec<(&str, &str)> {
        cookie::find_all(&self.0, prefix)
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies(…)")
    }
}
