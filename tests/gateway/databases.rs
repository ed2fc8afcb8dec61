//! SQLite and PostgreSQL run the same statements to the same effect.

use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};
use vestibule::database::{Database, DatabaseAddress};
use vestibule::{sql_execute, sql_fetch_all, sql_fetch_optional, sql_returning, sql_transaction};

use crate::harness::{Postgres, wait_until_async, waits_for_locks};

const REMEMBER: &str = "INSERT INTO consumed_attempts (id, expires_at) VALUES ($1, $2)";

async fn postgres() -> Database {
    let url = Postgres::shared().fresh_database().await;
    Database::open(&DatabaseAddress::Postgres(url))
        .await
        .unwrap()
}

async fn both() -> (tempfile::TempDir, [Database; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let address = DatabaseAddress::Sqlite(folder.path().join("both.db"));
    let databases = [Database::open(&address).await.unwrap(), postgres().await];
    for database in &databases {
        database.migrate().await.unwrap();
        database.migrate().await.unwrap();
    }
    (folder, databases)
}

#[tokio::test]
async fn many_nodes_migrate_one_database_at_once() {
    let database = postgres().await;
    let nodes = (0..8).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { database.migrate().await })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap().unwrap();
    }
}

/// The migrations that there are, the first so many of them, and further ones: those of an earlier
/// or a later version.
pub async fn migrations(first: usize, further: &[(&str, &str)]) -> Migrator {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(own).expect("migrations");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let folder = tempfile::tempdir().expect("a folder");
    for file in files.iter().take(first) {
        let name = file.file_name().expect("a name");
        std::fs::copy(file, folder.path().join(name)).expect("a copy");
    }
    for (name, text) in further {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    Migrator::new(folder.path()).await.expect("migrations")
}

/// FT-07: whoever migrates dies in the middle of a step, and the next one makes it from its start.
#[tokio::test]
async fn a_migration_that_broke_off_is_made_by_the_next() {
    let url = Postgres::shared().fresh_database().await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    migrations(4, &[]).await.run(&mut other).await.unwrap();
    let database = Database::open(&DatabaseAddress::Postgres(url.clone()))
        .await
        .unwrap();
    let missing = database.changes().await.unwrap().missing;
    assert!(missing > 0);
    // What the step makes is there, but not that it was made.
    let mut lock = other.begin().await.unwrap();
    let statement = sqlx::query("LOCK TABLE _sqlx_migrations IN SHARE MODE");
    statement.execute(&mut *lock).await.unwrap();
    let first = tokio::spawn({
        let database = database.clone();
        async move { database.migrate().await }
    });
    let mut observer = PgConnection::connect(&url).await.unwrap();
    waits_for_locks(&mut observer, 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    lock.rollback().await.unwrap();
    wait_until_async("nothing is left of it", async || {
        database
            .changes()
            .await
            .is_ok_and(|changes| changes.missing == missing)
    })
    .await;
    database.migrate().await.unwrap();
    assert_eq!(database.changes().await.unwrap().missing, 0);
    sql_execute!(&database, REMEMBER, "a", 1_i64).unwrap();
}

#[tokio::test]
async fn both_count_rows_and_tell_taken_keys() {
    let (_folder, databases) = both().await;
    for database in &databases {
        assert_eq!(sql_execute!(database, REMEMBER, "a", 1_i64).unwrap(), 1);
        let taken = sql_execute!(database, REMEMBER, "a", 1_i64).unwrap_err();
        assert!(taken.is_unique_violation());
        let upsert = "INSERT INTO consumed_attempts (id, expires_at) VALUES ($1, $2) \
            ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at RETURNING expires_at";
        let kept = sql_returning!(database, (i64,), upsert, "a", 7_i64).unwrap();
        assert_eq!(kept, Some((7,)));
        let none = "SELECT expires_at FROM consumed_attempts WHERE id = $1";
        assert_eq!(
            sql_fetch_optional!(database, (i64,), none, "b").unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn both_roll_back_what_does_not_meet_its_condition() {
    let (_folder, databases) = both().await;
    for database in &databases {
        let outcome = sql_transaction!(
            database,
            [
                (REMEMBER, "a", 1_i64; must change 1),
                ("DELETE FROM consumed_attempts WHERE id = $1", "b"; must change 1),
            ]
        );
        assert!(outcome.await.unwrap_err().is_unmet());
        let all = "SELECT id FROM consumed_attempts";
        assert_eq!(sql_fetch_all!(database, (String,), all).unwrap(), []);
        let kept = sql_transaction!(database, [(REMEMBER, "a", 1_i64), (REMEMBER, "b", 1_i64)]);
        assert_eq!(kept.await.unwrap(), [1, 1]);
    }
}

#[tokio::test]
async fn both_lose_no_update_of_parallel_transactions() {
    let (_folder, databases) = both().await;
    for database in &databases {
        sql_execute!(database, REMEMBER, "counter", 0_i64).unwrap();
        let count = "UPDATE consumed_attempts SET expires_at = expires_at + 1 WHERE id = $1";
        let writers = (0..100).map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                let writing = sql_transaction!(
                    &database,
                    [(count, "counter"; must change 1), (REMEMBER, format!("{number}"), 0_i64)]
                );
                writing.await.unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let read = "SELECT expires_at FROM consumed_attempts WHERE id = $1";
        let counted = sql_fetch_optional!(database, (i64,), read, "counter").unwrap();
        assert_eq!(counted, Some((100,)));
    }
}

#[tokio::test]
async fn a_statement_that_hangs_is_given_up() {
    let database = postgres().await;
    let begun = Instant::now();
    let outcome = sql_execute!(&database, "SELECT pg_sleep(60)");
    assert!(outcome.is_err());
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_gateway_opens_a_database_that_is_down() {
    let address = DatabaseAddress::Postgres("postgres://nobody@127.0.0.1:1/none".to_owned());
    let database = Database::open(&address).await.unwrap();
    assert!(database.ping().await.is_err());
    let address = DatabaseAddress::Postgres("not an address".to_owned());
    let error = Database::open(&address).await.unwrap_err();
    assert!(error.to_string().contains("write postgres://"));
}
