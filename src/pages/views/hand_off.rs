//! The page that signs the platform's own pages in.

use askama::Template;

use super::Frame;

/// Hands tokens over to the platform's own pages, in this browser alone, and leads on by a script.
#[derive(Template)]
#[template(path = "pages/hand_off.html")]
pub struct HandOffPage {
    /// Around the content.
    pub frame: Frame,
    /// Where to, afterwards.
    pub to: String,
    /// The access token.
    pub token: String,
    /// How long it is good for, milliseconds.
    pub life: u128,
    /// What stands in the place of a refresh token.
    pub renewal: String,
    /// How long it is of use, milliseconds.
    pub renewal_life: u128,
}
