//! What an answer means, and what that means for whoever asked.

use std::time::Duration;

use http::{Response, StatusCode, header};
use serde_json::{Map, Value};

use super::description::{Name, Rule};
use super::document::Meaning;
use super::evaluation::Variables;
use super::template::CannotFill;
use crate::expression::EvaluationError;
use crate::outbound::OutboundError;
use crate::platform::PlatformError;

/// What came back, and could be read.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The JSON of the body; null where there is none.
    pub(super) body: Value,
    /// By names in lower case.
    pub(super) headers: Value,
    is_json: bool,
    retry_after: Option<Duration>,
}

/// Why a call did not do what was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The platform says so.
    Meant(Refusal),
    /// There is no answer, or none that can be understood.
    Other(PlatformError),
}

/// What the platform says.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) operation: Name,
    pub(super) means: Meaning,
    pub(super) status: StatusCode,
    /// Whether a rule of the file says so, and not the status alone.
    pub(super) is_ruled: bool,
    field: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// What cannot be, in an answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Oddity {
    /// An answer that no rule explains.
    #[error("`{operation}` was answered with {status}, which no outcome rule explains")]
    Unexplained {
        /// The operation.
        operation: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// Something else than JSON.
    #[error("`{0}` was answered with something else than JSON")]
    NotJson(&'static str),
    /// Records without something that every record of its kind has.
    #[error("a record has no `read.{0}`")]
    Missing(&'static str),
    /// More pages than anybody could want.
    #[error("`{0}` has more pages than are asked for")]
    TooMany(&'static str),
    /// Two records where there can be one.
    #[error("`{0}` finds several records where there can be one")]
    Ambiguous(&'static str),
    /// What was made is not there.
    #[error("what `{0}` made is not found by its mark")]
    NotKept(&'static str),
    /// A value that no request can hold.
    #[error("`{0}` gives a request that cannot be sent")]
    NoRequest(&'static str),
    /// No token in the answer of a login.
    #[error("the answer of `{0}` holds no token")]
    NoToken(&'static str),
    /// The file has no such operation.
    #[error("the platform has no operation `{0}`")]
    NoOperation(&'static str),
}

impl Answer {
    pub(super) fn of(answer: &Response<Vec<u8>>) -> Self {
        let read = serde_json::from_slice(answer.body());
        let headers: Map<String, Value> = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let text = value.to_str().ok()?;
                Some((name.as_str().to_owned(), Value::from(text)))
            })
            .collect();
        Self {
            status: answer.status(),
            is_json: read.is_ok() || answer.body().is_empty(),
            body: read.unwrap_or_default(),
            headers: Value::Object(headers),
            retry_after: retry_after(answer),
        }
    }

    pub(super) fn variables(&self) -> Variables<'_> {
        Variables::default()
            .with("answer", &self.body)
            .with("headers", &self.headers)
    }

    /// What the first rule says that holds; without one, what the status says.
    pub(super) fn judged<'r>(
        self,
        operation: Name,
        rules: impl Iterator<Item = &'r Rule>,
    ) -> Result<Self, Trouble> {
        let status = Value::from(self.status.as_u16());
        let variables = self.variables().with("status", &status);
        let mut first = None;
        for rule in rules {
            match variables.holds(&rule.when) {
                Ok(true) => {
                    first = Some(rule);
                    break;
                }
                // An answer that does not say that a password is wrong does not say it is right.
                Err(error) if operation == Name::CheckPassword && self.status.is_success() => {
                    return Err(error.into());
                }
                Ok(false) | Err(_) => {}
            }
        }
        let (means, field) = match first {
            Some(rule) => (rule.means, variables.text(rule.field.as_ref())),
            None => (self.by_status(operation)?, None),
        };
        let is_ruled = first.is_some();
        if means == Meaning::Done {
            return if self.is_json {
                Ok(self)
            } else {
                Err(Oddity::NotJson(operation.word()).into())
            };
        }
        Err(Trouble::Meant(Refusal {
            operation,
            means,
            status: self.status,
            is_ruled,
            field,
            retry_after: self.retry_after,
        }))
    }

    /// A 404 says nothing by itself: something in front of the platform may have answered, and
    /// nobody's session must end of that.
    fn by_status(&self, operation: Name) -> Result<Meaning, Trouble> {
        match self.status {
            status if status.is_success() => Ok(Meaning::Done),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Meaning::NotAllowed),
            StatusCode::TOO_MANY_REQUESTS => Ok(Meaning::Busy),
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Ok(Meaning::Refused),
            status => {
                let oddity = Box::new(Oddity::Unexplained {
                    operation: operation.word(),
                    status,
                });
                Err(Trouble::Other(if status.is_server_error() {
                    PlatformError::Unreachable(oddity)
                } else {
                    PlatformError::Garbled(oddity)
                }))
            }
        }
    }
}

/// Seconds alone (RFC 9110, section 10.2.3); a date is rare and not worth a calendar.
fn retry_after(answer: &Response<Vec<u8>>) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

impl Trouble {
    /// Whether the platform says this.
    pub(super) fn says(&self, means: Meaning) -> bool {
        matches!(self, Self::Meant(refusal) if refusal.means == means)
    }

    /// Whether something is in the way that may be what we made ourselves.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Meant(refusal) if matches!(
            refusal.means,
            Meaning::Already | Meaning::EmailTaken | Meaning::NameTaken | Meaning::CodeTaken
        ))
    }

    /// Whether the call was not let in, and not carried out.
    pub(super) fn is_shut_out(&self) -> bool {
        matches!(self, Self::Meant(refusal)
            if refusal.means == Meaning::Expired
                || !refusal.is_ruled && refusal.status == StatusCode::UNAUTHORIZED)
    }
}

impl Refusal {
    /// One that the adapter itself pronounces, before the platform does.
    pub(super) fn beforehand(operation: Name, means: Meaning) -> Trouble {
        Trouble::Meant(Self {
            operation,
            means,
            status: StatusCode::CONFLICT,
            is_ruled: true,
            field: None,
            retry_after: None,
        })
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

impl From<EvaluationError> for Trouble {
    fn from(error: EvaluationError) -> Self {
        Self::Other(PlatformError::Garbled(Box::new(error)))
    }
}

impl From<CannotFill> for Trouble {
    fn from(error: CannotFill) -> Self {
        Self::Other(PlatformError::Garbled(Box::new(error)))
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
            Trouble::Meant(refusal) => refusal.into(),
            Trouble::Other(error) => error,
        }
    }
}

impl From<Refusal> for PlatformError {
    fn from(refusal: Refusal) -> Self {
        let named = |otherwise: &str| refusal.field.clone().unwrap_or(otherwise.to_owned());
        match refusal.means {
            Meaning::EmailTaken => Self::EmailTaken,
            Meaning::NameTaken => Self::NameTaken,
            Meaning::CodeTaken => Self::CodeTaken,
            Meaning::Refused => Self::Refused {
                field: named("record"),
            },
            Meaning::Full => Self::Full {
                what: named("records"),
            },
            Meaning::NotSetUp => Self::NotSetUp {
                what: named("such thing"),
            },
            Meaning::Busy => Self::Busy {
                retry_after: refusal.retry_after,
            },
            Meaning::NotAllowed | Meaning::Expired => Self::NotAllowed,
            Meaning::Done
            | Meaning::NotFound
            | Meaning::Already
            | Meaning::InUse
            | Meaning::Wrong => Self::Garbled(Box::new(Oddity::Unexplained {
                operation: refusal.operation.word(),
                status: refusal.status,
            })),
        }
    }
}
