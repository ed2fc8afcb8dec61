//! Keys, database, session store.

use std::path::Path;

use super::{Finding, with_causes};
use crate::config::{self, KeySettings};
use crate::database::{Changes, Database, DatabaseAddress, DatabaseError};
use crate::redis_link::{Link, RedisAddress};

/// A key file that is not there yet is made at the first start, and not here.
pub(super) fn keys(settings: &KeySettings) -> Finding {
    let path = match settings {
        KeySettings::Ring(_) => return Finding::fine("keys", "a ring of configured keys"),
        KeySettings::File(path) => path,
    };
    if !path.exists() {
        return made_later("keys", path);
    }
    match config::key_file(path) {
        Ok(_) => Finding::fine("keys", format!("{}", path.display())),
        Err(problem) => {
            let fix = "restore it from a backup: without it nothing that is kept can be read";
            Finding::wrong("keys", with_causes(&problem), fix)
        }
    }
}

pub(super) async fn database(address: &DatabaseAddress) -> Finding {
    if let DatabaseAddress::Sqlite(path) = address
        && !path.exists()
    {
        return made_later("database", path);
    }
    match standing(address).await {
        Ok(Changes { is_newer: true, .. }) => {
            let fix = "go on to that version; only the one just before it works on it as well";
            let why = "a later version of Vestibule has changed it";
            Finding::odd("database", why, fix)
        }
        Ok(Changes { missing: 0, .. }) => {
            Finding::fine("database", format!("{}, up to date", kind(address)))
        }
        Ok(Changes { missing, .. }) => {
            let why = format!("{missing} changes of this version are not made yet");
            let fix = "the next start makes them; `vestibule migrate` does it beforehand";
            Finding::odd("database", why, fix)
        }
        Err(error) => {
            let fix = match address {
                DatabaseAddress::Sqlite(_) => "see who owns the file, and whether the disk is full",
                DatabaseAddress::Postgres(_) => {
                    "see whether PostgreSQL runs, and `[store] database` with its password"
                }
            };
            Finding::wrong("database", with_causes(&error), fix)
        }
    }
}

async fn standing(address: &DatabaseAddress) -> Result<Changes, DatabaseError> {
    let database = Database::open(address).await?;
    let changes = database.changes().await;
    database.close().await;
    changes
}

fn kind(address: &DatabaseAddress) -> String {
    match address {
        DatabaseAddress::Sqlite(path) => format!("SQLite in {}", path.display()),
        DatabaseAddress::Postgres(_) => "PostgreSQL".to_owned(),
    }
}

pub(super) async fn redis(address: &RedisAddress) -> Finding {
    let fix = "see whether Redis runs, and `[store] sessions` with its password";
    let link = match Link::to(address) {
        Ok(link) => link,
        Err(problem) => return Finding::wrong("sessions", with_causes(&problem), fix),
    };
    let masters = match link.masters().await {
        Ok(masters) => masters.len(),
        Err(error) => return Finding::wrong("sessions", with_causes(&error), fix),
    };
    match link.ping().await {
        Ok(()) if masters == 1 => Finding::fine("sessions", "Redis answers"),
        Ok(()) => Finding::fine(
            "sessions",
            format!("a Redis Cluster of {masters} masters answers"),
        ),
        Err(error) => Finding::wrong("sessions", with_causes(&error), fix),
    }
}

/// A file that the first start makes, if it can.
fn made_later(what: &str, path: &Path) -> Finding {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let place = path.display();
    let is_writable = folder
        .metadata()
        .is_ok_and(|about| about.is_dir() && !about.permissions().readonly());
    if is_writable {
        return Finding::fine(what, format!("{place}, which the first start makes"));
    }
    let why = format!("{place} cannot be made");
    let fix = "make its folder, which the gateway's user may write to";
    Finding::wrong(what, why, fix)
}
