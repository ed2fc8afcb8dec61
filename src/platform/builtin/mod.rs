//! The builtin platform: customers, partners, locations and users in the gateway's own database.
//!
//! For installations whose upstream has no user API of its own: it reads who exists by the REST API
//! on the admin listener (`docs/builtin-platform-api.md`). Creation is one INSERT with the mark as
//! a unique key, so that any number of nodes may try at once.

mod directory;
mod partners;
mod password;
mod profile;
mod records;
pub mod remote;
mod roles;

use async_trait::async_trait;
use secrecy::SecretString;

pub use directory::{Added, Listing};
pub use partners::NewPartner;
pub use records::{CustomerRecord, LocationRecord, PartnerRecord, UserRecord};

use super::{
    Administrator, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck,
    Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser, Profile,
    ProfileChange, RoleChange, Undone,
};
use crate::clock::SharedClock;
use crate::database::{Database, DatabaseError};
use crate::identity::{CustomerId, EmailAddress, LocationId, PlatformId, UserId};
use crate::{sql_execute, sql_fetch_optional};
use password::Passwords;

/// Customers and users in the gateway's own database.
pub struct BuiltinPlatform {
    id: PlatformId,
    database: Database,
    clock: SharedClock,
    passwords: Passwords,
}

impl BuiltinPlatform {
    /// The platform of this id in a migrated database.
    pub fn new(id: PlatformId, database: Database, clock: SharedClock) -> Self {
        Self {
            id,
            database,
            clock,
            passwords: Passwords::default(),
        }
    }

    /// Removes the customer that a mark made, unless it is in use.
    pub async fn undo_customer(&self, mark: &Mark) -> Result<Undone, PlatformError> {
        let removed = sql_execute!(
            &self.database,
            "DELETE FROM builtin_customers WHERE mark = $1
             AND NOT EXISTS (SELECT 1 FROM builtin_users
                             WHERE customer_id = builtin_customers.id)
             AND NOT EXISTS (SELECT 1 FROM builtin_locations
                             WHERE customer_id = builtin_customers.id)",
            mark.as_str()
        );
        let count = "SELECT COUNT(*) FROM builtin_customers WHERE mark = $1";
        self.undone(removed, count, mark).await
    }

    /// Removes the location that a mark made.
    pub async fn undo_location(&self, mark: &Mark) -> Result<Undone, PlatformError> {
        let sql = "DELETE FROM builtin_locations WHERE mark = $1";
        let removed = sql_execute!(&self.database, sql, mark.as_str());
        let count = "SELECT COUNT(*) FROM builtin_locations WHERE mark = $1";
        self.undone(removed, count, mark).await
    }

    /// Removes the user that a mark made.
    pub async fn undo_user(&self, mark: &Mark) -> Result<Undone, PlatformError> {
        let sql = "DELETE FROM builtin_users WHERE mark = $1";
        let removed = sql_execute!(&self.database, sql, mark.as_str());
        let count = "SELECT COUNT(*) FROM builtin_users WHERE mark = $1";
        self.undone(removed, count, mark).await
    }

    async fn count(&self, sql: &'static str, mark: &Mark) -> Result<i64, PlatformError> {
        let row = sql_fetch_optional!(&self.database, (i64,), sql, mark.as_str());
        Ok(row.map_err(unreachable)?.map_or(0, |(count,)| count))
    }

    /// Tells why nothing was removed: nothing there, or in use.
    async fn undone(
        &self,
        removed: Result<u64, DatabaseError>,
        count: &'static str,
        mark: &Mark,
    ) -> Result<Undone, PlatformError> {
        match removed {
            Ok(1..) => Ok(Undone::Removed),
            Err(error) if !is_foreign_key_violation(&error) => Err(unreachable(error)),
            Ok(0) | Err(_) => match self.count(count, mark).await? {
                0 => Ok(Undone::Absent),
                _ => Ok(Undone::Kept),
            },
        }
    }
}

#[async_trait]
impl Platform for BuiltinPlatform {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            passwords: true,
            new_passwords: true,
            locations: true,
            partners: true,
            roles: true,
        }
    }

    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError> {
        let found = self.user_record(id).await?;
        found.as_ref().map(UserRecord::as_platform_user).transpose()
    }

    async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, PlatformError> {
        let found = self.user_record_by_email(email).await?;
        found.as_ref().map(UserRecord::as_platform_user).transpose()
    }

    async fn customer_by_code(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, PlatformError> {
        let found = self.customer_record_by_code(code).await?;
        Ok(found.map(PlatformCustomer::from))
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<PlatformCustomer>, PlatformError> {
        let found = self.customer_record(id).await?;
        Ok(found.map(PlatformCustomer::from))
    }

    async fn partner_by_code(&self, code: &str) -> Result<Option<PlatformPartner>, PlatformError> {
        let found = self.partner_record_by_code(code).await?;
        Ok(found.map(PlatformPartner::from))
    }

    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError> {
        let found = self.administrator_records(customer).await?;
        found.into_iter().map(Administrator::try_from).collect()
    }

    async fn ensure_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Made<CustomerId>, PlatformError> {
        self.add_customer(customer, Some(mark)).await
    }

    async fn ensure_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Made<LocationId>, PlatformError> {
        self.add_location(location, Some(mark)).await
    }

    async fn ensure_user(
        &self,
        mark: &Mark,
        user: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, PlatformError> {
        let added = Added {
            mark: Some(mark),
            password: password.cloned(),
        };
        self.add_user(user, added).await
    }

    async fn remove_customer(
        &self,
        mark: &Mark,
        _customer: &NewCustomer,
    ) -> Result<Undone, PlatformError> {
        self.undo_customer(mark).await
    }

    async fn remove_location(
        &self,
        mark: &Mark,
        _location: &NewLocation,
    ) -> Result<Undone, PlatformError> {
        self.undo_location(mark).await
    }

    async fn remove_user(&self, mark: &Mark, _user: &NewUser) -> Result<Undone, PlatformError> {
        self.undo_user(mark).await
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PlatformError> {
        self.read_profile(user).await
    }

    async fn update_profile(
        &self,
        user: &UserId,
        change: &ProfileChange,
    ) -> Result<bool, PlatformError> {
        self.write_profile(user, change).await
    }

    async fn update_roles(
        &self,
        user: &UserId,
        change: &RoleChange,
    ) -> Result<bool, PlatformError> {
        self.write_roles(user, change).await
    }

    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, PlatformError> {
        let found = self.user_record_by_email(email).await?;
        let found = found.filter(|user| user.enabled);
        let hashed = found.as_ref().and_then(|user| user.password.clone());
        let right = self.passwords.is_right(password, hashed).await;
        match found {
            Some(user) if right => Ok(PasswordCheck::Right(user.as_platform_user()?)),
            _ => Ok(PasswordCheck::Wrong),
        }
    }

    async fn set_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, PlatformError> {
        let hashed = self.passwords.hash(password).await.map_err(garbled)?;
        let sql = "UPDATE builtin_users SET password = $1 WHERE id = $2 AND enabled = $3";
        let changed = sql_execute!(&self.database, sql, hashed, user.as_str(), true);
        Ok(changed.map_err(unreachable)? == 1)
    }
}

fn unreachable(error: DatabaseError) -> PlatformError {
    PlatformError::Unreachable(Box::new(error))
}

fn garbled(error: impl std::error::Error + Send + Sync + 'static) -> PlatformError {
    PlatformError::Garbled(Box::new(error))
}

fn is_foreign_key_violation(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Engine(sqlx::Error::Database(cause))
        if cause.is_foreign_key_violation())
}
