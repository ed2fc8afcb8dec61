//! `vestibule registrations`: who is on the way in, who waits, and what is to be done about it.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::Installation;
use super::admin_api::AdminApi;
use super::say::say;
use super::table::{cell, day, in_path, items, moment, plain, table};

const PATH: &str = "/operator/v1/registrations";

/// What to do about registrations.
#[derive(Debug, clap::Args)]
pub struct Errand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List registrations, the newest first.
    List {
        /// Only those in this state: `awaiting_approval`, `provisioning`, `undoing`, `completed`,
        /// `failed`, `abandoned`.
        #[arg(long)]
        state: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one registration with its answers and steps.
    Show {
        /// Its id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a registration that waits for approval go on.
    Approve {
        /// Its id.
        id: String,
    },
    /// Refuse a registration that waits for approval.
    Reject {
        /// Its id.
        id: String,
    },
    /// Try a registration once more that failed.
    Retry {
        /// Its id.
        id: String,
    },
}

/// Carries it out.
pub fn run(installation: &Installation, errand: &Errand) -> anyhow::Result<ExitCode> {
    let operator = AdminApi::at(installation)?;
    super::serve::runtime()?.block_on(async {
        let text = match &errand.what {
            What::List { state, limit, json } => {
                list(&operator, (state.as_deref(), *limit), *json).await?
            }
            What::Show { id, json } => show(&operator, id, *json).await?,
            What::Approve { id } => act(&operator, id, "approve").await?,
            What::Reject { id } => act(&operator, id, "reject").await?,
            What::Retry { id } => act(&operator, id, "retry").await?,
        };
        say(&text)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn list(
    operator: &AdminApi,
    (state, limit): (Option<&str>, u32),
    json: bool,
) -> anyhow::Result<String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    let path = format!("{PATH}?{}", query.finish());
    let answer = operator.call(Method::GET, &path, None).await?;
    if json {
        return Ok(format!("{answer:#}\n"));
    }
    let items = items(&answer);
    if items.is_empty() {
        return Ok("There are none.\n".to_owned());
    }
    let rows: Vec<_> = items.iter().map(row).collect();
    let heading = ["id", "state", "type", "name", "e-mail", "since", "reason"];
    Ok(table(&heading, &rows))
}

fn row(one: &Value) -> Vec<String> {
    vec![
        cell(one, "id"),
        cell(one, "state"),
        cell(one, "account_type"),
        cell(one, "name"),
        cell(one, "email"),
        day(one, "created_at"),
        cell(one, "reason"),
    ]
}

async fn show(operator: &AdminApi, id: &str, json: bool) -> anyhow::Result<String> {
    let path = format!("{PATH}/{}", in_path(id));
    let one = operator.call(Method::GET, &path, None).await?;
    if json {
        return Ok(format!("{one:#}\n"));
    }
    let mut rows = Vec::new();
    for key in [
        "id", "state", "reason", "asked", "customer", "host", "issuer", "subject",
    ] {
        rows.push(vec![key.to_owned(), cell(&one, key)]);
    }
    rows.push(vec!["submitted".to_owned(), moment(&one, "created_at")]);
    rows.push(vec!["changed".to_owned(), moment(&one, "updated_at")]);
    rows.extend(typed(&one));
    let steps = one.get("steps").and_then(Value::as_array);
    rows.extend(steps.into_iter().flatten().map(step));
    Ok(table(&["what", "value"], &rows))
}

/// Who applies and what they typed, as long as it is kept.
fn typed(one: &Value) -> Vec<Vec<String>> {
    let Some(answers) = one.get("answers").and_then(Value::as_object) else {
        let why = "what was typed is erased once the account exists, or the request is over";
        return vec![vec!["answers".to_owned(), why.to_owned()]];
    };
    let keys = ["account_type", "name", "email"];
    let mut rows: Vec<_> = keys.map(|key| vec![key.to_owned(), cell(one, key)]).into();
    rows.extend(
        answers
            .iter()
            .map(|(name, value)| vec![format!("answer {name}"), plain(value)]),
    );
    rows
}

/// A step with its state.
fn step(pair: &Value) -> Vec<String> {
    let part = |place: usize| pair.get(place).map(plain).unwrap_or_default();
    vec![format!("step {}", part(0)), part(1)]
}

async fn act(operator: &AdminApi, id: &str, what: &str) -> anyhow::Result<String> {
    let path = format!("{PATH}/{}/{what}", in_path(id));
    operator.call(Method::POST, &path, None).await?;
    Ok(match what {
        "approve" => "Approved. The account is being made, and the applicant gets a letter.\n",
        "reject" => "Rejected. The applicant gets a letter.\n",
        _ => "It is being tried once more.\n",
    }
    .to_owned())
}
