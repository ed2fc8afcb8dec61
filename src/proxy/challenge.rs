//! What an answer tells a program about how to be let in (RFC 6750, section 3; RFC 9728,
//! section 5.1; RFC 9470).

use std::fmt::Write as _;

use http::HeaderValue;

use super::answer::Problem;
use crate::access::StepUpDemand;
use crate::paths;
use crate::policy::step_up::Shortfall;

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
        Problem::StepUpRequired(demand) => step_up(demand, &mut text),
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

/// RFC 9470, section 3.
fn step_up(demand: &StepUpDemand, text: &mut String) {
    let why = match demand.lacks {
        Shortfall::Class => "A different authentication level is required",
        Shortfall::Age => "A more recent authentication is required",
    };
    let _ = write!(
        text,
        ", error=\"insufficient_user_authentication\", error_description=\"{why}\""
    );
    let wanted = &demand.wanted;
    if !wanted.acr.is_empty() {
        let _ = write!(text, ", acr_values=\"{}\"", wanted.acr.join(" "));
    }
    if let Some(max_age) = wanted.max_age {
        let _ = write!(text, ", max_age=\"{}\"", max_age.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::StepUp;

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

    #[test]
    fn a_step_up_says_what_is_wanted_of_a_sign_in() {
        let demand = StepUpDemand {
            rule: "pay".to_owned(),
            wanted: StepUp {
                acr: vec!["mfa".to_owned(), "phr".to_owned()],
                max_age: Some(Duration::from_mins(5)),
            },
            lacks: Shortfall::Age,
        };
        assert_eq!(
            told(&Problem::StepUpRequired(demand), None).unwrap(),
            "Bearer realm=\"vestibule\", error=\"insufficient_user_authentication\", \
             error_description=\"A more recent authentication is required\", \
             acr_values=\"mfa phr\", max_age=\"300\""
        );
    }
}
