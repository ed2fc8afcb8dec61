//! `vestibule platform`: one operation of the platform by hand.

mod call;
mod trial;

use std::process::ExitCode;

use anyhow::Context as _;

use super::Installation;
use crate::assemble::{PlatformByHand, platform_by_hand};
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
pub fn run(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    match choice {
        Choice::Try(choice) => trial::run(installation, choice),
        Choice::Call(choice) => call::run(installation, choice),
    }
}

/// The platform of the installation; of its own builtin one, there has to be a database.
async fn opened(installation: &Installation) -> anyhow::Result<PlatformByHand> {
    let settings = installation.settings()?;
    let site = settings.site(installation.platform.as_deref())?;
    let database = settings.database_of(site);
    let platform = settings.sites.into_iter().nth(site);
    let platform = platform.context("there is no platform")?.platform;
    let is_own = matches!(platform.kind, PlatformKind::Builtin);
    if is_own && !database.is_there() {
        anyhow::bail!("there is no database yet: the first start makes it");
    }
    Ok(platform_by_hand(platform, &database).await?)
}
