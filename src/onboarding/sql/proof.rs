//! Mailed codes and password tries in SQL.

use async_trait::async_trait;

use super::SqlRegistrationStore;
use crate::clock::Timestamp;
use crate::onboarding::LinkStep;
use crate::onboarding::proof_store::{KeptLink, NewCode, ProofLimits, ProofStore, TriedCode};
use crate::onboarding::store::RegistrationStoreDown;
use crate::seal;
use crate::{sql_execute, sql_fetch_optional, sql_returning, sql_transaction};

#[async_trait]
impl ProofStore for SqlRegistrationStore {
    async fn remember_code(
        &self,
        code: &NewCode,
        limits: ProofLimits,
    ) -> Result<bool, RegistrationStoreDown> {
        self.insert_within("mailed_code", code, limits).await
    }

    async fn try_code(
        &self,
        context: &str,
        now: Timestamp,
    ) -> Result<Option<TriedCode>, RegistrationStoreDown> {
        let row = sql_returning!(
            &self.database,
            (String, String, i64),
            "UPDATE verifications SET tries_left = tries_left - 1
             WHERE id = (SELECT id FROM verifications
                         WHERE purpose = 'mailed_code' AND context = $1
                         ORDER BY created_at DESC, id DESC LIMIT 1)
               AND tries_left > 0 AND used_at IS NULL AND expires_at > $2
             RETURNING id, sealed, tries_left",
            context,
            now.millis()
        )?;
        Ok(row.map(|(id, sealed, tries_left)| TriedCode {
            id,
            sealed,
            tries_left: u32::try_from(tries_left).unwrap_or(0),
        }))
    }

    async fn spend_code(&self, id: &str, now: Timestamp) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "UPDATE verifications SET used_at = $1 WHERE id = $2 AND used_at IS NULL",
            now.millis(),
            id
        )?;
        Ok(changed == 1)
    }

    async fn forget_before(&self, moment: Timestamp) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "DELETE FROM verifications WHERE created_at < $1 AND expires_at < $1",
            moment.millis()
        )?;
        Ok(())
    }

    async fn count_try(
        &self,
        attempt: &NewCode,
        limits: ProofLimits,
    ) -> Result<bool, RegistrationStoreDown> {
        self.insert_within("password_try", attempt, limits).await
    }

    async fn remember_link(
        &self,
        step: LinkStep,
        link: &NewCode,
    ) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "INSERT INTO verifications
                 (id, purpose, context, target, sealed, tries_left, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &link.id,
            step.as_str(),
            &link.context,
            &link.target,
            &link.sealed,
            i64::from(link.tries),
            link.at.millis(),
            link.expires_at.millis()
        )?;
        Ok(())
    }

    async fn find_link(
        &self,
        step: LinkStep,
        context: &str,
        now: Timestamp,
    ) -> Result<Option<KeptLink>, RegistrationStoreDown> {
        let row = sql_fetch_optional!(
            &self.database,
            (String, String, String),
            "SELECT id, target, sealed FROM verifications
             WHERE purpose = $1 AND context = $2 AND used_at IS NULL AND expires_at > $3",
            step.as_str(),
            context,
            now.millis()
        )?;
        Ok(row.map(|(id, target, sealed)| KeptLink { id, target, sealed }))
    }

    async fn spend_link(
        &self,
        step: LinkStep,
        (id, target): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        let outcome = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE verifications SET used_at = $1
                     WHERE id = $2 AND purpose = $3 AND used_at IS NULL AND expires_at > $1",
                    now.millis(), id, step.as_str(); must change 1
                ),
                (
                    "UPDATE verifications SET used_at = $1
                     WHERE purpose = $2 AND target = $3 AND used_at IS NULL",
                    now.millis(),
                    step.as_str(),
                    target
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

    async fn give_link_back(&self, id: &str) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "UPDATE verifications SET used_at = NULL WHERE id = $1",
            id
        )?;
        Ok(())
    }
}

/// Keeps an entry unless there are as many as there may be, for its context or for its target.
const INSERT_WITHIN: &str = "INSERT INTO verifications
         (id, purpose, context, target, sealed, tries_left, created_at, expires_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8
     WHERE (SELECT COUNT(*) FROM verifications
            WHERE purpose = $2 AND context = $3 AND created_at > $9) < $10
       AND (SELECT COUNT(*) FROM verifications
            WHERE purpose = $2 AND target = $4 AND created_at > $9) < $11";

impl SqlRegistrationStore {
    /// Whoever counts for one target waits for whoever does already, so that many at once are not
    /// more than there may be: with SQLite for the one writer, with PostgreSQL for a lock. A context
    /// belongs to one target.
    async fn insert_within(
        &self,
        purpose: &'static str,
        code: &NewCode,
        limits: ProofLimits,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_transaction!(
            &self.database,
            [
                (
                    self.database.waits_for_a_turn(),
                    lock_of(purpose, &code.target)
                ),
                (
                    INSERT_WITHIN,
                    &code.id,
                    purpose,
                    &code.context,
                    &code.target,
                    &code.sealed,
                    i64::from(code.tries),
                    code.at.millis(),
                    code.expires_at.millis(),
                    limits.since.millis(),
                    i64::from(limits.per_context),
                    i64::from(limits.per_target)
                ),
            ]
        )
        .await?;
        Ok(changed.last() == Some(&1))
    }
}

fn lock_of(purpose: &str, target: &str) -> i64 {
    let digest = seal::digest_octets(format!("{purpose} {target}").as_bytes());
    i64::from_le_bytes(*digest.first_chunk().unwrap_or(&[0; 8]))
}
