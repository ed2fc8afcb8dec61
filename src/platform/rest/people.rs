//! Users and customers that are there: by address and code, administrators, passwords.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::RestPlatform;
use super::description::Name;
use super::document::Meaning;
use super::evaluation::Variables;
use super::records::{holds, items, needed, optional_text, text};
use super::template::as_text;
use super::trouble::{Oddity, Trouble};
use crate::identity::{CustomerId, EmailAddress, PartnerId, UserId};
use crate::platform::{
    Administrator, PasswordCheck, PasswordRules, PlatformCustomer, PlatformPartner, PlatformUser,
    RoleChange,
};

impl RestPlatform {
    /// Every user whose address is this one in any spelling.
    pub(super) async fn users_addressed(
        &self,
        email: &EmailAddress,
    ) -> Result<Vec<Value>, Trouble> {
        let inputs = vec![("email", Value::from(email.as_str()))];
        let mut found = self.records(Name::UserByEmail, inputs).await?;
        found.retain(|item| self.has_address(item, email));
        Ok(found)
    }

    /// The user with this address. Of two spellings of one address neither gets anybody in.
    pub(super) async fn user_addressed(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, Trouble> {
        let found = self.users_addressed(email).await?;
        let exact = found
            .iter()
            .find(|item| self.address_in(item).as_ref() == Some(email));
        let Some(item) = exact.or(found.first()) else {
            return Ok(None);
        };
        let mut user = self.as_user(item)?;
        if found.len() > 1 {
            tracing::warn!(
                user = user.id.as_str(),
                "two users of the platform have one address: neither is linked"
            );
            user.email_proves = false;
            user.has_password = false;
        }
        Ok(Some(user))
    }

    pub(super) async fn user_record(&self, id: &str) -> Result<Option<Value>, Trouble> {
        self.record(Name::User, id, &self.description.user.id).await
    }

    pub(super) async fn customer_record(&self, id: &str) -> Result<Option<Value>, Trouble> {
        let read = &self.description.customer.id;
        self.record(Name::Customer, id, read).await
    }

    pub(super) async fn customer_coded(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, Trouble> {
        let Some(read) = &self.description.customer.code else {
            return Ok(None);
        };
        if !self.description.has(Name::CustomerByCode) {
            return Ok(None);
        }
        let found = self.only_record(Name::CustomerByCode, code, read).await?;
        found.map(|item| self.as_customer(&item)).transpose()
    }

    pub(super) async fn partner_coded(
        &self,
        code: &str,
    ) -> Result<Option<PlatformPartner>, Trouble> {
        let Some(read) = &self.description.partner else {
            return Ok(None);
        };
        if !self.description.has(Name::PartnerByCode) {
            return Ok(None);
        }
        let found = self
            .only_record(Name::PartnerByCode, code, &read.code)
            .await?;
        let as_partner = |item: Value| {
            Ok(PlatformPartner {
                id: PartnerId::new(needed(&read.id, &item, "partner.id")?),
                name: needed(&read.name, &item, "partner.name")?,
            })
        };
        found.map(as_partner).transpose()
    }

    pub(super) async fn administrators_of(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, Trouble> {
        let read = &self.description.user;
        if !self.description.has(Name::UsersOfCustomer) {
            return Ok(Vec::new());
        }
        let inputs = vec![("id", Value::from(customer.as_str()))];
        let found = self.records(Name::UsersOfCustomer, inputs).await?;
        let mut all = Vec::new();
        for item in &found {
            let is_theirs = text(&read.customer, item).as_deref() == Some(customer.as_str());
            if !is_theirs || !holds(read.administrator.as_ref(), item) {
                continue;
            }
            let user = self.as_user(item)?;
            if user.enabled {
                let name = optional_text(read.name.as_ref(), item);
                all.push(Administrator {
                    name: name.unwrap_or_else(|| user.email.as_str().to_owned()),
                    user: user.id,
                    email: user.email,
                    language: optional_text(read.language.as_ref(), item),
                });
            }
        }
        Ok(all)
    }

    /// The platform says whether the password is right; whose it is, is looked up.
    pub(super) async fn try_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, Trouble> {
        let Some(operation) = self.description.operation(Name::CheckPassword) else {
            return Ok(PasswordCheck::Unsupported);
        };
        let inputs = vec![
            ("email", Value::from(email.as_str())),
            ("password", Value::from(password.expose_secret())),
        ];
        match self.client.ask(operation, &inputs).await {
            Ok(_) => {}
            Err(trouble) if trouble.says(Meaning::Wrong) || trouble.says(Meaning::NotFound) => {
                return Ok(PasswordCheck::Wrong);
            }
            Err(trouble) => return Err(trouble),
        }
        let user = self.user_addressed(email).await?;
        Ok(
            match user.filter(|user| user.enabled && user.has_password) {
                Some(user) => PasswordCheck::Right(user),
                None => PasswordCheck::Wrong,
            },
        )
    }

    pub(super) async fn give_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, Trouble> {
        let Some(operation) = self.description.operation(Name::SetPassword) else {
            return Ok(false);
        };
        let Some(record) = self.user_record(user.as_str()).await? else {
            return Ok(false);
        };
        if !self.as_user(&record)?.enabled {
            return Ok(false);
        }
        let inputs = vec![
            ("id", Value::from(user.as_str())),
            ("record", record),
            ("password", Value::from(password.expose_secret())),
        ];
        match self.client.ask(operation, &inputs).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.says(Meaning::NotFound) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Roles that are not named stay.
    pub(super) async fn change_roles(
        &self,
        user: &UserId,
        change: &RoleChange,
    ) -> Result<bool, Trouble> {
        let Some(operation) = self.description.operation(Name::UpdateRoles) else {
            return Ok(false);
        };
        let Some(record) = self.user_record(user.as_str()).await? else {
            return Ok(false);
        };
        let had = self.roles_in(&record)?;
        let mut roles = had.clone();
        roles.retain(|role| !change.take.contains(role));
        roles.extend(change.give.iter().cloned());
        if roles == had {
            return Ok(true);
        }
        let inputs = vec![
            ("id", Value::from(user.as_str())),
            ("record", record),
            ("give", json!(change.give)),
            ("take", json!(change.take)),
            ("roles", json!(roles)),
        ];
        match self.client.ask(operation, &inputs).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.says(Meaning::NotFound) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    fn roles_in(&self, record: &Value) -> Result<BTreeSet<String>, Trouble> {
        let variables = Variables::default().with("item", record);
        let roles = self.description.user.roles.as_ref();
        let roles = roles.map(|roles| variables.value(roles)).transpose()?;
        let roles = roles.unwrap_or_default();
        Ok(roles
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(as_text)
            .collect())
    }

    pub(super) async fn published_rules(&self) -> Result<Option<PasswordRules>, Trouble> {
        let Some(operation) = self.description.operation(Name::PasswordRules) else {
            return Ok(None);
        };
        let answer = self.client.ask(operation, &Vec::new()).await?;
        let rules = items(operation, &answer)?;
        let rules = rules.first().ok_or(Oddity::Missing("password_rules"))?;
        let number = |key: &str| {
            let number = rules.get(key).and_then(Value::as_u64);
            number.and_then(|number| usize::try_from(number).ok())
        };
        Ok(Some(PasswordRules {
            min_length: number("min_length").ok_or(Oddity::Missing("password_rules.min_length"))?,
            max_length: number("max_length").unwrap_or(72),
            uppercase: number("uppercase").unwrap_or_default(),
            lowercase: number("lowercase").unwrap_or_default(),
            digits: number("digits").unwrap_or_default(),
            specials: number("specials").unwrap_or_default(),
            spaces: rules.get("spaces").and_then(Value::as_bool).unwrap_or(true),
        }))
    }
}
