//! Whether a TOML table has the shape that a JSON Schema asks for: keys, types, words.
//!
//! It knows what `schemars` makes of our own types and no more.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::at::Span;
use super::problem::Findings;
use crate::spelling::closest;

/// Reports every deviation; true when there is none.
pub fn check(schema: &Value, table: &Spanned<DeTable<'_>>, findings: &mut Findings<'_>) -> bool {
    let mut check = Check {
        definitions: schema.get("$defs").unwrap_or(&Value::Null),
        findings,
        is_sound: true,
    };
    check.table(schema, table.as_ref(), (&table.span(), ""));
    check.is_sound
}

struct Check<'s, 'f, 'p> {
    definitions: &'s Value,
    findings: &'f mut Findings<'p>,
    is_sound: bool,
}

impl<'s> Check<'s, '_, '_> {
    fn value(&mut self, schema: &'s Value, value: &Spanned<DeValue<'_>>, path: &str) {
        let schema = self.fitting(self.resolve(schema), value.as_ref());
        let span = value.span();
        let wanted = kinds(self.resolve(schema));
        if !wanted.is_empty() && !wanted.iter().any(|kind| is_kind(value.as_ref(), kind)) {
            return self.wrong_type(schema, value, path);
        }
        match value.as_ref() {
            DeValue::Table(table) => self.table(schema, table, (&span, path)),
            DeValue::Array(items) => {
                for item in items {
                    self.value(schema.get("items").unwrap_or(&Value::Null), item, path);
                }
            }
            DeValue::String(text) => self.word(schema, text, (&span, path)),
            _ => {}
        }
    }

    /// The definition that a schema points to.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let pointed = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/$defs/"))
            .and_then(|name| self.definitions.get(name));
        pointed.unwrap_or(schema)
    }

    /// Of several ways to write something, the one with the type of `value`.
    fn fitting(&self, schema: &'s Value, value: &DeValue<'_>) -> &'s Value {
        let Some(Value::Array(choices)) = schema.get("anyOf") else {
            return schema;
        };
        let fits = |choice: &&'s Value| kinds(choice).iter().any(|kind| is_kind(value, kind));
        let mut resolved = choices.iter().map(|choice| self.resolve(choice));
        resolved.find(fits).unwrap_or(schema)
    }

    fn table(&mut self, schema: &'s Value, table: &DeTable<'_>, at: (&Span, &str)) {
        let none = Map::new();
        let declared = schema.get("properties").and_then(Value::as_object);
        let others = schema
            .get("additionalProperties")
            .filter(|others| others.is_object());
        for (key, value) in table {
            let name: &str = key.as_ref();
            let inner = join(at.1, name);
            match declared.and_then(|known| known.get(name)).or(others) {
                Some(schema) => self.value(schema, value, &inner),
                None => self.unknown_key((&key.span(), &inner), declared.unwrap_or(&none)),
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) {
                self.missing_key(declared.and_then(|known| known.get(name)), name, at);
            }
        }
    }

    fn word(&mut self, schema: &'s Value, text: &str, (span, path): (&Span, &str)) {
        let allowed = words(schema);
        if allowed.is_empty() || allowed.contains(&text) {
            return;
        }
        self.is_sound = false;
        let message = format!("`{path}` cannot be `{text}`");
        self.findings.error(span, message, instead(text, &allowed));
    }

    fn unknown_key(&mut self, (span, path): (&Span, &str), known: &Map<String, Value>) {
        self.is_sound = false;
        let name = path.rsplit('.').next().unwrap_or(path);
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        self.findings
            .error(span, format!("unknown key `{path}`"), instead(name, &known));
    }

    fn missing_key(&mut self, schema: Option<&Value>, name: &str, (span, path): (&Span, &str)) {
        self.is_sound = false;
        let meaning = schema.and_then(|schema| schema.get("description"));
        let meaning = meaning.and_then(Value::as_str).unwrap_or_default();
        let meaning = meaning.lines().next().unwrap_or_default();
        let message = format!("`{}` is missing", join(path, name));
        self.findings
            .error(span, message, format!("add `{name}`: {meaning}"));
    }

    fn wrong_type(&mut self, schema: &'s Value, value: &Spanned<DeValue<'_>>, path: &str) {
        self.is_sound = false;
        let schema = self.resolve(schema);
        let wanted: Vec<&str> = kinds(schema).into_iter().map(spoken).collect();
        let message = format!(
            "`{path}` is {}, not {}",
            spoken_of(value.as_ref()),
            wanted.join(" or ")
        );
        let advice = self.notation(schema, value.as_ref());
        let advice = advice.unwrap_or_else(|| match (wanted.as_slice(), value.as_ref()) {
            (["text"], DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Float(_)) => {
                "put it in quotes".to_owned()
            }
            (["a list"], DeValue::Table(_)) => format!("write `[[{path}]]`"),
            (["a list"], _) => "put it in square brackets".to_owned(),
            _ => format!("write {}", wanted.join(" or ")),
        });
        self.findings.error(&value.span(), message, advice);
    }

    /// How the key is written: by an example, with `value` in a list, or with the keys of a small
    /// table. What is written where a table belongs may be a secret, and is not repeated.
    fn notation(&self, schema: &'s Value, value: &DeValue<'_>) -> Option<String> {
        if let Some(example) = schema.pointer("/examples/0").and_then(Value::as_str) {
            return Some(format!("write it like `\"{example}\"`"));
        }
        if let DeValue::String(text) = value
            && self.lists_text(schema)
        {
            return Some(format!("write `[{text:?}]`"));
        }
        (kinds(schema) == ["object"]).then(|| small_table(schema))?
    }

    /// Whether a list of texts is one way to write it.
    fn lists_text(&self, schema: &'s Value) -> bool {
        let ways = schema.get("anyOf").and_then(Value::as_array);
        let mut ways = ways.into_iter().flatten().chain([schema]);
        ways.any(|way| {
            let items = way.get("items").map(|items| self.resolve(items));
            items.is_some_and(|items| kinds(items) == ["string"])
        })
    }
}

