//! Which adapter speaks to the platform.

use std::sync::Arc;

use super::AssemblyProblem;
use super::foundation::Foundation;
use crate::clock::SharedClock;
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
    elsewhere: Option<Elsewhere>,
}

/// A platform that is not this installation's own.
pub(super) struct Elsewhere {
    pub(super) used: Arc<dyn Platform>,
    /// The same, where a file describes it.
    pub(super) described: Option<Arc<RestPlatform>>,
    thingsboard: Option<Arc<ThingsBoard>>,
    scim: Option<Arc<Scim>>,
}

impl Elsewhere {
    fn of(used: Arc<dyn Platform>) -> Self {
        Self {
            used,
            described: None,
            thingsboard: None,
            scim: None,
        }
    }

    /// Asks what it is, where that has to be known, and whether it gives tokens for its users where
    /// those are wanted.
    pub(super) async fn introduce(&self, wants_tokens: bool) -> Result<(), AssemblyProblem> {
        if let Some(thingsboard) = &self.thingsboard {
            thingsboard.introduce(wants_tokens).await?;
        }
        if let Some(scim) = &self.scim {
            scim.introduce().await?;
        }
        Ok(())
    }
}

/// Whether an upstream gets the platform's own tokens.
pub(super) fn want_tokens(upstreams: &[UpstreamSettings]) -> bool {
    let mut handoffs = upstreams.iter().map(|one| &one.handoff);
    handoffs.any(|handoff| handoff.thingsboard.is_some())
}

/// The platform, not asked anything yet; none where it is this installation's own.
pub(super) fn elsewhere(
    settings: PlatformSettings,
    clock: SharedClock,
) -> Result<Option<Elsewhere>, OutboundError> {
    let PlatformSettings { id, kind } = settings;
    Ok(Some(match kind {
        PlatformKind::Builtin => return Ok(None),
        PlatformKind::Shared(remote) => {
            let outbound = Outbound::new()?;
            Elsewhere::of(Arc::new(RemoteBuiltinPlatform::new(id, remote, outbound)))
        }
        PlatformKind::ThingsBoard(settings) => {
            let adapter = Arc::new(ThingsBoard::new(id, *settings)?);
            Elsewhere {
                thingsboard: Some(Arc::clone(&adapter)),
                ..Elsewhere::of(adapter)
            }
        }
        PlatformKind::Rest(settings) => {
            let adapter = Arc::new(RestPlatform::new(id, *settings, clock)?);
            Elsewhere {
                described: Some(Arc::clone(&adapter)),
                ..Elsewhere::of(adapter)
            }
        }
        PlatformKind::Scim(settings) => {
            let adapter = Arc::new(Scim::new(id, *settings)?);
            Elsewhere {
                scim: Some(Arc::clone(&adapter)),
                ..Elsewhere::of(adapter)
            }
        }
    }))
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
        let wants_tokens = want_tokens(upstreams);
        if let Some(elsewhere) = &platform.elsewhere {
            elsewhere.introduce(wants_tokens).await?;
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
        let (id, database) = (settings.id.clone(), self.database.clone());
        let own = Arc::new(BuiltinPlatform::new(id, database, self.clock()));
        let elsewhere = elsewhere(settings, self.clock())?;
        let used = elsewhere.as_ref().map_or_else(
            || Arc::clone(&own) as Arc<dyn Platform>,
            |elsewhere| Arc::clone(&elsewhere.used),
        );
        Ok(OpenPlatform {
            used,
            own,
            is_elsewhere: elsewhere.is_some(),
            elsewhere,
        })
    }
}
