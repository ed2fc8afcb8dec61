//! What is known of a user, of their customer and of its first location; and changes of it, each
//! written over what was read, and read again where somebody else was faster.

use serde_json::{Map, Value};

use super::ThingsBoard;
use super::client::Call;
use super::customers::COLUMNS;
use super::entity::{Entity, FIELDS};
use super::trouble::Trouble;
use super::users::{locale, split_name, whole_name};
use crate::platform::{CustomerProfile, PlatformError, Profile, ProfileChange};

/// How often a change is tried again because somebody else was faster.
const TRIES: usize = 5;

/// Where a user's language is in `additionalInfo`.
const LANGUAGE: &str = "lang";

/// What changes of one thing.
struct Change<'a> {
    fields: &'a Map<String, Value>,
    name: Option<&'a str>,
    language: Option<&'a str>,
}

/// What a change is written to.
#[derive(Debug, Clone, Copy)]
enum Kind {
    User,
    Customer,
    Asset,
}

impl Kind {
    const fn path(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Customer => "customer",
            Self::Asset => "asset",
        }
    }

    /// Fields that have a column.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::User => &[("phone", "phone")],
            Self::Customer => &COLUMNS,
            Self::Asset => &[],
        }
    }

    fn set_name(self, record: &mut Entity, name: &str) {
        match self {
            Self::User => {
                let (first, last) = split_name(name);
                record.set("firstName", first.unwrap_or_default());
                record.set("lastName", last);
            }
            Self::Customer => record.set("title", name),
            Self::Asset => record.set("label", name),
        }
    }
}

impl ThingsBoard {
    pub(super) async fn read_profile(&self, user: &str) -> Result<Option<Profile>, Trouble> {
        let Some(user) = self.user_entity(user).await? else {
            return Ok(None);
        };
        let id = user.referenced("customerId").unwrap_or_default();
        let customer = self.customer_entity(id).await?;
        let location = match &customer {
            Some(_) => self.first_location(id).await?,
            None => None,
        };
        Ok(Some(Profile {
            user_name: whole_name(&user),
            language: user.info(LANGUAGE).and_then(Value::as_str).map(tag),
            user: fields_of(&user, Kind::User),
            customer: customer.map(|customer| CustomerProfile {
                name: customer.text("title").to_owned(),
                fields: fields_of(&customer, Kind::Customer),
            }),
            location: location.map(|location| fields_of(&location, Kind::Asset)),
        }))
    }

    pub(super) async fn write_profile(
        &self,
        user: &str,
        change: &ProfileChange,
    ) -> Result<bool, Trouble> {
        let Some(entity) = self.user_entity(user).await? else {
            return Ok(false);
        };
        self.merge(Kind::User, user, &Change::of_user(change))
            .await?;
        let customer = entity.referenced("customerId").unwrap_or_default();
        self.merge(Kind::Customer, customer, &Change::of_customer(change))
            .await?;
        if !change.location.is_empty()
            && let Some(location) = self.first_location(customer).await?
        {
            let id = location.id().unwrap_or_default();
            self.merge(Kind::Asset, id, &Change::of_location(change))
                .await?;
        }
        Ok(true)
    }

    async fn merge(&self, kind: Kind, id: &str, change: &Change<'_>) -> Result<(), Trouble> {
        if change.is_empty() || !super::is_id(id) {
            return Ok(());
        }
        for _ in 0..TRIES {
            let call = Call::get(&[kind.path(), id]);
            let Some(mut record) = self.client.find::<Entity>(call).await? else {
                return Ok(());
            };
            change.apply(&mut record, kind);
            let call = Call::post(&[kind.path()]).by("sendActivationMail", "false");
            match self.client.tell(call.repeatable().with(&record)).await {
                Err(trouble) if trouble.is_conflict() => {}
                Err(trouble) if trouble.says("title already exists") => {
                    return Err(PlatformError::NameTaken.into());
                }
                outcome => return outcome,
            }
        }
        Err(PlatformError::Busy { retry_after: None }.into())
    }
}

fn fields_of(record: &Entity, kind: Kind) -> Map<String, Value> {
    let mut fields = record.fields();
    for (field, column) in kind.columns() {
        let text = record.text(column);
        if !text.is_empty() {
            fields.insert((*field).to_owned(), Value::from(text));
        }
    }
    fields
}

impl<'a> Change<'a> {
    fn of_user(change: &'a ProfileChange) -> Self {
        Self {
            fields: &change.user,
            name: change.user_name.as_deref(),
            language: change.language.as_deref(),
        }
    }

    fn of_customer(change: &'a ProfileChange) -> Self {
        Self {
            fields: &change.customer,
            name: change.customer_name.as_deref(),
            language: None,
        }
    }

    fn of_location(change: &'a ProfileChange) -> Self {
        Self {
            fields: &change.location,
            name: None,
            language: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.name.is_none() && self.language.is_none()
    }

    fn apply(&self, record: &mut Entity, kind: Kind) {
        change_fields(record, kind, self.fields);
        if let Some(name) = self.name {
            kind.set_name(record, name);
        }
        if let Some(language) = self.language {
            record.set_info(LANGUAGE, locale(language));
        }
    }
}

/// The tag of a locale in ThingsBoard's spelling (`it_IT`).
fn tag(locale: &str) -> String {
    locale.replace('_', "-")
}

fn change_fields(record: &mut Entity, kind: Kind, changed: &Map<String, Value>) {
    let mut fields = record.fields();
    for (field, value) in changed {
        let mut columns = kind.columns().iter();
        match columns.find(|(name, _)| name == field) {
            Some((_, column)) => record.set(column, value.clone()),
            None => {
                fields.insert(field.clone(), value.clone());
            }
        }
    }
    record.set_info(FIELDS, fields);
}
