//! The plain CRUD service. Its search takes e-mail addresses in any case, and codes by their
//! beginning; pages have two records.

use serde_json::{Map, Value, json};

use super::API_KEY;
use super::door::Question;
use super::records::{No, Records, folded};

const PAGE: usize = 2;

/// How members are called here, and in the records.
const MEMBERS: [(&str, &str); 14] = [
    ("id", "id"),
    ("external_id", "mark"),
    ("customer_id", "customer"),
    ("partner_id", "partner"),
    ("email", "email"),
    ("email_verified", "verified"),
    ("name", "name"),
    ("account_type", "account_type"),
    ("language", "language"),
    ("administrator", "administrator"),
    ("roles", "roles"),
    ("properties", "fields"),
    ("code", "code"),
    ("enabled", "enabled"),
];

pub fn answer(records: &mut Records, question: &Question) -> Result<Value, No> {
    if question.header("x-api-key") != Some(API_KEY) {
        return Err(No::NotLetIn);
    }
    let path: Vec<&str> = question.path.iter().map(String::as_str).collect();
    match (question.method.as_str(), path.as_slice()) {
        ("GET", ["v1", "password-rules"]) => Ok(json!({ "minimum": 8, "maximum": 64 })),
        ("POST", ["v1", "password-checks"]) => {
            let user = records.signed_in(question.text("email"), question.text("password"))?;
            Ok(json!({ "user_id": user["id"] }))
        }
        ("PUT", ["v1", "users", id, "password"]) => {
            let password = question.body["password"].clone();
            let change = Map::from_iter([("password".to_owned(), password)]);
            records.change("user", id, &change).map(|_| Value::Null)
        }
        ("PUT", ["v1", "users", id, "roles"]) => {
            let change = Map::from_iter([("roles".to_owned(), question.body.clone())]);
            records.change("user", id, &change).map(|_| Value::Null)
        }
        ("GET", ["v1", kinds]) => Ok(listing(records.of(kind(kinds)?), question)),
        ("POST", ["v1", kinds]) => records
            .add(kind(kinds)?, Value::Object(taken_in(&question.body)))
            .map(|made| given_out(&made)),
        ("GET", ["v1", kinds, id]) => records.get_mut(kind(kinds)?, id).map(|one| given_out(one)),
        ("PATCH", ["v1", kinds, id]) => records
            .change(kind(kinds)?, id, &taken_in(&question.body))
            .map(|changed| given_out(&changed)),
        ("DELETE", ["v1", kinds, id]) => records.remove(kind(kinds)?, id).map(|()| Value::Null),
        _ => Err(No::NotFound),
    }
}

fn kind(kinds: &str) -> Result<&'static str, No> {
    match kinds {
        "customers" => Ok("customer"),
        "locations" => Ok("location"),
        "users" => Ok("user"),
        "partners" => Ok("partner"),
        _ => Err(No::NotFound),
    }
}

fn listing(all: &[Value], question: &Question) -> Value {
    let fits = |record: &&Value| {
        question.query.iter().all(|(key, wanted)| {
            let own = MEMBERS.iter().find(|(name, _)| name == key);
            let value = own.and_then(|(_, own)| folded(&record[own]));
            match key.as_str() {
                "cursor" => true,
                "code" => value.is_some_and(|value| value.starts_with(&wanted.to_lowercase())),
                _ => value == Some(wanted.to_lowercase()),
            }
        })
    };
    let fitting: Vec<Value> = all.iter().filter(fits).map(given_out).collect();
    let from = question.query.get("cursor");
    let from = from.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let page: Vec<&Value> = fitting.iter().skip(from).take(PAGE).collect();
    let next = (from + PAGE < fitting.len()).then(|| (from + PAGE).to_string());
    json!({ "data": page, "next": next })
}

fn taken_in(body: &Value) -> Map<String, Value> {
    let mut record = Map::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        let own = MEMBERS.iter().find(|(name, _)| name == key);
        let own = own.map_or(key.as_str(), |(_, own)| own);
        record.insert(own.to_owned(), value.clone());
    }
    record
}

fn given_out(record: &Value) -> Value {
    let mut body = Map::new();
    for (name, own) in MEMBERS {
        if let Some(value) = record.get(own) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(body)
}

pub fn refusal(no: &No) -> (u16, Value) {
    let named = |field: &str| match field {
        "mark" => "external_id".to_owned(),
        other => other.to_owned(),
    };
    match no {
        No::NotFound => (404, json!({ "code": "not_found" })),
        No::Taken(field) => (409, json!({ "code": "conflict", "field": named(field) })),
        No::Invalid(field) => (422, json!({ "code": "invalid", "field": named(field) })),
        No::InUse => (409, json!({ "code": "in_use" })),
        No::WrongPassword => (422, json!({ "code": "wrong_password" })),
        No::NotLetIn => (401, json!({ "code": "unauthorized" })),
        No::TooMany => (429, json!({ "code": "rate_limited" })),
    }
}
