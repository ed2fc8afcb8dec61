//! What an identity provider's answer brings in the query of the callback (RFC 6749, section
//! 4.1.2; RFC 9207): parsed once, bounded, nothing twice (pure).

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::form_urlencoded;

/// The longest query, octets.
const MAX_QUERY: usize = 16 * 1024;
/// The most parameters.
const MAX_PARAMETERS: usize = 32;
/// The longest `code`, `state` and `iss`, octets.
const MAX_VALUE: usize = 8 * 1024;

/// Why a callback cannot be understood; 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackProblem {
    /// The query is too long or has too many parameters.
    #[error("the answer is too long")]
    TooLong,
    /// A parameter comes twice.
    #[error("a parameter comes twice")]
    Twice,
    /// There is no `state`.
    #[error("the answer has no `state`")]
    NoState,
    /// There is neither `code` nor `error`, or both.
    #[error("the answer has neither code nor error, or both")]
    NoAnswer,
    /// A value has characters that no such value has.
    #[error("the answer has characters that no answer has")]
    Characters,
}

/// What the provider says instead of giving a code (RFC 6749, section 4.1.2.1; OpenID Connect
/// Core 1.0, section 3.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderRefusal {
    /// The person, or the provider's policy, said no.
    AccessDenied,
    /// It needs the person to do something that it could not ask for.
    NeedsInteraction,
    /// It is out of order for a while.
    Unavailable,
    /// It finds the gateway's own request wrong: the installation needs a look.
    BadRequest,
    /// It says something that no specification names.
    Unnamed,
}

impl ProviderRefusal {
    fn from_code(code: &str) -> Self {
        match code {
            "access_denied" => Self::AccessDenied,
            "interaction_required"
            | "login_required"
            | "account_selection_required"
            | "consent_required"
            | "unmet_authentication_requirements" => Self::NeedsInteraction,
            "temporarily_unavailable" | "server_error" => Self::Unavailable,
            "invalid_request"
            | "unauthorized_client"
            | "unsupported_response_type"
            | "invalid_scope"
            | "invalid_request_uri"
            | "invalid_request_object"
            | "request_not_supported"
            | "request_uri_not_supported"
            | "registration_not_supported" => Self::BadRequest,
            _ => Self::Unnamed,
        }
    }

    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::NeedsInteraction => "needs_interaction",
            Self::Unavailable => "unavailable",
            Self::BadRequest => "bad_request",
            Self::Unnamed => "unnamed",
        }
    }
}

/// What the provider says.
#[derive(Debug)]
pub enum Answer {
    /// It gave a code.
    Code(SecretString),
    /// It gave none.
    Refusal(ProviderRefusal),
}

/// The answer of an identity provider, unverified.
#[derive(Debug)]
pub struct CallbackQuery {
    /// What it says.
    pub answer: Answer,
    /// `state`.
    pub state: String,
    /// `iss` (RFC 9207).
    pub issuer: Option<String>,
}

impl CallbackQuery {
    /// Parses the query of a callback, without the `?`.
    pub fn parse(query: Option<&str>) -> Result<Self, CallbackProblem> {
        let mut given = parameters(query.unwrap_or_default())?;
        let mut take = |name: &str| given.remove(name).filter(|value| !value.is_empty());
        let (code, error) = (take("code"), take("error"));
        let (state, issuer) = (take("state"), take("iss"));
        for value in [&code, &state, &issuer].into_iter().flatten() {
            check(value)?;
        }
        let state = state.ok_or(CallbackProblem::NoState)?;
        let answer = match (code, error) {
            (Some(code), None) => Answer::Code(code.into()),
            (None, Some(error)) => Answer::Refusal(ProviderRefusal::from_code(&error)),
            _ => return Err(CallbackProblem::NoAnswer),
        };
        Ok(Self {
            answer,
            state,
            issuer,
        })
    }
}

fn parameters(query: &str) -> Result<BTreeMap<String, String>, CallbackProblem> {
    if query.len() > MAX_QUERY {
        return Err(CallbackProblem::TooLong);
    }
    let mut given = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if given
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(CallbackProblem::Twice);
        }
        if given.len() > MAX_PARAMETERS {
            return Err(CallbackProblem::TooLong);
        }
    }
    Ok(given)
}

