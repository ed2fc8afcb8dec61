//! Making things once: found by the mark, made, or found by the mark that another call has left
//! meanwhile; and taking back what a mark made.
//!
//! What is found is compared again here, letter by letter: a search of the platform's is never
//! believed. An answer to a creation counts only if it bears the mark; where it does not, what was
//! made is looked for.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::RestPlatform;
use super::client::Inputs;
use super::description::Name;
use super::document::Meaning;
use super::records::{items, needed, text};
use super::trouble::{Oddity, Refusal, Trouble};
use crate::expression::Expression;
use crate::identity::{AccountType, CustomerId, EmailAddress, LocationId, UserId};
use crate::platform::{
    BelongsTo, Made, Mark, NewCustomer, NewLocation, NewUser, PlatformError, Undone,
};

/// A record that is made, found or taken back.
struct Thing<'a> {
    kind: Kind,
    mark: &'a Mark,
    /// What it is to be.
    record: Value,
    /// Of a user, the address that only ours has.
    email: Option<&'a EmailAddress>,
    password: Option<&'a SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Customer,
    Location,
    User,
}

impl Kind {
    const fn variable(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Location => "location",
            Self::User => "user",
        }
    }

    const fn found_by(self) -> Name {
        match self {
            Self::Customer => Name::CustomerByMark,
            Self::Location => Name::LocationByMark,
            Self::User => Name::UserByMark,
        }
    }

    const fn made_by(self) -> Name {
        match self {
            Self::Customer => Name::CreateCustomer,
            Self::Location => Name::CreateLocation,
            Self::User => Name::CreateUser,
        }
    }

    const fn removed_by(self) -> Name {
        match self {
            Self::Customer => Name::DeleteCustomer,
            Self::Location => Name::DeleteLocation,
            Self::User => Name::DeleteUser,
        }
    }
}

impl Thing<'_> {
    fn inputs(&self) -> Inputs {
        vec![
            ("mark", Value::from(self.mark.as_str())),
            (self.kind.variable(), self.record.clone()),
        ]
    }
}

impl RestPlatform {
    pub(super) async fn make_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Made<CustomerId>, Trouble> {
        let thing = customer(mark, new);
        let made = self.make(&thing).await;
        let made = match made {
            Err(trouble)
                if trouble.says(Meaning::NameTaken)
                    && new.account_type == AccountType::Personal =>
            {
                self.make(&customer(mark, &told_apart(mark, new))).await
            }
            made => made,
        };
        Ok(made?.map(CustomerId::new))
    }

    pub(super) async fn make_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Made<LocationId>, Trouble> {
        Ok(self.make(&location(mark, new)).await?.map(LocationId::new))
    }

