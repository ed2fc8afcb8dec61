//! The commands of `vestibule`.

mod admin_api;
mod agreements;
mod check;
mod demo;
mod doctor;
mod explain;
mod input;
mod invitations;
mod mail;
mod migrate;
mod platform;
mod reference;
mod registrations;
mod say;
mod schema;
mod serve;
mod sessions;
mod systemd;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Settings};

/// An OpenID Connect gateway that registers first-time customers in the platform behind it.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    installation: Installation,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway. SIGTERM lets requests in flight finish, SIGHUP reads policies and certificates
    /// again, SIGUSR2 has a new process take over.
    Serve(serve::Choice),
    /// Try it: run the gateway between a demo identity provider and a demo platform.
    Demo(demo::Choice),
    /// Say everything that is wrong with the configuration and the policies. Needs no network.
    Check,
    /// Try everything that the installation needs: stores, identity providers, platform, mail, clock.
    /// Changes nothing.
    Doctor,
    /// Try one operation of the platform by hand.
    #[command(subcommand)]
    Platform(platform::Choice),
    /// Show what would happen to somebody, or to a request, and which rule says so.
    Explain(explain::Question),
    /// Whether letters leave, what they look like, and which ones are stuck.
    #[command(subcommand)]
    Mail(mail::Question),
    /// What people accepted.
    #[command(subcommand)]
    Agreements(agreements::Choice),
    /// Bring the database up to date; `serve` does so by itself.
    Migrate,
    /// See who is on the way in, and approve, reject or retry. Asks the running gateway.
    Registrations(registrations::Errand),
    /// Bring a named address straight into a customer. Asks the running gateway.
    Invitations(invitations::Errand),
    /// Sign somebody out, everywhere. Asks the running gateway.
    Sessions(sessions::Errand),
    /// Print everything that can be written into the files, as Markdown.
    ConfigReference,
    /// Print the JSON Schema of a file that operators write.
    Schema(schema::Choice),
}

/// Which installation a command is about; said before or after the command.
#[derive(Debug, clap::Args)]
struct Installation {
    /// The configuration file.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "VESTIBULE_CONFIG",
        default_value = "vestibule.toml",
        global = true
    )]
    config: PathBuf,
    /// With several platforms: the one that it is about. Default: the first.
    #[arg(long, value_name = "ID", global = true)]
    platform: Option<String>,
}

impl Installation {
    /// What is configured; mistakes are said.
    fn settings(&self) -> anyhow::Result<Settings> {
        config::load(&self.config).map_err(|problems| {
            say::complain(&problems.to_string());
            anyhow::anyhow!("the configuration has mistakes")
        })
    }
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let Arguments {
        installation,
        command,
    } = Arguments::parse();
    let config = &installation.config;
    let outcome = match command {
        Command::Check => check::run(config),
        Command::Doctor => doctor::run(config),
        Command::Platform(choice) => platform::run(&installation, &choice),
        Command::Demo(choice) => demo::run(choice),
        Command::Serve(choice) => serve::run(config, &choice),
        Command::Explain(question) => explain::run(config, &question),
        Command::Mail(question) => mail::run(&installation, &question),
        Command::Agreements(choice) => agreements::run(&installation, &choice),
        Command::Migrate => migrate::run(&installation),
        Command::Registrations(errand) => registrations::run(&installation, &errand),
        Command::Invitations(errand) => invitations::run(&installation, &errand),
        Command::Sessions(errand) => sessions::run(&installation, &errand),
        Command::ConfigReference => reference::run(),
        Command::Schema(choice) => schema::run(&choice),
    };
    outcome.unwrap_or_else(|error| {
        say::complain(&format!("vestibule: {error:#}\n"));
        ExitCode::FAILURE
    })
}
