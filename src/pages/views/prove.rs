//! The page that asks for proof that an existing account is one's own.

use askama::Template;

use super::{Frame, ProblemLink, Who};

/// Proof that an existing platform account is one's own.
#[derive(Debug, Template)]
#[template(path = "pages/prove.html")]
pub struct ProvePage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is.
    pub who: Who,
    /// What must be put right.
    pub problems: Vec<ProblemLink>,
    /// The account's address, masked.
    pub email: String,
    /// Proof by a mailed code.
    pub code: CodeProof,
    /// Proof by the platform's password, where it has passwords.
    pub password: Option<PasswordProof>,
}

/// Proof by a mailed code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeProof {
    /// A code would prove nothing.
    Never,
    /// A code can be sent.
    NotSent {
        /// For how many minutes it will be valid.
        minutes: String,
    },
    /// A code was sent.
    Sent {
        /// How many digits it has.
        digits: String,
        /// What is wrong with the one that was entered.
        problem: Option<String>,
    },
}

/// Proof by the platform's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordProof {
    /// Whether the form is shown at once.
    pub open: bool,
    /// What is wrong with the one that was entered.
    pub problem: Option<String>,
}
