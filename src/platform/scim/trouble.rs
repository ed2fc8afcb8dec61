//! What goes wrong with a call, and what that means for whoever asked.

use std::time::Duration;

use http::{Response, StatusCode, header};
use serde::Deserialize;

use crate::outbound::OutboundError;
use crate::platform::PlatformError;

/// The schema of errors (RFC 7644, section 3.12).
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Why a call did not do what was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server answered that it does not.
    Refused(Refusal),
    /// There is no answer, or none that can be understood.
    Other(PlatformError),
}

/// An error as servers answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// What kind of error it is, where it says; empty otherwise.
    pub(super) kind: String,
    /// Its sentence. May hold what was sent, so that it is not logged.
    pub(super) detail: String,
    /// How long to wait before the next call.
    pub(super) retry_after: Option<Duration>,
    /// Whether it has the form that SCIM gives errors.
    pub(super) is_scim: bool,
}

/// The shape of an error body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    schemas: Vec<String>,
    scim_type: Option<String>,
    detail: Option<String>,
}

/// The same without the sentence, for logs.
#[derive(Debug, thiserror::Error)]
#[error("the SCIM server answered {status} ({kind})")]
struct Answered {
    status: StatusCode,
    kind: String,
}

/// What cannot be, in an answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Oddity {
    /// An answer without something that every answer of its kind has.
    #[error("the SCIM server's answer has no `{0}`")]
    Missing(&'static str),
    /// More matches than anybody could tell apart.
    #[error("the SCIM server has too many that look like the one that is sought")]
    TooMany,
    /// Two customers with one organisation code.
    #[error("several customers have one organisation code")]
    AmbiguousCode,
    /// A user without any address.
    #[error("the user has no e-mail address")]
    NoAddress,
}

impl Refusal {
    /// What an answer that is not a success says.
    pub(super) fn of(answer: &Response<Vec<u8>>) -> Self {
        let body: ErrorBody = serde_json::from_slice(answer.body()).unwrap_or_default();
        let seconds = answer.headers().get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self {
            status: answer.status(),
            kind: body.scim_type.unwrap_or_default(),
            detail: body.detail.unwrap_or_default(),
            retry_after: seconds.map(Duration::from_secs),
            is_scim: body.schemas.iter().any(|schema| schema == ERROR),
        }
    }

    /// Whether the call may be repeated: it was not carried out, or doing it twice is doing it
    /// once.
    pub(super) fn passes(&self, is_repeatable: bool) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || (is_repeatable && self.status.is_server_error() && !self.is_never_done())
    }

    /// Whether the server does not do this at all.
    pub(super) fn is_never_done(&self) -> bool {
        self.status == StatusCode::NOT_IMPLEMENTED
    }

    /// The field that the sentence is about.
    fn field(&self) -> &'static str {
        let about = [
            ("email", "email"),
            ("userName", "email"),
            ("assword", "password"),
            ("phone", "phone"),
            ("member", "customer"),
            ("displayName", "company"),
        ];
        let found = about.iter().find(|(word, _)| self.detail.contains(word));
        found.map_or("record", |(_, field)| *field)
    }
}

impl Trouble {
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Other(_) => None,
        }
    }

    /// Whether the server says that there is no such thing. A 404 of something before it says
    /// nothing about users, and must not end anybody's session.
    pub(super) fn is_absence(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND && refusal.is_scim)
    }

    /// Whether the server has no such endpoint.
    pub(super) fn is_not_offered(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.status == StatusCode::NOT_FOUND || refusal.is_never_done()
        })
    }

    /// Whether a unique value is taken (RFC 7644, section 3.3).
    pub(super) fn is_taken(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.status == StatusCode::CONFLICT)
    }

    /// Whether somebody else changed the resource since it was read.
    pub(super) fn is_outdated(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.status == StatusCode::PRECONDITION_FAILED)
    }

    /// Whether the server does not take this filter.
    pub(super) fn is_about_filter(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.kind == "invalidFilter" || refusal.is_never_done())
    }
}

impl From<PlatformError> for Trouble {
    fn from(error: PlatformError) -> Self {
        Self::Other(error)
    }
}

impl From<Oddity> for Trouble {
    fn from(oddity: Oddity) -> Self {
        Self::Other(PlatformError::Garbled(Box::new(oddity)))
    }
}

impl From<OutboundError> for Trouble {
    fn from(error: OutboundError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Trouble> for PlatformError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) => refusal.into(),
            Trouble::Other(error) => error,
        }
    }
}

impl From<Refusal> for PlatformError {
    fn from(refusal: Refusal) -> Self {
        let field = refusal.field();
        let answered = Box::new(Answered {
            status: refusal.status,
            kind: refusal.kind.clone(),
        });
        match (refusal.status, refusal.kind.as_str()) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Self::NotAllowed,
            (StatusCode::TOO_MANY_REQUESTS, _) => Self::Busy {
                retry_after: refusal.retry_after,
            },
            (StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED, _) => {
                Self::Busy { retry_after: None }
            }
            (StatusCode::BAD_REQUEST, "invalidFilter" | "tooMany" | "invalidPath" | "noTarget") => {
                Self::Garbled(answered)
            }
            (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE, _) => Self::Refused {
                field: field.to_owned(),
            },
            (StatusCode::NOT_IMPLEMENTED, _) => Self::NotSetUp {
                what: "operation that the gateway needs".to_owned(),
            },
            (status, _) if status.is_server_error() => Self::Unreachable(answered),
            _ => Self::Garbled(answered),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, body: &serde_json::Value) -> Refusal {
        let answer = Response::builder()
            .status(status)
            .header("Retry-After", "7");
        Refusal::of(&answer.body(body.to_string().into_bytes()).unwrap())
    }

    #[test]
    fn each_refusal_has_its_meaning() {
        let scim = |kind: &str, detail: &str| json!({ "schemas": [ERROR], "scimType": kind, "detail": detail, "status": "400" });
        let error = |status, body| PlatformError::from(refusal(status, &body));
        assert!(matches!(error(401, json!({})), PlatformError::NotAllowed));
        assert!(matches!(
            error(429, json!("slow down")),
            PlatformError::Busy { retry_after: Some(wait) } if wait.as_secs() == 7
        ));
        assert!(matches!(
            error(400, scim("invalidValue", "password is too short")),
            PlatformError::Refused { field } if field == "password"
        ));
        let filter = error(400, scim("invalidFilter", "password"));
        assert!(matches!(filter, PlatformError::Garbled(_)));
        assert!(matches!(
            error(503, json!({})),
            PlatformError::Unreachable(_)
        ));
        assert!(matches!(error(302, json!({})), PlatformError::Garbled(_)));
    }

    #[test]
    fn only_the_server_says_that_something_is_not_there() {
        let absent = |body| Trouble::Refused(refusal(404, &body)).is_absence();
        assert!(absent(json!({ "schemas": [ERROR], "status": "404" })));
        assert!(!absent(json!("<html>not here</html>")));
    }

    #[test]
    fn errors_do_not_tell_what_was_sent() {
        let body = json!({ "schemas": [ERROR], "detail": "mario@acme.example is taken" });
        let error = PlatformError::from(refusal(500, &body));
        assert!(!format!("{error} {error:?}").contains("mario"));
    }
}
