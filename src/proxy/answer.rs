//! Answers that the data plane gives itself: redirects, refusals, errors; a page for people,
//! problem details (RFC 9457) for programs.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::context::Outcome;
use super::onward::{page_of, step_up_page, step_up_page_back_to, url_back_to};
use crate::access::path::PathProblem;
use crate::access::{Refusal, RequestKind, ReturnTo, StepUpDemand};
use crate::paths;
use crate::policy::duties::Duty;

/// Headers of every answer: nothing keeps it, nothing frames it, nothing in it runs.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // With `no-referrer` browsers would send the forms of error pages without their origin.
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
];

/// How long clients wait before they ask again while the session store is down, seconds.
const STORE_PAUSE: u64 = 2;

/// Why a request is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No host, several, or one that contradicts the target: 400.
    Host,
    /// A host that is not served: 421.
    UnknownHost,
    /// The head or the framing of the request is in doubt: 400.
    Malformed,
    /// The target has no canonical path: 400.
    Path(PathProblem),
    /// `Connection` nominates what only the gateway sets: 400.
    Nomination,
    /// A method that is not proxied: 405.
    Method,
    /// The request target is too long: 414.
    TargetTooLong,
    /// The head is too large: 431.
    HeadTooLarge,
    /// The body is larger than allowed: 413.
    BodyTooLarge,
    /// The body did not come in time: 408.
    BodyTooSlow,
    /// Nobody is signed in: 401.
    LoginRequired,
    /// The bearer token is not good: 401.
    BadToken,
    /// The bearer token lacks some of these scopes: 403.
    ScopeMissing(Vec<String>),
    /// The registration is not complete: 403.
    RegistrationRequired,
    /// Something has to be done first: 403.
    DutyFirst(Duty),
    /// Somebody must sign in more strongly or anew: 401.
    StepUpRequired(StepUpDemand),
    /// A rule forbids it: 403.
    Forbidden,
    /// The decision refuses it.
    Refused(Refusal),
    /// The platform does not let the user in: 403.
    AccountClosed,
    /// Something of the user cannot be told to the upstream: 403.
    UnfitClaim,
    /// Too many requests: 429.
    SlowDown(Duration),
    /// Too much is under way: 503.
    Busy,
    /// No upstream server can be reached: 503.
    UpstreamDown,
    /// The upstream broke off, or what it says is no HTTP: 502.
    UpstreamBroken,
    /// The upstream does not answer in time: 504.
    UpstreamSlow,
    /// Our own fault: 500.
    Internal,
}

impl Problem {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Host | Self::Malformed | Self::Path(_) | Self::Nomination => {
                StatusCode::BAD_REQUEST
            }
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LoginRequired | Self::BadToken | Self::StepUpRequired(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::ScopeMissing(_)
            | Self::RegistrationRequired
            | Self::DutyFirst(_)
            | Self::Forbidden
            | Self::AccountClosed
            | Self::UnfitClaim => StatusCode::FORBIDDEN,
            Self::Refused(refusal) => match refusal {
                Refusal::StoreDown | Refusal::IssuerDown => StatusCode::SERVICE_UNAVAILABLE,
                Refusal::EncodedSlash | Refusal::PathParameters | Refusal::AmbiguousPath => {
                    StatusCode::BAD_REQUEST
                }
                Refusal::ForeignWebSocket
                | Refusal::RuleFailed { .. }
                | Refusal::NoAccount
                | Refusal::AccountClosed => StatusCode::FORBIDDEN,
            },
            Self::SlowDown(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::UpstreamDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable word for programs and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Host => "invalid_host",
            Self::UnknownHost => "unknown_host",
            Self::Malformed => "malformed",
            Self::Path(_) => "invalid_path",
            Self::Nomination => "invalid_connection_field",
            Self::Method => "method_not_allowed",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::LoginRequired => "login_required",
            Self::BadToken => "invalid_token",
            Self::ScopeMissing(_) => "insufficient_scope",
            Self::RegistrationRequired => "registration_required",
            Self::DutyFirst(Duty::Accept) => "agreement_required",
            Self::DutyFirst(Duty::Verify) => "verification_required",
            Self::StepUpRequired(_) => "insufficient_user_authentication",
            Self::Forbidden => "forbidden",
            Self::Refused(refusal) => match refusal {
                Refusal::StoreDown => "session_store_down",
                Refusal::IssuerDown => "token_issuer_down",
                Refusal::NoAccount => "registration_required",
                Refusal::AccountClosed => "account_closed",
                Refusal::EncodedSlash | Refusal::PathParameters | Refusal::AmbiguousPath => {
                    "invalid_path"
                }
                Refusal::ForeignWebSocket => "foreign_origin",
                Refusal::RuleFailed { .. } => "rule_failed",
            },
            Self::AccountClosed => "account_closed",
            Self::UnfitClaim => "unfit_claim",
            Self::SlowDown(_) => "slow_down",
            Self::Busy => "busy",
            Self::UpstreamDown => "upstream_down",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamSlow => "upstream_slow",
            Self::Internal => "internal",
        }
    }

