//! `vestibule schema`: JSON Schemas, for editors.

use std::process::ExitCode;

use serde_json::Value;

use super::say::say;
use crate::config;
use crate::policy::document::PolicyFile;

/// Which file.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// The file.
    #[arg(value_enum, default_value = "vestibule")]
    file: File,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum File {
    /// `vestibule.toml`
    Vestibule,
    /// `policies/access.toml`
    Access,
    /// `policies/onboarding.toml`
    Onboarding,
    /// `policies/limits.toml`
    Limits,
    /// `policies/signup/*.toml`
    Signup,
    /// The file that `[platform] file` names, with the kind `rest`.
    Rest,
}

/// Prints the schema.
pub fn run(choice: &Choice) -> anyhow::Result<ExitCode> {
    say(&(serde_json::to_string_pretty(&of(choice.file))? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The JSON Schema of a file.
pub fn of(file: File) -> Value {
    match file {
        File::Vestibule => config::schema(),
        File::Access => PolicyFile::Access.schema(),
        File::Onboarding => PolicyFile::Onboarding.schema(),
        File::Limits => PolicyFile::Limits.schema(),
        File::Signup => PolicyFile::Signup.schema(),
        File::Rest => config::rest_schema(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        for file in File::value_variants() {
            let name = file.to_possible_value().unwrap().get_name().to_owned();
            let path = format!("{}/deploy/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            let generated = serde_json::to_string_pretty(&of(*file)).unwrap() + "\n";
            assert!(
                committed == generated,
                "{path} is not up to date: write it with `vestibule schema {name}`"
            );
        }
    }
}
