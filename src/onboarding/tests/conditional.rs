//! Fields that are asked because of what else was filled in, and names that operators compose.

use serde_json::json;

use super::answering::with;
use super::*;
use crate::expression::Expression;
use crate::onboarding::answers::{Answers, FieldProblem, FieldProblemKind, Refusal, judge};

fn when(condition: &str, field: Field) -> Field {
    Field {
        when: Some(Condition::compile(condition).unwrap()),
        ..field
    }
}

fn country() -> Field {
    field("country", FieldKind::Country, FieldTarget::Customer)
}

fn tax_code() -> Field {
    when(
        "form.country == 'IT'",
        field("tax_code", FieldKind::Text, FieldTarget::Customer),
    )
}

fn judged(fields: Vec<Field>, input: &[(&str, &str)]) -> Result<Answers, Vec<FieldProblem>> {
    let form = form_for(json!({}), &signup_form(fields, vec![]));
    judge(&form, &with(input)).map_err(|refusal| match refusal {
        Refusal::Invalid(problems) => problems,
        Refusal::UnknownField(field) => panic!("{field} is not on the form"),
    })
}

#[test]
fn what_is_newly_asked_is_shown_before_it_is_judged() {
    let fields = || vec![country(), tax_code()];
    let problems = judged(fields(), &[("country", "IT")]).unwrap_err();
    assert_eq!(problems[0].field, "tax_code");
    assert_eq!(problems[0].problem, FieldProblemKind::NewlyAsked);

    let shown = [("country", "IT"), ("asked", "tax_code"), ("tax_code", "")];
    let problems = judged(fields(), &shown).unwrap_err();
    assert_eq!(problems[0].problem, FieldProblemKind::Missing);

    let filled = [("country", "IT"), ("tax_code", "BNCGLI80A41H501U")];
    let answers = judged(fields(), &filled).unwrap();
    assert_eq!(answers.customer["tax_code"], "BNCGLI80A41H501U");
}

#[test]
fn what_is_not_asked_any_more_is_not_kept() {
    let sent = [("country", "DE"), ("asked", "tax_code"), ("tax_code", "X")];
    let answers = judged(vec![country(), tax_code()], &sent).unwrap();
    assert!(!answers.customer.contains_key("tax_code"));
}

#[test]
fn conditions_see_the_fields_before_them_only_where_those_are_asked() {
    let last = when(
        "form.tax_code != ''",
        field("office", FieldKind::Text, FieldTarget::Customer),
    );
    let sent = [("country", "DE"), ("tax_code", "X")];
    assert!(judged(vec![country(), tax_code(), last], &sent).is_ok());
}

#[test]
fn a_box_that_was_shown_and_not_ticked_is_not_newly_asked() {
    let mut consent = field("consent", FieldKind::Checkbox, FieldTarget::Customer);
    consent.required = false;
    let fields = || {
        vec![
            country(),
            when("form.country == 'IT'", consent_of(&consent)),
        ]
    };
    let problems = judged(fields(), &[("country", "IT")]).unwrap_err();
    assert_eq!(problems[0].problem, FieldProblemKind::NewlyAsked);
    let answers = judged(fields(), &[("country", "IT"), ("asked", "consent")]).unwrap();
    assert_eq!(answers.customer["consent"], json!(false));
}

fn consent_of(consent: &Field) -> Field {
    Field {
        required: consent.required,
        ..field("consent", FieldKind::Checkbox, FieldTarget::Customer)
    }
}

#[test]
fn a_field_may_be_required_by_a_condition_alone() {
    let vat = || Field {
        required: false,
        required_when: Some(Condition::compile("form.country in ['IT', 'DE']").unwrap()),
        ..field("vat_number", FieldKind::VatNumber, FieldTarget::Customer)
    };
    let of = |input: &[(&str, &str)]| judged(vec![country(), vat()], input);
    assert!(of(&[("country", "US"), ("vat_number", "")]).is_ok());
    let problems = of(&[("country", "IT"), ("vat_number", "")]).unwrap_err();
    assert_eq!(problems[0].problem, FieldProblemKind::Missing);
    let problems = of(&[("country", "IT"), ("vat_number", "123")]).unwrap_err();
    assert_eq!(problems[0].problem, FieldProblemKind::NotAVatNumber);
    let answers = of(&[("country", "IT"), ("vat_number", "01234567890")]).unwrap();
    assert_eq!(answers.customer["vat_number"], "IT01234567890");
}

#[test]
fn a_condition_that_cannot_be_evaluated_asks() {
    let odd = when(
        "identity.level > 3",
        field("odd", FieldKind::Text, FieldTarget::Customer),
    );
    let problems = judged(vec![odd], &[]).unwrap_err();
    assert_eq!(problems[0].problem, FieldProblemKind::NewlyAsked);
}

#[test]
fn the_operator_may_compose_the_customers_name() {
    let declared = SignupForm {
        customer_title: Some(
            Expression::compile("form.company + ' (' + form.country + ')'").unwrap(),
        ),
        ..signup_form(
            vec![
                field("company", FieldKind::Text, FieldTarget::CustomerName),
                country(),
            ],
            vec![],
        )
    };
    let form = form_for(json!({}), &declared);
    let answers = judge(&form, &with(&[("company", "Acme"), ("country", "it")])).unwrap();
    assert_eq!(answers.customer_name.as_deref(), Some("Acme (it)"));

    let broken = SignupForm {
        customer_title: Some(Expression::compile("identity.none").unwrap()),
        ..declared
    };
    let form = form_for(json!({}), &broken);
    let answers = judge(&form, &with(&[("company", "Acme"), ("country", "IT")])).unwrap();
    assert_eq!(answers.customer_name.as_deref(), Some("Acme"));
}
