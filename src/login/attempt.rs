//! Login attempts: one trip to an identity provider and back, kept in the browser (pure).
//!
//! What the callback needs lies in a sealed cookie of its own, so that floods of anonymous
//! requests cost no memory and many tabs work at once. The `state` parameter is sealed as well:
//! it names the cookie, and says where to start over when the cookie is lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cookies::Cookies;
use super::step_up::SteppingUp;
use crate::clock::Timestamp;
use crate::identity::ProviderId;
use crate::seal::{KeyRing, Purpose};
use crate::session::cookie;

/// How the cookies of attempts begin.
pub const COOKIE_PREFIX: &str = "__Host-vestibule-login-";
/// The most attempts of one browser.
const MAX_ATTEMPTS: usize = 5;
/// The most that all attempts of one browser weigh, octets; below the 8 KiB that servers take.
const MAX_WEIGHT: usize = 7 * 1024;
/// Longer return targets do not travel in `state`.
const MAX_TARGET_IN_STATE: usize = 512;

/// What the callback needs to know of a trip.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id: 128 random bits.
    #[serde(rename = "i")]
    pub id: String,
    /// The provider that was asked.
    #[serde(rename = "p")]
    pub provider: ProviderId,
    /// The nonce that was sent.
    #[serde(rename = "n")]
    pub nonce: String,
    /// The PKCE verifier.
    #[serde(rename = "v")]
    pub verifier: String,
    /// Where to go afterwards.
    #[serde(rename = "r")]
    pub return_to: String,
    /// When it began.
    #[serde(rename = "t")]
    pub began_at: Timestamp,
    /// Whether it was started over already.
    #[serde(rename = "a")]
    pub is_second: bool,
    /// What somebody who is signed in was asked to show once more, if that is what it is for.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<SteppingUp>,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempt({} at {})", self.id, self.provider)
    }
}

/// What travels in `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The attempt's id.
    #[serde(rename = "i")]
    pub id: String,
    /// The provider that was asked.
    #[serde(rename = "p")]
    pub provider: ProviderId,
    /// Where to go afterwards, where it is short.
    #[serde(rename = "r")]
    pub return_to: Option<String>,
    /// When the attempt began.
    #[serde(rename = "t")]
    pub began_at: Timestamp,
    /// Whether the attempt was started over already.
    #[serde(rename = "a")]
    pub is_second: bool,
}

/// The keeper of attempts on one host.
#[derive(Debug)]
pub struct Attempts<'login> {
    /// What seals them.
    pub keys: &'login KeyRing,
    /// The host, which sealed values are bound to.
    pub host: &'login str,
    /// How long an attempt may take.
    pub lifetime: Duration,
    /// The present moment.
    pub now: Timestamp,
}

