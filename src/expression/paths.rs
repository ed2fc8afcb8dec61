//! Which members of a variable an expression reads.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};

/// The keys that lead from a variable to one of its values: `groups`, or `realm_access`, `roles`.
pub type Path = Vec<String>;

/// The paths of everything that is read of the variable `of`, each once; none where it is read as a
/// whole, or by a key that is computed.
pub(super) fn paths(expression: &IdedExpr, of: &str) -> Option<Vec<Path>> {
    let mut found = Vec::new();
    collect(expression, of, &mut found)?;
    found.sort();
    found.dedup();
    Some(found)
}

fn collect(expression: &IdedExpr, of: &str, found: &mut Vec<Path>) -> Option<()> {
    if let Some(path) = path(expression, of) {
        if path.is_empty() {
            return None;
        }
        found.push(path);
        return Some(());
    }
    children(expression)
        .into_iter()
        .try_for_each(|part| collect(part, of, found))
}

/// The path that an expression is, if it is one.
fn path(expression: &IdedExpr, of: &str) -> Option<Path> {
    match &expression.expr {
        Expr::Ident(name) => (name == of).then(Vec::new),
        Expr::Select(select) => {
            let mut path = path(&select.operand, of)?;
            path.push(select.field.clone());
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [operand, key] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                return None;
            };
            let mut path = path(operand, of)?;
            path.push(key.inner().to_owned());
            Some(path)
        }
        _ => None,
    }
}

pub(super) fn children(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|one| parts(&one.expr))
            .collect(),
        Expr::Struct(made) => made
            .entries
            .iter()
            .flat_map(|one| parts(&one.expr))
            .collect(),
        Expr::Comprehension(over) => vec![
            &over.iter_range,
            &over.accu_init,
            &over.loop_cond,
            &over.loop_step,
            &over.result,
        ],
    }
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
