//! `vestibule mail queue`: what waits for delivery, and another try for what was given up.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::super::Installation;
use super::super::admin_api::AdminApi;
use super::super::say::say;
use super::super::serve;
use super::super::table::in_path;

/// Which list.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Webhooks instead of letters.
    #[arg(long)]
    webhooks: bool,
    /// What claims say about users, for the platform, instead of letters.
    #[arg(long, conflicts_with = "webhooks")]
    attributes: bool,
}

/// What is tried again.
#[derive(Debug, clap::Args)]
pub struct RetryChoice {
    #[command(flatten)]
    of: Choice,
    /// The id of one; without it, all that were given up.
    id: Option<String>,
}

impl Choice {
    fn path(&self) -> &'static str {
        if self.webhooks {
            "/outbox/v1/webhooks"
        } else if self.attributes {
            "/outbox/v1/attributes"
        } else {
            "/outbox/v1/letters"
        }
    }
}

/// Prints the queue.
pub fn list(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    let api = AdminApi::at(installation)?;
    let answer = serve::runtime()?.block_on(api.get(choice.path()))?;
    say(&listed(&answer))?;
    Ok(ExitCode::SUCCESS)
}

/// Tries again.
pub fn retry(installation: &Installation, choice: &RetryChoice) -> anyhow::Result<ExitCode> {
    let api = AdminApi::at(installation)?;
    let path = match &choice.id {
        Some(id) => format!("{}/{}/retry", choice.of.path(), in_path(id)),
        None => format!("{}/retry", choice.of.path()),
    };
    let answer = serve::runtime()?.block_on(api.post(&path))?;
    let retried = answer.get("retried").and_then(Value::as_u64).unwrap_or(0);
    say(&format!("{retried} tried again.\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn listed(answer: &Value) -> String {
    let none = Vec::new();
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.unwrap_or(&none);
    if items.is_empty() {
        return "Nothing waits and nothing failed.\n".to_owned();
    }
    let mut text = String::new();
    for item in items {
        let word = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("-");
        let attempts = item.get("attempts").and_then(Value::as_u64).unwrap_or(0);
        let (id, state, name, to) = (word("id"), word("state"), word("name"), word("to"));
        let _ = writeln!(text, "{id}  {state}  {name}  {to}  tries: {attempts}");
        if let Some(reason) = item.get("reason").and_then(Value::as_str) {
            let _ = writeln!(text, "    {reason}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_queue_is_shown_line_by_line() {
        let answer = json!({ "items": [
            { "id": "1", "state": "failed", "name": "proof-code", "to": "a•••@x.example",
              "attempts": 2, "reason": "550 no such user" },
            { "id": "2", "state": "waiting", "name": "account-ready", "to": null, "attempts": 0,
              "reason": null },
        ]});
        let expected = "1  failed  proof-code  a•••@x.example  tries: 2\n    550 no such user\n\
                        2  waiting  account-ready  -  tries: 0\n";
        assert_eq!(listed(&answer), expected);
        assert!(listed(&json!({ "items": [] })).starts_with("Nothing waits"));
    }
}
