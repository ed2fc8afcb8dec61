//! What is claimed of somebody, in as little memory as a session that is kept should take.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The claims of an identity, by name: a JSON object that does not change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(
    /// In the order of the names. A tree of the same, as JSON objects are, has room for eleven.
    Box<[(Box<str>, Value)]>,
);

impl Claims {
    /// What is claimed under a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(own, _)| (**own).cmp(name));
        self.0.get(place.ok()?).map(|(_, value)| value)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Those that stay; the others are forgotten.
    #[must_use]
    pub(super) fn filtered(self, mut stays: impl FnMut(&str) -> bool) -> Self {
        let claims = self.0.into_iter();
        Self(claims.filter(|(name, _)| stays(name)).collect())
    }

    /// The JSON object.
    pub fn to_object(&self) -> Map<String, Value> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    /// The JSON object as a value, as expressions read it.
    pub fn to_value(&self) -> Value {
        Value::Object(self.to_object())
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(object: Map<String, Value>) -> Self {
        let claims = object.into_iter();
        let mut claims: Vec<_> = claims
            .map(|(name, value)| (name.into_boxed_str(), exact(value)))
            .collect();
        // It is already, but where a feature of the library keeps the order of the text.
        claims.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self(claims.into_boxed_slice())
    }
}

/// A list without the room that it was read with, such as groups. In a new place: allocators leave
/// what shrinks to its half where it is.
fn exact(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut exact = Vec::with_capacity(list.len());
            exact.extend(list);
            Value::Array(exact)
        }
        other => other,
    }
}

impl FromIterator<(String, Value)> for Claims {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        claims.into_iter().collect::<Map<_, _>>().into()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(object: &Value) -> Claims {
        object.as_object().unwrap().clone().into()
    }

    #[test]
    fn every_claim_is_found_by_its_name_and_no_other() {
        let object = json!({"sub": "7", "email": "m@acme.example", "groups": ["a", "b"], "": null});
        let claims = claims(&object);
        for (name, value) in object.as_object().unwrap() {
            assert_eq!(claims.get(name), Some(value), "{name}");
        }
        for other in ["sub ", "Sub", "emai", "zoneinfo", "a"] {
            assert_eq!(claims.get(other), None, "{other}");
        }
        assert_eq!(claims.to_value(), object);
        assert_eq!(serde_json::to_value(&claims).unwrap(), object);
        assert_eq!(claims.iter().count(), 4);
    }

    #[test]
    fn what_is_filtered_out_is_not_there() {
        let left = claims(&json!({"a": 1, "b": 2, "c": 3})).filtered(|name| name != "b");
        assert_eq!(left, claims(&json!({"a": 1, "c": 3})));
    }
}
