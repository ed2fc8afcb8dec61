//! Which ThingsBoard it is, and whether the gateway can use it.

use serde::Deserialize;

use super::ThingsBoard;
use super::client::Call;
use super::entity::Entity;
use super::trouble::Trouble;
use crate::platform::{PlatformError, ThingsBoardEdition};
use crate::telemetry::with_causes;

/// The oldest version whose customers have unique titles, on which finding them again rests.
const OLDEST: (u32, u32) = (3, 7);

/// What ThingsBoard says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Community or Professional.
    pub edition: ThingsBoardEdition,
    /// As it writes it, such as `4.3.0.1`.
    pub version: String,
}

/// Why the gateway cannot work with a ThingsBoard. It says so at the start.
#[derive(Debug, thiserror::Error)]
pub enum CannotUse {
    /// The credentials are not right.
    #[error(
        "ThingsBoard does not let the gateway in: check `api_key` (from 4.3 on), or `user` and \
         `password`"
    )]
    Credentials,
    /// It wants more than a password.
    #[error(
        "ThingsBoard asks the gateway's user for a second factor: use an `api_key` (from 4.3 on), \
         or a tenant administrator without two-factor authentication"
    )]
    SecondFactor,
    /// It is somebody who may not do what is needed.
    #[error(
        "the gateway's user in ThingsBoard is a {authority}: it must be a tenant administrator"
    )]
    Authority {
        /// What it is.
        authority: String,
    },
    /// It makes no tokens for its users, which an upstream wants.
    #[error(
        "ThingsBoard makes no tokens for its users: set SECURITY_USER_TOKEN_ACCESS_ENABLED=true \
         there, or take `thingsboard` out of `[upstream.hand_off]`"
    )]
    NoTokens,
    /// It is too old.
    #[error("ThingsBoard {version} is too old: 3.7 or later is needed")]
    TooOld {
        /// What it says.
        version: String,
    },
}

#[derive(Deserialize)]
struct SystemInfo {
    version: String,
    #[serde(rename = "type")]
    edition: Option<String>,
}

impl ThingsBoard {
    /// Asks at the start what it is, and whether the gateway may do its work, tokens for users
    /// included where they are wanted. One that is out of reach is asked later, and is no reason not
    /// to start.
    pub async fn introduce(&self, wants_tokens: bool) -> Result<Option<Installation>, CannotUse> {
        match self.introduction(wants_tokens).await {
            Ok(installation) => {
                let Installation { edition, version } = &installation;
                tracing::info!(?edition, version, "the platform is ThingsBoard");
                if is_too_old(version) {
                    let version = version.clone();
                    return Err(CannotUse::TooOld { version });
                }
                Ok(Some(installation))
            }
            Err(Introduction::Never(problem)) => Err(problem),
            Err(Introduction::Later(error)) => {
                let error = with_causes(&error);
                tracing::warn!(
                    error,
                    "ThingsBoard does not answer; it is asked again when needed"
                );
                Ok(None)
            }
        }
    }

    async fn introduction(&self, wants_tokens: bool) -> Result<Installation, Introduction> {
        let me: Entity = self.client.ask(Call::get(&["auth", "user"])).await?;
        let authority = me.text("authority");
        if authority != "TENANT_ADMIN" {
            let authority = authority.to_owned();
            return Err(Introduction::Never(CannotUse::Authority { authority }));
        }
        if wants_tokens && !self.makes_tokens().await? {
            return Err(Introduction::Never(CannotUse::NoTokens));
        }
        Ok(self.installation().await?.clone())
    }

    async fn makes_tokens(&self) -> Result<bool, Trouble> {
        let call = Call::get(&["user", "tokenAccessEnabled"]);
        self.client.ask(call).await
    }

    /// What it is, asked once.
    pub(super) async fn installation(&self) -> Result<&Installation, Trouble> {
        let ask = || async {
            let info: SystemInfo = self.client.ask(Call::get(&["system", "info"])).await?;
            let said = match info.edition.as_deref() {
                Some("PE") => ThingsBoardEdition::Professional,
                _ => ThingsBoardEdition::Community,
            };
            Ok(Installation {
                edition: self.settings.edition.unwrap_or(said),
                version: info.version,
            })
        };
        self.installation.get_or_try_init(ask).await
    }

    /// Whether it has said that it is the Professional Edition, or the operator has.
    pub(super) fn is_known_professional(&self) -> bool {
        let said = self.installation.get().map(|known| known.edition);
        self.settings.edition.or(said) == Some(ThingsBoardEdition::Professional)
    }

    /// Whether it is the Professional Edition.
    pub(super) async fn is_professional(&self) -> Result<bool, Trouble> {
        if let Some(edition) = self.settings.edition {
            return Ok(edition == ThingsBoardEdition::Professional);
        }
        let installation = self.installation().await?;
        Ok(installation.edition == ThingsBoardEdition::Professional)
    }
}

enum Introduction {
    Never(CannotUse),
    Later(PlatformError),
}

impl From<Trouble> for Introduction {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::SecondFactor => Self::Never(CannotUse::SecondFactor),
            Trouble::Refused(refusal) if refusal.status == http::StatusCode::UNAUTHORIZED => {
                Self::Never(CannotUse::Credentials)
            }
            other => Self::Later(other.into()),
        }
    }
}

/// A version that cannot be read is taken for a new one.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_3_7_are_too_old() {
        for (version, too_old) in [
            ("3.6.4", true),
            ("3.7", false),
            ("3.7.0", false),
            ("3.10.1", false),
            ("4.3.0.1", false),
            ("4.4.0-SNAPSHOT", false),
            ("unknown", false),
        ] {
            assert_eq!(is_too_old(version), too_old, "{version}");
        }
    }
}
