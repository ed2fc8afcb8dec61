//! Expressions of `rest.toml` over the values that a call has.

use serde_json::Value;

use super::template::as_text;
use crate::expression::{Condition, EvaluationError, Expression};

/// What speaks of named values.
pub(super) trait Names {
    /// The first name in it that is not known.
    fn unknown_variable(&self, known: &[&str]) -> Option<&str>;

    /// The first member of the variable `of` that is not known.
    fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str>;
}

impl Names for Expression {
    fn unknown_variable(&self, known: &[&str]) -> Option<&str> {
        Self::unknown_variable(self, known)
    }

    fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str> {
        Self::unknown_member(self, of, known)
    }
}

impl Names for Condition {
    fn unknown_variable(&self, known: &[&str]) -> Option<&str> {
        Self::unknown_variable(self, known)
    }

    fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str> {
        Self::unknown_member(self, of, known)
    }
}

/// Named values.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Variables<'a> {
    /// These and one more.
    #[must_use]
    pub(super) fn with(mut self, name: &'a str, value: &'a Value) -> Self {
        self.0.push((name, value));
        self
    }

    /// These and what is given to a call.
    #[must_use]
    pub(super) fn given(mut self, inputs: &'a [(&'static str, Value)]) -> Self {
        self.0
            .extend(inputs.iter().map(|(name, value)| (*name, value)));
        self
    }

    /// What an expression gives.
    pub(super) fn value(&self, expression: &Expression) -> Result<Value, EvaluationError> {
        expression.evaluate(&self.0)
    }

    /// The text that an expression gives; none where there is none, or a member is missing.
    pub(super) fn text(&self, expression: Option<&Expression>) -> Option<String> {
        let text = as_text(&self.value(expression?).ok()?)?;
        (!text.is_empty()).then_some(text)
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: &Condition) -> Result<bool, EvaluationError> {
        condition.holds(&self.0)
    }
}

/// The value without members that are null.
pub(super) fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, without_null(member)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_null).collect(),
        other => other,
    }
}
