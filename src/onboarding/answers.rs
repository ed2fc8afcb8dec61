//! What was submitted, judged against the form: answers, or a problem per field. Pure.
//!
//! Keys that the form does not have are refused; locked values come from the form itself, whatever
//! was submitted; every kept text is NFC, trimmed, and free of control and direction characters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

use super::form::{ACCOUNT_TYPE, AGREEMENT_PREFIX, FormField, RegistrationForm};
use crate::identity::{AccountType, EmailAddress};
use crate::language::Country;
use crate::policy::signup_form::{Agreement, Field, FieldKind, FieldTarget};

/// Something is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The key under which it was submitted.
    pub field: String,
    /// What is wrong.
    pub problem: FieldProblemKind,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldProblemKind {
    /// Nothing was given.
    Missing,
    /// It is longer than that many characters.
    TooLong {
        /// The longest, characters.
        max: usize,
    },
    /// Control characters, or characters that change the direction of writing.
    Characters,
    /// Not an e-mail address.
    NotAnEmail,
    /// Not a phone number, or a local one without a country.
    NotAPhone,
    /// Not a country's code.
    NotACountry,
    /// Not one of the options.
    NotAnOption,
    /// Not one of the account types on offer.
    AccountType,
    /// The agreement was not accepted.
    NotAccepted,
    /// The agreement has another version than the one that was shown.
    AgreementChanged,
    /// The address belongs to another user.
    EmailTaken,
    /// The name belongs to another customer.
    NameTaken,
    /// The organisation code belongs to another customer.
    CodeTaken,
    /// The platform refused the value.
    Refused,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Fields have problems.
    Invalid(Vec<FieldProblem>),
    /// There is a key that the form does not have.
    UnknownField(String),
}

/// An accepted agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The agreement.
    pub agreement: String,
    /// The language of the text that was shown.
    pub language: String,
    /// The version of that text.
    pub version: String,
}

/// A valid submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The account type.
    pub account_type: AccountType,
    /// The user's address.
    pub email: EmailAddress,
    /// The user's name.
    pub name: String,
    /// The customer's name, where it differs from the user's.
    pub customer_name: Option<String>,
    /// Further fields of the customer.
    pub customer: Map<String, Value>,
    /// Fields of the location.
    pub location: Map<String, Value>,
    /// Further fields of the user.
    pub user: Map<String, Value>,
    /// The accepted agreements.
    pub acceptances: Vec<Acceptance>,
}

/// Judges a submission; `language` is the one in which agreements were shown.
pub fn judge(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
    language: &str,
) -> Result<Answers, Refusal> {
    if let Some(unknown) = input.keys().find(|key| !is_known(form, key)) {
        return Err(Refusal::UnknownField(unknown.clone()));
    }
    let chosen = chosen_account_type(form, input);
    // Without a choice, what every account type is asked is judged all the same, so that one look
    // at the page is enough.
    let kinds = chosen.map_or_else(|| form.account_types.clone(), |kind| vec![kind]);
    let mut judged = Judged::default();
    let asked = || {
        let asked_for_all = |field: &Field| kinds.iter().all(|kind| field.is_asked_for(*kind));
        let fields = form.fields.iter();
        fields.filter(move |field| asked_for_all(&field.declared))
    };
    let region = asked().find_map(|field| country_of(field, input));
    for field in asked() {
        judged.field(field, input, region);
    }
    for agreement in &form.agreements {
        if kinds.iter().all(|kind| agreement.is_asked_for(*kind)) {
            judged.agreement(agreement, input, language);
        }
    }
    let Some(account_type) = chosen else {
        let field = ACCOUNT_TYPE.to_owned();
        let problem = FieldProblemKind::AccountType;
        judged.problems.insert(0, FieldProblem { field, problem });
        return Err(Refusal::Invalid(judged.problems));
    };
    judged.into_answers(account_type)
}

fn is_known(form: &RegistrationForm, key: &str) -> bool {
    let is_agreement = |id: &str| form.agreements.iter().any(|agreement| agreement.id == id);
    key == ACCOUNT_TYPE
        || form.fields.iter().any(|field| field.declared.name == key)
        || key.strip_prefix(AGREEMENT_PREFIX).is_some_and(is_agreement)
}

fn chosen_account_type(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
) -> Option<AccountType> {
    match input.get(ACCOUNT_TYPE) {
        Some(word) => AccountType::from_word(word).filter(|kind| form.account_types.contains(kind)),
        None => form.only_account_type(),
    }
}

/// The country that a phone number without a country code belongs to.
fn country_of(field: &FormField, input: &BTreeMap<String, String>) -> Option<Country> {
    if field.declared.kind != FieldKind::Country {
        return None;
    }
    let submitted = input.get(&field.declared.name).filter(|_| !field.locked);
    Country::from_code(submitted.or(field.value.as_ref())?.trim())
}

/// What was found so far.
#[derive(Default)]
struct Judged {
    email: Option<EmailAddress>,
    names: Vec<String>,
    customer_name: Option<String>,
    customer: Map<String, Value>,
    location: Map<String, Value>,
    user: Map<String, Value>,
    acceptances: Vec<Acceptance>,
    problems: Vec<FieldProblem>,
}

impl Judged {
    fn field(
        &mut self,
        field: &FormField,
        input: &BTreeMap<String, String>,
        region: Option<Country>,
    ) {
        let locked = field.value.as_deref().filter(|_| field.locked);
        let submitted = input.get(&field.declared.name).map(String::as_str);
        match answer(
            &field.declared,
            locked.or(submitted).unwrap_or_default(),
            region,
        ) {
            Ok(Some(value)) => self.keep(&field.declared, value),
            Ok(None) => {}
            Err(problem) => self.problems.push(FieldProblem {
                field: field.declared.name.clone(),
                problem,
            }),
        }
    }

