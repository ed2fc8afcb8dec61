//! `vestibule platform`: one operation of the platform by hand.

mod call;
mod trial;

use std::path::Path;
use std::process::ExitCode;

use super::say::complain;
use crate::assemble::{PlatformByHand, platform_by_hand};
use crate::config;
use crate::platform::PlatformKind;

/// What is tried.
#[derive(Debug, clap::Subcommand)]
pub enum Choice {
    /// Do what the gateway does, and print what it understands.
    Try(trial::Choice),
    /// Call one operation of `rest.toml`, and print the answer as it comes.
    Call(call::Choice),
}

/// Tries it.
pub fn run(config: &Path, choice: &Choice) -> anyhow::Result<ExitCode> {
    match choice {
        Choice::Try(choice) => trial::run(config, choice),
        Choice::Call(choice) => call::run(config, choice),
    }
}

/// The platform of the installation; of its own builtin one, there has to be a database.
async fn opened(config: &Path) -> anyhow::Result<PlatformByHand> {
    let settings = config::load(config).map_err(|problems| {
        complain(&problems.to_string());
        anyhow::anyhow!("the configuration has mistakes")
    })?;
    let is_own = matches!(settings.platform.kind, PlatformKind::Builtin);
    if is_own && !settings.store.database.is_there() {
        anyhow::bail!("there is no database yet: the first start makes it");
    }
    Ok(platform_by_hand(settings.platform, &settings.store.database).await?)
}
