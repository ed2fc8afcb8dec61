//! Tokens of customers' users, made by the tenant's administrator (`GET /api/user/{id}/token`).
//!
//! ThingsBoard makes one for any user of the tenant, blocked ones and administrators among them, and
//! asks for no second factor. So the user is looked at right before, and the token itself after:
//! only an enabled user of the very customer of the account ever has one. The refresh token beside
//! it is dropped: whoever has that would be let in for days, whatever becomes of the session.

use secrecy::{ExposeSecret as _, SecretString};

use super::ThingsBoard;
use super::client::{Call, hidden};
use super::session::TokenPair;
use super::trouble::Trouble;
use crate::identity::{Account, CustomerId};
use crate::platform::tokens::Token;

impl ThingsBoard {
    /// A token for the user of this account, none where they are not let in today.
    pub(super) async fn token_of(&self, account: &Account) -> Result<Option<Token>, Trouble> {
        let user = account.user.as_str();
        let Some(record) = self.user_entity(user).await? else {
            return Ok(None);
        };
        let standing = self.standing(&record).await?;
        let customer = account.customer.as_ref().map(CustomerId::as_str);
        let todays = standing.customer.as_ref().map(CustomerId::as_str);
        let (true, true, Some(customer)) = (standing.enabled, todays == customer, customer) else {
            return Ok(None);
        };
        let call = Call::get(&["user", user, "token"]);
        let pair: Option<TokenPair> = self.client.find(call).await?;
        Ok(pair.and_then(|pair| pair.into_token_of(user, customer)))
    }

    /// Ends the session that ThingsBoard keeps for a token.
    pub(super) async fn end_token(&self, token: &SecretString) -> Result<(), Trouble> {
        let bearer = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let call = Call::post(&["auth", "logout"]);
        self.client.tell_as(&hidden(&bearer)?, &call).await
    }
}
