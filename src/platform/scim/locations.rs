//! Locations: SCIM has none, so that they are values of our extension of the customer's group. Where
//! a server has not taken up the extension, the platform has no locations.

use serde_json::{Value, json};

use super::Scim;
use super::change::{Change, Place};
use super::resource::{CUSTOMER, FIELDS, Kind, Resource, part, read_fields, write_fields};
use super::trouble::Trouble;
use crate::identity::LocationId;
use crate::platform::{Made, Mark, NewLocation, PlatformError, Undone};

/// Each with the mark as its value, which is its id.
const LOCATIONS: Place = Place::of(CUSTOMER, "locations");

impl Scim {
    pub(super) async fn make_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Made<LocationId>, Trouble> {
        if !self.has_groups() || !self.offer().await?.customers {
            let what = "locations: its groups lack the gateway's extension".to_owned();
            return Err(PlatformError::NotSetUp { what }.into());
        }
        let id = LocationId::new(mark.as_str());
        let customer = new.customer.as_str();
        let group = self.customer_group(customer).await?;
        if group.is_some_and(|group| find(&group, mark).is_some()) {
            return Ok(Made::Found(id));
        }
        let location = json!({
            "value": mark.as_str(),
            "display": new.name,
            FIELDS: write_fields(&new.fields),
        });
        let plan = |group: &Resource| match find(group, mark) {
            Some(_) => Vec::new(),
            None => vec![Change::Add(LOCATIONS, location.clone())],
        };
        if self.change((Kind::Group, customer), plan).await? {
            return Ok(Made::Created(id));
        }
        let field = "customer".to_owned();
        Err(PlatformError::Refused { field }.into())
    }

    pub(super) async fn undo_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Undone, Trouble> {
        let customer = new.customer.as_str();
        let group = self.client.find(Kind::Group, customer).await?;
        if group.is_none_or(|group| find(&group, mark).is_none()) {
            return Ok(Undone::Absent);
        }
        let plan = |group: &Resource| match find(group, mark) {
            Some(_) => vec![Change::Remove(LOCATIONS, mark.as_str().to_owned())],
            None => Vec::new(),
        };
        self.change((Kind::Group, customer), plan).await?;
        Ok(Undone::Removed)
    }
}

fn find<'a>(group: &'a Resource, mark: &Mark) -> Option<&'a Value> {
    let mut locations = group.extended_values(CUSTOMER, "locations").iter();
    locations.find(|location| part(location, "value") == mark.as_str())
}

/// The fields of a customer's first location.
pub(super) fn first(group: &Resource) -> Option<serde_json::Map<String, Value>> {
    let first = group.extended_values(CUSTOMER, "locations").first()?;
    Some(read_fields(part(first, FIELDS)))
}

/// What makes these fields of the first location's; nothing where there is none.
pub(super) fn changes(group: &Resource, changed: &serde_json::Map<String, Value>) -> Vec<Change> {
    let mut all = group.extended_values(CUSTOMER, "locations").to_vec();
    let Some(Value::Object(location)) = all.first_mut() else {
        return Vec::new();
    };
    let text = location.get(FIELDS).and_then(Value::as_str);
    let mut fields = read_fields(text.unwrap_or_default());
    fields.extend(changed.clone());
    location.insert(FIELDS.to_owned(), write_fields(&fields));
    vec![Change::Replace(LOCATIONS, Value::Array(all))]
}
