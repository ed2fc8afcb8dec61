//! Which functions an expression calls that the language does not have, found when it is compiled.

use std::sync::Arc;

use cel::common::ast::Expr;
use cel::{Context, ExecutionError, IdedExpr, Program};

use super::STANDARD;
use super::paths::children;
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

/// The first function that there is not, and what may be meant.
pub(super) fn first_unknown(expression: &IdedExpr) -> Option<(&str, Option<String>)> {
    if let Expr::Call(call) = &expression.expr {
        let (name, target) = (call.func_name.as_str(), call.target.as_deref());
        if !is_operator(name) && !is_known(&spelled(name, target)) {
            return Some((name, meant(name, target.is_some())));
        }
    }
    children(expression).into_iter().find_map(first_unknown)
}

fn meant(name: &str, is_member: bool) -> Option<String> {
    if is_member && is_known(&format!("{name}()")) {
        return Some(format!("{name}(value)"));
    }
    if !is_member && is_known(&format!("''.{name}()")) {
        return Some(format!("value.{name}(…)"));
    }
    closest(name, COMMON).map(str::to_owned)
}

/// The same call without arguments.
fn spelled(name: &str, target: Option<&IdedExpr>) -> String {
    match target.map(|target| &target.expr) {
        None => format!("{name}()"),
        // `optional.of(…)` is one name.
        Some(Expr::Ident(space)) if space == "optional" => format!("optional.{name}()"),
        Some(_) => format!("''.{name}()"),
    }
}

/// Operators are functions as well, with names that no text can have.
fn is_operator(name: &str) -> bool {
    !name.starts_with(char::is_alphabetic)
}

/// The library does not list its functions: one that it has fails in another way.
fn is_known(call: &str) -> bool {
    let Ok(program) = Program::compile(call) else {
        return true;
    };
    let outcome = program.execute(&Context::with_env(Arc::clone(&STANDARD)));
    !matches!(outcome, Err(ExecutionError::UndeclaredReference(_)))
}
