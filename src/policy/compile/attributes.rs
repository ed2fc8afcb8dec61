//! `[[attribute]]` and `[[role]]` of `onboarding.toml` to [`AttributePolicy`].

use std::sync::Arc;

use crate::identity::ProviderId;
use crate::operator_file::{At, Findings};
use crate::policy::SignupForm;
use crate::policy::attributes::{Attribute, AttributePolicy, AttributeTarget, RoleRule, Write};
use crate::policy::document::{AttributeShape, Kind, OnboardingFile, RoleRuleShape, WriteWord};
use crate::policy::signup_form::{Field, FieldTarget};
use crate::spelling::closest;

use super::{Surroundings, onboarding, signup};

/// The user's language, which no form asks.
const LANGUAGE: &str = "language";

/// What is known where the file is judged: all sign-up forms, and the installation.
type Known<'a> = (&'a [&'a SignupForm], &'a Surroundings);

pub fn compile(
    file: &OnboardingFile,
    (forms, around): Known<'_>,
    findings: &mut Findings<'_>,
) -> AttributePolicy {
    let mut compiled: Vec<(&AttributeShape, AttributeTarget)> = Vec::new();
    let mut attributes = Vec::new();
    for shape in &file.attribute {
        let AttributeShape {
            field,
            kind,
            from,
            write,
            provider,
        } = shape;
        check_provider(provider.as_ref(), around, findings);
        let from = signup::mapping(from, findings);
        let to = target((field, kind.as_ref()), forms, findings);
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        check_others(shape, &to, &compiled, findings);
        compiled.push((shape, to.clone()));
        let write = match write {
            WriteWord::Always => Write::Always,
            WriteWord::Once => Write::Once,
            WriteWord::Never => continue,
        };
        attributes.push(Attribute {
            provider: id_of(provider.as_ref()),
            to,
            from,
            write,
        });
    }
    AttributePolicy {
        attributes,
        roles: roles(&file.role, around, findings),
    }
}

fn target(
    (name, kind): (&At<String>, Option<&At<Kind>>),
    forms: &[&SignupForm],
    findings: &mut Findings<'_>,
) -> Option<AttributeTarget> {
    if name.value == LANGUAGE {
        return Some(AttributeTarget::Language);
    }
    let mut declared = forms.iter().flat_map(|form| &form.fields);
    let declared = declared.find(|field| field.name == name.value);
    let field = match (declared, kind) {
        (Some(field), _) => Some(Arc::clone(field)),
        (None, Some(kind)) => Some(Arc::new(signup::own_field(name, kind.value, findings))),
        (None, None) => signup::known_field(name, findings).map(Arc::new),
    };
    let Some(field) = field else {
        unknown(name, forms, findings);
        return None;
    };
    match field.goes_to {
        FieldTarget::UserName => Some(AttributeTarget::Name(field)),
        FieldTarget::User => Some(AttributeTarget::Field(field)),
        FieldTarget::UserEmail => {
            let message = "an e-mail address is never written at a sign-in";
            let advice = "leave it out: who can change the claim could take a colleague's address";
            findings.error(&name.span, message, advice);
            None
        }
        FieldTarget::CustomerName
        | FieldTarget::Customer
        | FieldTarget::Location
        | FieldTarget::PartnerCode => {
            let message = format!("`{}` is not the user's alone", name.value);
            let advice = "name a field of the user's: a sign-in does not change the customer";
            findings.error(&name.span, message, advice);
            None
        }
    }
}

fn unknown(name: &At<String>, forms: &[&SignupForm], findings: &mut Findings<'_>) {
    let declared = forms.iter().flat_map(|form| &form.fields);
    let known = declared
        .filter(|field| is_users(field))
        .map(|field| field.name.as_str())
        .chain(["name", "given_name", "family_name", "phone", LANGUAGE]);
    let advice = closest(&name.value, known).map_or_else(
        || "add `kind = \"text\"` to make it a field of your own".to_owned(),
        |meant| format!("write `{meant}`, or add `kind = \"text\"` to make it your own"),
    );
    let message = format!("no sign-up form has a field `{}`", name.value);
    findings.error(&name.span, message, advice);
}

