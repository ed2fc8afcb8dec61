//! What an answer tells a program about how to be let in (RFC 6750, section 3; RFC 9728,
//! section 5.1).

use http::HeaderValue;

use super::answer::Problem;
use crate::paths;

/// `WWW-Authenticate` for what a better token would mend; `origin` where the gateway says there
/// whose tokens it takes.
pub(super) fn challenge(problem: &Problem, origin: Option<&str>) -> Option<HeaderValue> {
    let mut text = "Bearer realm=\"vestibule\"".to_owned();
    match problem {
        Problem::LoginRequired => {}
        Problem::BadToken => {
            text.push_str(", error=\"invalid_token\"");
            text.push_str(", error_description=\"the token is not good here, or any more\"");
        }
        Problem::ScopeMissing(scopes) => {
            text.push_str(", error=\"insufficient_scope\", scope=\"");
            text.push_str(&scopes.join(" "));
            text.push('"');
        }
        _ => return None,
    }
    if let Some(origin) = origin {
        text.push_str(", resource_metadata=\"");
        text.push_str(origin);
        text.push_str(paths::RESOURCE_METADATA);
        text.push('"');
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: &Problem, origin: Option<&str>) -> Option<String> {
        let value = challenge(problem, origin)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn programs_are_told_what_would_let_them_in() {
        assert_eq!(
            told(&Problem::LoginRequired, None).as_deref(),
            Some("Bearer realm=\"vestibule\"")
        );
        assert_eq!(
            told(
                &Problem::ScopeMissing(vec!["read".to_owned(), "write".to_owned()]),
                Some("https://app.example")
            )
            .as_deref(),
            Some(
                "Bearer realm=\"vestibule\", error=\"insufficient_scope\", scope=\"read write\", \
                 resource_metadata=\"https://app.example/.well-known/oauth-protected-resource\""
            )
        );
        let bad = told(&Problem::BadToken, None).unwrap();
        assert!(bad.contains("error=\"invalid_token\""), "{bad}");
        assert_eq!(told(&Problem::Forbidden, Some("https://a")), None);
    }
}
