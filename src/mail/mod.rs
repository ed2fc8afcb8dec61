//! Sending letters: the [`Courier`] seam and the [`Letter`] that it carries.
//!
//! Use cases hand letters to [`queue::QueueCourier`], which keeps them until a courier that knows
//! a mail server has delivered them.

pub mod letters;
mod message;
pub mod pickup;
pub mod queue;
pub mod sample;
pub mod smtp;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseError;
use crate::identity::{AccountType, EmailAddress};
use crate::language::Language;

/// A letter, ready to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its id, the same however often it is sent; `Message-ID` has it.
    pub id: String,
    /// Which letter it is.
    pub kind: LetterKind,
    /// How long it is of any use; without end where none.
    pub valid_for: Option<Duration>,
    /// Who gets it.
    pub to: EmailAddress,
    /// One line, no control characters.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The language (`Content-Language`).
    pub language: Language,
}

/// Declares the kinds of letters, with the words that operators use for them.
macro_rules! letter_kinds {
    ($($(#[$meaning:meta])* $variant:ident $word:literal;)+) => {
        /// Which letter it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum LetterKind {
            $($(#[$meaning])* #[serde(rename = $word)] $variant,)+
        }

        impl LetterKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that operators use: `proof-code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

letter_kinds! {
    /// The code that proves an existing account.
    ProofCode "proof-code";
    /// The link that proves an address and leads to the registration.
    RegistrationLink "registration-link";
    /// Somebody wanted to register with the address of a user.
    HasAccount "has-account";
    /// The link to a new password.
    PasswordLink "password-link";
    /// An account works.
    AccountReady "account-ready";
    /// A registration cannot be finished as it is.
    RegistrationFailed "registration-failed";
    /// For the operator: a registration is complete.
    RegistrationCompleted "registration-completed";
    /// Somebody wants to join a customer.
    JoinAsked "join-asked";
    /// What became of a request to join.
    JoinAnswered "join-answered";
    /// A registration waits for the back office.
    ApprovalAsked "approval-asked";
    /// Others were asked about an applicant.
    RequestReceived "request-received";
    /// Others did not agree.
    RequestRefused "request-refused";
    /// Somebody is invited into a customer.
    Invitation "invitation";
}

impl LetterKind {
    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
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
    /// A link that somebody asked for.
    Link(LinkLetter),
    /// An account works; sent when that took long enough to have left the page.
    AccountReady,
    /// A registration cannot be finished as it is.
    RegistrationFailed {
        /// What to quote when asking about it.
        reference: String,
    },
    /// For the operator: a registration is complete.
    RegistrationCompleted {
        /// The customer's name.
        customer: String,
        /// The user's name.
        user: String,
        /// The user's address.
        email: EmailAddress,
        /// The account type.
        account_type: AccountType,
        /// The registration.
        reference: String,
    },
    /// Somebody wants to join a customer; for its administrators.
    JoinAsked(JoinRequest),
    /// What became of such a request; for the administrators.
    JoinAnswered {
        /// What the applicant is called.
        applicant: String,
        /// The applicant's address.
        email: EmailAddress,
        /// The customer.
        customer: String,
        /// What became of it.
        outcome: RequestOutcome,
    },
    /// A registration waits for the back office; for the back office.
    ApprovalAsked {
        /// What the applicant is called.
        applicant: String,
        /// The applicant's address.
        email: EmailAddress,
        /// What kind of account it is.
        account_type: AccountType,
        /// The registration.
        reference: String,
    },
    /// Others were asked; for the applicant.
    RequestReceived {
        /// The customer whose administrators were asked; none for the operator.
        customer: Option<String>,
    },
    /// Others did not agree; for the applicant.
    RequestRefused {
        /// The customer whose administrators were asked; none for the operator.
        customer: Option<String>,
        /// Whether they said no or nothing.
        outcome: RequestOutcome,
    },
    /// Somebody is invited into a customer.
    Invitation {
        /// The customer.
        customer: String,
        /// The link.
        link: String,
        /// How many days it is valid.
        days: u64,
    },
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
}

/// Somebody wants to join a customer.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// What the applicant is called.
    pub applicant: String,
    /// The applicant's address.
    pub email: EmailAddress,
    /// The customer.
    pub customer: String,
    /// The link by which to decide.
    pub link: String,
    /// Whether it was asked before.
    pub is_reminder: bool,
}

impl Message {
    /// Which letter says it.
    pub const fn kind(&self) -> LetterKind {
        match self {
            Self::ProofCode { .. } => LetterKind::ProofCode,
            Self::Link(LinkLetter::Registration { .. }) => LetterKind::RegistrationLink,
            Self::Link(LinkLetter::HasAccount { .. }) => LetterKind::HasAccount,
            Self::Link(LinkLetter::NewPassword { .. }) => LetterKind::PasswordLink,
            Self::AccountReady => LetterKind::AccountReady,
            Self::RegistrationFailed { .. } => LetterKind::RegistrationFailed,
            Self::RegistrationCompleted { .. } => LetterKind::RegistrationCompleted,
            Self::JoinAsked(_) => LetterKind::JoinAsked,
            Self::JoinAnswered { .. } => LetterKind::JoinAnswered,
            Self::ApprovalAsked { .. } => LetterKind::ApprovalAsked,
            Self::RequestReceived { .. } => LetterKind::RequestReceived,
            Self::RequestRefused { .. } => LetterKind::RequestRefused,
            Self::Invitation { .. } => LetterKind::Invitation,
        }
    }

    /// How long it is of any use: a code that is over is not sent.
    pub const fn valid_for(&self) -> Option<Duration> {
        match self {
            Self::ProofCode { minutes, .. }
            | Self::Link(
                LinkLetter::Registration { minutes, .. } | LinkLetter::NewPassword { minutes, .. },
            ) => Some(Duration::from_secs(*minutes * 60)),
            Self::Invitation { days, .. } => Some(Duration::from_hours(*days * 24)),
            Self::Link(LinkLetter::HasAccount { .. })
            | Self::AccountReady
            | Self::RegistrationFailed { .. }
            | Self::RegistrationCompleted { .. }
            | Self::JoinAsked(_)
            | Self::JoinAnswered { .. }
            | Self::ApprovalAsked { .. }
            | Self::RequestReceived { .. }
            | Self::RequestRefused { .. } => None,
        }
    }
}

/// A letter with a link. It greets nobody by name and repeats nothing that was typed: it may have
/// been asked for by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkLetter {
    /// The link that proves the address and leads to the registration.
    Registration {
        /// The link.
        url: String,
        /// How long it counts.
        minutes: u64,
    },
    /// Somebody wanted to register with the address of a user.
    HasAccount {
        /// The login page.
        url: String,
    },
    /// The link to a new password.
    NewPassword {
        /// The link.
        url: String,
        /// How long it counts.
        minutes: u64,
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

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// Too many letters wait already; the page says that it cannot be sent.
    #[error("too many letters wait already")]
    QueueFull,
    /// The queue is out of reach.
    #[error("the queue of letters is out of reach")]
    QueueDown(#[source] DatabaseError),
    /// The mail server is out of reach or asks to try later; trying again can help.
    #[error("the mail server is out of reach")]
    Passing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The mail server refused the letter for good.
    #[error("the mail server refused the letter")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Takes letters and sees that they arrive.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Takes one letter: returns when the queue keeps it, or the next mail server has it.
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
