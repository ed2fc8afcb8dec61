//! What is asked, what may be answered. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HookDown;

/// The longest message to a person, characters.
const LONGEST_MESSAGE: usize = 500;
/// The longest value, characters.
const LONGEST_VALUE: usize = 2000;
/// The most values or messages in one answer.
const MOST_ENTRIES: usize = 100;

/// When the endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Moment {
    /// Before the form is shown.
    #[serde(rename = "registration.start")]
    Start,
    /// After the form was sent and found valid, before anything is kept.
    #[serde(rename = "registration.submit")]
    Submit,
}

/// What the endpoint is asked.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// When.
    #[serde(rename = "type")]
    pub moment: Moment,
    /// The host that the page is on.
    pub host: String,
    /// The language of the page.
    pub language: &'static str,
    /// The applicant's network address.
    pub client_address: String,
    /// Who applies.
    pub applicant: Applicant,
    /// The account types on offer; after the form was sent, the chosen one alone.
    pub account_types: Vec<&'static str>,
    /// What the fields hold: first values before the form is shown, then those that were sent.
    pub values: BTreeMap<String, String>,
    /// The fields whose values the endpoint cannot change: they are vouched for.
    pub locked: Vec<String>,
}

/// Who applies.
#[derive(Debug, Clone, Serialize)]
pub struct Applicant {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The claims that policy sees.
    pub claims: Map<String, Value>,
}

/// What the endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Goes on as it is.
    Continue,
    /// These fields get these values.
    Set(BTreeMap<String, String>),
    /// These fields are refused, with a sentence for each.
    Refuse(BTreeMap<String, String>),
    /// Nobody gets in this way; the page says this.
    Block(String),
}

/// The answer as JSON: nothing nests deeper than one object of texts.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Shape {
    Continue {},
    Set { values: BTreeMap<String, String> },
    Refuse { fields: BTreeMap<String, String> },
    Block { message: String },
}

impl Answer {
    /// Reads an answer; what the contract does not have is an error.
    pub fn read(moment: Moment, body: &[u8]) -> Result<Self, HookDown> {
        let shape = serde_json::from_slice(body);
        let shape = shape.map_err(|error| HookDown::Garbled(without_values(&error)))?;
        let answer = match shape {
            Shape::Continue {} => Self::Continue,
            Shape::Set { values } => Self::Set(values),
            Shape::Refuse { fields } => Self::Refuse(fields),
            Shape::Block { message } => Self::Block(message),
        };
        match answer.trouble(moment) {
            None => Ok(answer),
            Some(trouble) => Err(HookDown::Garbled(trouble.to_owned())),
        }
    }

    fn trouble(&self, moment: Moment) -> Option<&'static str> {
        match self {
            Self::Continue => None,
            Self::Set(values) if values.len() > MOST_ENTRIES => Some("too many values"),
            Self::Set(values) => values
                .values()
                .any(|value| value.chars().count() > LONGEST_VALUE)
                .then_some("a value is too long"),
            Self::Refuse(_) if moment == Moment::Start => {
                Some("`refuse` before the form was shown")
            }
            Self::Refuse(fields) if fields.is_empty() => Some("`refuse` without a field"),
            Self::Refuse(fields) if fields.len() > MOST_ENTRIES => Some("too many fields"),
            Self::Refuse(fields) => (!fields.values().all(|text| is_sentence(text)))
                .then_some("a message is empty, too long, or holds control characters"),
            Self::Block(message) => (!is_sentence(message))
                .then_some("the message is empty, too long, or holds control characters"),
        }
    }
}

fn is_sentence(text: &str) -> bool {
    !text.trim().is_empty()
        && text.chars().count() <= LONGEST_MESSAGE
        && !text.chars().any(char::is_control)
}

/// The kind and place of a mistake; its text could repeat what somebody typed.
fn without_values(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    format!("{:?} at line {line}, column {column}", error.classify())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Answer, HookDown> {
        Answer::read(Moment::Submit, body.as_bytes())
    }

    #[test]
    fn the_four_answers() {
        let map = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        for (body, answer) in [
            (r#"{"action":"continue"}"#, Answer::Continue),
            (
                r#"{"action":"set","values":{"company":"Acme"}}"#,
                Answer::Set(map("company", "Acme")),
            ),
            (
                r#"{"action":"refuse","fields":{"vat":"Not a VAT number"}}"#,
                Answer::Refuse(map("vat", "Not a VAT number")),
            ),
            (
                r#"{"action":"block","message":"Call us"}"#,
                Answer::Block("Call us".to_owned()),
            ),
        ] {
            assert_eq!(read(body).unwrap(), answer);
        }
    }

    #[test]
    fn everything_else_is_no_answer() {
        let long = "x".repeat(501);
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "",
            "<html>",
            "{}",
            "null",
            r#"{"action":"allow"}"#,
            r#"{"action":"continue","extra":1}"#,
            r#"{"action":"set"}"#,
            r#"{"action":"set","values":{"company":{"name":"Acme"}}}"#,
            r#"{"action":"set","values":{"company":17}}"#,
            r#"{"action":"refuse","fields":{}}"#,
            r#"{"action":"refuse","fields":{"vat":""}}"#,
            r#"{"action":"block","message":"a\u0000b"}"#,
            &format!(r#"{{"action":"block","message":"{long}"}}"#),
            &format!(r#"{{"action":"set","values":{deep}}}"#),
            &deep,
        ] {
            let start: String = body.chars().take(60).collect();
            assert!(matches!(read(body), Err(HookDown::Garbled(_))), "{start}");
        }
    }

    #[test]
    fn nothing_is_refused_before_it_was_typed() {
        let body = br#"{"action":"refuse","fields":{"vat":"No"}}"#;
        assert!(Answer::read(Moment::Start, body).is_err());
    }

    #[test]
    fn what_was_typed_is_not_repeated_in_errors() {
        let error = read(r#"{"action":"secret-value"}"#).unwrap_err();
        assert!(!error.to_string().contains("secret-value"));
    }
}
