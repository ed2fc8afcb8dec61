//! Customers as groups, with their users as members.
//!
//! A group is a customer by its `externalId`: `customer:business:…` or `customer:personal:…`, with
//! the mark of the registration that made it behind that, or whatever staff writes there. Names of
//! groups need not be unique, and nothing else is; so of two groups with one mark, which a reply that
//! came too late can leave behind, the older one stays.

use serde_json::{Value, json};

use super::change::{Change, Place};
use super::client::Call;
use super::resource::{CUSTOMER, FIELDS, GROUP, Kind, Resource, part, write_fields};
use super::trouble::{Oddity, Trouble};
use super::user_record::{is_active, language, whole_name};
use super::{Scim, filter};
use crate::identity::{AccountType, CustomerId};
use crate::platform::{
    Administrator, Made, Mark, NewCustomer, PlatformCustomer, PlatformError, Undone,
};

/// Before the account type in the `externalId` of a group that is a customer.
const PREFIX: &str = "customer:";

/// More members are not asked whether they administer, more groups not whether they are customers.
const MOST: usize = 100;

const MEMBERS: Place = Place::core("members");
const ADMINISTRATORS: Place = Place::of(CUSTOMER, "administrators");

impl Scim {
    /// The group with this id, if it is a customer.
    pub(super) async fn customer_group(&self, id: &str) -> Result<Option<Resource>, Trouble> {
        let group = self.client.find(Kind::Group, id).await?;
        Ok(group.filter(|group| type_of(group).is_some()))
    }

    /// The customer that a user is a member of; of several the oldest.
    pub(super) async fn group_of(&self, user: &Resource) -> Result<Option<Resource>, Trouble> {
        let id = user.id()?;
        let mut found = Vec::new();
        for group in user.values("groups").iter().take(MOST) {
            if part(group, "type") != "indirect" {
                found.extend(self.customer_group(part(group, "value")).await?);
            }
        }
        if found.is_empty() {
            let listed = self
                .listed(Kind::Group, &filter::equal("members.value", id))
                .await?;
            for group in listed
                .iter()
                .filter(|group| type_of(group).is_some())
                .take(MOST)
            {
                let group = self.customer_group(group.id()?).await?;
                found.extend(group.filter(|group| has_member(group, id)));
            }
        }
        Ok(found.into_iter().min_by_key(age))
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
        let (Made::Created(group) | Made::Found(group)) = &made;
        if let Some(code) = &new.code
            && self.gives_way(group, code).await?
        {
            return Err(PlatformError::CodeTaken.into());
        }
        let id = group.id()?.to_owned();
        Ok(made.map(|_| CustomerId::new(id)))
    }

