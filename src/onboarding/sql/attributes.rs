//! What claims changed of users, in SQL.

use async_trait::async_trait;

use super::SqlRegistrationStore;
use crate::clock::Timestamp;
use crate::database::Node;
use crate::onboarding::attribute_store::{
    AttributeStore, KeptAttributes, NewAttributes, Taken, UserKey,
};
use crate::onboarding::store::{Lease, RegistrationStoreDown};
use crate::outbox::{INSERT_PREPARED, Prepared};
use crate::{sql_execute, sql_fetch_optional, sql_free_leases, sql_returning, sql_transaction};

/// The newest sign-in, the revision, what was written and what is due.
type Row = (i64, i64, Option<String>, Option<String>);

fn kept((signed_in_at, revision, written, due): Row) -> KeptAttributes {
    KeptAttributes {
        signed_in_at: Timestamp::from_millis(signed_in_at),
        revision,
        written,
        due,
    }
}

#[async_trait]
impl AttributeStore for SqlRegistrationStore {
    async fn arrived(
        &self,
        of: &UserKey,
        at: Timestamp,
    ) -> Result<KeptAttributes, RegistrationStoreDown> {
        let row = sql_returning!(
            &self.database,
            Row,
            "INSERT INTO attribute_writes (platform, user_id, signed_in_at) VALUES ($1, $2, $3)
             ON CONFLICT (platform, user_id) DO UPDATE SET signed_in_at = CASE
                 WHEN attribute_writes.signed_in_at < excluded.signed_in_at
                 THEN excluded.signed_in_at ELSE attribute_writes.signed_in_at END
             RETURNING signed_in_at, revision, written, due",
            of.platform.as_str(),
            of.user.as_str(),
            at.millis()
        )?;
        // There is always a row after this.
        Ok(kept(row.unwrap_or((at.millis(), 0, None, None))))
    }

    async fn put(
        &self,
        of: &UserKey,
        new: &NewAttributes<'_>,
        delivery: Option<&Prepared>,
    ) -> Result<bool, RegistrationStoreDown> {
        let outcome = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE attribute_writes SET written = $1, due = $2, revision = revision + 1
                     WHERE platform = $3 AND user_id = $4 AND revision = $5",
                    new.written, new.due, of.platform.as_str(), of.user.as_str(),
                    new.revision; must change 1
                ),
                (
                    INSERT_PREPARED,
                    delivery.map_or("", |one| one.id.as_str()),
                    delivery.map_or("", |one| one.kind.as_str()),
                    delivery.map_or("", |one| one.name),
                    delivery.map_or("", |one| one.sealed.as_str()),
                    delivery.map_or(0, |one| one.at.millis()),
                    delivery.map_or(0, |one| one.give_up_at.millis())
                ),
            ]
        )
        .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) if error.is_unmet() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn take(
        &self,
        of: &UserKey,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Taken, RegistrationStoreDown> {
        let row = sql_returning!(
            &self.database,
            Row,
            "UPDATE attribute_writes SET lease_owner = $1, lease_until = $2
             WHERE platform = $3 AND user_id = $4 AND due IS NOT NULL AND lease_until <= $5
             RETURNING signed_in_at, revision, written, due",
            &lease.owner,
            lease.until.millis(),
            of.platform.as_str(),
            of.user.as_str(),
            now.millis()
        )?;
        if let Some(row) = row {
            return Ok(Taken::Mine(kept(row)));
        }
        let due = sql_fetch_optional!(
            &self.database,
            (i64,),
            "SELECT revision FROM attribute_writes
             WHERE platform = $1 AND user_id = $2 AND due IS NOT NULL",
            of.platform.as_str(),
            of.user.as_str()
        )?;
        Ok(due.map_or(Taken::Nothing, |_| Taken::Held))
    }

    async fn wrote(
        &self,
        of: &UserKey,
        lease: &Lease,
        new: &NewAttributes<'_>,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE attribute_writes SET written = $1, due = $2, revision = revision + 1,
                 lease_owner = NULL, lease_until = 0
             WHERE platform = $3 AND user_id = $4 AND revision = $5 AND lease_owner = $6",
            new.written,
            new.due,
            of.platform.as_str(),
            of.user.as_str(),
            new.revision,
            &lease.owner
        )?;
        Ok(changed == 1)
    }

    async fn give_back(&self, of: &UserKey, lease: &Lease) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "UPDATE attribute_writes SET lease_owner = NULL, lease_until = 0
             WHERE platform = $1 AND user_id = $2 AND lease_owner = $3",
            of.platform.as_str(),
            of.user.as_str(),
            &lease.owner
        )?;
        Ok(())
    }

    async fn free(&self, node: &Node) -> Result<(), RegistrationStoreDown> {
        sql_free_leases!(&self.database, "attribute_writes", node)?;
        Ok(())
    }
}
