//! Which header fields may pass, in and out, and how claims become field values. Pure.
//!
//! Servers fold field names before they look at them: CGI and its heirs turn every character that
//! is not a letter or a digit into `_`. Names are therefore compared folded.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The longest field value that a claim may give, octets.
const MAX_VALUE: usize = 1024;

/// Fields by which proxies tell an upstream about the client, or what to serve instead; from a
/// client they are a lie, and the gateway sets its own.
const FORWARDING: [&str; 22] = [
    "forwarded",
    "x-real-ip",
    "x-rewrite-url",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-proxyuser-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-host",
    "x-scheme",
    "x-ssl",
    "client-ip",
    "fastly-client-ip",
    "proxy",
    "remote-user",
    "x-remote-user",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Families of the same.
const FORWARDING_PREFIXES: [&str; 4] = ["x-forwarded-", "x-original-", "x-envoy-", "x-vestibule-"];

/// Fields that end at the next hop (RFC 9110, section 7.6.1), besides those that `Connection`
/// nominates; `Transfer-Encoding`, `Upgrade` and `Connection` are the proxy library's to keep.
const HOP_BY_HOP: [HeaderName; 3] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
];

/// The names of fields that only the gateway may set.
#[derive(Debug, Clone)]
pub struct ManagedNames {
    names: Vec<String>,
    lengths: u64,
}

impl ManagedNames {
    /// The built-in names and those of the hand-off.
    pub fn new<'a>(handoff: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<String> = handoff
            .into_iter()
            .chain(FORWARDING)
            .map(|name| name.bytes().map(|octet| char::from(fold(octet))).collect())
            .collect();
        let lengths = names
            .iter()
            .fold(0, |lengths, name| lengths | length_bit(name.len()));
        Self { names, lengths }
    }

    /// Whether a server may read `name` as one of them.
    pub fn contains(&self, name: &str) -> bool {
        let has_length = self.lengths & length_bit(name.len()) != 0;
        (has_length && self.names.iter().any(|own| equals_folded(own, name)))
            || FORWARDING_PREFIXES.iter().any(|prefix| {
                name.get(..prefix.len())
                    .is_some_and(|start| equals_folded(prefix, start))
            })
    }

    /// The names of all fields that a server may read as one of them.
    pub fn found_in(&self, headers: &HeaderMap) -> Vec<HeaderName> {
        headers
            .keys()
            .filter(|name| self.contains(name.as_str()))
            .cloned()
            .collect()
    }

    /// Whether `Connection` nominates one of them, which would have the next hop drop what the
    /// gateway sets.
    pub fn nominated_in(&self, headers: &HeaderMap) -> bool {
        nominates(headers)
            && connection_options(headers).any(|name| self.contains(&name) || is_end_to_end(&name))
    }
}

/// Whether `Connection` says anything besides whether the connection goes on.
fn nominates(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .any(|value| *value != "keep-alive" && *value != "close")
}

fn is_end_to_end(option: &str) -> bool {
    [
        "host",
        "cookie",
        "authorization",
        "content-length",
        "content-type",
    ]
    .contains(&option)
}

fn length_bit(length: usize) -> u64 {
    1 << (length & 63)
}

fn fold(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() {
        octet.to_ascii_lowercase()
    } else {
        b'-'
    }
}

fn equals_folded(folded: &str, name: &str) -> bool {
    folded.len() == name.len()
        && folded
            .bytes()
            .zip(name.bytes())
            .all(|(own, octet)| own == fold(octet))
}

/// Whether a server may read two names as the same.
pub fn are_alike(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .all(|(left, right)| fold(left) == fold(right))
}

/// The options of all `Connection` fields, lower case.
fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .filter(|option| !option.is_empty())
}

/// What becomes of the `Cookie` fields of a request before it is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardedCookies {
    /// There is one field or none, and no cookie of the gateway: it stays as it is.
    AsTheyAre,
    /// No other cookie is left.
    None,
    /// One field with all other cookies, byte for byte (RFC 9113, section 8.2.3).
    Merged(Vec<u8>),
}

