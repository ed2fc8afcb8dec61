//! One operation by hand, shown as it is answered: for those who write `rest.toml`.

use serde_json::{Map, Value, json};

use super::RestPlatform;
use super::client::Inputs;
use super::description::Operation;
use super::records::items;
use super::trouble::Trouble;
use crate::platform::PlatformError;

/// What came of a call.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The HTTP status.
    pub status: u16,
    /// The JSON of the answer; null where it is none.
    pub answer: Value,
    /// What it means, in the words of the file.
    pub means: String,
    /// The records in it, where it was done.
    pub items: Vec<Value>,
}

/// Why nothing was called.
#[derive(Debug, thiserror::Error)]
pub enum CannotCall {
    /// The file has no such operation.
    #[error("there is no operation `{word}`; there are {known}")]
    Unknown {
        /// What was asked for.
        word: String,
        /// What there is.
        known: String,
    },
    /// The operation changes something, and nobody said that it may.
    #[error("`{0}` may change something in the platform: add `--write` if that is meant")]
    Writes(&'static str),
    /// A value that the operation speaks of is not given.
    #[error("`{operation}` speaks of `{input}`: add `{input}=…`")]
    Missing {
        /// The operation.
        operation: &'static str,
        /// What is missing.
        input: &'static str,
    },
    /// A value that the operation does not have.
    #[error("`{operation}` has no `{input}`")]
    Strange {
        /// The operation.
        operation: &'static str,
        /// What is strange.
        input: String,
    },
    /// There is no answer.
    #[error("there is no answer")]
    NoAnswer(#[source] PlatformError),
}

impl RestPlatform {
    /// Calls an operation of the file once, and shows what is answered. Only what is asked by `GET`
    /// is called where nothing may be changed.
    pub async fn call_by_hand(
        &self,
        word: &str,
        given: Map<String, Value>,
        may_write: bool,
    ) -> Result<Exchange, CannotCall> {
        let operation = self.named(word)?;
        if !operation.method.is_safe() && !may_write {
            return Err(CannotCall::Writes(operation.name.word()));
        }
        let inputs = inputs(operation, given)?;
        let answer = self.client.ask_once(operation, &inputs).await;
        let answer = answer.map_err(|trouble| CannotCall::NoAnswer(trouble.into()))?;
        let (status, body) = (answer.status.as_u16(), answer.body.clone());
        let judged = self.client.judged(operation, answer);
        let (means, items) = match judged.and_then(|answer| items(operation, &answer)) {
            Ok(items) => ("done".to_owned(), items),
            Err(Trouble::Meant(refusal)) => {
                let means = json!(refusal.means);
                (means.as_str().unwrap_or_default().to_owned(), Vec::new())
            }
            Err(Trouble::Other(error)) => (with_cause(&error), Vec::new()),
        };
        Ok(Exchange {
            status,
            answer: body,
            means,
            items,
        })
    }

    fn named(&self, word: &str) -> Result<&Operation, CannotCall> {
        let mut all = self.description.operations.values();
        let found = all.find(|operation| operation.name.word() == word);
        found.ok_or_else(|| {
            let known = self.description.operations.keys();
            let known: Vec<&str> = known.map(|name| name.word()).collect();
            CannotCall::Unknown {
                word: word.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

fn inputs(operation: &Operation, mut given: Map<String, Value>) -> Result<Inputs, CannotCall> {
    let name = operation.name.word();
    let mut inputs = Vec::new();
    for input in operation.name.inputs() {
        match given.remove(*input) {
            Some(value) => inputs.push((*input, value)),
            None if operation.speaks_of(input) => {
                return Err(CannotCall::Missing {
                    operation: name,
                    input,
                });
            }
            None => {}
        }
    }
    match given.into_iter().next() {
        Some((input, _)) => Err(CannotCall::Strange {
            operation: name,
            input,
        }),
        None => Ok(inputs),
    }
}

fn with_cause(error: &PlatformError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
