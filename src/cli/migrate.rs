//! `vestibule migrate`: brings the database up to date without starting the gateway.

use std::path::Path;
use std::process::ExitCode;

use super::say::{complain, say};
use crate::config;
use crate::database::Database;

/// Migrates the databases of an installation.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let settings = match config::load(path) {
        Ok(settings) => settings,
        Err(problems) => {
            complain(&problems.to_string());
            anyhow::bail!("the configuration has mistakes");
        }
    };
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
