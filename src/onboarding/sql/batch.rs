//! A transaction whose number of statements is known only when it runs.

use crate::database::{Database, DatabaseError, require_rows};

/// Statements with their values, run in one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Statement {
    sql: &'static str,
    binds: Vec<Bind>,
    must_change: Option<u64>,
}

#[derive(Debug)]
enum Bind {
    Text(Option<String>),
    Number(i64),
}

/// The statements of a batch, on the connection of one engine.
macro_rules! run_on {
    ($engine:ty, $transaction:ident, $statements:expr) => {
        for (place, statement) in $statements.into_iter().enumerate() {
            let mut query = sqlx::query::<$engine>(statement.sql);
            for bind in statement.binds {
                query = match bind {
                    Bind::Text(text) => query.bind(text),
                    Bind::Number(number) => query.bind(number),
                };
            }
            let changed = query.execute(&mut *$transaction).await?.rows_affected();
            require_rows(place, changed, statement.must_change.unwrap_or(changed))?;
        }
        $transaction.commit().await?;
    };
}

impl Batch {
    /// Begins the next statement.
    pub(super) fn add(&mut self, sql: &'static str) -> &mut Self {
        self.statements.push(Statement {
            sql,
            binds: Vec::new(),
            must_change: None,
        });
        self
    }

    /// The newest statement's next value.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.maybe_text(Some(text))
    }

    /// The newest statement's next value; NULL for none.
    pub(super) fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        self.bind(Bind::Text(text.map(str::to_owned)))
    }

    /// The newest statement's next value.
    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.bind(Bind::Number(number))
    }

    /// Ties the newest statement to the number of rows that it changes.
    pub(super) fn must_change(&mut self, rows: u64) -> &mut Self {
        if let Some(statement) = self.statements.last_mut() {
            statement.must_change = Some(rows);
        }
        self
    }

    fn bind(&mut self, bind: Bind) -> &mut Self {
        if let Some(statement) = self.statements.last_mut() {
            statement.binds.push(bind);
        }
        self
    }

    /// Runs all of them, or none.
    pub(super) async fn run(self, database: &Database) -> Result<(), DatabaseError> {
        match database {
            Database::Sqlite { write, .. } => {
                let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                run_on!(sqlx::Sqlite, transaction, self.statements);
            }
            Database::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                run_on!(sqlx::Postgres, transaction, self.statements);
            }
        }
        Ok(())
    }
}
