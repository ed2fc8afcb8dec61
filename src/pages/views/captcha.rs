//! The check for robots in a form.

/// The check for robots in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptchaView {
    /// Why the last one did not count.
    pub problem: Option<String>,
    /// What the browser does.
    pub check: CheckView,
}

impl CaptchaView {
    /// Whether there is nothing to see without a script.
    pub const fn is_shown_by_script(&self) -> bool {
        !matches!(self.check, CheckView::Work(_))
    }
}

/// What the browser does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckView {
    /// It works.
    Work(WorkView),
    /// It shows a vendor's widget, which the visitor answers.
    Widget(WidgetView),
    /// It has the visitor scored by a vendor when the form is sent.
    Score(WidgetView),
}

/// A proof of work for the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkView {
    /// Comes back with the form.
    pub token: String,
    /// What is digested with the number.
    pub salt: String,
    /// The digest to find, base64url.
    pub target: String,
    /// The number is below this.
    pub bound: String,
}

/// What a vendor's script is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidgetView {
    /// The address of the script.
    pub script: String,
    /// The class of the element that it fills.
    pub class: &'static str,
    /// The field that holds the answer.
    pub field: &'static str,
    /// The key of the page.
    pub site_key: String,
    /// What the answer is for, where the vendor knows actions.
    pub action: Option<String>,
}
