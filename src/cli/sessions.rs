//! `vestibule sessions`: signing somebody out everywhere.

use std::process::ExitCode;

use http::Method;
use serde_json::json;

use super::Installation;
use super::admin_api::AdminApi;
use super::say::say;
use super::table::cell;

/// What to do about sessions.
#[derive(Debug, clap::Args)]
pub struct Errand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// End all sessions of somebody, on every host and node; their open streams close within five
    /// seconds. It does not keep them from signing in again.
    End(Whose),
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct Whose {
    /// The platform's id of the user.
    #[arg(long, value_name = "ID", required_unless_present_any = ["email", "subject"])]
    user: Option<String>,
    /// The user's address, as the platform has it.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "user")]
    email: Option<String>,
    /// An identity, also one without an account: the `sub` of its identity provider.
    #[arg(long, requires = "issuer", conflicts_with_all = ["user", "email"])]
    subject: Option<String>,
    /// The issuer identifier of that identity provider.
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<String>,
}

/// Carries it out.
pub fn run(installation: &Installation, errand: &Errand) -> anyhow::Result<ExitCode> {
    let operator = AdminApi::at(installation)?;
    let What::End(whose) = &errand.what;
    let body = json!({
        "user": whose.user,
        "email": whose.email,
        "issuer": whose.issuer,
        "subject": whose.subject,
    });
    super::serve::runtime()?.block_on(async {
        let path = "/operator/v1/sessions/end";
        let answer = operator.call(Method::POST, path, Some(body)).await?;
        say(&format!("Sessions ended: {}.\n", cell(&answer, "ended")))?;
        Ok(ExitCode::SUCCESS)
    })
}