/// Takes the gateway's own cookies out and merges several fields into one.
pub fn forwarded_cookies(headers: &HeaderMap, own: &[u8]) -> ForwardedCookies {
    let fields = || {
        headers
            .get_all(header::COOKIE)
            .into_iter()
            .map(HeaderValue::as_bytes)
    };
    let is_simple = fields().nth(1).is_none()
        && !fields().any(|field| cookies_of(field).any(|cookie| is_named(cookie, own)));
    if is_simple {
        return ForwardedCookies::AsTheyAre;
    }
    let kept = fields()
        .flat_map(cookies_of)
        .filter(|cookie| !cookie.is_empty() && !is_named(cookie, own))
        .fold(Vec::new(), |mut kept, cookie| {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(cookie);
            kept
        });
    if kept.is_empty() {
        ForwardedCookies::None
    } else {
        ForwardedCookies::Merged(kept)
    }
}

fn cookies_of(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|octet| *octet == b';').map(<[u8]>::trim_ascii)
}

/// Whether a cookie's name begins with `own`, also where a browser would read a nameless cookie
/// (`=name=value`) back as a named one.
fn is_named(cookie: &[u8], own: &[u8]) -> bool {
    let mut name = cookie.trim_ascii_start();
    while let [b'=', rest @ ..] = name {
        name = rest.trim_ascii_start();
    }
    name.get(..own.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(own))
}

/// Cleans the fields of an upstream's response: what ends at this hop, and cookies that carry the
/// gateway's names.
pub fn clean_response(headers: &HeaderMap, own_cookies: &[u8]) -> ResponseCleaning {
    if !headers.keys().any(needs_a_look) && !nominates(headers) {
        return ResponseCleaning::default();
    }
    let mut dropped: Vec<HeaderName> = HOP_BY_HOP
        .iter()
        .filter(|name| headers.contains_key(*name))
        .cloned()
        .collect();
    dropped.extend(
        connection_options(headers)
            .filter(|option| !matches!(option.as_str(), "close" | "keep-alive" | "upgrade"))
            .filter_map(|option| HeaderName::try_from(option).ok())
            .filter(|name| !is_end_to_end(name.as_str()) && headers.contains_key(name)),
    );
    let set_cookies = headers.get_all(header::SET_COOKIE);
    let is_ours = |value: &&HeaderValue| is_named(value.as_bytes(), own_cookies);
    let cookies = set_cookies.iter().any(|value| is_ours(&value)).then(|| {
        set_cookies
            .iter()
            .filter(|value| !is_ours(value))
            .cloned()
            .collect()
    });
    ResponseCleaning { dropped, cookies }
}

fn needs_a_look(name: &HeaderName) -> bool {
    *name == header::SET_COOKIE || HOP_BY_HOP.contains(name)
}

/// What [`clean_response`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResponseCleaning {
    /// Fields that must go.
    pub dropped: Vec<HeaderName>,
    /// All `Set-Cookie` values that may stay, when some may not.
    pub cookies: Option<Vec<HeaderValue>>,
}

/// Why a claim cannot be handed to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitValue {
    /// A control character: it could end the field and begin another.
    #[error("the value has a control character")]
    Control,
    /// Longer than any name or address.
    #[error("the value is longer than {MAX_VALUE} octets")]
    TooLong,
}

