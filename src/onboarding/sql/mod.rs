//! Registrations and links in SQL.
//!
//! At most one registration of an identity, and one of an address, is open: the unique keys carry
//! `open_key`, which is NULL once a registration is closed. A lease is taken by one conditional
//! UPDATE; every later change names the lease in its WHERE.

mod asking;
mod attributes;
mod batch;
mod duties;
mod funnel;
mod invitations;
mod opening;
mod proof;
mod rows;

use async_trait::async_trait;

use super::progress::{Failure, RegistrationId, State};
use super::store::{
    Completion, Lease, NewLink, NewRegistration, Opened, Registration, RegistrationStore,
    RegistrationStoreDown, StepChange, Who,
};
use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError, Node};
use crate::identity::{Account, AccountType, CustomerId, Issuer, PlatformId, Subject, UserId};
use crate::outbox::{INSERT_PREPARED, Prepared};
use crate::{
    sql_execute, sql_fetch_all, sql_fetch_optional, sql_free_leases, sql_returning, sql_transaction,
};
use rows::{LinkRow, RegistrationRow};

/// Registrations, links and mailed codes in the gateway's database.
#[derive(Debug, Clone)]
pub struct SqlRegistrationStore {
    database: Database,
}

impl SqlRegistrationStore {
    /// The store in a migrated database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn whole(
        &self,
        row: Option<RegistrationRow>,
    ) -> Result<Option<Registration>, RegistrationStoreDown> {
        match row {
            Some(row) => Ok(row.with_steps(&self.database).await?),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl RegistrationStore for SqlRegistrationStore {
    async fn link(&self, who: &Who) -> Result<Option<Account>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            LinkRow,
            "SELECT user_id, customer_id, account_type FROM account_links
             WHERE platform = $1 AND issuer = $2 AND subject = $3",
            who.platform.as_str(),
            who.issuer.as_str(),
            who.subject.as_str()
        )?;
        Ok(row.map(|row| row.into_account(&who.platform)))
    }

    async fn linked_to(
        &self,
        platform: &PlatformId,
        user: &UserId,
    ) -> Result<Vec<(Issuer, Subject)>, RegistrationStoreDown> {
        let rows = sql_fetch_all!(
            &self.database,
            (String, String),
            "SELECT issuer, subject FROM account_links WHERE platform = $1 AND user_id = $2",
            platform.as_str(),
            user.as_str()
        )?;
        let identity = |(issuer, subject)| (Issuer::new(issuer), Subject::new(subject));
        Ok(rows.into_iter().map(identity).collect())
    }

    async fn add_link(
        &self,
        link: &NewLink,
        stale: Option<&Account>,
    ) -> Result<bool, RegistrationStoreDown> {
        opening::add_link(&self.database, link, stale).await
    }

    async fn open(&self, new: &NewRegistration) -> Result<Opened, RegistrationStoreDown> {
        opening::open(self, new).await
    }

    async fn newest(&self, who: &Who) -> Result<Option<Registration>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            RegistrationRow,
            "SELECT id, platform, issuer, subject, host, state, sealed, sealed_password, reason, attempts,
                    next_try_at, created_at, updated_at FROM registrations
             WHERE platform = $1 AND issuer = $2 AND subject = $3
             ORDER BY created_at DESC, id DESC LIMIT 1",
            who.platform.as_str(),
            who.issuer.as_str(),
            who.subject.as_str()
        )?;
        self.whole(row).await
    }

    async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Registration>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            RegistrationRow,
            "SELECT id, platform, issuer, subject, host, state, sealed, sealed_password, reason, attempts,
                    next_try_at, created_at, updated_at FROM registrations WHERE id = $1",
            id.as_str()
        )?;
        self.whole(row).await
    }

    async fn due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RegistrationId>, RegistrationStoreDown> {
        let rows = sql_fetch_all!(
            &self.database,
            (String,),
            "SELECT id FROM registrations
             WHERE state IN ('provisioning', 'undoing', 'awaiting_approval')
               AND next_try_at <= $1 AND lease_until <= $1
             ORDER BY next_try_at LIMIT $2",
            now.millis(),
            i64::from(limit)
        )?;
        Ok(rows
            .into_iter()
            .map(|(id,)| RegistrationId::new(id))
            .collect())
    }

    async fn take(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Registration>, RegistrationStoreDown> {
        let row = sql_returning!(
            &self.database,
            RegistrationRow,
            "UPDATE registrations SET lease_owner = $1, lease_until = $2, updated_at = $3
             WHERE id = $4 AND state IN ('provisioning', 'undoing', 'awaiting_approval')
               AND next_try_at <= $3 AND lease_until <= $3
             RETURNING id, platform, issuer, subject, host, state, sealed, sealed_password, reason, attempts,
                       next_try_at, created_at, updated_at",
            &lease.owner,
            lease.until.millis(),
            now.millis(),
            id.as_str()
        )?;
        self.whole(row).await
    }

    async fn record_step(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        change: &StepChange,
    ) -> Result<bool, RegistrationStoreDown> {
        let position = i64::try_from(change.position).unwrap_or(i64::MAX);
        let outcome = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE registrations
                     SET lease_until = $1, updated_at = $2,
                         attempts = CASE WHEN $3 = 'begun' THEN attempts ELSE 0 END,
                         sealed_password = CASE WHEN $6 THEN NULL ELSE sealed_password END
                     WHERE id = $4 AND lease_owner = $5 AND lease_until > $2
                       AND state IN ('provisioning', 'undoing')",
                    lease.until.millis(), change.at.millis(), change.state.as_str(),
                    id.as_str(), &lease.owner, change.erases_password; must change 1
                ),
                (
                    "UPDATE registration_steps
                     SET state = $1, outcome = COALESCE($2, outcome), updated_at = $3,
                         attempts = attempts + CASE WHEN $1 = 'begun' THEN 1 ELSE 0 END
                     WHERE registration_id = $4 AND position = $5",
                    change.state.as_str(), change.outcome.as_deref(), change.at.millis(),
                    id.as_str(), position; must change 1
                ),
            ]
        )
        .await;
        held(outcome)
    }

    async fn postpone(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        next_try_at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE registrations SET lease_owner = NULL, lease_until = 0,
                 attempts = attempts + 1, next_try_at = $1
             WHERE id = $2 AND lease_owner = $3",
            next_try_at.millis(),
            id.as_str(),
            &lease.owner
        )?;
        Ok(changed == 1)
    }

    async fn begin_undoing(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        why: &Failure,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE registrations SET state = 'undoing', reason = $1, attempts = 0,
                 sealed_password = NULL
             WHERE id = $2 AND lease_owner = $3 AND state = 'provisioning'",
            why.to_text(),
            id.as_str(),
            &lease.owner
        )?;
        Ok(changed == 1)
    }

    async fn fail(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE registrations SET state = 'failed', open_key = NULL, lease_owner = NULL,
                 lease_until = 0, updated_at = $1
             WHERE id = $2 AND lease_owner = $3 AND state = 'undoing'",
            at.millis(),
            id.as_str(),
            &lease.owner
        )?;
        Ok(changed == 1)
    }

    async fn complete(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        (link, announcement): (&NewLink, Option<&Prepared>),
    ) -> Result<Completion, RegistrationStoreDown> {
        let account = &link.account;
        let told = announcement;
        let outcome = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE registrations SET state = 'completed', open_key = NULL, sealed = '',
                         sealed_password = NULL, lease_owner = NULL, lease_until = 0, updated_at = $1
                     WHERE id = $2 AND lease_owner = $3 AND state = 'provisioning'",
                    link.at.millis(), id.as_str(), &lease.owner; must change 1
                ),
                (
                    "INSERT INTO account_links (platform, issuer, subject, user_id, customer_id,
                                                account_type, linked_by, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    link.who.platform.as_str(), link.who.issuer.as_str(),
                    link.who.subject.as_str(), account.user.as_str(),
                    account.customer.as_ref().map(CustomerId::as_str),
                    account.account_type.map(AccountType::as_str), link.by.as_str(),
                    link.at.millis(); must change 1
                ),
                (
                    INSERT_PREPARED,
                    told.map_or("", |one| one.id.as_str()),
                    told.map_or("", |one| one.kind.as_str()),
                    told.map_or("", |one| one.name),
                    told.map_or("", |one| one.sealed.as_str()),
                    told.map_or(0, |one| one.at.millis()),
                    told.map_or(0, |one| one.give_up_at.millis())
                ),
                (
                    "UPDATE acceptances SET issuer = $1, subject = $2 WHERE occasion = $3",
                    link.who.issuer.as_str(),
                    link.who.subject.as_str(),
                    id.as_str()
                ),
            ]
        )
        .await;
        match outcome {
            Ok(_) => Ok(Completion::Completed),
            Err(error) if error.is_unmet() => Ok(Completion::LeaseLost),
            Err(error) if error.is_unique_violation() => Ok(Completion::LinkedElsewhere),
            Err(error) => Err(error.into()),
        }
    }

    async fn release(&self, node: &Node) -> Result<(), RegistrationStoreDown> {
        sql_free_leases!(&self.database, "registrations", node)?;
        Ok(())
    }

    async fn retry(
        &self,
        id: &RegistrationId,
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        opening::retry(&self.database, id, now).await
    }

    async fn list(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Registration>, RegistrationStoreDown> {
        let rows = sql_fetch_all!(
            &self.database,
            RegistrationRow,
            "SELECT id, platform, issuer, subject, host, state, sealed, sealed_password, reason, attempts,
                    next_try_at, created_at, updated_at FROM registrations
             WHERE ($1 = '' OR state = $1) ORDER BY created_at DESC, id DESC LIMIT $2",
            state.map_or("", State::as_str),
            i64::from(limit)
        )?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.extend(row.with_steps(&self.database).await?);
        }
        Ok(found)
    }
}

/// Whether a transaction that names the lease had its effect.
fn held(outcome: Result<Vec<u64>, DatabaseError>) -> Result<bool, RegistrationStoreDown> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.is_unmet() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
