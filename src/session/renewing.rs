//! Newer tokens of the identity provider's take the place of those that a session began with.

use super::{IdpTokens, SessionId, Sessions, StoreDown};

impl Sessions {
    /// Keeps newer tokens of a session; nothing is kept when it is over (`Ok(false)`).
    pub async fn keep_tokens(
        &self,
        id: &SessionId,
        host: &str,
        tokens: &IdpTokens,
    ) -> Result<bool, StoreDown> {
        let sealed = self.seals.seal_tokens(id, host, tokens)?;
        self.store.keep_tokens(&id.key(), &sealed).await
    }
}
