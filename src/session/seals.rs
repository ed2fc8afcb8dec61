//! Seals records and tokens: with the browser's secret as well as the ring, for one host.

use std::sync::Arc;

use super::{IdpTokens, SessionId, SessionRecord, StoreDown};
use crate::seal::{CannotOpen, KeyRing, Purpose, from_base64, to_base64};

/// Seals and opens.
pub(super) struct Seals {
    keys: Arc<KeyRing>,
}

impl Seals {
    pub(super) fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys }
    }

    pub(super) fn seal_record(
        &self,
        id: &SessionId,
        record: &SessionRecord,
    ) -> Result<String, StoreDown> {
        let plain = serde_json::to_vec(record).map_err(StoreDown::because)?;
        Ok(self.seal(Purpose::Session, id, &record.host, &plain))
    }

    pub(super) fn open_record(
        &self,
        id: &SessionId,
        host: &str,
        sealed: &str,
    ) -> Result<SessionRecord, CannotOpen> {
        let plain = self.open(Purpose::Session, id, host, sealed)?;
        serde_json::from_slice(&plain).map_err(|_| CannotOpen)
    }

    pub(super) fn seal_tokens(
        &self,
        id: &SessionId,
        host: &str,
        tokens: &IdpTokens,
    ) -> Result<String, StoreDown> {
        let plain = tokens.to_plain().map_err(StoreDown::because)?;
        Ok(self.seal(Purpose::Tokens, id, host, &plain))
    }

    pub(super) fn open_tokens(
        &self,
        id: &SessionId,
        host: &str,
        sealed: &str,
    ) -> Result<IdpTokens, CannotOpen> {
        let plain = self.open(Purpose::Tokens, id, host, sealed)?;
        IdpTokens::from_plain(&plain).map_err(|_| CannotOpen)
    }

    fn seal(&self, purpose: Purpose, id: &SessionId, host: &str, plain: &[u8]) -> String {
        let context = context(id, host);
        to_base64(
            &self
                .keys
                .seal_with_secret(purpose, id.secret(), &context, plain),
        )
    }

    fn open(
        &self,
        purpose: Purpose,
        id: &SessionId,
        host: &str,
        sealed: &str,
    ) -> Result<Vec<u8>, CannotOpen> {
        let sealed = from_base64(sealed).ok_or(CannotOpen)?;
        self.keys
            .open_with_secret(purpose, id.secret(), &context(id, host), &sealed)
    }
}

/// The host and the key's digest: a record moved to another row or host does not open. The digest
/// has a fixed length, so that the two parts cannot run into each other.
fn context(id: &SessionId, host: &str) -> Vec<u8> {
    [id.digest().as_slice(), host.as_bytes()].concat()
}
