//! CEL (Common Expression Language): compiled at load, evaluated over plain JSON values.

mod functions;
mod paths;
mod variables;

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value as CelValue};
use serde_json::Value;

use crate::identity::VerifiedIdentity;

pub use paths::Path;

/// What every expression may use. Making it takes longer than most expressions do.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// An expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the expression does not compile: {message}")]
pub struct CompileError {
    /// What the compiler says, one line.
    pub message: String,
}

/// An expression could not be evaluated over these values, or gave the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A name is missing, a type does not fit, or a function failed.
    #[error("the expression `{source_text}` cannot be evaluated: {message}")]
    Failed {
        /// The expression.
        source_text: String,
        /// What went wrong, one line.
        message: String,
    },
    /// It reads a claim of which only a part may be known.
    #[error("the expression `{source_text}` reads `{claim}`, which the token says is elsewhere")]
    Elsewhere {
        /// The expression.
        source_text: String,
        /// The claim.
        claim: String,
    },
    /// It gave something else than asked for.
    #[error("the expression `{source_text}` gives something else than {wanted}")]
    WrongType {
        /// The expression.
        source_text: String,
        /// What was asked for.
        wanted: &'static str,
    },
}

impl EvaluationError {
    /// What went wrong without the expression, which may name people.
    pub fn message(&self) -> String {
        match self {
            Self::Failed { message, .. } => message.clone(),
            Self::Elsewhere { claim, .. } => format!("`{claim}` is elsewhere"),
            Self::WrongType { wanted, .. } => format!("it gives something else than {wanted}"),
        }
    }
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<Program>,
    /// The names that it needs from outside.
    reads: Arc<[Box<str>]>,
}

impl Expression {
    /// Compiles an expression.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let program = Program::compile(source).map_err(|error| CompileError {
            message: one_line(&error.to_string()),
        })?;
        if let Some((name, meant)) = functions::first_unknown(program.expression()) {
            let advice = meant.map_or_else(String::new, |meant| format!("; write `{meant}`"));
            let message = format!("there is no function `{name}`{advice}");
            return Err(CompileError { message });
        }
        let reads = variables::all(program.expression());
        if let Some(name) = reads.iter().find_map(|name| name.strip_prefix('.')) {
            let message = format!("write `{name}` without a dot before it");
            return Err(CompileError { message });
        }
        Ok(Self {
            source: source.into(),
            reads: reads.into_iter().map(Box::from).collect(),
            program: Arc::new(program),
        })
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it reads this variable; others need not be made for it.
    pub fn reads(&self, variable: &str) -> bool {
        self.reads.iter().any(|own| **own == *variable)
    }

    /// The first name in it that is not one of `known`: over those alone it can never be
    /// evaluated.
    pub fn unknown_variable(&self, known: &[&str]) -> Option<&str> {
        let mut reads = self.reads.iter().map(|name| &**name);
        reads.find(|name| !known.contains(name))
    }

    /// The first member of the variable `of` in it that is not one of `known`.
    pub fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str> {
        variables::first_unknown_member(self.program.expression(), of, known)
    }

    /// The members of the variable `of` that it reads, by the keys that lead to them; none where it
    /// reads the variable as a whole.
    pub fn paths(&self, of: &str) -> Option<Vec<Path>> {
        paths::paths(self.program.expression(), of)
    }

    /// Evaluates over named JSON values.
    pub fn evaluate(&self, variables: &[(&str, &Value)]) -> Result<Value, EvaluationError> {
        let value = self.run(variables)?;
        value
            .json()
            .map_err(|_| self.failed("its value is nothing that JSON has"))
    }

    fn run(&self, variables: &[(&str, &Value)]) -> Result<CelValue, EvaluationError> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        for (name, value) in variables.iter().filter(|(name, _)| self.reads(name)) {
            context
                .add_variable(*name, *value)
                .map_err(|error| self.failed(&error.to_string()))?;
        }
        self.program
            .execute(&context)
            .map_err(|error| self.failed(&self.told(&error)))
    }

    /// What went wrong; a key only where it is named in the expression, not computed from values.
    fn told(&self, error: &ExecutionError) -> String {
        match error {
            ExecutionError::NoSuchKey(key) if self.source.contains(&format!(".{key}")) => {
                error.to_string()
            }
            _ => told(error),
        }
    }

    fn failed(&self, message: &str) -> EvaluationError {
        EvaluationError::Failed {
            source_text: self.source.to_string(),
            message: one_line(message),
        }
    }

    fn wrong_type(&self, wanted: &'static str) -> EvaluationError {
        EvaluationError::WrongType {
            source_text: self.source.to_string(),
            wanted,
        }
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", self.source)
    }
}

