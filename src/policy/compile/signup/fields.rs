//! The declared fields of a sign-up form, completed by what known names say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::expression::{Condition, Expression, Mapping};
use crate::identity::AccountType;
use crate::language::Language;
use crate::operator_file::{At, Findings, Notation as _, Parsed};
use crate::policy::document::{FieldShape, Kind, OptionShape, Prefill, Target};
use crate::policy::signup_form::{Choice, Field, FieldKind, FieldTarget};
use crate::spelling::closest;

use super::localised;

/// Names that the registration page uses itself.
const RESERVED: [&str; 6] = [
    "account_type",
    "asked",
    "form_token",
    "language",
    "partner_code",
    "submit",
];

/// What conditions may speak of though nobody declared it.
const ALWAYS: [&str; 5] = ["account_type", "company", "email", "name", "partner_code"];

/// What a name says about a field.
struct Known {
    name: &'static str,
    kind: Kind,
    goes_to: Target,
    autocomplete: &'static str,
}

const fn known(name: &'static str, goes_to: Target, autocomplete: &'static str) -> Known {
    Known {
        name,
        kind: Kind::Text,
        goes_to,
        autocomplete,
    }
}

const KNOWN: [Known; 14] = [
    known("company", Target::CustomerName, "organization"),
    known("name", Target::UserName, "name"),
    known("given_name", Target::UserName, "given-name"),
    known("family_name", Target::UserName, "family-name"),
    known("address", Target::Location, "street-address"),
    known("postal_code", Target::Location, "postal-code"),
    known("city", Target::Location, "address-level2"),
    known("region", Target::Location, "address-level1"),
    known("address_2", Target::Location, "address-line2"),
    known("tax_code", Target::Customer, "off"),
    Known {
        name: "vat_number",
        kind: Kind::VatNumber,
        goes_to: Target::Customer,
        autocomplete: "off",
    },
    Known {
        name: "email",
        kind: Kind::Email,
        goes_to: Target::UserEmail,
        autocomplete: "email",
    },
    Known {
        name: "phone",
        kind: Kind::Phone,
        goes_to: Target::User,
        autocomplete: "tel",
    },
    Known {
        name: "country",
        kind: Kind::Country,
        goes_to: Target::Customer,
        autocomplete: "country",
    },
];

pub fn compile(shapes: &[FieldShape], findings: &mut Findings<'_>) -> Vec<Arc<Field>> {
    findings.no_doubles("field", shapes.iter().map(|shape| &shape.name));
    let declared = shapes.iter().map(|shape| shape.name.as_str());
    let names: Vec<&str> = declared.chain(ALWAYS).collect();
    for shape in shapes {
        for condition in [&shape.when, &shape.required_when].into_iter().flatten() {
            check_condition(condition, &names, findings);
        }
    }
    shapes
        .iter()
        .map(|shape| Arc::new(field(shape, findings)))
        .collect()
}

/// Reports a condition that speaks of a field that the form does not have.
fn check_condition(condition: &Parsed<Condition>, names: &[&str], findings: &mut Findings<'_>) {
    let Ok(compiled) = &condition.outcome else {
        return;
    };
    let Some(unknown) = compiled.unknown_member("form", names) else {
        return;
    };
    let advice = closest(unknown, names.iter().copied()).map_or_else(
        || format!("name one of {}", names.join(", ")),
        |meant| format!("write `form.{meant}`"),
    );
    let message = format!("the form has no field `{unknown}`");
    findings.error(&condition.span, message, advice);
}

fn field(shape: &FieldShape, findings: &mut Findings<'_>) -> Field {
    let FieldShape {
        name,
        kind,
        label,
        hint,
        required,
        when,
        required_when,
        account_types,
        goes_to,
        prefill,
        locked_when_verified,
        max_length,
        autocomplete,
        options,
    } = shape;
    check_name(name, findings);
    let known = KNOWN.iter().find(|known| known.name == name.value);
    let kind = kind.or(known.map(|known| known.kind)).unwrap_or(Kind::Text);
    let labels = localised(label.as_ref(), findings);
    check_label(name, &labels, findings);
    let known_types = match name.as_str() {
        "company" => vec![AccountType::Business],
        _ => Vec::new(),
    };
    let known_word = known.map(|known| known.autocomplete.to_owned());
    Field {
        name: name.value.clone(),
        kind: self::kind(kind, name, options, findings),
        label: labels,
        hint: localised(hint.as_ref(), findings),
        required: required.unwrap_or(kind != Kind::Checkbox && required_when.is_none()),
        when: findings.take_optional(when.as_ref()),
        required_when: findings.take_optional(required_when.as_ref()),
        account_types: account_types.clone().unwrap_or(known_types),
        goes_to: target(goes_to.or(known.map(|known| known.goes_to))),
        prefill: prefill.as_ref().and_then(|from| mapping(from, findings)),
        locked_when_verified: locked_when_verified
            .unwrap_or(matches!(kind, Kind::Email | Kind::Phone)),
        max_length: length(max_length.as_ref(), findings),
        autocomplete: autocomplete
            .as_ref()
            .map(|word| self::autocomplete(word, findings))
            .or(known_word),
    }
}

