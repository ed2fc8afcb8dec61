//! Which functions an expression calls that the language does not have, found when it is compiled.

use cel::{Context, ExecutionError, Program};

use super::STANDARD;
use crate::spelling::closest;

/// What is meant more often than not.
const COMMON: [&str; 10] = [
    "contains",
    "double",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// The first function that there is not, and the one that may be meant.
pub(super) fn first_unknown(program: &Program) -> Option<(String, Option<&'static str>)> {
    let references = program.references();
    let mut names = references.functions();
    names.sort_unstable();
    // Operators are functions as well, with names that no text can have.
    let mut calls = names
        .into_iter()
        .filter(|name| name.starts_with(char::is_alphabetic));
    let unknown = calls.find(|name| !is_known(name))?;
    Some((unknown.to_owned(), closest(unknown, COMMON)))
}

/// The library does not list its functions: one that it has fails in another way.
fn is_known(name: &str) -> bool {
    let mut ways = [format!("{name}()"), format!("''.{name}()")].into_iter();
    ways.any(|call| {
        let outcome = Program::compile(&call)
            .map(|program| program.execute(&Context::with_env(std::sync::Arc::clone(&STANDARD))));
        !matches!(outcome, Ok(Err(ExecutionError::UndeclaredReference(missing))) if *missing == name)
    })
}
