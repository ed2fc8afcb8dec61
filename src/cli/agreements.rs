//! `vestibule agreements export`: every receipt of an accepted agreement.

use std::process::ExitCode;

use super::Installation;
use super::say::{complain, is_read, say};
use crate::assemble;
use crate::onboarding::Onboarding;
use crate::onboarding::duty_store::{KeptReceipt, RECEIPTS_HEAD};

/// How many receipts are read at once.
const PART: u32 = 1000;

/// What to do with agreements.
#[derive(Debug, clap::Subcommand)]
pub enum Choice {
    /// Print every receipt, the oldest first.
    Export(Export),
}

/// How receipts are printed.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The format; `json` is one object a line.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Json,
}

/// Does it.
pub fn run(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    let Choice::Export(export) = choice;
    let settings = installation.settings()?;
    let site = settings.site(installation.platform.as_deref())?;
    if !settings.database_of(site).is_there() {
        complain("There are no receipts yet: the first `vestibule serve` makes the database.\n");
        return Ok(ExitCode::SUCCESS);
    }
    super::serve::runtime()?.block_on(async {
        let onboarding = assemble::for_questions(settings, site).await?;
        print_all(&onboarding, export.format).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn print_all(onboarding: &Onboarding, format: Format) -> anyhow::Result<()> {
    if format == Format::Csv {
        say(RECEIPTS_HEAD)?;
    }
    let mut after = String::new();
    loop {
        let receipts = onboarding.receipts(&after, PART).await?;
        let Some(last) = receipts.last() else {
            return Ok(());
        };
        after.clone_from(&last.id);
        let mut part = String::new();
        for receipt in &receipts {
            part.push_str(&match format {
                Format::Csv => KeptReceipt::to_csv(receipt),
                Format::Json => serde_json::to_string(receipt)? + "\n",
            });
        }
        if !is_read(&part)? {
            return Ok(());
        }
    }
}
