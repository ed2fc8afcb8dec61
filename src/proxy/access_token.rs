//! The identity provider's access token, for upstreams that want it: in hand, or fetched before the
//! request goes on. A request whose session has none any more goes without.

use std::sync::Arc;

use super::answer::Problem;
use super::context::RequestContext;
use super::gateway::Gateway;
use super::site::Site;
use crate::login::access_tokens::AccessTokens;
use crate::platform::tokens::{HeldToken, NoToken, Wanted};
use crate::session::{OpenSession, SessionId};

impl Gateway {
    /// Has what is forwarded carry the access token, where upstream and rule want it.
    pub(super) async fn with_access_token(
        &self,
        site: &Site,
        cookie: Option<&str>,
        ctx: &mut RequestContext,
    ) -> Result<(), Problem> {
        let (Some(tokens), Some(who)) = (&site.access_tokens, whose(ctx)) else {
            return Ok(());
        };
        let Some(id) = cookie.and_then(SessionId::from_cookie) else {
            return Ok(());
        };
        let who = who.clone();
        if let Some((held, is_due)) = tokens.ready(&who) {
            if is_due {
                self.fetching
                    .start(fetch(tokens, (id, who), Wanted::Lasting));
            }
            ctx.access_token = Some(held);
            return Ok(());
        }
        let fetching = fetch(tokens, (id, who), Wanted::Good);
        match self.fetching.run(ctx.network(), fetching).await {
            Ok(Ok(held)) => ctx.access_token = Some(held),
            Ok(Err(NoToken::Refused)) => {}
            Ok(Err(NoToken::Down)) => return Err(Problem::UpstreamDown),
            Err(_) => return Err(Problem::Busy),
        }
        Ok(())
    }
}

fn whose(ctx: &RequestContext) -> Option<&OpenSession> {
    let upstream = ctx.upstream.as_ref()?;
    let permit = ctx.permit.as_ref()?;
    let is_wanted = upstream.handoff().wants_access_token(permit.rule());
    permit.session().filter(|_| is_wanted)
}

fn fetch(
    tokens: &Arc<AccessTokens>,
    (id, who): (SessionId, OpenSession),
    wanted: Wanted,
) -> impl Future<Output = Result<Arc<HeldToken>, NoToken>> + Send + 'static {
    let tokens = Arc::clone(tokens);
    async move { tokens.fetch(&id, &who, wanted).await }
}
