//! What an identity's claims say about its user on the platform, by policy. Pure.
//!
//! What is not said changes nothing: a claim that is missing, `null` or empty, and one that does not
//! fit its field.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expression::Mapping;
use crate::identity::VerifiedIdentity;
use crate::onboarding::values;
use crate::policy::Field;
use crate::policy::attributes::{
    Attribute, AttributePolicy, AttributeTarget, RoleRule, Write, is_about,
};
use crate::policy::signup_form::FieldKind;

/// What claims say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claimed {
    /// By what is written: `name`, `language`, or the name of a field.
    pub values: BTreeMap<String, ClaimedValue>,
    /// Whether the user has a role.
    pub roles: BTreeMap<String, bool>,
}

/// A value that claims give.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedValue {
    /// The value.
    pub value: Value,
    /// When it is written.
    pub write: Write,
}

/// What came of one mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Something is said.
    Value(String, ClaimedValue),
    /// Nothing is said that could be written there.
    NoValue(String),
    /// Whether the user has a role.
    Role(String, bool),
    /// A role stays as it is, because this claim is not there.
    NoClaim(String, String),
    /// A role stays as it is, because its condition cannot be evaluated.
    NoAnswer(String, String),
}

impl Claimed {
    /// What is said.
    pub fn of(findings: Vec<Finding>) -> Self {
        let mut claimed = Self::default();
        for finding in findings {
            match finding {
                Finding::Value(slot, value) => _ = claimed.values.insert(slot, value),
                Finding::Role(role, has) => _ = claimed.roles.insert(role, has),
                Finding::NoValue(_) | Finding::NoClaim(..) | Finding::NoAnswer(..) => {}
            }
        }
        claimed
    }
}

/// Judges the claims of an identity. Only claims of identity providers count.
pub fn judge(identity: &VerifiedIdentity, policy: &AttributePolicy) -> Vec<Finding> {
    if identity.provider().is_none() {
        return Vec::new();
    }
    let claims = identity.claims().to_value();
    let attributes = policy.attributes.iter();
    let attributes: Vec<&Attribute> = attributes
        .filter(|attribute| is_about(attribute.provider.as_ref(), identity))
        .collect();
    let mut findings = values(&attributes, &claims);
    let roles = policy.roles.iter();
    findings.extend(
        roles
            .filter(|rule| is_about(rule.provider.as_ref(), identity))
            .map(|rule| role(rule, &claims)),
    );
    findings
}

fn values(attributes: &[&Attribute], claims: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for attribute in attributes {
        let slot = attribute.to.slot();
        if seen.contains(&slot) {
            continue;
        }
        seen.push(slot);
        let parts = attributes.iter().filter(|one| one.to.slot() == slot);
        let parts: Option<Vec<Value>> = parts.map(|part| value(part, claims)).collect();
        findings.push(match parts.and_then(joined) {
            Some(value) => Finding::Value(
                slot.to_owned(),
                ClaimedValue {
                    value,
                    write: attribute.write,
                },
            ),
            None => Finding::NoValue(slot.to_owned()),
        });
    }
    findings
}

/// One value, or the parts of a name.
fn joined(mut parts: Vec<Value>) -> Option<Value> {
    if parts.len() == 1 {
        return parts.pop();
    }
    let texts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    Some(Value::String(texts.join(" ")))
}

/// A value as a form would take it.
fn value(attribute: &Attribute, claims: &Value) -> Option<Value> {
    let text = said(&attribute.from, claims)?;
    match &attribute.to {
        AttributeTarget::Language => language(&text).map(Value::String),
        AttributeTarget::Name(field) | AttributeTarget::Field(field) => fitting(field, &text),
    }
}

/// What a mapping gives; a claim may also be yes or no.
fn said(from: &Mapping, claims: &Value) -> Option<String> {
    if let Mapping::Claim(name) = from
        && let Some(Value::Bool(yes)) = claims.get(name)
    {
        return Some(yes.to_string());
    }
    from.text(claims)
}

fn fitting(field: &Field, text: &str) -> Option<Value> {
    let normal = values::normal(field, text, None).ok()?;
    match field.kind {
        FieldKind::Checkbox => Some(Value::Bool(normal == "true")),
        _ => (!normal.is_empty()).then_some(Value::String(normal)),
    }
}

/// The language of a tag (RFC 5646) or locale: `it` of `it-IT` and `it_IT`.
fn language(tag: &str) -> Option<String> {
    let primary = tag.trim().split(['-', '_']).next()?;
    let is_one = (2..=3).contains(&primary.len())
        && primary.chars().all(|letter| letter.is_ascii_alphabetic());
    is_one.then(|| primary.to_ascii_lowercase())
}

fn role(rule: &RoleRule, claims: &Value) -> Finding {
    let name = rule.role.clone();
    if let Some(absent) = rule.claims.iter().find(|path| !is_there(path, claims)) {
        return Finding::NoClaim(name, absent.join("."));
    }
    match rule.when.holds(&[("identity", claims)]) {
        Ok(has) => Finding::Role(name, has),
        Err(error) => Finding::NoAnswer(name, error.to_string()),
    }
}

fn is_there(path: &[String], claims: &Value) -> bool {
    let found = path.iter().try_fold(claims, |value, key| value.get(key));
    found.is_some_and(|value| !value.is_null())
}
