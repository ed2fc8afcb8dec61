//! The platform in the style of Servitly: its login and renewal as published, the rest as guessed in
//! `deploy/rest/servitly-style.toml`. Its search finds any part of any text, in any case.

use serde_json::{Map, Value, json};

use super::door::Question;
use super::records::{No, Records};
use super::{API_KEY, EMAIL, PASSWORD, State, Tokens};

/// How members are called here, and in the records.
const MEMBERS: [(&str, &str); 14] = [
    ("id", "id"),
    ("externalId", "mark"),
    ("customerId", "customer"),
    ("partnerId", "partner"),
    ("email", "email"),
    ("name", "name"),
    ("type", "type"),
    ("role", "role"),
    ("firstName", "first"),
    ("lastName", "last"),
    ("language", "language"),
    ("properties", "fields"),
    ("code", "code"),
    ("state", "state"),
];

pub fn answer(state: &mut State, question: &Question) -> Result<Value, No> {
    if question.header("x-semioty-tenant") != Some("acme") {
        return Err(No::NotLetIn);
    }
    let path: Vec<&str> = question.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["identity", "users", "login"] => return login(state, question),
        ["identity", "users", "me", "renewToken"] => return renew(state, question),
        _ => {}
    }
    let token = question.header("authorization").unwrap_or_default();
    let token = token.strip_prefix("Bearer ").unwrap_or_default();
    if !state.tokens.access.iter().any(|known| known == token) {
        return Err(No::NotLetIn);
    }
    let (kind, rest) = match path.as_slice() {
        ["v2", "inventory", "customers", rest @ ..] => ("customer", rest),
        ["v2", "inventory", "locations", rest @ ..] => ("location", rest),
        ["v2", "inventory", "partners", rest @ ..] => ("partner", rest),
        ["v2", "identity", "users", rest @ ..] => ("user", rest),
        _ => return Err(No::NotFound),
    };
    inventory(&mut state.records, question, (kind, rest))
}

fn login(state: &mut State, question: &Question) -> Result<Value, No> {
    if question.query.get("apiKey").map(String::as_str) != Some(API_KEY) {
        return Err(No::NotLetIn);
    }
    let (email, password) = (question.text("email"), question.text("password"));
    if (email, password) != (EMAIL, PASSWORD) {
        let user = state.records.signed_in(email, password)?;
        return Ok(json!({ "token": "of-a-user", "userId": user["id"] }));
    }
    Ok(pair(&mut state.tokens))
}

fn renew(state: &mut State, question: &Question) -> Result<Value, No> {
    let old = question.text("refreshToken").to_owned();
    let is_known = state.tokens.renewal.contains(&old);
    if !is_known || question.text("userId") != "gateway" || question.text("tenantId") != "t-1" {
        return Err(No::NotLetIn);
    }
    state.tokens.renewal.retain(|token| *token != old);
    Ok(pair(&mut state.tokens))
}

fn pair(tokens: &mut Tokens) -> Value {
    tokens.given += 1;
    let (token, renewal) = (
        format!("token-{}", tokens.given),
        format!("renewal-{}", tokens.given),
    );
    tokens.access.push(token.clone());
    tokens.renewal.push(renewal.clone());
    let expires = jiff::Timestamp::now().as_millisecond() + 600_000;
    json!({
        "token": token, "refreshToken": renewal, "userId": "gateway", "tenantId": "t-1",
        "tokenExpirationTimestamp": expires,
    })
}

fn inventory(
    records: &mut Records,
    question: &Question,
    (kind, rest): (&str, &[&str]),
) -> Result<Value, No> {
    match (question.method.as_str(), rest) {
        ("GET", []) => Ok(listing(records.of(kind), question)),
        ("POST", []) => {
            let made = records.add(kind, Value::Object(taken_in(&question.body)))?;
            // As some do: what was made is named, not told.
            Ok(json!({ "id": made["id"] }))
        }
        ("GET", [id]) => records.get_mut(kind, id).map(|one| given_out(one)),
        ("PUT", [id]) => {
            let kept = records.get_mut(kind, id)?.clone();
            let mut whole = taken_in(&question.body);
            for key in ["id", "enabled", "password"] {
                whole.insert(key.to_owned(), kept[key].clone());
            }
            *records.get_mut(kind, id)? = Value::Object(whole);
            records.get_mut(kind, id).map(|one| given_out(one))
        }
        ("DELETE", [id]) => records.remove(kind, id).map(|()| Value::Null),
        _ => Err(No::NotFound),
    }
}

fn listing(all: &[Value], question: &Question) -> Value {
    let wanted = question.query.get("search").map(|text| text.to_lowercase());
    let customer = question.query.get("customerId");
    let fits = |record: &&Value| {
        let told = given_out(record);
        let mut texts = told.as_object().into_iter().flatten();
        let has = |wanted: &String| {
            texts.any(|(_, value)| {
                let text = value.as_str().unwrap_or_default();
                text.to_lowercase().contains(wanted)
            })
        };
        customer.is_none_or(|customer| record["customer"] == **customer)
            && wanted.as_ref().is_none_or(has)
    };
    let number = |key: &str| question.query.get(key).and_then(|text| text.parse().ok());
    let (page, size) = (number("page").unwrap_or(0), number("size").unwrap_or(20));
    let fitting: Vec<Value> = all.iter().filter(fits).map(given_out).collect();
    let content: Vec<&Value> = fitting.iter().skip(page * size).take(size).collect();
    let last = (page + 1) * size >= fitting.len();
    json!({ "content": content, "number": page, "size": size, "last": last })
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
    if let Some(enabled) = record["enabled"].as_bool() {
        let state = if enabled { "ACTIVE" } else { "BLOCKED" };
        body.insert("state".to_owned(), json!(state));
    }
    Value::Object(body)
}

pub fn refusal(no: &No) -> (u16, Value) {
    let named = |field: &str| match field {
        "mark" => "externalId".to_owned(),
        other => other.to_owned(),
    };
    match no {
        No::NotFound => (404, json!({ "error": "NOT_FOUND" })),
        No::Taken(field) => (
            400,
            json!({ "error": "DUPLICATE", "property": named(field) }),
        ),
        No::Invalid(field) => (400, json!({ "error": "INVALID", "property": named(field) })),
        No::InUse => (400, json!({ "error": "IN_USE" })),
        No::WrongPassword | No::NotLetIn => (401, json!({ "error": "UNAUTHORIZED" })),
        No::TooMany => (429, json!({ "error": "TOO_MANY_REQUESTS" })),
    }
}
