//! What is known of a user, of their customer and of its first location, and changes of it.

use serde_json::json;

use super::change::{Change, Place};
use super::resource::{CUSTOMER, ENTERPRISE, FIELDS, Kind, Resource, part, write_fields};
use super::trouble::Trouble;
use super::user_record::{self, fields_of, whole_name};
use super::{Scim, locations};
use crate::platform::{CustomerProfile, Profile, ProfileChange, RoleChange};

impl Scim {
    pub(super) async fn read_profile(&self, user: &str) -> Result<Option<Profile>, Trouble> {
        let Some(user) = self.client.find(Kind::User, user).await? else {
            return Ok(None);
        };
        let mut profile = Profile {
            user_name: whole_name(&user),
            language: user_record::language(&user),
            user: fields_of(&user),
            customer: None,
            location: None,
        };
        if !self.has_groups() {
            let name = user.extended_text(ENTERPRISE, "organization");
            profile.customer = (!name.is_empty()).then(|| CustomerProfile {
                name: name.to_owned(),
                ..CustomerProfile::default()
            });
        } else if let Some(group) = self.group_of(&user).await? {
            profile.location = locations::first(&group);
            profile.customer = Some(CustomerProfile {
                name: group.text("displayName").to_owned(),
                fields: group.fields(Kind::Group),
            });
        }
        Ok(Some(profile))
    }

    pub(super) async fn write_profile(
        &self,
        id: &str,
        change: &ProfileChange,
    ) -> Result<bool, Trouble> {
        let offer = self.offer().await?;
        let plan = |user: &Resource| user_record::changes(user, change, offer);
        if !self.change((Kind::User, id), plan).await? {
            return Ok(false);
        }
        let is_about_customer = change.customer_name.is_some()
            || !change.customer.is_empty()
            || !change.location.is_empty();
        if !is_about_customer || !self.has_groups() {
            return Ok(true);
        }
        let Some(user) = self.client.find(Kind::User, id).await? else {
            return Ok(false);
        };
        if let Some(group) = self.group_of(&user).await? {
            let plan = |group: &Resource| of_customer(group, change, offer.customers);
            self.change((Kind::Group, group.id()?), plan).await?;
        }
        Ok(true)
    }

    pub(super) async fn write_roles(&self, id: &str, change: &RoleChange) -> Result<bool, Trouble> {
        let roles = Place::core("roles");
        let plan = |user: &Resource| {
            let has = |role: &str| {
                let mut all = user.values("roles").iter();
                all.any(|value| part(value, "value") == role)
            };
            let taken = change.take.iter().filter(|role| has(role));
            let given = change.give.iter().filter(|role| !has(role));
            let taken = taken.map(|role| Change::Remove(roles, role.clone()));
            let given = given.map(|role| Change::Add(roles, json!({ "value": role })));
            taken.chain(given).collect()
        };
        self.change((Kind::User, id), plan).await
    }
}

fn of_customer(group: &Resource, change: &ProfileChange, has_extension: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(name) = &change.customer_name {
        changes.push(Change::Replace(Place::core("displayName"), json!(name)));
    }
    if !has_extension {
        return changes;
    }
    if !change.customer.is_empty() {
        let mut fields = group.fields(Kind::Group);
        fields.extend(change.customer.clone());
        let place = Place::of(CUSTOMER, FIELDS);
        changes.push(Change::Replace(place, write_fields(&fields)));
    }
    if !change.location.is_empty() {
        changes.extend(locations::changes(group, &change.location));
    }
    changes
}