    /// What metrics and the log call it.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::LoginRequired | Self::BadToken => Outcome::Challenge,
            Self::RegistrationRequired => Outcome::Onboard,
            Self::DutyFirst(_) => Outcome::DoFirst,
            Self::StepUpRequired(_) => Outcome::StepUp,
            Self::Forbidden | Self::AccountClosed | Self::ScopeMissing(_) => Outcome::Forbid,
            Self::Refused(_) | Self::UnfitClaim | Self::Internal => Outcome::Refuse,
            Self::SlowDown(_) | Self::Busy => Outcome::SlowDown,
            Self::UpstreamDown | Self::UpstreamBroken | Self::UpstreamSlow => Outcome::Forward,
            _ => Outcome::Malformed,
        }
    }

    /// What a person reads where no error pages are plugged in.
    pub(super) fn sentence(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED if matches!(self, Self::StepUpRequired(_)) => {
                "You need to sign in once more."
            }
            StatusCode::UNAUTHORIZED => "You need to sign in.",
            StatusCode::FORBIDDEN => "You may not open this.",
            StatusCode::MISDIRECTED_REQUEST => "This address is not served here.",
            StatusCode::TOO_MANY_REQUESTS => "Too many requests. Wait a moment and try again.",
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => {
                "The service cannot be reached right now. Try again in a moment."
            }
            StatusCode::GATEWAY_TIMEOUT => "The service takes too long to answer.",
            StatusCode::INTERNAL_SERVER_ERROR => "Something went wrong.",
            StatusCode::PAYLOAD_TOO_LARGE => "What you sent is too large.",
            _ => "The request cannot be understood.",
        }
    }

    /// After how many seconds to ask again, where that helps.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SlowDown(pause) => Some(pause.as_secs() + u64::from(pause.subsec_nanos() > 0)),
            Self::Refused(Refusal::StoreDown | Refusal::IssuerDown)
            | Self::Busy
            | Self::UpstreamDown => Some(STORE_PAUSE),
            _ => None,
        }
    }
}

/// What an error page is about.
#[derive(Debug)]
pub struct ErrorPage<'a> {
    /// What happened.
    pub problem: &'a Problem,
    /// The host that was asked, when it is one of ours.
    pub host: Option<&'a str>,
    /// The `Accept-Language` field as sent.
    pub languages: Option<&'a str>,
    /// To quote; it is in the log.
    pub reference: &'a str,
}

/// Makes pages of errors, in the operator's looks.
pub trait ErrorPages: Send + Sync {
    /// The page as HTML, UTF-8.
    fn render(&self, page: &ErrorPage<'_>) -> String;
}

/// Error pages without any looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainErrorPages;

impl ErrorPages for PlainErrorPages {
    fn render(&self, page: &ErrorPage<'_>) -> String {
        let status = page.problem.status();
        let reason = status.canonical_reason().unwrap_or("Error");
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{reason}</title></head>\
             <body><h1>{reason}</h1><p>{}</p><p>Reference: {}</p>\
             <p><a href=\"/\">Start page</a></p></body></html>\n",
            page.problem.sentence(),
            page.reference,
        )
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// All fields but `Content-Length`.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// Sends a browser to one of our own pages.
    pub(super) fn see_other(place: &str) -> Self {
        let mut answer = Self::bare(StatusCode::SEE_OTHER);
        if let Ok(place) = HeaderValue::from_str(place) {
            answer.headers.push((header::LOCATION, place));
        }
        answer
    }

    /// Sends everybody on to the same place by https; with the same method and body.
    pub(super) fn moved(place: &str) -> Self {
        Self {
            status: StatusCode::PERMANENT_REDIRECT,
            ..Self::see_other(place)
        }
    }

    /// Sends a browser to the login, and back to where it wanted to go.
    pub(super) fn log_in(return_to: &ReturnTo) -> Self {
        Self::see_other(&url_back_to(paths::LOGIN, return_to))
    }

    /// Sends a browser to sign in as a rule asks, and back to where it wanted to go.
    pub(super) fn step_up(rule: &str, return_to: &ReturnTo) -> Self {
        Self::see_other(&step_up_page_back_to(rule, return_to))
    }

    /// Sends a browser to what has to be done first, and back to where it wanted to go.
    pub(super) fn do_first(duty: Duty, return_to: &ReturnTo) -> Self {
        Self::see_other(&url_back_to(page_of(duty), return_to))
    }

    /// Sends a browser to where the platform's own pages are signed in, and back.
    pub(super) fn hand_off(return_to: &ReturnTo) -> Self {
        Self::see_other(&url_back_to(paths::HAND_OFF, return_to))
    }

