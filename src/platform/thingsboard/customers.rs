//! Customers, found again by title and mark.
//!
//! Titles are unique in a tenant (from 3.7 on), and are found exactly and at once; so a customer is
//! found again by its title and the mark. Persons share names, so that a second one gets a few
//! letters of the mark behind it; a company whose name is taken is refused, because it is there.

use serde_json::json;

use super::client::Call;
use super::entity::{ACCOUNT_TYPE, CODE, Entity, FIELDS, MARK, Page, names, reference};
use super::trouble::{Oddity, Trouble};
use super::{ThingsBoard, is_id};
use crate::identity::{AccountType, CustomerId};
use crate::platform::{Made, Mark, NewCustomer, PlatformCustomer, PlatformError, Undone};

/// Declared fields and the columns that ThingsBoard has for them.
pub(super) const COLUMNS: [(&str, &str); 7] = [
    ("phone", "phone"),
    ("country", "country"),
    ("region", "state"),
    ("city", "city"),
    ("address", "address"),
    ("address_2", "address2"),
    ("postal_code", "zip"),
];

/// More account types than these are not kept in mind.
const REMEMBERED: usize = 10_000;

impl ThingsBoard {
    /// The customer with this id.
    pub(super) async fn customer_entity(&self, id: &str) -> Result<Option<Entity>, Trouble> {
        if !is_id(id) {
            return Ok(None);
        }
        self.client.find(Call::get(&["customer", id])).await
    }

    /// The account type of a customer that is there.
    pub(super) async fn account_type_of(&self, id: &str) -> Result<Option<AccountType>, Trouble> {
        if let Some(known) = self.remembered_account_type(id) {
            return Ok(Some(known));
        }
        let Some(customer) = self.customer_entity(id).await? else {
            return Ok(None);
        };
        let account_type = customer.account_type();
        if let Ok(mut types) = self.account_types.lock() {
            if types.len() >= REMEMBERED {
                types.clear();
            }
            types.insert(id.to_owned(), account_type);
        }
        Ok(Some(account_type))
    }

    fn remembered_account_type(&self, id: &str) -> Option<AccountType> {
        self.account_types.lock().ok()?.get(id).copied()
    }

    pub(super) async fn make_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Made<CustomerId>, Trouble> {
        let made = match self.marked_customer(mark, new).await? {
            Some(found) => Made::Found(found),
            None => self.new_customer(mark, new).await?,
        };
        let (Made::Created(entity) | Made::Found(entity)) = &made;
        let id = id_of(entity)?;
        if let Some(code) = &new.code {
            self.write_code(&id, code).await?;
            if self.gives_way(entity, code).await? {
                return Err(PlatformError::CodeTaken.into());
            }
        }
        Ok(made.map(|_| CustomerId::new(id)))
    }

