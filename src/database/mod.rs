//! SQLite or PostgreSQL behind one enum of native pools; the same SQL text for both.
//!
//! SQLite has one writer (WAL, `BEGIN IMMEDIATE`) and a few readers; with more than one writer
//! most concurrent transactions fail with "database is locked". The macros [`sql_fetch_optional`],
//! `sql_fetch_all` and `sql_execute` expand one query for both drivers. Ids are TEXT, times
//! BIGINT milliseconds, JSON and sealed values TEXT.

mod address;
mod node;
mod statements;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use crate::{sql_fetch_all, sql_fetch_optional};

pub use address::DatabaseAddress;
pub use node::Node;
#[doc(hidden)]
pub use statements::{require_rows, span_of};

/// A database.
#[derive(Debug, Clone)]
pub enum Database {
    /// One file on this machine.
    Sqlite {
        /// Read-only connections.
        read: SqlitePool,
        /// The one writing connection.
        write: SqlitePool,
    },
    /// A PostgreSQL server.
    Postgres(PgPool),
}

/// How a schema stands to what this version needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Changes that are not made yet.
    pub missing: usize,
    /// Whether a later version has made changes that this one does not know.
    pub is_newer: bool,
}

/// The database could not be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be opened or made.
    #[error("the database file {} cannot be opened", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: sqlx::Error,
    },
    /// The address is no PostgreSQL address.
    #[error("not a PostgreSQL address: write postgres://user@host/name")]
    Address(#[source] sqlx::Error),
    /// The engine answered with an error, or not in time.
    #[error("the database did not answer as it should")]
    Engine(#[from] sqlx::Error),
    /// A migration failed or does not match what was applied before.
    #[error("the database could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The server does not keep to the schema that connections ask for.
    #[error(
        "connections are in the schema `{found}`, not in `{wanted}`: what stands before PostgreSQL \
         must pass the start-up parameter `options` on"
    )]
    Schema {
        /// The part's own.
        wanted: String,
        /// Where connections are.
        found: String,
    },
    /// A statement of a transaction changed another number of rows than it must; nothing was
    /// changed.
    #[error("statement {statement} of a transaction changed {changed} rows, not {wanted}")]
    Unmet {
        /// Which statement, from 0.
        statement: usize,
        /// How many rows it had to change.
        wanted: u64,
        /// How many it would have changed.
        changed: u64,
    },
}

