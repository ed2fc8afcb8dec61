//! The way out: the session ends here, with its siblings on other hosts, and then at the identity
//! provider (OpenID Connect RP-Initiated Logout 1.0), which also takes its refresh token back.

use std::sync::Arc;

use url::Url;

use super::provider::{EndSession, IdentityProvider};
use super::{Cookies, LoggedOut, Login, LoginError, own_address};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::paths;
use crate::seal;
use crate::session::{IdpTokens, OpenSession, SessionId, SessionStanding, cookie};
use crate::telemetry::with_causes;

impl Login {
    /// Ends the session that the browser has. Whoever has none is logged out already.
    pub async fn log_out(
        &self,
        client: &ClientContext,
        cookies: &Cookies,
    ) -> Result<LoggedOut, LoginError> {
        let standing = self
            .parts
            .sessions
            .standing(cookies.session(), &client.host)
            .await;
        let id = cookies.session().and_then(SessionId::from_cookie);
        let end_session = match (standing, id) {
            (
                SessionStanding::Live(open)
                | SessionStanding::NeedsRefresh(open)
                | SessionStanding::Pending(open),
                Some(id),
            ) => self.end(client, &open, &id).await?,
            (SessionStanding::StoreDown, _) => return Err(LoginError::StoreDown(None)),
            _ => None,
        };
        Ok(LoggedOut {
            end_session,
            set_cookies: vec![cookie::clear_session_cookie()],
        })
    }

    async fn end(
        &self,
        client: &ClientContext,
        open: &OpenSession,
        id: &SessionId,
    ) -> Result<Option<Url>, LoginError> {
        let identity = &open.record.identity;
        let tokens = self.parts.sessions.tokens(id, &client.host).await?;
        // Those on other hosts first: should the store fail in between, this one is still there to
        // try again with.
        if let Some(sid) = identity.provider_session() {
            let (issuer, subject) = (identity.issuer(), identity.subject());
            self.parts
                .sessions
                .end_of(issuer, subject, Some(sid))
                .await?;
        }
        self.parts.sessions.end(id).await?;
        let mut event = self.event(EventKind::LoggedOut, identity);
        event.account = open.record.account().cloned();
        self.record(client, event).await;
        self.leave_provider(client, open, tokens)
    }

    fn leave_provider(
        &self,
        client: &ClientContext,
        open: &OpenSession,
        tokens: Option<IdpTokens>,
    ) -> Result<Option<Url>, LoginError> {
        // A provider that is no longer configured is not asked; local users have none.
        let provider = open.record.identity.provider();
        let Some(Ok(provider)) = provider.map(|id| self.provider(id)) else {
            return Ok(None);
        };
        if let Some(tokens) = &tokens {
            revoke(Arc::clone(provider), tokens.clone());
        }
        Ok(provider.end_session_url(&EndSession {
            id_token: tokens.map(|tokens| tokens.id_token),
            return_to: own_address(client, paths::LOGGED_OUT)?,
            state: seal::random_token(),
        }))
    }
}

/// Beside the answer to the browser: nobody waits for it, and one is logged out without it.
fn revoke(provider: Arc<dyn IdentityProvider>, tokens: IdpTokens) {
    tokio::spawn(async move {
        if let Err(error) = provider.revoke(&tokens).await {
            let error = with_causes(&error);
            tracing::warn!(provider = %provider.id(), error, "a refresh token was not revoked");
        }
    });
}
