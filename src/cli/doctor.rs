//! `vestibule doctor`: tries everything that the installation needs, changes nothing, and says of
//! each what to do where it does not work.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::check::check_policies;
use super::say::say;
use super::serve;
use crate::assemble::doctor::{self, Finding, Health};
use crate::config;
use crate::operator_file::{Problems, Severity};

/// Prints the findings; fails where something does not work.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let mut loaded = config::examine(path);
    check_policies(&mut loaded);
    let mut findings = vec![files(path, &loaded.problems)];
    if let Some(settings) = loaded.settings {
        findings.extend(serve::runtime()?.block_on(doctor::examine(settings)));
    }
    say(&report(&findings))?;
    let is_well = !findings
        .iter()
        .any(|finding| matches!(finding.state, Health::Wrong(..)));
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("the files have {count} {what}{plural}")
}

fn files(path: &Path, problems: &Problems) -> Finding {
    let fix = "`vestibule check` says which and what to write instead".to_owned();
    let count = |severity| problems.count(severity);
    let state = match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => Health::Fine(format!("{} and the policies are sound", path.display())),
        (0, warnings) => Health::Odd(counted(warnings, "warning"), fix),
        (errors, _) => Health::Wrong(counted(errors, "mistake"), fix),
    };
    Finding {
        what: "files".to_owned(),
        state,
    }
}

fn report(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.chars().count());
    let width = width.max().unwrap_or_default();
    let mut text = String::new();
    for Finding { what, state } in findings {
        let (word, said, fix) = match state {
            Health::Fine(about) => ("ok", about, None),
            Health::Odd(why, fix) => ("look", why, Some(fix)),
            Health::Wrong(why, fix) => ("WRONG", why, Some(fix)),
        };
        let _ = writeln!(text, "{word:<6} {what:<width$}  {said}");
        if let Some(fix) = fix {
            let _ = writeln!(text, "{:<6} {:<width$}  -> {fix}", "", "");
        }
    }
    let wrong = findings
        .iter()
        .filter(|finding| matches!(finding.state, Health::Wrong(..)))
        .count();
    let _ = match wrong {
        0 => writeln!(text, "Everything that was tried works."),
        1 => writeln!(text, "1 thing does not work."),
        many => writeln!(text, "{many} things do not work."),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_how_it_is_and_what_to_do() {
        let finding = |what: &str, state| Finding {
            what: what.to_owned(),
            state,
        };
        let findings = [
            finding(
                "database",
                Health::Fine("PostgreSQL, up to date".to_owned()),
            ),
            finding(
                "mail",
                Health::Odd("no letters are sent".to_owned(), "write [mail]".to_owned()),
            ),
            finding(
                "provider corp",
                Health::Wrong("out of reach".to_owned(), "start it".to_owned()),
            ),
        ];
        insta::assert_snapshot!(report(&findings));
    }
}
