//! `vestibule platform call`: one operation of `rest.toml`, its answer as it comes, and what is made
//! of it.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::super::Installation;
use super::super::say::say;
use super::super::serve;

/// Which operation, with what.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// The operation, as it is called in the file: `user_by_email`.
    operation: String,
    /// What it speaks of: `email=mario@acme.example`. What is JSON is taken as such.
    #[arg(value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// Also call what may change something.
    #[arg(long)]
    write: bool,
}

/// Prints status, meaning, answer and records.
pub fn run(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    let inputs = choice.inputs.iter().map(|input| named(input));
    let inputs = inputs.collect::<anyhow::Result<Map<String, Value>>>()?;
    let exchange = serve::runtime()?.block_on(async {
        let opened = super::opened(installation).await?;
        let described = opened.described;
        let described = described.context("no file describes this kind of platform")?;
        let called = described.call_by_hand(&choice.operation, inputs, choice.write);
        anyhow::Ok(called.await?)
    })?;
    let answer = serde_json::to_string_pretty(&exchange.answer)?;
    let items = serde_json::to_string_pretty(&exchange.items)?;
    say(&format!(
        "status   {}\nmeans    {}\nanswer   {answer}\nrecords  {items}\n",
        exchange.status, exchange.means
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn named(input: &str) -> anyhow::Result<(String, Value)> {
    let parts = input.split_once('=');
    let (name, value) = parts.with_context(|| format!("write `{input}` as name=value"))?;
    let is_structure = value.starts_with(['{', '[']);
    let value = if is_structure {
        serde_json::from_str(value).with_context(|| format!("`{name}` is no JSON"))?
    } else {
        Value::from(value)
    };
    Ok((name.to_owned(), value))
}
