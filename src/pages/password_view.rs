//! The field for a password that is chosen, and what is wrong with one.

use super::views::PasswordView;
use crate::language::Texts;
use crate::onboarding::password::{Demand, PasswordProblem};

/// The field for a password that is chosen.
pub(super) fn password_view(
    texts: Texts,
    demand: Demand,
    label: &str,
    problem: Option<PasswordProblem>,
) -> PasswordView {
    let min = demand.min_length().to_string();
    PasswordView {
        label: texts.get(label).into_owned(),
        hint: texts
            .get_with("password-hint", &[("min", min.as_str())])
            .into_owned(),
        problem: problem.map(|problem| password_sentence(texts, problem)),
    }
}

/// What is wrong, in a sentence that says what to do.
pub(super) fn password_sentence(texts: Texts, problem: PasswordProblem) -> String {
    let (key, length) = match problem {
        PasswordProblem::Missing => ("error-password-missing", 0),
        PasswordProblem::TooShort { min } => ("error-password-short", min),
        PasswordProblem::TooLong { max } => ("error-password-long", max),
        PasswordProblem::Guessable => ("error-password-guessable", 0),
        PasswordProblem::Uppercase => ("error-password-uppercase", 0),
        PasswordProblem::Lowercase => ("error-password-lowercase", 0),
        PasswordProblem::Digits => ("error-password-digits", 0),
        PasswordProblem::Specials => ("error-password-specials", 0),
        PasswordProblem::Spaces => ("error-password-spaces", 0),
    };
    let length = length.to_string();
    texts
        .get_with(key, &[("max", length.as_str())])
        .into_owned()
}
