//! The registration form: what is asked of whom, with which first values. Pure.
//!
//! Only what is missing is asked: what the identity provider vouches for is shown and locked.
//! Whatever the platform cannot do without (an address, a name, a company's name) is asked even
//! where the operator declared no field for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::conditions::Filled;
use super::invitation::Invited;
use super::password::Demand;
use super::values;
use crate::expression::{Expression, Mapping};
use crate::identity::{AccountType, EmailAddress, VerifiedIdentity};
use crate::platform::PlatformCustomer;
use crate::policy::SignupForm;
use crate::policy::signup_form::{Agreement, Field, FieldKind, FieldTarget};

/// The key under which the account type is submitted.
pub const ACCOUNT_TYPE: &str = "account_type";
/// The key under which the page names the conditional fields that it shows.
pub const ASKED: &str = "asked";
/// The key under which a partner code is submitted.
pub const PARTNER_CODE: &str = "partner_code";
/// What precedes an agreement's id in its key; the value is the version that was shown.
pub const AGREEMENT_PREFIX: &str = "agreement.";

/// What somebody registers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A new customer.
    NewCustomer {
        /// The organisation code by which colleagues will find it.
        code: Option<String>,
    },
    /// A customer that the platform has.
    Join(PlatformCustomer),
    /// A customer that the platform has, once its administrators agree.
    AskToJoin(PlatformCustomer),
    /// A customer that the platform has, by invitation.
    Invited(Invited),
}

impl Scope {
    /// The customer that somebody joins, where none is made.
    pub fn joined(&self) -> Option<&PlatformCustomer> {
        match self {
            Self::NewCustomer { .. } => None,
            Self::Join(customer) | Self::AskToJoin(customer) => Some(customer),
            Self::Invited(invited) => Some(&invited.customer),
        }
    }
}

/// What is asked of one applicant.
#[derive(Debug, Clone)]
pub struct RegistrationForm {
    /// What it leads to.
    pub scope: Scope,
    /// The account types to choose from; a single one is not asked.
    pub account_types: Vec<AccountType>,
    /// The fields, in page order.
    pub fields: Vec<FormField>,
    /// The agreements to accept, in page order.
    pub agreements: Vec<Arc<Agreement>>,
    /// What conditions see as `identity`.
    pub identity: Value,
    /// The customer's name, where the operator composes it.
    pub customer_title: Option<Expression>,
    /// What is demanded of the password, where one is chosen.
    pub password: Option<Demand>,
}

/// A field with its first value.
#[derive(Debug, Clone)]
pub struct FormField {
    /// As it was declared.
    pub declared: Arc<Field>,
    /// What is known already.
    pub value: Option<String>,
    /// Whether the value is vouched for: shown, and taken from here whatever is submitted.
    pub locked: bool,
}

/// What a form is built from.
#[derive(Debug)]
pub struct FormBasis<'a> {
    /// Who applies.
    pub identity: &'a VerifiedIdentity,
    /// What the operator declared for the host.
    pub declared: &'a SignupForm,
    /// What it leads to.
    pub scope: Scope,
    /// The account types to choose from.
    pub account_types: Vec<AccountType>,
    /// Whether a location is made.
    pub with_location: bool,
    /// Whether people of partners need a code.
    pub code_is_required: bool,
}

impl RegistrationForm {
    /// The form for one applicant.
    pub fn build(basis: FormBasis<'_>) -> Self {
        let FormBasis {
            identity,
            declared,
            scope,
            account_types,
            with_location,
            code_is_required,
        } = basis;
        let joins = scope.joined().is_some();
        let wanted = |field: &Arc<Field>| {
            let makes_sense = match field.goes_to {
                FieldTarget::CustomerName | FieldTarget::Customer | FieldTarget::PartnerCode => {
                    !joins
                }
                FieldTarget::Location => !joins && with_location,
                FieldTarget::UserName | FieldTarget::UserEmail | FieldTarget::User => true,
            };
            makes_sense && account_types.iter().any(|kind| field.is_asked_for(*kind))
        };
        let claims = identity.claims().to_value();
        let partner_code = partner_code(code_is_required);
        let fields = complete(declared)
            .into_iter()
            .chain([partner_code])
            .filter(wanted)
            .map(|field| FormField::known(field, identity, &claims))
            .collect();
        let agreements = declared
            .agreements
            .iter()
            .filter(|agreement| {
                account_types
                    .iter()
                    .any(|kind| agreement.is_asked_for(*kind))
            })
            .cloned()
            .collect();
        Self {
            scope,
            account_types,
            fields,
            agreements,
            identity: claims,
            customer_title: declared.customer_title.clone().filter(|_| !joins),
            password: None,
        }
    }

