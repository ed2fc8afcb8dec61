//! `vestibule mail preview`: a letter with sample data, without an installation.

use std::process::ExitCode;

use anyhow::Context as _;

use super::super::say::say;
use crate::language::Language;
use crate::mail::letters::TemplateLetters;
use crate::mail::{LetterKind, Letters as _, sample};

/// Which letter.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// The letter; without one, the names of all.
    letter: Option<String>,
    /// The language.
    #[arg(long, value_name = "TAG", default_value = "en")]
    language: String,
    /// The HTML part instead of subject and text.
    #[arg(long)]
    html: bool,
}

/// Prints the letter.
pub fn run(choice: &Choice) -> anyhow::Result<ExitCode> {
    let Some(name) = &choice.letter else {
        let names: Vec<&str> = LetterKind::ALL.iter().map(|kind| kind.as_str()).collect();
        say(&(names.join("\n") + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let kind = LetterKind::from_word(name);
    let kind = kind.with_context(|| {
        let all: Vec<&str> = LetterKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there is no letter `{name}`; there are {}", all.join(", "))
    })?;
    let language = Language::from_tag(&choice.language);
    let language = language.with_context(|| format!("no letters in `{}`", choice.language))?;
    let to = sample::addressee(language);
    let letter = TemplateLetters.compose(&sample::message(kind), &to, &sample::letterhead());
    say(&if choice.html {
        format!("{}\n", letter.html)
    } else {
        format!("Subject: {}\n\n{}\n", letter.subject, letter.text)
    })?;
    Ok(ExitCode::SUCCESS)
}