    /// The whole answer as it is written to an HTTP/1 connection that is closed after it.
    pub(super) fn to_http1_closing(&self) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut octets = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16()).into_bytes();
        for (name, value) in &self.headers {
            octets.extend_from_slice(name.as_str().as_bytes());
            octets.extend_from_slice(b": ");
            octets.extend_from_slice(value.as_bytes());
            octets.extend_from_slice(b"\r\n");
        }
        let length = self.body.len();
        octets.extend_from_slice(
            format!("Content-Length: {length}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        octets.extend_from_slice(self.body.as_bytes());
        octets
    }

    /// A JSON document.
    pub(super) fn json(body: String) -> Self {
        Self::with_body(StatusCode::OK, "application/json", body)
    }

    fn bare(status: StatusCode) -> Self {
        Self {
            status,
            headers: ALWAYS.to_vec(),
            body: String::new(),
        }
    }

    fn with_body(status: StatusCode, media_type: &'static str, body: String) -> Self {
        let mut answer = Self::bare(status);
        answer
            .headers
            .push((header::CONTENT_TYPE, HeaderValue::from_static(media_type)));
        answer.body = body;
        answer
    }
}

/// Says what is wrong, to a person or to a program.
pub(super) fn explain(page: &ErrorPage<'_>, kind: RequestKind, pages: &dyn ErrorPages) -> Answer {
    let problem = page.problem;
    let mut answer = if kind == RequestKind::Page {
        Answer::with_body(
            problem.status(),
            "text/html; charset=utf-8",
            pages.render(page),
        )
    } else {
        let body = problem_details(problem, page.reference);
        Answer::with_body(problem.status(), "application/problem+json", body)
    };
    if let Some(seconds) = problem.retry_after() {
        answer
            .headers
            .push((header::RETRY_AFTER, HeaderValue::from(seconds.max(1))));
    }
    answer
}

fn problem_details(problem: &Problem, reference: &str) -> String {
    let status = problem.status();
    let mut details = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": problem.code(),
        "detail": problem.sentence(),
        "reference": reference,
    });
    let way_on = match problem {
        Problem::LoginRequired => Some(paths::LOGIN.to_owned()),
        Problem::StepUpRequired(demand) => Some(step_up_page(&demand.rule)),
        Problem::RegistrationRequired => Some(paths::REGISTER.to_owned()),
        Problem::DutyFirst(duty) => Some(page_of(*duty).to_owned()),
        _ => None,
    };
    if let (Some(way_on), Some(details)) = (way_on, details.as_object_mut()) {
        details.insert("continue_at".to_owned(), way_on.into());
    }
    details.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(problem: &Problem) -> ErrorPage<'_> {
        ErrorPage {
            problem,
            host: None,
            languages: None,
            reference: "r-1",
        }
    }

    fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        let found = answer.headers.iter().find(|(own, _)| own == name)?;
        found.1.to_str().ok()
    }

    #[test]
    fn the_login_leads_back_and_cannot_be_added_to() {
        let place = ReturnTo::parse("/a?b=c&return_to=/x#d", "https://app.example.com");
        let answer = Answer::log_in(&place);
        assert_eq!(answer.status, 303);
        assert_eq!(
            field(&answer, "location"),
            Some("/auth/login?return_to=/a%3Fb%3Dc%26return_to%3D/x%23d")
        );
        assert_eq!(field(&answer, "cache-control"), Some("no-store"));
    }

    #[test]
    fn programs_read_problem_details() {
        let answer = explain(
            &page(&Problem::RegistrationRequired),
            RequestKind::Api,
            &PlainErrorPages,
        );
        assert_eq!(answer.status, 403);
        assert_eq!(
            field(&answer, "content-type"),
            Some("application/problem+json")
        );
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["code"], "registration_required");
        assert_eq!(body["continue_at"], "/auth/register");
        assert_eq!(body["reference"], "r-1");
    }

    #[test]
    fn people_read_pages() {
        let answer = explain(
            &page(&Problem::UpstreamDown),
            RequestKind::Page,
            &PlainErrorPages,
        );
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("Reference: r-1"));
        assert_eq!(field(&answer, "retry-after"), Some("2"));
    }

    #[test]
    fn unsigned_requests_are_challenged() {
        let answer = explain(
            &page(&Problem::LoginRequired),
            RequestKind::Api,
            &PlainErrorPages,
        );
        assert_eq!(answer.status, 401);
        assert!(answer.body.contains("\"continue_at\":\"/auth/login\""));
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        let slow = Problem::SlowDown(Duration::from_millis(1200));
        let answer = explain(&page(&slow), RequestKind::Api, &PlainErrorPages);
        assert_eq!(
            (answer.status.as_u16(), field(&answer, "retry-after")),
            (429, Some("2"))
        );
    }
}
