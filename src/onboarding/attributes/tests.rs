//! What claims say, and what of it is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::claimed::{Claimed, ClaimedValue, Finding, judge};
use super::due::{Due, Written};
use crate::clock::Timestamp;
use crate::expression::{Condition, Expression, Mapping};
use crate::identity::{Issuer, ProviderId, Subject, VerifiedClaims, VerifiedIdentity};
use crate::platform::Profile;
use crate::policy::Field;
use crate::policy::attributes::{Attribute, AttributePolicy, AttributeTarget, RoleRule, Write};
use crate::policy::signup_form::{FieldKind, FieldTarget};

fn through(provider: &str, claims: Value) -> VerifiedIdentity {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    VerifiedIdentity::from_verified(VerifiedClaims {
        provider: ProviderId::new(provider),
        issuer: Issuer::new("https://idp.example"),
        subject: Subject::new("7"),
        claims,
        email_trusted: false,
        authenticated_at: Timestamp::from_millis(0),
    })
}

fn field(name: &str, kind: FieldKind, goes_to: FieldTarget) -> Arc<Field> {
    Arc::new(Field {
        name: name.to_owned(),
        kind,
        label: BTreeMap::new(),
        hint: BTreeMap::new(),
        required: false,
        when: None,
        required_when: None,
        account_types: vec![],
        goes_to,
        prefill: None,
        locked_when_verified: false,
        max_length: 40,
        autocomplete: None,
    })
}

fn attribute(to: AttributeTarget, claim: &str) -> Attribute {
    Attribute {
        provider: None,
        to,
        from: Mapping::Claim(claim.to_owned()),
        write: Write::Always,
    }
}

fn role(role: &str, when: &str) -> RoleRule {
    let when = Condition::compile(when).unwrap();
    RoleRule {
        provider: None,
        role: role.to_owned(),
        claims: when.paths("identity").unwrap(),
        when,
    }
}

fn policy() -> AttributePolicy {
    let name =
        |name: &str| AttributeTarget::Name(field(name, FieldKind::Text, FieldTarget::UserName));
    let user = |name: &str, kind| AttributeTarget::Field(field(name, kind, FieldTarget::User));
    AttributePolicy {
        attributes: vec![
            attribute(name("given_name"), "given_name"),
            attribute(name("family_name"), "family_name"),
            attribute(AttributeTarget::Language, "locale"),
            attribute(user("phone", FieldKind::Phone), "phone_number"),
            attribute(user("newsletter", FieldKind::Checkbox), "newsletter"),
        ],
        roles: vec![],
    }
}

fn values(claims: Value) -> Value {
    let claimed = Claimed::of(judge(&through("corp", claims), &policy()));
    let values = claimed.values.into_iter();
    Value::Object(values.map(|(slot, said)| (slot, said.value)).collect())
}

#[test]
fn claims_become_what_a_form_would_take() {
    let said = values(json!({
        "given_name": " Giulia ", "family_name": "Ferraro", "locale": "it_IT",
        "phone_number": "0039 0461 234567", "newsletter": false,
    }));
    let expected = json!({
        "name": "Giulia Ferraro", "language": "it", "phone": "+390461234567", "newsletter": false,
    });
    assert_eq!(said, expected);
}

#[test]
fn what_is_not_said_or_does_not_fit_changes_nothing() {
    let said = values(json!({
        "given_name": "Giulia", "family_name": null, "locale": "klingon!", "phone_number": "12",
        "newsletter": "perhaps",
    }));
    assert_eq!(said, json!({}), "half a name is no name");
    assert_eq!(
        values(json!({ "given_name": "", "phone_number": " " })),
        json!({})
    );
    assert_eq!(
        values(json!({ "phone_number": "\u{202e}+390461234567" })),
        json!({})
    );
}

fn judged(when: &str, claims: Value) -> Option<bool> {
    let policy = AttributePolicy {
        attributes: vec![],
        roles: vec![role("operator", when)],
    };
    let claimed = Claimed::of(judge(&through("corp", claims), &policy));
    claimed.roles.get("operator").copied()
}

#[test]
fn a_role_is_judged_only_where_its_claims_are_there() {
    let guarded = "has(identity.groups) && 'ops' in identity.groups";
    for when in ["'ops' in identity.groups", guarded] {
        assert_eq!(judged(when, json!({ "groups": ["ops"] })), Some(true));
        assert_eq!(judged(when, json!({ "groups": [] })), Some(false));
        assert_eq!(judged(when, json!({})), None, "{when}");
        assert_eq!(judged(when, json!({ "groups": null })), None, "{when}");
    }
    let nested = "'ops' in identity.realm_access.roles";
    let has = json!({ "realm_access": { "roles": ["ops"] } });
    assert_eq!(judged(nested, has), Some(true));
    assert_eq!(judged(nested, json!({ "realm_access": {} })), None);
    assert_eq!(
        judged("identity.groups > 3", json!({ "groups": ["ops"] })),
        None
    );
}

