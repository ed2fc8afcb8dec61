//! `vestibule config-reference`: everything that can be written into the files, as Markdown, made
//! from the same types that read them.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value};

use super::say::say;
use super::schema::{File, of};

const FILES: [(File, &str); 6] = [
    (File::Vestibule, "vestibule.toml"),
    (File::Access, "policies/access.toml"),
    (File::Onboarding, "policies/onboarding.toml"),
    (File::Limits, "policies/limits.toml"),
    (File::Signup, "policies/signup/*.toml"),
    (File::Rest, "rest.toml"),
];

const OPENING: &str = "\
# Configuration

Everything that can be written into the files of an installation. This page is made by
`vestibule config-reference` from the types that read the files; `vestibule schema` prints the same
as JSON Schema, for editors. `vestibule check` finds every mistake in them.

Texts with a notation of their own: a duration is `500ms`, `30s`, `5m`, `8h` or `1d`; a size is
`512B`, `64KiB`, `10MiB` or `1GiB`; a rate is `10/s`, `100/min` or `1000/h`; conditions and
expressions are CEL. Relative paths start at the folder of the file.
";

/// Prints the reference.
pub fn run() -> anyhow::Result<ExitCode> {
    say(&reference())?;
    Ok(ExitCode::SUCCESS)
}

fn reference() -> String {
    let mut text = OPENING.to_owned();
    for (file, name) in FILES {
        let schema = of(file);
        let _ = write!(text, "\n## `{name}`\n\n{}\n", meaning(&schema));
        let definitions = schema.get("$defs").cloned().unwrap_or_default();
        let mut page = Page {
            definitions: &definitions,
            text: &mut text,
        };
        page.table(&schema, "");
    }
    text
}

struct Page<'a> {
    definitions: &'a Value,
    text: &'a mut String,
}

impl Page<'_> {
    /// The keys of a table, then the tables in it.
    fn table(&mut self, schema: &Value, place: &str) {
        let none = Map::new();
        let keys = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let mut below: Vec<Below> = Vec::new();
        self.text
            .push_str("\n| key | value | meaning |\n|---|---|---|\n");
        for (key, schema) in keys.unwrap_or(&none) {
            let is_required = required.is_some_and(|all| all.iter().any(|name| name == key));
            let (kind, inner) = self.kind(schema);
            let needed = if is_required { ", required" } else { "" };
            let _ = writeln!(
                self.text,
                "| `{key}` | {kind}{needed} | {} |",
                row(&meaning(schema))
            );
            below.extend(inner.map(|(schema, is_list)| Below {
                key: key.clone(),
                schema,
                is_list,
            }));
        }
        for Below {
            key,
            schema,
            is_list,
        } in told_once(below)
        {
            let inner = if place.is_empty() {
                key
            } else {
                format!("{place}.{key}")
            };
            let heading = if is_list {
                format!("[[{inner}]]")
            } else {
                format!("[{inner}]")
            };
            let _ = write!(self.text, "\n### `{heading}`\n\n{}\n", meaning(&schema));
            self.table(&schema, &inner);
        }
    }

    /// How a value is written, and the table that it is, if it is one that has a section.
    fn kind(&self, schema: &Value) -> (String, Option<(Value, bool)>) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let (kinds, inner): (Vec<_>, Vec<_>) = choices.iter().map(|one| self.kind(one)).unzip();
            return (kinds.join(" or "), inner.into_iter().flatten().next());
        }
        let words = words(&schema);
        if !words.is_empty() {
            return (words.join(", "), None);
        }
        let format = schema.get("format").and_then(Value::as_str);
        match schema.get("type").and_then(Value::as_str) {
            Some("array") => {
                let (kind, inner) = self.kind(schema.get("items").unwrap_or(&Value::Null));
                (
                    format!("list of {kind}"),
                    inner.map(|(schema, _)| (schema, true)),
                )
            }
            Some("object") if is_secret(&schema) => {
                ("`{ file = \"…\" }` or `{ env = \"…\" }`".to_owned(), None)
            }
            Some("object") => self.object(&schema),
            Some("boolean") => ("true or false".to_owned(), None),
            Some("integer" | "number") => ("number".to_owned(), None),
            Some("string") => (spoken(format).to_owned(), None),
            _ => ("text".to_owned(), None),
        }
    }

    fn object(&self, schema: &Value) -> (String, Option<(Value, bool)>) {
        let has_keys = schema.get("properties").is_some();
        match schema.get("additionalProperties") {
            Some(others) if !has_keys && others.is_object() => {
                let inner = self.kind(others).1;
                ("table by name".to_owned(), inner)
            }
            _ => ("table".to_owned(), Some((schema.clone(), false))),
        }
    }

    fn resolve(&self, schema: &Value) -> Value {
        let pointed = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/$defs/"))
            .and_then(|name| self.definitions.get(name));
        pointed.unwrap_or(schema).clone()
    }
}

/// A table in a table.
struct Below {
    key: String,
    schema: Value,
    is_list: bool,
}

/// Of many tables of one shape, one alone, under the name `*`.
fn told_once(tables: Vec<Below>) -> Vec<Below> {
    let count = |schema: &Value, among: &[Below]| {
        let same = among.iter().filter(|one| one.schema == *schema);
        same.count()
    };
    let many: Vec<Value> = tables
        .iter()
        .filter(|table| count(&table.schema, &tables) > 3)
        .map(|table| table.schema.clone())
        .collect();
    let mut told: Vec<Below> = Vec::new();
    for mut table in tables {
        if many.contains(&table.schema) {
            if count(&table.schema, &told) > 0 {
                continue;
            }
            "*".clone_into(&mut table.key);
        }
        told.push(table);
    }
    told
}

fn is_secret(schema: &Value) -> bool {
    let keys = schema.get("properties").and_then(Value::as_object);
    keys.is_some_and(|keys| {
        keys.len() == 2 && keys.contains_key("file") && keys.contains_key("env")
    })
}

fn words(schema: &Value) -> Vec<String> {
    let own = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let choices = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let constants = choices.flat_map(|one| match one.get("const") {
        Some(word) => vec![word],
        None => one
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .collect(),
    });
    own.chain(constants)
        .filter_map(Value::as_str)
        .map(|word| format!("`{word}`"))
        .collect()
}

fn spoken(format: Option<&str>) -> &str {
    match format {
        Some("uri") => "URL",
        Some("socket-address") => "address and port",
        Some("header-name") => "header name",
        Some("cel-condition") => "CEL condition",
        Some("cel") => "CEL expression",
        Some("template") => "text with `{expressions}`",
        Some("mailbox") => "mail address",
        Some(format @ ("duration" | "size" | "rate" | "network")) => format,
        _ => "text",
    }
}

fn meaning(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// A text in one cell of a table.
fn row(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_that_of_the_types() {
        let path = format!("{}/docs/configuration.md", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == reference(),
            "docs/configuration.md is not up to date: write it with `vestibule config-reference`"
        );
    }
}
