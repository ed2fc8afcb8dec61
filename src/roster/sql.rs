//! People in the gateway's database (adapter).

use std::ops::Range;

use async_trait::async_trait;

use super::{
    MatchBy, NameKey, People, PeopleQuery, Person, PersonData, PersonId, Renewal, RosterError,
    RosterStore, Whom,
};
use crate::clock::Timestamp;
use crate::database::{Database, DatabaseError};
use crate::identity::{Issuer, Subject};
use crate::{sql_execute, sql_fetch_all, sql_fetch_optional, sql_transaction};

/// Columns of `people` as they are read.
type Row = (String, String, Option<String>, i64, i64, i64, i64);

/// Of those who fit a query; what is not asked for is an empty text, which no id or name is.
macro_rules! of_those_who_fit {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM people WHERE issuer = $1 AND deleted = 0 \
               AND ($2 = '' OR id = $2) AND ($3 = '' OR user_name_folded = $3) \
               AND ($4 = '' OR external_id = $4) ",
            $rest
        )
    };
}

const COUNT: &str = of_those_who_fit!("SELECT COUNT(*)", "");
const SELECT: &str = of_those_who_fit!(
    "SELECT id, user_name, external_id, active, version, created_at, updated_at",
    "ORDER BY created_at, id LIMIT $5 OFFSET $6"
);

/// Keeps people in SQL.
#[derive(Debug, Clone)]
pub struct SqlRoster {
    database: Database,
}

impl SqlRoster {
    /// Over the gateway's database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl RosterStore for SqlRoster {
    async fn find(
        &self,
        issuer: &Issuer,
        query: &PeopleQuery,
        part: Range<usize>,
    ) -> Result<People, RosterError> {
        let id = query.id.as_ref().map_or("", PersonId::as_str);
        let name = query.name.as_ref().map_or("", NameKey::as_str);
        let external_id = query.external_id.as_deref().unwrap_or_default();
        let issuer = issuer.as_str();
        let total =
            sql_fetch_optional!(&self.database, (i64,), COUNT, issuer, id, name, external_id)?;
        let rows = sql_fetch_all!(
            &self.database,
            Row,
            SELECT,
            issuer,
            id,
            name,
            external_id,
            whole(part.len()),
            whole(part.start)
        )?;
        Ok(People {
            part: rows.into_iter().map(person).collect(),
            total: usize::try_from(total.map_or(0, |(count,)| count)).unwrap_or_default(),
        })
    }

    async fn insert(
        &self,
        issuer: &Issuer,
        (person, by): (&Person, MatchBy),
    ) -> Result<(), RosterError> {
        let (issuer, name) = (issuer.as_str(), person.data.name_key());
        let done = sql_transaction!(
            &self.database,
            [
                (
                    "DELETE FROM people WHERE issuer = $1 AND deleted = 1 \
                     AND (($2 = 1 AND external_id = $3) OR ($2 = 0 AND user_name_folded = $4))",
                    issuer,
                    by_subject(by),
                    person.data.external_id.as_deref(),
                    name.as_str()
                ),
                (
                    "INSERT INTO people (id, issuer, user_name, user_name_folded, external_id, \
                     active, version, created_at, updated_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    person.id.as_str(),
                    issuer,
                    &person.data.user_name,
                    name.as_str(),
                    person.data.external_id.as_deref(),
                    i64::from(person.data.active),
                    person.version,
                    person.created_at.millis(),
                    person.updated_at.millis()
                )
            ]
        );
        done.await.map(|_| ()).map_err(refusal)
    }

