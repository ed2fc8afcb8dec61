//! What the key of a session holds, and how the index of its subject is called.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::{Issuer, Subject};
use crate::seal;
use crate::session::{SessionIndex, SessionKey, StoreDown, StoredSession};

/// The value of a session's key.
#[derive(Serialize, Deserialize)]
struct Value {
    sealed: String,
    issuer: String,
    subject: String,
    /// The end of the key of the subject's index.
    subject_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    idp_sid: Option<String>,
    host: String,
    account: Option<String>,
    device: String,
    created_at: Timestamp,
    ends_at: Timestamp,
}

/// Issuer and subject by digest: they are of any length, and a key is not for reading. A length
/// keeps the two apart.
pub(super) fn subject_key(issuer: &Issuer, subject: &Subject) -> String {
    let (issuer, subject) = (issuer.as_str(), subject.as_str());
    seal::digest(format!("{}:{issuer}{subject}", issuer.len()).as_bytes())
}

pub(super) fn to_value(session: &StoredSession) -> Result<String, StoreDown> {
    let StoredSession {
        sealed,
        index,
        ends_at,
        ..
    } = session;
    let value = Value {
        sealed: sealed.clone(),
        issuer: index.issuer.as_str().to_owned(),
        subject: index.subject.as_str().to_owned(),
        subject_key: subject_key(&index.issuer, &index.subject),
        idp_sid: index.idp_sid.clone(),
        host: index.host.clone(),
        account: index.account.clone(),
        device: index.device.clone(),
        created_at: index.created_at,
        ends_at: *ends_at,
    };
    serde_json::to_string(&value).map_err(StoreDown::because)
}

pub(super) fn from_value(
    key: &SessionKey,
    text: &str,
    idle_until: Timestamp,
) -> Option<StoredSession> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(StoredSession {
        key: key.clone(),
        sealed: value.sealed,
        index: SessionIndex {
            issuer: Issuer::new(value.issuer),
            subject: Subject::new(value.subject),
            idp_sid: value.idp_sid,
            host: value.host,
            account: value.account,
            device: value.device,
            created_at: value.created_at,
        },
        idle_until: idle_until.min(value.ends_at),
        ends_at: value.ends_at,
    })
}
