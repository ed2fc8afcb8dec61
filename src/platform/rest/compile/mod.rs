//! `rest.toml` to a [`Description`], or every mistake in it.

mod authentication;
mod completeness;
mod operations;
mod reading;

use std::collections::BTreeMap;

use http::HeaderName;

use super::description::{Description, MEMBERS, Rule};
use super::document::{Meaning, OutcomeTable, RestFile};
use super::evaluation::Names;
use super::template::Template;
use crate::operator_file::{Findings, Parsed, Problems, SourceFile, Span};

/// What an outcome rule can speak of.
const OUTCOME: [&str; 3] = ["status", "answer", "headers"];

/// Reads the file; `secrets` are the names that the installation gives.
pub fn read(source: &SourceFile, secrets: &[&str], problems: &mut Problems) -> Option<Description> {
    let file = source.parse::<RestFile>(problems)?;
    let mut compile = Compile {
        secrets,
        findings: Findings::new(source, problems),
    };
    compile.description(&file).ok()
}

/// What is wrong, and reported.
#[derive(Debug, Clone, Copy)]
struct Reported;

type Sound<T> = Result<T, Reported>;

struct Compile<'a> {
    secrets: &'a [&'a str],
    findings: Findings<'a>,
}

impl Compile<'_> {
    fn description(&mut self, file: &RestFile) -> Sound<Description> {
        let RestFile {
            headers,
            authentication,
            outcome,
            read,
            operation,
        } = file;
        let headers = self.headers(headers, &[]);
        let authentication = self.authentication(authentication);
        let outcome = self.outcome(outcome);
        let operations = self.operations(operation);
        let user = self.user(&read.user);
        let customer = self.customer(&read.customer);
        let location = read.location.as_ref().map(|read| self.location(read));
        let partner = read.partner.as_ref().map(|read| self.partner(read));
        if let Ok(operations) = &operations {
            self.is_complete(file, operations);
        }
        Ok(Description {
            headers: headers?,
            authentication: authentication?,
            outcome: outcome?,
            user: user?,
            customer: customer?,
            location: location.transpose()?,
            partner: partner.transpose()?,
            operations: operations?,
        })
    }

    /// A value in which every name has a value.
    fn known<T: Names + Clone>(&mut self, parsed: &Parsed<T>, known: &[&str]) -> Sound<T> {
        let value = self.findings.take(parsed).ok_or(Reported)?;
        let all: Vec<&str> = known.iter().copied().chain(["secret"]).collect();
        let unknown = value.unknown_variable(&all).map(str::to_owned);
        let mut is_known = unknown.is_none();
        self.findings
            .no_unknown_name(&parsed.span, unknown.as_deref(), &all);
        if let Some(name) = value.unknown_member("secret", self.secrets) {
            is_known = false;
            let message = format!("there is no secret `{name}`");
            let advice = format!("write `{name} = {{ file = \"…\" }}` in [platform.secrets]");
            self.findings.error(&parsed.span, message, advice);
        }
        for (of, members) in MEMBERS.iter().filter(|(of, _)| known.contains(of)) {
            let unknown = value.unknown_member(of, members);
            is_known &= unknown.is_none();
            self.findings
                .no_unknown_name(&parsed.span, unknown, members);
        }
        is_known.then_some(value).ok_or(Reported)
    }

    fn optional<T: Names + Clone>(
        &mut self,
        parsed: Option<&Parsed<T>>,
        known: &[&str],
    ) -> Sound<Option<T>> {
        parsed.map(|parsed| self.known(parsed, known)).transpose()
    }

    fn headers(
        &mut self,
        headers: &BTreeMap<String, Parsed<Template>>,
        known: &[&str],
    ) -> Sound<Vec<(HeaderName, Template)>> {
        let mut all = Vec::new();
        let mut is_sound = true;
        for (name, template) in headers {
            let value = self.known(template, known);
            let header = name.parse::<HeaderName>().ok();
            if header.is_none() {
                let message = format!("`{name}` is not a header name");
                let advice = "write it like `X-Tenant`";
                self.findings.error(&template.span, message, advice);
            }
            match (header, value) {
                (Some(header), Ok(value)) => all.push((header, value)),
                _ => is_sound = false,
            }
        }
        is_sound.then_some(all).ok_or(Reported)
    }

    fn outcome(&mut self, rules: &[OutcomeTable]) -> Sound<Vec<Rule>> {
        let mut all = Vec::new();
        let mut is_sound = true;
        for OutcomeTable { when, means, field } in rules {
            let when = self.known(when, &OUTCOME);
            let named = self.optional(field.as_ref(), &OUTCOME);
            if let Some(field) = field
                && !takes_field(means.value)
            {
                is_sound = false;
                let message = "`field` says nothing to this outcome";
                let advice = "write it with `refused`, `full` and `not_set_up` alone";
                self.findings.error(&field.span, message, advice);
            }
            match (when, named) {
                (Ok(when), Ok(field)) => all.push(Rule {
                    when,
                    means: means.value,
                    field,
                }),
                _ => is_sound = false,
            }
        }
        is_sound.then_some(all).ok_or(Reported)
    }

    fn missing(&mut self, span: &Span, key: &str, why: &str) {
        let message = format!("`{key}` is missing");
        self.findings.error(span, message, why);
    }
}

fn takes_field(means: Meaning) -> bool {
    matches!(means, Meaning::Refused | Meaning::Full | Meaning::NotSetUp)
}

#[cfg(test)]
mod tests;
