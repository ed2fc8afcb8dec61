//! What is known of a user, of their customer and of its first location, and changes of it.

use serde_json::{Map, Value, json};

use super::RestPlatform;
use super::description::Name;
use super::document::Meaning;
use super::making::split_name;
use super::records::{fields, needed, optional_text, text};
use super::trouble::Trouble;
use crate::expression::Expression;
use crate::platform::{CustomerProfile, Profile, ProfileChange};

/// A change of one record.
struct Change<'a> {
    operation: Name,
    name: Option<&'a str>,
    language: Option<&'a str>,
    fields: &'a Map<String, Value>,
}

/// A record to be changed, and where things stand in it.
struct Target<'a> {
    record: Value,
    id: &'a Expression,
    name: Option<&'a Expression>,
    language: Option<&'a Expression>,
    fields: Option<&'a Expression>,
}

impl RestPlatform {
    pub(super) async fn read_profile(&self, user: &str) -> Result<Option<Profile>, Trouble> {
        let Some(user) = self.user_record(user).await? else {
            return Ok(None);
        };
        let read = &self.description.user;
        let customer = self.customer_of(&user).await?;
        let location = self.first_location_of(&user).await?;
        let location_fields = self.description.location.as_ref();
        let location_fields = location_fields.and_then(|read| read.fields.as_ref());
        Ok(Some(Profile {
            user_name: optional_text(read.name.as_ref(), &user).unwrap_or_default(),
            language: optional_text(read.language.as_ref(), &user),
            user: fields(read.fields.as_ref(), &user),
            customer: match &customer {
                Some(customer) => Some(self.customer_profile(customer)?),
                None => None,
            },
            location: location.map(|location| fields(location_fields, &location)),
        }))
    }

    fn customer_profile(&self, customer: &Value) -> Result<CustomerProfile, Trouble> {
        let read = &self.description.customer;
        Ok(CustomerProfile {
            name: needed(&read.name, customer, "customer.name")?,
            fields: fields(read.fields.as_ref(), customer),
        })
    }

    async fn customer_of(&self, user: &Value) -> Result<Option<Value>, Trouble> {
        match text(&self.description.user.customer, user) {
            Some(id) => self.customer_record(&id).await,
            None => Ok(None),
        }
    }

    async fn first_location_of(&self, user: &Value) -> Result<Option<Value>, Trouble> {
        let Some(id) = text(&self.description.user.customer, user) else {
            return Ok(None);
        };
        if !self.description.has(Name::LocationsOfCustomer) {
            return Ok(None);
        }
        let inputs = vec![("id", Value::from(id))];
        let found = self.records(Name::LocationsOfCustomer, inputs).await?;
        Ok(found.into_iter().next())
    }

    /// Nothing is changed where a part of the change has nowhere to go.
    pub(super) async fn write_profile(
        &self,
        user: &str,
        change: &ProfileChange,
    ) -> Result<bool, Trouble> {
        let Some(user) = self.user_record(user).await? else {
            return Ok(false);
        };
        let changes = changes(change);
        let can = |change: &Change<'_>| self.description.has(change.operation);
        if !changes.iter().all(can) {
            return Ok(false);
        }
        let mut planned = Vec::new();
        for change in changes {
            match self.target(&change, &user).await? {
                Some(target) => planned.push((change, target)),
                None => return Ok(false),
            }
        }
        for (change, target) in planned {
            if !self.write(&change, target).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn target(
        &self,
        change: &Change<'_>,
        user: &Value,
    ) -> Result<Option<Target<'_>>, Trouble> {
        let read = &self.description;
        Ok(match change.operation {
            Name::UpdateCustomer => self.customer_of(user).await?.map(|record| Target {
                record,
                id: &read.customer.id,
                name: Some(&read.customer.name),
                language: None,
                fields: read.customer.fields.as_ref(),
            }),
            Name::UpdateLocation => {
                let record = self.first_location_of(user).await?;
                let found = record.zip(read.location.as_ref());
                found.map(|(record, read)| Target {
                    record,
                    id: &read.id,
                    name: read.name.as_ref(),
                    language: None,
                    fields: read.fields.as_ref(),
                })
            }
            _ => Some(Target {
                record: user.clone(),
                id: &read.user.id,
                name: read.user.name.as_ref(),
                language: read.user.language.as_ref(),
                fields: read.user.fields.as_ref(),
            }),
        })
    }

    async fn write(&self, change: &Change<'_>, target: Target<'_>) -> Result<bool, Trouble> {
        let Target {
            record,
            id,
            name,
            language,
            fields: read,
        } = target;
        let name = new_or_known(change.name, name, &record);
        let language = new_or_known(change.language, language, &record);
        let (first, last) = split_name(name.as_deref().unwrap_or_default());
        let (first, last) = (Value::from(first), Value::from(last));
        let mut merged = fields(read, &record);
        merged.extend(change.fields.clone());
        let inputs = vec![
            ("id", Value::from(needed(id, &record, "….id")?)),
            ("record", record),
            ("first_name", first),
            ("last_name", last),
            ("name", Value::from(name)),
            ("language", Value::from(language)),
            ("fields", Value::Object(merged)),
            (
                "changed",
                json!({
                    "name": change.name,
                    "language": change.language,
                    "fields": change.fields,
                }),
            ),
        ];
        let operation = self.operation(change.operation)?;
        match self.client.ask(operation, &inputs).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.says(Meaning::NotFound) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }
}

/// What there is to change.
fn changes(change: &ProfileChange) -> Vec<Change<'_>> {
    let user = Change {
        operation: Name::UpdateUser,
        name: change.user_name.as_deref(),
        language: change.language.as_deref(),
        fields: &change.user,
    };
    let customer = Change {
        operation: Name::UpdateCustomer,
        name: change.customer_name.as_deref(),
        language: None,
        fields: &change.customer,
    };
    let location = Change {
        operation: Name::UpdateLocation,
        name: None,
        language: None,
        fields: &change.location,
    };
    [user, customer, location]
        .into_iter()
        .filter(|change| {
            change.name.is_some() || change.language.is_some() || !change.fields.is_empty()
        })
        .collect()
}

fn new_or_known(new: Option<&str>, known: Option<&Expression>, record: &Value) -> Option<String> {
    new.map(str::to_owned)
        .or_else(|| optional_text(known, record))
}
