//! `signup/*.toml` to [`SignupForm`]s.

mod brand;
mod captcha;
mod extras;
mod fields;

pub use fields::{known_field, mapping, own_field};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::language::Language;
use crate::operator_file::{At, Findings};
use crate::policy::document::{AgreementChoice, Localised, SignupFile};
use crate::policy::signup_form::{Agreement, SignupForm};
use crate::spelling::closest;

use super::Surroundings;
use super::agreements::Texts;

/// Where a sign-up file stands, and what it may refer to.
pub struct Place<'a> {
    /// Its name in `signup`.
    pub file: &'a str,
    /// The agreement texts.
    pub agreements: &'a Texts,
    /// The pictures.
    pub logos: &'a BTreeMap<String, Vec<u8>>,
    /// The installation.
    pub around: &'a Surroundings,
}

/// The form, and the host that it is for; none for the default.
pub fn compile(
    file: &SignupFile,
    place: &Place<'_>,
    findings: &mut Findings<'_>,
) -> (Option<String>, SignupForm) {
    let SignupFile {
        host,
        title,
        intro,
        account_type,
        customer_title,
        notify,
        platform,
        agreements,
        captcha,
        brand,
        field,
    } = file;
    let (customer_options, user_options) = extras::options(platform, findings);
    let form = SignupForm {
        title: localised(title.as_ref(), findings),
        intro: localised(intro.as_ref(), findings),
        account_types: extras::account_types(account_type, findings),
        customer_title: findings.take_optional(customer_title.as_ref()),
        notify: extras::notified(notify.as_ref(), findings),
        customer_options,
        user_options,
        fields: fields::compile(field, findings),
        agreements: agreements
            .iter()
            .filter_map(|choice| agreement(choice, place.agreements, findings))
            .collect(),
        verified: Vec::new(),
        brand: brand::compile(brand, place.logos, findings),
        captcha: captcha::named(captcha.as_ref(), place.around, findings),
    };
    (self::host(host.as_ref(), place, findings), form)
}

fn host(
    host: Option<&At<String>>,
    place: &Place<'_>,
    findings: &mut Findings<'_>,
) -> Option<String> {
    match (host, place.file) {
        (None, "default.toml") => None,
        (None, _) => {
            let advice = "add `host = \"app.example.com\"`, or call the file `default.toml`";
            findings.error(
                &(0..0),
                "the form does not say for which host it is",
                advice,
            );
            Some(String::new())
        }
        (Some(host), "default.toml") => {
            let message = "the default form is for all hosts without one of their own";
            findings.error(&host.span, message, "remove `host`, or rename the file");
            None
        }
        (Some(host), _) => {
            place.around.check_host(host, findings);
            Some(host.value.clone())
        }
    }
}

/// Texts by language tag; one for all languages stands under each.
fn localised(
    text: Option<&At<Localised>>,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, String> {
    let Some(text) = text else {
        return BTreeMap::new();
    };
    match &text.value {
        Localised::One(one) => Language::ALL
            .iter()
            .map(|language| (language.tag().to_owned(), one.clone()))
            .collect(),
        Localised::Many(many) => {
            for tag in many.keys().filter(|tag| Language::from_tag(tag).is_none()) {
                let known: Vec<&str> = Language::ALL.iter().map(|known| known.tag()).collect();
                let message = format!("pages are not written in `{tag}`");
                findings.error(
                    &text.span,
                    message,
                    format!("there are {}", known.join(", ")),
                );
            }
            many.clone()
        }
    }
}

fn agreement(
    choice: &At<AgreementChoice>,
    texts: &Texts,
    findings: &mut Findings<'_>,
) -> Option<Arc<Agreement>> {
    let (id, account_types, version) = match &choice.value {
        AgreementChoice::All(id) => (id, Vec::new(), None),
        AgreementChoice::Some {
            id,
            account_types,
            version,
        } => (id, account_types.clone(), version.clone()),
    };
    if version
        .as_ref()
        .is_some_and(|version| version.trim().is_empty())
    {
        let advice = "write one, such as `\"2026-11\"`, or leave `version` out";
        findings.error(
            &choice.span,
            "the version of the agreement is empty",
            advice,
        );
    }
    let Some(texts) = texts.get(id) else {
        let message = format!("there is no agreement `{id}`");
        let advice = match closest(id, texts.keys().map(String::as_str)) {
            Some(known) => format!("write `{known}`"),
            None => format!("add its text: `policies/agreements/{id}.en.md`"),
        };
        findings.error(&choice.span, message, advice);
        return None;
    };
    let mut agreement = Agreement::new(id, texts.clone(), version);
    agreement.account_types = account_types;
    Some(Arc::new(agreement))
}
