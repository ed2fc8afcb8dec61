//! What is asked of whom, and with which first values.

use serde_json::json;

use super::*;

/// Name, first value, and whether it is locked, of each field.
fn asked(form: &RegistrationForm) -> Vec<(&str, Option<&str>, bool)> {
    let fields = form.fields.iter();
    fields
        .map(|field| {
            let name = field.declared.name.as_str();
            (name, field.value.as_deref(), field.locked)
        })
        .collect()
}

#[test]
fn what_the_platform_cannot_do_without_is_asked_where_nobody_declared_it() {
    let form = form_for(json!({}), &signup_form(vec![], vec![]));
    assert_eq!(
        asked(&form),
        [
            ("name", None, false),
            ("email", None, false),
            ("company", None, false)
        ]
    );
    let company = &form.fields[2].declared;
    assert!(company.is_asked_for(AccountType::Business));
    assert!(!company.is_asked_for(AccountType::Personal));
}

#[test]
fn declared_fields_take_the_place_of_those() {
    let declared = vec![
        from_claim(
            "given_name",
            field("first", FieldKind::Text, FieldTarget::UserName),
        ),
        from_claim(
            "family_name",
            field("last", FieldKind::Text, FieldTarget::UserName),
        ),
        field("mail", FieldKind::Email, FieldTarget::UserEmail),
        field("firm", FieldKind::Text, FieldTarget::CustomerName),
    ];
    let claims = json!({ "given_name": "Mario", "email": "m@acme.example" });
    let form = form_for(claims, &signup_form(declared, vec![]));
    assert_eq!(
        asked(&form),
        [
            ("first", Some("Mario"), true),
            ("last", None, false),
            ("mail", Some("m@acme.example"), false),
            ("firm", None, false),
        ]
    );
    assert_eq!(form.email_field(), "mail");
}

#[test]
fn an_address_is_locked_only_when_it_is_proven() {
    let declared = signup_form(vec![], vec![]);
    for (verified, locked) in [
        (json!(true), true),
        (json!("true"), false),
        (json!(null), false),
    ] {
        let claims = json!({ "email": "m@acme.example", "email_verified": verified });
        let form = form_for(claims, &declared);
        assert_eq!(asked(&form)[1], ("email", Some("m@acme.example"), locked));
    }
}

#[test]
fn a_phone_number_is_locked_only_when_the_provider_verified_it() {
    let phone = || field("phone", FieldKind::Phone, FieldTarget::User);
    let declared = signup_form(vec![from_claim("phone_number", phone())], vec![]);
    for (verified, locked) in [(json!(true), true), (json!(false), false)] {
        let claims = json!({ "phone_number": "+39 051 234567", "phone_number_verified": verified });
        let form = form_for(claims, &declared);
        assert_eq!(asked(&form)[3], ("phone", Some("+39051234567"), locked));
    }
}

#[test]
fn a_claim_that_no_form_would_take_is_not_a_first_value() {
    let country = from_claim(
        "country",
        field("country", FieldKind::Country, FieldTarget::Customer),
    );
    let text = from_claim("note", field("note", FieldKind::Text, FieldTarget::User));
    let declared = signup_form(vec![country, text], vec![]);
    let claims = json!({ "country": "Atlantis", "note": "a\u{202e}b", "email": "x@@y" });
    let form = form_for(claims, &declared);
    assert!(
        asked(&form)
            .iter()
            .all(|(_, value, locked)| value.is_none() && !locked)
    );
}

#[test]
fn a_field_that_is_not_to_be_locked_stays_editable() {
    let mut company = from_claim(
        "org",
        field("firm", FieldKind::Text, FieldTarget::CustomerName),
    );
    company.locked_when_verified = false;
    let form = form_for(
        json!({ "org": "Acme" }),
        &signup_form(vec![company], vec![]),
    );
    assert_eq!(asked(&form)[2], ("firm", Some("Acme"), false));
}

#[test]
fn whoever_joins_is_asked_nothing_about_customer_and_location() {
    let declared = signup_form(
        vec![
            field("firm", FieldKind::Text, FieldTarget::CustomerName),
            field("vat", FieldKind::Text, FieldTarget::Customer),
            field("city", FieldKind::Text, FieldTarget::Location),
            field("phone", FieldKind::Phone, FieldTarget::User),
        ],
        vec![],
    );
    let claims = json!({ "email": "m@acme.example", "email_verified": true, "name": "Mario" });
    let form = RegistrationForm::build(FormBasis {
        identity: &identity(claims),
        declared: &declared,
        scope: Scope::Join(customer()),
        account_types: vec![AccountType::Business],
        with_location: true,
        code_is_required: true,
    });
    let names: Vec<_> = asked(&form).iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, ["name", "email", "phone"]);
    assert!(!form.asks_nothing());
}

#[test]
fn where_no_location_is_made_none_is_asked_about() {
    let city = field("city", FieldKind::Text, FieldTarget::Location);
    let declared = signup_form(vec![city], vec![]);
    let form = RegistrationForm::build(FormBasis {
        identity: &identity(json!({})),
        declared: &declared,
        scope: new_customer(),
        account_types: vec![AccountType::Personal],
        with_location: false,
        code_is_required: true,
    });
    let names: Vec<_> = asked(&form).iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, ["name", "email"]);
}

#[test]
fn a_form_whose_answers_are_all_known_asks_nothing() {
    let name = from_claim(
        "name",
        field("name", FieldKind::Text, FieldTarget::UserName),
    );
    let declared = signup_form(vec![name], vec![]);
    let claims = json!({ "email": "m@acme.example", "email_verified": true, "name": "Mario" });
    let build = |declared: &SignupForm, account_types: &[AccountType]| {
        RegistrationForm::build(FormBasis {
            identity: &identity(claims.clone()),
            declared,
            scope: Scope::Join(customer()),
            account_types: account_types.to_vec(),
            with_location: true,
            code_is_required: true,
        })
    };
    assert!(build(&declared, &[AccountType::Business]).asks_nothing());
    assert!(!build(&declared, &AccountType::ALL).asks_nothing());
    let name = from_claim(
        "name",
        field("name", FieldKind::Text, FieldTarget::UserName),
    );
    let with_terms = signup_form(vec![name], vec![terms(&[("en", "v1")])]);
    assert!(!build(&with_terms, &[AccountType::Business]).asks_nothing());
}
