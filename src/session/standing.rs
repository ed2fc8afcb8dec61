//! How a request stands with regard to a session.

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue};

use super::{SessionKey, SessionRecord};

/// An open session: its key and what its record says. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The digest by which the store knows it.
    pub key: SessionKey,
    /// What the record says.
    pub record: Arc<SessionRecord>,
    /// The fields by which the upstream learns who it is; made by the first request that is
    /// forwarded, and as long in memory as the record.
    pub handoff: Arc<OnceLock<HandoffFields>>,
}

/// Ready-made request fields.
pub type HandoffFields = Vec<(HeaderName, HeaderValue)>;

/// How a request stands with regard to a session.
#[derive(Debug, Clone)]
pub enum SessionStanding {
    /// No session cookie.
    Absent,
    /// Signed in.
    Live(OpenSession),
    /// Signed in, but the identity provider's tokens must be renewed before they are handed on.
    NeedsRefresh(OpenSession),
    /// Proven who, but the registration is not complete.
    Pending(OpenSession),
    /// There was a session; it is over.
    Expired,
    /// The cookie means nothing to us.
    Unreadable,
    /// The store cannot answer: neither signed in nor logged out.
    StoreDown,
}
