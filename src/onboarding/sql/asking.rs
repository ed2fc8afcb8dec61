//! Requests for somebody's word in SQL.
//!
//! A decision is one transaction: the request is decided where it is not yet, then the registration
//! moves where it still waits. Of two decisions at once the second finds nothing to change.

use async_trait::async_trait;

use super::{SqlRegistrationStore, held};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::identity::UserId;
use crate::onboarding::approval::{Asking, Decision};
use crate::onboarding::asking_store::{
    ApprovalLink, ApprovalStore, Decided, LettersSent, NewDecision,
};
use crate::onboarding::progress::{Failure, RegistrationId, State};
use crate::onboarding::store::{Lease, RegistrationStoreDown};
use crate::{sql_execute, sql_fetch_optional, sql_transaction};

#[derive(sqlx::FromRow)]
struct AskingRow {
    letters: i64,
    remind_at: i64,
    expires_at: i64,
    decision: Option<String>,
}

#[async_trait]
impl ApprovalStore for SqlRegistrationStore {
    async fn asking(&self, id: &RegistrationId) -> Result<Option<Asking>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            AskingRow,
            "SELECT letters, remind_at, expires_at, decision FROM approvals
             WHERE registration_id = $1",
            id.as_str()
        )?;
        Ok(row.map(|row| Asking {
            letters: u32::try_from(row.letters).unwrap_or(u32::MAX),
            remind_at: Timestamp::from_millis(row.remind_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            decision: row.decision.as_deref().and_then(Decision::from_word),
        }))
    }

    async fn add_approval_link(
        &self,
        link: &ApprovalLink,
        at: Timestamp,
    ) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "INSERT INTO approval_links (digest, registration_id, user_id, created_at)
             VALUES ($1, $2, $3, $4)",
            &link.digest,
            link.registration.as_str(),
            link.user.as_str(),
            at.millis()
        )?;
        Ok(())
    }

    async fn approval_link(
        &self,
        digest: &str,
    ) -> Result<Option<ApprovalLink>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            (String, String, String),
            "SELECT digest, registration_id, user_id FROM approval_links WHERE digest = $1",
            digest
        )?;
        Ok(row.map(|(digest, registration, user)| ApprovalLink {
            digest,
            registration: RegistrationId::new(registration),
            user: UserId::new(user),
        }))
    }

    async fn letters_sent(
        &self,
        id: &RegistrationId,
        lease: &Lease,
        sent: LettersSent,
    ) -> Result<bool, RegistrationStoreDown> {
        let outcome = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE registrations SET lease_owner = NULL, lease_until = 0, attempts = 0,
                         next_try_at = $1
                     WHERE id = $2 AND lease_owner = $3 AND state = 'awaiting_approval'",
                    sent.next.millis(), id.as_str(), &lease.owner; must change 1
                ),
                (
                    "UPDATE approvals SET letters = $1 WHERE registration_id = $2",
                    i64::from(sent.letters), id.as_str(); must change 1
                ),
            ]
        )
        .await;
        held(outcome)
    }

    async fn decide(
        &self,
        id: &RegistrationId,
        new: &NewDecision,
    ) -> Result<Decided, RegistrationStoreDown> {
        match self.try_to_decide(id, new).await {
            Ok(_) => Ok(Decided::Now),
            Err(error) if error.is_unmet() => {
                let asking = self.asking(id).await?;
                Ok(match asking.and_then(|asking| asking.decision) {
                    Some(decision) => Decided::Before(decision),
                    None => Decided::NotWaiting,
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl SqlRegistrationStore {
    async fn try_to_decide(
        &self,
        id: &RegistrationId,
        new: &NewDecision,
    ) -> Result<Vec<u64>, DatabaseError> {
        let (state, reason) = match new.decision {
            Decision::Approved => (State::Provisioning, None),
            Decision::Rejected => (State::Undoing, Some(Failure::Rejected.to_text())),
            Decision::Expired => (State::Undoing, Some(Failure::NotAnswered.to_text())),
        };
        sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE approvals SET decision = $1, decided_by = $2, decided_at = $3
                     WHERE registration_id = $4 AND decision IS NULL
                       AND ($1 = 'expired') = (expires_at <= $3)",
                    new.decision.as_str(), &new.by, new.at.millis(), id.as_str(); must change 1
                ),
                (
                    "UPDATE registrations SET state = $1, reason = $2, lease_owner = NULL,
                         lease_until = 0, attempts = 0, next_try_at = $3, updated_at = $3
                     WHERE id = $4 AND state = 'awaiting_approval'",
                    state.as_str(), reason.as_deref(), new.at.millis(), id.as_str(); must change 1
                ),
            ]
        )
        .await
    }
}
