//! `vestibule migrate`: brings the database up to date without starting the gateway.

use std::process::ExitCode;

use super::Installation;
use super::say::say;
use crate::database::Database;

/// Migrates the databases of an installation.
pub fn run(installation: &Installation) -> anyhow::Result<ExitCode> {
    let settings = installation.settings()?;
    super::serve::runtime()?.block_on(async {
        for site in 0..settings.sites.len() {
            let database = Database::open(&settings.database_of(site)).await?;
            database.migrate().await?;
            database.close().await;
        }
        anyhow::Ok(())
    })?;
    say("The database is up to date.\n")?;
    Ok(ExitCode::SUCCESS)
}
