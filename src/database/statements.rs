//! The macros that expand one statement for both drivers.

use super::DatabaseError;
use crate::telemetry::traces::{self, Span, Step};

/// A statement as a step of the current trace, if it is kept. Its text holds no values.
#[doc(hidden)]
pub fn span_of(sql: &'static str) -> Option<Span> {
    let span = traces::step("database", Step::Elsewhere)?;
    span.says("db.query.text", sql);
    Some(span)
}

/// Refuses when a statement changed another number of rows than it must.
#[doc(hidden)]
pub fn require_rows(statement: usize, changed: u64, wanted: u64) -> Result<(), DatabaseError> {
    if changed == wanted {
        Ok(())
    } else {
        Err(DatabaseError::Unmet {
            statement,
            wanted,
            changed,
        })
    }
}

/// Gives back the leases that earlier processes at a [`Node`](crate::database::Node)'s place hold
/// in a table; its own stay: `sql_free_leases!(database, "table", node)`.
#[macro_export]
macro_rules! sql_free_leases {
    ($database:expr, $table:literal, $node:expr) => {
        $crate::sql_execute!(
            $database,
            concat!(
                "UPDATE ",
                $table,
                " SET lease_owner = NULL, lease_until = 0 \
                 WHERE lease_until > 0 AND substr(lease_owner, 1, length($1)) = $1 \
                 AND substr(lease_owner, 1, length($2)) <> $2"
            ),
            $node.leases_here(),
            $node.own_leases()
        )
    };
}

/// Reads at most one row: `sql_fetch_optional!(database, Row, "SELECT …", bind, bind)`.
#[macro_export]
macro_rules! sql_fetch_optional {
    ($database:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        {
            let sql: &'static str = $sql;
            let _span = $crate::database::span_of(sql);
            match $database {
                $crate::database::Database::Sqlite { read, .. } => {
                    sqlx::query_as::<sqlx::Sqlite, $row>(sql)$(.bind($bind))*.fetch_optional(read).await
                }
                $crate::database::Database::Postgres(pool) => {
                    sqlx::query_as::<sqlx::Postgres, $row>(sql)$(.bind($bind))*.fetch_optional(pool).await
                }
            }
            .map_err($crate::database::DatabaseError::from)
        }
    };
}

/// Reads all rows.
#[macro_export]
macro_rules! sql_fetch_all {
    ($database:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        {
            let sql: &'static str = $sql;
            let _span = $crate::database::span_of(sql);
            match $database {
                $crate::database::Database::Sqlite { read, .. } => {
                    sqlx::query_as::<sqlx::Sqlite, $row>(sql)$(.bind($bind))*.fetch_all(read).await
                }
                $crate::database::Database::Postgres(pool) => {
                    sqlx::query_as::<sqlx::Postgres, $row>(sql)$(.bind($bind))*.fetch_all(pool).await
                }
            }
            .map_err($crate::database::DatabaseError::from)
        }
    };
}

/// Runs one statement and gives the number of rows that it changed.
#[macro_export]
macro_rules! sql_execute {
    ($database:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        {
            let sql: &'static str = $sql;
            let _span = $crate::database::span_of(sql);
            match $database {
                $crate::database::Database::Sqlite { write, .. } => {
                    sqlx::query::<sqlx::Sqlite>(sql)$(.bind($bind))*.execute(write).await
                        .map(|done| done.rows_affected())
                }
                $crate::database::Database::Postgres(pool) => {
                    sqlx::query::<sqlx::Postgres>(sql)$(.bind($bind))*.execute(pool).await
                        .map(|done| done.rows_affected())
                }
            }
            .map_err($crate::database::DatabaseError::from)
        }
    };
}

/// Runs one statement with `RETURNING` on the writing side and gives the row, if any.
#[macro_export]
macro_rules! sql_returning {
    ($database:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        {
            let sql: &'static str = $sql;
            let _span = $crate::database::span_of(sql);
            match $database {
                $crate::database::Database::Sqlite { write, .. } => {
                    sqlx::query_as::<sqlx::Sqlite, $row>(sql)$(.bind($bind))*.fetch_optional(write).await
                }
                $crate::database::Database::Postgres(pool) => {
                    sqlx::query_as::<sqlx::Postgres, $row>(sql)$(.bind($bind))*.fetch_optional(pool).await
                }
            }
            .map_err($crate::database::DatabaseError::from)
        }
    };
}

/// Runs one statement with `RETURNING` on the writing side and gives all rows.
#[macro_export]
macro_rules! sql_returning_all {
    ($database:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        {
            let sql: &'static str = $sql;
            let _span = $crate::database::span_of(sql);
            match $database {
                $crate::database::Database::Sqlite { write, .. } => {
                    sqlx::query_as::<sqlx::Sqlite, $row>(sql)$(.bind($bind))*.fetch_all(write).await
                }
                $crate::database::Database::Postgres(pool) => {
                    sqlx::query_as::<sqlx::Postgres, $row>(sql)$(.bind($bind))*.fetch_all(pool).await
                }
            }
            .map_err($crate::database::DatabaseError::from)
        }
    };
}

/// Runs several statements in one transaction and gives the rows that each changed; an error rolls
/// everything back: `sql_transaction!(database, [("INSERT …", a), ("UPDATE …", b)]).await`.
///
/// A statement may be tied to the number of rows that it changes:
/// `("UPDATE … WHERE id = $1 AND lease_owner = $2", id, owner; must change 1)`. If it changes
/// another number, everything is rolled back and the outcome is [`DatabaseError::Unmet`](crate::database::DatabaseError::Unmet).
#[macro_export]
macro_rules! sql_transaction {
    ($database:expr, [$(($($statement:tt)+)),+ $(,)?]) => {
        async {
            let _span = $crate::database::span_of("transaction");
            let mut changed: Vec<u64> = Vec::new();
            match $database {
                $crate::database::Database::Sqlite { write, .. } => {
                    let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                    $($crate::sql_statement!(sqlx::Sqlite, transaction, changed, $($statement)+);)+
                    transaction.commit().await?;
                }
                $crate::database::Database::Postgres(pool) => {
                    let mut transaction = pool.begin().await?;
                    $($crate::sql_statement!(sqlx::Postgres, transaction, changed, $($statement)+);)+
                    transaction.commit().await?;
                }
            }
            Ok::<Vec<u64>, $crate::database::DatabaseError>(changed)
        }
    };
}

/// One statement of [`sql_transaction!`](crate::sql_transaction).
#[doc(hidden)]
#[macro_export]
macro_rules! sql_statement {
    (
        $engine:ty, $transaction:ident, $changed:ident,
        $sql:expr $(, $bind:expr)* $(,)? $(; must change $wanted:literal)?
    ) => {{
        let rows = sqlx::query::<$engine>($sql)$(.bind($bind))*
            .execute(&mut *$transaction)
            .await?
            .rows_affected();
        $($crate::database::require_rows($changed.len(), rows, $wanted)?;)?
        $changed.push(rows);
    }};
}
