//! Rows of registrations and links, and what they mean.

use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError};
use crate::identity::{Account, AccountType, CustomerId, Issuer, PlatformId, Subject, UserId};
use crate::onboarding::progress::{
    Failure, RecordedStep, RegistrationId, State, StepKind, StepState,
};
use crate::onboarding::store::{Registration, Who};
use crate::sql_fetch_all;

#[derive(sqlx::FromRow)]
pub(super) struct LinkRow {
    user_id: String,
    customer_id: Option<String>,
    account_type: Option<String>,
}

impl LinkRow {
    pub(super) fn into_account(self, platform: &PlatformId) -> Account {
        Account {
            platform: platform.clone(),
            user: UserId::new(self.user_id),
            customer: self.customer_id.map(CustomerId::new),
            account_type: self
                .account_type
                .as_deref()
                .and_then(AccountType::from_word),
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RegistrationRow {
    id: String,
    platform: String,
    issuer: String,
    subject: String,
    host: String,
    state: String,
    sealed: String,
    sealed_password: Option<String>,
    reason: Option<String>,
    attempts: i64,
    next_try_at: i64,
    created_at: i64,
    updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct StepRow {
    step: String,
    state: String,
    outcome: Option<String>,
}

impl RegistrationRow {
    /// The registration with its steps. A word that this program never wrote makes it none.
    pub(super) async fn with_steps(
        self,
        database: &Database,
    ) -> Result<Option<Registration>, DatabaseError> {
        let rows = sql_fetch_all!(
            database,
            StepRow,
            "SELECT step, state, outcome FROM registration_steps
             WHERE registration_id = $1 ORDER BY position",
            &self.id
        )?;
        let steps: Option<Vec<_>> = rows.into_iter().map(StepRow::into_step).collect();
        Ok(steps.and_then(|steps| self.into_registration(steps)))
    }

    fn into_registration(self, steps: Vec<RecordedStep>) -> Option<Registration> {
        Some(Registration {
            state: State::from_word(&self.state)?,
            id: RegistrationId::new(self.id),
            who: Who {
                platform: PlatformId::new(self.platform),
                issuer: Issuer::new(self.issuer),
                subject: Subject::new(self.subject),
            },
            host: self.host,
            failure: self.reason.as_deref().and_then(Failure::from_text),
            sealed: self.sealed,
            sealed_password: self.sealed_password,
            steps,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            next_try_at: Timestamp::from_millis(self.next_try_at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        })
    }
}

impl StepRow {
    fn into_step(self) -> Option<RecordedStep> {
        Some(RecordedStep {
            kind: StepKind::from_word(&self.step)?,
            state: StepState::from_word(&self.state)?,
            outcome: self.outcome,
        })
    }
}
