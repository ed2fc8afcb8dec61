//! Which names an expression needs from outside, found when it is compiled.

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, SelectExpr};

/// Names of the language itself: its types (CEL specification, "Standard Definitions").
const OWN_NAMES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// The first name that is neither known, nor a type, nor bound by a macro such as `exists`.
fn first_unknown<'e>(expression: &'e IdedExpr, known: &[&str]) -> Option<&'e str> {
    let mut search = Search {
        of: None,
        known,
        bound: Vec::new(),
    };
    search.look_at(expression)
}

/// All names that are no types and not bound by a macro.
pub(super) fn all(expression: &IdedExpr) -> Vec<&str> {
    let mut found = Vec::new();
    while let Some(further) = first_unknown(expression, &found) {
        found.push(further);
    }
    found
}

/// The first member of the variable `of` that is not known.
pub(super) fn first_unknown_member<'e>(
    expression: &'e IdedExpr,
    of: &str,
    known: &[&str],
) -> Option<&'e str> {
    let mut search = Search {
        of: Some(of),
        known,
        bound: Vec::new(),
    };
    search.look_at(expression)
}

struct Search<'s, 'e> {
    /// The variable whose members are looked for; none for the variables themselves.
    of: Option<&'s str>,
    known: &'s [&'s str],
    bound: Vec<&'e str>,
}

impl<'e> Search<'_, 'e> {
    fn look_at(&mut self, expression: &'e IdedExpr) -> Option<&'e str> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => None,
            Expr::Ident(name) => (self.of.is_none() && !self.knows(name)).then_some(name),
            Expr::Select(select) => {
                let member = self.unknown_member(select);
                member.or_else(|| self.look_at(&select.operand))
            }
            Expr::List(list) => list.elements.iter().find_map(|one| self.look_at(one)),
            Expr::Call(call) => {
                let target = call.target.as_deref();
                let mut parts = target.into_iter().chain(&call.args);
                parts.find_map(|part| self.look_at(part))
            }
            Expr::Map(map) => map.entries.iter().find_map(|one| self.look_in(&one.expr)),
            Expr::Struct(made) => made.entries.iter().find_map(|one| self.look_in(&one.expr)),
            Expr::Comprehension(comprehension) => self.look_through(comprehension),
        }
    }

    fn unknown_member(&self, select: &'e SelectExpr) -> Option<&'e str> {
        let Expr::Ident(name) = &select.operand.expr else {
            return None;
        };
        let is_of = self.of == Some(name) && !self.bound.contains(&name.as_str());
        let field = select.field.as_str();
        (is_of && !self.known.contains(&field)).then_some(field)
    }

    fn look_in(&mut self, entry: &'e EntryExpr) -> Option<&'e str> {
        match entry {
            EntryExpr::StructField(field) => self.look_at(&field.value),
            EntryExpr::MapEntry(entry) => {
                let key = self.look_at(&entry.key);
                key.or_else(|| self.look_at(&entry.value))
            }
        }
    }

    /// The range and the first value are outside of what the comprehension binds.
    fn look_through(&mut self, over: &'e ComprehensionExpr) -> Option<&'e str> {
        let outside = [&over.iter_range, &over.accu_init];
        if let Some(unknown) = outside.into_iter().find_map(|part| self.look_at(part)) {
            return Some(unknown);
        }
        let before = self.bound.len();
        self.bound.extend([over.iter_var.as_str(), &over.accu_var]);
        self.bound.extend(over.iter_var2.as_deref());
        let inside = [&over.loop_cond, &over.loop_step, &over.result];
        let unknown = inside.into_iter().find_map(|part| self.look_at(part));
        self.bound.truncate(before);
        unknown
    }

    fn knows(&self, name: &str) -> bool {
        name.starts_with('@')
            || OWN_NAMES.contains(&name)
            || self.known.contains(&name)
            || self.bound.contains(&name)
    }
}
