//! The pages of people whom no identity provider sends: signing in by password, asking for a link,
//! following it, choosing a password.

use askama::Template;

use super::{CaptchaView, CheckView, Frame, ProblemLink, Way};

/// The login page, where there is a choice.
#[derive(Debug, Template)]
#[template(path = "pages/login.html")]
pub struct LoginPage {
    /// Around the content.
    pub frame: Frame,
    /// Why one is here again, if so.
    pub notice: Option<String>,
    /// What must be put right.
    pub problems: Vec<ProblemLink>,
    /// The identity providers.
    pub choices: Vec<Way>,
    /// Signing in by the platform's password.
    pub local: Option<LocalLoginView>,
    /// Creating an account without an identity provider.
    pub create: Option<String>,
}

/// The form for address and password.
#[derive(Debug, Clone)]
pub struct LocalLoginView {
    /// The token of the form.
    pub form_token: String,
    /// Where to go afterwards.
    pub return_to: String,
    /// The address that was typed.
    pub email: String,
    /// What is wrong with the address.
    pub email_problem: Option<String>,
    /// What is wrong with the password.
    pub password_problem: Option<String>,
    /// Where a forgotten password is replaced.
    pub forgotten: Option<String>,
}

/// Asks for an address to which a link is mailed.
#[derive(Debug, Template)]
#[template(path = "pages/email.html")]
pub struct EmailPage {
    /// Around the content.
    pub frame: Frame,
    /// What happens.
    pub lead: String,
    /// Where the form goes.
    pub action: &'static str,
    /// The token of the form.
    pub form_token: String,
    /// Where to go in the end.
    pub return_to: String,
    /// The address that was typed.
    pub email: String,
    /// A sentence of help.
    pub hint: Option<String>,
    /// What is wrong with the address.
    pub problem: Option<String>,
    /// What must be put right.
    pub problems: Vec<ProblemLink>,
    /// The check for robots, where one is asked for.
    pub captcha: Option<CaptchaView>,
    /// What the button says.
    pub send: String,
    /// Back to the login page.
    pub sign_in: Way,
}

/// A link was followed; the button does it.
#[derive(Debug, Template)]
#[template(path = "pages/link.html")]
pub struct LinkPage {
    /// Around the content.
    pub frame: Frame,
    /// The token of the form.
    pub form_token: String,
    /// The token of the link.
    pub token: String,
    /// What the button does.
    pub text: String,
    /// What becomes of the session that the browser has.
    pub notice: Option<String>,
}

/// Asks for a new password.
#[derive(Debug, Template)]
#[template(path = "pages/new_password.html")]
pub struct NewPasswordPage {
    /// Around the content.
    pub frame: Frame,
    /// The token of the form.
    pub form_token: String,
    /// The token of the link.
    pub token: String,
    /// Whose password it is, for password managers.
    pub email: String,
    /// Where they wanted to go when they asked for the link.
    pub return_to: String,
    /// For whom.
    pub text: String,
    /// The password.
    pub password: PasswordView,
    /// What must be put right.
    pub problems: Vec<ProblemLink>,
}

/// The field for a password that is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordView {
    /// What it is called.
    pub label: String,
    /// What is demanded.
    pub hint: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}