    /// The same form, asking for a password.
    #[must_use]
    pub fn with_password(self, demand: Option<Demand>) -> Self {
        Self {
            password: demand,
            ..self
        }
    }

    /// A form of agreements alone, for somebody who has an account.
    pub fn of_agreements(agreements: Vec<Arc<Agreement>>) -> Self {
        Self {
            scope: Scope::NewCustomer { code: None },
            account_types: Vec::new(),
            fields: Vec::new(),
            agreements,
            identity: Value::Null,
            customer_title: None,
            password: None,
        }
    }

    /// A form of fields alone, for somebody who has an account.
    pub fn of_fields(fields: Vec<FormField>) -> Self {
        Self {
            fields,
            ..Self::of_agreements(Vec::new())
        }
    }

    /// Whether it leads into a customer that the platform has.
    pub fn joins(&self) -> bool {
        self.scope.joined().is_some()
    }

    /// Whether nothing has to be asked, so that no page needs to be shown.
    pub fn asks_nothing(&self) -> bool {
        let filled = Filled::of(self, None, self.only_account_type());
        let answered =
            |field: &FormField| field.locked || !filled.asks(field) || !filled.requires(field);
        self.account_types.len() == 1
            && self.password.is_none()
            && self.agreements.is_empty()
            // Others are asked only for somebody who wants them to be.
            && !matches!(self.scope, Scope::AskToJoin(_))
            && self.fields.iter().all(answered)
    }

