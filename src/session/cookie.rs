//! Cookies by the gateway's names: read and written (pure). `access::header_hygiene` takes them out
//! before the upstream.
//!
//! All of them begin with `__Host-vestibule`, so that browsers take them from this very host over
//! TLS only (RFC 6265bis, section 4.1.3.2).

use std::time::Duration;

use super::{SessionId, SessionKey};
use crate::seal;

/// The session cookie, and how every other cookie of the gateway begins.
pub const SESSION_COOKIE: &str = "__Host-vestibule";

/// Remembers whose token the platform's own pages have in this browser.
pub const HANDED_COOKIE: &str = "__Host-vestibule-handed";

/// Remembers for a while that somebody signed out of the platform's own pages in this browser.
pub const LEFT_COOKIE: &str = "__Host-vestibule-left";

/// Further `name=value` pairs in one Cookie field are not looked at.
const MAX_PAIRS: usize = 256;

/// The value of the cookie `name` in any of the Cookie fields; the first one counts. Fields may
/// be text or octets: other cookies need not be UTF-8.
pub fn find<'a, C>(fields: impl IntoIterator<Item = &'a C>, name: &str) -> Option<&'a str>
where
    C: AsRef<[u8]> + ?Sized + 'a,
{
    fields
        .into_iter()
        .flat_map(|field| field.as_ref().split(|octet| *octet == b';').take(MAX_PAIRS))
        .find_map(|pair| value_of(pair, name))
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a str> {
    let value = pair
        .trim_ascii()
        .strip_prefix(name.as_bytes())?
        .trim_ascii_start();
    std::str::from_utf8(value.strip_prefix(b"=")?.trim_ascii()).ok()
}

/// Names and values of all cookies whose name begins with `prefix`, as login attempts have it.
pub fn find_all<'a, C>(
    fields: impl IntoIterator<Item = &'a C>,
    prefix: &str,
) -> Vec<(&'a str, &'a str)>
where
    C: AsRef<[u8]> + ?Sized + 'a,
{
    fields
        .into_iter()
        .flat_map(|field| field.as_ref().split(|octet| *octet == b';').take(MAX_PAIRS))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect()
}

/// The Set-Cookie text that gives a session to a browser; it ends with the browser's own session,
/// the server's limits hold besides.
pub fn session_cookie(id: &SessionId) -> String {
    set_cookie(SESSION_COOKIE, &id.to_cookie_value(), None)
}

/// The Set-Cookie text that takes the session from a browser.
pub fn clear_session_cookie() -> String {
    clear_cookie(SESSION_COOKIE)
}

/// The Set-Cookie text that says that the platform's own pages have a token of this session.
pub fn handed_cookie(session: &SessionKey) -> String {
    set_cookie(HANDED_COOKIE, &handed_mark(session), None)
}

/// What [`HANDED_COOKIE`] holds for a session: nothing that leads to it.
pub fn handed_mark(session: &SessionKey) -> String {
    seal::digest_parts(&["handed", session.as_str()])
}

/// The Set-Cookie text of one of the gateway's cookies. `name` and `value` are made by the
/// gateway, of characters that a cookie may have.
pub fn set_cookie(name: &str, value: &str, max_age: Option<Duration>) -> String {
    let lives = max_age
        .map(|age| format!("; Max-Age={}", age.as_secs()))
        .unwrap_or_default();
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{lives}")
}

/// The Set-Cookie text that takes a cookie of the gateway from a browser.
pub fn clear_cookie(name: &str) -> String {
    set_cookie(name, "", Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_cookie_in_any_field() {
        let fields = ["a=1; b=2", "c=3;__Host-vestibule=x ;d=4"];
        assert_eq!(find(fields, SESSION_COOKIE), Some("x"));
        assert_eq!(find(fields, "b"), Some("2"));
        assert_eq!(find(fields, "e"), None);
        assert_eq!(find(["__Host-vestibule-login=x"], SESSION_COOKIE), None);
        assert_eq!(find(["x__Host-vestibule=x"], SESSION_COOKIE), None);
        assert_eq!(find(["__Host-vestibule"], SESSION_COOKIE), None);
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(
            find(["__Host-vestibule=1; __Host-vestibule=2"], SESSION_COOKIE),
            Some("1")
        );
    }

    #[test]
    fn other_cookies_need_not_be_text() {
        let field: &[u8] = b"name=\xff\xfe; __Host-vestibule=x";
        assert_eq!(find([field], SESSION_COOKIE), Some("x"));
    }

    #[test]
    fn lists_cookies_by_the_start_of_their_name() {
        let fields = [
            "__Host-vestibule-login-a=1; x=2",
            " __Host-vestibule-login-b = 3",
        ];
        let found = find_all(fields, "__Host-vestibule-login-");
        assert_eq!(
            found,
            [
                ("__Host-vestibule-login-a", "1"),
                ("__Host-vestibule-login-b", "3")
            ]
        );
    }

    #[test]
    fn cookies_are_set_for_this_host_over_tls_and_out_of_reach_of_scripts() {
        let id = SessionId::random();
        let text = session_cookie(&id);
        let value = id.to_cookie_value();
        assert_eq!(
            text,
            format!("__Host-vestibule={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            clear_session_cookie(),
            "__Host-vestibule=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(field in proptest::collection::vec(any::<u8>(), 0..200)) {
            find([field.as_slice()], SESSION_COOKIE);
            find_all([field.as_slice()], SESSION_COOKIE);
        }
    }
}
