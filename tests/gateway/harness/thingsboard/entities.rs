//! Customers, assets, dashboards, attributes, and queries over them.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};

use super::door::{Answer, Question};
use super::people::{id_in, object};
use super::refusal::Refusal;
use super::state::{NO_CUSTOMER, State, is_like, new_id, now, page, reference};

/// A record that was read is changed only if nobody else changed it since (from 3.8 on).
pub fn take_version(kind: &str, old: &Value, record: &mut Value) -> Result<(), Refusal> {
    let own = old["version"].as_i64().unwrap_or(1);
    if record["version"].as_i64().is_some_and(|read| read != own) {
        return Err(Refusal::conflict(kind));
    }
    record["version"] = json!(own + 1);
    Ok(())
}

/// Markup is refused in names.
fn check_text(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() > 255 {
        let message = format!("Validation error: {field} length must be equal or less than 255");
        return Err(Refusal::bad(&message));
    }
    let opens_tag = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if text.split('<').skip(1).any(opens_tag) {
        return Err(Refusal::bad(&format!(
            "Validation error: {field} is malformed"
        )));
    }
    Ok(())
}

fn check_present(field: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::bad(&format!("{field} should be specified!")));
    }
    Ok(())
}

/// A listing, narrowed down by `textSearch`.
fn search(
    all: &BTreeMap<String, Value>,
    field: &str,
    question: &Question,
) -> Result<Answer, Refusal> {
    let text = question.query.get("textSearch").map_or("", String::as_str);
    let found = all
        .values()
        .filter(|one| is_like(one[field].as_str().unwrap_or_default(), text));
    page(found.cloned().collect(), &question.query).map(Answer::Json)
}

impl State {
    pub fn entity_question(
        &mut self,
        path: &[&str],
        question: &Question,
    ) -> Option<Result<Answer, Refusal>> {
        let (get, post, delete) = (&Method::GET, &Method::POST, &Method::DELETE);
        let community = !self.is_professional();
        Some(match (&question.method, path) {
            (m, ["customer"]) if m == post => self.save_customer(question),
            (m, ["customer", id]) if m == get => id_in(id)
                .and_then(|id| self.found_customer(id))
                .map(|found| Answer::Json(found.clone())),
            (m, ["customer", id]) if m == delete => self.delete_customer(id),
            (m, ["tenant", "customers"]) if m == get => self.customer_titled(question),
            (m, ["customers"]) if m == get && community => {
                search(&self.customers, "title", question)
            }
            (m, ["tenant", "assets"]) if m == get => search(&self.assets, "name", question),
            (m, ["customer", id, "assets"]) if m == get => self.assets_of(id, question),
            (m, ["asset"]) if m == post => self.save_asset(question),
            (m, ["asset", id]) if m == get => self
                .assets
                .get(*id)
                .cloned()
                .map(Answer::Json)
                .ok_or_else(Refusal::nothing),
            (m, ["asset", id]) if m == delete => {
                let gone = self.assets.remove(*id);
                gone.map(|_| Answer::Nothing).ok_or_else(Refusal::nothing)
            }
            (m, ["tenant", "dashboards"]) if m == get => {
                search(&self.dashboards, "title", question)
            }
            (m, ["dashboard"]) if m == post => {
                let title = question.body["title"].as_str().unwrap_or_default();
                let id = self.add_dashboard(title);
                Ok(Answer::Json(self.dashboards[&id].clone()))
            }
            (m, ["customer", id, "dashboard", dashboard]) if community && m == post => {
                self.assign(id, dashboard)
            }
            (m, ["plugins", "telemetry", _, id, "attributes", "SERVER_SCOPE"]) if m == post => {
                let (id, values) = ((*id).to_owned(), question.body.clone());
                self.write_attributes(&id, &values);
                Ok(Answer::Nothing)
            }
            (
                m,
                [
                    "plugins",
                    "telemetry",
                    _,
                    id,
                    "values",
                    "attributes",
                    "SERVER_SCOPE",
                ],
            ) if m == get => self.attribute_values(id, question).map(Answer::Json),
            (m, ["entitiesQuery", "find"]) if m == post => self.find_entities(&question.body),
            _ => return None,
        })
    }

    /// As `POST /api/customer` with a new record.
    pub fn add_customer(&mut self, mut record: Value) -> Result<Value, Refusal> {
        self.check_title(&record, None)?;
        self.make_room("CUSTOMER", self.customers.len())?;
        let id = new_id();
        record["id"] = reference("CUSTOMER", &id);
        record["tenantId"] = reference("TENANT", &self.tenant);
        record["createdTime"] = json!(now());
        record["version"] = json!(1);
        record["name"] = record["title"].clone();
        self.customers.insert(id.clone(), record.clone());
        self.make_groups_of(&id);
        Ok(record)
    }

