//! Records as the platform answers them, page by page, and what they say in the words of the seam.

use serde_json::{Map, Value};

use super::RestPlatform;
use super::client::Inputs;
use super::description::{Name, Operation, Paging, Turning};
use super::document::Meaning;
use super::evaluation::Variables;
use super::template::as_text;
use super::trouble::{Answer, Oddity, Trouble};
use crate::expression::{Condition, Expression};
use crate::identity::{AccountType, CustomerId, EmailAddress, UserId};
use crate::platform::{PlatformCustomer, PlatformError, PlatformUser};

/// More pages than these are not asked for.
const MOST_PAGES: usize = 50;

impl RestPlatform {
    /// The call of this name; one that the file lacks is never asked for.
    pub(super) fn operation(&self, name: Name) -> Result<&Operation, Trouble> {
        let operation = self.description.operation(name);
        operation.ok_or_else(|| Oddity::NoOperation(name.word()).into())
    }

    /// Every record that an operation gives; none where the platform says that there is none.
    pub(super) async fn records(&self, name: Name, inputs: Inputs) -> Result<Vec<Value>, Trouble> {
        let operation = self.operation(name)?;
        let read = match &operation.paging {
            None => self.one_page(operation, &inputs).await,
            Some(paging) => self.all_pages(operation, &inputs, paging).await,
        };
        match read {
            Err(trouble) if trouble.says(Meaning::NotFound) => Ok(Vec::new()),
            read => read,
        }
    }

    async fn one_page(
        &self,
        operation: &Operation,
        inputs: &Inputs,
    ) -> Result<Vec<Value>, Trouble> {
        items(operation, &self.client.ask(operation, inputs).await?)
    }

    async fn all_pages(
        &self,
        operation: &Operation,
        inputs: &Inputs,
        paging: &Paging,
    ) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        let mut page = paging.first();
        for number in 0..MOST_PAGES {
            let parameters = paging.parameters(page.as_deref());
            let answer = self
                .client
                .ask_for_page(operation, inputs, &parameters)
                .await?;
            let read = items(operation, &answer)?;
            let next = paging.next(number, read.len(), &answer)?;
            all.extend(read);
            match next {
                None => return Ok(all),
                // Whoever names the same page for ever has no more pages.
                next if next == page => break,
                next => page = next,
            }
        }
        Err(Oddity::TooMany(operation.name.word()).into())
    }
}

impl Paging {
    fn first(&self) -> Option<String> {
        match &self.turning {
            Turning::Counted { first, .. } => Some(first.to_string()),
            Turning::Cursor(_) => None,
        }
    }

    fn parameters(&self, page: Option<&str>) -> Vec<(String, String)> {
        let size = self.size.as_ref();
        let size = size.map(|(name, records)| (name.clone(), records.to_string()));
        let page = page.map(|page| (self.parameter.clone(), page.to_owned()));
        page.into_iter().chain(size).collect()
    }

    /// The page after the one of this number, that had so many records; none after the last.
    fn next(&self, number: usize, had: usize, answer: &Answer) -> Result<Option<String>, Trouble> {
        let variables = answer.variables();
        match &self.turning {
            Turning::Counted {
                first,
                step,
                full,
                more,
            } => {
                let is_more = match more {
                    Some(more) => variables.holds(more)?,
                    None => had >= *full,
                };
                let next = u64::from(*first) + u64::from(*step) * (number as u64 + 1);
                Ok(is_more.then(|| next.to_string()))
            }
            Turning::Cursor(next) => {
                let next = as_text(&variables.value(next)?);
                Ok(next.filter(|next| !next.is_empty()))
            }
        }
    }
}

/// The records in an answer. An answer without a body has none that could be told.
pub(super) fn items(operation: &Operation, answer: &Answer) -> Result<Vec<Value>, Trouble> {
    let found = match &operation.items {
        Some(items) => answer.variables().value(items)?,
        None => answer.body.clone(),
    };
    match found {
        Value::Array(items) => Ok(items),
        Value::Null if operation.items.is_some() => Ok(Vec::new()),
        item @ Value::Object(_) => Ok(vec![item]),
        _ => Err(Oddity::NotJson(operation.name.word()).into()),
    }
}

