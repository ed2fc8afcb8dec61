//! A user in the attributes of the standard (RFC 7643, section 4.1), and back. Pure.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::change::{Change, Place};
use super::resource::{ENTERPRISE, FIELDS, Kind, Resource, USER, USER_FIELDS, part, write_fields};
use super::server::Offer;
use crate::identity::{AccountType, EmailAddress};
use crate::platform::{Mark, NewUser, ProfileChange};

/// Declared fields and the parts of an address that they are.
const ADDRESS: [(&str, &str); 5] = [
    ("address", "streetAddress"),
    ("city", "locality"),
    ("region", "region"),
    ("postal_code", "postalCode"),
    ("country", "country"),
];

/// The user to be made. What the server has no place for is left out.
pub(super) fn record(
    mark: &Mark,
    new: &NewUser,
    (offer, organization): (Offer, Option<&str>),
    password: Option<&SecretString>,
) -> Resource {
    let (given, family) = split_name(&new.name);
    let password = password.filter(|_| offer.passwords);
    let roles: Vec<Value> = new
        .options
        .roles
        .iter()
        .map(|role| json!({ "value": role.name }))
        .collect();
    let mut fields = new.fields.clone();
    let mut user = Resource::of(json!({
        "schemas": [USER],
        "externalId": mark.as_str(),
        "userName": new.email.as_str(),
        "displayName": new.name,
        "name": { "formatted": new.name, "givenName": given, "familyName": family },
        "emails": [{ "value": new.email.as_str(), "type": "work", "primary": true }],
        "userType": new.account_type.as_str(),
        "preferredLanguage": new.language,
        "active": true,
        "password": password.map(ExposeSecret::expose_secret),
        "phoneNumbers": fields.remove("phone").as_ref().map(phone),
        "addresses": address(&mut fields).map(|address| json!([address])),
        "roles": (!roles.is_empty()).then_some(roles),
    }));
    if let Some(organization) = organization {
        user.extend(ENTERPRISE, json!({ "organization": organization }));
    }
    if offer.user_fields && !fields.is_empty() {
        user.extend(USER_FIELDS, json!({ FIELDS: write_fields(&fields) }));
    }
    user
}

fn phone(number: &Value) -> Value {
    json!([{ "value": number, "type": "work" }])
}

/// The address that these fields are; none where there is none of them.
fn address(fields: &mut Map<String, Value>) -> Option<Value> {
    let mut address = Map::new();
    for (field, part) in ADDRESS {
        if let Some(value) = fields.remove(field) {
            address.insert(part.to_owned(), value);
        }
    }
    if address.is_empty() {
        return None;
    }
    address.insert("type".to_owned(), json!("work"));
    Some(Value::Object(address))
}

/// Declared fields of a user, wherever they are kept.
pub(super) fn fields_of(user: &Resource) -> Map<String, Value> {
    let mut fields = user.fields(Kind::User);
    let number = user.values("phoneNumbers").first();
    let mut keep = |field: &str, text: &str| {
        if !text.is_empty() {
            fields.insert(field.to_owned(), Value::from(text));
        }
    };
    if let Some(number) = number {
        keep("phone", part(number, "value"));
    }
    if let Some(address) = user.values("addresses").first() {
        for (field, name) in ADDRESS {
            keep(field, part(address, name));
        }
    }
    fields
}

/// What a change of a profile is of the user.
pub(super) fn changes(user: &Resource, wanted: &ProfileChange, offer: Offer) -> Vec<Change> {
    let mut fields = wanted.user.clone();
    let mut changes = Vec::new();
    let mut replace = |attribute, value| {
        changes.push(Change::Replace(Place::core(attribute), value));
    };
    if let Some(name) = &wanted.user_name {
        let (given, family) = split_name(name);
        replace("displayName", json!(name));
        let name = json!({ "formatted": name, "givenName": given, "familyName": family });
        replace("name", name);
    }
    if let Some(language) = &wanted.language {
        replace("preferredLanguage", json!(language));
    }
    if let Some(number) = fields.remove("phone") {
        replace(
            "phoneNumbers",
            with_first(user.values("phoneNumbers"), &phone(&number)),
        );
    }
    if let Some(address) = address(&mut fields) {
        replace(
            "addresses",
            with_first(user.values("addresses"), &json!([address])),
        );
    }
    if !fields.is_empty() && offer.user_fields {
        let mut all = user.fields(Kind::User);
        all.extend(fields);
        let place = Place::of(USER_FIELDS, FIELDS);
        changes.push(Change::Replace(place, write_fields(&all)));
    }
    changes
}

/// The values with what is new written over the first one.
fn with_first(values: &[Value], new: &Value) -> Value {
    let mut all = values.to_vec();
    let Some(new) = new.get(0).and_then(Value::as_object) else {
        return Value::Array(all);
    };
    match all.first_mut().and_then(Value::as_object_mut) {
        Some(first) => first.extend(new.clone()),
        None => all.push(Value::Object(new.clone())),
    }
    Value::Array(all)
}

