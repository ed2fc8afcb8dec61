//! Which adapter speaks to the platform.

use std::sync::Arc;

use super::AssemblyProblem;
use super::foundation::Foundation;
use crate::outbound::{Outbound, OutboundError};
use crate::platform::builtin::BuiltinPlatform;
use crate::platform::builtin::remote::RemoteBuiltinPlatform;
use crate::platform::rest::RestPlatform;
use crate::platform::scim::Scim;
use crate::platform::thingsboard::ThingsBoard;
use crate::platform::{Platform, PlatformKind, PlatformSettings, UserTokens};
use crate::proxy::UpstreamSettings;

/// The platform that customers are made in, and this installation's own.
pub(super) struct OpenPlatform {
    pub(super) used: Arc<dyn Platform>,
    pub(super) own: Arc<BuiltinPlatform>,
    /// Whether customers are made in another one than this installation's own.
    pub(super) is_elsewhere: bool,
    thingsboard: Option<Arc<ThingsBoard>>,
    scim: Option<Arc<Scim>>,
}

impl Foundation {
    /// The platform, asked what it is where that has to be known, and its own tokens for users
    /// where an upstream wants them.
    pub(super) async fn introduced(
        &self,
        settings: PlatformSettings,
        upstreams: &[UpstreamSettings],
    ) -> Result<(OpenPlatform, Option<Arc<UserTokens>>), AssemblyProblem> {
        let platform = self.platform(settings)?;
        let wants_tokens = upstreams
            .iter()
            .any(|one| one.handoff.thingsboard.is_some());
        if let Some(thingsboard) = &platform.thingsboard {
            thingsboard.introduce(wants_tokens).await?;
        }
        if let Some(scim) = &platform.scim {
            scim.introduce().await?;
        }
        let tokens = wants_tokens.then(|| {
            let used = Arc::clone(&platform.used);
            Arc::new(UserTokens::new(used, self.clock()))
        });
        Ok((platform, tokens))
    }

    /// The platform, not asked anything yet.
    pub(super) fn platform(
        &self,
        settings: PlatformSettings,
    ) -> Result<OpenPlatform, OutboundError> {
        let PlatformSettings { id, kind } = settings;
        let database = self.database.clone();
        let own = Arc::new(BuiltinPlatform::new(id.clone(), database, self.clock()));
        let is_elsewhere = !matches!(kind, PlatformKind::Builtin);
        let (mut thingsboard, mut scim) = (None, None);
        let used: Arc<dyn Platform> = match kind {
            PlatformKind::Builtin => Arc::clone(&own) as _,
            PlatformKind::Shared(remote) => {
                Arc::new(RemoteBuiltinPlatform::new(id, remote, Outbound::new()?))
            }
            PlatformKind::ThingsBoard(settings) => {
                let adapter = Arc::new(ThingsBoard::new(id, *settings)?);
                Arc::clone(thingsboard.insert(adapter)) as _
            }
            PlatformKind::Rest(settings) => {
                Arc::new(RestPlatform::new(id, *settings, self.clock())?)
            }
            PlatformKind::Scim(settings) => {
                let adapter = Arc::new(Scim::new(id, *settings)?);
                Arc::clone(scim.insert(adapter)) as _
            }
        };
        Ok(OpenPlatform {
            used,
            own,
            is_elsewhere,
            thingsboard,
            scim,
        })
    }
}