    /// The account type, where there is no choice.
    pub fn only_account_type(&self) -> Option<AccountType> {
        match self.account_types.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The account type to begin with, where one is likely: whose company is known comes for it.
    pub fn likely_account_type(&self) -> Option<AccountType> {
        let names_company = |field: &FormField| {
            field.declared.goes_to == FieldTarget::CustomerName && field.value.is_some()
        };
        let knows_company = matches!(self.scope, Scope::NewCustomer { code: Some(_) })
            || self.fields.iter().any(names_company);
        let business = AccountType::Business;
        (knows_company && self.account_types.contains(&business)).then_some(business)
    }

    /// The name of the field that asks for the user's address.
    pub fn email_field(&self) -> &str {
        self.fields
            .iter()
            .find(|field| field.declared.goes_to == FieldTarget::UserEmail)
            .map_or("email", |field| field.declared.name.as_str())
    }

    /// The same form with what was submitted before in its editable fields.
    #[must_use]
    pub fn with_submitted(mut self, input: &BTreeMap<String, String>) -> Self {
        for field in self.fields.iter_mut().filter(|field| !field.locked) {
            if let Some(value) = input.get(&field.declared.name) {
                field.value = Some(value.clone());
            }
        }
        self
    }
}

impl RegistrationForm {
    /// With first values from elsewhere: only where nothing is vouched for, and only what would be
    /// taken from a person.
    #[must_use]
    pub fn prefilled(mut self, values: &BTreeMap<String, String>) -> Self {
        for field in self.fields.iter_mut().filter(|field| !field.locked) {
            let value = values.get(&field.declared.name);
            let normal = value.and_then(|text| values::normal(&field.declared, text, None).ok());
            field.value = normal.or_else(|| field.value.take());
        }
        self
    }
}

impl FormField {
    fn known(declared: Arc<Field>, identity: &VerifiedIdentity, claims: &Value) -> Self {
        let said = match (&declared.prefill, declared.goes_to) {
            (Some(mapping), _) => mapping.text(claims),
            (None, FieldTarget::UserEmail) => identity.text("email").map(str::to_owned),
            (None, FieldTarget::UserName) if declared.name == "name" => name_of(identity),
            (None, _) => None,
        };
        // A value that we would not take from a form is not taken from a claim either.
        let value = said.and_then(|text| values::normal(&declared, &text, None).ok());
        let locked = value.is_some() && is_vouched_for(&declared, identity, value.as_deref());
        Self {
            declared,
            value,
            locked,
        }
    }
}

/// Whether a value counts as verified: an address only when it is proven, a phone number only when
/// the provider says so, anything else when the operator declared it so.
fn is_vouched_for(field: &Field, identity: &VerifiedIdentity, value: Option<&str>) -> bool {
    let proven_email = || {
        let email = identity.email();
        identity.has_proven_email() && email.as_ref().map(EmailAddress::as_str) == value
    };
    let proven_phone = || {
        identity.claims().get("phone_number_verified") == Some(&Value::Bool(true))
            && matches!(&field.prefill, Some(Mapping::Claim(claim)) if claim == "phone_number")
    };
    match field.kind {
        _ if field.goes_to == FieldTarget::UserEmail => proven_email(),
        FieldKind::Email => field.locked_when_verified && proven_email(),
        FieldKind::Phone => field.locked_when_verified && proven_phone(),
        FieldKind::Text
        | FieldKind::VatNumber
        | FieldKind::Country
        | FieldKind::Select(_)
        | FieldKind::Checkbox => field.locked_when_verified,
    }
}

fn name_of(identity: &VerifiedIdentity) -> Option<String> {
    identity
        .display_name()
        .filter(|name| Some(name.as_str()) != identity.text("email") && !name.contains('@'))
}

/// The declared fields, after those that the platform cannot do without and nobody declared.
fn complete(form: &SignupForm) -> Vec<Arc<Field>> {
    let declared = &form.fields;
    let has = |target| declared.iter().any(|field| field.goes_to == target);
    let names_companies = form.customer_title.is_some()
        || declared.iter().any(|field| {
            field.goes_to == FieldTarget::CustomerName && field.is_asked_for(AccountType::Business)
        });
    let mut fields = Vec::new();
    if !has(FieldTarget::UserName) {
        fields.push(core("name", FieldKind::Text, FieldTarget::UserName));
    }
    if !has(FieldTarget::UserEmail) {
        fields.push(core("email", FieldKind::Email, FieldTarget::UserEmail));
    }
    if !names_companies {
        fields.push(core("company", FieldKind::Text, FieldTarget::CustomerName));
    }
    for field in declared {
        if fields
            .iter()
            .all(|earlier: &Arc<Field>| earlier.name != field.name)
        {
            fields.push(Arc::clone(field));
        }
    }
    fields
}

/// The code by which somebody says which partner they belong to.
fn partner_code(required: bool) -> Arc<Field> {
    Arc::new(Field {
        name: PARTNER_CODE.to_owned(),
        kind: FieldKind::Text,
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        required,
        when: None,
        required_when: None,
        account_types: vec![AccountType::Partner],
        goes_to: FieldTarget::PartnerCode,
        prefill: None,
        locked_when_verified: false,
        max_length: 100,
        autocomplete: Some("off".to_owned()),
    })
}

fn core(name: &str, kind: FieldKind, goes_to: FieldTarget) -> Arc<Field> {
    let (account_types, autocomplete) = match goes_to {
        FieldTarget::CustomerName => (vec![AccountType::Business], "organization"),
        FieldTarget::UserEmail => (Vec::new(), "email"),
        _ => (Vec::new(), "name"),
    };
    Arc::new(Field {
        name: name.to_owned(),
        kind,
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        required: true,
        when: None,
        required_when: None,
        account_types,
        goes_to,
        prefill: None,
        locked_when_verified: false,
        max_length: 200,
        autocomplete: Some(autocomplete.to_owned()),
    })
}