/// Whether the server lets the user in; it does where it does not say. Some say it in a text.
pub(super) fn is_active(user: &Resource) -> bool {
    match user.0.get("active") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(is_active)) => *is_active,
        Some(Value::String(word)) => word.eq_ignore_ascii_case("true"),
        Some(_) => false,
    }
}

/// The account type, where the user has one.
pub(super) fn account_type(user: &Resource) -> Option<AccountType> {
    AccountType::from_word(user.text("userType"))
}

/// Every address that the server has of a user, the one to write to first.
pub(super) fn addresses(user: &Resource) -> Vec<EmailAddress> {
    let emails = user.values("emails");
    let is_primary = |email: &&Value| email.get("primary") == Some(&Value::Bool(true));
    let primary = emails.iter().filter(is_primary);
    let texts = primary.chain(emails).map(|email| part(email, "value"));
    let texts = texts.chain(std::iter::once(user.text("userName")));
    texts
        .filter_map(|text| EmailAddress::parse(text).ok())
        .collect()
}

/// Whether an address is one of the user's, in any spelling.
pub(super) fn has_address(user: &Resource, email: &EmailAddress) -> bool {
    let wanted = email.folded();
    addresses(user)
        .iter()
        .any(|address| address.folded() == wanted)
}

/// The language tag, where the server says.
pub(super) fn language(user: &Resource) -> Option<String> {
    let language = user.text("preferredLanguage");
    (!language.is_empty()).then(|| language.to_owned())
}

/// The name to show.
pub(super) fn whole_name(user: &Resource) -> String {
    let display = user.text("displayName");
    if !display.is_empty() {
        return display.to_owned();
    }
    let Some(name) = user.0.get("name") else {
        return String::new();
    };
    let formatted = part(name, "formatted");
    if !formatted.is_empty() {
        return formatted.to_owned();
    }
    format!("{} {}", part(name, "givenName"), part(name, "familyName"))
        .trim()
        .to_owned()
}

/// Given and family names; the last word is the family name.
fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.trim().rsplit_once(' ') {
        Some((given, family)) => (Some(given.trim_end()), family),
        None => (None, name.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(values: Value) -> Resource {
        Resource::of(values)
    }

    #[test]
    fn a_text_says_who_is_active_too() {
        let active = |value: Value| {
            is_active(&Resource(
                json!({ "active": value }).as_object().unwrap().clone(),
            ))
        };
        for yes in [json!(true), json!("True"), json!(null)] {
            assert!(active(yes.clone()), "{yes}");
        }
        for no in [json!(false), json!("False"), json!(0), json!([])] {
            assert!(!active(no.clone()), "{no}");
        }
    }

    #[test]
    fn an_address_is_found_wherever_it_is() {
        let email = EmailAddress::parse("Mario@acme.example").unwrap();
        for (has, values) in [
            (true, json!({ "userName": "MARIO@acme.example" })),
            (
                true,
                json!({ "userName": "mario", "emails": [{ "value": "mario@acme.example" }] }),
            ),
            (
                false,
                json!({ "userName": "mario@acme.example.evil.example" }),
            ),
            (false, json!({ "userName": "mario" })),
        ] {
            assert_eq!(has_address(&user(values.clone()), &email), has, "{values}");
        }
    }

    #[test]
    fn letters_go_to_the_primary_address() {
        let user = user(json!({
            "userName": "login@acme.example",
            "emails": [
                { "value": "second@acme.example" },
                { "value": "first@acme.example", "primary": true },
            ],
        }));
        assert_eq!(addresses(&user)[0].as_str(), "first@acme.example");
    }

    #[test]
    fn what_is_not_named_stays() {
        let user = user(json!({
            "phoneNumbers": [{ "value": "1", "type": "mobile" }, { "value": "2" }],
            "addresses": [{ "locality": "Modena", "postalCode": "41121" }],
        }));
        let offer = Offer {
            patch: true,
            filter: true,
            etag: true,
            passwords: true,
            customers: true,
            user_fields: true,
        };
        let change = ProfileChange {
            user: Map::from_iter([
                ("city".to_owned(), json!("Trento")),
                ("newsletter".to_owned(), json!(true)),
            ]),
            ..ProfileChange::default()
        };
        let plan = changes(&user, &change, offer);
        let user = super::super::change::changed(user, &plan);
        let fields = fields_of(&user);
        assert_eq!(fields["city"], "Trento");
        assert_eq!(fields["postal_code"], "41121");
        assert_eq!(fields["phone"], "1");
        assert_eq!(fields["newsletter"], true);
        assert_eq!(user.values("phoneNumbers").len(), 2);
    }
}
