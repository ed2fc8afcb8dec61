//! Customers by organisation code.
//!
//! ThingsBoard has no column for a code. It is kept twice: as a server attribute of the customer,
//! which staff can write in the web interface and the entity query finds, and to the letter in the
//! customer's `additionalInfo`, because ThingsBoard turns attributes that look like numbers into
//! numbers (`007` becomes 7). The query names the attribute and the value, so that one bounded
//! question is asked however many customers there are; what it finds is compared again. Neither
//! place can be written by a customer's users. In the Professional Edition they can make customers
//! below their own, and give them any code; so those are never found by one.
//!
//! Nothing makes a code unique there. Whoever makes a customer therefore looks again afterwards,
//! and gives way to an older one with the same code: of two colleagues at once one founds it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ThingsBoard;
use super::client::Call;
use super::customers::as_customer;
use super::entity::{CODE, Entity, Page};
use super::trouble::{Oddity, Trouble};
use crate::platform::PlatformCustomer;

/// More customers than this with one code cannot be told apart.
const MOST: u32 = 10;

/// Digits of the largest number that ThingsBoard makes of a text (2^63).
const LONGEST_NUMBER: usize = 18;

/// What an entity query finds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    entity_id: FoundId,
    latest: HashMap<String, HashMap<String, Latest>>,
}

#[derive(Deserialize)]
struct FoundId {
    id: String,
}

#[derive(Deserialize)]
struct Latest {
    value: String,
}

impl Found {
    fn attribute(&self, name: &str) -> &str {
        let latest = self.latest.get("SERVER_ATTRIBUTE");
        let latest = latest.and_then(|attributes| attributes.get(name));
        latest.map_or("", |latest| &latest.value)
    }
}

impl ThingsBoard {
    /// The customer with exactly this code.
    pub(super) async fn customer_coded(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, Trouble> {
        let found = self.customers_coded(code).await?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(as_customer(one)),
            _ => {
                tracing::error!("several customers in ThingsBoard have one organisation code");
                Err(Oddity::AmbiguousCode.into())
            }
        }
    }

    /// Whether a customer other than this one has its code, and has had it for longer.
    pub(super) async fn gives_way(&self, own: &Entity, code: &str) -> Result<bool, Trouble> {
        let age = |one: &Entity| (one.created(), one.id().map(str::to_owned));
        let found = self.customers_coded(code).await?;
        let mut others = found.iter().filter(|other| other.id() != own.id());
        Ok(others.any(|other| age(other) < age(own)))
    }

    /// Every customer with exactly this code.
    pub(super) async fn customers_coded(&self, code: &str) -> Result<Vec<Entity>, Trouble> {
        // ThingsBoard takes an empty text for no filter, and fails over what no database takes.
        if code.is_empty() || code.contains('\0') {
            return Ok(Vec::new());
        }
        let mut found = self.query("STRING", &equal_text(code)).await?;
        if let Some(number) = as_number(code) {
            found.extend(self.query("NUMERIC", &equal_number(number)).await?);
            // A number that is too long for one is kept as a text, without zeros before it.
            let significant = code.trim_start_matches('0');
            if significant.len() > LONGEST_NUMBER && significant != code {
                found.extend(self.query("STRING", &equal_text(significant)).await?);
            }
        }
        let mut customers = Vec::new();
        for one in found {
            let Some(customer) = self.customer_entity(&one.entity_id.id).await? else {
                continue;
            };
            let attribute = one.attribute(&self.settings.code_attribute);
            if !customer.is_below_another() && exact_code(&customer, attribute) == code {
                customers.push(customer);
            }
        }
        Ok(customers)
    }

    /// Writes the code where staff and the query find it.
    pub(super) async fn write_code(&self, customer: &str, code: &str) -> Result<(), Trouble> {
        let attributes = json!({ self.settings.code_attribute.as_str(): code });
        self.write_attributes(customer, &attributes).await
    }

    /// Writes server attributes of a customer; doing it twice is doing it once.
    pub(super) async fn write_attributes(
        &self,
        customer: &str,
        attributes: &Value,
    ) -> Result<(), Trouble> {
        let path = [
            "plugins",
            "telemetry",
            "CUSTOMER",
            customer,
            "attributes",
            "SERVER_SCOPE",
        ];
        let call = Call::post(&path).repeatable().with(attributes);
        self.client.tell(call).await
    }

    async fn query(&self, kind: &str, predicate: &Value) -> Result<Vec<Found>, Trouble> {
        let key = json!({ "type": "SERVER_ATTRIBUTE", "key": self.settings.code_attribute });
        let query = json!({
            "entityFilter": { "type": "entityType", "entityType": "CUSTOMER" },
            "keyFilters": [{
                "key": key, "valueType": kind, "predicate": predicate,
            }],
            "entityFields": [{ "type": "ENTITY_FIELD", "key": "name" }],
            "latestValues": [key],
            "pageLink": {
                "pageSize": MOST, "page": 0, "textSearch": null, "dynamic": false,
                "sortOrder": {
                    "key": { "type": "ENTITY_FIELD", "key": "createdTime" }, "direction": "ASC",
                },
            },
        });
        let call = Call::post(&["entitiesQuery", "find"]).repeatable();
        let page: Page<Found> = self.client.ask(call.with(&query)).await?;
        if page.has_next {
            return Err(Oddity::AmbiguousCode.into());
        }
        Ok(page.data)
    }
}

fn equal_text(code: &str) -> Value {
    json!({
        "type": "STRING", "operation": "EQUAL", "ignoreCase": false,
        "value": { "defaultValue": code, "dynamicValue": null },
    })
}

fn equal_number(number: f64) -> Value {
    json!({
        "type": "NUMERIC", "operation": "EQUAL",
        "value": { "defaultValue": number, "dynamicValue": null },
    })
}

/// The number that ThingsBoard makes of a code, if it does.
fn as_number(code: &str) -> Option<f64> {
    let digits = code.strip_prefix('-').unwrap_or(code);
    let looks_like_one = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    code.parse().ok().filter(|_| looks_like_one)
}

/// A customer's code to the letter: what the gateway kept of it, as long as staff have not written
/// another one.
fn exact_code(customer: &Entity, attribute: &str) -> String {
    let kept = customer.info(CODE).and_then(Value::as_str);
    let is_current = |kept: &&str| {
        *kept == attribute || (as_number(kept).is_some() && as_number(kept) == as_number(attribute))
    };
    kept.filter(is_current).unwrap_or(attribute).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(kept: Option<&str>) -> Entity {
        Entity::of(json!({ "additionalInfo": { CODE: kept } }))
    }

    #[test]
    fn codes_that_became_numbers_are_told_apart() {
        assert_eq!(exact_code(&customer(Some("007")), "7"), "007");
        assert_eq!(exact_code(&customer(Some("7")), "7"), "7");
        assert_eq!(exact_code(&customer(None), "7"), "7");
        assert_eq!(exact_code(&customer(Some("007")), "8"), "8");
        assert_eq!(exact_code(&customer(Some("M-1")), "M-1"), "M-1");
        assert_eq!(exact_code(&customer(Some("M-1")), "M-2"), "M-2");
    }

    #[test]
    fn only_what_thingsboard_reads_as_a_number_is_one() {
        for (code, number) in [
            ("007", Some(7.0)),
            ("-1.5", Some(-1.5)),
            ("1e5", None),
            ("NaN", None),
            ("inf", None),
            ("+7", None),
            ("7.", None),
            ("1.2.3", None),
            ("M-1", None),
        ] {
            assert_eq!(as_number(code), number, "{code}");
        }
    }
}
