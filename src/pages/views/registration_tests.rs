//! The registration page in every language, kept as snapshots.

use askama::Template;

use super::page_tests::{frame, who};
use super::*;
use crate::identity::AccountType;
use crate::language::Language;

fn input(name: &str, label: &str, kind: InputKind, value: &str) -> FieldView {
    FieldView {
        id: format!("field-{name}"),
        name: name.to_owned(),
        label: label.to_owned(),
        hint: None,
        problem: None,
        only_for: vec![],
        control: Control::Input {
            kind,
            value: value.to_owned(),
            autocomplete: Some("on".to_owned()),
        },
    }
}

fn agreement(id: &str, title: &str) -> AgreementView {
    AgreementView {
        id: format!("agreement-{id}"),
        name: format!("agreement.{id}"),
        version: "digest".to_owned(),
        title: title.to_owned(),
        href: format!("/auth/agreements/{id}"),
        ticked: false,
        problem: None,
        only_for: vec![],
    }
}

fn registration(language: Language) -> RegistrationPage {
    let source = [("provider", "Acme single sign-on")];
    RegistrationPage {
        frame: Frame {
            keeps_form: Some("registration"),
            ..frame(language, "registration-title")
        },
        who: who(language),
        problems: vec![],
        joins: None,
        next: language.texts().get("registration-next").into_owned(),
        submit: language.texts().get("registration-submit").into_owned(),
        known: known(language),
        known_source: language
            .texts()
            .get_with("registration-known-source", &source)
            .into_owned(),
        account_types: vec![
            account_type(language, AccountType::Business, true),
            account_type(language, AccountType::Personal, false),
        ],
        account_type_problem: None,
        intro: language
            .texts()
            .get_with("registration-why", &[("operator", "Acme IoT")])
            .into_owned(),
        fields: fields(language.texts()),
        asked: String::new(),
        password: None,
        agreements: vec![
            agreement("terms", "Terms of service"),
            agreement("privacy", "Privacy notice"),
        ],
    }
}

fn label(texts: Texts, name: &str) -> String {
    texts.get(&format!("field-{name}")).into_owned()
}

fn known(language: Language) -> Vec<KnownValue> {
    [
        ("name", "Giulia Bianchi"),
        ("email", "giulia@bianchi.example"),
    ]
    .map(|(name, value)| KnownValue {
        label: label(language.texts(), name),
        value: value.to_owned(),
    })
    .to_vec()
}

fn account_type(language: Language, kind: AccountType, chosen: bool) -> AccountTypeChoice {
    let text = |end| {
        language
            .texts()
            .get(&format!("account-type-{}{end}", kind.as_str()))
            .into_owned()
    };
    AccountTypeChoice {
        value: kind.as_str(),
        label: text(""),
        hint: text("-hint"),
        chosen,
    }
}

fn countries(texts: Texts) -> Control {
    let option = |code: &str| OptionView {
        value: code.to_owned(),
        label: texts.get(&format!("country-{code}")).into_owned(),
        chosen: code == "IT",
    };
    Control::Select {
        options: ["AT", "CH", "DE", "IT"].map(option).to_vec(),
        autocomplete: Some("country".to_owned()),
    }
}

fn fields(texts: Texts) -> Vec<FieldView> {
    let phone = texts
        .get_with("label-optional", &[("label", &label(texts, "phone"))])
        .into_owned();
    let hint = texts.get("phone-hint").into_owned();
    let news = "Send me news about products, four times a year";
    vec![
        FieldView {
            only_for: vec![AccountType::Business],
            ..input(
                "company",
                &label(texts, "company"),
                InputKind::Text,
                "Bianchi S.r.l.",
            )
        },
        FieldView {
            hint: Some(hint),
            ..input("phone", &phone, InputKind::Phone, "")
        },
        FieldView {
            control: countries(texts),
            ..input("country", &label(texts, "country"), InputKind::Text, "")
        },
        FieldView {
            control: Control::Checkbox { ticked: false },
            ..input("newsletter", news, InputKind::Text, "")
        },
    ]
}

fn with_problems(mut page: RegistrationPage) -> RegistrationPage {
    let texts = page.frame.texts;
    let phone = texts.get("error-not-a-phone").into_owned();
    let terms = texts
        .get_with("error-agreement", &[("title", "Terms of service")])
        .into_owned();
    page.frame.has_problems = true;
    page.fields[1].problem = Some(phone.clone());
    page.fields[1].control = Control::Input {
        kind: InputKind::Phone,
        value: "12".to_owned(),
        autocomplete: Some("tel".to_owned()),
    };
    page.agreements[0].problem = Some(terms.clone());
    page.problems = vec![
        ProblemLink {
            target: "field-phone".to_owned(),
            sentence: phone,
        },
        ProblemLink {
            target: "agreement-terms".to_owned(),
            sentence: terms,
        },
    ];
    page
}

#[test]
fn registration_page() {
    for language in Language::ALL {
        let page = registration(*language).render().unwrap();
        insta::assert_snapshot!(format!("registration_{}", language.tag()), page);
    }
}

#[test]
fn registration_page_with_problems() {
    let page = with_problems(registration(Language::En)).render().unwrap();
    insta::assert_snapshot!("registration_problems", page);
}

#[test]
fn the_registration_page_with_all_countries_is_small() {
    let mut page = with_problems(registration(Language::De));
    let options = Language::De
        .texts()
        .countries()
        .into_iter()
        .map(|(country, label)| OptionView {
            value: country.code().to_owned(),
            label,
            chosen: false,
        });
    page.fields[2].control = Control::Select {
        options: options.collect(),
        autocomplete: None,
    };
    let stylesheet = include_str!("../../../templates/assets/vestibule.css");
    let size = page.render().unwrap().len() + stylesheet.len();
    assert!(size < 30_000, "{size} octets");
}

#[test]
fn nothing_untrusted_is_shown_unescaped() {
    let hostile = "<script>alert('x')</script>\" onfocus=\"x";
    let mut page = with_problems(registration(Language::En));
    page.who.sentence = hostile.to_owned();
    page.known[0].value = hostile.to_owned();
    page.fields[0] = input("company", hostile, InputKind::Text, hostile);
    page.problems[0].sentence = hostile.to_owned();
    page.frame.operator = hostile.to_owned();
    let shown = page.render().unwrap();
    assert!(
        !shown.contains("<script>alert") && !shown.contains("\" onfocus"),
        "{shown}"
    );
}
