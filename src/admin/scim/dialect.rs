//! What clients send, in the dialects that they speak: Entra ID writes booleans as text and names
//! operations with capitals, Okta changes without a path. Attributes that are not kept are taken
//! and forgotten. Pure.

use serde_json::{Map, Value};

use super::problem::ScimProblem;
use crate::roster::{MatchBy, PersonData};

/// The schema of users.
pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Longer names and ids are nobody's.
const LONGEST: usize = 512;

/// The attributes that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Id,
    UserName,
    ExternalId,
    Active,
}

/// The attribute of a name, in any case, with or without its schema (RFC 7643, section 2.1).
pub(super) fn attribute(name: &str) -> Option<Attribute> {
    let schema = name.get(..USER.len());
    let name = match schema.filter(|schema| schema.eq_ignore_ascii_case(USER)) {
        Some(_) => name.get(USER.len()..)?.strip_prefix(':')?,
        None => name,
    };
    let all = [
        ("id", Attribute::Id),
        ("userName", Attribute::UserName),
        ("externalId", Attribute::ExternalId),
        ("active", Attribute::Active),
    ];
    let found = all
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, attribute)| *attribute)
}

/// A person as a whole (POST, PUT). What is not said of `active` stays as it is: nobody is let in
/// by leaving it out.
pub(super) fn whole(body: &Value, before: Option<&PersonData>) -> Result<PersonData, ScimProblem> {
    let body = body
        .as_object()
        .ok_or(ScimProblem::Syntax("a user is an object"))?;
    let mut data = PersonData {
        user_name: String::new(),
        external_id: None,
        active: before.is_none_or(|before| before.active),
    };
    set_all(&mut data, body)?;
    Ok(data)
}

/// A person with the changes of a PATCH (RFC 7644, section 3.5.2).
pub(super) fn patched(body: &Value, before: &PersonData) -> Result<PersonData, ScimProblem> {
    let operations = body.as_object().and_then(|body| member(body, "Operations"));
    let operations = operations.and_then(Value::as_array);
    let operations = operations.ok_or(ScimProblem::Syntax("there are no `Operations`"))?;
    let mut data = before.clone();
    for operation in operations {
        let operation = operation
            .as_object()
            .ok_or(ScimProblem::Syntax("an operation is an object"))?;
        apply(&mut data, operation)?;
    }
    Ok(data)
}

fn apply(data: &mut PersonData, operation: &Map<String, Value>) -> Result<(), ScimProblem> {
    let word = member(operation, "op").and_then(Value::as_str);
    let path = member(operation, "path").and_then(Value::as_str);
    let value = member(operation, "value").unwrap_or(&Value::Null);
    let word = word.map(str::to_ascii_lowercase);
    match (word.as_deref(), path, value) {
        (Some("add" | "replace"), None, Value::Object(values)) => set_all(data, values),
        (Some("add" | "replace"), Some(path), value) => set(data, path, only(value)),
        (Some("remove"), Some(path), _) => remove(data, path),
        (Some("add" | "replace" | "remove"), ..) => Err(ScimProblem::Target),
        _ => Err(ScimProblem::Syntax("`op` is add, replace or remove")),
    }
}

/// The value in a list of one, as some clients wrap it.
fn only(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one.get("value").unwrap_or(one),
        _ => value,
    }
}

fn set_all(data: &mut PersonData, values: &Map<String, Value>) -> Result<(), ScimProblem> {
    values
        .iter()
        .try_for_each(|(name, value)| set(data, name, value))
}

fn set(data: &mut PersonData, name: &str, value: &Value) -> Result<(), ScimProblem> {
    match attribute(name) {
        Some(Attribute::UserName) => data.user_name = text(value)?,
        Some(Attribute::ExternalId) if value.is_null() => data.external_id = None,
        Some(Attribute::ExternalId) => data.external_id = Some(text(value)?),
        Some(Attribute::Active) => data.active = truth(value)?,
        // The id is ours, and other attributes are not kept.
        Some(Attribute::Id) | None => {}
    }
    Ok(())
}