/// The notation of a table with a few texts: all that are required, or any one.
fn small_table(schema: &Value) -> Option<String> {
    let keys = schema.get("properties")?.as_object()?;
    let is_small = keys.len() <= 3 && keys.values().all(|key| kinds(key) == ["string"]);
    if !is_small {
        return None;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required: Vec<&str> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let entry = |key: &str| format!("{key} = \"…\"");
    if required.is_empty() {
        let ways = keys.keys().map(|key| format!("`{{ {} }}`", entry(key)));
        return Some(format!("write {}", ways.collect::<Vec<_>>().join(" or ")));
    }
    let entries = required.into_iter().map(entry).collect::<Vec<_>>();
    Some(format!("write `{{ {} }}`", entries.join(", ")))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn instead(written: &str, known: &[&str]) -> String {
    match closest(written, known.iter().copied()) {
        Some(word) => format!("write `{word}`"),
        None if known.is_empty() => "remove it".to_owned(),
        None => {
            let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("there are {}", quoted.join(", "))
        }
    }
}

/// The types that a schema allows, in JSON Schema's words.
fn kinds(schema: &Value) -> Vec<&str> {
    let own = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let choices = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|way| schema.get(*way)?.as_array())
        .flatten();
    let mut all: Vec<&str> = own.into_iter().chain(choices.flat_map(kinds)).collect();
    all.dedup();
    all
}

/// The words that a schema allows; empty for any.
fn words(schema: &Value) -> Vec<&str> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return vec![word];
    }
    let own = schema.get("enum").and_then(Value::as_array);
    let choices = schema.get("oneOf").and_then(Value::as_array);
    own.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .chain(choices.into_iter().flatten().flat_map(words))
        .collect()
}

fn is_kind(value: &DeValue<'_>, kind: &str) -> bool {
    match value {
        DeValue::String(_) => kind == "string",
        DeValue::Integer(_) => kind == "integer" || kind == "number",
        DeValue::Float(_) => kind == "number",
        DeValue::Boolean(_) => kind == "boolean",
        DeValue::Datetime(_) => false,
        DeValue::Array(_) => kind == "array",
        DeValue::Table(_) => kind == "object",
    }
}

fn spoken(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    }
}

fn spoken_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
