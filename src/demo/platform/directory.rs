//! What the platform asks about its users: the builtin platform's API, as any upstream may.

use std::time::Duration;

use http::{Request, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::identity::UserOptions;
use crate::outbound::{AnswerLimits, Outbound};

const LIMITS: AnswerLimits = AnswerLimits {
    time: Duration::from_secs(2),
    size: 64 * 1024,
};

/// The API on the gateway's admin listener.
#[derive(Clone)]
pub struct Directory {
    /// Where it is: `http://127.0.0.1:9090`.
    pub address: String,
    /// What opens it.
    pub token: SecretString,
    /// What asks.
    pub outbound: Outbound,
}

#[derive(Deserialize)]
struct User {
    options: UserOptions,
}

impl Directory {
    /// The names of a user's roles; none where nobody says.
    pub(super) async fn roles_of(&self, user: &str) -> Option<Vec<String>> {
        let is_id = user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let token = self.token.expose_secret();
        let request = Request::get(format!("{}/platform/v1/users/{user}", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Vec::new())
            .ok()
            .filter(|_| is_id)?;
        let answer = self.outbound.call(request, LIMITS).await.ok()?;
        let user: User = serde_json::from_slice(answer.body()).ok()?;
        let roles = user.options.roles.into_iter();
        Some(roles.map(|role| role.name).collect())
    }
}
