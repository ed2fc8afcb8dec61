//! `vestibule invitations`: brings a named address straight into a customer.

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::Installation;
use super::admin_api::AdminApi;
use super::say::say;
use super::table::{cell, day, in_path, items, table};

const PATH: &str = "/operator/v1/invitations";

/// What to do about invitations.
#[derive(Debug, clap::Args)]
pub struct Errand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Invite somebody by letter.
    Create(Invitation),
    /// List invitations, the newest first.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take an invitation back.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Invitation {
    /// Who is invited.
    #[arg(long)]
    email: String,
    /// The customer, as the platform names it.
    #[arg(long)]
    customer: String,
    /// The host, where there are several.
    #[arg(long)]
    host: Option<String>,
    /// The language of the letter: en, it, de.
    #[arg(long, default_value = "en")]
    language: String,
    /// How long it counts.
    #[arg(long, default_value_t = 14)]
    valid_days: u64,
    /// Make the user an administrator of the customer.
    #[arg(long)]
    administrator: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Carries it out.
pub fn run(installation: &Installation, errand: &Errand) -> anyhow::Result<ExitCode> {
    let operator = AdminApi::at(installation)?;
    super::serve::runtime()?.block_on(async {
        let text = match &errand.what {
            What::Create(invitation) => create(&operator, invitation).await?,
            What::List { json } => list(&operator, *json).await?,
            What::Revoke { id } => revoke(&operator, id).await?,
        };
        say(&text)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn create(operator: &AdminApi, invitation: &Invitation) -> anyhow::Result<String> {
    let body = json!({
        "email": invitation.email,
        "customer": invitation.customer,
        "host": invitation.host,
        "language": invitation.language,
        "valid_days": invitation.valid_days,
        "administrator": invitation.administrator,
    });
    let made = operator.call(Method::POST, PATH, Some(body)).await?;
    if invitation.json {
        return Ok(format!("{made:#}\n"));
    }
    let (id, until) = (cell(&made, "id"), day(&made, "expires_at"));
    Ok(format!(
        "Invited. The letter is on its way.\nid {id}, valid until {until}\n"
    ))
}

async fn list(operator: &AdminApi, json: bool) -> anyhow::Result<String> {
    let answer = operator.call(Method::GET, PATH, None).await?;
    if json {
        return Ok(format!("{answer:#}\n"));
    }
    let items = items(&answer);
    if items.is_empty() {
        return Ok("There are none.\n".to_owned());
    }
    let row = |one: &Value| {
        let text = ["id", "state", "email", "customer", "host"].map(|key| cell(one, key));
        let mut row = text.to_vec();
        row.push(day(one, "expires_at"));
        row
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    let heading = ["id", "state", "e-mail", "customer", "host", "until"];
    Ok(table(&heading, &rows))
}

async fn revoke(operator: &AdminApi, id: &str) -> anyhow::Result<String> {
    let path = format!("{PATH}/{}", in_path(id));
    operator.call(Method::DELETE, &path, None).await?;
    Ok("Taken back.\n".to_owned())
}