/// What went wrong, without the values that it went wrong with: they may be somebody's, or secret.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(_) => "a key is missing".to_owned(),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UndeclaredReference(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::InvalidArgumentCount { .. }
        | ExecutionError::MissingArgumentOrTarget => error.to_string(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list has no such place".to_owned(),
        _ => "a value is of a type that does not fit here".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An expression that gives true or false.
#[derive(Debug, Clone)]
pub struct Condition(Expression);

impl Condition {
    /// Compiles a condition.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Expression::compile(source).map(Self)
    }

    /// The source text.
    pub fn source(&self) -> &str {
        self.0.source()
    }

    /// [`Expression::reads`] of the condition.
    pub fn reads(&self, variable: &str) -> bool {
        self.0.reads(variable)
    }

    /// [`Expression::unknown_variable`] of the condition.
    pub fn unknown_variable(&self, known: &[&str]) -> Option<&str> {
        self.0.unknown_variable(known)
    }

    /// [`Expression::unknown_member`] of the condition.
    pub fn unknown_member(&self, of: &str, known: &[&str]) -> Option<&str> {
        self.0.unknown_member(of, known)
    }

    /// [`Expression::paths`] of the condition.
    pub fn paths(&self, of: &str) -> Option<Vec<Path>> {
        self.0.paths(of)
    }

    /// Whether it holds of somebody, whose claims are among the values. Where it reads a claim that
    /// is elsewhere it cannot be evaluated, whatever it guards with `has()`.
    pub fn holds_of(
        &self,
        who: &VerifiedIdentity,
        variables: &[(&str, &Value)],
    ) -> Result<bool, EvaluationError> {
        match self.first_elsewhere(who) {
            Some(claim) => Err(EvaluationError::Elsewhere {
                source_text: self.source().to_owned(),
                claim: claim.to_owned(),
            }),
            None => self.holds(variables),
        }
    }

    fn first_elsewhere<'who>(&self, who: &'who VerifiedIdentity) -> Option<&'who str> {
        let mut elsewhere = who.claims_elsewhere().peekable();
        elsewhere.peek()?;
        match self.paths("identity") {
            Some(read) => elsewhere.find(|claim| {
                let is_it = |path: &Path| path.first().is_some_and(|key| key == claim);
                read.iter().any(is_it)
            }),
            None => elsewhere.next(),
        }
    }

    /// Whether it holds; an error is neither yes nor no.
    pub fn holds(&self, variables: &[(&str, &Value)]) -> Result<bool, EvaluationError> {
        match self.0.run(variables)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err(self.0.wrong_type("true or false")),
        }
    }
}

/// Where a text comes from: a claim by its plain name, or an expression.
#[derive(Debug, Clone)]
pub enum Mapping {
    /// The claim of this name.
    Claim(String),
    /// An expression over `identity`.
    Expression(Expression),
}

