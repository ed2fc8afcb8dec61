//! Users and groups as the server has them, with whatever this program does not know kept as it
//! came; and the schemas by their names (RFC 7643).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::trouble::{Oddity, Trouble};

/// The schemas of the standard.
pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The gateway's own extensions, which a server may have taken up: of groups that are customers,
/// and of users.
pub(super) const CUSTOMER: &str = "urn:ietf:params:scim:schemas:extension:vestibule:2.0:Customer";
pub(super) const USER_FIELDS: &str = "urn:ietf:params:scim:schemas:extension:vestibule:2.0:User";

/// In an extension: declared fields that have no attribute of their own, a JSON object as text.
pub(super) const FIELDS: &str = "fields";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
}

impl Kind {
    /// Its endpoint (RFC 7644, section 3.2).
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The extension of ours that it may have.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::User => USER_FIELDS,
            Self::Group => CUSTOMER,
        }
    }
}

/// A user or a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Resource(pub(super) Map<String, Value>);

/// One page of a listing (RFC 7644, section 3.4.2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) total_results: usize,
    #[serde(default, rename = "Resources")]
    pub(super) resources: Vec<Resource>,
}

impl Resource {
    /// With these values; what is `null` is left out.
    pub(super) fn of(values: Value) -> Self {
        let Value::Object(mut values) = values else {
            return Self::default();
        };
        values.retain(|_, value| !value.is_null());
        Self(values)
    }

    /// Its id.
    pub(super) fn id(&self) -> Result<&str, Trouble> {
        let id = self.text("id");
        if id.is_empty() {
            return Err(Oddity::Missing("id").into());
        }
        Ok(id)
    }

    /// The text of an attribute; empty where there is none.
    pub(super) fn text(&self, attribute: &str) -> &str {
        let text = self.0.get(attribute).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    /// The values of a multi-valued attribute.
    pub(super) fn values(&self, attribute: &str) -> &[Value] {
        let values = self.0.get(attribute).and_then(Value::as_array);
        values.map(Vec::as_slice).unwrap_or_default()
    }

    /// What an extension adds.
    pub(super) fn extension(&self, schema: &str) -> Option<&Map<String, Value>> {
        self.0.get(schema)?.as_object()
    }

    /// The text of an extension's attribute; empty where there is none.
    pub(super) fn extended_text(&self, schema: &str, attribute: &str) -> &str {
        let value = self
            .extension(schema)
            .and_then(|added| added.get(attribute));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The values of an extension's multi-valued attribute.
    pub(super) fn extended_values(&self, schema: &str, attribute: &str) -> &[Value] {
        let value = self
            .extension(schema)
            .and_then(|added| added.get(attribute));
        let values = value.and_then(Value::as_array);
        values.map(Vec::as_slice).unwrap_or_default()
    }

    /// Declared fields that are kept in one of our extensions.
    pub(super) fn fields(&self, kind: Kind) -> Map<String, Value> {
        read_fields(self.extended_text(kind.extension(), FIELDS))
    }

    /// Adds an extension with what it holds.
    pub(super) fn extend(&mut self, schema: &'static str, values: Value) {
        let Self(added) = Self::of(values);
        if let Some(Value::Array(schemas)) = self.0.get_mut("schemas") {
            schemas.push(json!(schema));
        }
        self.0.insert(schema.to_owned(), Value::Object(added));
    }

    /// Its version, for changes that are to change nothing newer (RFC 7644, section 3.14).
    pub(super) fn version(&self) -> Option<&str> {
        self.0.get("meta")?.get("version")?.as_str()
    }

    /// Takes the version that came beside it, where it has none itself.
    pub(super) fn set_version(&mut self, version: &str) {
        let meta = self.0.entry("meta").or_insert_with(|| json!({}));
        if let Value::Object(meta) = meta {
            meta.entry("version").or_insert_with(|| json!(version));
        }
    }

    /// When the server made it, as the server writes it (RFC 7643, section 3.1), which sorts as text.
    pub(super) fn created(&self) -> &str {
        let created = self.0.get("meta").and_then(|meta| meta.get("created"));
        created.and_then(Value::as_str).unwrap_or_default()
    }
}

/// The text of a part of a complex value.
pub(super) fn part<'a>(value: &'a Value, name: &str) -> &'a str {
    let part = value.get(name).and_then(Value::as_str);
    part.unwrap_or_default()
}

/// Fields that were written as one text.
pub(super) fn read_fields(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Fields as one text.
pub(super) fn write_fields(fields: &Map<String, Value>) -> Value {
    Value::from(Value::Object(fields.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_kept() {
        let mut user = Resource::of(json!({ "id": "7", "title": "Boss", "nickName": null }));
        user.set_version("W/\"1\"");
        assert_eq!(user.version(), Some("W/\"1\""));
        let text = serde_json::to_value(&user).unwrap();
        let whole = json!({ "id": "7", "title": "Boss", "meta": { "version": "W/\"1\"" } });
        assert_eq!(text, whole);
    }

    #[test]
    fn fields_come_back_as_they_went() {
        let fields = Map::from_iter([
            ("newsletter".to_owned(), json!(true)),
            ("vat_number".to_owned(), json!("DE\"1")),
        ]);
        let mut group = Resource::of(json!({ "schemas": [GROUP] }));
        group.extend(CUSTOMER, json!({ FIELDS: write_fields(&fields) }));
        assert_eq!(group.fields(Kind::Group), fields);
        assert_eq!(group.values("schemas").len(), 2);
        assert_eq!(read_fields("no JSON"), Map::new());
    }
}
