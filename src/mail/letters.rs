//! What the gateway writes to people. Text and HTML say the same.

mod note;

use askama::Template;
use secrecy::ExposeSecret as _;

use super::{Addressee, Letter, Letterhead, Letters, LinkLetter, Message};
use crate::language::{Language, Texts};

/// Writes letters from the templates in `templates/mail`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TemplateLetters;

impl Letters for TemplateLetters {
    fn compose(&self, message: &Message, to: &Addressee, from: &Letterhead) -> Letter {
        let stationery = Stationery {
            operator: &from.operator,
            support: from.support.as_deref(),
            language: to.language,
        };
        let written = stationery.write(message, to, &from.origin);
        // Templates write into memory, which does not fail.
        let Written {
            subject,
            text,
            html,
        } = written.unwrap_or_default();
        Letter {
            id: uuid::Uuid::now_v7().to_string(),
            kind: message.kind(),
            valid_for: message.valid_for(),
            to: to.email.clone(),
            subject,
            text,
            html,
            language: to.language,
        }
    }
}

/// Who writes, and in which language.
#[derive(Debug, Clone, Copy)]
struct Stationery<'a> {
    operator: &'a str,
    support: Option<&'a str>,
    language: Language,
}

/// A letter without its address.
#[derive(Debug, Default)]
struct Written {
    subject: String,
    text: String,
    html: String,
}

impl Stationery<'_> {
    fn write(
        self,
        message: &Message,
        to: &Addressee,
        origin: &str,
    ) -> Result<Written, askama::Error> {
        match message {
            Message::ProofCode {
                code,
                minutes,
                provider,
            } => self.mailed_code(code.expose_secret(), provider, *minutes),
            Message::Link(letter) => self.link(letter),
            Message::AccountReady => self.account_ready(to, origin),
            Message::RegistrationFailed { reference } => self.registration_failed(to, reference),
            Message::RegistrationCompleted {
                customer,
                user,
                email,
                account_type,
                reference,
            } => {
                let texts = self.language.texts();
                let kind = texts.get(&format!("account-type-{}", account_type.as_str()));
                let facts = [
                    ("letter-completed-customer", customer.clone()),
                    (
                        "letter-completed-user",
                        format!("{user}, {}", email.as_str()),
                    ),
                    ("letter-completed-kind", kind.into_owned()),
                    ("letter-completed-reference", reference.clone()),
                ];
                self.registration_completed(&facts, origin)
            }
            note => self.write_note(note, to),
        }
    }

    /// Repeats what an applicant typed, to somebody who asked for such letters.
    fn registration_completed(
        self,
        facts: &[(&str, String)],
        url: &str,
    ) -> Result<Written, askama::Error> {
        let subject = self.subject("letter-completed-subject");
        let texts = self.language.texts();
        let greeting = &greeting(texts, None);
        let facts = facts
            .iter()
            .map(|(label, fact)| (texts.get(label).into_owned(), fact.clone()));
        let facts = &facts.collect::<Vec<_>>();
        let stationery = self;
        let text = CompletedText {
            stationery,
            greeting,
            facts,
            url,
        }
        .render()?;
        let html = CompletedHtml {
            stationery,
            subject: &subject,
            greeting,
            facts,
            url,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }

    /// It greets nobody by name: the name at hand is that of whoever asks, not the recipient's.
    fn mailed_code(
        self,
        code: &str,
        provider: &str,
        minutes: u64,
    ) -> Result<Written, askama::Error> {
        let subject = self.subject("letter-code-subject");
        let greeting = &greeting(self.language.texts(), None);
        let minutes = &minutes.to_string();
        let stationery = self;
        let text = CodeText {
            stationery,
            greeting,
            code,
            provider,
            minutes,
        }
        .render()?;
        let html = CodeHtml {
            stationery,
            subject: &subject,
            greeting,
            code,
            provider,
            minutes,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }

    fn link(self, letter: &LinkLetter) -> Result<Written, askama::Error> {
        let (kind, url, minutes) = match letter {
            LinkLetter::Registration { url, minutes } => ("signup", url, Some(minutes)),
            LinkLetter::HasAccount { url } => ("has-account", url, None),
            LinkLetter::NewPassword { url, minutes } => ("password", url, Some(minutes)),
        };
        let texts = self.language.texts();
        let say = |part: &str| {
            let key = format!("letter-{kind}-{part}");
            texts
                .get_with(&key, &[("operator", self.operator)])
                .into_owned()
        };
        let subject = self.subject(&format!("letter-{kind}-subject"));
        let stationery = self;
        let greeting = &greeting(texts, None);
        let (text, button, not_you) = (&say("text"), &say("button"), &say("not-you"));
        let valid = minutes.map(|minutes| {
            let minutes = minutes.to_string();
            let values = [("minutes", minutes.as_str())];
            texts.get_with("letter-link-valid", &values).into_owned()
        });
        let html = LinkHtml {
            stationery,
            subject: &subject,
            greeting,
            text,
            url,
            button,
            valid: valid.as_deref(),
            not_you,
        }
        .render()?;
        let text = LinkText {
            stationery,
            greeting,
            text,
            url,
            valid: valid.as_deref(),
            not_you,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }

    fn account_ready(self, to: &Addressee, url: &str) -> Result<Written, askama::Error> {
        let subject = self.subject("letter-ready-subject");
        let greeting = &greeting(self.language.texts(), to.name.as_deref());
        let stationery = self;
        let text = ReadyText {
            stationery,
            greeting,
            url,
        }
        .render()?;
        let html = ReadyHtml {
            stationery,
            subject: &subject,
            greeting,
            url,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }

    fn registration_failed(
        self,
        to: &Addressee,
        reference: &str,
    ) -> Result<Written, askama::Error> {
        let subject = self.subject("letter-failed-subject");
        let greeting = &greeting(self.language.texts(), to.name.as_deref());
        let stationery = self;
        let text = FailedText {
            stationery,
            greeting,
            reference,
        }
        .render()?;
        let html = FailedHtml {
            stationery,
            subject: &subject,
            greeting,
            reference,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }

    /// One line.
    fn subject(self, key: &str) -> String {
        let text = self
            .language
            .texts()
            .get_with(key, &[("operator", self.operator)]);
        text.chars().filter(|c| !c.is_control()).collect()
    }
}

/// Greets by name only where it looks like one: a name that holds a link would make the gateway
/// a sender of other people's advertisements.
fn greeting(texts: Texts, name: Option<&str>) -> String {
    match name.map(str::trim).filter(|name| is_plain_name(name)) {
        Some(name) => texts
            .get_with("letter-greeting", &[("name", name)])
            .into_owned(),
        None => texts.get("letter-greeting-plain").into_owned(),
    }
}

fn is_plain_name(name: &str) -> bool {
    let is_part = |c: char| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '’');
    let dotted = |part: &str| part.ends_with('.') || !part.contains('.');
    !name.is_empty()
        && name.chars().count() <= 60
        && name.chars().all(|c| is_part(c) || c == '.')
        && name.split(' ').all(dotted)
}

#[derive(Template)]
#[template(path = "mail/code.txt")]
struct CodeText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    code: &'a str,
    provider: &'a str,
    minutes: &'a String,
}

#[derive(Template)]
#[template(path = "mail/code.html")]
struct CodeHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    code: &'a str,
    provider: &'a str,
    minutes: &'a String,
}

#[derive(Template)]
#[template(path = "mail/link.txt")]
struct LinkText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    text: &'a str,
    url: &'a str,
    valid: Option<&'a str>,
    not_you: &'a str,
}