/// The text that an expression gives of a record.
pub(super) fn text(expression: &Expression, item: &Value) -> Option<String> {
    Variables::default()
        .with("item", item)
        .text(Some(expression))
}

/// The same of one that may not be there.
pub(super) fn optional_text(expression: Option<&Expression>, item: &Value) -> Option<String> {
    text(expression?, item)
}

/// The text that every record has.
pub(super) fn needed(
    expression: &Expression,
    item: &Value,
    what: &'static str,
) -> Result<String, Trouble> {
    text(expression, item).ok_or_else(|| Oddity::Missing(what).into())
}

/// The fields that an expression gives of a record.
pub(super) fn fields(expression: Option<&Expression>, item: &Value) -> Map<String, Value> {
    let variables = Variables::default().with("item", item);
    let value = expression.and_then(|expression| variables.value(expression).ok());
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Whether a condition holds of a record; one that cannot be evaluated does not.
pub(super) fn holds(condition: Option<&Condition>, item: &Value) -> bool {
    let variables = Variables::default().with("item", item);
    condition.is_some_and(|condition| variables.holds(condition).unwrap_or(false))
}

impl RestPlatform {
    /// The address in a user's record, if it is one.
    pub(super) fn address_in(&self, item: &Value) -> Option<EmailAddress> {
        EmailAddress::parse(&text(&self.description.user.email, item)?).ok()
    }

    /// Whether a user's record has this address, in any spelling.
    pub(super) fn has_address(&self, item: &Value, email: &EmailAddress) -> bool {
        let theirs = self.address_in(item);
        theirs.is_some_and(|theirs| theirs.folded() == email.folded())
    }

    /// A user in the words of the seam.
    pub(super) fn as_user(&self, item: &Value) -> Result<PlatformUser, Trouble> {
        let read = &self.description.user;
        let email = needed(&read.email, item, "user.email")?;
        let email = EmailAddress::parse(&email);
        let email = email.map_err(|error| PlatformError::Garbled(Box::new(error)))?;
        let checks_passwords = self.description.has(Name::CheckPassword);
        let has_password = match &read.has_password {
            Some(condition) => holds(Some(condition), item),
            None => true,
        };
        let account_type = optional_text(read.account_type.as_ref(), item);
        Ok(PlatformUser {
            id: UserId::new(needed(&read.id, item, "user.id")?),
            email,
            customer: text(&read.customer, item).map(CustomerId::new),
            account_type: account_type.and_then(|word| AccountType::from_word(&word)),
            enabled: Variables::default()
                .with("item", item)
                .holds(&read.enabled)?,
            has_password: checks_passwords && has_password,
            email_proves: holds(read.email_proves.as_ref(), item),
        })
    }

    /// A customer in the words of the seam.
    pub(super) fn as_customer(&self, item: &Value) -> Result<PlatformCustomer, Trouble> {
        let read = &self.description.customer;
        let word = needed(&read.account_type, item, "customer.account_type")?;
        let account_type = AccountType::from_word(&word);
        Ok(PlatformCustomer {
            id: CustomerId::new(needed(&read.id, item, "customer.id")?),
            name: needed(&read.name, item, "customer.name")?,
            account_type: account_type.ok_or(Oddity::Missing("customer.account_type"))?,
        })
    }

    /// The record with exactly this id.
    pub(super) async fn record(
        &self,
        name: Name,
        id: &str,
        read: &Expression,
    ) -> Result<Option<Value>, Trouble> {
        let found = self.records(name, vec![("id", Value::from(id))]).await?;
        let mut same = found
            .into_iter()
            .filter(|item| text(read, item).as_deref() == Some(id));
        Ok(same.next())
    }

    /// The one record of which `read` gives exactly `wanted`.
    pub(super) async fn only_record(
        &self,
        name: Name,
        code: &str,
        read: &Expression,
    ) -> Result<Option<Value>, Trouble> {
        if code.is_empty() {
            return Ok(None);
        }
        let found = self.records(name, vec![("code", Value::from(code))]);
        let mut same = found.await?;
        same.retain(|item| text(read, item).as_deref() == Some(code));
        if same.len() > 1 {
            return Err(Oddity::Ambiguous(name.word()).into());
        }
        Ok(same.pop())
    }
}
