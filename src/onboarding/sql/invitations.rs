//! Invitations in SQL. One is used by the registration that names it, unless that failed.

use async_trait::async_trait;

use super::SqlRegistrationStore;
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::identity::{CustomerId, PlatformId};
use crate::onboarding::asking_store::{Invitation, InvitationStore, NewInvitation};
use crate::onboarding::invitation::{InvitationId, InvitationState};
use crate::onboarding::store::RegistrationStoreDown;
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional};

#[derive(sqlx::FromRow)]
struct InvitationRow {
    id: String,
    customer_id: String,
    host: String,
    sealed: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    uses: i64,
}

impl InvitationRow {
    fn into_invitation(self, now: Timestamp) -> Invitation {
        let expires_at = Timestamp::from_millis(self.expires_at);
        let fate = (self.uses > 0, self.revoked_at.is_some());
        Invitation {
            id: InvitationId::new(self.id),
            customer: CustomerId::new(self.customer_id),
            host: self.host,
            sealed: self.sealed,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at,
            state: InvitationState::at(now, expires_at, fate),
        }
    }
}

/// The columns of [`InvitationRow`], before the condition.
macro_rules! select_invitations {
    ($rest:literal) => {
        concat!(
            "SELECT id, customer_id, host, sealed, created_at, expires_at, revoked_at,
                    (SELECT COUNT(*) FROM registrations
                     WHERE registrations.id = invitations.registration_id
                       AND registrations.state <> 'failed') AS uses
             FROM invitations ",
            $rest
        )
    };
}

/// Uses an invitation up: it changes one row, or somebody else was first.
pub(super) const USE_INVITATION: &str = "UPDATE invitations SET registration_id = $1
    WHERE id = $2 AND revoked_at IS NULL AND expires_at > $3
      AND NOT EXISTS (SELECT 1 FROM registrations
                      WHERE registrations.id = invitations.registration_id
                        AND registrations.state <> 'failed')";

#[async_trait]
impl InvitationStore for SqlRegistrationStore {
    async fn add_invitation(&self, new: &NewInvitation) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "INSERT INTO invitations (id, digest, platform, email_digest, customer_id, host,
                                      sealed, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            new.id.as_str(),
            &new.digest,
            new.platform.as_str(),
            &new.email_digest,
            new.customer.as_str(),
            &new.host,
            &new.sealed,
            new.at.millis(),
            new.expires_at.millis()
        )?;
        Ok(())
    }

    async fn open_invitation(
        &self,
        platform: &PlatformId,
        email_digest: &str,
        now: Timestamp,
    ) -> Result<Option<Invitation>, RegistrationStoreDown> {
        let rows = sql_fetch_all!(
            &self.database,
            InvitationRow,
            select_invitations!(
                "WHERE platform = $1 AND email_digest = $2 AND revoked_at IS NULL
                   AND expires_at > $3 ORDER BY created_at DESC, id DESC LIMIT 20"
            ),
            platform.as_str(),
            email_digest,
            now.millis()
        )?;
        let mut found = rows.into_iter().map(|row| row.into_invitation(now));
        Ok(found.find(|invitation| invitation.state == InvitationState::Open))
    }

    async fn invitation_by_link(
        &self,
        digest: &str,
        now: Timestamp,
    ) -> Result<Option<Invitation>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            InvitationRow,
            select_invitations!("WHERE digest = $1"),
            digest
        )?;
        Ok(row.map(|row| row.into_invitation(now)))
    }

    async fn invitations(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Invitation>, RegistrationStoreDown> {
        let rows: Result<Vec<InvitationRow>, DatabaseError> = sql_fetch_all!(
            &self.database,
            InvitationRow,
            select_invitations!("ORDER BY created_at DESC, id DESC LIMIT $1"),
            i64::from(limit)
        );
        Ok(rows?
            .into_iter()
            .map(|row| row.into_invitation(now))
            .collect())
    }

    async fn revoke_invitation(
        &self,
        id: &InvitationId,
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE invitations SET revoked_at = $1
             WHERE id = $2 AND revoked_at IS NULL AND expires_at > $1
               AND NOT EXISTS (SELECT 1 FROM registrations
                               WHERE registrations.id = invitations.registration_id
                                 AND registrations.state <> 'failed')",
            now.millis(),
            id.as_str()
        )?;
        Ok(changed == 1)
    }
}
