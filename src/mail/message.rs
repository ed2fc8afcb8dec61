//! A letter as an Internet message (RFC 5322), for whichever courier carries it.

use lettre::Message;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::{CourierError, Letter};

/// Builds the message; header values are encoded by the builder, never glued together.
pub(super) fn compose(letter: &Letter, from: &Mailbox) -> Result<Message, CourierError> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| CourierError::Refused(error);
    let to = letter
        .to
        .as_str()
        .parse()
        .map_err(|error| refused(Box::new(error)))?;
    let text = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text.clone());
    let html = SinglePart::builder()
        .header(ContentType::TEXT_HTML)
        .body(letter.html.clone());
    let body = MultiPart::alternative().singlepart(text).singlepart(html);
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(one_line(&letter.subject))
        .message_id(Some(message_id(letter, from)))
        .header(ContentLanguage(letter.language.tag()))
        .header(AutoSubmitted)
        .multipart(body)
        .map_err(|error| refused(Box::new(error)))
}

/// The same however often the letter is sent, so that a mail system can tell a second copy.
fn message_id(letter: &Letter, from: &Mailbox) -> String {
    format!("<{}@{}>", letter.id, from.email.domain())
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// `Content-Language` (RFC 3282).
#[derive(Clone, Copy)]
struct ContentLanguage(&'static str);

impl Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self("und"))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.to_owned())
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no out-of-office answers, please.
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::EmailAddress;
    use crate::language::Language;
    use crate::mail::LetterKind;

    fn letter(subject: &str) -> Letter {
        Letter {
            id: "0193".to_owned(),
            kind: LetterKind::ProofCode,
            valid_for: None,
            to: EmailAddress::parse("anna@example.org").unwrap(),
            subject: subject.to_owned(),
            text: "Guten Tag, Änne".to_owned(),
            html: "<p>Guten Tag, Änne</p>".to_owned(),
            language: Language::De,
        }
    }

    fn raw(subject: &str) -> String {
        let from = "Acme <no-reply@example.com>".parse().unwrap();
        String::from_utf8(compose(&letter(subject), &from).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_has_both_parts_and_says_that_a_machine_sent_it() {
        let raw = raw("Ihr Code");
        for part in [
            "To: anna@example.org",
            "Subject: Ihr Code",
            "Content-Language: de",
            "text/plain",
            "text/html",
            "Auto-Submitted: auto-generated",
            "Message-ID: <0193@example.com>",
        ] {
            assert!(raw.contains(part), "{part} is missing in\n{raw}");
        }
    }

    #[test]
    fn a_subject_cannot_bring_headers_with_it() {
        let raw = raw("x\r\nBcc: victim@example.org");
        assert!(!raw.lines().any(|line| line.starts_with("Bcc:")), "{raw}");
    }
}