    fn check_title(&self, record: &Value, id: Option<&str>) -> Result<(), Refusal> {
        let title = record["title"].as_str().unwrap_or_default();
        check_text("title", title)?;
        check_present("Customer title", title)?;
        if title == "Public" {
            return Err(Refusal::bad(
                "'Public' title for customer is system reserved!",
            ));
        }
        let mut others = self.customers.iter();
        if others.any(|(other, one)| one["title"] == title && Some(&**other) != id) {
            return Err(Refusal::bad("Customer with such title already exists!"));
        }
        Ok(())
    }

    fn save_customer(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let mut record = question.body.clone();
        let Some(id) = record["id"]["id"].as_str().map(str::to_owned) else {
            let made = self.add_customer(record)?;
            if let Some(group) = question.query.get("entityGroupId") {
                self.enter_group(group, made["id"]["id"].as_str().unwrap())?;
            }
            return Ok(Answer::Json(made));
        };
        let old = self
            .customers
            .get(&id)
            .ok_or_else(Refusal::nothing)?
            .clone();
        self.check_title(&record, Some(&id))?;
        take_version("Customer", &old, &mut record)?;
        self.customers.insert(id, record.clone());
        Ok(Answer::Json(record))
    }

    /// With the customer go all its users; what was assigned stays.
    fn delete_customer(&mut self, id: &str) -> Result<Answer, Refusal> {
        self.customers
            .remove(id_in(id)?)
            .ok_or_else(Refusal::nothing)?;
        self.users
            .retain(|_, user| user.record["customerId"]["id"] != id);
        for asset in self
            .assets
            .values_mut()
            .filter(|asset| asset["customerId"]["id"] == id)
        {
            asset["customerId"] = reference("CUSTOMER", NO_CUSTOMER);
        }
        self.attributes.remove(id);
        self.groups
            .retain(|_, group| group.record["ownerId"]["id"] != id);
        Ok(Answer::Nothing)
    }

    fn customer_titled(&self, question: &Question) -> Result<Answer, Refusal> {
        let title = question
            .query
            .get("customerTitle")
            .map_or("", String::as_str);
        let found = self.customers.values().find(|one| one["title"] == title);
        let message = format!("Customer with title [{title}] is not found");
        let found = found.ok_or_else(|| Refusal::not_found(&message))?;
        Ok(Answer::Json(found.clone()))
    }

    fn assets_of(&self, customer: &str, question: &Question) -> Result<Answer, Refusal> {
        self.found_customer(id_in(customer)?)?;
        let all = self.assets.values();
        let found = all.filter(|one| one["customerId"]["id"] == customer);
        page(found.cloned().collect(), &question.query).map(Answer::Json)
    }

    fn save_asset(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let mut record = question.body.clone();
        let name = record["name"].as_str().unwrap_or_default().to_owned();
        check_text("name", &name)?;
        check_present("Asset name", &name)?;
        let id = record["id"]["id"].as_str().map(str::to_owned);
        let mut others = self.assets.iter();
        if others.any(|(other, one)| one["name"] == *name && Some(other) != id.as_ref()) {
            return Err(Refusal::bad("Asset with such name already exists!"));
        }
        if let Some(id) = id {
            let old = self.assets.get(&id).ok_or_else(Refusal::nothing)?.clone();
            take_version("Asset", &old, &mut record)?;
            self.assets.insert(id, record.clone());
            return Ok(Answer::Json(record));
        }
        let customer = record["customerId"]["id"].as_str().unwrap_or(NO_CUSTOMER);
        if customer != NO_CUSTOMER && !self.customers.contains_key(customer) {
            return Err(Refusal::bad("Can't assign asset to non-existent customer!"));
        }
        self.make_room("ASSET", self.assets.len())?;
        let id = new_id();
        record["id"] = reference("ASSET", &id);
        record["createdTime"] = json!(now());
        record["version"] = json!(1);
        self.assets.insert(id, record.clone());
        Ok(Answer::Json(record))
    }

    pub fn add_dashboard(&mut self, title: &str) -> String {
        let id = new_id();
        let record = json!({
            "id": reference("DASHBOARD", &id), "title": title, "createdTime": now(),
            "assignedCustomers": [],
        });
        self.dashboards.insert(id.clone(), record);
        id
    }

