//! `vestibule mail test`: one letter through the configured mail server, past the queue.

use std::process::ExitCode;

use anyhow::Context as _;

use super::super::Installation;
use super::super::say::say;
use super::super::serve;
use crate::assemble::courier;
use crate::identity::EmailAddress;
use crate::language::Language;
use crate::mail::letters::TemplateLetters;
use crate::mail::{Addressee, LetterKind, Letters as _, sample};
use crate::telemetry::with_causes;

/// To whom.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// The address to write to.
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The language to write in.
    #[arg(long, value_name = "TAG", default_value = "en")]
    language: String,
}

/// Sends the letter, and fails where the mail server did not take it.
pub fn run(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    let language = Language::from_tag(&choice.language);
    let language = language.with_context(|| format!("no letters in `{}`", choice.language))?;
    let to = Addressee {
        email: EmailAddress::parse(&choice.to).context("this is no e-mail address")?,
        name: None,
        language,
    };
    let settings = installation.settings()?;
    let server = settings.mail.place();
    let message = sample::message(LetterKind::AccountReady);
    let letter = TemplateLetters.compose(&message, &to, &sample::letterhead());
    let outcome = serve::runtime()?.block_on(async {
        let courier = courier(settings.mail)?;
        let courier = courier.context("no mail server is configured; see [mail]")?;
        anyhow::Ok(courier.send(&letter).await)
    })?;
    Ok(match outcome {
        Ok(()) => {
            say(&format!("{server} has taken the letter {}.\n", letter.id))?;
            ExitCode::SUCCESS
        }
        Err(error) => {
            let why = with_causes(&error);
            say(&format!("{server} has not taken the letter: {why}\n"))?;
            ExitCode::FAILURE
        }
    })
}
