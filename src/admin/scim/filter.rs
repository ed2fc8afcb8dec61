//! The filters that clients send before they do anything (RFC 7644, section 3.4.2.2): `userName`,
//! `externalId` or `id` with `eq`, joined by `and`. Pure.

use serde_json::Value;

use super::dialect::{Attribute, attribute};
use super::problem::ScimProblem;
use crate::roster::{NameKey, PeopleQuery, PersonId};

/// What a filter asks for; none where nothing can fit.
pub(super) fn query(filter: &str) -> Result<Option<PeopleQuery>, ScimProblem> {
    let mut query = PeopleQuery::default();
    let mut rest = filter.trim();
    loop {
        let (name, after) = word(rest)?;
        let (operator, after) = word(after)?;
        if !operator.eq_ignore_ascii_case("eq") {
            return Err(ScimProblem::Filter);
        }
        let (value, after) = text(after)?;
        if value.is_empty() {
            return Ok(None);
        }
        add(&mut query, name, value)?;
        if after.is_empty() {
            return Ok(Some(query));
        }
        let (and, after) = word(after)?;
        if !and.eq_ignore_ascii_case("and") {
            return Err(ScimProblem::Filter);
        }
        rest = after;
    }
}

fn add(query: &mut PeopleQuery, name: &str, value: String) -> Result<(), ScimProblem> {
    let is_first = match attribute(name) {
        Some(Attribute::UserName) => query.name.replace(NameKey::of(&value)).is_none(),
        Some(Attribute::ExternalId) => query.external_id.replace(value).is_none(),
        Some(Attribute::Id) => query.id.replace(PersonId::new(value)).is_none(),
        Some(Attribute::Active) | None => false,
    };
    is_first.then_some(()).ok_or(ScimProblem::Filter)
}

/// The next word, and what comes after it.
fn word(text: &str) -> Result<(&str, &str), ScimProblem> {
    let (word, rest) = text.split_once(' ').ok_or(ScimProblem::Filter)?;
    Ok((word, rest.trim_start()))
}

/// A JSON string, and what comes after it.
fn text(from: &str) -> Result<(String, &str), ScimProblem> {
    let mut values = serde_json::Deserializer::from_str(from).into_iter::<Value>();
    let Some(Ok(Value::String(text))) = values.next() else {
        return Err(ScimProblem::Filter);
    };
    let rest = from.get(values.byte_offset()..).unwrap_or_default();
    Ok((text, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_real_clients_are_understood() {
        for filter in [
            r#"userName eq "Mario@acme.example""#,
            r#"username EQ "mario@acme.example""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "mario@acme.example""#,
        ] {
            let query = query(filter).unwrap().unwrap();
            assert_eq!(
                query.name,
                Some(NameKey::of("mario@acme.example")),
                "{filter}"
            );
        }
        let both = query(r#"externalId eq "a\"b" and id eq "7""#)
            .unwrap()
            .unwrap();
        assert_eq!(both.external_id.as_deref(), Some("a\"b"));
        assert_eq!(both.id.unwrap().as_str(), "7");
        assert!(query(r#"userName eq """#).unwrap().is_none());
    }

    #[test]
    fn other_filters_are_refused() {
        for filter in [
            "",
            "userName",
            "userName pr",
            "userName eq",
            "userName eq mario",
            r#"userName co "a""#,
            r#"userName eq "a" or userName eq "b""#,
            r#"userName eq "a" and userName eq "b""#,
            r#"userName eq "a" and"#,
            r#"emails.value eq "a""#,
            r#"(userName eq "a")"#,
        ] {
            assert!(query(filter).is_err(), "{filter}");
        }
    }
}