    /// Doing it twice is doing it once.
    fn assign(&mut self, customer: &str, dashboard: &str) -> Result<Answer, Refusal> {
        self.customers
            .get(id_in(customer)?)
            .ok_or_else(Refusal::nothing)?;
        let record = self.dashboards.get_mut(id_in(dashboard)?);
        let record = record.ok_or_else(Refusal::nothing)?;
        let assigned = record["assignedCustomers"].as_array_mut().expect("a list");
        let entry = json!({ "customerId": reference("CUSTOMER", customer) });
        if !assigned.contains(&entry) {
            assigned.push(entry);
        }
        Ok(Answer::Json(record.clone()))
    }

    /// A dashboard that a customer's user asks for.
    pub fn own_dashboard(&self, question: &Question, id: &str) -> Result<Answer, Refusal> {
        let found = self.dashboards.get(id_in(id)?);
        let found = found.ok_or_else(|| Refusal::none("Dashboard", id))?;
        let user = question.who.as_deref().unwrap_or_default();
        if self.shows(user, id) {
            Ok(Answer::Json(found.clone()))
        } else {
            Err(Refusal::forbidden())
        }
    }

    /// Whether a user of a customer may open a dashboard.
    pub fn shows(&self, user: &str, dashboard: &str) -> bool {
        let customer = &self.users[user].record["customerId"];
        if self.is_professional() {
            return self.shares(user, dashboard);
        }
        let assigned = self.dashboards[dashboard]["assignedCustomers"].as_array();
        assigned
            .into_iter()
            .flatten()
            .any(|entry| entry["customerId"] == *customer)
    }

    fn found_customer(&self, id: &str) -> Result<&Value, Refusal> {
        let found = self.customers.get(id);
        found.ok_or_else(|| Refusal::none("Customer", id))
    }

    fn attribute_values(&self, id: &str, question: &Question) -> Result<Value, Refusal> {
        if !self.customers.contains_key(id_in(id)?) {
            let message = "Customer with requested id wasn't found!";
            return Err(Refusal::of_attributes(404, message));
        }
        let keys = question.query.get("keys");
        let is_wanted = |key: &str| keys.is_none_or(|keys| keys.split(',').any(|one| one == key));
        let kept = self.attributes.get(id).into_iter().flatten();
        let kept = kept.filter(|(key, _)| is_wanted(key));
        let shown =
            kept.map(|(key, value)| json!({ "key": key, "value": value, "lastUpdateTs": now() }));
        Ok(shown.collect())
    }

    /// Only what is asked here: customers by one server attribute.
    fn find_entities(&self, query: &Value) -> Result<Answer, Refusal> {
        let filter = &query["entityFilter"];
        if filter["type"] != "entityType" || filter["entityType"] != "CUSTOMER" {
            return Err(Refusal::bad("Not supported by the tests' ThingsBoard"));
        }
        if query["keyFilters"].to_string().contains("\\u0000") {
            return Err(Refusal::database());
        }
        let latest = query["latestValues"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = self.customers.iter().filter(|(id, _)| {
            let filters = query["keyFilters"].as_array().into_iter().flatten();
            filters.into_iter().all(|filter| self.fits(id, filter))
        });
        let found = found.map(|(id, record)| {
            let mut values = json!({});
            for key in &latest {
                let key = key["key"].as_str().unwrap_or_default();
                let value = self.attributes.get(id).and_then(|kept| kept.get(key));
                let text = value.map_or(String::new(), |value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                object(&mut values).insert(key.to_owned(), json!({ "ts": now(), "value": text }));
            }
            json!({
                "entityId": record["id"],
                "latest": { "SERVER_ATTRIBUTE": values },
                "timeseries": {}, "aggLatest": {},
            })
        });
        let link = &query["pageLink"];
        let number = |name: &str| link[name].as_u64().map(|number| number.to_string());
        let numbers =
            ["pageSize", "page"].map(|name| (name.to_owned(), number(name).unwrap_or_default()));
        page(found.collect(), &numbers.into()).map(Answer::Json)
    }

    fn fits(&self, id: &str, filter: &Value) -> bool {
        let key = filter["key"]["key"].as_str().unwrap_or_default();
        let kept = self.attributes.get(id).and_then(|kept| kept.get(key));
        let predicate = &filter["predicate"];
        let wanted = &predicate["value"]["defaultValue"];
        match (predicate["type"].as_str(), predicate["operation"].as_str()) {
            // An empty text is no filter at all.
            (Some("STRING"), Some("EQUAL")) if wanted == "" => true,
            (Some("STRING"), Some("EQUAL")) => kept.is_some_and(|kept| kept == wanted),
            (Some("NUMERIC"), Some("EQUAL")) => kept
                .and_then(Value::as_f64)
                .is_some_and(|kept| Some(kept) == wanted.as_f64()),
            _ => false,
        }
    }
}
