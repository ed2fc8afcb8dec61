//! Forms are taken only from our own pages: a token in the form and the headers that browsers
//! add.
//!
//! The token is sealed with the host and with what the form belongs to (the digest of a session
//! or of a login attempt), so that it opens for nobody else and not after a promotion.

use std::time::Duration;

use axum::http::HeaderMap;

use crate::clock::Timestamp;
use crate::seal::{KeyRing, Purpose};

/// A page may stay open this long.
const LIFETIME: Duration = Duration::from_hours(12);

/// What a form belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The host on which it was shown.
    pub host: &'a str,
    /// The digest of the session or of the login attempt; empty where there is neither.
    pub owner: &'a str,
}

/// Why a form is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormRefusal {
    /// The browser says that it comes from elsewhere, or does not say where from.
    #[error("the form was sent from another origin")]
    ForeignOrigin,
    /// No token, or one that does not open for this session and host.
    #[error("the form's token does not belong to this session")]
    Token,
    /// The page was open for too long.
    #[error("the form's token is too old")]
    Expired,
}

impl Binding<'_> {
    fn context(self) -> Vec<u8> {
        [self.host.as_bytes(), b"\0", self.owner.as_bytes()].concat()
    }
}

/// A token for a form that is shown now.
pub fn issue(keys: &KeyRing, binding: Binding<'_>, now: Timestamp) -> String {
    keys.seal_text(
        Purpose::FormToken,
        &binding.context(),
        &now.millis().to_be_bytes(),
    )
}

/// Checks the token of a form that was sent.
pub fn check_token(
    keys: &KeyRing,
    binding: Binding<'_>,
    token: &str,
    now: Timestamp,
) -> Result<(), FormRefusal> {
    let opened = keys
        .open_text(Purpose::FormToken, &binding.context(), token)
        .map_err(|_| FormRefusal::Token)?;
    let millis = opened.try_into().map_err(|_| FormRefusal::Token)?;
    let issued = Timestamp::from_millis(i64::from_be_bytes(millis));
    if now.since(issued) > LIFETIME {
        Err(FormRefusal::Expired)
    } else {
        Ok(())
    }
}

/// Checks what the browser says about where a form was sent from.
///
/// `Sec-Fetch-Site` and `Origin` must not contradict, and one of them must be there: every
/// browser of the last years sends `Origin` with a POST.
pub fn check_origin(headers: &HeaderMap, own_origin: &str) -> Result<(), FormRefusal> {
    let site = headers
        .get("sec-fetch-site")
        .map(|value| value == "same-origin");
    let origin = headers.get("origin").map(|value| value == own_origin);
    match (site, origin) {
        (Some(false), _) | (_, Some(false)) | (None, None) => Err(FormRefusal::ForeignOrigin),
        (Some(true), _) | (None, Some(true)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::seal::SealKey;

    const HERE: Binding<'_> = Binding {
        host: "app.example.com",
        owner: "session-1",
    };

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_mins(minutes))
    }

    #[test]
    fn a_token_opens_for_its_own_session_and_host_until_it_is_old() {
        let keys = KeyRing::new(SealKey::random(), vec![]);
        let token = issue(&keys, HERE, at(0));
        assert_eq!(check_token(&keys, HERE, &token, at(1)), Ok(()));
        assert_eq!(
            check_token(&keys, HERE, &token, at(721)),
            Err(FormRefusal::Expired)
        );
        for other in [
            Binding {
                owner: "session-2",
                ..HERE
            },
            Binding { owner: "", ..HERE },
            Binding {
                host: "b.example.com",
                ..HERE
            },
        ] {
            assert_eq!(
                check_token(&keys, other, &token, at(1)),
                Err(FormRefusal::Token)
            );
        }
        for broken in ["", "x", &token[1..], &format!("{token}A")] {
            assert_eq!(
                check_token(&keys, HERE, broken, at(1)),
                Err(FormRefusal::Token)
            );
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let parsed = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(parsed).collect()
    }

    #[test]
    fn only_our_own_pages_may_send_a_form() {
        let origin = "https://app.example.com";
        for taken in [
            headers(&[("origin", origin)]),
            headers(&[("origin", origin), ("sec-fetch-site", "same-origin")]),
            headers(&[("sec-fetch-site", "same-origin")]),
        ] {
            assert_eq!(check_origin(&taken, origin), Ok(()), "{taken:?}");
        }
        for refused in [
            headers(&[]),
            headers(&[("origin", "null")]),
            headers(&[("origin", "https://evil.example")]),
            headers(&[("origin", "https://app.example.com:8443")]),
            headers(&[("origin", origin), ("sec-fetch-site", "cross-site")]),
            headers(&[("origin", "null"), ("sec-fetch-site", "same-origin")]),
            headers(&[("sec-fetch-site", "same-site")]),
            headers(&[("sec-fetch-site", "none")]),
        ] {
            assert_eq!(
                check_origin(&refused, origin),
                Err(FormRefusal::ForeignOrigin),
                "{refused:?}"
            );
        }
    }
}