/// A field that nobody declared, as its known name says.
pub fn known_field(name: &At<String>, findings: &mut Findings<'_>) -> Option<Field> {
    KNOWN.iter().find(|known| known.name == name.value)?;
    let shape = FieldShape {
        name: name.clone(),
        ..FieldShape::default()
    };
    Some(field(&shape, findings))
}

/// A field of a user's that no form asks.
pub fn own_field(name: &At<String>, kind: Kind, findings: &mut Findings<'_>) -> Field {
    check_name(name, findings);
    Field {
        name: name.value.clone(),
        kind: self::kind(kind, name, &[], findings),
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        required: false,
        when: None,
        required_when: None,
        account_types: Vec::new(),
        goes_to: FieldTarget::User,
        prefill: None,
        locked_when_verified: false,
        max_length: length(None, findings),
        autocomplete: None,
    }
}

fn check_name(name: &At<String>, findings: &mut Findings<'_>) {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 40
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name {
        let message = format!("`{}` is not a name for a field", name.value);
        let advice = "use lower-case letters, digits and `_`, a letter first, 40 at most";
        findings.error(&name.span, message, advice);
    }
    if RESERVED.contains(&name.as_str()) {
        let message = format!("the registration page uses `{}` itself", name.value);
        findings.error(&name.span, message, "give the field another name");
    }
}

fn check_label(name: &At<String>, labels: &BTreeMap<String, String>, findings: &mut Findings<'_>) {
    let key = format!("field-{}", name.value);
    for language in Language::ALL {
        if !labels.contains_key(language.tag()) && !language.texts().has(&key) {
            let message = format!("`{}` has no label in `{}`", name.value, language.tag());
            let advice = "add `label = \"…\"`, or one for each language";
            findings.error(&name.span, message, advice);
            return;
        }
    }
}

fn kind(
    kind: Kind,
    name: &At<String>,
    options: &[OptionShape],
    findings: &mut Findings<'_>,
) -> FieldKind {
    if (kind == Kind::Select) == options.is_empty() {
        let message = "a `select` has options, and nothing else has";
        let advice = "add `kind = \"select\"` and `options = [{ value = \"…\" }]`, or neither";
        findings.error(&name.span, message, advice);
    }
    findings.no_doubles("option", options.iter().map(|option| &option.value));
    match kind {
        Kind::Text => FieldKind::Text,
        Kind::Email => FieldKind::Email,
        Kind::Phone => FieldKind::Phone,
        Kind::VatNumber => FieldKind::VatNumber,
        Kind::Country => FieldKind::Country,
        Kind::Checkbox => FieldKind::Checkbox,
        Kind::Select => FieldKind::Select(
            options
                .iter()
                .map(|OptionShape { value, label }| Choice {
                    value: value.value.clone(),
                    label: localised(label.as_ref(), findings),
                })
                .collect(),
        ),
    }
}

fn target(target: Option<Target>) -> FieldTarget {
    match target.unwrap_or(Target::Customer) {
        Target::CustomerName => FieldTarget::CustomerName,
        Target::Customer => FieldTarget::Customer,
        Target::Location => FieldTarget::Location,
        Target::UserName => FieldTarget::UserName,
        Target::UserEmail => FieldTarget::UserEmail,
        Target::User => FieldTarget::User,
    }
}

/// A claim by its name, or an expression over `identity`.
pub fn mapping(from: &At<Prefill>, findings: &mut Findings<'_>) -> Option<Mapping> {
    match &from.value {
        Prefill::Claim(name) => Some(Mapping::Claim(name.clone())),
        Prefill::Expression { cel } => {
            let parsed = Parsed {
                span: from.span.clone(),
                outcome: Expression::read(cel),
            };
            let expression = findings.take(&parsed)?;
            let known = ["identity"];
            findings.no_unknown_name(&from.span, expression.unknown_variable(&known), &known);
            Some(Mapping::Expression(expression))
        }
    }
}

fn length(declared: Option<&At<u16>>, findings: &mut Findings<'_>) -> usize {
    let Some(declared) = declared else {
        return 200;
    };
    if !(1..=2000).contains(&declared.value) {
        let message = format!("a field of {} characters", declared.value);
        findings.error(&declared.span, message, "write a number from 1 to 2000");
    }
    usize::from(declared.value)
}

fn autocomplete(word: &At<String>, findings: &mut Findings<'_>) -> String {
    let is_token = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | ' '));
    if !is_token {
        let message = format!("`{}` is not an autocomplete token", word.value);
        let advice = "write one of the HTML standard, such as `street-address`";
        findings.error(&word.span, message, advice);
    }
    word.value.clone()
}
