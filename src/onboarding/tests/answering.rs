//! Which submissions are taken, and what is wrong with the others.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::onboarding::answers::{Answers, Refusal, judge};
use crate::onboarding::{FieldProblem, FieldProblemKind};
use crate::policy::signup_form::Choice;

const VALID: &[(&str, &str)] = &[
    ("account_type", "business"),
    ("company", "Acme"),
    ("name", "Mario Rossi"),
    ("email", "mario@acme.example"),
];

pub(super) fn with(further: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut input = typed(VALID);
    input.extend(typed(further));
    input
}

fn answers(fields: Vec<Field>, further: &[(&str, &str)]) -> Result<Answers, Refusal> {
    let form = form_for(json!({}), &signup_form(fields, vec![]));
    judge(&form, &with(further))
}

/// The only problem of a submission.
fn problem(fields: Vec<Field>, further: &[(&str, &str)]) -> FieldProblemKind {
    match answers(fields, further) {
        Err(Refusal::Invalid(mut problems)) if problems.len() == 1 => problems.remove(0).problem,
        other => panic!("one problem, not {other:?}"),
    }
}

#[test]
fn a_valid_submission_is_taken() {
    let answers = answers(vec![], &[]).unwrap();
    assert_eq!(answers.account_type, AccountType::Business);
    assert_eq!(answers.name, "Mario Rossi");
    assert_eq!(answers.customer_name.as_deref(), Some("Acme"));
    assert_eq!(answers.email.as_str(), "mario@acme.example");
}

#[test]
fn a_key_that_the_form_does_not_have_is_refused() {
    for key in [
        "role",
        "email_verified",
        "customer_id",
        "agreement.other",
        "Name",
        "",
    ] {
        let refused = answers(vec![], &[(key, "x")]);
        assert_eq!(refused, Err(Refusal::UnknownField(key.to_owned())));
    }
}

#[test]
fn only_account_types_on_offer_are_taken() {
    for kind in ["partner", "admin", "", "Business"] {
        let wrong = problem(vec![], &[("account_type", kind)]);
        assert_eq!(wrong, FieldProblemKind::AccountType);
    }
}

#[test]
fn without_an_account_type_what_all_of_them_are_asked_is_named_as_well() {
    let form = form_for(json!({}), &signup_form(vec![], vec![]));
    let Err(Refusal::Invalid(problems)) = judge(&form, &typed(&[])) else {
        panic!("everything is missing");
    };
    let named: Vec<_> = problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(named, ["account_type", "name", "email"]);
}

#[test]
fn every_missing_field_is_named_and_other_account_types_fields_are_not_asked() {
    let form = form_for(json!({}), &signup_form(vec![], vec![]));
    let named = |kind: &str| match judge(&form, &typed(&[("account_type", kind)])) {
        Err(Refusal::Invalid(problems)) => problems
            .into_iter()
            .map(|FieldProblem { field, problem }| {
                assert_eq!(problem, FieldProblemKind::Missing);
                field
            })
            .collect::<Vec<_>>(),
        other => panic!("fields are missing: {other:?}"),
    };
    assert_eq!(named("business"), ["name", "email", "company"]);
    assert_eq!(named("personal"), ["name", "email"]);
}

#[test]
fn a_locked_value_is_kept_whatever_is_submitted() {
    let claims = json!({ "email": "mario@acme.example", "email_verified": true });
    let form = form_for(claims, &signup_form(vec![], vec![]));
    for submitted in ["boss@acme.example", "", "not an address"] {
        let answers = judge(&form, &with(&[("email", submitted)])).unwrap();
        assert_eq!(answers.email.as_str(), "mario@acme.example");
    }
}

#[test]
fn texts_are_trimmed_and_composed() {
    let name = answers(vec![], &[("name", "  Rene\u{301}e  ")])
        .unwrap()
        .name;
    assert_eq!(name, "Ren\u{e9}e");
    for empty in ["", "   ", "\u{a0}"] {
        assert_eq!(
            problem(vec![], &[("name", empty)]),
            FieldProblemKind::Missing
        );
    }
}

#[test]
fn characters_that_deceive_are_refused() {
    for text in [
        "x\r\nBcc: v@x.de",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\0b",
        "a\u{feff}b",
        "a\tb",
    ] {
        let wrong = problem(vec![], &[("name", text)]);
        assert_eq!(wrong, FieldProblemKind::Characters, "{text:?}");
    }
    let persian = "می\u{200c}خواهم";
    assert_eq!(answers(vec![], &[("name", persian)]).unwrap().name, persian);
}

#[test]
fn length_counts_characters() {
    let note = || field("note", FieldKind::Text, FieldTarget::User);
    let longest = "ü".repeat(40);
    assert!(answers(vec![note()], &[("note", &longest)]).is_ok());
    let too_long = "ü".repeat(41);
    for text in [too_long, "x".repeat(1_000_000)] {
        let wrong = problem(vec![note()], &[("note", &text)]);
        assert_eq!(wrong, FieldProblemKind::TooLong { max: 40 });
    }
}

