//! Whether a request whose connection broke may be sent a second time.

use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

use super::context::RequestContext;

/// Whether a request may be sent again after its connection to the upstream broke: once, when
/// nothing of an answer has come, all of its body is still there, and its method says that twice is
/// the same as once (RFC 9110, section 9.2.2). What took too long is not sent again: it would take
/// as long.
pub(super) fn may_be_sent_again(error: &Error, session: &Session, ctx: &RequestContext) -> bool {
    is_broken(error)
        && !ctx.is_sent_again
        && ctx.upstream_time.is_none()
        && session.response_written().is_none()
        && session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
}

/// Whether the upstream broke a connection off.
pub(super) fn is_broken(error: &Error) -> bool {
    *error.esource() == ErrorSource::Upstream
        && matches!(
            error.etype(),
            ErrorType::ConnectionClosed
                | ErrorType::ReadError
                | ErrorType::WriteError
                | ErrorType::H2Error
                | ErrorType::H2Downgrade
        )
}
