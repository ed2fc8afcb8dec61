//! `vestibule check`: everything that is wrong with the files, with file, line, and what to write
//! instead.

use std::path::Path;
use std::process::ExitCode;

use super::say::say;
use crate::config::{self, Loaded, Settings};
use crate::operator_file::{Problems, Severity};
use crate::policy::Surroundings;
use crate::{paths, policy};

/// Prints the report; fails when there is an error.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let mut loaded = config::examine(path);
    check_policies(&mut loaded);
    let report = report(&loaded.problems, loaded.settings.as_ref());
    say(&report)?;
    Ok(if loaded.problems.has_errors() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What is wrong with the policies. The policies themselves are not wanted here.
pub(super) fn check_policies(loaded: &mut Loaded) {
    let Some(settings) = &loaded.settings else {
        for folder in &loaded.policies {
            let _ = policy::compile(folder, &Surroundings::default(), &mut loaded.problems);
        }
        return;
    };
    for site in &settings.sites {
        let around = settings.surroundings(site);
        let _ = policy::compile(&site.policies, &around, &mut loaded.problems);
    }
}

fn report(problems: &Problems, settings: Option<&Settings>) -> String {
    let mut lines: Vec<String> = problems.all().iter().map(ToString::to_string).collect();
    let errors = problems.count(Severity::Error);
    let warnings = problems.count(Severity::Warning);
    let warned = match warnings {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    lines.extend(problems.ill_formed().map(|file| {
        let file = file.display();
        format!("More may be wrong with {file}: only its form was judged, until that is mended.")
    }));
    lines.push(match errors {
        0 => format!("The configuration is sound{warned}."),
        1 => format!("1 error{warned}."),
        many => format!("{many} errors{warned}."),
    });
    if let Some(settings) = settings.filter(|_| errors == 0) {
        lines.push("Register these redirect URIs with the identity providers:".to_owned());
        for host in &settings.proxy.hosts {
            lines.push(format!("    {}{}", host.origin, paths::CALLBACK));
        }
        lines.push("And these for after logging out:".to_owned());
        for host in &settings.proxy.hosts {
            lines.push(format!("    {}{}", host.origin, paths::LOGGED_OUT));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator_file::SourceFile;

    #[test]
    fn a_sound_installation_is_told_what_to_register() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vestibule.toml");
        let text = "
            host = [{ origin = 'https://app.example.com' }, { origin = 'https://b.example.com:8443' }]
            listen = { address = '127.0.0.1:8080' }
            upstream = { servers = ['http://10.0.0.5:8080'] }
            [[identity_provider]]
            id = 'corp'
            issuer = 'https://idp.example.com'
            client_id = 'vestibule'
        ";
        std::fs::write(&path, text).unwrap();
        let loaded = config::examine(&path);
        insta::assert_snapshot!(report(&loaded.problems, loaded.settings.as_ref()));
    }

    #[test]
    fn mistakes_are_listed_and_counted() {
        let mut problems = Problems::default();
        let file = SourceFile::new("vestibule.toml", "a\nb\n");
        let mut findings = crate::operator_file::Findings::new(&file, &mut problems);
        findings.warning(&(2..3), "b is odd", "write c");
        findings.error(&(0..1), "a is wrong", "write b");
        insta::assert_snapshot!(report(&problems, None));
    }
}
