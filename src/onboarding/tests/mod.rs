//! What the pure parts decide, with the people and policies that the tests speak of.

mod answering;
mod asking;
mod conditional;
mod planning;
mod resolving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::form::{FormBasis, RegistrationForm, Scope};
use crate::clock::Timestamp;
use crate::expression::{Condition, Mapping};
use crate::identity::{
    Account, AccountType, CustomerId, EmailAddress, Issuer, PartnerId, PlatformId, ProvenEmail,
    ProviderId, Subject, UserId, VerifiedClaims, VerifiedIdentity,
};
use crate::platform::{PlatformCustomer, PlatformUser};
use crate::policy::duties::Duties;
use crate::policy::onboarding::{Exclusion, LocalLogin, SelfRegistration};
use crate::policy::signup_form::{Agreement, AgreementText, Field, FieldKind, FieldTarget};
use crate::policy::{ApprovalPolicy, OnboardingPolicy, PartnerPolicy, SignupForm};

fn identity(claims: Value) -> VerifiedIdentity {
    identity_of("corp", true, claims)
}

fn identity_of(provider: &str, email_trusted: bool, claims: Value) -> VerifiedIdentity {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new(provider),
        issuer: Issuer::new("https://idp.example"),
        subject: Subject::new("s-1"),
        claims,
        email_trusted,
        authenticated_at: Timestamp::from_millis(0),
    })
}

fn by_mail(address: &str) -> VerifiedIdentity {
    let proven = ProvenEmail::from_redeemed(EmailAddress::parse(address).unwrap());
    let at = Timestamp::from_millis(0);
    VerifiedIdentity::of_mail(&PlatformId::new("builtin"), &proven, at)
}

fn policy() -> OnboardingPolicy {
    OnboardingPolicy {
        create_customer_on_first_login: true,
        account_types: vec![AccountType::Business, AccountType::Personal],
        add_default_location: true,
        known_customer: vec![],
        exclude: vec![],
        recheck_account_every: Duration::from_mins(5),
        self_registration: SelfRegistration {
            enabled: true,
            ..SelfRegistration::default()
        },
        duties: Duties::default(),
        addresses: crate::policy::addresses::AddressPolicy::default(),
        hooks: crate::policy::hooks::HookPolicy::default(),
        local_login: LocalLogin::default(),
        partner: PartnerPolicy::default(),
        approval: ApprovalPolicy::default(),
        attributes: crate::policy::attributes::AttributePolicy::default(),
    }
}

fn exclusion(when: &str) -> Exclusion {
    Exclusion {
        name: "staff".to_owned(),
        when: Condition::compile(when).unwrap(),
        message: "staff".to_owned(),
    }
}

fn user(enabled: bool) -> PlatformUser {
    PlatformUser {
        id: UserId::new("u-1"),
        email: EmailAddress::parse("mario@acme.example").unwrap(),
        customer: Some(CustomerId::new("c-1")),
        account_type: Some(AccountType::Business),
        enabled,
        has_password: false,
        email_proves: true,
    }
}

fn account() -> Account {
    Account {
        platform: PlatformId::new("builtin"),
        user: UserId::new("u-1"),
        customer: Some(CustomerId::new("c-before")),
        account_type: Some(AccountType::Business),
    }
}

fn customer() -> PlatformCustomer {
    PlatformCustomer {
        id: CustomerId::new("c-1"),
        name: "Acme".to_owned(),
        account_type: AccountType::Business,
    }
}

fn field(name: &str, kind: FieldKind, goes_to: FieldTarget) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        required: true,
        when: None,
        required_when: None,
        account_types: vec![],
        goes_to,
        prefill: None,
        locked_when_verified: true,
        max_length: 40,
        autocomplete: None,
    }
}

fn from_claim(claim: &str, field: Field) -> Field {
    Field {
        prefill: Some(Mapping::Claim(claim.to_owned())),
        ..field
    }
}

fn signup_form(fields: Vec<Field>, agreements: Vec<Agreement>) -> SignupForm {
    SignupForm {
        fields: fields.into_iter().map(Arc::new).collect(),
        agreements: agreements.into_iter().map(Arc::new).collect(),
        ..SignupForm::default()
    }
}

fn terms(versions: &[(&str, &str)]) -> Agreement {
    let text = |version: &str| AgreementText {
        title: "Terms".to_owned(),
        markdown: format!("# Terms {version}"),
        version: version.to_owned(),
    };
    let texts = versions
        .iter()
        .map(|(language, version)| ((*language).to_owned(), text(version)));
    Agreement::new("terms", texts.collect(), None)
}

fn new_customer() -> Scope {
    Scope::NewCustomer { code: None }
}

fn form_for(claims: Value, declared: &SignupForm) -> RegistrationForm {
    RegistrationForm::build(FormBasis {
        identity: &identity(claims),
        declared,
        scope: new_customer(),
        account_types: vec![AccountType::Business, AccountType::Personal],
        with_location: true,
        code_is_required: true,
    })
}

fn typed(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
