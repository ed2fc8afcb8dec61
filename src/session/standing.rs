//! How a request stands with regard to a session.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};

use super::{SessionKey, SessionRecord};
use crate::clock::Timestamp;

/// An open session: its key and what its record says. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The digest by which the store knows it.
    pub key: SessionKey,
    /// What the record says.
    pub record: Arc<SessionRecord>,
    /// By what upstreams learn who it is; as long in memory as the record.
    pub handoffs: Arc<Handoffs>,
}

/// What requests of a session tell each upstream.
#[derive(Debug, Default)]
pub struct Handoffs(OnceLock<Box<[Handoff]>>);

impl Handoffs {
    /// What one upstream is told, by its number among so many.
    pub fn of(&self, number: usize, count: usize) -> Option<&Handoff> {
        let made = || (0..count).map(|_| Handoff::default()).collect();
        self.0.get_or_init(made).get(number)
    }
}

/// What requests of a session tell one upstream, made by those that are forwarded.
#[derive(Debug, Default)]
pub struct Handoff {
    /// The fields that do not change.
    pub fields: OnceLock<HandoffFields>,
    /// The newest assertion, where there are any.
    pub assertion: ArcSwapOption<Assertion>,
}

/// A signed assertion, ready to be sent.
#[derive(Debug)]
pub struct Assertion {
    /// When it was made.
    pub made_at: Timestamp,
    /// In whose name: the origin of the host.
    pub origin: Arc<str>,
    /// It, as a field value.
    pub value: HeaderValue,
}

/// Ready-made request fields.
pub type HandoffFields = Box<[(HeaderName, HeaderValue)]>;

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