    async fn new_customer(&self, mark: &Mark, new: &NewCustomer) -> Result<Made<Entity>, Trouble> {
        if let Some(code) = &new.code
            && !self.customers_coded(code).await?.is_empty()
        {
            return Err(PlatformError::CodeTaken.into());
        }
        let mut record = record_of(mark, new);
        let mut call = Call::post(&["customer"]);
        if self.is_professional().await? {
            if let Some(group) = &new.options.group {
                call = call.by("entityGroupId", self.tenant_group("CUSTOMER", group).await?);
            }
            if let Some(parent) = &new.options.parent {
                record.set(
                    "parentCustomerId",
                    reference("CUSTOMER", &self.parent(parent).await?),
                );
            }
        }
        for title in titles(mark, new) {
            record.set("title", title.as_str());
            match self.client.ask(call.clone().with(&record)).await {
                Ok(made) => return Ok(Made::Created(made)),
                Err(trouble) if trouble.says("title already exists") => {
                    // Another node may have made it a moment ago.
                    let there = self.customer_titled(&title).await?;
                    if let Some(ours) = there.filter(|there| there.was_made_by(mark)) {
                        return Ok(Made::Found(ours));
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(PlatformError::NameTaken.into())
    }

    /// The customer that this mark made.
    async fn marked_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Option<Entity>, Trouble> {
        for title in titles(mark, new) {
            let there = self.customer_titled(&title).await?;
            if let Some(ours) = there.filter(|there| there.was_made_by(mark)) {
                return Ok(Some(ours));
            }
        }
        Ok(None)
    }

    /// The customer with exactly this title.
    async fn customer_titled(&self, title: &str) -> Result<Option<Entity>, Trouble> {
        let call = Call::get(&["tenant", "customers"]).by("customerTitle", title);
        let found: Option<Entity> = self.client.find(call).await?;
        Ok(found.filter(|found| found.text("title") == title))
    }

    async fn parent(&self, title: &str) -> Result<String, Trouble> {
        match self.customer_titled(title).await? {
            Some(found) => id_of(&found),
            None => Err(not_set_up("customer", title)),
        }
    }

    /// ThingsBoard deletes a customer with all its users, so that it is looked whether there are
    /// any right before. Somebody who comes in between the two calls is lost; there is no way to
    /// ask for one thing only.
    pub(super) async fn undo_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Undone, Trouble> {
        let Some(ours) = self.marked_customer(mark, new).await? else {
            return Ok(Undone::Absent);
        };
        let id = id_of(&ours)?;
        for what in ["assets", "users"] {
            let call = Call::get(&["customer", &id, what])
                .by("pageSize", "1")
                .by("page", "0");
            let inside: Option<Page<Entity>> = self.client.find(call).await?;
            if inside.is_some_and(|page| !page.data.is_empty()) {
                return Ok(Undone::Kept);
            }
        }
        self.delete(&["customer", &id]).await
    }

    /// Deletes what was there a moment ago.
    pub(super) async fn delete(&self, path: &[&str]) -> Result<Undone, Trouble> {
        match self.client.tell(Call::delete(path)).await {
            Ok(()) => Ok(Undone::Removed),
            // Also when a reply was lost and the call repeated: it was ours to remove.
            Err(trouble) if trouble.is_absence() => Ok(Undone::Removed),
            Err(trouble) => Err(trouble),
        }
    }
}

/// A customer in the words of the seam.
pub(super) fn as_customer(entity: &Entity) -> Option<PlatformCustomer> {
    Some(PlatformCustomer {
        id: CustomerId::new(entity.id()?),
        name: entity.text("title").to_owned(),
        account_type: entity.account_type(),
    })
}

/// The id of a record that the platform has.
pub(super) fn id_of(entity: &Entity) -> Result<String, Trouble> {
    let id = entity.id().filter(|id| is_id(id));
    id.map(str::to_owned)
        .ok_or_else(|| Oddity::Missing("id").into())
}

/// What the operator's files name and the platform does not have.
pub(super) fn not_set_up(kind: &str, name: &str) -> Trouble {
    PlatformError::NotSetUp {
        what: format!("{kind} `{name}`"),
    }
    .into()
}

fn titles(mark: &Mark, new: &NewCustomer) -> Vec<String> {
    let [plain, tagged] = names(&new.name, mark);
    match new.account_type {
        AccountType::Personal => vec![plain, tagged],
        AccountType::Business | AccountType::Partner => vec![plain],
    }
}

fn record_of(mark: &Mark, new: &NewCustomer) -> Entity {
    let mut fields = new.fields.clone();
    let mut record = Entity::of(json!({
        "additionalInfo": {
            MARK: mark.as_str(),
            ACCOUNT_TYPE: new.account_type.as_str(),
        },
    }));
    for (field, column) in COLUMNS {
        if let Some(value) = fields.remove(field) {
            record.set(column, value);
        }
    }
    if let Some(code) = &new.code {
        record.set_info(CODE, code.as_str());
    }
    record.set_info(FIELDS, fields);
    record
}
