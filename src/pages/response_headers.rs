//! Headers that every answer of the pages carries.

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::Response;

use crate::captcha::Origins;

/// Everything comes from here, nothing is inline, nobody frames us.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";

/// [`PAGE_POLICY`] of a page that shows something of these origins as well; none where one cannot
/// be written into a header.
pub fn page_policy(origins: &Origins) -> Option<HeaderValue> {
    let Origins {
        scripts,
        frames,
        styles,
        connections,
    } = origins;
    let mut policy = PAGE_POLICY.to_owned();
    for (directive, further) in [
        ("script-src", scripts),
        ("style-src", styles),
        ("connect-src", connections),
    ] {
        let own = format!("{directive} 'self'");
        let all = [std::slice::from_ref(&own), further].concat();
        policy = policy.replace(&own, &all.join(" "));
    }
    if !frames.is_empty() {
        policy = format!("{policy}; frame-src {}", frames.join(" "));
    }
    HeaderValue::from_str(&policy).ok()
}

/// A file opened by itself does nothing: an operator's SVG could hold a script.
const FILE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

const KEEP_FOR_GOOD: &str = "public, max-age=31536000, immutable";

const ALWAYS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Puts the headers of pages on an answer; what a handler has set itself stays.
pub async fn protect(mut response: Response) -> Response {
    for (name, value) in ALWAYS {
        keep_or_set(&mut response, name, value);
    }
    keep_or_set(&mut response, CONTENT_SECURITY_POLICY, PAGE_POLICY);
    keep_or_set(&mut response, CACHE_CONTROL, "no-store");
    let referrer = referrer_policy(response.status());
    keep_or_set(&mut response, REFERRER_POLICY, referrer);
    response
}

/// A page's address can hold a code and a state, which nobody else needs to see. With `no-referrer`
/// browsers would send our own forms without their origin, so that pages say a little more.
fn referrer_policy(status: StatusCode) -> &'static str {
    if status.is_redirection() {
        "no-referrer"
    } else {
        "strict-origin"
    }
}

/// Puts the headers of a file, whose URL holds its digest, on an answer.
pub fn as_lasting_file(response: &mut Response, media_type: &'static str) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(KEEP_FOR_GOOD));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(FILE_POLICY),
    );
}

fn keep_or_set(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .entry(name)
        .or_insert(HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_is_locked_down_and_not_kept() {
        let response = protect(Response::default()).await;
        let value = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = value("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert!(!policy.contains("  "), "{policy}");
        assert_eq!(value("cache-control"), "no-store");
        assert_eq!(value("x-frame-options"), "DENY");
        assert_eq!(value("cross-origin-opener-policy"), "same-origin");
        assert_eq!(value("referrer-policy"), "strict-origin");
    }

    #[test]
    fn a_page_is_opened_to_what_it_shows_and_to_nothing_else() {
        assert_eq!(page_policy(&Origins::default()).unwrap(), PAGE_POLICY);
        let origins = Origins {
            scripts: vec![
                "https://a.example/x/".to_owned(),
                "https://b.example".to_owned(),
            ],
            frames: vec!["https://c.example".to_owned()],
            ..Origins::default()
        };
        let policy = page_policy(&origins).unwrap();
        let opened = PAGE_POLICY.replace(
            "script-src 'self'",
            "script-src 'self' https://a.example/x/ https://b.example",
        );
        let opened = format!("{opened}; frame-src https://c.example");
        assert_eq!(policy.to_str().unwrap(), opened);
    }

    #[tokio::test]
    async fn what_a_handler_has_set_stays() {
        let mut response = Response::default();
        as_lasting_file(&mut response, "image/svg+xml");
        let response = protect(response).await;
        assert!(
            response.headers()["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("sandbox"));
    }
}
