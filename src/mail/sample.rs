//! A sample of every letter, for `vestibule mail preview` and the snapshots.

use super::{Addressee, JoinRequest, LetterKind, Letterhead, LinkLetter, Message, RequestOutcome};
use crate::identity::{AccountType, EmailAddress};
use crate::language::Language;

/// What a letter of this kind could say.
pub fn message(kind: LetterKind) -> Message {
    match kind {
        LetterKind::ProofCode => Message::ProofCode {
            code: "04291735".to_owned().into(),
            minutes: 15,
            provider: "Acme single sign-on".to_owned(),
        },
        LetterKind::RegistrationLink => Message::Link(LinkLetter::Registration {
            url: "https://app.example.com/auth/register/link?token=s4mpl3".to_owned(),
            minutes: 60,
        }),
        LetterKind::HasAccount => Message::Link(LinkLetter::HasAccount {
            url: "https://app.example.com/auth/login".to_owned(),
        }),
        LetterKind::PasswordLink => Message::Link(LinkLetter::NewPassword {
            url: "https://app.example.com/auth/password/new?token=s4mpl3".to_owned(),
            minutes: 30,
        }),
        LetterKind::AccountReady => Message::AccountReady,
        LetterKind::RegistrationFailed => Message::RegistrationFailed {
            reference: "0193-7f3a".to_owned(),
        },
        LetterKind::RegistrationCompleted => Message::RegistrationCompleted {
            customer: "Bianchi & Figli".to_owned(),
            user: "Giulia Bianchi".to_owned(),
            email: addressee(Language::En).email,
            account_type: AccountType::Business,
            reference: "0193-7f3a".to_owned(),
        },
        LetterKind::JoinAsked => Message::JoinAsked(JoinRequest {
            applicant: "Kwame Mensah".to_owned(),
            email: addressee(Language::En).email,
            customer: "Harbour Lights & Co".to_owned(),
            link: "https://app.example.com/auth/register/approval?link=4f1c".to_owned(),
            is_reminder: false,
        }),
        LetterKind::JoinAnswered => Message::JoinAnswered {
            applicant: "Kwame Mensah".to_owned(),
            email: addressee(Language::En).email,
            customer: "Harbour Lights & Co".to_owned(),
            outcome: RequestOutcome::Approved,
        },
        LetterKind::ApprovalAsked => Message::ApprovalAsked {
            applicant: "Kwame Mensah".to_owned(),
            email: addressee(Language::En).email,
            account_type: AccountType::Business,
            reference: "0193-7f3a".to_owned(),
        },
        LetterKind::RequestReceived => Message::RequestReceived {
            customer: Some("Harbour Lights & Co".to_owned()),
        },
        LetterKind::RequestRefused => Message::RequestRefused {
            customer: None,
            outcome: RequestOutcome::Rejected,
        },
        LetterKind::Invitation => Message::Invitation {
            customer: "Harbour Lights & Co".to_owned(),
            link: "https://app.example.com/auth/register/invitation?link=9b27".to_owned(),
            days: 14,
        },
    }
}

/// Somebody to write to.
///
/// # Panics
/// Never: the address is one.
#[expect(clippy::expect_used, reason = "the address is one, as tests show")]
pub fn addressee(language: Language) -> Addressee {
    Addressee {
        email: EmailAddress::parse("giulia@bianchi.example").expect("an address"),
        name: Some("Giulia Bianchi".to_owned()),
        language,
    }
}

/// An operator whose texts need escaping.
pub fn letterhead() -> Letterhead {
    Letterhead {
        operator: "Acme & Co".to_owned(),
        colour: None,
        support: Some("https://help.acme.example/?a=1&b=2".to_owned()),
        origin: "https://app.example.com".to_owned(),
    }
}