/// Codes and states are visible ASCII (RFC 6749, appendix A).
fn check(value: &str) -> Result<(), CallbackProblem> {
    if value.len() > MAX_VALUE {
        return Err(CallbackProblem::TooLong);
    }
    let is_visible = value.bytes().all(|octet| (0x20..=0x7e).contains(&octet));
    is_visible.then_some(()).ok_or(CallbackProblem::Characters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(query: &str) -> CallbackProblem {
        CallbackQuery::parse(Some(query)).unwrap_err()
    }

    #[test]
    fn a_code_or_an_error_comes_with_its_state() {
        let answer = CallbackQuery::parse(Some("code=c%2Fd&state=s&iss=https%3A%2F%2Fi&x=y"));
        let CallbackQuery {
            answer: Answer::Code(_),
            state,
            issuer,
        } = answer.unwrap()
        else {
            panic!("there was a code")
        };
        assert_eq!(
            (state.as_str(), issuer.as_deref()),
            ("s", Some("https://i"))
        );
        for (code, refusal) in [
            ("access_denied", ProviderRefusal::AccessDenied),
            ("login_required", ProviderRefusal::NeedsInteraction),
            ("temporarily_unavailable", ProviderRefusal::Unavailable),
            ("invalid_scope", ProviderRefusal::BadRequest),
            ("%3Cscript%3E", ProviderRefusal::Unnamed),
        ] {
            let parsed = CallbackQuery::parse(Some(&format!("error={code}&state=s"))).unwrap();
            assert!(matches!(parsed.answer, Answer::Refusal(found) if found == refusal));
        }
    }

    #[test]
    fn what_is_missing_or_empty_is_said() {
        assert_eq!(
            CallbackQuery::parse(None).unwrap_err(),
            CallbackProblem::NoState
        );
        for (query, expected) in [
            ("", CallbackProblem::NoState),
            ("code=c", CallbackProblem::NoState),
            ("error=access_denied", CallbackProblem::NoState),
            ("code=&state=", CallbackProblem::NoState),
            ("state=s", CallbackProblem::NoAnswer),
            ("code=&state=s", CallbackProblem::NoAnswer),
            ("code=c&error=e&state=s", CallbackProblem::NoAnswer),
        ] {
            assert_eq!(problem(query), expected, "{query}");
        }
    }

    #[test]
    fn nothing_comes_twice() {
        for query in [
            "code=a&code=b&state=s",
            "code=a&state=s&state=s",
            "code=a&state=s&%73tate=t",
        ] {
            assert_eq!(problem(query), CallbackProblem::Twice);
        }
        assert_eq!(
            problem("code=a&state=s&iss=a&iss=b"),
            CallbackProblem::Twice
        );
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(
            problem(&format!("code={}&state=s", "a".repeat(100_000))),
            CallbackProblem::TooLong
        );
        assert_eq!(
            problem(&format!("code={}&state=s", "a".repeat(9_000))),
            CallbackProblem::TooLong
        );
        let many: Vec<_> = (0..1_000).map(|n| format!("p{n}=1")).collect();
        assert_eq!(
            problem(&format!("code=c&state=s&{}", many.join("&"))),
            CallbackProblem::TooLong
        );
    }

    #[test]
    fn odd_characters_are_refused() {
        for query in [
            "code=a%00&state=s",
            "code=a&state=%0d%0a",
            "code=%ff&state=s",
            "code=ü&state=s",
        ] {
            assert_eq!(problem(query), CallbackProblem::Characters, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_brings_it_down(query in "\\PC{0,200}") {
            let _ = CallbackQuery::parse(Some(&query));
        }
    }

    #[test]
    fn fuzzed_answers_say_everything_once_or_are_refused() {
        let fuzz = crate::fuzz::Fuzz {
            name: "callbacks",
            corpus: include_str!("../../tests/fuzz/corpus/callbacks.txt"),
            words: &["code=", "state=", "error=", "iss=", "&", "access_denied"],
        };
        fuzz.run(|octets| {
            let Ok(query) = std::str::from_utf8(octets) else {
                return (None, false);
            };
            let parsed = CallbackQuery::parse(Some(query));
            if let Ok(parsed) = &parsed {
                let named = |name: &str| {
                    form_urlencoded::parse(octets)
                        .filter(|(known, _)| known == name)
                        .count()
                };
                assert_eq!(named("state"), 1);
                assert!(named("code") <= 1 && named("error") <= 1 && named("iss") <= 1);
                assert!(!parsed.state.chars().any(char::is_control));
            }
            let is_code = matches!(
                &parsed,
                Ok(CallbackQuery {
                    answer: Answer::Code(_),
                    ..
                })
            );
            (
                Some(
                    parsed
                        .map(|parsed| parsed.issuer.is_some())
                        .map_err(|p| p as u8),
                ),
                is_code,
            )
        });
    }
}
