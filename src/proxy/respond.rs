//! Sends answers of our own, whatever of the request is still unread.

use std::time::Duration;

use http::{HeaderValue, Method, Version, header};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::answer::Answer;
use super::bridge::announced_length;
use super::context::RequestContext;

/// What of an unread request body is read and thrown away before an answer, so that the
/// connection can go on, and for how long.
const DRAIN_OCTETS: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Sends an answer of our own. What is left of the request is read first, up to a bound; where
/// more is to come, the connection is closed after the answer.
pub(super) async fn send(
    session: &mut Session,
    answer: Answer,
    ctx: &RequestContext,
) -> Result<()> {
    let is_read = drain(session).await;
    if !is_read {
        session.set_keepalive(None);
    }
    let is_bodiless = session.req_header().method == Method::HEAD || answer.body.is_empty();
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 2))?;
    for (name, value) in answer.headers {
        head.append_header(name, value)?;
    }
    if let Some(value) = ctx.transport_security() {
        head.insert_header(header::STRICT_TRANSPORT_SECURITY, value.clone())?;
    }
    head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()))?;
    session
        .write_response_header(Box::new(head), is_bodiless)
        .await?;
    if !is_bodiless {
        session
            .write_response_body(Some(answer.body.into()), true)
            .await?;
    }
    if !is_read && session.req_header().version < Version::HTTP_2 {
        drain(session).await;
    }
    Ok(())
}

/// Reads and throws away what is left of the request, up to a bound; says whether that was all.
async fn drain(session: &mut Session) -> bool {
    if session.is_body_done() {
        return true;
    }
    let headers = &session.req_header().headers;
    // A client that waits for permission does not send, and does not get it.
    if headers.contains_key(header::EXPECT) || announced_length(headers) > DRAIN_OCTETS as u64 {
        return false;
    }
    let reading = async {
        let mut left = DRAIN_OCTETS;
        loop {
            match session.read_request_body().await {
                Ok(Some(piece)) if piece.len() <= left => left -= piece.len(),
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    };
    tokio::time::timeout(DRAIN_TIME, reading)
        .await
        .unwrap_or(false)
}
