//! Sending letters: the [`Courier`] seam and the [`Letter`] that it carries.

pub mod letters;
mod message;
pub mod pickup;
pub mod smtp;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::identity::EmailAddress;
use crate::language::Language;

/// A letter, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who gets it.
    pub to: EmailAddress,
    /// One line, no control characters.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The language tag (`Content-Language`).
    pub language: &'static str,
}

/// What a letter says.
#[derive(Debug, Clone)]
pub enum Message {
    /// The code that proves an existing account.
    ProofCode {
        /// The code.
        code: SecretString,
        /// How long it is valid.
        minutes: u64,
        /// The name of the identity provider through which somebody came.
        provider: String,
    },
    /// An account works; sent when that took long enough to have left the page.
    AccountReady,
    /// A registration cannot be finished as it is.
    RegistrationFailed {
        /// What to quote when asking about it.
        reference: String,
    },
}

/// Who a letter is for.
#[derive(Debug, Clone)]
pub struct Addressee {
    /// The address.
    pub email: EmailAddress,
    /// The name to greet with.
    pub name: Option<String>,
    /// The language to write in.
    pub language: Language,
}

/// In whose name a letter goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead {
    /// The operator's name.
    pub operator: String,
    /// `#rrggbb`.
    pub colour: Option<String>,
    /// Where somebody can ask for help: a URL or `mailto:`.
    pub support: Option<String>,
    /// The origin of the host that it is about; links lead there.
    pub origin: String,
}

/// Writes letters from templates.
pub trait Letters: Send + Sync {
    /// The finished letter.
    fn compose(&self, message: &Message, to: &Addressee, from: &Letterhead) -> Letter;
}

/// Why a letter was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The mail server is out of reach or asks to try later; trying again can help.
    #[error("the mail server is out of reach")]
    Passing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The mail server refused the letter for good.
    #[error("the mail server refused the letter")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands letters over.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Hands one letter over to the next mail server; returns when that has taken it.
    async fn send(&self, letter: &Letter) -> Result<(), CourierError>;
}

/// No mail server: nothing can be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCourier;

/// No mail server is configured.
#[derive(Debug, thiserror::Error)]
#[error("no mail server is configured; see [mail] in vestibule.toml")]
pub struct NoMailServer;

#[async_trait]
impl Courier for NoCourier {
    async fn send(&self, _: &Letter) -> Result<(), CourierError> {
        Err(CourierError::Refused(Box::new(NoMailServer)))
    }
}