    pub(super) async fn make_user(
        &self,
        mark: &Mark,
        new: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, Trouble> {
        if matches!(new.belongs_to, BelongsTo::Partner(_))
            && !self.description.has(Name::PartnerByCode)
        {
            let field = "partner".to_owned();
            return Err(PlatformError::Refused { field }.into());
        }
        let thing = Thing {
            password,
            ..user(mark, new)
        };
        match self.make(&thing).await {
            // What it belongs to is not there.
            Err(trouble) if trouble.says(Meaning::NotFound) => {
                let field = "customer".to_owned();
                Err(PlatformError::Refused { field }.into())
            }
            made => Ok(made?.map(UserId::new)),
        }
    }

    async fn make(&self, thing: &Thing<'_>) -> Result<Made<String>, Trouble> {
        if let Some(found) = self.marked(thing).await? {
            return Ok(Made::Found(self.id_of(thing.kind, &found)?));
        }
        match self.create(thing).await {
            // Another call of ours may have made it a moment ago.
            Err(trouble) if trouble.is_taken() => match self.marked(thing).await? {
                Some(found) => Ok(Made::Found(self.id_of(thing.kind, &found)?)),
                None => Err(taken(thing.kind, trouble)),
            },
            created => created.map(Made::Created),
        }
    }

    async fn create(&self, thing: &Thing<'_>) -> Result<String, Trouble> {
        self.is_free(thing).await?;
        let name = thing.kind.made_by();
        let operation = self.operation(name)?;
        let mut inputs = thing.inputs();
        let password = thing.password.map(ExposeSecret::expose_secret);
        inputs.push(("password", Value::from(password)));
        let answer = self.client.ask(operation, &inputs).await?;
        let answered = items(operation, &answer).unwrap_or_default();
        let ours = answered.iter().find(|item| self.is_ours(thing, item));
        if let Some(ours) = ours {
            return self.id_of(thing.kind, ours);
        }
        let found = self.marked(thing).await?;
        let found = found.ok_or(Oddity::NotKept(name.word()))?;
        self.id_of(thing.kind, &found)
    }

    /// Addresses and codes are ours to compare: a platform may know them by other rules.
    async fn is_free(&self, thing: &Thing<'_>) -> Result<(), Trouble> {
        let name = thing.kind.made_by();
        if let Some(email) = thing.email
            && !self.users_addressed(email).await?.is_empty()
        {
            return Err(Refusal::beforehand(name, Meaning::EmailTaken));
        }
        if thing.kind == Kind::Customer
            && let Some(code) = thing.record.get("code").and_then(Value::as_str)
            && self.customer_coded(code).await?.is_some()
        {
            return Err(Refusal::beforehand(name, Meaning::CodeTaken));
        }
        Ok(())
    }

    /// The record that this mark made.
    async fn marked(&self, thing: &Thing<'_>) -> Result<Option<Value>, Trouble> {
        let found = self.records(thing.kind.found_by(), thing.inputs()).await?;
        let mut ours: Vec<Value> = found
            .into_iter()
            .filter(|item| self.is_ours(thing, item))
            .collect();
        if ours.len() > 1 {
            tracing::error!(
                operation = thing.kind.made_by().word(),
                "the platform keeps two records with one mark: it must refuse the second"
            );
            ours.sort_by_key(|item| self.id_of(thing.kind, item).ok());
        }
        Ok(ours.into_iter().next())
    }

    fn is_ours(&self, thing: &Thing<'_>, item: &Value) -> bool {
        let mark = self.mark_in(thing.kind).and_then(|mark| text(mark, item));
        mark.as_deref() == Some(thing.mark.as_str())
            && thing
                .email
                .is_none_or(|email| self.has_address(item, email))
    }

    fn mark_in(&self, kind: Kind) -> Option<&Expression> {
        match kind {
            Kind::Customer => Some(&self.description.customer.mark),
            Kind::Location => Some(&self.description.location.as_ref()?.mark),
            Kind::User => Some(&self.description.user.mark),
        }
    }

    fn id_of(&self, kind: Kind, item: &Value) -> Result<String, Trouble> {
        let id = match kind {
            Kind::Customer => Some(&self.description.customer.id),
            Kind::Location => self.description.location.as_ref().map(|read| &read.id),
            Kind::User => Some(&self.description.user.id),
        };
        needed(id.ok_or(Oddity::Missing("location"))?, item, "….id")
    }

    /// Kept where it is not known whether anybody else is in there.
    pub(super) async fn undo_customer(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Undone, Trouble> {
        let thing = customer(mark, new);
        let mut ours = self.marked(&thing).await?;
        if ours.is_none() && new.account_type == AccountType::Personal {
            ours = self.marked(&customer(mark, &told_apart(mark, new))).await?;
        }
        let Some(ours) = ours else {
            return Ok(Undone::Absent);
        };
        let id = self.id_of(Kind::Customer, &ours)?;
        for inside in [Name::UsersOfCustomer, Name::LocationsOfCustomer] {
            if self.description.has(inside) {
                let inputs = vec![("id", Value::from(id.as_str()))];
                if !self.records(inside, inputs).await?.is_empty() {
                    return Ok(Undone::Kept);
                }
            }
        }
        self.remove(Kind::Customer, ours).await
    }

    pub(super) async fn undo_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Undone, Trouble> {
        self.undo(&location(mark, new)).await
    }

    pub(super) async fn undo_user(&self, mark: &Mark, new: &NewUser) -> Result<Undone, Trouble> {
        self.undo(&user(mark, new)).await
    }

    async fn undo(&self, thing: &Thing<'_>) -> Result<Undone, Trouble> {
        match self.marked(thing).await? {
            Some(ours) => self.remove(thing.kind, ours).await,
            None => Ok(Undone::Absent),
        }
    }

    /// Removes what was there a moment ago.
    async fn remove(&self, kind: Kind, record: Value) -> Result<Undone, Trouble> {
        let Some(operation) = self.description.operation(kind.removed_by()) else {
            return Ok(Undone::Kept);
        };
        let id = Value::from(self.id_of(kind, &record)?);
        let inputs = vec![("id", id), ("record", record)];
        match self.client.ask(operation, &inputs).await {
            Ok(_) => Ok(Undone::Removed),
            // Also when a reply was lost and the call repeated: it was ours to remove.
            Err(trouble) if trouble.says(Meaning::NotFound) => Ok(Undone::Removed),
            Err(trouble) if trouble.says(Meaning::InUse) => Ok(Undone::Kept),
            Err(trouble) => Err(trouble),
        }
    }
}

fn customer<'a>(mark: &'a Mark, new: &NewCustomer) -> Thing<'a> {
    Thing {
        kind: Kind::Customer,
        mark,
        record: json!(new),
        email: None,
        password: None,
    }
}

fn location<'a>(mark: &'a Mark, new: &NewLocation) -> Thing<'a> {
    Thing {
        kind: Kind::Location,
        mark,
        record: json!(new),
        email: None,
        password: None,
    }
}

fn user<'a>(mark: &'a Mark, new: &'a NewUser) -> Thing<'a> {
    let (customer, partner) = match &new.belongs_to {
        BelongsTo::Customer(customer) => (Some(customer.as_str()), None),
        BelongsTo::Partner(partner) => (None, Some(partner.as_str())),
    };
    let (first, last) = split_name(&new.name);
    let record = json!({
        "email": new.email.as_str(),
        "name": new.name.trim(),
        "first_name": first,
        "last_name": last,
        "account_type": new.account_type,
        "language": new.language,
        "administrator": new.administrator,
        "customer": customer,
        "partner": partner,
        "fields": new.fields,
        "options": new.options,
    });
    Thing {
        kind: Kind::User,
        mark,
        record,
        email: Some(&new.email),
        password: None,
    }
}

/// First and last names; the last word is the last name.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    let name = name.trim();
    let (first, last) = name.rsplit_once(' ').unwrap_or(("", name));
    (first.trim_end(), last)
}

/// Persons share names: where the platform does not take the second, it gets a few letters of the
/// mark behind it.
fn told_apart(mark: &Mark, new: &NewCustomer) -> NewCustomer {
    let letters: Vec<char> = mark.as_str().chars().rev().take(6).collect();
    let tag: String = letters.into_iter().rev().collect();
    NewCustomer {
        name: format!("{} ({tag})", new.name),
        ..new.clone()
    }
}

/// What is in the way is somebody else's.
fn taken(kind: Kind, trouble: Trouble) -> Trouble {
    if !trouble.says(Meaning::Already) {
        return trouble;
    }
    match kind {
        Kind::Customer => PlatformError::NameTaken.into(),
        Kind::User => PlatformError::EmailTaken.into(),
        Kind::Location => {
            let field = "location".to_owned();
            PlatformError::Refused { field }.into()
        }
    }
}
