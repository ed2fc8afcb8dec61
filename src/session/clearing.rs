//! What somebody has done first is written into a session that lives on.

use super::{SessionId, Sessions, StoreDown};
use crate::identity::Cleared;

impl Sessions {
    /// Writes into a session what its owner has done; it keeps its id, and every node learns of it
    /// as of an end. None of it comes to pass when the session is over (`Ok(false)`).
    pub async fn clear(
        &self,
        id: &SessionId,
        host: &str,
        cleared: Cleared,
    ) -> Result<bool, StoreDown> {
        let Some(mut stored) = self.store.load(&id.key(), self.clock.now()).await? else {
            return Ok(false);
        };
        let Ok(mut record) = self.seals.open_record(id, host, &stored.sealed) else {
            return Ok(false);
        };
        record.cleared = cleared;
        stored.sealed = self.seals.seal_record(id, &record)?;
        let is_kept = self.store.reseal(&stored).await;
        self.recent.forget(&stored.key);
        is_kept
    }
}
