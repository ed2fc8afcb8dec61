//! Which steps a submission takes.

use serde_json::{Map, json};

use super::*;
use crate::identity::{CustomerOptions, UserOptions};
use crate::language::Language;
use crate::onboarding::RegistrationId;
use crate::onboarding::StepKind;
use crate::onboarding::answers::Answers;
use crate::onboarding::approval::Asked;
use crate::onboarding::draft::Draft;
use crate::onboarding::plan::{Plan, PlanBasis, Step};
use crate::platform::BelongsTo;
use crate::seal::{KeyRing, SealKey};

fn answers(account_type: AccountType) -> Answers {
    Answers {
        account_type,
        email: EmailAddress::parse("mario@acme.example").unwrap(),
        name: "Mario Rossi".to_owned(),
        customer_name: Some("Acme".to_owned()).filter(|_| account_type == AccountType::Business),
        customer: Map::from_iter([("vat".to_owned(), json!("IT1"))]),
        location: Map::from_iter([("city".to_owned(), json!("Modena"))]),
        user: Map::new(),
        partner_code: None,
        acceptances: vec![],
    }
}

fn plan(scope: &Scope, location: Option<&str>, account_type: AccountType) -> Plan {
    let basis = PlanBasis {
        scope,
        partner: None,
        location_name: location,
        language: "it",
        customer_options: &CustomerOptions::default(),
        user_options: &UserOptions::default(),
    };
    Plan::of(&answers(account_type), basis)
}

fn coded() -> Scope {
    Scope::NewCustomer {
        code: Some("ACME-1".to_owned()),
    }
}

#[test]
fn a_new_customer_gets_its_location_before_its_user() {
    let plan = plan(&coded(), Some("Sede"), AccountType::Business);
    assert_eq!(plan.kinds().collect::<Vec<_>>(), StepKind::ALL);
    let [
        Step::CreateCustomer(customer),
        Step::CreateLocation(location),
        Step::CreateUser(user),
    ] = plan.steps.as_slice()
    else {
        panic!("customer, location, user")
    };
    assert_eq!(
        (customer.name.as_str(), customer.code.as_deref()),
        ("Acme", Some("ACME-1"))
    );
    assert_eq!(customer.fields["vat"], json!("IT1"));
    assert_eq!(
        (location.name.as_str(), &location.fields["city"]),
        ("Sede", &json!("Modena"))
    );
    assert_eq!(
        (user.name.as_str(), user.language.as_str()),
        ("Mario Rossi", "it")
    );
}

#[test]
fn without_a_default_location_there_is_no_such_step() {
    let plan = plan(&coded(), None, AccountType::Business);
    let kinds: Vec<_> = plan.kinds().collect();
    assert_eq!(kinds, [StepKind::CreateCustomer, StepKind::CreateUser]);
}

#[test]
fn a_person_is_a_customer_by_their_own_name_and_without_the_companys_code() {
    let plan = plan(&coded(), None, AccountType::Personal);
    let Some(Step::CreateCustomer(customer)) = plan.steps.first() else {
        panic!("the customer comes first")
    };
    assert_eq!(
        (customer.name.as_str(), customer.code.as_deref()),
        ("Mario Rossi", None)
    );
}

#[test]
fn whoever_joins_gets_a_user_in_that_customer_and_nothing_else() {
    let plan = plan(
        &Scope::Join(customer()),
        Some("Sede"),
        AccountType::Business,
    );
    let joined = BelongsTo::Customer(CustomerId::new("c-1"));
    assert_eq!(plan.joins, Some(joined));
    assert_eq!(plan.kinds().collect::<Vec<_>>(), [StepKind::CreateUser]);
}

#[test]
fn a_partners_user_gets_no_customer() {
    let partner = PartnerId::new("p-1");
    let answers = answers(AccountType::Partner);
    let basis = PlanBasis {
        scope: &new_customer(),
        partner: Some(&partner),
        location_name: Some("Sede"),
        language: "it",
        customer_options: &CustomerOptions::default(),
        user_options: &UserOptions::default(),
    };
    let plan = Plan::of(&answers, basis);
    assert_eq!(plan.joins, Some(BelongsTo::Partner(partner)));
    assert!(matches!(&plan.steps[..], [Step::CreateUser(user)] if !user.administrator));
}

#[test]
fn whoever_founds_a_customer_administers_it_and_whoever_joins_does_not() {
    let user = |scope: &Scope| match plan(scope, None, AccountType::Business).steps.pop() {
        Some(Step::CreateUser(user)) => user,
        other => panic!("the user comes last: {other:?}"),
    };
    assert!(user(&new_customer()).administrator);
    assert!(!user(&Scope::Join(customer())).administrator);
    assert!(!user(&Scope::AskToJoin(customer())).administrator);
}

#[test]
fn a_draft_opens_only_for_its_own_registration() {
    let draft = Draft {
        identity: identity(json!({ "email": "mario@acme.example" })),
        account_type: AccountType::Business,
        email: EmailAddress::parse("mario@acme.example").unwrap(),
        name: "Mario Rossi".to_owned(),
        language: Language::It,
        host: "app.example.com".to_owned(),
        typed: typed(&[("company", "Acme")]),
        asked: Some(Asked::Administrators(customer())),
        plan: plan(&coded(), Some("Sede"), AccountType::Business),
    };
    let keys = KeyRing::new(SealKey::random(), vec![]);
    let id = RegistrationId::new("r-1");
    let sealed = draft.seal(&keys, &id).unwrap();
    assert_eq!(Draft::open(&keys, &id, &sealed).unwrap(), draft);
    assert!(Draft::open(&keys, &RegistrationId::new("r-2"), &sealed).is_err());
}