    async fn update(&self, issuer: &Issuer, change: &Renewal<'_>) -> Result<(), RosterError> {
        let Renewal {
            before,
            after,
            by,
            deletes,
        } = change;
        let issuer = issuer.as_str();
        let (old_name, name) = (before.data.name_key(), after.data.name_key());
        let done = sql_transaction!(
            &self.database,
            [
                (
                    "UPDATE people SET user_name = $1, user_name_folded = $2, external_id = $3, \
                     active = $4, deleted = $5, version = $6, updated_at = $7 \
                     WHERE id = $8 AND issuer = $9 AND version = $10 AND deleted = 0",
                    &after.data.user_name,
                    name.as_str(),
                    after.data.external_id.as_deref(),
                    i64::from(after.data.active),
                    i64::from(*deletes),
                    after.version,
                    after.updated_at.millis(),
                    after.id.as_str(),
                    issuer,
                    before.version;
                    must change 1
                ),
                (
                    "DELETE FROM people WHERE issuer = $1 AND deleted = 1 AND id <> $2 \
                     AND (($3 = 1 AND external_id = $4) OR ($3 = 0 AND user_name_folded = $5))",
                    issuer,
                    after.id.as_str(),
                    by_subject(*by),
                    after.data.external_id.as_deref(),
                    name.as_str()
                ),
                (
                    "INSERT INTO people_identities (issuer, subject, user_name_folded) \
                     SELECT issuer, subject, CAST($1 AS TEXT) FROM people_identities \
                     WHERE issuer = $2 AND user_name_folded = $3 \
                     ON CONFLICT (issuer, subject, user_name_folded) DO NOTHING",
                    name.as_str(),
                    issuer,
                    old_name.as_str()
                )
            ]
        );
        done.await.map(|_| ()).map_err(refusal)
    }

    async fn is_blocked(&self, issuer: &Issuer, who: &Whom<'_>) -> Result<bool, RosterError> {
        let found = match who {
            Whom::Subject(subject) => sql_fetch_optional!(
                &self.database,
                (i64,),
                "SELECT COUNT(*) FROM people WHERE issuer = $1 AND external_id = $2 \
                 AND (active = 0 OR deleted = 1)",
                issuer.as_str(),
                subject.as_str()
            ),
            Whom::Name(subject, name) => sql_fetch_optional!(
                &self.database,
                (i64,),
                "SELECT COUNT(*) FROM people WHERE issuer = $1 \
                 AND (user_name_folded = $2 OR user_name_folded IN \
                      (SELECT user_name_folded FROM people_identities \
                       WHERE issuer = $1 AND subject = $3)) \
                 AND (active = 0 OR deleted = 1)",
                issuer.as_str(),
                name.as_str(),
                subject.as_str()
            ),
        };
        Ok(found?.is_some_and(|(count,)| count > 0))
    }

    async fn remember(
        &self,
        issuer: &Issuer,
        subject: &Subject,
        name: &NameKey,
    ) -> Result<(), RosterError> {
        sql_execute!(
            &self.database,
            "INSERT INTO people_identities (issuer, subject, user_name_folded) VALUES ($1, $2, $3) \
             ON CONFLICT (issuer, subject, user_name_folded) DO NOTHING",
            issuer.as_str(),
            subject.as_str(),
            name.as_str()
        )?;
        Ok(())
    }

    async fn subjects(&self, issuer: &Issuer, name: &NameKey) -> Result<Vec<Subject>, RosterError> {
        let rows = sql_fetch_all!(
            &self.database,
            (String,),
            "SELECT subject FROM people_identities WHERE issuer = $1 AND user_name_folded = $2",
            issuer.as_str(),
            name.as_str()
        )?;
        Ok(rows
            .into_iter()
            .map(|(subject,)| Subject::new(subject))
            .collect())
    }
}

/// Whether people are told by their subject, for SQL.
fn by_subject(by: MatchBy) -> i64 {
    i64::from(by == MatchBy::Subject)
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn person(row: Row) -> Person {
    let (id, user_name, external_id, active, version, created_at, updated_at) = row;
    Person {
        id: PersonId::new(id),
        data: PersonData {
            user_name,
            external_id,
            active: active != 0,
        },
        version,
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(updated_at),
    }
}

/// What a failure means to whoever asked.
fn refusal(error: DatabaseError) -> RosterError {
    match error {
        unmet if unmet.is_unmet() => RosterError::Outdated,
        taken if taken.is_unique_violation() => RosterError::Taken,
        other => RosterError::Down(other),
    }
}
