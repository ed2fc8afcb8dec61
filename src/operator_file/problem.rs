//! What is wrong with a file, where, and what to write instead.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::at::{Parsed, Span};
use super::{At, SourceFile};
use crate::spelling::closest;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and should be looked at.
    Warning,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, one line.
    pub message: String,
    /// What to write instead, one line.
    pub advice: String,
}

impl Problem {
    /// An error about a file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            place: Place {
                file: file.to_owned(),
                line: 0,
                column: 0,
            },
            severity: Severity::Error,
            message: message.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        write!(f, "{}", file.display())?;
        if *line > 0 {
            write!(f, ":{line}:{column}")?;
        }
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {word}: {}\n    {}", self.message, self.advice)
    }
}

/// All problems found, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    all: Vec<Problem>,
    ill_formed: BTreeSet<PathBuf>,
}

impl Problems {
    /// Takes one more.
    pub fn add(&mut self, problem: Problem) {
        if self.all.contains(&problem) {
            return;
        }
        let after = self
            .all
            .partition_point(|other| other.place <= problem.place);
        self.all.insert(after, problem);
    }

    /// Takes those of other files.
    pub fn add_all(&mut self, others: Self) {
        self.ill_formed.extend(others.ill_formed);
        others.all.into_iter().for_each(|problem| self.add(problem));
    }

    /// Of this file only the form was judged: it has mistakes.
    pub(super) fn is_ill_formed(&mut self, file: &Path) {
        self.ill_formed.insert(file.to_owned());
    }

    /// Files of which only the form was judged; more may be wrong with them.
    pub fn ill_formed(&self) -> impl Iterator<Item = &Path> {
        self.ill_formed.iter().map(PathBuf::as_path)
    }

    /// All of them.
    pub fn all(&self) -> &[Problem] {
        &self.all
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.all
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.all {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Findings<'a> {
    file: &'a SourceFile,
    problems: &'a mut Problems,
}

impl<'a> Findings<'a> {
    /// Collects problems of `file` into `problems`.
    pub fn new(file: &'a SourceFile, problems: &'a mut Problems) -> Self {
        Self { file, problems }
    }

    /// Something wrong.
    pub fn error(&mut self, span: &Span, message: impl Into<String>, advice: impl Into<String>) {
        self.find(Severity::Error, span, (message.into(), advice.into()));
    }

    /// Something that should be looked at.
    pub fn warning(&mut self, span: &Span, message: impl Into<String>, advice: impl Into<String>) {
        self.find(Severity::Warning, span, (message.into(), advice.into()));
    }

    /// The value of a text with a notation, unless it is wrong.
    pub fn take<T: Clone>(&mut self, parsed: &Parsed<T>) -> Option<T> {
        match &parsed.outcome {
            Ok(value) => Some(value.clone()),
            Err(wrong) => {
                self.error(&parsed.span, &wrong.message, &wrong.advice);
                None
            }
        }
    }

    /// [`Findings::take`] of a text that may be missing.
    pub fn take_optional<T: Clone>(&mut self, parsed: Option<&Parsed<T>>) -> Option<T> {
        parsed.and_then(|parsed| self.take(parsed))
    }

    /// Reports the second of two things with the same name.
    pub fn no_doubles<'n>(&mut self, what: &str, names: impl Iterator<Item = &'n At<String>>) {
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if seen.contains(&name.as_str()) {
                let message = format!("there are two {what}s called `{}`", name.value);
                self.error(&name.span, message, "give one of them another name");
            }
            seen.push(name.as_str());
        }
    }

    /// Reports a name in an expression to which nothing gives a value.
    pub fn no_unknown_name(&mut self, span: &Span, unknown: Option<&str>, known: &[&str]) {
        let Some(name) = unknown else {
            return;
        };
        let all = || {
            known
                .iter()
                .map(|one| format!("`{one}`"))
                .collect::<Vec<_>>()
        };
        let advice = closest(name, known.iter().copied()).map_or_else(
            || format!("it can speak of {}", all().join(", ")),
            |meant| format!("write `{meant}`"),
        );
        self.error(span, format!("nothing here is called `{name}`"), advice);
    }

    /// Where the problems of another file that this one names are collected.
    pub fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// The file.
    pub fn file(&self) -> &SourceFile {
        self.file
    }

    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let message = one_line(error.message());
        self.error(
            &span,
            message,
            "see https://toml.io for how TOML is written",
        );
    }

    fn find(&mut self, severity: Severity, span: &Span, (message, advice): (String, String)) {
        let place = self.file.place(span.start);
        self.problems.add(Problem {
            place,
            severity,
            message,
            advice,
        });
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
