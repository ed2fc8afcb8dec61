//! The page on which somebody who was asked decides.

use askama::Template;

use super::{Frame, KnownValue};

/// A request that waits for an answer.
#[derive(Debug, Template)]
#[template(path = "pages/approval.html")]
pub struct ApprovalPage {
    /// Around the content.
    pub frame: Frame,
    /// Who asks for what.
    pub text: String,
    /// What is known of the applicant.
    pub facts: Vec<KnownValue>,
    /// How much the address is worth.
    pub email_note: String,
    /// What to think of before approving.
    pub care: String,
    /// The token of the mailed link.
    pub link: String,
    /// The token of the form.
    pub form_token: String,
}
