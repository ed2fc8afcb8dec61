//! Files that operators write: TOML, read against the schema of its type, with every mistake
//! found at once.
//!
//! A mistake names file, line and column, says what is wrong, and says what to write instead.
//! What the values of a file mean together is judged by the slice that owns the file.

mod at;
mod notation;
mod one_or_many;
mod problem;
mod shape;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::de::DeTable;

pub use at::{At, Parsed, Span};
pub use notation::{Mailbox, Notation, Octets, Rate, Unreadable};
pub use one_or_many::{OneOrMany, Words};
pub use problem::{Findings, Place, Problem, Problems, Severity};

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it is, as shown to the operator.
    pub path: PathBuf,
    /// Its text, without a byte-order mark.
    pub text: String,
}

impl SourceFile {
    /// Takes a text that was read elsewhere.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.trim_start_matches('\u{feff}').to_owned(),
        }
    }

    /// Reads a file; what cannot be read is a problem.
    pub fn read(path: &Path, problems: &mut Problems) -> Option<Self> {
        let trouble = match std::fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(Self::new(path, &text)),
                Err(_) => ("it is not UTF-8 text".to_owned(), "save it as UTF-8"),
            },
            Err(error) => (
                error.to_string(),
                "give the path of a file that can be read",
            ),
        };
        let (why, advice) = trouble;
        let message = format!("the file cannot be read: {why}");
        problems.add(Problem::of_file(path, message, advice));
        None
    }

    /// Line and column, from 1, of an offset.
    pub fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }

    /// The value that the file says, unless it has mistakes.
    pub fn parse<T: DeserializeOwned + JsonSchema>(&self, problems: &mut Problems) -> Option<T> {
        let value = self.well_formed(problems);
        if value.is_none() {
            problems.is_ill_formed(&self.path);
        }
        value
    }

    fn well_formed<T: DeserializeOwned + JsonSchema>(&self, problems: &mut Problems) -> Option<T> {
        let mut findings = Findings::new(self, problems);
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if !errors.is_empty() {
            for error in errors {
                findings.syntax(&error);
            }
            return None;
        }
        if !shape::check(&schema_of::<T>(), &table, &mut findings) {
            return None;
        }
        T::deserialize(toml::de::Deserializer::from(table))
            .map_err(|error| findings.syntax(&error))
            .ok()
    }
}

/// The JSON Schema (draft 2020-12) of a type, without `null`, which TOML does not have.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    forget_null(&mut value);
    value
}

/// `["string", "null"]` is `"string"`, `anyOf: [X, null]` is `X`, and a default of null is none.
fn forget_null(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(forget_null),
        Value::Object(parts) => {
            if parts.get("default").is_some_and(Value::is_null) {
                parts.remove("default");
            }
            if let Some(Value::Array(types)) = parts.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    parts.insert("type".to_owned(), only);
                }
            }
            unwrap_optional(parts);
            parts.values_mut().for_each(forget_null);
        }
        _ => {}
    }
}

fn unwrap_optional(parts: &mut serde_json::Map<String, Value>) {
    let Some(Value::Array(choices)) = parts.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        parts.remove("anyOf");
        for (key, value) in only {
            parts.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests;
