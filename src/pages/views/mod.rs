//! What each page shows, as plain values; the templates hold the markup.

mod accept;
mod approval;
mod captcha;
mod entry;
mod form;
mod hand_off;
#[cfg(test)]
mod page_tests;
mod progress;
mod prove;
#[cfg(test)]
mod registration_tests;

use askama::Template;

use super::agreement_text::AgreementHtml;
use super::assets::AssetUrls;
use crate::language::Texts;

pub use accept::{AcceptPage, VerifyPage};
pub use approval::ApprovalPage;
pub use captcha::{CaptchaView, CheckView, WidgetView, WorkView};
pub use entry::{EmailPage, LinkPage, LocalLoginView, LoginPage, NewPasswordPage, PasswordView};
pub use form::{
    AccountTypeChoice, AgreementView, Control, FieldView, InputKind, KnownValue, OptionView,
    RegistrationPage, ResendPage,
};
pub use hand_off::HandOffPage;
pub use progress::{Outcome, ProgressPage, StepState, StepView};
pub use prove::{CodeProof, PasswordProof, ProvePage};

/// What every page has around its content.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The texts of the visitor's language.
    pub texts: Texts,
    /// The operator's name.
    pub operator: String,
    /// Where somebody can ask for help.
    pub support: Option<String>,
    /// The operator's links.
    pub links: Vec<Way>,
    /// Stylesheet, script, logo.
    pub assets: AssetUrls,
    /// The path of this page, to come back to after another language was chosen.
    pub here: String,
    /// The heading, also in the title.
    pub title: String,
    /// The form whose content another language must not lose; it is sent with the choice.
    pub keeps_form: Option<&'static str>,
    /// Whether something that was sent must be put right.
    pub has_problems: bool,
}

impl Frame {
    /// The title of the document: what is wrong comes first, for screen readers.
    pub fn document_title(&self) -> String {
        let values = [
            ("title", self.title.as_str()),
            ("operator", self.operator.as_str()),
        ];
        if self.has_problems {
            self.texts
                .get_with("page-title-with-errors", &values)
                .into_owned()
        } else {
            self.texts.get_with("page-title", &values).into_owned()
        }
    }
}

/// A link that leads on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where to.
    pub href: String,
    /// What it says.
    pub text: String,
}

/// Who one is signed in as, with a way to leave.
#[derive(Debug, Clone)]
pub struct Who {
    /// "Signed in as …".
    pub sentence: String,
    /// The token of this session's forms.
    pub form_token: String,
}

/// An entry of the summary on top: a sentence that leads to its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemLink {
    /// The id of the field.
    pub target: String,
    /// What to write.
    pub sentence: String,
}

/// A page that leads on, most often by itself.
#[derive(Debug, Template)]
#[template(path = "pages/going.html")]
pub struct GoingPage {
    /// Around the content.
    pub frame: Frame,
    /// What happens.
    pub text: String,
    /// Where to.
    pub href: String,
    /// What the button says.
    pub action: String,
    /// Whether it goes on by itself.
    pub by_itself: bool,
}

/// A page that says something and leads on: refusals, errors, "you are signed out".
#[derive(Debug, Template)]
#[template(path = "pages/message.html")]
pub struct MessagePage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is, where that matters.
    pub who: Option<Who>,
    /// What it says.
    pub paragraphs: Vec<String>,
    /// The reference to quote, if help may be needed.
    pub reference: Option<String>,
    /// The way on.
    pub way_on: Option<Way>,
    /// Another one, for those who cannot take the first.
    pub other_way: Option<Way>,
}

/// Asks whether to sign out.
#[derive(Debug, Template)]
#[template(path = "pages/logout.html")]
pub struct LogoutPage {
    /// Around the content.
    pub frame: Frame,
    /// The token of this session's forms.
    pub form_token: String,
}

/// An agreement's text.
#[derive(Debug, Template)]
#[template(path = "pages/agreement.html")]
pub struct AgreementPage {
    /// Around the content.
    pub frame: Frame,
    /// The language of the text, which need not be that of the page.
    pub language: String,
    /// Which version it is, and where that can be read for good.
    pub version: Way,
    /// Where the version in force is, if this is an earlier one.
    pub in_force: Option<Way>,
    /// The text after its title.
    pub text: AgreementHtml,
}