#[test]
fn claims_that_are_elsewhere_are_not_there() {
    let when = "'ops' in identity.groups";
    for overage in [
        json!({ "groups": ["ops"], "hasgroups": true }),
        json!({ "groups": [], "hasgroups": "true" }),
        json!({ "groups": [], "_claim_names": { "groups": "src1" } }),
    ] {
        assert_eq!(judged(when, overage.clone()), None, "{overage}");
    }
    let other = json!({ "groups": ["ops"], "_claim_names": { "photo": "src1" } });
    assert_eq!(judged(when, other), Some(true));
}

#[test]
fn only_claims_of_the_named_provider_count() {
    let mut policy = policy();
    policy.attributes.truncate(0);
    policy.roles.push(RoleRule {
        provider: Some(ProviderId::new("corp")),
        ..role("operator", "'ops' in identity.groups")
    });
    let claims = json!({ "groups": ["ops"] });
    let found = judge(&through("corp", claims.clone()), &policy);
    assert_eq!(found, [Finding::Role("operator".to_owned(), true)]);
    assert_eq!(judge(&through("partners", claims), &policy), []);
}

#[test]
fn an_expression_composes_a_value() {
    let cel = "identity.department + ' / ' + identity.office";
    let policy = AttributePolicy {
        attributes: vec![Attribute {
            from: Mapping::Expression(Expression::compile(cel).unwrap()),
            ..attribute(
                AttributeTarget::Field(field("desk", FieldKind::Text, FieldTarget::User)),
                "",
            )
        }],
        roles: vec![],
    };
    let of = |claims| Claimed::of(judge(&through("corp", claims), &policy)).values;
    let both = of(json!({ "department": "Pumps", "office": "Trento" }));
    assert_eq!(both["desk"].value, "Pumps / Trento");
    assert!(of(json!({ "department": "Pumps" })).is_empty());
}

fn claimed(write: Write, name: &str, roles: &[(&str, bool)]) -> Claimed {
    let value = ClaimedValue {
        value: json!(name),
        write,
    };
    Claimed {
        values: [("name".to_owned(), value)].into(),
        roles: roles
            .iter()
            .map(|(role, has)| ((*role).to_owned(), *has))
            .collect(),
    }
}

fn by() -> (Issuer, Subject) {
    (Issuer::new("https://idp.example"), Subject::new("7"))
}

fn due(claimed: &Claimed, written: &Written, before: Option<Due>) -> Option<Due> {
    Due::of(claimed, by(), written, before)
}

fn written(due: &Due) -> Written {
    let mut written = Written::default();
    written.values_written(due);
    written.roles_written(due);
    written
}

#[test]
fn nothing_is_due_twice_until_a_claim_changes() {
    let anna = claimed(Write::Always, "Anna", &[("operator", true)]);
    let first = due(&anna, &Written::default(), None).unwrap();
    let kept = written(&first);
    assert_eq!(due(&anna, &kept, None), None);
    let renamed = claimed(Write::Always, "Anna Maria", &[("operator", true)]);
    let next = due(&renamed, &kept, None).unwrap();
    assert_eq!(
        next.profile_change(None).user_name.as_deref(),
        Some("Anna Maria")
    );
    assert!(next.role_change().is_empty());
    let demoted = claimed(Write::Always, "Anna", &[("operator", false)]);
    let next = due(&demoted, &kept, None).unwrap();
    assert_eq!(next.role_change().take, ["operator".to_owned()].into());
    assert!(next.values.is_empty());
}

#[test]
fn what_may_have_been_written_is_written_again_even_if_it_is_as_before() {
    let anna = claimed(Write::Always, "Anna", &[("operator", true)]);
    let kept = written(&due(&anna, &Written::default(), None).unwrap());
    let renamed = claimed(Write::Always, "Eva", &[("operator", false)]);
    let pending = due(&renamed, &kept, None).unwrap();
    let back = due(&anna, &kept, Some(pending.clone())).unwrap();
    assert_eq!(back.profile_change(None).user_name.as_deref(), Some("Anna"));
    assert_eq!(back.role_change().give, ["operator".to_owned()].into());
    let silent = due(&Claimed::default(), &kept, Some(pending.clone())).unwrap();
    assert_eq!(silent, pending, "what is absent changes nothing");
}

#[test]
fn once_fills_what_is_empty_and_is_done() {
    let anna = claimed(Write::Once, "Anna", &[]);
    let first = due(&anna, &Written::default(), None).unwrap();
    assert!(first.asks_first());
    let known = |name: &str| Profile {
        user_name: name.to_owned(),
        ..Profile::default()
    };
    let name = |profile: &Profile| first.profile_change(Some(profile)).user_name;
    assert_eq!(name(&known("")).as_deref(), Some("Anna"));
    assert_eq!(name(&known("Anna B.")), None);
    let kept = written(&first);
    let renamed = claimed(Write::Once, "Eva", &[]);
    assert_eq!(due(&renamed, &kept, None), None);
}

#[test]
fn what_was_given_in_a_form_counts_until_the_claim_changes() {
    let anna = claimed(Write::Always, "Anna", &[("operator", true)]);
    let mut kept = Written::default();
    kept.take_for_written(&anna, &["name", "phone"]);
    let first = due(&anna, &kept, None).unwrap();
    assert!(first.values.is_empty() && first.roles["operator"]);
    let renamed = claimed(Write::Always, "Eva", &[]);
    assert!(due(&renamed, &kept, None).is_some());
}