impl Mapping {
    /// The text for these claims; none when the claim is absent, empty, or no text or number, and
    /// when the expression cannot be evaluated.
    pub fn text(&self, claims: &Value) -> Option<String> {
        let value = match self {
            Self::Claim(name) => claims.get(name)?.clone(),
            Self::Expression(expression) => expression.evaluate(&[("identity", claims)]).ok()?,
        };
        match value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_holds_or_does_not() {
        let condition = Condition::compile("'ops' in identity.groups").unwrap();
        assert_eq!(
            condition.holds(&[("identity", &json!({"groups": ["ops"]}))]),
            Ok(true)
        );
        assert_eq!(
            condition.holds(&[("identity", &json!({"groups": ["operators"]}))]),
            Ok(false)
        );
    }

    #[test]
    fn what_it_reads_is_known_and_the_rest_is_not_asked_for() {
        let both = "account.user == 'u' && identity.groups.exists(group, group == 'ops')";
        let condition = Condition::compile(both).unwrap();
        assert!(condition.reads("account") && condition.reads("identity"));
        assert!(!condition.reads("request") && !condition.reads("group") && !condition.reads("u"));
        let guarded = Condition::compile("has(request.path) ? true : type(1) == int").unwrap();
        assert!(guarded.reads("request") && !guarded.reads("identity"));
    }

    #[test]
    fn names_have_no_dot_before_them() {
        let error = Condition::compile(".form.country == 'IT'").unwrap_err();
        assert!(error.message.contains("write `form`"), "{error}");
    }

    #[test]
    fn a_function_that_there_is_not_does_not_compile() {
        for (source, missing) in [
            ("identity.email.endWith('x')", "`endWith`; write `endsWith`"),
            ("sise(identity.groups) > 1", "`sise`; write `size`"),
            (
                "identity.groups.exists(g, g.lowerAscii() == 'x')",
                "`lowerAscii`",
            ),
            ("false && xyzzy(1)", "`xyzzy`"),
            (
                "endsWith(identity.email, 'x')",
                "`endsWith`; write `value.endsWith(…)`",
            ),
            ("identity.email.type()", "`type`; write `type(value)`"),
        ] {
            let error = Condition::compile(source).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("there is no function {missing}")),
                "{error}"
            );
        }
        for source in [
            "size(identity.groups) > 1 && identity.groups.size() > 1",
            "identity.email.matches('^a') || identity.email.contains('b')",
            "has(identity.a) && identity.groups.all(g, g.startsWith('x') && !(g in ['a']))",
            "optional.of(form.company).orValue('x') == 'x' && optional.none().hasValue()",
            "int('1') == 1 && string(1) == '1' && double(1) > 0.5 && type(1) == int",
            "[1, 2].map(n, n * 2).filter(n, n > 2).exists_one(n, n == 4) ? -1 < 0 : 1 % 2 == 1",
        ] {
            Condition::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        }
    }

    #[test]
    fn a_missing_claim_or_a_wrong_type_is_an_error_not_an_answer() {
        let condition = Condition::compile("'ops' in identity.groups").unwrap();
        assert!(condition.holds(&[("identity", &json!({}))]).is_err());
        assert!(
            condition
                .holds(&[("identity", &json!({"groups": null}))])
                .is_err()
        );
        let number = Condition::compile("1 + 1").unwrap();
        assert!(matches!(
            number.holds(&[]),
            Err(EvaluationError::WrongType { .. })
        ));
    }

    #[test]
    fn an_error_says_nothing_of_the_values() {
        for source in [
            "secret + 1",
            "secret < 1",
            "secret[0]",
            "{secret: 1, secret: 2}",
            "{'a': 1}[secret]",
        ] {
            let failed = Expression::compile(source).unwrap();
            let failed = failed
                .evaluate(&[("secret", &json!("hunter2"))])
                .unwrap_err();
            assert!(!failed.to_string().contains("hunter2"), "{failed}");
        }
    }

    #[test]
    fn ends_with_works_on_claims() {
        let condition = Condition::compile("identity.email.endsWith('@acme.example')").unwrap();
        assert_eq!(
            condition.holds(&[("identity", &json!({"email": "a@acme.example"}))]),
            Ok(true)
        );
    }

    #[test]
    fn what_does_not_compile_says_so() {
        assert!(Condition::compile("identity.email ==").is_err());
    }

    #[test]
    fn a_name_that_nobody_gives_is_found_before_it_is_missed() {
        let unknown = |source: &str| {
            let condition = Condition::compile(source).unwrap();
            condition.unknown_variable(&["identity"]).map(str::to_owned)
        };
        for sound in [
            "identity.email == 'a'",
            "has(identity.groups) && 'staff' in identity.groups",
            "identity.groups.exists(g, g.startsWith('ops'))",
            "identity.groups.map(g, g + 'x').all(g, g != identity.email)",
            "type(identity.level) == int && {'a': identity.x}.a == [1][0]",
        ] {
            assert_eq!(unknown(sound), None, "{sound}");
        }
        for (wrong, name) in [
            ("identiy.email == 'a'", "identiy"),
            ("has(claims.groups)", "claims"),
            ("identity.groups.exists(g, h == 'ops')", "h"),
            ("identity.groups.exists(g, g == 'ops') && g == 'x'", "g"),
            ("size([email]) > 0", "email"),
            ("{'a': form.country}.a == 'IT'", "form"),
        ] {
            assert_eq!(unknown(wrong).as_deref(), Some(name), "{wrong}");
        }
    }

    #[test]
    fn a_member_that_is_not_there_is_found_wherever_it_stands() {
        let unknown = |source: &str| {
            let condition = Condition::compile(source).unwrap();
            let unknown = condition.unknown_member("form", &["country"]);
            unknown.map(str::to_owned)
        };
        for sound in [
            "form.country == 'IT' && identity.contry == 'IT'",
            "['IT'].exists(form, form.contry == 'IT')",
            "form.country.size.of == 1",
        ] {
            assert_eq!(unknown(sound), None, "{sound}");
        }
        for wrong in [
            "form.contry == 'IT'",
            "has(form.contry)",
            "!(form.country == 'IT' || form.contry.startsWith('I'))",
            "['IT'].exists(code, form.contry == code)",
        ] {
            assert_eq!(unknown(wrong).as_deref(), Some("contry"), "{wrong}");
        }
    }

    #[test]
    fn what_is_read_of_a_variable_is_known() {
        let paths = |source: &str| {
            let paths = Condition::compile(source).unwrap().paths("identity")?;
            Some(
                paths
                    .into_iter()
                    .map(|path| path.join("/"))
                    .collect::<Vec<_>>(),
            )
        };
        for (source, expected) in [
            ("'ops' in identity.groups", &["groups"][..]),
            (
                "has(identity.groups) && 'ops' in identity.groups",
                &["groups"],
            ),
            (
                "'a' in identity.realm_access.roles",
                &["realm_access/roles"],
            ),
            (
                "'a' in identity['https://acme.example/roles']",
                &["https://acme.example/roles"],
            ),
            (
                "identity.a.exists(g, g == identity.b) ? identity.c : !identity.d",
                &["a", "b", "c", "d"],
            ),
            (
                "identity.groups.size() > 0 || identity.groups[0] == 'x'",
                &["groups"],
            ),
            ("true", &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&path| path.to_owned()).collect();
            assert_eq!(paths(source), Some(expected), "{source}");
        }
        for whole in [
            "'groups' in identity",
            "size(identity) > 2",
            "identity[identity.key] == 'a'",
        ] {
            assert_eq!(paths(whole), None, "{whole}");
        }
    }

    #[test]
    fn a_mapping_gives_text_or_nothing() {
        let claims = json!({"company": "Acme", "level": 3, "empty": " "});
        let claim = |name: &str| Mapping::Claim(name.to_owned()).text(&claims);
        assert_eq!(claim("company").as_deref(), Some("Acme"));
        assert_eq!(claim("level").as_deref(), Some("3"));
        assert_eq!(claim("empty"), None);
        let joined = Mapping::Expression(Expression::compile("identity.company + '!'").unwrap());
        assert_eq!(joined.text(&claims).as_deref(), Some("Acme!"));
    }
}