#[test]
fn addresses_pass_the_one_strict_parser() {
    for text in [
        "a@b@c.de",
        "a@localhost",
        "\"a\"@b.de",
        "a@b.de%00@evil.example",
    ] {
        assert_eq!(
            problem(vec![], &[("email", text)]),
            FieldProblemKind::NotAnEmail
        );
    }
}

#[test]
fn phone_numbers_are_taken_in_any_human_spelling() {
    let fields = || {
        vec![
            field("country", FieldKind::Country, FieldTarget::Customer),
            field("phone", FieldKind::Phone, FieldTarget::User),
        ]
    };
    for (country, text, kept) in [
        ("IT", "051 234 567", "+39051234567"),
        ("DE", "(089) 1234-5678", "+498912345678"),
        ("de", "+39 051 234567", "+39051234567"),
        ("DE", "0039 051 234567", "+39051234567"),
        ("GB", "020 7946 0958", "+442079460958"),
    ] {
        let answers = answers(fields(), &[("country", country), ("phone", text)]);
        let answers = answers.unwrap_or_else(|refusal| panic!("{country} {text}: {refusal:?}"));
        assert_eq!(answers.user["phone"], json!(kept), "{text}");
        assert_eq!(answers.customer["country"], json!(country.to_uppercase()));
    }
    for text in ["12", "phone", "+39", "+999 1234567"] {
        let wrong = problem(fields(), &[("country", "IT"), ("phone", text)]);
        assert_eq!(wrong, FieldProblemKind::NotAPhone, "{text}");
    }
    let alone = vec![field("phone", FieldKind::Phone, FieldTarget::User)];
    let wrong = problem(alone, &[("phone", "051 234567")]);
    assert_eq!(
        wrong,
        FieldProblemKind::NotAPhone,
        "a local number needs a country"
    );
}

#[test]
fn countries_and_options_must_be_on_the_list() {
    let country = || vec![field("country", FieldKind::Country, FieldTarget::Customer)];
    let wrong = problem(country(), &[("country", "XX")]);
    assert_eq!(wrong, FieldProblemKind::NotACountry);
    let choice = Choice {
        value: "pumps".to_owned(),
        label: BTreeMap::new(),
    };
    let select = || {
        let kind = FieldKind::Select(vec![choice.clone()]);
        vec![field("sector", kind, FieldTarget::Customer)]
    };
    assert!(answers(select(), &[("sector", "pumps")]).is_ok());
    for other in ["Pumps", "valves"] {
        let wrong = problem(select(), &[("sector", other)]);
        assert_eq!(wrong, FieldProblemKind::NotAnOption);
    }
}

#[test]
fn a_required_checkbox_must_be_ticked_and_another_may_stay_empty() {
    let mut newsletter = field("newsletter", FieldKind::Checkbox, FieldTarget::User);
    let wrong = problem(vec![newsletter], &[]);
    assert_eq!(wrong, FieldProblemKind::Missing);
    newsletter = field("newsletter", FieldKind::Checkbox, FieldTarget::User);
    newsletter.required = false;
    let left = answers(vec![newsletter], &[]).unwrap();
    assert_eq!(left.user["newsletter"], json!(false));
    let ticked = field("newsletter", FieldKind::Checkbox, FieldTarget::User);
    let ticked = answers(vec![ticked], &[("newsletter", "on")]).unwrap();
    assert_eq!(ticked.user["newsletter"], json!(true));
}

#[test]
fn an_agreement_counts_in_the_version_that_was_shown() {
    let declared = signup_form(vec![], vec![terms(&[("en", "v2"), ("de", "v2-de")])]);
    let form = form_for(json!({}), &declared);
    let judged = |version: &str| judge(&form, &with(&[("agreement.terms", version)]));
    for (version, language) in [("v2-de", "de"), ("v2", "en")] {
        let accepted = judged(version).unwrap().acceptances;
        assert_eq!(accepted[0].language, language, "as it was shown");
    }
    for (version, problem) in [
        ("", FieldProblemKind::NotAccepted),
        ("v1", FieldProblemKind::AgreementChanged),
        ("on", FieldProblemKind::AgreementChanged),
    ] {
        let field = "agreement.terms".to_owned();
        let refused = Refusal::Invalid(vec![FieldProblem { field, problem }]);
        assert_eq!(judged(version), Err(refused));
    }
}

proptest! {
    #[test]
    fn whatever_is_submitted_is_answered_and_kept_texts_are_clean(
        name in any::<String>(), email in any::<String>(), company in any::<String>(),
    ) {
        let further = [("name", &*name), ("email", &*email), ("company", &*company)];
        if let Ok(answers) = answers(vec![], &further) {
            prop_assert_eq!(answers.name.trim(), &answers.name);
            prop_assert!(!answers.name.chars().any(char::is_control));
            prop_assert!(!answers.name.is_empty());
        }
    }
}
