//! What somebody who is signed in has to do first.

use askama::Template;

use super::{AgreementView, Control, FieldView, Frame, ProblemLink, Who};

/// Agreements that changed.
#[derive(Debug, Template)]
#[template(path = "pages/accept.html")]
pub struct AcceptPage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is.
    pub who: Who,
    /// What must be put right, in page order.
    pub problems: Vec<ProblemLink>,
    /// Where one wanted to go.
    pub return_to: String,
    /// What is to be accepted.
    pub agreements: Vec<AgreementView>,
}

/// Data to confirm.
#[derive(Debug, Template)]
#[template(path = "pages/verify.html")]
pub struct VerifyPage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is.
    pub who: Who,
    /// What must be put right, in page order.
    pub problems: Vec<ProblemLink>,
    /// Where one wanted to go.
    pub return_to: String,
    /// What is to be confirmed.
    pub fields: Vec<FieldView>,
}