#[derive(Template)]
#[template(path = "mail/link.html")]
struct LinkHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    text: &'a str,
    url: &'a str,
    button: &'a str,
    valid: Option<&'a str>,
    not_you: &'a str,
}

#[derive(Template)]
#[template(path = "mail/ready.txt")]
struct ReadyText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/ready.html")]
struct ReadyHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/failed.txt")]
struct FailedText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    reference: &'a str,
}

#[derive(Template)]
#[template(path = "mail/failed.html")]
struct FailedHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    reference: &'a str,
}

#[derive(Template)]
#[template(path = "mail/completed.txt")]
struct CompletedText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    facts: &'a [(String, String)],
    url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/completed.html")]
struct CompletedHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    facts: &'a [(String, String)],
    url: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::EmailAddress;
    use crate::mail::{LetterKind, sample};

    fn shown(letter: &Letter) -> String {
        let to = letter.to.as_str();
        let language = letter.language.tag();
        let Letter {
            subject,
            text,
            html,
            ..
        } = letter;
        format!("To: {to}\nSubject: {subject}\nLanguage: {language}\n\n{text}\n{html}")
    }

    fn write(name: Option<&str>, message: &Message) -> Letter {
        let to = Addressee {
            name: name.map(str::to_owned),
            ..sample::addressee(Language::En)
        };
        TemplateLetters.compose(message, &to, &sample::letterhead())
    }

    #[test]
    fn letters_in_every_language() {
        for kind in LetterKind::ALL {
            for language in Language::ALL {
                let to = sample::addressee(*language);
                let message = sample::message(*kind);
                let letter = TemplateLetters.compose(&message, &to, &sample::letterhead());
                let name = format!("{}_{}", kind.as_str(), language.tag());
                insta::assert_snapshot!(name, shown(&letter));
            }
        }
    }

    #[test]
    fn a_sample_is_of_its_kind() {
        for kind in LetterKind::ALL {
            assert_eq!(sample::message(*kind).kind(), *kind);
            assert_eq!(LetterKind::from_word(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn a_name_that_could_advertise_is_not_repeated() {
        for name in [
            "Visit evil.example",
            "https://evil.example",
            "x\r\nBcc: v@x.example",
            "\u{202e}eman",
            "<b>x</b>",
            "call +39 06 1234567",
            "",
            " ",
            &"x".repeat(61),
        ] {
            for kind in LetterKind::ALL {
                let letter = write(Some(name), &sample::message(*kind));
                let text = letter.text;
                assert!(text.starts_with("Hello,\n"), "{name:?} {text}");
            }
        }
        for name in [
            "Giulia Bianchi",
            "Dr. Ana-María O’Neill",
            "李雷",
            "Martin Luther King Jr.",
        ] {
            let letter = write(Some(name), &Message::AccountReady);
            assert!(letter.text.contains(&format!("Hello {name},")));
        }
    }

    #[test]
    fn a_code_letter_does_not_greet_with_the_name_of_whoever_asks() {
        let letter = write(Some("Giulia"), &sample::message(LetterKind::ProofCode));
        assert!(!letter.text.contains("Giulia"));
    }

    #[test]
    fn a_subject_is_one_line() {
        let from = Letterhead {
            operator: "Acme\r\nBcc: x@y.example".to_owned(),
            ..sample::letterhead()
        };
        let to = sample::addressee(Language::En);
        let letter = TemplateLetters.compose(&Message::AccountReady, &to, &from);
        assert!(!letter.subject.contains(['\r', '\n']));
    }

    #[test]
    fn every_letter_has_an_id_of_its_own() {
        let message = Message::AccountReady;
        assert_ne!(write(None, &message).id, write(None, &message).id);
        assert!(EmailAddress::parse(&format!("{}@x.example", write(None, &message).id)).is_ok());
    }
}
