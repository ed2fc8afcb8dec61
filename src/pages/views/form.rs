//! The registration page and its fields.

use askama::Template;

use super::{Frame, PasswordView, ProblemLink, Who};
use crate::identity::AccountType;

/// The registration page.
#[derive(Debug, Template)]
#[template(path = "pages/registration.html")]
pub struct RegistrationPage {
    /// Around the content.
    pub frame: Frame,
    /// Who one is.
    pub who: Who,
    /// What must be put right, in page order.
    pub problems: Vec<ProblemLink>,
    /// Which customer one joins, if so.
    pub joins: Option<String>,
    /// What happens next.
    pub next: String,
    /// What the button says.
    pub submit: String,
    /// What is known and not asked.
    pub known: Vec<KnownValue>,
    /// Where that is from.
    pub known_source: String,
    /// The account types to choose from; empty where there is no choice.
    pub account_types: Vec<AccountTypeChoice>,
    /// What is wrong with the choice.
    pub account_type_problem: Option<String>,
    /// The paragraph below the headline.
    pub intro: String,
    /// What is asked.
    pub fields: Vec<FieldView>,
    /// The names of those that are asked because of what is filled in.
    pub asked: String,
    /// The password, where one is chosen.
    pub password: Option<PasswordView>,
    /// What is to be accepted.
    pub agreements: Vec<AgreementView>,
}

/// What was sent could not be taken yet; it travels in the page, to be sent again.
#[derive(Debug, Template)]
#[template(path = "pages/resend.html")]
pub struct ResendPage {
    /// Around the content.
    pub frame: Frame,
    /// Why, and what to do.
    pub lead: String,
    /// Where the form is sent.
    pub action: String,
    /// The form's token.
    pub form_token: String,
    /// What was sent.
    pub fields: Vec<(String, String)>,
    /// The reference to quote.
    pub reference: String,
}

/// A verified value, shown and not editable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownValue {
    /// What it is.
    pub label: String,
    /// The value, as people write it.
    pub value: String,
}

/// An account type to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTypeChoice {
    /// The word that is sent.
    pub value: &'static str,
    /// What it is called.
    pub label: String,
    /// For whom it is.
    pub hint: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldView {
    /// Its id on the page.
    pub id: String,
    /// Its name in the form.
    pub name: String,
    /// The label; says so if the field is optional.
    pub label: String,
    /// A sentence of help.
    pub hint: Option<String>,
    /// What to write instead of what was sent.
    pub problem: Option<String>,
    /// The account types for which it is asked; empty for all.
    pub only_for: Vec<AccountType>,
    /// How it is filled in.
    pub control: Control,
}

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// By writing.
    Input {
        /// What is written.
        kind: InputKind,
        /// The present value.
        value: String,
        /// The `autocomplete` token.
        autocomplete: Option<String>,
    },
    /// By choosing one of several.
    Select {
        /// What to choose from.
        options: Vec<OptionView>,
        /// The `autocomplete` token.
        autocomplete: Option<String>,
    },
    /// By ticking.
    Checkbox {
        /// Whether it is ticked.
        ticked: bool,
    },
}

/// What is written into an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Words.
    Text,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A number or code of an authority.
    Code,
}

/// An option of a select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionView {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// An agreement to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementView {
    /// Its id on the page.
    pub id: String,
    /// Its name in the form.
    pub name: String,
    /// The digest of the text that was shown; what is accepted is that text.
    pub version: String,
    /// Its title.
    pub title: String,
    /// Where it can be read.
    pub href: String,
    /// Whether it is ticked.
    pub ticked: bool,
    /// What is wrong.
    pub problem: Option<String>,
    /// The account types for which it is asked; empty for all.
    pub only_for: Vec<AccountType>,
}

impl InputKind {
    pub(super) fn html_type(self) -> &'static str {
        match self {
            Self::Text | Self::Code => "text",
            Self::Email => "email",
            Self::Phone => "tel",
        }
    }

    pub(super) fn input_mode(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Code => None,
            Self::Email => Some("email"),
            Self::Phone => Some("tel"),
        }
    }

    pub(super) fn is_prose(self) -> bool {
        self == Self::Text
    }
}

impl FieldView {
    /// The ids of what describes the field, for `aria-describedby`.
    pub(super) fn described_by(&self) -> Option<String> {
        let hint = self.hint.is_some().then(|| format!("{}-hint", self.id));
        let problem = self
            .problem
            .is_some()
            .then(|| format!("{}-problem", self.id));
        let ids: Vec<_> = hint.into_iter().chain(problem).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    pub(super) fn class(&self) -> String {
        class(&self.only_for, self.problem.is_some())
    }
}

impl AgreementView {
    pub(super) fn class(&self) -> String {
        class(&self.only_for, self.problem.is_some())
    }
}

fn class(only_for: &[AccountType], wrong: bool) -> String {
    let only = (!only_for.is_empty())
        .then_some("only")
        .into_iter()
        .map(str::to_owned);
    let types = only_for.iter().map(|kind| format!("for-{}", kind.as_str()));
    let wrong = wrong.then(|| "wrong".to_owned());
    only.chain(types).chain(wrong).collect::<Vec<_>>().join(" ")
}
