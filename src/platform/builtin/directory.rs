//! Statements of the builtin platform: adding, finding, listing, changing.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::records::{CustomerRow, LocationRow, UserRow};
use super::{
    BuiltinPlatform, CustomerRecord, LocationRecord, UserRecord, garbled, is_foreign_key_violation,
    unreachable,
};
use crate::database::DatabaseError;
use crate::identity::{CustomerId, EmailAddress, LocationId, UserId};
use crate::platform::{BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, PlatformError};
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional};

/// How a user is added.
#[derive(Debug, Default)]
pub struct Added<'a> {
    /// The registration that adds it.
    pub mark: Option<&'a Mark>,
    /// The password, if it has one.
    pub password: Option<SecretString>,
}

impl<'a> Added<'a> {
    /// By a registration, without a password.
    pub fn by_mark(mark: &'a Mark) -> Self {
        Self {
            mark: Some(mark),
            password: None,
        }
    }
}

/// Which part of a list: what comes after an id, at most so many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The last id of the part before; empty for the first part.
    pub after: String,
    /// At most so many.
    pub limit: u32,
}

/// An INSERT that was tried.
struct Insertion<'a> {
    inserted: Result<u64, DatabaseError>,
    id: String,
    mark: Option<&'a Mark>,
    /// Finds the id by the mark.
    by_mark: &'static str,
}

