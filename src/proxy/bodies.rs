//! The body of a request on its way to an upstream: when it is taken in first, how it is counted.

use http::{HeaderMap, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::answer::Problem;
use super::bridge::announced_length;
use super::context::RequestContext;
use super::gateway::Gateway;
use super::pace::Late;
use super::upstream::Use;
use crate::access::RequestKind;

/// A body that is taken in as a whole before a server that may speak HTTP/2 is asked, octets. The
/// proxy library keeps as much of one, and times answers on HTTP/2 from the head of the request:
/// so the time that a slow client takes does not count.
const SMALL: u64 = 64 * 1024;

impl Gateway {
    /// What a request does with its connection; what is to be watched of its body is watched from
    /// here on.
    pub(super) async fn used_for(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Use> {
        let used_for = Use::of(ctx.kind, &session.req_header().headers);
        let (Some(upstream), Some(scope)) = (&ctx.upstream, &ctx.scope) else {
            return Ok(used_for);
        };
        let is_two_way = match ctx.kind {
            RequestKind::WebSocket => true,
            RequestKind::Grpc => upstream.may_speak_http2(),
            _ => false,
        };
        if is_two_way || session.as_mut().is_body_empty() {
            return Ok(used_for);
        }
        let span = self.limits.body_pace.max(upstream.write_timeout());
        scope.pace().body_comes(span);
        if used_for != Use::Exchange || !upstream.may_speak_http2() {
            return Ok(used_for);
        }
        if is_small(&session.req_header().headers) {
            // Boxed, so that other requests do not carry the room for it.
            Box::pin(take_in(session, ctx)).await?;
            return Ok(Use::Exchange);
        }
        ctx.answer_within = Some(upstream.read_timeout());
        Ok(Use::Upload)
    }
}

/// Whether the client sends its body unasked, and how long it is.
fn is_small(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::EXPECT) && matches!(announced_length(headers), 1..=SMALL)
}

/// Has the proxy library read all of a body, and keep it for the upstream.
async fn take_in(session: &mut Session, ctx: &RequestContext) -> Result<()> {
    session.as_mut().enable_retry_buffering();
    loop {
        let piece = session.as_mut().read_request_body().await;
        match piece.map_err(Error::into_down)? {
            Some(piece) => ctx.body_came(piece.len() as u64)?,
            None => return Ok(()),
        }
    }
}

impl RequestContext {
    /// So much of the body came; an error when it comes too slowly.
    pub(super) fn body_came(&self, octets: u64) -> Result<()> {
        let Some(scope) = &self.scope else {
            return Ok(());
        };
        scope.pace().came(octets);
        if scope.pace().late().is_some() {
            let slow = Error::explain(ErrorType::ReadTimedout, "the body is too slow");
            return Err(slow.into_down());
        }
        Ok(())
    }

    /// The upstream's answer has begun.
    pub(super) fn answered(&mut self) {
        self.upstream_time = self.asked_upstream.map(|asked| asked.elapsed());
        if let Some(server) = &self.server {
            server.answered();
        }
        if let Some(scope) = &self.scope {
            scope.pace().answered();
        }
    }

    /// What a request that was too slow is answered.
    pub(super) fn late(&self) -> Option<Problem> {
        Some(match self.scope.as_ref()?.pace().late()? {
            Late::Body => Problem::BodyTooSlow,
            Late::Answer => Problem::UpstreamSlow,
        })
    }

    /// All of the body came.
    pub(super) fn body_is_there(&self) {
        if let Some(scope) = &self.scope {
            let is_unanswered = self.upstream_time.is_none();
            let within = self.answer_within.filter(|_| is_unanswered);
            scope.pace().body_is_there(within);
        }
    }
}
