//! What differs from site to site: rules, people, pages.

use std::sync::Arc;

use http::{Method, header};
use pingora_http::RequestHeader;

use super::answer::{ErrorPages, Problem};
use super::bridge::Bridge;
use super::context::{Outcome, RequestContext};
use super::gateway::Next;
use super::limits::Lanes;
use crate::access::{ClientContext, RequestFacts, device_word};
use crate::login::access_tokens::AccessTokens;
use crate::login::bearer::Bearers;
use crate::platform::UserTokens;
use crate::policy::PolicySource;
use crate::session::Sessions;

/// The hosts of one platform, as the data plane sees them.
pub(super) struct Site {
    pub(super) policy: Arc<dyn PolicySource>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) bridge: Bridge,
    pub(super) error_pages: Arc<dyn ErrorPages>,
    pub(super) lanes: Lanes,
    /// The platform's own tokens, where an upstream wants them.
    pub(super) user_tokens: Option<Arc<UserTokens>>,
    /// The identity providers' access tokens, where an upstream wants them.
    pub(super) access_tokens: Option<Arc<AccessTokens>>,
    /// Judges bearer tokens, where any issuer's count.
    pub(super) bearers: Option<Arc<Bearers>>,
}

impl Site {
    /// Has the page of ours at `path` answer.
    pub(super) async fn page(
        &self,
        request: &RequestHeader,
        (facts, path): (&RequestFacts, &str),
        ctx: &mut RequestContext,
    ) -> Result<Next, Problem> {
        let is_submit = !matches!(request.method, Method::GET | Method::HEAD);
        let policy = self.policy.current();
        self.lanes
            .draw_page((path, is_submit), &policy.limits, facts.client)
            .await
            .map_err(|slow_down| Problem::SlowDown(slow_down.retry_after))?;
        ctx.outcome = Outcome::Page;
        let agent = request
            .headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let target = match &facts.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let context = ClientContext {
            host: facts.host.to_string(),
            own_origin: facts.own_origin.to_string(),
            client: facts.client,
            kind: facts.kind,
            reference: ctx.reference.to_string(),
            device: device_word(agent),
        };
        Ok(Next::Page(Box::new(context), target))
    }
}