impl BuiltinPlatform {
    /// Makes a customer; with a mark, finds the one that it made.
    pub async fn add_customer(
        &self,
        customer: &NewCustomer,
        mark: Option<&Mark>,
    ) -> Result<Made<CustomerId>, PlatformError> {
        let id = new_id();
        let inserted = sql_execute!(
            &self.database,
            "INSERT INTO builtin_customers
                 (id, account_type, name, code, fields, options, mark, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &id,
            customer.account_type.as_str(),
            &customer.name,
            customer.code.as_deref(),
            as_text(&customer.fields),
            json!(customer.options).to_string(),
            mark.map(Mark::as_str),
            self.clock.now().millis(),
        );
        let insertion = Insertion {
            inserted,
            id,
            mark,
            by_mark: "SELECT id FROM builtin_customers WHERE mark = $1",
        };
        let made = self.made(insertion, PlatformError::CodeTaken);
        Ok(renamed(made.await?, CustomerId::new))
    }

    /// Makes a location; with a mark, finds the one that it made.
    pub async fn add_location(
        &self,
        location: &NewLocation,
        mark: Option<&Mark>,
    ) -> Result<Made<LocationId>, PlatformError> {
        let id = new_id();
        let inserted = sql_execute!(
            &self.database,
            "INSERT INTO builtin_locations (id, customer_id, name, fields, mark, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &id,
            location.customer.as_str(),
            &location.name,
            as_text(&location.fields),
            mark.map(Mark::as_str),
            self.clock.now().millis(),
        );
        let insertion = Insertion {
            inserted,
            id,
            mark,
            by_mark: "SELECT id FROM builtin_locations WHERE mark = $1",
        };
        let made = self.made(insertion, refused("mark"));
        Ok(renamed(made.await?, LocationId::new))
    }

    /// Makes a user; with a mark, finds the one that it made.
    pub async fn add_user(
        &self,
        user: &NewUser,
        added: Added<'_>,
    ) -> Result<Made<UserId>, PlatformError> {
        let id = new_id();
        let password = match &added.password {
            Some(password) => Some(self.passwords.hash(password).await.map_err(garbled)?),
            None => None,
        };
        let (customer, partner) = match &user.belongs_to {
            BelongsTo::Customer(customer) => (Some(customer.as_str()), None),
            BelongsTo::Partner(partner) => (None, Some(partner.as_str())),
        };
        let inserted = sql_execute!(
            &self.database,
            "INSERT INTO builtin_users
                 (id, email, email_folded, name, customer_id, partner_id, account_type, language,
                  fields, options, password, enabled, mark, created_at, administrator)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            &id,
            user.email.as_str(),
            user.email.folded(),
            &user.name,
            customer,
            partner,
            user.account_type.as_str(),
            &user.language,
            as_text(&user.fields),
            json!(user.options).to_string(),
            password,
            true,
            added.mark.map(Mark::as_str),
            self.clock.now().millis(),
            user.administrator,
        );
        let insertion = Insertion {
            inserted,
            id,
            mark: added.mark,
            by_mark: "SELECT id FROM builtin_users WHERE mark = $1",
        };
        let made = self.made(insertion, PlatformError::EmailTaken);
        Ok(renamed(made.await?, UserId::new))
    }

    /// Made, found by mark, or refused by another unique key.
    async fn made(
        &self,
        insertion: Insertion<'_>,
        taken: PlatformError,
    ) -> Result<Made<String>, PlatformError> {
        let Insertion {
            inserted,
            id,
            mark,
            by_mark,
        } = insertion;
        let Err(error) = inserted else {
            return Ok(Made::Created(id));
        };
        if is_foreign_key_violation(&error) {
            return Err(refused("belongs_to"));
        }
        if !error.is_unique_violation() {
            return Err(unreachable(error));
        }
        let Some(mark) = mark else {
            return Err(taken);
        };
        let found = sql_fetch_optional!(&self.database, (String,), by_mark, mark.as_str());
        match found.map_err(unreachable)? {
            Some((id,)) => Ok(Made::Found(id)),
            None => Err(taken),
        }
    }

    /// The customer with this id.
    pub async fn customer_record(
        &self,
        id: &CustomerId,
    ) -> Result<Option<CustomerRecord>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            CustomerRow,
            "SELECT id, account_type, name, code, fields, options, mark, created_at
             FROM builtin_customers WHERE id = $1",
            id.as_str()
        );
        one(row)
    }

    /// The customer with exactly this code.
    pub async fn customer_record_by_code(
        &self,
        code: &str,
    ) -> Result<Option<CustomerRecord>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            CustomerRow,
            "SELECT id, account_type, name, code, fields, options, mark, created_at
             FROM builtin_customers WHERE code = $1",
            code
        );
        one(row)
    }

    /// The user with this id.
    pub async fn user_record(&self, id: &UserId) -> Result<Option<UserRecord>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            UserRow,
            "SELECT id, email, name, customer_id, partner_id, account_type, language, fields,
                    options, password, enabled, mark, created_at, administrator
             FROM builtin_users WHERE id = $1",
            id.as_str()
        );
        one(row)
    }

    /// The user with this address, compared on the folded form.
    pub async fn user_record_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<UserRecord>, PlatformError> {
        let row = sql_fetch_optional!(
            &self.database,
            UserRow,
            "SELECT id, email, name, customer_id, partner_id, account_type, language, fields,
                    options, password, enabled, mark, created_at, administrator
             FROM builtin_users WHERE email_folded = $1",
            email.folded()
        );
        one(row)
    }

    /// Customers in the order of their ids.
    pub async fn customers(&self, part: &Listing) -> Result<Vec<CustomerRecord>, PlatformError> {
        let rows = sql_fetch_all!(
            &self.database,
            CustomerRow,
            "SELECT id, account_type, name, code, fields, options, mark, created_at
             FROM builtin_customers WHERE id > $1 ORDER BY id LIMIT $2",
            &part.after,
            i64::from(part.limit)
        );
        many(rows)
    }

    /// Locations, of one customer or of all, in the order of their ids.
    pub async fn locations(
        &self,
        customer: Option<&CustomerId>,
        part: &Listing,
    ) -> Result<Vec<LocationRecord>, PlatformError> {
        let rows = sql_fetch_all!(
            &self.database,
            LocationRow,
            "SELECT id, customer_id, name, fields, mark, created_at FROM builtin_locations
             WHERE id > $1 AND ($2 = '' OR customer_id = $2) ORDER BY id LIMIT $3",
            &part.after,
            customer.map_or("", CustomerId::as_str),
            i64::from(part.limit)
        );
        many(rows)
    }

    /// Users, of one customer or of all, in the order of their ids.
    pub async fn users(
        &self,
        customer: Option<&CustomerId>,
        part: &Listing,
    ) -> Result<Vec<UserRecord>, PlatformError> {
        let rows = sql_fetch_all!(
            &self.database,
            UserRow,
            "SELECT id, email, name, customer_id, partner_id, account_type, language, fields,
                    options, password, enabled, mark, created_at, administrator FROM builtin_users
             WHERE id > $1 AND ($2 = '' OR customer_id = $2) ORDER BY id LIMIT $3",
            &part.after,
            customer.map_or("", CustomerId::as_str),
            i64::from(part.limit)
        );
        many(rows)
    }

    /// The enabled administrators of a customer, at most a hundred.
    pub async fn administrator_records(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<UserRecord>, PlatformError> {
        let rows = sql_fetch_all!(
            &self.database,
            UserRow,
            "SELECT id, email, name, customer_id, partner_id, account_type, language, fields,
                    options, password, enabled, mark, created_at, administrator
             FROM builtin_users
             WHERE customer_id = $1 AND administrator AND enabled ORDER BY id LIMIT 100",
            customer.as_str()
        );
        many(rows)
    }

    /// Lets a user in, or no longer; `false` when there is none.
    pub async fn set_enabled(&self, id: &UserId, enabled: bool) -> Result<bool, PlatformError> {
        let sql = "UPDATE builtin_users SET enabled = $1 WHERE id = $2";
        let changed = sql_execute!(&self.database, sql, enabled, id.as_str());
        Ok(changed.map_err(unreachable)? > 0)
    }

    /// Makes a user an administrator, or no longer; `false` when there is none.
    pub async fn set_administrator(&self, id: &UserId, is: bool) -> Result<bool, PlatformError> {
        let sql = "UPDATE builtin_users SET administrator = $1 WHERE id = $2";
        let changed = sql_execute!(&self.database, sql, is, id.as_str());
        Ok(changed.map_err(unreachable)? > 0)
    }

    /// Deletes a user; `false` when there was none.
    pub async fn delete_user(&self, id: &UserId) -> Result<bool, PlatformError> {
        let sql = "DELETE FROM builtin_users WHERE id = $1";
        let changed = sql_execute!(&self.database, sql, id.as_str());
        Ok(changed.map_err(unreachable)? > 0)
    }
}

pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn as_text(fields: &Map<String, Value>) -> String {
    Value::Object(fields.clone()).to_string()
}

fn refused(field: &str) -> PlatformError {
    PlatformError::Refused {
        field: field.to_owned(),
    }
}

fn renamed<T>(made: Made<String>, name: impl FnOnce(String) -> T) -> Made<T> {
    match made {
        Made::Created(id) => Made::Created(name(id)),
        Made::Found(id) => Made::Found(name(id)),
    }
}

fn one<Row, Record>(
    row: Result<Option<Row>, DatabaseError>,
) -> Result<Option<Record>, PlatformError>
where
    Record: TryFrom<Row, Error = PlatformError>,
{
    row.map_err(unreachable)?.map(Record::try_from).transpose()
}

fn many<Row, Record>(rows: Result<Vec<Row>, DatabaseError>) -> Result<Vec<Record>, PlatformError>
where
    Record: TryFrom<Row, Error = PlatformError>,
{
    let rows = rows.map_err(unreachable)?;
    rows.into_iter().map(Record::try_from).collect()
}
