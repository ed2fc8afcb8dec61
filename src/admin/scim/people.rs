//! What is done with people: listing, taking up, changing, deleting; and what follows from it.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::dialect::{USER, check, patched, whole};
use super::filter;
use super::problem::{MEDIA_TYPE, ScimProblem};
use super::{Caller, Desk, WithCaller, WithDesk};
use crate::audit::{Event, EventKind};
use crate::identity::Subject;
use crate::roster::{PeopleQuery, Person, PersonData, PersonId};

/// How many people are listed where nothing is said, and at most.
const USUAL_PART: usize = 100;
pub(super) const LARGEST_PART: usize = 200;

/// How often a change is tried again because somebody else was faster.
const TRIES: usize = 5;

type Answer = Result<Response, ScimProblem>;

/// What a request wants of the answer (RFC 7644, sections 3.4.2 and 3.9).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wish {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

/// The same as a body says it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Search {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    attributes: Option<Vec<String>>,
    excluded_attributes: Option<Vec<String>>,
}

impl From<Search> for Wish {
    fn from(asked: Search) -> Self {
        let list = |names: Option<Vec<String>>| names.map(|names| names.join(","));
        Self {
            filter: asked.filter,
            start_index: asked.start_index,
            count: asked.count,
            attributes: list(asked.attributes),
            excluded_attributes: list(asked.excluded_attributes),
        }
    }
}

/// How the caller names this endpoint.
struct Address(String);

impl Address {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = match text("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        let host = text("host").unwrap_or("localhost");
        Self(format!("{scheme}://{host}/scim/v2"))
    }
}

