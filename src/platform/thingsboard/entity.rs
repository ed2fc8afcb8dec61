//! Customers, users, assets and the like as the API has them, with whatever this program does not
//! know kept as it came; and how the gateway's marks are read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::identity::AccountType;
use crate::platform::Mark;

/// The registration that made something, in its `additionalInfo`.
pub(super) const MARK: &str = "gatewayRegistrationId";
/// Declared fields that have no place of their own, in `additionalInfo`.
pub(super) const FIELDS: &str = "gatewayFields";
/// A customer's account type, in its `additionalInfo`.
pub(super) const ACCOUNT_TYPE: &str = "gatewayAccountType";
/// A customer's organisation code to the letter, in its `additionalInfo`.
pub(super) const CODE: &str = "gatewayCode";

/// The customer that stands for none.
const NOBODY: &str = "13814000-1dd2-11b2-8080-808080808080";

/// The platform's clock may be so far behind the gateway's.
const CLOCKS_DIFFER: Duration = Duration::from_mins(5);

/// A record of the API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Entity(Map<String, Value>);

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    pub(super) has_next: bool,
}

/// An id as the API writes it.
pub(super) fn reference(kind: &str, id: &str) -> Value {
    json!({ "entityType": kind, "id": id })
}

impl Entity {
    /// With these values; what is `null` is left out.
    pub(super) fn of(values: Value) -> Self {
        let Value::Object(mut values) = values else {
            return Self::default();
        };
        values.retain(|_, value| !value.is_null());
        Self(values)
    }

    /// Its id.
    pub(super) fn id(&self) -> Option<&str> {
        self.referenced("id")
    }

    /// The id that it refers to by this key.
    pub(super) fn referenced(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.get("id")?.as_str()
    }

    /// The text by this key; empty where there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Puts a value.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// What is in its `additionalInfo` by this key.
    pub(super) fn info(&self, key: &str) -> Option<&Value> {
        self.0.get("additionalInfo")?.get(key)
    }

    /// Puts a value into its `additionalInfo`, made where there is none.
    pub(super) fn set_info(&mut self, key: &str, value: impl Into<Value>) {
        let place = self.0.entry("additionalInfo").or_insert(Value::Null);
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        if let Value::Object(info) = place {
            info.insert(key.to_owned(), value.into());
        }
    }

    /// When it was made; the platform sets that and nobody changes it.
    pub(super) fn created(&self) -> Option<Timestamp> {
        let millis = self.0.get("createdTime")?.as_i64()?;
        Some(Timestamp::from_millis(millis))
    }

    /// Whether a registration made it: it has the mark, and is not older than the registration.
    ///
    /// On a customer the mark is as good as the platform: a customer's users only read customers.
    /// On assets and on users themselves it is a hint, because users may write those. It is
    /// therefore never looked for on its own: an asset only among those of the registration's
    /// customer, a user only by address *and* customer. What is left is somebody in that very
    /// customer who knew the id of a registration under way, and whose user was made after it; who
    /// has been there before, with an address changed to the applicant's, is not taken.
    pub(super) fn was_made_by(&self, mark: &Mark) -> bool {
        let is_marked = self.info(MARK).and_then(Value::as_str) == Some(mark.as_str());
        let begun = begun_at(mark).map(|begun| begun.minus(CLOCKS_DIFFER));
        is_marked && begun.is_none_or(|begun| self.created().is_some_and(|made| made >= begun))
    }

    /// The account type of a customer; staff make companies.
    pub(super) fn account_type(&self) -> AccountType {
        let word = self.info(ACCOUNT_TYPE).and_then(Value::as_str);
        let known = word.and_then(AccountType::from_word);
        known.unwrap_or(AccountType::Business)
    }

    /// Whether a customer is another one's, in whose hands it then is (Professional).
    pub(super) fn is_below_another(&self) -> bool {
        let above = self.referenced("parentCustomerId");
        above.is_some_and(|above| above != NOBODY)
    }

    /// Declared fields that have no place of their own.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let fields = self.info(FIELDS).and_then(Value::as_object);
        fields.cloned().unwrap_or_default()
    }
}

/// When a registration began: its id is a UUID of version 7 (RFC 9562, section 5.7).
fn begun_at(mark: &Mark) -> Option<Timestamp> {
    let id = uuid::Uuid::parse_str(mark.as_str()).ok()?;
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?;
    Some(Timestamp::from_millis(
        millis + i64::from(nanos / 1_000_000),
    ))
}

/// A few letters by which things of the same name are told apart: the last ones of the mark.
pub(super) fn tag(mark: &Mark) -> String {
    let letters: Vec<char> = mark
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    letters.iter().rev().take(6).rev().collect()
}

/// What makes a name one of a kind, if need be: itself, and itself with the tag.
pub(super) fn names(name: &str, mark: &Mark) -> [String; 2] {
    [
        fitting(name, ""),
        fitting(name, &format!(" ({})", tag(mark))),
    ]
}

/// At most as many characters as names may have.
fn fitting(name: &str, end: &str) -> String {
    let room = 255 - end.chars().count();
    let mut fits: String = name.chars().take(room).collect();
    fits.push_str(end);
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: &str = "0190f5ea-0000-7000-8000-000000000001";

    fn made(mark: &str, millis: i64) -> Entity {
        Entity::of(json!({ "createdTime": millis, "additionalInfo": { MARK: mark } }))
    }

    #[test]
    fn what_is_older_than_the_registration_is_not_its_own() {
        let mark = Mark::new(BEGUN);
        let begun = begun_at(&mark).unwrap().millis();
        assert!(made(BEGUN, begun).was_made_by(&mark));
        assert!(made(BEGUN, begun - 60_000).was_made_by(&mark));
        assert!(!made(BEGUN, begun - 600_000).was_made_by(&mark));
        assert!(!made("another", begun).was_made_by(&mark));
        let undated = Entity::of(json!({ "additionalInfo": { MARK: BEGUN } }));
        assert!(!undated.was_made_by(&mark));
    }

    #[test]
    fn names_fit() {
        let mark = Mark::new(BEGUN);
        assert_eq!(names("Acme", &mark), ["Acme", "Acme (000001)"]);
        let long = names(&"ä".repeat(300), &mark);
        assert!(long.iter().all(|name| name.chars().count() == 255));
        assert!(long[1].ends_with("(000001)"));
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let mut entity = Entity::of(json!({ "version": 3, "additionalInfo": null }));
        entity.set_info("lang", "it_IT");
        let text = serde_json::to_value(&entity).unwrap();
        assert_eq!(
            text,
            json!({ "version": 3, "additionalInfo": { "lang": "it_IT" } })
        );
    }
}