impl DatabaseError {
    /// Whether a unique key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Engine(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Whether waiting can help: nobody answers, or not in time.
    pub fn is_passing(&self) -> bool {
        let (Self::Engine(cause) | Self::Migration(MigrateError::Execute(cause))) = self else {
            return false;
        };
        matches!(cause, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
    }

    /// Whether a `must change` of [`sql_transaction!`](crate::sql_transaction) was not met, so
    /// that nothing was changed.
    pub fn is_unmet(&self) -> bool {
        matches!(self, Self::Unmet { .. })
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Connections of one node to PostgreSQL; one of them listens.
const MOST_CONNECTIONS: u32 = 16;

/// What PostgreSQL gives up on, so that a stuck statement or a forgotten transaction holds up
/// nobody for long.
const TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "4s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Migrations take their time, and wait for another node's.
const NO_TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

impl Database {
    /// Opens the database; an SQLite file is created when missing, readable by its owner alone.
    /// PostgreSQL is connected to lazily, so that a gateway starts while it is down.
    pub async fn open(address: &DatabaseAddress) -> Result<Self, DatabaseError> {
        match address {
            DatabaseAddress::Sqlite(path) => {
                Self::open_sqlite(path)
                    .await
                    .map_err(|cause| DatabaseError::File {
                        path: path.clone(),
                        cause,
                    })
            }
            DatabaseAddress::Postgres(url) => {
                let options = PgConnectOptions::from_str(url).map_err(DatabaseError::Address)?;
                let pool = PgPoolOptions::new()
                    .max_connections(MOST_CONNECTIONS)
                    .acquire_timeout(CONNECT_WITHIN);
                Ok(Self::Postgres(
                    pool.connect_lazy_with(options.options(TIMEOUTS)),
                ))
            }
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, sqlx::Error> {
        make_private_file(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let write = first_connection(&options).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(options.read_only(true));
        Ok(Self::Sqlite { read, write })
    }

    /// Brings the schema up to date. Safe to call from many nodes at once: with PostgreSQL one
    /// waits for the other, with SQLite whoever came second tries again.
    ///
    /// What a later version has changed is left as it is: while nodes are replaced one by one, those
    /// of the version before may start anew.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        let mut migrator = sqlx::migrate!("./migrations");
        migrator.set_ignore_missing(true);
        match self {
            Self::Sqlite { write, .. } => migrate_sqlite(&migrator, write).await?,
            Self::Postgres(pool) => {
                let options = pool.connect_options().as_ref().clone().options(NO_TIMEOUTS);
                let patient = PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(CONNECT_WITHIN)
                    .connect_with(options)
                    .await?;
                make_schema(&patient).await?;
                check_schema(&patient).await?;
                migrator.run(&patient).await?;
                announce_ended_sessions(&patient).await?;
                patient.close().await;
            }
        }
        Ok(())
    }

    /// How its schema stands to what this version needs.
    pub async fn changes(&self) -> Result<Changes, DatabaseError> {
        self.ping().await?;
        let sql = "SELECT version FROM _sqlx_migrations WHERE success";
        let made = match sql_fetch_all!(self, (i64,), sql) {
            Ok(made) => made,
            // There is no such table before the first start.
            Err(DatabaseError::Engine(sqlx::Error::Database(_))) => Vec::new(),
            Err(error) => return Err(error),
        };
        let migrator = sqlx::migrate!("./migrations");
        let needed: Vec<i64> = migrator.iter().map(|one| one.version).collect();
        let is_made = |version: &&i64| made.iter().any(|(made,)| made == *version);
        Ok(Changes {
            missing: needed.len() - needed.iter().filter(is_made).count(),
            is_newer: made.iter().any(|(version,)| !needed.contains(version)),
        })
    }

    /// A statement that, in a transaction, waits until no other one holds the same number, and
    /// holds it until the end. With SQLite the transaction itself is that.
    pub const fn waits_for_a_turn(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "SELECT $1",
            Self::Postgres(_) => "SELECT pg_advisory_xact_lock($1)",
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        sql_fetch_optional!(self, (i64,), "SELECT CAST(1 AS BIGINT)")?;
        Ok(())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes the schema that the search path names, where it is missing.
async fn make_schema(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "SELECT pg_advisory_xact_lock(7165926137720520)",
        "DO $$ BEGIN IF current_schema() IS NULL THEN \
             EXECUTE format('CREATE SCHEMA %I', current_setting('search_path')); \
             END IF; END $$",
    ] {
        sqlx::query::<sqlx::Postgres>(statement)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// A pooler between may drop the search path without a word, and two parts of an installation
/// would share their tables.
async fn check_schema(pool: &PgPool) -> Result<(), DatabaseError> {
    let options = pool.connect_options();
    let wanted = options.get_options().and_then(|all| {
        let path = all
            .split_whitespace()
            .find_map(|one| one.strip_prefix("search_path="));
        path.map(str::to_owned)
    });
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let found: Option<String> = sqlx::query_scalar("SELECT current_schema()::text")
        .fetch_one(pool)
        .await?;
    if found.as_deref() == Some(wanted.as_str()) {
        return Ok(());
    }
    Err(DatabaseError::Schema {
        wanted,
        found: found.unwrap_or_default(),
    })
}

/// How often, a tenth of a second apart, one process waits for another's opening or migrating of
/// the same file.
const PATIENCE: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// The first connection switches the file to WAL, which does not wait for another process that
/// does the same.
async fn first_connection(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let connect = || {
        SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_with(options.clone())
    };
    for _ in 0..PATIENCE {
        match connect().await {
            Err(sqlx::Error::Database(_)) => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    connect().await
}

/// SQLite knows no lock for migrations: of two processes one fails, whole, and finds nothing left
/// to do when it tries again.
async fn migrate_sqlite(migrator: &Migrator, write: &SqlitePool) -> Result<(), MigrateError> {
    for _ in 0..PATIENCE {
        match migrator.run(write).await {
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
    migrator.run(write).await
}

/// The file holds personal data and password hashes; its journal files take over its mode.
/// A file that exists is not opened: closing it would drop the locks that SQLite may hold on it in
/// this process.
fn make_private_file(path: &Path) -> Result<(), std::io::Error> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Where PostgreSQL tells the digests of sessions that ended.
pub const SESSIONS_CHANNEL: &str = "vestibule_sessions";

/// PostgreSQL tells every node of a session's end in the transaction that ends it. Not among the
/// migrations, which run on SQLite as well.
async fn announce_ended_sessions(pool: &PgPool) -> Result<(), DatabaseError> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "SELECT pg_advisory_xact_lock(7165926137720519)",
        "CREATE OR REPLACE FUNCTION vestibule_session_ended() RETURNS trigger AS $$ BEGIN \
             PERFORM pg_notify('vestibule_sessions', OLD.id_digest); RETURN NULL; END $$ \
             LANGUAGE plpgsql",
        "CREATE OR REPLACE TRIGGER vestibule_session_ended \
             AFTER DELETE OR UPDATE OF sealed ON sessions \
             FOR EACH ROW EXECUTE FUNCTION vestibule_session_ended()",
    ] {
        sqlx::query::<sqlx::Postgres>(statement)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql_transaction;

    async fn fresh() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::Sqlite(folder.path().join("test.db"));
        let database = Database::open(&address).await.unwrap();
        database.migrate().await.unwrap();
        (folder, database)
    }

    #[test]
    fn a_part_has_a_place_of_its_own() {
        let file = DatabaseAddress::Sqlite("/var/lib/vestibule.db".into()).of_part("shop");
        assert!(file == DatabaseAddress::Sqlite("/var/lib/vestibule-shop.db".into()));
        let server = DatabaseAddress::Postgres("postgres://v@db/v".to_owned()).of_part("the-shop");
        let DatabaseAddress::Postgres(url) = server else {
            panic!("it moved to a file");
        };
        let options = PgConnectOptions::from_str(&url).unwrap();
        let options = options.get_options().unwrap_or_default();
        assert!(
            options.contains("search_path=vestibule_the_shop"),
            "{options}"
        );
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_is_named() {
        let address = DatabaseAddress::Sqlite("/nowhere/at/all.db".into());
        let error = Database::open(&address).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database file /nowhere/at/all.db cannot be opened"
        );
    }

    #[tokio::test]
    async fn many_processes_may_migrate_one_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::Sqlite(folder.path().join("test.db"));
        let migrations = (0..5).map(|_| {
            let address = address.clone();
            tokio::spawn(async move { Database::open(&address).await?.migrate().await })
        });
        for migration in migrations.collect::<Vec<_>>() {
            migration.await.unwrap().unwrap();
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, _database) = fresh().await;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            assert_eq!(
                file.unwrap().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    const REMEMBER: &str = "INSERT INTO consumed_attempts (id, expires_at) VALUES ($1, $2)";

    async fn remembered(database: &Database) -> i64 {
        let (count,) =
            sql_fetch_optional!(database, (i64,), "SELECT COUNT(*) FROM consumed_attempts")
                .unwrap()
                .unwrap();
        count
    }

    #[tokio::test]
    async fn migrating_again_changes_nothing() {
        let (_folder, database) = fresh().await;
        database.migrate().await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_gives_the_rows_that_each_statement_changed() {
        let (_folder, database) = fresh().await;
        let changed = sql_transaction!(&database, [
            (REMEMBER, "a", 1_i64),
            (REMEMBER, "b", 2_i64; must change 1),
            ("UPDATE consumed_attempts SET expires_at = $1", 3_i64; must change 2),
        ])
        .await
        .unwrap();
        assert_eq!(changed, [1, 1, 2]);
    }

    #[tokio::test]
    async fn an_unmet_condition_rolls_everything_back() {
        let (_folder, database) = fresh().await;
        let outcome = sql_transaction!(&database, [
            (REMEMBER, "a", 1_i64),
            ("UPDATE consumed_attempts SET expires_at = $1 WHERE id = $2", 3_i64, "b"; must change 1),
        ])
        .await;
        assert!(outcome.unwrap_err().is_unmet());
        assert_eq!(remembered(&database).await, 0);
    }

    #[tokio::test]
    async fn a_taken_key_is_told_from_other_errors_and_rolls_everything_back() {
        let (_folder, database) = fresh().await;
        let outcome =
            sql_transaction!(&database, [(REMEMBER, "a", 1_i64), (REMEMBER, "a", 2_i64)]).await;
        assert!(outcome.unwrap_err().is_unique_violation());
        assert_eq!(remembered(&database).await, 0);
    }

    #[tokio::test]
    async fn parallel_writers_all_get_through() {
        let (_folder, database) = fresh().await;
        let writers = (0..50).map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                sql_transaction!(&database, [(REMEMBER, format!("{number}"), 1_i64)])
                    .await
                    .unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(remembered(&database).await, 50);
    }
}