pub(super) async fn list(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Answer {
    desk.listed(&caller, &wish, &headers).await
}

/// The same with the question in the body (RFC 7644, section 3.4.3).
pub(super) async fn search(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let asked: Search = serde_json::from_slice(&body)
        .map_err(|_| ScimProblem::Syntax("the body is no search request"))?;
    desk.listed(&caller, &asked.into(), &headers).await
}

/// A part of a listing (RFC 7644, section 3.4.2).
pub(super) fn listing(resources: &[Value], first: usize, total: usize) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": first,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

pub(super) async fn read(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Answer {
    let person = desk.person(&caller, &PersonId::new(id)).await?;
    Ok(shown(StatusCode::OK, (&person, &wish), &headers))
}

pub(super) async fn create(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let data = whole(&json_of(&body)?, None)?;
    check(&data, caller.match_by)?;
    let person = desk.roster.add(&caller.issuer, data).await?;
    desk.carry_through(&caller, &person, true).await?;
    Ok(shown(StatusCode::CREATED, (&person, &wish), &headers))
}

pub(super) async fn replace(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let body = json_of(&body)?;
    let id = PersonId::new(id);
    let change = |before: &PersonData| whole(&body, Some(before));
    let person = desk.change(&caller, (&id, &headers), change).await?;
    Ok(shown(StatusCode::OK, (&person, &Wish::default()), &headers))
}

pub(super) async fn patch(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let body = json_of(&body)?;
    let id = PersonId::new(id);
    let change = |before: &PersonData| patched(&body, before);
    let person = desk.change(&caller, (&id, &headers), change).await?;
    Ok(shown(StatusCode::OK, (&person, &Wish::default()), &headers))
}

pub(super) async fn delete(
    State(desk): WithDesk,
    Extension(caller): WithCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let id = PersonId::new(id);
    let before = desk.person(&caller, &id).await?;
    fits(&before, &headers)?;
    // Blocked before sessions are ended, and gone only then: whoever is told to say it again can.
    let blocked = if before.data.active {
        let mut data = before.data.clone();
        data.active = false;
        desk.roster.change(&caller.issuer, &before, data).await?
    } else {
        before
    };
    desk.end_sessions(&caller, &blocked).await?;
    desk.roster.delete(&caller.issuer, &blocked).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Desk {
    async fn listed(&self, caller: &Caller, wish: &Wish, headers: &HeaderMap) -> Answer {
        let query = match &wish.filter {
            Some(filter) => filter::query(filter)?,
            None => Some(PeopleQuery::default()),
        };
        let first = usize::try_from(wish.start_index.unwrap_or(1).max(1)).unwrap_or(1);
        let count = wish.count.map(|count| usize::try_from(count).unwrap_or(0));
        let count = count.unwrap_or(USUAL_PART).min(LARGEST_PART);
        let (part, total) = match query {
            Some(query) => {
                let part = first - 1..first - 1 + count;
                let found = self.roster.find(&caller.issuer, &query, part).await?;
                (found.part, found.total)
            }
            None => (Vec::new(), 0),
        };
        let address = Address::of(headers);
        let shown = part
            .iter()
            .map(|person| wish.shown(document(person, &address)));
        let shown: Vec<Value> = shown.collect();
        Ok(answer(StatusCode::OK, &listing(&shown, first, total)))
    }

    async fn person(&self, caller: &Caller, id: &PersonId) -> Result<Person, ScimProblem> {
        let found = self.roster.person(&caller.issuer, id).await?;
        found.ok_or(ScimProblem::NotFound)
    }

    /// Changes a person as it is read; again where somebody else was faster and the client does
    /// not mind.
    async fn change(
        &self,
        caller: &Caller,
        (id, headers): (&PersonId, &HeaderMap),
        change: impl Fn(&PersonData) -> Result<PersonData, ScimProblem>,
    ) -> Result<Person, ScimProblem> {
        for _ in 0..TRIES {
            let before = self.person(caller, id).await?;
            fits(&before, headers)?;
            let data = change(&before.data)?;
            check(&data, caller.match_by)?;
            let was_active = before.data.active;
            let changed = if data == before.data {
                Ok(before)
            } else {
                let changed = self.roster.change(&caller.issuer, &before, data).await;
                changed.map_err(ScimProblem::from)
            };
            match changed {
                Err(ScimProblem::Outdated) => {}
                Err(problem) => return Err(problem),
                Ok(person) => {
                    self.carry_through(caller, &person, was_active).await?;
                    return Ok(person);
                }
            }
        }
        Err(ScimProblem::Outdated)
    }

    /// Does what follows from how a person stands. Sessions of the inactive are ended also if they
    /// were inactive before: what could not be ended then is ended when it is said again.
    async fn carry_through(
        &self,
        caller: &Caller,
        person: &Person,
        was_active: bool,
    ) -> Result<(), ScimProblem> {
        if !person.data.active {
            return self.end_sessions(caller, person).await;
        }
        if !was_active {
            self.record(caller, EventKind::Reactivated, (person, None))
                .await;
        }
        Ok(())
    }

    async fn end_sessions(&self, caller: &Caller, person: &Person) -> Result<(), ScimProblem> {
        let subjects = self.roster.subjects_of(&caller.issuer, person).await?;
        for subject in &subjects {
            for sessions in &self.sessions {
                sessions.end_of(&caller.issuer, subject, None).await?;
            }
        }
        let one = subjects.into_iter().next();
        self.record(caller, EventKind::Deactivated, (person, one))
            .await;
        Ok(())
    }

    async fn record(
        &self,
        caller: &Caller,
        kind: EventKind,
        (person, subject): (&Person, Option<Subject>),
    ) {
        let mut event = Event::new(self.clock.now(), kind);
        event.who = subject.map(|subject| (caller.issuer.clone(), subject));
        event.detail = json!({ "by": "scim", "person": person.id });
        self.audit.keep(event).await;
    }
}

fn json_of(body: &[u8]) -> Result<Value, ScimProblem> {
    serde_json::from_slice(body).map_err(|_| ScimProblem::Syntax("the body is no JSON"))
}

/// Whether a person is as the client has read it, where the client minds (RFC 7644, section 3.14).
fn fits(person: &Person, headers: &HeaderMap) -> Result<(), ScimProblem> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(());
    };
    let wanted = wanted.to_str().unwrap_or_default();
    let version = version(person);
    let strong = version.trim_start_matches("W/");
    let mut tags = wanted.split(',').map(str::trim);
    let is_it = tags.any(|tag| tag == "*" || tag == version || tag == strong);
    is_it.then_some(()).ok_or(ScimProblem::Outdated)
}

fn version(person: &Person) -> String {
    format!("W/\"{}\"", person.version)
}

/// A person as a resource (RFC 7643, section 4.1).
fn document(person: &Person, Address(address): &Address) -> Map<String, Value> {
    let data = &person.data;
    let mut document = Map::from_iter([
        ("schemas".to_owned(), json!([USER])),
        ("id".to_owned(), json!(person.id)),
        ("userName".to_owned(), json!(data.user_name)),
        ("active".to_owned(), json!(data.active)),
        (
            "meta".to_owned(),
            json!({
                "resourceType": "User",
                "created": person.created_at.rfc3339(),
                "lastModified": person.updated_at.rfc3339(),
                "location": format!("{address}/Users/{}", person.id),
                "version": version(person),
            }),
        ),
    ]);
    if let Some(external_id) = &data.external_id {
        document.insert("externalId".to_owned(), json!(external_id));
    }
    document
}

impl Wish {
    /// The document with what is asked for; `schemas` and `id` always.
    fn shown(&self, mut document: Map<String, Value>) -> Value {
        let names = |list: &Option<String>| -> Option<Vec<String>> {
            let list = list.as_ref()?;
            Some(list.split(',').map(short_name).collect())
        };
        let (wanted, unwanted) = (names(&self.attributes), names(&self.excluded_attributes));
        document.retain(|key, _| {
            let key = key.to_ascii_lowercase();
            let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted.contains(&key));
            let is_unwanted = unwanted.as_ref().is_some_and(|list| list.contains(&key));
            matches!(key.as_str(), "schemas" | "id") || (is_wanted && !is_unwanted)
        });
        Value::Object(document)
    }
}

/// The attribute that a name is of: without its schema, and without what is below it.
fn short_name(name: &str) -> String {
    let name = name.trim();
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    name.to_ascii_lowercase()
}

fn shown(status: StatusCode, (person, wish): (&Person, &Wish), headers: &HeaderMap) -> Response {
    let address = Address::of(headers);
    let mut response = answer(status, &wish.shown(document(person, &address)));
    let location = format!("{}/Users/{}", address.0, person.id);
    for (name, value) in [
        (header::ETAG, version(person)),
        (header::LOCATION, location),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An answer in the media type of SCIM.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], Json(body)).into_response()
}
