//! Who came to the form and has not sent it, in SQL.

use async_trait::async_trait;

use super::SqlRegistrationStore;
use crate::clock::Timestamp;
use crate::onboarding::funnel::FunnelStore;
use crate::onboarding::store::RegistrationStoreDown;
use crate::{sql_execute, sql_returning_all};

#[async_trait]
impl FunnelStore for SqlRegistrationStore {
    async fn came(
        &self,
        applicant: &str,
        host: &str,
        at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown> {
        let changed = sql_execute!(
            &self.database,
            "INSERT INTO registration_starts (applicant, host, started_at) VALUES ($1, $2, $3)
             ON CONFLICT (applicant) DO NOTHING",
            applicant,
            host,
            at.millis()
        )?;
        Ok(changed == 1)
    }

    async fn went_on(&self, applicant: &str) -> Result<(), RegistrationStoreDown> {
        sql_execute!(
            &self.database,
            "DELETE FROM registration_starts WHERE applicant = $1",
            applicant
        )?;
        Ok(())
    }

    async fn left(&self, before: Timestamp) -> Result<Vec<String>, RegistrationStoreDown> {
        let rows = sql_returning_all!(
            &self.database,
            (String,),
            "DELETE FROM registration_starts WHERE started_at < $1 RETURNING host",
            before.millis()
        )?;
        Ok(rows.into_iter().map(|(host,)| host).collect())
    }
}
