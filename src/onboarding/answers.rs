//! What was submitted, judged against the form: answers, or a problem per field. Pure.
//!
//! Keys that the form does not have are refused; locked values come from the form itself, whatever
//! was submitted; every kept text is NFC, trimmed, and free of control and direction characters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::conditions::Filled;
use super::form::{ACCOUNT_TYPE, AGREEMENT_PREFIX, ASKED, FormField, RegistrationForm};
use super::password::PasswordProblem;
use super::values::{answer, plain};
use crate::identity::{AccountType, EmailAddress};
use crate::language::Country;
use crate::policy::signup_form::{Agreement, Field, FieldKind, FieldTarget};

/// The longest name of a customer that an operator composes, characters.
const LONGEST_TITLE: usize = 200;

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
    /// Not a VAT number of that country.
    NotAVatNumber,
    /// It is asked because of what was filled in, and was not on the page.
    NewlyAsked,
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
    /// The operator's hook refused the value, in these words.
    Said(String),
    /// The password is not one to take.
    Password(PasswordProblem),
    /// No partner has this code, or too many were tried.
    NotAPartnerCode,
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
    /// The partner code that was given.
    pub partner_code: Option<String>,
    /// The accepted agreements.
    pub acceptances: Vec<Acceptance>,
}

/// Judges a submission.
pub fn judge(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
) -> Result<Answers, Refusal> {
    if let Some(unknown) = input.keys().find(|key| !is_known(form, key)) {
        return Err(Refusal::UnknownField(unknown.clone()));
    }
    let chosen = chosen_account_type(form, input);
    // Without a choice, what every account type is asked is judged all the same, so that one look
    // at the page is enough.
    let kinds = chosen.map_or_else(|| form.account_types.clone(), |kind| vec![kind]);
    let mut judged = Judged::default();
    let filled = Filled::of(form, Some(input), chosen);
    let for_all = |field: &Field| kinds.iter().all(|kind| field.is_asked_for(*kind));
    let fields = form.fields.iter();
    let asked: Vec<_> = fields
        .filter(|field| for_all(&field.declared) && filled.asks(field))
        .collect();
    let region = asked.iter().find_map(|field| country_of(field, input));
    for field in asked {
        if is_new(field, input) {
            judged.problem(field, FieldProblemKind::NewlyAsked);
        } else {
            judged.field(field, input, (region, filled.requires(field)));
        }
    }
    for agreement in &form.agreements {
        if kinds.iter().all(|kind| agreement.is_asked_for(*kind)) {
            judged.agreement(agreement, input);
        }
    }
    let Some(account_type) = chosen else {
        let field = ACCOUNT_TYPE.to_owned();
        let problem = FieldProblemKind::AccountType;
        judged.problems.insert(0, FieldProblem { field, problem });
        return Err(Refusal::Invalid(judged.problems));
    };
    let title = filled.customer_title();
    let title = title.and_then(|title| plain(&title, LONGEST_TITLE).ok());
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        judged.customer_name = Some(title);
    }
    judged.into_answers(account_type)
}

/// Whether a field is asked because of what was filled in, on a page that did not show it.
fn is_new(field: &FormField, input: &BTreeMap<String, String>) -> bool {
    let name = &field.declared.name;
    let was_shown = || {
        let asked = input.get(ASKED).map(String::as_str).unwrap_or_default();
        asked.split(' ').any(|shown| shown == name)
    };
    field.declared.when.is_some() && !field.locked && !input.contains_key(name) && !was_shown()
}

/// Judges a submission of agreements alone: those of `due` must be accepted; more of those that
/// are `concerned` may have been, a moment ago in another tab.
pub fn judge_acceptances(
    concerned: &[Arc<Agreement>],
    due: &[Arc<Agreement>],
    input: &BTreeMap<String, String>,
) -> Result<Vec<Acceptance>, Refusal> {
    if let Some(unknown) = input.keys().find(|key| !is_agreement(concerned, key)) {
        return Err(Refusal::UnknownField(unknown.clone()));
    }
    let mut judged = Judged::default();
    for agreement in due {
        judged.agreement(agreement, input);
    }
    if judged.problems.is_empty() {
        Ok(judged.acceptances)
    } else {
        Err(Refusal::Invalid(judged.problems))
    }
}

/// What somebody who has an account confirmed; what was left empty is kept as empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Confirmed {
    /// The user's name.
    pub name: Option<String>,
    /// The customer's name.
    pub customer_name: Option<String>,
    /// Further fields of the customer.
    pub customer: Map<String, Value>,
    /// Fields of the location.
    pub location: Map<String, Value>,
    /// Further fields of the user.
    pub user: Map<String, Value>,
}

/// Judges a submission of fields alone.
pub fn judge_fields(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
) -> Result<Confirmed, Refusal> {
    let is_field = |key: &str| form.fields.iter().any(|field| field.declared.name == key);
    if let Some(unknown) = input.keys().find(|key| !is_field(key)) {
        return Err(Refusal::UnknownField(unknown.clone()));
    }
    let region = form
        .fields
        .iter()
        .find_map(|field| country_of(field, input));
    let mut judged = Judged::default();
    for field in &form.fields {
        let is_empty = input
            .get(&field.declared.name)
            .is_none_or(|text| text.trim().is_empty());
        if is_empty && !field.declared.required {
            judged.keep(&field.declared, String::new());
        } else {
            judged.field(field, input, (region, field.declared.required));
        }
    }
    if !judged.problems.is_empty() {
        return Err(Refusal::Invalid(judged.problems));
    }
    Ok(Confirmed {
        name: (!judged.names.is_empty()).then(|| judged.names.join(" ")),
        customer_name: judged.customer_name,
        customer: judged.customer,
        location: judged.location,
        user: judged.user,
    })
}

fn is_known(form: &RegistrationForm, key: &str) -> bool {
    key == ACCOUNT_TYPE
        || key == ASKED
        || form.fields.iter().any(|field| field.declared.name == key)
        || is_agreement(&form.agreements, key)
}

fn is_agreement(agreements: &[Arc<Agreement>], key: &str) -> bool {
    key.strip_prefix(AGREEMENT_PREFIX)
        .is_some_and(|id| agreements.iter().any(|agreement| agreement.id == id))
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
    partner_code: Option<String>,
    acceptances: Vec<Acceptance>,
    problems: Vec<FieldProblem>,
}

impl Judged {
    fn field(
        &mut self,
        field: &FormField,
        input: &BTreeMap<String, String>,
        expected: (Option<Country>, bool),
    ) {
        let locked = field.value.as_deref().filter(|_| field.locked);
        let submitted = input.get(&field.declared.name).map(String::as_str);
        match answer(
            &field.declared,
            locked.or(submitted).unwrap_or_default(),
            expected,
        ) {
            Ok(Some(value)) => self.keep(&field.declared, value),
            Ok(None) => {}
            Err(problem) => self.problem(field, problem),
        }
    }

    fn problem(&mut self, field: &FormField, problem: FieldProblemKind) {
        self.problems.push(FieldProblem {
            field: field.declared.name.clone(),
            problem,
        });
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
            FieldTarget::PartnerCode => self.partner_code = Some(text),
        }
    }

    fn agreement(&mut self, agreement: &Agreement, input: &BTreeMap<String, String>) {
        let field = format!("{AGREEMENT_PREFIX}{}", agreement.id);
        let shown = input.get(&field).map(String::as_str).unwrap_or_default();
        if let Some((language, text)) = agreement.text_of(shown) {
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
            partner_code: self.partner_code,
            acceptances: self.acceptances,
        })
    }
}
