//! Who decides who belongs to a customer.
//!
//! The Community Edition knows no such people. The gateway keeps them as server attributes of the
//! customer, one for each, which the customer's users can read and not write. In the Professional
//! Edition the members of the group "Customer Administrators" are such people too.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::Call;
use super::customers::id_of;
use super::entity::Entity;
use super::trouble::Trouble;
use super::users::{is_customers, whole_name};
use super::{ThingsBoard, groups};
use crate::identity::{EmailAddress, UserId};
use crate::platform::Administrator;

/// Before the user's id in the name of the attribute.
const ATTRIBUTE: &str = "gatewayAdministrator_";

/// More are not asked.
const MOST: usize = 100;

/// An attribute as the API lists it.
#[derive(Deserialize)]
struct Attribute {
    key: String,
    value: Value,
}

impl ThingsBoard {
    /// Remembers that a user decides.
    pub(super) async fn appoint(&self, customer: &str, user: &str) -> Result<(), Trouble> {
        let attribute = Map::from_iter([(format!("{ATTRIBUTE}{user}"), json!(true))]);
        self.write_attributes(customer, &Value::Object(attribute))
            .await
    }

    /// The enabled users who decide.
    pub(super) async fn administrators_of(
        &self,
        customer: &str,
    ) -> Result<Vec<Administrator>, Trouble> {
        // Attributes of what is not there are refused without a number, as by something before it.
        if self.customer_entity(customer).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut ids = self.appointed(customer).await?;
        if self.is_professional().await? {
            let members = self.members(customer, groups::ADMINISTRATORS).await?;
            ids.extend(members.iter().filter_map(|user| id_of(user).ok()));
        }
        ids.sort();
        ids.dedup();
        let mut found = Vec::new();
        for id in ids.iter().take(MOST) {
            let user = self.user_entity(id).await?;
            let user = user.filter(|user| user.referenced("customerId") == Some(customer));
            if let Some(user) = user.filter(is_customers)
                && self.standing(&user).await?.enabled
            {
                found.extend(as_administrator(&user));
            }
        }
        Ok(found)
    }

    async fn appointed(&self, customer: &str) -> Result<Vec<String>, Trouble> {
        let path = [
            "plugins",
            "telemetry",
            "CUSTOMER",
            customer,
            "values",
            "attributes",
            "SERVER_SCOPE",
        ];
        let all: Vec<Attribute> = self.client.ask(Call::get(&path)).await?;
        let appointed = all.into_iter().filter(|one| one.value == json!(true));
        let user = |one: Attribute| one.key.strip_prefix(ATTRIBUTE).map(str::to_owned);
        Ok(appointed.filter_map(user).collect())
    }
}

fn as_administrator(user: &Entity) -> Option<Administrator> {
    let language = user.info("lang").and_then(Value::as_str);
    let language = language.and_then(|lang| lang.split('_').next());
    Some(Administrator {
        user: UserId::new(user.id()?),
        email: EmailAddress::parse(user.text("email")).ok()?,
        name: whole_name(user),
        language: language.map(str::to_owned),
    })
}
