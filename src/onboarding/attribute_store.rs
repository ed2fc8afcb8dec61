//! Keeps what claims changed of users, and what is still to be written.

use async_trait::async_trait;

use super::store::{Lease, RegistrationStoreDown};
use crate::clock::Timestamp;
use crate::database::Node;
use crate::identity::{PlatformId, UserId};
use crate::outbox::Prepared;

/// A user of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserKey {
    /// The platform.
    pub platform: PlatformId,
    /// The user there.
    pub user: UserId,
}

/// What is kept of a user; sealed texts.
#[derive(Debug, Clone)]
pub struct KeptAttributes {
    /// The newest sign-in.
    pub signed_in_at: Timestamp,
    /// Changes whenever one of the texts does.
    pub revision: i64,
    /// Digests of what was last written.
    pub written: Option<String>,
    /// What is to be written.
    pub due: Option<String>,
}

/// What is kept from now on.
#[derive(Debug)]
pub struct NewAttributes<'a> {
    /// The revision that it is made from.
    pub revision: i64,
    /// Digests of what was last written.
    pub written: &'a str,
    /// What is to be written.
    pub due: Option<&'a str>,
}

/// What became of the right to write.
#[derive(Debug)]
pub enum Taken {
    /// Nothing is due.
    Nothing,
    /// Somebody else is writing.
    Held,
    /// It was taken.
    Mine(KeptAttributes),
}

/// Keeps what claims changed of users.
#[async_trait]
pub trait AttributeStore: Send + Sync {
    /// What is kept of a user who signs in at this moment; the newest sign-in is remembered.
    async fn arrived(
        &self,
        of: &UserKey,
        at: Timestamp,
    ) -> Result<KeptAttributes, RegistrationStoreDown>;

    /// Keeps what is due, with the delivery that sees to it, all or nothing; `Ok(false)` where the
    /// revision is another one by now.
    async fn put(
        &self,
        of: &UserKey,
        new: &NewAttributes<'_>,
        delivery: Option<&Prepared>,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Takes the right to write what is due.
    async fn take(
        &self,
        of: &UserKey,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Taken, RegistrationStoreDown>;

    /// Keeps what was written and gives the right back; `Ok(false)` where the revision is another
    /// one by now, or the right is somebody else's.
    async fn wrote(
        &self,
        of: &UserKey,
        lease: &Lease,
        new: &NewAttributes<'_>,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Gives the right back.
    async fn give_back(&self, of: &UserKey, lease: &Lease) -> Result<(), RegistrationStoreDown>;

    /// Gives back the rights of earlier processes at a node's place; its own stay.
    async fn free(&self, node: &Node) -> Result<(), RegistrationStoreDown>;
}
