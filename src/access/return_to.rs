//! A parsed same-origin destination: the only type that a redirect after login accepts.

use url::Url;

use super::RequestFacts;
use crate::paths;

/// Longer targets restart at `/` rather than being cut.
const MAX_LENGTH: usize = 2048;

/// A place on the own origin, path with query and fragment; never one of the gateway's own pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// `/`.
    pub fn home() -> Self {
        Self("/".to_owned())
    }

    /// The page that was asked for.
    pub fn from_request(facts: &RequestFacts) -> Self {
        let query = facts
            .query
            .as_ref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        Self::parse(
            &format!("{}{query}", facts.path.as_str()),
            &facts.own_origin,
        )
    }

    /// Parses what a client sent, by the rules of browsers (WHATWG URL); whatever is not a place
    /// on `origin`, or is a page of the gateway, becomes `/`.
    pub fn parse(untrusted: &str, origin: &str) -> Self {
        Self::same_origin(untrusted, origin).unwrap_or_else(Self::home)
    }

    fn same_origin(untrusted: &str, origin: &str) -> Option<Self> {
        let looks_plain = untrusted.len() <= MAX_LENGTH
            && untrusted.starts_with('/')
            && !untrusted.starts_with("//")
            && !untrusted.contains(['\\', '\0'])
            && !untrusted.chars().any(char::is_control);
        if !looks_plain {
            return None;
        }
        let base = Url::parse(origin).ok()?;
        let target = base.join(untrusted).ok()?;
        let text = serialise(&target);
        // Checked again on the octets that are sent: they must lead to the same place.
        let again = base.join(&text).ok()?;
        let safe = again.origin() == base.origin()
            && again == target
            && again.username().is_empty()
            && !text.starts_with("//")
            && !leads_to_ours(target.path());
        safe.then_some(Self(text))
    }

    /// The destination as a path with query and fragment, for `Location`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same destination with the fragment that the browser had, unless it has one.
    #[must_use]
    pub fn with_fragment(self, fragment: &str, origin: &str) -> Self {
        let fragment = fragment.trim_start_matches('#');
        if fragment.is_empty() || self.0.contains('#') {
            return self;
        }
        let joined = Self::same_origin(&format!("{}#{fragment}", self.0), origin);
        joined.unwrap_or(self)
    }
}

fn serialise(url: &Url) -> String {
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let fragment = url
        .fragment()
        .map(|fragment| format!("#{fragment}"))
        .unwrap_or_default();
    format!("{}{query}{fragment}", url.path())
}

/// Whether a path is the gateway's, also after a server would decode it.
fn leads_to_ours(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    [path, &decoded]
        .iter()
        .any(|path| paths::is_ours(&path.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: &str = "https://app.example.com";

    #[test]
    fn keeps_deep_links_as_they_are() {
        for link in [
            "/",
            "/things/17?tab=values#chart",
            "/a%2Fb",
            "/x?u=https://e.com/..",
            "/ü?q=ü",
        ] {
            let kept = ReturnTo::parse(link, ORIGIN);
            assert_eq!(
                Url::parse(ORIGIN).unwrap().join(kept.as_str()).unwrap(),
                Url::parse(ORIGIN).unwrap().join(link).unwrap()
            );
        }
    }

    #[test]
    fn whatever_leads_elsewhere_becomes_home() {
        for target in [
            "https://evil.com/",
            "http://evil.com",
            "HTTPS://evil.com",
            "//evil.com",
            "/\\evil.com",
            "\\\\evil.com",
            "\\/evil.com",
            "/./\\evil.com",
            "/\t/evil.com",
            "/\n/evil.com",
            "javascript:alert(1)",
            "java\rscript:alert(1)",
            "data:text/html,x",
            "https:evil.com",
            "https:/evil.com",
            "https:///evil.com",
            "http:\\\\evil.com",
            "https://evilexample.com",
            "https://app.example.com:8443/",
            ":443@evil.com",
            "/.//evil.com",
            "",
            "evil",
            "/auth/logout",
            "/auth/login?rd=/x",
            "/auth",
            "/x/../auth/logout",
            "/%61uth/logout",
            "/AUTH/logout",
        ] {
            assert_eq!(
                ReturnTo::parse(target, ORIGIN),
                ReturnTo::home(),
                "{target:?}"
            );
        }
        assert_eq!(
            ReturnTo::parse(&format!("/{}", "a".repeat(65536)), ORIGIN),
            ReturnTo::home()
        );
    }

    #[test]
    fn takes_a_fragment_once() {
        let place = ReturnTo::parse("/x", ORIGIN).with_fragment("#a", ORIGIN);
        assert_eq!(place.as_str(), "/x#a");
        assert_eq!(place.with_fragment("#b", ORIGIN).as_str(), "/x#a");
    }

    proptest! {
        #[test]
        fn never_leaves_the_origin(target in "[/\\\\a-z:@.?#%0-9\\t\\n ]{0,40}") {
            let base = Url::parse(ORIGIN).unwrap();
            let place = ReturnTo::parse(&target, ORIGIN);
            let reached = base.join(place.as_str()).unwrap();
            prop_assert_eq!(reached.origin(), base.origin());
            prop_assert!(place.as_str().starts_with('/') && !place.as_str().starts_with("//"));
        }
    }

    #[test]
    fn fuzzed_targets_stay_on_the_origin() {
        let fuzz = crate::fuzz::Fuzz {
            name: "return_target",
            corpus: include_str!("../../tests/fuzz/corpus/return_target.txt"),
            words: &[
                "https://",
                "http:",
                "evil.com",
                "/auth/",
                "javascript:",
                "app.example.com",
            ],
        };
        fuzz.run(|octets| {
            let Ok(text) = std::str::from_utf8(octets) else {
                return (0, false, false);
            };
            let base = Url::parse(ORIGIN).unwrap();
            let (target, fragment) = text.split_once('\n').unwrap_or((text, ""));
            let place = ReturnTo::parse(target, ORIGIN).with_fragment(fragment, ORIGIN);
            let sent = place.as_str();
            let reached = base.join(sent).unwrap();
            assert_eq!(reached.origin(), base.origin(), "{sent:?}");
            assert!(sent.starts_with('/') && !sent.starts_with("//"), "{sent:?}");
            assert!(
                !sent.chars().any(|c| c.is_control() || c == '\\'),
                "{sent:?}"
            );
            let path = percent_encoding::percent_decode_str(reached.path()).decode_utf8_lossy();
            let is_ours = paths::is_ours(&path.to_ascii_lowercase());
            assert!(!is_ours && !paths::is_ours(reached.path()), "{sent:?}");
            let is_home = place == ReturnTo::home();
            (
                1 + u8::from(is_home),
                sent.contains('?'),
                sent.contains('#'),
            )
        });
    }
}
