//! Letters about requests and invitations: some sentences, and at most one thing to press.

use askama::Template;

use super::{Stationery, Written, greeting, is_plain_name};
use crate::identity::{AccountType, EmailAddress};
use crate::mail::{Addressee, JoinRequest, Message, RequestOutcome};

/// What such a letter says.
#[derive(Debug, Default)]
struct Note {
    subject: String,
    paragraphs: Vec<String>,
    quoted: Option<String>,
    button: Option<Button>,
    closing: Vec<String>,
    why: String,
}

#[derive(Debug)]
struct Button {
    label: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/note.txt")]
struct NoteText<'a> {
    stationery: Stationery<'a>,
    greeting: &'a str,
    note: &'a Note,
}

#[derive(Template)]
#[template(path = "mail/note.html")]
struct NoteHtml<'a> {
    stationery: Stationery<'a>,
    subject: &'a str,
    greeting: &'a str,
    note: &'a Note,
}

impl Stationery<'_> {
    /// The letter of such a message.
    pub(super) fn write_note(
        self,
        message: &Message,
        to: &Addressee,
    ) -> Result<Written, askama::Error> {
        let note = match message {
            Message::JoinAsked(request) => self.join_asked(request),
            Message::JoinAnswered {
                applicant,
                email,
                customer,
                outcome,
            } => self.join_answered(&named(applicant, email), customer, *outcome),
            Message::ApprovalAsked {
                applicant,
                email,
                account_type,
                reference,
            } => self.approval_asked(&named(applicant, email), *account_type, reference),
            Message::RequestReceived { customer } => self.request_received(customer.as_deref()),
            Message::RequestRefused { customer, outcome } => {
                self.request_refused(customer.as_deref(), *outcome)
            }
            Message::Invitation {
                customer,
                link,
                days,
            } => self.invitation(customer, link, *days),
            // These have templates of their own.
            Message::ProofCode { .. }
            | Message::Link(_)
            | Message::AccountReady
            | Message::RegistrationFailed { .. }
            | Message::RegistrationCompleted { .. } => Note::default(),
        };
        self.written(&note, to)
    }

    fn join_asked(self, request: &JoinRequest) -> Note {
        let applicant = named(&request.applicant, &request.email);
        let values = [
            ("applicant", applicant.as_str()),
            ("customer", request.customer.as_str()),
            ("operator", self.operator),
        ];
        let subject = if request.is_reminder {
            "letter-join-reminder-subject"
        } else {
            "letter-join-subject"
        };
        Note {
            subject: self.text(subject, &values),
            paragraphs: vec![self.text("letter-join-text", &values)],
            button: Some(Button {
                label: self.text("letter-join-button", &values),
                url: request.link.clone(),
            }),
            closing: vec![self.text("letter-join-care", &values)],
            why: self.text("letter-join-why", &values),
            ..Note::default()
        }
    }

    fn join_answered(self, applicant: &str, customer: &str, outcome: RequestOutcome) -> Note {
        let values = [
            ("applicant", applicant),
            ("customer", customer),
            ("operator", self.operator),
        ];
        let key = match outcome {
            RequestOutcome::Approved => "letter-join-approved-text",
            RequestOutcome::Rejected => "letter-join-rejected-text",
            RequestOutcome::Expired => "letter-join-expired-text",
        };
        Note {
            subject: self.text("letter-join-answered-subject", &values),
            paragraphs: vec![self.text(key, &values)],
            why: self.text("letter-join-why", &values),
            ..Note::default()
        }
    }

    fn approval_asked(self, applicant: &str, account_type: AccountType, reference: &str) -> Note {
        let kind = self.text(&format!("account-type-{}", account_type.as_str()), &[]);
        let values = [
            ("applicant", applicant),
            ("type", kind.as_str()),
            ("operator", self.operator),
        ];
        Note {
            subject: self.text("letter-approval-subject", &values),
            paragraphs: vec![
                self.text("letter-approval-text", &values),
                self.text("letter-approval-how", &values),
            ],
            quoted: Some(format!("vestibule registrations show {reference}")),
            why: self.text("letter-approval-why", &values),
            ..Note::default()
        }
    }

    fn request_received(self, customer: Option<&str>) -> Note {
        let values = self.asked(customer);
        let text = match customer {
            Some(_) => "letter-received-customer",
            None => "letter-received-operator",
        };
        Note {
            subject: self.text("letter-received-subject", &values),
            paragraphs: vec![
                self.text(text, &values),
                self.text("letter-received-next", &values),
            ],
            why: self.text("letter-why", &values),
            ..Note::default()
        }
    }

    fn request_refused(self, customer: Option<&str>, outcome: RequestOutcome) -> Note {
        let values = self.asked(customer);
        let text = match (customer, outcome) {
            (Some(_), RequestOutcome::Expired) => "letter-expired-customer",
            (None, RequestOutcome::Expired) => "letter-expired-operator",
            (Some(_), _) => "letter-refused-customer",
            (None, _) => "letter-refused-operator",
        };
        Note {
            subject: self.text("letter-refused-subject", &values),
            paragraphs: vec![self.text(text, &values)],
            why: self.text("letter-why", &values),
            ..Note::default()
        }
    }

    fn invitation(self, customer: &str, link: &str, days: u64) -> Note {
        let days = days.to_string();
        let values = [
            ("customer", customer),
            ("days", days.as_str()),
            ("operator", self.operator),
        ];
        Note {
            subject: self.text("letter-invitation-subject", &values),
            paragraphs: vec![self.text("letter-invitation-text", &values)],
            button: Some(Button {
                label: self.text("letter-invitation-button", &values),
                url: link.to_owned(),
            }),
            closing: vec![self.text("letter-invitation-care", &values)],
            why: self.text("letter-invitation-why", &values),
            ..Note::default()
        }
    }

    fn asked<'v>(&'v self, customer: Option<&'v str>) -> [(&'static str, &'v str); 2] {
        let customer = customer.unwrap_or(self.operator);
        [("customer", customer), ("operator", self.operator)]
    }

    fn text(self, key: &str, values: &[(&str, &str)]) -> String {
        let texts = self.language.texts();
        texts.get_with(key, values).into_owned()
    }

    fn written(self, note: &Note, to: &Addressee) -> Result<Written, askama::Error> {
        let greeting = &greeting(self.language.texts(), to.name.as_deref());
        let stationery = self;
        let subject: String = note.subject.chars().filter(|c| !c.is_control()).collect();
        let text = NoteText {
            stationery,
            greeting,
            note,
        }
        .render()?;
        let html = NoteHtml {
            stationery,
            subject: &subject,
            greeting,
            note,
        }
        .render()?;
        Ok(Written {
            subject,
            text,
            html,
        })
    }
}

/// Name and address; what does not look like a name is left out, so that nobody writes their own
/// sentences into the letters of others.
fn named(name: &str, email: &EmailAddress) -> String {
    let name = name.trim();
    if is_plain_name(name) {
        format!("{name} ({})", email.as_str())
    } else {
        email.as_str().to_owned()
    }
}
