//! Texts with expressions in braces: `/users/{id}`.
//!
//! In a path, what the braces give is percent-encoded but for unreserved characters (RFC 6570,
//! section 3.2.2), so that no value can name another path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::evaluation::{Names, Variables};
use crate::expression::{EvaluationError, Expression};
use crate::operator_file::{Notation, Unreadable};

/// All but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text with expressions in braces.
#[derive(Debug, Clone)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Expression(Expression),
}

/// A template cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotFill {
    /// An expression cannot be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// An expression gives a list, a table or nothing.
    #[error("`{source_text}` gives no text")]
    NoText {
        /// The expression.
        source_text: String,
    },
}

impl Template {
    /// Whether it is a path, without a query.
    pub(super) fn is_path(&self) -> bool {
        let starts = matches!(self.0.first(), Some(Piece::Text(text)) if text.starts_with('/'));
        let mut texts = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Expression(_) => None,
        });
        starts && !texts.any(|text| text.contains(['?', '#']))
    }

    /// The same behind a text.
    #[must_use]
    pub(super) fn behind(mut self, text: &str) -> Self {
        self.0.insert(0, Piece::Text(text.to_owned()));
        self
    }

    /// The text with everything filled in; none where it is one expression that gives null.
    pub(super) fn fill(&self, variables: &Variables<'_>) -> Result<Option<String>, CannotFill> {
        if let [Piece::Expression(only)] = self.0.as_slice()
            && variables.value(only)?.is_null()
        {
            return Ok(None);
        }
        self.filled(variables, str::to_owned).map(Some)
    }

    /// The text as a path; none where a part of it would be empty or lead elsewhere (`.`, `..`).
    pub(super) fn path(&self, variables: &Variables<'_>) -> Result<Option<String>, CannotFill> {
        let path = self.filled(variables, |text| {
            utf8_percent_encode(text, RESERVED).to_string()
        })?;
        let inner = path.strip_prefix('/').unwrap_or(&path);
        let inner = match self.0.last() {
            Some(Piece::Expression(_)) => inner,
            _ => inner.strip_suffix('/').unwrap_or(inner),
        };
        let is_sound = inner
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
        Ok(is_sound.then_some(path))
    }

    fn filled(
        &self,
        variables: &Variables<'_>,
        encoded: impl Fn(&str) -> String,
    ) -> Result<String, CannotFill> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Expression(expression) => {
                    let text = as_text(&variables.value(expression)?);
                    let text = text.ok_or_else(|| CannotFill::NoText {
                        source_text: expression.source().to_owned(),
                    })?;
                    filled.push_str(&encoded(&text));
                }
            }
        }
        Ok(filled)
    }
}

/// A value as a text, where it is one, a number, or true or false.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(holds) => Some(holds.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Names for Template {
    fn unknown_variable(&self, known: &[&str]) -> Option<&str> {
        self.expressions()
            .find_map(|one| one.unknown_variable(known))
    }

    fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str> {
        self.expressions()
            .find_map(|one| one.unknown_member(of, known))
    }
}

impl Template {
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Expression(expression) => Some(expression),
        })
    }
}

impl Notation for Template {
    const FORMAT: &'static str = "template";
    const EXAMPLE: &'static str = "/users/{id}";

    fn read(text: &str) -> Result<Self, Unreadable> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((inside, left)) = after.split_once('}') else {
                return Err(Unreadable {
                    message: format!("a brace is not closed in `{text}`"),
                    advice: format!("write it like `{}`", Self::EXAMPLE),
                });
            };
            let expression = Expression::compile(inside).map_err(|error| Unreadable {
                message: format!("`{{{inside}}}`: {error}"),
                advice: format!(
                    "write a CEL expression in the braces, like `{}`",
                    Self::EXAMPLE
                ),
            })?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Expression(expression));
            rest = left;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::evaluation::Variables;
    use super::*;

    fn filled(text: &str, id: &Value) -> Option<String> {
        let template = Template::read(text).unwrap();
        template
            .path(&Variables::default().with("id", id))
            .unwrap_or(None)
    }

    #[test]
    fn values_are_encoded_in_paths_and_never_name_another_one() {
        let user = |id: &str| filled("/users/{id}", &json!(id));
        assert_eq!(user("7").as_deref(), Some("/users/7"));
        assert_eq!(
            user("a/../b?c=d&e#é").as_deref(),
            Some("/users/a%2F..%2Fb%3Fc%3Dd%26e%23%C3%A9")
        );
        for elsewhere in ["", ".", ".."] {
            assert_eq!(user(elsewhere), None, "{elsewhere}");
            let inside = filled("/users/{id}/roles", &json!(elsewhere));
            assert_eq!(inside, None, "{elsewhere}");
        }
        assert_eq!(
            filled("/users/{id}", &json!(7)).as_deref(),
            Some("/users/7")
        );
        assert_eq!(filled("/users/{id}", &json!(null)), None);
    }

    #[test]
    fn a_text_that_is_nothing_is_left_out() {
        let template = Template::read("{id}").unwrap();
        let fill = |id: &Value| {
            let variables = Variables::default().with("id", id);
            template.fill(&variables).unwrap()
        };
        assert_eq!(fill(&Value::Null), None);
        assert_eq!(fill(&json!("a b")).as_deref(), Some("a b"));
        assert!(Template::read("/users/{id").is_err());
        assert!(Template::read("/users/{}").is_err());
    }
}
