//! The proxy library's callbacks, as a table of contents.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::STRICT_TRANSPORT_SECURITY;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use super::answer::Problem;
use super::context::RequestContext;
use super::gateway::Gateway;
use super::hand_off::{HandoffProblem, Told, clean};
use super::limits;
use super::respond::send;
use super::retries::{is_broken, may_be_sent_again};
use super::rule_fields::dress;
use crate::access::RequestKind;
use crate::access::{Caller, Permit};

/// A request whose claims do not fit into fields.
const UNFIT_CLAIM: ErrorType = ErrorType::Custom("UnfitClaim");

/// The gateway as the proxy library owns it.
pub(super) struct Shared(pub(super) Arc<Gateway>);

impl std::ops::Deref for Shared {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.0
    }
}

#[async_trait]
impl ProxyHttp for Shared {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        self.begin()
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<bool> {
        session.set_read_timeout(Some(self.limits.body_time));
        session.set_write_timeout(Some(self.limits.body_time));
        ctx.begin_trace(&session.req_header().headers);
        match ctx.span.clone() {
            None => self.answer_unless_forwarded(session, ctx).await,
            // Boxed, so that requests without a span do not carry the room for it.
            Some(span) => {
                let answering = Box::pin(self.answer_unless_forwarded(session, ctx));
                span.around(answering).await
            }
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        if session.was_upgraded() {
            return Ok(());
        }
        let octets = body.as_ref().map_or(0, |piece| piece.len() as u64);
        ctx.body_seen += octets;
        if ctx.body_seen > ctx.body_limit {
            return Error::e_explain(ErrorType::HTTPStatus(413), "the body is too large");
        }
        if is_end {
            ctx.body_is_there();
            return Ok(());
        }
        ctx.body_came(octets)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<Box<HttpPeer>> {
        let used_for = self.used_for(session, ctx).await?;
        let none = || Error::explain(ErrorType::HTTPStatus(503), "no upstream server");
        let upstream = ctx.upstream.as_ref().ok_or_else(none)?;
        let who = ctx.permit.as_ref().and_then(Permit::who);
        let server = upstream
            .choose(who.map(Caller::key), &ctx.tried)
            .ok_or_else(none)?;
        let peer = upstream.peer(&server, used_for);
        ctx.asks(server);
        Ok(peer)
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        let (Some(permit), Some(upstream), Some(host), Some(client), Some(scope)) = (
            &ctx.permit,
            &ctx.upstream,
            &ctx.host,
            ctx.client,
            &ctx.scope,
        ) else {
            return Error::e_explain(ErrorType::InternalError, "no permit");
        };
        let client = scope.connection().field_of(client);
        // Sent again to another server, a body counts from its beginning.
        ctx.body_seen = 0;
        ctx.asked_upstream = Some(tokio::time::Instant::now());
        let told = Told {
            permit,
            host,
            client,
            user_token: ctx.user_token.as_deref(),
            access_token: ctx.access_token.as_deref(),
        };
        match upstream.handoff().apply(request, told) {
            Ok(()) => ctx.tell_trace(request),
            Err(HandoffProblem::Claim(unfit)) => {
                tracing::warn!(reference = %ctx.reference, cause = %unfit, "a claim is unfit");
                Error::e_explain(UNFIT_CLAIM, "a claim is unfit for a field")
            }
            Err(HandoffProblem::Unwritable(error)) => Err(error),
            Err(HandoffProblem::Unsigned(error)) => {
                Error::e_because(ErrorType::InternalError, "no assertion", error)
            }
        }
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        if response.status == 101 && ctx.kind != RequestKind::WebSocket {
            // What was decided on is one request; a tunnel would carry others past the decision.
            let problem =
                Error::explain(ErrorType::InvalidHTTPHeader, "an upgrade nobody asked for");
            return Err(problem.into_up());
        }
        if let (101, Some(upstream)) = (response.status.as_u16(), &ctx.upstream) {
            session.set_read_timeout(Some(upstream.tunnel_timeout()));
            session.set_write_timeout(Some(upstream.tunnel_timeout()));
        }
        if !response.status.is_informational() || response.status == 101 {
            ctx.answered();
        }
        ctx.was_answered(response);
        if response.status == 401 {
            self.token_was_refused(ctx);
        }
        clean(response)?;
        limits::tell(response, &ctx.counted)?;
        if let Some(permit) = &ctx.permit {
            dress(response, permit.rule())?;
        }
        if let Some(value) = ctx.transport_security()
            && !response.headers.contains_key(STRICT_TRANSPORT_SECURITY)
        {
            response.insert_header(STRICT_TRANSPORT_SECURITY, value.clone())?;
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent: another server may be asked, whatever the method. A kept HTTP/2
        // connection that turns out to be gone says nothing of its server.
        let is_stale = *error.etype() == ErrorType::H2Error && !ctx.is_sent_again;
        if is_stale {
            ctx.is_sent_again = true;
        } else {
            ctx.server_failed();
        }
        let servers = ctx.upstream.as_ref().map_or(0, |upstream| upstream.count());
        error.set_retry(is_stale || ctx.tried.len() < servers);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut RequestContext,
        is_reused: bool,
    ) -> Box<Error> {
        let again = may_be_sent_again(&error, session, ctx);
        error.set_retry(again);
        // A server may close a connection that it keeps at any time; that is no failure.
        if is_broken(&error) && ctx.upstream_time.is_none() && !is_reused {
            ctx.server_failed();
        }
        if let (true, Some(upstream)) = (again, &ctx.upstream) {
            ctx.is_sent_again = true;
            upstream.sends_again();
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut RequestContext,
    ) -> FailToProxy {
        let problem = ctx.late().or_else(|| problem_of(error));
        if *error.esource() == ErrorSource::Upstream {
            tracing::warn!(reference = %ctx.reference, cause = %error, "the upstream failed");
        }
        if let Some(problem) = &problem
            && session.response_written().is_none()
        {
            session.set_keepalive(None);
            let answer = self.error_answer(problem, session, ctx);
            // The client may be gone; there is nobody else to tell.
            let _ = send(session, answer, ctx).await;
        }
        let error_code = problem.map_or(0, |problem| problem.status().as_u16());
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut RequestContext) {
        ctx.status = session
            .response_written()
            .map_or(0, |head| head.status.as_u16());
        ctx.octets_sent = session.body_bytes_sent();
        if ctx.permit.is_none() {
            ctx.path = String::from_utf8_lossy(session.req_header().raw_path()).into_owned();
        }
    }

    /// The library's own lines hold whole targets; ours say what may be said.
    fn suppress_error_log(&self, _: &Session, _: &RequestContext, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &RequestContext,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// What a failure on the way to or from the upstream looks like from outside; none when the
/// client is gone.
fn problem_of(error: &Error) -> Option<Problem> {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(413)) => Some(Problem::BodyTooLarge),
        (_, ErrorType::HTTPStatus(503)) => Some(Problem::UpstreamDown),
        (_, kind) if *kind == UNFIT_CLAIM => Some(Problem::UnfitClaim),
        (ErrorSource::Upstream, kind) => Some(match kind {
            ErrorType::ReadTimedout | ErrorType::WriteTimedout => Problem::UpstreamSlow,
            ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::TLSHandshakeTimedout => Problem::UpstreamDown,
            _ => Problem::UpstreamBroken,
        }),
        (ErrorSource::Downstream, kind) => match kind {
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed => None,
            ErrorType::ReadTimedout => Some(Problem::BodyTooSlow),
            _ => Some(Problem::Malformed),
        },
        _ => Some(Problem::Internal),
    }
}
