//! Letting a new user in, without ThingsBoard's letter: the activation link is asked for, and
//! redeemed with the password that was chosen, or one that nobody knows.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::ThingsBoard;
use super::client::Call;
use super::passwords;
use super::trouble::{Oddity, Refusal, Trouble, code};
use crate::platform::PlatformError;

impl ThingsBoard {
    /// The token of a user's activation link; none where the user has been activated.
    pub(super) async fn activation_token(&self, user: &str) -> Result<Option<String>, Trouble> {
        let call = Call::get(&["user", user, "activationLink"]);
        let link = match self.client.ask_text(call).await {
            Err(trouble) if trouble.says("already activated") => return Ok(None),
            link => link?,
        };
        let token = link.split_once("activateToken=").map(|(_, token)| token);
        let token = token.and_then(|token| token.split(['&', '"', '\n']).next());
        match token {
            Some(token) if !token.is_empty() => Ok(Some(token.to_owned())),
            _ => Err(Oddity::Missing("activateToken").into()),
        }
    }

    /// Lets a user in who has never been; a user whom staff has blocked stays blocked, because
    /// only who was never activated has a link.
    pub(super) async fn activate(
        &self,
        user: &str,
        password: Option<&SecretString>,
    ) -> Result<(), Trouble> {
        let Some(token) = self.activation_token(user).await? else {
            return Ok(());
        };
        let random;
        let password = if let Some(chosen) = password {
            chosen
        } else {
            random = passwords::random(&self.published_rules().await?);
            &random
        };
        let body = json!({ "activateToken": token, "password": password.expose_secret() });
        let call = Call::post(&["noauth", "activate"]).by("sendActivationMail", "false");
        match self.client.ask_openly::<Value>(call.with(&body)).await {
            Ok(_session) => Ok(()),
            Err(Trouble::Refused(refusal)) if is_about_password(&refusal) => {
                let field = "password".to_owned();
                Err(PlatformError::Refused { field }.into())
            }
            // Another node may have redeemed the link a moment ago.
            Err(trouble) => match self.activation_token(user).await? {
                None => Ok(()),
                Some(_) => Err(trouble),
            },
        }
    }
}

fn is_about_password(refusal: &Refusal) -> bool {
    refusal.code == code::BAD_REQUEST && refusal.message.contains("Password")
}