impl Attempts<'_> {
    /// The `state` of an attempt.
    pub fn state(&self, attempt: &Attempt) -> String {
        let state = State {
            id: attempt.id.clone(),
            provider: attempt.provider.clone(),
            return_to: Some(&attempt.return_to)
                .filter(|target| target.len() <= MAX_TARGET_IN_STATE)
                .cloned(),
            began_at: attempt.began_at,
            is_second: attempt.is_second,
        };
        self.seal(Purpose::State, self.host, &state)
    }

    /// Reads a `state`; none when this gateway did not make it for this host.
    pub fn read_state(&self, state: &str) -> Option<State> {
        self.open(Purpose::State, self.host, state)
    }

    /// The Set-Cookie texts that keep an attempt, and take away what has no room beside it: what
    /// is unreadable or over, then the oldest.
    pub fn keep(&self, attempt: &Attempt, cookies: &Cookies) -> Vec<String> {
        let name = cookie_name(&attempt.id);
        let value = self.seal(Purpose::LoginAttempt, &self.context(&attempt.id), attempt);
        let mut weight = name.len() + value.len();
        let mut texts = vec![cookie::set_cookie(&name, &value, Some(self.lifetime))];
        let mut found = self.found(cookies);
        found.sort_by_key(|(_, _, began_at)| std::cmp::Reverse(*began_at));
        for (position, (other, size, began_at)) in found.into_iter().enumerate() {
            weight += size;
            let has_room = position + 1 < MAX_ATTEMPTS && weight <= MAX_WEIGHT;
            if other != name && (began_at.is_none() || !has_room) {
                texts.push(cookie::clear_cookie(other));
            }
        }
        texts
    }

    /// The attempt that a `state` names, if this browser has it and it is not over.
    pub fn find(&self, state: &State, cookies: &Cookies) -> Option<Attempt> {
        let name = cookie_name(&state.id);
        let found = cookies.starting_with(&name);
        let (_, value) = found.iter().find(|(found, _)| *found == name)?;
        let attempt: Attempt = self.open(Purpose::LoginAttempt, &self.context(&state.id), value)?;
        let fits = attempt.id == state.id && attempt.provider == state.provider;
        (fits && !self.is_over(attempt.began_at)).then_some(attempt)
    }

    /// Whether an attempt that began then is over.
    pub fn is_over(&self, began_at: Timestamp) -> bool {
        self.now.since(began_at) >= self.lifetime || began_at > self.now.plus(self.lifetime)
    }

    /// When an attempt that began then is over.
    pub fn ends_at(&self, began_at: Timestamp) -> Timestamp {
        began_at.plus(self.lifetime)
    }

    /// Whether this browser has any attempt that is not over.
    pub fn has_any(&self, cookies: &Cookies) -> bool {
        self.found(cookies)
            .iter()
            .any(|(_, _, began_at)| began_at.is_some())
    }

    /// Name, weight and beginning of each attempt; no beginning for what is unreadable or over.
    fn found<'c>(&self, cookies: &'c Cookies) -> Vec<(&'c str, usize, Option<Timestamp>)> {
        let began_at = |name: &str, value: &str| {
            let id = name.strip_prefix(COOKIE_PREFIX)?;
            let attempt: Attempt = self.open(Purpose::LoginAttempt, &self.context(id), value)?;
            Some(attempt.began_at).filter(|began_at| !self.is_over(*began_at))
        };
        cookies
            .starting_with(COOKIE_PREFIX)
            .into_iter()
            .filter(|(name, _)| is_cookie_name(name))
            .map(|(name, value)| (name, name.len() + value.len(), began_at(name, value)))
            .collect()
    }

    fn context(&self, id: &str) -> String {
        format!("{}/{id}", self.host)
    }

    fn seal<T: Serialize>(&self, purpose: Purpose, context: &str, value: &T) -> String {
        // Plain structs of text and numbers always serialise.
        let plain = serde_json::to_vec(value).unwrap_or_default();
        self.keys.seal_text(purpose, context.as_bytes(), &plain)
    }

    fn open<T: for<'de> Deserialize<'de>>(
        &self,
        purpose: Purpose,
        context: &str,
        sealed: &str,
    ) -> Option<T> {
        let plain = self
            .keys
            .open_text(purpose, context.as_bytes(), sealed)
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

/// The Set-Cookie text that forgets an attempt.
pub fn forget(id: &str) -> String {
    cookie::clear_cookie(&cookie_name(id))
}

fn cookie_name(id: &str) -> String {
    format!("{COOKIE_PREFIX}{id}")
}

/// Only names that the gateway could have given go back into a Set-Cookie.
fn is_cookie_name(name: &str) -> bool {
    name.len() <= COOKIE_PREFIX.len() + 64
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;
    use http::HeaderMap;
    use http::header::COOKIE;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const QUARTER: Duration = Duration::from_mins(15);

    fn ring() -> KeyRing {
        KeyRing::new(SealKey::random(), vec![])
    }

    fn on<'a>(keys: &'a KeyRing, host: &'a str, now: Timestamp) -> Attempts<'a> {
        Attempts {
            keys,
            host,
            lifetime: QUARTER,
            now,
        }
    }

    fn attempt(id: &str, return_to: &str, began_at: Timestamp) -> Attempt {
        Attempt {
            id: id.to_owned(),
            provider: ProviderId::new("corp"),
            nonce: "n".repeat(43),
            verifier: "v".repeat(43),
            return_to: return_to.to_owned(),
            began_at,
            is_second: false,
            step_up: None,
        }
    }

    fn sent(texts: &[String]) -> Cookies {
        let pairs: Vec<_> = texts
            .iter()
            .filter(|text| !text.ends_with("Max-Age=0"))
            .map(|text| text.split(';').next().unwrap())
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
        Cookies::of(&headers)
    }

    #[test]
    fn an_attempt_is_found_by_its_state_in_its_browser() {
        let keys = ring();
        let attempts = on(&keys, "app.example.com", NOW);
        let one = attempt("one", "/things?tab=1#x", NOW);
        let cookies = sent(&attempts.keep(&one, &Cookies::default()));
        let state = attempts.read_state(&attempts.state(&one)).unwrap();
        assert_eq!(state.return_to.as_deref(), Some("/things?tab=1#x"));
        assert_eq!(attempts.find(&state, &cookies), Some(one));
        assert_eq!(
            attempts.find(&state, &Cookies::default()),
            None,
            "another browser"
        );
    }

    #[test]
    fn it_is_bound_to_host_keys_and_time() {
        let keys = ring();
        let attempts = on(&keys, "app.example.com", NOW);
        let one = attempt("one", "/", NOW);
        let (text, cookies) = (
            attempts.state(&one),
            sent(&attempts.keep(&one, &Cookies::default())),
        );
        let state = attempts.read_state(&text).unwrap();
        assert!(on(&keys, "b.example.com", NOW).read_state(&text).is_none());
        assert!(
            on(&keys, "b.example.com", NOW)
                .find(&state, &cookies)
                .is_none()
        );
        assert!(
            on(&ring(), "app.example.com", NOW)
                .read_state(&text)
                .is_none()
        );
        assert!(
            on(&keys, "app.example.com", NOW.plus(QUARTER))
                .find(&state, &cookies)
                .is_none()
        );
        let before = NOW.plus(QUARTER).minus(Duration::from_millis(1));
        assert!(
            on(&keys, "app.example.com", before)
                .find(&state, &cookies)
                .is_some()
        );
    }

    #[test]
    fn a_cookie_does_not_answer_for_another_attempt() {
        let keys = ring();
        let attempts = on(&keys, "h", NOW);
        let texts = attempts.keep(&attempt("one", "/", NOW), &Cookies::default());
        let moved = texts[0].replace("login-one=", "login-two=");
        let state = attempts
            .read_state(&attempts.state(&attempt("two", "/", NOW)))
            .unwrap();
        assert_eq!(attempts.find(&state, &sent(&[moved])), None);
    }

    #[test]
    fn five_tabs_work_at_once_and_the_oldest_makes_room() {
        let keys = ring();
        let mut kept: Vec<String> = Vec::new();
        for minute in 0..6_u8 {
            let now = NOW.plus(Duration::from_secs(60 * u64::from(minute)));
            let texts =
                on(&keys, "h", now).keep(&attempt(&minute.to_string(), "/", now), &sent(&kept));
            for gone in texts.iter().filter(|text| text.ends_with("Max-Age=0")) {
                let name = gone.split('=').next().unwrap();
                kept.retain(|text| !text.starts_with(&format!("{name}=")));
            }
            kept.push(texts[0].clone());
        }
        let names: Vec<_> = kept
            .iter()
            .map(|text| text.split('=').next().unwrap())
            .collect();
        assert_eq!(names.len(), 5);
        assert!(!names.contains(&"__Host-vestibule-login-0"), "{names:?}");
    }

    #[test]
    fn what_is_unreadable_or_over_is_taken_away() {
        let keys = ring();
        let old = on(&keys, "h", NOW).keep(&attempt("old", "/", NOW), &Cookies::default());
        let rubbish = "__Host-vestibule-login-x=rubbish; Path=/".to_owned();
        let evil = "__Host-vestibule-login-a\tb=1".to_owned();
        let later = NOW.plus(QUARTER);
        let cookies = sent(&[old[0].clone(), rubbish, evil]);
        let texts = on(&keys, "h", later).keep(&attempt("new", "/", later), &cookies);
        let gone: Vec<_> = texts[1..]
            .iter()
            .map(|text| text.split('=').next().unwrap())
            .collect();
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert!(gone.contains(&"__Host-vestibule-login-old"));
    }

    #[test]
    fn cookies_stay_small() {
        let keys = ring();
        let long = format!("/{}", "a".repeat(2047));
        let mut cookies: Vec<String> = Vec::new();
        for second in 0..8_u64 {
            let now = NOW.plus(Duration::from_secs(second));
            let one = attempt(&format!("id{second}"), &long, now);
            let texts = on(&keys, "h", now).keep(&one, &sent(&cookies));
            assert!(texts[0].len() < 4096);
            assert!(
                on(&keys, "h", now).state(&one).len() < 512,
                "a long target is not in `state`"
            );
            for gone in texts.iter().filter(|text| text.ends_with("Max-Age=0")) {
                let name = gone.split('=').next().unwrap();
                cookies.retain(|text| !text.starts_with(&format!("{name}=")));
            }
            cookies.push(texts[0].clone());
            let total: usize = cookies
                .iter()
                .map(|text| text.split(';').next().unwrap().len() + 2)
                .sum();
            assert!(total < 8192, "{total}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_state_opens(position in 0_usize..150, octet in "[A-Za-z0-9_-]") {
            let keys = ring();
            let attempts = on(&keys, "h", NOW);
            let text = attempts.state(&attempt("one", "/", NOW));
            let position = position % text.len();
            let changed = format!("{}{octet}{}", &text[..position], &text[position + 1..]);
            prop_assert_eq!(attempts.read_state(&changed).is_some(), changed == text);
        }
    }
}