    fn keep(&mut self, field: &Field, text: String) {
        let value = match field.kind {
            FieldKind::Checkbox => Value::Bool(text == "true"),
            _ => Value::String(text.clone()),
        };
        match field.goes_to {
            FieldTarget::UserEmail => self.email = EmailAddress::parse(&text).ok(),
            FieldTarget::UserName => self.names.push(text),
            FieldTarget::CustomerName => self.customer_name = Some(text),
            FieldTarget::Customer => _ = self.customer.insert(field.name.clone(), value),
            FieldTarget::Location => _ = self.location.insert(field.name.clone(), value),
            FieldTarget::User => _ = self.user.insert(field.name.clone(), value),
        }
    }

    fn agreement(
        &mut self,
        agreement: &Agreement,
        input: &BTreeMap<String, String>,
        language: &str,
    ) {
        let Some((language, text)) = agreement.text_for(language) else {
            return;
        };
        let field = format!("{AGREEMENT_PREFIX}{}", agreement.id);
        let shown = input.get(&field).map(String::as_str).unwrap_or_default();
        if shown == text.version {
            self.acceptances.push(Acceptance {
                agreement: agreement.id.clone(),
                language: language.to_owned(),
                version: text.version.clone(),
            });
            return;
        }
        let problem = if shown.is_empty() {
            FieldProblemKind::NotAccepted
        } else {
            FieldProblemKind::AgreementChanged
        };
        self.problems.push(FieldProblem { field, problem });
    }

    fn into_answers(mut self, account_type: AccountType) -> Result<Answers, Refusal> {
        let Some(email) = self.email.filter(|_| self.problems.is_empty()) else {
            if self.problems.is_empty() {
                self.problems.push(FieldProblem {
                    field: "email".to_owned(),
                    problem: FieldProblemKind::Missing,
                });
            }
            return Err(Refusal::Invalid(self.problems));
        };
        let name = if self.names.is_empty() {
            email.as_str().to_owned()
        } else {
            self.names.join(" ")
        };
        Ok(Answers {
            account_type,
            email,
            name,
            customer_name: self.customer_name,
            customer: self.customer,
            location: self.location,
            user: self.user,
            acceptances: self.acceptances,
        })
    }
}

/// The kept value of a field; none when it may be empty and is.
fn answer(
    field: &Field,
    text: &str,
    region: Option<Country>,
) -> Result<Option<String>, FieldProblemKind> {
    let value = normal(field, text, region)?;
    let is_empty = value.is_empty() || (field.kind == FieldKind::Checkbox && value == "false");
    if is_empty && field.required {
        return Err(FieldProblemKind::Missing);
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

/// A field's value in the one spelling that is kept; the empty text stays empty.
pub(super) fn normal(
    field: &Field,
    text: &str,
    region: Option<Country>,
) -> Result<String, FieldProblemKind> {
    let text = plain(text, field.max_length)?;
    if text.is_empty() && field.kind != FieldKind::Checkbox {
        return Ok(text);
    }
    match &field.kind {
        FieldKind::Text => Ok(text),
        FieldKind::Email => EmailAddress::parse(&text)
            .map(String::from)
            .map_err(|_| FieldProblemKind::NotAnEmail),
        FieldKind::Phone => phone(&text, region).ok_or(FieldProblemKind::NotAPhone),
        FieldKind::Country => Country::from_code(&text)
            .map(|country| country.code().to_owned())
            .ok_or(FieldProblemKind::NotACountry),
        FieldKind::Select(choices) => choices
            .iter()
            .find(|choice| choice.value == text)
            .map(|choice| choice.value.clone())
            .ok_or(FieldProblemKind::NotAnOption),
        FieldKind::Checkbox => match text.as_str() {
            "on" | "true" | "yes" | "1" => Ok("true".to_owned()),
            "" | "false" | "no" | "0" => Ok("false".to_owned()),
            _ => Err(FieldProblemKind::NotAnOption),
        },
    }
}

/// NFC, trimmed, without control and direction characters, not too long.
fn plain(text: &str, max: usize) -> Result<String, FieldProblemKind> {
    // The octets are counted first, so that nothing huge is normalised.
    if text.len() > max.saturating_mul(8) {
        return Err(FieldProblemKind::TooLong { max });
    }
    let text: String = text.nfc().collect::<String>().trim().to_owned();
    if text.chars().any(is_unwanted) {
        return Err(FieldProblemKind::Characters);
    }
    if text.chars().count() > max {
        return Err(FieldProblemKind::TooLong { max });
    }
    Ok(text)
}

/// Characters that no name or address holds and that make a text look like another: controls,
/// direction marks, invisible spaces and the like. The joiners U+200C and U+200D are part of names
/// in several scripts.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A phone number in any human spelling as E.164.
fn phone(text: &str, region: Option<Country>) -> Option<String> {
    // With a country code the region must not matter: `phonenumber` would drop a leading zero that
    // is a trunk prefix there, although it is part of the number where it leads.
    let international = text.strip_prefix("00").map(|rest| format!("+{rest}"));
    let candidates = [
        (Some(text).filter(|text| text.starts_with('+')), None),
        (Some(text).filter(|text| !text.starts_with('+')), region),
        (international.as_deref(), None),
    ];
    candidates
        .into_iter()
        .find_map(|(text, region)| e164(text?, region))
}

fn e164(text: &str, region: Option<Country>) -> Option<String> {
    let region = region.and_then(|country| country.code().parse().ok());
    let number = phonenumber::parse(region, text).ok()?;
    phonenumber::is_valid(&number)
        .then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}
