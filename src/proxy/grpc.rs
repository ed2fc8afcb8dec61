//! Refusals as gRPC has them: no status of HTTP's, no body, but a status of gRPC's in the one head
//! ("Trailers-Only", gRPC over HTTP/2, section "Responses").

use http::{HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::answer::{Answer, Problem};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What a message escapes besides control characters and what is not ASCII.
const IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Makes an answer that says why a request is not forwarded one that gRPC clients understand. What
/// tells how to be let in, and when to come back, stays in it.
pub(super) fn in_its_words(answer: &mut Answer, problem: &Problem) {
    let message = format!("{}: {}", problem.code(), problem.sentence());
    let message = utf8_percent_encode(&message, IN_MESSAGE).to_string();
    answer
        .headers
        .retain(|(name, _)| *name != header::CONTENT_TYPE);
    answer.headers.push((
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    ));
    answer
        .headers
        .push((STATUS, HeaderValue::from(status(problem.status()))));
    if let Ok(message) = HeaderValue::try_from(message) {
        answer.headers.push((MESSAGE, message));
    }
    answer.status = StatusCode::OK;
    answer.body.clear();
}

/// The status of gRPC's for one of HTTP's ("HTTP to gRPC Status Code Mapping", with what is finer
/// where the gateway knows more).
fn status(status: StatusCode) -> u16 {
    match status.as_u16() {
        401 => 16,       // UNAUTHENTICATED
        403 => 7,        // PERMISSION_DENIED
        404 | 405 => 12, // UNIMPLEMENTED
        413 | 429 => 8,  // RESOURCE_EXHAUSTED
        408 | 504 => 4,  // DEADLINE_EXCEEDED
        502 | 503 => 14, // UNAVAILABLE
        400..=499 => 3,  // INVALID_ARGUMENT
        _ => 13,         // INTERNAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_that_clients_act_on() {
        for (http, grpc) in [
            (401, 16),
            (403, 7),
            (429, 8),
            (503, 14),
            (504, 4),
            (400, 3),
            (500, 13),
        ] {
            assert_eq!(status(StatusCode::from_u16(http).unwrap()), grpc, "{http}");
        }
    }
}
