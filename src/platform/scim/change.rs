//! Changes of a resource: said in words of the standard where the server takes them (PATCH, RFC
//! 7644, section 3.5.2), and otherwise made to what was read, which then replaces what is there.

use serde_json::{Value, json};

use super::filter;
use super::resource::{Resource, part};

/// The schema of changes.
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Where something is: an attribute of a resource, or of one of its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) schema: Option<&'static str>,
    pub(super) attribute: &'static str,
}

impl Place {
    pub(super) const fn core(attribute: &'static str) -> Self {
        Self {
            schema: None,
            attribute,
        }
    }

    pub(super) const fn of(schema: &'static str, attribute: &'static str) -> Self {
        Self {
            schema: Some(schema),
            attribute,
        }
    }

    fn path(self) -> String {
        match self.schema {
            None => self.attribute.to_owned(),
            Some(schema) => format!("{schema}:{}", self.attribute),
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Puts a value in the place of what is there.
    Replace(Place, Value),
    /// Adds one to a multi-valued attribute.
    Add(Place, Value),
    /// Takes those out of a multi-valued attribute whose `value` is this.
    Remove(Place, String),
}

impl Change {
    fn operation(&self) -> Value {
        match self {
            Self::Replace(place, value) => {
                json!({ "op": "replace", "path": place.path(), "value": value })
            }
            Self::Add(place, value) => {
                json!({ "op": "add", "path": place.path(), "value": [value] })
            }
            Self::Remove(place, value) => {
                json!({ "op": "remove", "path": filter::those(&place.path(), "value", value) })
            }
        }
    }

    fn apply(&self, resource: &mut Resource) {
        match self {
            Self::Replace(place, value) => {
                let value = value.clone();
                within(resource, *place, |_| value);
            }
            Self::Add(place, value) => {
                let value = value.clone();
                among(resource, *place, |values| values.push(value));
            }
            Self::Remove(place, gone) => {
                among(resource, *place, |values| {
                    values.retain(|value| part(value, "value") != gone);
                });
            }
        }
    }
}

/// The changes in one request body.
pub(super) fn patch(changes: &[Change]) -> Value {
    let operations: Vec<Value> = changes.iter().map(Change::operation).collect();
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// The resource with the changes made to it.
pub(super) fn changed(mut resource: Resource, changes: &[Change]) -> Resource {
    for change in changes {
        change.apply(&mut resource);
    }
    resource
}

/// Puts something in the place of what is there; an extension that is not there is added.
fn within(resource: &mut Resource, place: Place, change: impl FnOnce(Value) -> Value) {
    let Some(schema) = place.schema else {
        let before = resource.0.remove(place.attribute).unwrap_or_default();
        resource
            .0
            .insert(place.attribute.to_owned(), change(before));
        return;
    };
    if resource.extension(schema).is_none() {
        resource.extend(schema, json!({}));
    }
    if let Some(Value::Object(extension)) = resource.0.get_mut(schema) {
        let before = extension.remove(place.attribute).unwrap_or_default();
        extension.insert(place.attribute.to_owned(), change(before));
    }
}

fn among(resource: &mut Resource, place: Place, change: impl FnOnce(&mut Vec<Value>)) {
    within(resource, place, |before| {
        let mut values = match before {
            Value::Array(values) => values,
            _ => Vec::new(),
        };
        change(&mut values);
        Value::Array(values)
    });
}

#[cfg(test)]
mod tests {
    use super::super::resource::CUSTOMER;
    use super::*;

    #[test]
    fn a_change_says_and_does_the_same() {
        let members = Place::core("members");
        let locations = Place::of(CUSTOMER, "locations");
        let group = || {
            Resource::of(json!({
                "schemas": ["core"],
                "displayName": "Acme",
                "members": [{ "value": "1" }, { "value": "2" }],
            }))
        };
        for (change, operation, after) in [
            (
                Change::Replace(Place::core("displayName"), json!("Apex")),
                json!({ "op": "replace", "path": "displayName", "value": "Apex" }),
                ("displayName", json!("Apex")),
            ),
            (
                Change::Add(members, json!({ "value": "3" })),
                json!({ "op": "add", "path": "members", "value": [{ "value": "3" }] }),
                (
                    "members",
                    json!([{ "value": "1" }, { "value": "2" }, { "value": "3" }]),
                ),
            ),
            (
                Change::Remove(members, "1".to_owned()),
                json!({ "op": "remove", "path": "members[value eq \"1\"]" }),
                ("members", json!([{ "value": "2" }])),
            ),
            (
                Change::Add(locations, json!({ "value": "l" })),
                json!({
                    "op": "add",
                    "path": format!("{CUSTOMER}:locations"),
                    "value": [{ "value": "l" }],
                }),
                (CUSTOMER, json!({ "locations": [{ "value": "l" }] })),
            ),
        ] {
            assert_eq!(
                patch(std::slice::from_ref(&change))["Operations"][0],
                operation
            );
            let changed = changed(group(), &[change]);
            assert_eq!(changed.0[after.0], after.1);
        }
    }
}
