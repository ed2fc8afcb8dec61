//! Reading and changing what is known of a user.
//!
//! Fields are one JSON text: they are changed only if nobody else changed them since they were
//! read, and read again otherwise.

use serde_json::{Map, Value};

use super::records::{UserRecord, fields};
use super::{BuiltinPlatform, garbled, unreachable};
use crate::identity::{CustomerId, UserId};
use crate::platform::{CustomerProfile, PlatformError, Profile, ProfileChange};
use crate::{sql_execute, sql_fetch_optional};

/// How often a change is tried again because somebody else was faster.
pub(super) const TRIES: u32 = 5;

/// Others changed the same row again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is changed by others all the time")]
pub(super) struct Contended;

/// A row of which fields are changed.
struct Row {
    select: &'static str,
    update: &'static str,
    id: String,
}

impl Row {
    fn user(id: &UserId) -> Self {
        Self {
            select: "SELECT fields, name FROM builtin_users WHERE id = $1",
            update: "UPDATE builtin_users SET fields = $1, name = $2
                     WHERE id = $3 AND fields = $4 AND name = $5",
            id: id.as_str().to_owned(),
        }
    }

    fn customer(id: &CustomerId) -> Self {
        Self {
            select: "SELECT fields, name FROM builtin_customers WHERE id = $1",
            update: "UPDATE builtin_customers SET fields = $1, name = $2
                     WHERE id = $3 AND fields = $4 AND name = $5",
            id: id.as_str().to_owned(),
        }
    }

    fn location(id: String) -> Self {
        Self {
            select: "SELECT fields, name FROM builtin_locations WHERE id = $1",
            update: "UPDATE builtin_locations SET fields = $1, name = $2
                     WHERE id = $3 AND fields = $4 AND name = $5",
            id,
        }
    }
}

impl BuiltinPlatform {
    /// What is known of a user.
    pub(super) async fn read_profile(&self, id: &UserId) -> Result<Option<Profile>, PlatformError> {
        let Some(user) = self.user_record(id).await? else {
            return Ok(None);
        };
        let customer = match customer_of(&user) {
            Some(customer) => self.customer_record(&customer).await?,
            None => None,
        };
        let location = match customer_of(&user) {
            Some(customer) => self.first_location(&customer).await?,
            None => None,
        };
        Ok(Some(Profile {
            user_name: user.name,
            language: user.language,
            user: user.fields,
            customer: customer.map(|customer| CustomerProfile {
                name: customer.name,
                fields: customer.fields,
            }),
            location: location.map(|(_, text)| fields(&text)).transpose()?,
        }))
    }

    /// Changes what is known of a user; `false` when there is none.
    pub(super) async fn write_profile(
        &self,
        id: &UserId,
        change: &ProfileChange,
    ) -> Result<bool, PlatformError> {
        let Some(user) = self.user_record(id).await? else {
            return Ok(false);
        };
        let name = change.user_name.as_deref();
        self.merge(&Row::user(id), (&change.user, name)).await?;
        if let Some(language) = &change.language {
            self.set_language(id, language).await?;
        }
        let Some(customer) = customer_of(&user) else {
            return Ok(true);
        };
        let name = change.customer_name.as_deref();
        self.merge(&Row::customer(&customer), (&change.customer, name))
            .await?;
        if let Some((location, _)) = self.first_location(&customer).await? {
            self.merge(&Row::location(location), (&change.location, None))
                .await?;
        }
        Ok(true)
    }

    async fn set_language(&self, id: &UserId, language: &str) -> Result<(), PlatformError> {
        let sql = "UPDATE builtin_users SET language = $1 WHERE id = $2";
        let written = sql_execute!(&self.database, sql, language, id.as_str());
        written.map(drop).map_err(unreachable)
    }

    async fn first_location(
        &self,
        customer: &CustomerId,
    ) -> Result<Option<(String, String)>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            (String, String),
            "SELECT id, fields FROM builtin_locations WHERE customer_id = $1
             ORDER BY created_at, id LIMIT 1",
            customer.as_str()
        );
        row.map_err(unreachable)
    }

    async fn merge(
        &self,
        row: &Row,
        (changed, name): (&Map<String, Value>, Option<&str>),
    ) -> Result<(), PlatformError> {
        if changed.is_empty() && name.is_none() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let found = sql_fetch_optional!(&self.database, (String, String), row.select, &row.id);
            let Some((before, old_name)) = found.map_err(unreachable)? else {
                return Ok(());
            };
            let mut after = fields(&before)?;
            after.extend(changed.clone());
            let written = sql_execute!(
                &self.database,
                row.update,
                Value::Object(after).to_string(),
                name.unwrap_or(&old_name),
                &row.id,
                &before,
                &old_name
            );
            if written.map_err(unreachable)? > 0 {
                return Ok(());
            }
        }
        Err(garbled(Contended))
    }
}

fn customer_of(user: &UserRecord) -> Option<CustomerId> {
    user.customer.as_ref().map(CustomerId::new)
}