    async fn new_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Made<Resource>, Trouble> {
        let ours = external_id(mark, new.account_type);
        if let Some(code) = &new.code {
            let coded = self.customers_coded(code).await?;
            if coded.iter().any(|other| other.text("externalId") != ours) {
                return Err(PlatformError::CodeTaken.into());
            }
        }
        if new.options.group.is_some() || new.options.parent.is_some() {
            tracing::warn!("the sign-up form names a customer group or a parent: SCIM has neither");
        }
        let mut record = self.record(mark, new).await?;
        for name in names(mark, new) {
            record.0.insert("displayName".to_owned(), json!(name));
            let call = Call::post(&[Kind::Group.path()]);
            match self
                .client
                .resource(call.with(&record.0.clone().into()))
                .await
            {
                Ok(made) => return self.settled(mark, new, made).await,
                Err(trouble) if trouble.is_taken() => {
                    // Another node may have made it a moment ago.
                    if let Some(ours) = self.marked_customer(mark, new).await? {
                        return Ok(Made::Found(ours));
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(PlatformError::NameTaken.into())
    }

    async fn record(&self, mark: &Mark, new: &NewCustomer) -> Result<Resource, Trouble> {
        let mut record = Resource::of(json!({
            "schemas": [GROUP],
            "externalId": external_id(mark, new.account_type),
        }));
        if self.offer().await?.customers {
            let added = json!({ "code": new.code, FIELDS: write_fields(&new.fields) });
            record.extend(CUSTOMER, added);
        }
        Ok(record)
    }

    /// What was just made, or what had been made with the same mark before.
    async fn settled(
        &self,
        mark: &Mark,
        new: &NewCustomer,
        made: Resource,
    ) -> Result<Made<Resource>, Trouble> {
        match self.marked_customer(mark, new).await? {
            Some(older) if older.id()? != made.id()? => Ok(Made::Found(older)),
            _ => Ok(Made::Created(made)),
        }
    }

    /// The customer that this mark made. Where there are several, the others go, unless somebody
    /// came in there.
    async fn marked_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Option<Resource>, Trouble> {
        let wanted = external_id(mark, new.account_type);
        let listed = self
            .listed(Kind::Group, &filter::equal("externalId", &wanted))
            .await?;
        let mut ours: Vec<Resource> = listed
            .into_iter()
            .filter(|group| group.text("externalId") == wanted)
            .collect();
        ours.sort_by_key(|group| (group.values("members").is_empty(), age(group)));
        for surplus in ours
            .iter()
            .skip(1)
            .filter(|group| group.values("members").is_empty())
        {
            self.delete(Kind::Group, surplus).await?;
        }
        Ok(ours.into_iter().next())
    }

    /// The customer with exactly this organisation code.
    pub(super) async fn customer_coded(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, Trouble> {
        let found = self.customers_coded(code).await?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => as_customer(one).map(Some),
            _ => Err(Oddity::AmbiguousCode.into()),
        }
    }

    async fn customers_coded(&self, code: &str) -> Result<Vec<Resource>, Trouble> {
        if code.is_empty() || !self.offer().await?.customers {
            return Ok(Vec::new());
        }
        let filter = filter::equal(&format!("{CUSTOMER}:code"), code);
        let listed = self.listed(Kind::Group, &filter).await?;
        let has_code = |group: &Resource| {
            group.extended_text(CUSTOMER, "code") == code && type_of(group).is_some()
        };
        Ok(listed.into_iter().filter(has_code).collect())
    }

    /// Whether an older customer has the code of the one that was just made, which then goes.
    async fn gives_way(&self, ours: &Resource, code: &str) -> Result<bool, Trouble> {
        let coded = self.customers_coded(code).await?;
        let mut others = coded
            .iter()
            .filter(|other| other.text("externalId") != ours.text("externalId"));
        let is_younger = others.any(|other| age(other) < age(ours));
        if is_younger && ours.values("members").is_empty() {
            self.delete(Kind::Group, ours).await?;
        }
        Ok(is_younger)
    }

    /// Puts a user into a customer; doing it twice is doing it once.
    pub(super) async fn let_in(
        &self,
        customer: &str,
        user: &str,
        administrator: bool,
    ) -> Result<(), Trouble> {
        let keeps_administrators = self.offer().await?.customers;
        let plan = |group: &Resource| {
            let mut changes = Vec::new();
            if !has_member(group, user) {
                changes.push(Change::Add(MEMBERS, json!({ "value": user })));
            }
            if administrator && keeps_administrators && !is_administrator(group, user) {
                changes.push(Change::Add(ADMINISTRATORS, json!({ "value": user })));
            }
            changes
        };
        if self.change((Kind::Group, customer), plan).await? {
            return Ok(());
        }
        let field = "customer".to_owned();
        Err(PlatformError::Refused { field }.into())
    }

    /// Takes a user out of a customer.
    pub(super) async fn let_out(&self, customer: &str, user: &str) -> Result<(), Trouble> {
        let plan = |group: &Resource| {
            let mut changes = Vec::new();
            if has_member(group, user) {
                changes.push(Change::Remove(MEMBERS, user.to_owned()));
            }
            if is_administrator(group, user) {
                changes.push(Change::Remove(ADMINISTRATORS, user.to_owned()));
            }
            changes
        };
        self.change((Kind::Group, customer), plan).await.map(|_| ())
    }

    /// The enabled members who decide.
    pub(super) async fn administrators_of(
        &self,
        customer: &str,
    ) -> Result<Vec<Administrator>, Trouble> {
        let Some(group) = self.customer_group(customer).await? else {
            return Ok(Vec::new());
        };
        let appointed = group.extended_values(CUSTOMER, "administrators");
        let mut found = Vec::new();
        for id in appointed
            .iter()
            .map(|value| part(value, "value"))
            .take(MOST)
        {
            if !has_member(&group, id) {
                continue;
            }
            let user = self.client.find(Kind::User, id).await?;
            if let Some(user) = user.filter(is_active) {
                let standing = self.standing(&user).await?;
                found.push(Administrator {
                    user: standing.id,
                    email: standing.email,
                    name: whole_name(&user),
                    language: language(&user),
                });
            }
        }
        Ok(found)
    }

    /// Removes the customer, unless it has members or locations by now. Where the server tells
    /// versions, nobody can come in between looking and removing.
    pub(super) async fn undo_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Undone, Trouble> {
        let Some(ours) = self.marked_customer(mark, new).await? else {
            return Ok(Undone::Absent);
        };
        let id = ours.id()?.to_owned();
        loop {
            let Some(ours) = self.client.find(Kind::Group, &id).await? else {
                return Ok(Undone::Removed);
            };
            let locations = ours.extended_values(CUSTOMER, "locations");
            if !ours.values("members").is_empty() || !locations.is_empty() {
                return Ok(Undone::Kept);
            }
            if let Some(undone) = self.delete(Kind::Group, &ours).await? {
                return Ok(undone);
            }
        }
    }
}

/// A customer in the words of the seam.
pub(super) fn as_customer(group: &Resource) -> Result<PlatformCustomer, Trouble> {
    Ok(PlatformCustomer {
        id: CustomerId::new(group.id()?),
        name: group.text("displayName").to_owned(),
        account_type: type_of(group).unwrap_or(AccountType::Business),
    })
}

/// The account type of a group that is a customer.
fn type_of(group: &Resource) -> Option<AccountType> {
    let rest = group.text("externalId").strip_prefix(PREFIX)?;
    let word = rest.split(':').next()?;
    AccountType::from_word(word).filter(|kind| *kind != AccountType::Partner)
}

fn external_id(mark: &Mark, account_type: AccountType) -> String {
    format!("{PREFIX}{}:{}", account_type.as_str(), mark.as_str())
}

/// What sorts older groups first.
fn age(group: &Resource) -> (String, String) {
    (group.created().to_owned(), group.text("id").to_owned())
}

fn has_member(group: &Resource, user: &str) -> bool {
    is_among(group.values("members"), user)
}

fn is_administrator(group: &Resource, user: &str) -> bool {
    is_among(group.extended_values(CUSTOMER, "administrators"), user)
}

fn is_among(values: &[Value], user: &str) -> bool {
    values.iter().any(|value| part(value, "value") == user)
}

/// Names for a customer, best first: where the server wants unique ones, persons, who share names,
/// get a few letters of the mark behind theirs, and a company whose name is taken is there already.
fn names(mark: &Mark, new: &NewCustomer) -> Vec<String> {
    let tagged = super::organizations::tagged(&new.name, mark);
    match new.account_type {
        AccountType::Personal => vec![new.name.clone(), tagged],
        AccountType::Business | AccountType::Partner => vec![new.name.clone()],
    }
}