fn is_users(field: &Field) -> bool {
    matches!(field.goes_to, FieldTarget::User | FieldTarget::UserName)
}

/// Reports what cannot be written together with what stands before it.
fn check_others(
    shape: &AttributeShape,
    to: &AttributeTarget,
    before: &[(&AttributeShape, AttributeTarget)],
    findings: &mut Findings<'_>,
) {
    let name = &shape.field;
    let meets = |other: &AttributeShape| overlap(shape.provider.as_ref(), other.provider.as_ref());
    for (other, other_to) in before.iter().filter(|(other, _)| meets(other)) {
        if other_to.slot() != to.slot() {
            continue;
        }
        let is_whole = |shape: &AttributeShape| !is_part_of_name(&shape.field);
        if other.field.value == name.value || is_whole(shape) || is_whole(other) {
            let message = format!(
                "`{}` and `{}` are written to one place",
                other.field.value, name.value
            );
            findings.error(
                &name.span,
                message,
                "remove one, or give each its `provider`",
            );
        } else if other.write != shape.write {
            let message = "parts of one name are written at different times";
            findings.error(&name.span, message, "give both the same `write`");
        }
    }
}

fn is_part_of_name(name: &str) -> bool {
    matches!(name, "given_name" | "family_name")
}

fn roles(
    shapes: &[RoleRuleShape],
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> Vec<RoleRule> {
    for (place, shape) in shapes.iter().enumerate() {
        check_role(shape, shapes.iter().take(place), findings);
        check_provider(shape.provider.as_ref(), around, findings);
        if around.has_roles == Some(false) {
            let message = "the platform has no roles";
            let advice = "remove `[[role]]`, or write a field of the user's with `[[attribute]]`";
            findings.error(&shape.role.span, message, advice);
        }
    }
    shapes
        .iter()
        .filter_map(|shape| role(shape, findings))
        .collect()
}

fn check_role<'a>(
    shape: &RoleRuleShape,
    mut before: impl Iterator<Item = &'a RoleRuleShape>,
    findings: &mut Findings<'_>,
) {
    let role = &shape.role;
    if role.trim().is_empty() || role.chars().any(char::is_control) {
        findings.error(
            &role.span,
            "the role has no name",
            "write it as the platform does",
        );
    }
    let is_twice = before.any(|other| {
        other.role.value == role.value && overlap(shape.provider.as_ref(), other.provider.as_ref())
    });
    if is_twice {
        let message = format!("the role `{}` has two conditions", role.value);
        let advice = "join them with `||`, or give each its `provider`";
        findings.error(&role.span, message, advice);
    }
}

fn role(shape: &RoleRuleShape, findings: &mut Findings<'_>) -> Option<RoleRule> {
    let RoleRuleShape {
        role,
        when,
        provider,
    } = shape;
    let condition = findings.take(when)?;
    let known = ["identity"];
    findings.no_unknown_name(&when.span, condition.unknown_variable(&known), &known);
    let claims = condition
        .paths("identity")
        .filter(|paths| !paths.is_empty());
    let Some(claims) = claims else {
        let message = "a role follows claims that its condition names";
        let advice = "write them one by one, such as `'ops' in identity.groups`";
        findings.error(&when.span, message, advice);
        return None;
    };
    Some(RoleRule {
        provider: id_of(provider.as_ref()),
        role: role.value.clone(),
        when: condition,
        claims,
    })
}

fn check_provider(
    provider: Option<&At<String>>,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) {
    if let Some(provider) = provider {
        onboarding::check_provider(provider, around, findings);
    }
}

/// Whether there are people whom both are about.
fn overlap(one: Option<&At<String>>, other: Option<&At<String>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.value == other.value,
        _ => true,
    }
}

fn id_of(provider: Option<&At<String>>) -> Option<ProviderId> {
    provider.map(|provider| ProviderId::new(provider.value.as_str()))
}