/// What is escaped in a value besides what is not ASCII: `%` itself, so that the upstream can
/// decode without doubt.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Makes a claim a field value: data, never structure.
pub fn claim_value(text: &str) -> Result<HeaderValue, UnfitValue> {
    if text.chars().any(char::is_control) {
        return Err(UnfitValue::Control);
    }
    let value: Cow<'_, str> = utf8_percent_encode(text.trim(), ESCAPED).into();
    if value.len() > MAX_VALUE {
        return Err(UnfitValue::TooLong);
    }
    HeaderValue::from_str(&value).map_err(|_| UnfitValue::Control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::cookie::SESSION_COOKIE;
    use proptest::prelude::*;

    fn managed() -> ManagedNames {
        ManagedNames::new(["X-Vestibule-User", "X-Acme-Person"])
    }

    #[test]
    fn managed_names_are_known_in_every_spelling() {
        for name in [
            "X-Vestibule-User",
            "x_vestibule_user",
            "X.Vestibule-USER",
            "x~vestibule!user",
            "x-vestibule-anything",
            "X_ACME_PERSON",
            "forwarded",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded-Client-Cert",
            "x.original.url",
            "X-Real_IP",
            "x-envoy-internal",
            "CF-Connecting-IP",
            "True-Client-IP",
            "X-ProxyUser-IP",
            "X-HTTP-Method-Override",
        ] {
            assert!(managed().contains(name), "{name}");
        }
    }

    #[test]
    fn other_names_pass() {
        for name in [
            "accept",
            "authorization",
            "cookie",
            "x-requested-with",
            "x-vestibule",
            "x-acme",
            "x-csrf-token",
            "origin",
            "forward",
            "x-forwarded",
            "proxy-authorization",
        ] {
            assert!(!managed().contains(name), "{name}");
        }
    }

    #[test]
    fn all_spellings_are_found() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-vestibule-user",
            "x_vestibule_user",
            "x-forwarded-for",
            "accept",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        let mut found = managed().found_in(&headers);
        found.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        assert_eq!(
            found,
            ["x-forwarded-for", "x-vestibule-user", "x_vestibule_user"]
        );
    }

    #[test]
    fn connection_may_not_nominate_managed_fields() {
        let nominated = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive"));
            headers.append(header::CONNECTION, HeaderValue::from_static(value));
            managed().nominated_in(&headers)
        };
        assert!(nominated("close, X-Vestibule-User"));
        assert!(nominated("x_forwarded_for") && nominated("cookie") && nominated("Host"));
        assert!(!nominated("upgrade, x-mine"));
    }

    fn cookies(fields: &[&str]) -> ForwardedCookies {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_str(field).unwrap());
        }
        forwarded_cookies(&headers, SESSION_COOKIE.as_bytes())
    }

    #[test]
    fn own_cookies_go_and_all_others_stay_byte_for_byte() {
        assert_eq!(cookies(&[]), ForwardedCookies::AsTheyAre);
        assert_eq!(cookies(&["a=1;b=\"2 \""]), ForwardedCookies::AsTheyAre);
        assert_eq!(cookies(&["__Host-vestibule=x"]), ForwardedCookies::None);
        assert_eq!(
            cookies(&["a=1; __Host-vestibule=x; b=\"=2\"; __Host-vestibule-a.1=y"]),
            ForwardedCookies::Merged(b"a=1; b=\"=2\"".to_vec())
        );
        assert_eq!(
            cookies(&["a=1; =__host-vestibule=x; c"]),
            ForwardedCookies::Merged(b"a=1; c".to_vec())
        );
    }

    #[test]
    fn crumbs_become_one_field() {
        assert_eq!(
            cookies(&["a=1", "__Host-vestibule=x", "b=2"]),
            ForwardedCookies::Merged(b"a=1; b=2".to_vec())
        );
    }

    #[test]
    fn a_response_loses_what_ends_here_and_cookies_of_ours() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret, content-type"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("content-type", "text/plain"),
            ("server", "nginx"),
            ("set-cookie", "a=1"),
            ("set-cookie", " __Host-vestibule=stolen"),
            ("set-cookie", "=__Host-vestibule=stolen"),
            ("set-cookie", "b=2"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let cleaning = clean_response(&headers, SESSION_COOKIE.as_bytes());
        assert_eq!(cleaning.dropped, ["keep-alive", "x-secret"]);
        assert_eq!(cleaning.cookies.unwrap(), ["a=1", "b=2"]);
    }

    #[test]
    fn a_clean_response_costs_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
        let cleaning = clean_response(&headers, SESSION_COOKIE.as_bytes());
        assert_eq!(
            cleaning,
            ResponseCleaning {
                dropped: vec![],
                cookies: None
            }
        );
    }

    #[test]
    fn claims_are_data() {
        assert_eq!(claim_value("Zoë 100%").unwrap(), "Zo%C3%AB 100%25");
        assert_eq!(
            claim_value("a\r\nX-Vestibule-User: root"),
            Err(UnfitValue::Control)
        );
        assert_eq!(claim_value("a\0"), Err(UnfitValue::Control));
        assert_eq!(claim_value("a\u{85}"), Err(UnfitValue::Control));
        assert_eq!(claim_value(&"x".repeat(1025)), Err(UnfitValue::TooLong));
    }

    proptest! {
        #[test]
        fn every_folding_of_a_managed_name_is_managed(
            choices in proptest::collection::vec((any::<bool>(), 0usize..15), 16)
        ) {
            let separators = b"-_.!#$%&'*+^`|~";
            let spelling: String = "x-vestibule-user".bytes().zip(&choices)
                .map(|(octet, (upper, separator))| char::from(match octet {
                    b'-' => separators[*separator],
                    letter if *upper => letter.to_ascii_uppercase(),
                    letter => letter,
                }))
                .collect();
            prop_assert!(managed().contains(&spelling), "{}", spelling);
        }

        #[test]
        fn no_claim_makes_two_fields_or_a_foreign_octet(text in "\\PC{0,80}|.{0,80}") {
            if let Ok(value) = claim_value(&text) {
                prop_assert!(value.as_bytes().iter().all(|octet| (0x20..0x7f).contains(octet)));
            }
        }

        #[test]
        fn no_cookie_of_ours_is_left_whatever_stands_around_it(
            field in "(a=1|__Host-vestibule=x|;|; | |=|__host-VESTIBULE-s=1|\"){0,8}"
        ) {
            let left = match cookies(&[&field]) {
                ForwardedCookies::AsTheyAre => field.clone().into_bytes(),
                ForwardedCookies::None => vec![],
                ForwardedCookies::Merged(kept) => kept,
            };
            let named = left.split(|octet| *octet == b';')
                .any(|cookie| cookie.trim_ascii().to_ascii_lowercase()
                    .starts_with(b"__host-vestibule"));
            prop_assert!(!named, "{field}");
        }
    }

    #[test]
    fn fuzzed_cookies_lose_ours_and_nothing_else() {
        let fuzz = crate::fuzz::Fuzz {
            name: "cookies",
            corpus: include_str!("../../tests/fuzz/corpus/cookies.txt"),
            words: &[
                "__Host-vestibule",
                "__Host-vestibule=",
                "__host-VESTIBULE-login-a=",
                "; ",
                "a=1",
            ],
        };
        fuzz.run(|octets| {
            let mut headers = HeaderMap::new();
            for field in octets.split(|octet| *octet == b'\n') {
                if let Ok(value) = HeaderValue::from_bytes(field) {
                    headers.append(header::COOKIE, value);
                }
            }
            let fields = || headers.get_all(header::COOKIE).into_iter();
            let taken = crate::session::cookie::find(fields(), SESSION_COOKIE);
            let id = taken.and_then(crate::session::SessionId::from_cookie);
            if let (Some(id), Some(taken)) = (&id, taken) {
                assert_eq!(id.to_cookie_value(), taken);
            }
            let forwarded = forwarded_cookies(&headers, SESSION_COOKIE.as_bytes());
            let left: Vec<u8> = match &forwarded {
                ForwardedCookies::AsTheyAre => fields()
                    .next()
                    .map(|field| field.as_bytes().to_vec())
                    .unwrap_or_default(),
                ForwardedCookies::None => Vec::new(),
                ForwardedCookies::Merged(left) => left.clone(),
            };
            // As a server reads it, and as our own reader does.
            assert_eq!(crate::session::cookie::find([&left], SESSION_COOKIE), None);
            let is_ours = |cookie: &[u8]| {
                let start = cookie.iter().position(|octet| !b" \t=".contains(octet));
                let name = cookie.get(start.unwrap_or(0)..).unwrap_or_default();
                name.to_ascii_lowercase().starts_with(b"__host-vestibule")
            };
            assert!(!left.split(|octet| *octet == b';').any(is_ours));
            // All others stay, in their order.
            let others = |field: &[u8]| -> Vec<Vec<u8>> {
                let cookies = field.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
                let others = cookies.filter(|cookie| !cookie.is_empty() && !is_ours(cookie));
                others.map(<[u8]>::to_vec).collect()
            };
            let sent: Vec<Vec<u8>> = fields()
                .flat_map(|field| others(field.as_bytes()))
                .collect();
            assert_eq!(sent, others(&left));
            (taken.is_some(), id.is_some(), left.is_empty(), sent.len())
        });
    }
}
