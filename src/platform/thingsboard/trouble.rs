//! What goes wrong with a call, and what that means for whoever asked.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::outbound::OutboundError;
use crate::platform::PlatformError;

/// Why a call did not do what was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// ThingsBoard answered that it does not.
    Refused(Refusal),
    /// ThingsBoard asks the gateway's own user for a second factor.
    SecondFactor,
    /// There is no answer, or none that can be understood.
    Other(PlatformError),
}

/// An error as ThingsBoard answers it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ThingsBoard answered {status} (error {code}): {message}")]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// ThingsBoard's own number for it; 0 where it says none.
    pub(super) code: u16,
    /// Its sentence. May hold what was sent, so that it is not logged.
    pub(super) message: String,
    /// Of what there may be no more.
    pub(super) entity_type: Option<String>,
}

/// The shape of an error body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    error_code: u16,
    message: String,
    entity_type: Option<String>,
}

/// The same without the sentence, for logs.
#[derive(Debug, thiserror::Error)]
#[error("ThingsBoard answered {status} (error {code})")]
struct Answered {
    status: StatusCode,
    code: u16,
}

/// What cannot be, in an answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Oddity {
    /// An answer without something that every answer of its kind has.
    #[error("ThingsBoard's answer has no `{0}`")]
    Missing(&'static str),
    /// More matches than anybody could tell apart.
    #[error("ThingsBoard has too many that look like the one that is sought")]
    TooMany,
    /// Two customers with one organisation code.
    #[error("several customers have one organisation code")]
    AmbiguousCode,
}

/// ThingsBoard's numbers for errors.
pub(super) mod code {
    /// The token has expired.
    pub(in crate::platform::thingsboard) const EXPIRED: u16 = 11;
    /// The data is not valid.
    pub(in crate::platform::thingsboard) const BAD_REQUEST: u16 = 31;
    /// There is no such thing.
    pub(in crate::platform::thingsboard) const NOT_FOUND: u16 = 32;
    /// The licence allows no more.
    pub(in crate::platform::thingsboard) const SUBSCRIPTION: u16 = 40;
    /// The tenant's profile allows no more.
    pub(in crate::platform::thingsboard) const LIMIT: u16 = 41;
}

impl Refusal {
    /// What an answer that is not a success says. It comes in ISO 8859-1, whatever was asked for:
    /// a sentence that repeats a name loses letters here, and its number is read all the same.
    pub(super) fn of(answer: &Response<Vec<u8>>) -> Self {
        let body = String::from_utf8_lossy(answer.body());
        let body: ErrorBody = serde_json::from_str(&body).unwrap_or_default();
        Self {
            status: answer.status(),
            code: body.error_code,
            message: body.message,
            entity_type: body.entity_type,
        }
    }

    /// Whether it refuses the data, with a sentence that has these words in it.
    pub(super) fn says(&self, words: &str) -> bool {
        self.code == code::BAD_REQUEST && self.message.contains(words)
    }

    /// Whether the call may be repeated: it was not carried out, or doing it twice is doing it
    /// once.
    pub(super) fn passes(&self, is_repeatable: bool) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || (is_repeatable && self.status.is_server_error())
    }

    /// The field that the sentence is about.
    fn field(&self) -> &'static str {
        let about = [
            ("email", "email"),
            ("title", "company"),
            ("assword", "password"),
            ("customer", "customer"),
            ("phone", "phone"),
            ("firstName", "name"),
            ("lastName", "name"),
            ("country", "country"),
            ("state", "region"),
            ("city", "city"),
            ("address", "address"),
            ("zip", "postal_code"),
            ("label", "location"),
        ];
        let found = about
            .iter()
            .find(|(word, _)| self.message.contains(word))
            .map(|(_, field)| *field);
        found.unwrap_or("record")
    }
}

impl Trouble {
    /// Whether ThingsBoard says that there is no such thing. A 404 of something before it says
    /// nothing about users, and must not end anybody's session; nor does ThingsBoard's own of a path
    /// that it does not know, which comes with the same number.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Refused(refusal)
            if refusal.status == StatusCode::NOT_FOUND
                && refusal.code == code::NOT_FOUND
                && !refusal.message.starts_with("No static resource"))
    }

    /// Whether ThingsBoard refuses the data with these words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.says(words))
    }

    /// Whether somebody else changed the record since it was read.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == StatusCode::CONFLICT)
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
            Trouble::SecondFactor => Self::NotAllowed,
            Trouble::Other(error) => error,
        }
    }
}

impl From<Refusal> for PlatformError {
    fn from(refusal: Refusal) -> Self {
        let answered = Box::new(Answered {
            status: refusal.status,
            code: refusal.code,
        });
        match (refusal.status, refusal.code) {
            (_, code::LIMIT | code::SUBSCRIPTION) => Self::Full {
                what: refusal.entity_type.unwrap_or_else(|| "licence".to_owned()),
            },
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Self::NotAllowed,
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT, _) => {
                Self::Busy { retry_after: None }
            }
            (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE, _) => Self::Refused {
                field: refusal.field().to_owned(),
            },
            (status, _) if status.is_server_error() => Self::Unreachable(answered),
            _ => Self::Garbled(answered),
        }
    }
}