fn remove(data: &mut PersonData, name: &str) -> Result<(), ScimProblem> {
    match attribute(name) {
        Some(Attribute::ExternalId) => data.external_id = None,
        Some(Attribute::UserName | Attribute::Active | Attribute::Id) => {
            return Err(ScimProblem::Value(
                "`userName` and `active` cannot be removed",
            ));
        }
        None => {}
    }
    Ok(())
}

fn text(value: &Value) -> Result<String, ScimProblem> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(ScimProblem::Value("`userName` and `externalId` are texts")),
    };
    let is_sound = text.len() <= LONGEST && !text.chars().any(char::is_control);
    is_sound
        .then_some(text)
        .ok_or(ScimProblem::Value("a name or id is too long, or no text"))
}

fn truth(value: &Value) -> Result<bool, ScimProblem> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(word) if word.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(word) if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ScimProblem::Value("`active` is true or false")),
    }
}

fn member<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut all = of.iter();
    all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Whether a person has what people of their provider are told by.
pub(super) fn check(data: &PersonData, match_by: MatchBy) -> Result<(), ScimProblem> {
    let has_id = data.external_id.as_ref().is_some_and(|id| !id.is_empty());
    match match_by {
        _ if data.user_name.is_empty() => Err(ScimProblem::Value("`userName` is missing")),
        MatchBy::Subject if !has_id => Err(ScimProblem::Value(
            "`externalId` is missing: people of this provider are told by it, and it has to be \
             the subject of their tokens",
        )),
        MatchBy::Subject | MatchBy::Email => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mario(active: bool) -> PersonData {
        PersonData {
            user_name: "mario@acme.example".to_owned(),
            external_id: Some("m-1".to_owned()),
            active,
        }
    }

    #[test]
    fn both_dialects_deactivate() {
        for operation in [
            json!({ "op": "Replace", "path": "active", "value": "False" }),
            json!({ "op": "replace", "path": "active", "value": false }),
            json!({ "op": "replace", "value": { "active": false } }),
            json!({ "op": "Add", "value": { "Active": "false", "name.givenName": "Mario" } }),
            json!({ "op": "replace", "path": "Active", "value": [{ "value": "False" }] }),
            json!({ "op": "replace", "path": format!("{USER}:active"), "value": false }),
        ] {
            let body = json!({ "Operations": [operation] });
            assert_eq!(
                patched(&body, &mario(true)).unwrap(),
                mario(false),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_not_kept_is_taken() {
        let body = json!({ "Operations": [
            { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "x" },
            { "op": "Remove", "path": "title" },
        ] });
        assert_eq!(patched(&body, &mario(true)).unwrap(), mario(true));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for body in [
            json!({}),
            json!({ "Operations": ["x"] }),
            json!({ "Operations": [{ "op": "move", "path": "active" }] }),
            json!({ "Operations": [{ "op": "replace", "value": true }] }),
            json!({ "Operations": [{ "op": "remove" }] }),
            json!({ "Operations": [{ "op": "remove", "path": "active" }] }),
            json!({ "Operations": [{ "op": "replace", "path": "active", "value": "no" }] }),
            json!({ "Operations": [{ "op": "replace", "path": "active" }] }),
        ] {
            assert!(patched(&body, &mario(true)).is_err(), "{body}");
        }
    }

    #[test]
    fn leaving_active_out_lets_nobody_in() {
        let body = json!({ "userName": "mario@acme.example", "externalId": "m-1" });
        assert_eq!(whole(&body, Some(&mario(false))).unwrap(), mario(false));
        assert_eq!(whole(&body, None).unwrap(), mario(true));
    }

    #[test]
    fn nobody_is_told_by_what_they_lack() {
        let nameless = PersonData {
            user_name: String::new(),
            ..mario(true)
        };
        assert!(check(&nameless, MatchBy::Email).is_err());
        let without = PersonData {
            external_id: None,
            ..mario(true)
        };
        assert!(check(&without, MatchBy::Subject).is_err());
        assert!(check(&without, MatchBy::Email).is_ok());
    }
}
