//! The platform alone, for those who try it by hand.

use std::sync::Arc;

use super::AssemblyProblem;
use super::platforms::elsewhere;
use crate::clock::SystemClock;
use crate::database::{Database, DatabaseAddress};
use crate::platform::builtin::BuiltinPlatform;
use crate::platform::rest::RestPlatform;
use crate::platform::{Platform, PlatformSettings};

/// The platform alone.
pub struct PlatformByHand {
    /// As the gateway uses it.
    pub platform: Arc<dyn Platform>,
    /// The same, where a file describes it.
    pub described: Option<Arc<RestPlatform>>,
}

impl std::fmt::Debug for PlatformByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlatformByHand({})", self.platform.id())
    }
}

/// The platform of an installation; `database` is opened for its own builtin platform only.
pub async fn platform_by_hand(
    settings: PlatformSettings,
    database: &DatabaseAddress,
) -> Result<PlatformByHand, AssemblyProblem> {
    let clock = Arc::new(SystemClock);
    let id = settings.id.clone();
    if let Some(elsewhere) = elsewhere(settings, clock.clone())? {
        return Ok(PlatformByHand {
            platform: elsewhere.used,
            described: elsewhere.described,
        });
    }
    let database = Database::open(database).await?;
    Ok(PlatformByHand {
        platform: Arc::new(BuiltinPlatform::new(id, database, clock)),
        described: None,
    })
}
