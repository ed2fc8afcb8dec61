//! ThingsBoard, Community and Professional Edition, from 3.7 on, by its REST API.
//!
//! A customer is a customer, a location an asset of the customer's, a user a customer's user; no
//! other user is ever an account. Nothing is kept here: what was made is found again by name or
//! address and the mark beside it (see `entity::Entity::was_made_by`), with calls that read what
//! was just written. Searches of the entity-query kind may lag behind and are used for organisation
//! codes only.

mod activation;
mod administrators;
mod client;
mod codes;
mod customers;
mod dashboards;
mod entity;
mod groups;
mod installation;
mod locations;
mod passwords;
mod profiles;
mod session;
mod tokens;
mod trouble;
mod users;

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use installation::{CannotUse, Installation};

use super::tokens::Token;
use super::{
    Administrator, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck,
    PasswordRules, Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser,
    Profile, ProfileChange, RoleChange, ThingsBoardSettings, Undone,
};
use crate::identity::{
    Account, AccountType, CustomerId, EmailAddress, LocationId, PlatformId, UserId,
};
use crate::outbound::{Outbound, OutboundError};
use client::Client;

/// One ThingsBoard, as one tenant's administrator.
pub struct ThingsBoard {
    id: PlatformId,
    settings: ThingsBoardSettings,
    client: Client,
    installation: OnceCell<Installation>,
    /// Account types of customers, which never change; forgotten when there are too many.
    account_types: Mutex<HashMap<String, AccountType>>,
    rules: Mutex<Option<(Instant, PasswordRules)>>,
}

impl ThingsBoard {
    /// Sets the client up; nothing is asked yet.
    pub fn new(id: PlatformId, settings: ThingsBoardSettings) -> Result<Self, OutboundError> {
        let outbound =
            Outbound::trusting(&settings.roots)?.speaking_plain_http(settings.plain_http);
        Ok(Self {
            id,
            client: Client::new(&settings, outbound),
            settings,
            installation: OnceCell::new(),
            account_types: Mutex::default(),
            rules: Mutex::default(),
        })
    }
}

#[async_trait]
impl Platform for ThingsBoard {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    /// New passwords are set by ThingsBoard's own letters only.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            passwords: true,
            new_passwords: false,
            locations: true,
            partners: false,
            roles: self.is_known_professional(),
        }
    }

    /// Its last label must be of letters, which leaves internationalised ones (`xn--…`) out.
    fn takes_email(&self, email: &EmailAddress) -> bool {
        let last = email.domain().rsplit('.').next().unwrap_or_default();
        last.len() > 1 && last.chars().all(|c| c.is_ascii_alphabetic())
    }

    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError> {
        match self.user_entity(id.as_str()).await? {
            Some(user) => Ok(Some(self.standing(&user).await?)),
            None => Ok(None),
        }
    }

    async fn user_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, PlatformError> {
        Ok(self.user_addressed(email).await?)
    }

    async fn customer_by_code(
        &self,
        code: &str,
    ) -> Result<Option<PlatformCustomer>, PlatformError> {
        Ok(self.customer_coded(code).await?)
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<PlatformCustomer>, PlatformError> {
        let found = self.customer_entity(id.as_str()).await?;
        Ok(found.as_ref().and_then(customers::as_customer))
    }

    async fn partner_by_code(&self, _: &str) -> Result<Option<PlatformPartner>, PlatformError> {
        Ok(None)
    }

    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError> {
        Ok(self.administrators_of(customer.as_str()).await?)
    }

    async fn ensure_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Made<CustomerId>, PlatformError> {
        Ok(self.make_customer(mark, customer).await?)
    }

    async fn ensure_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Made<LocationId>, PlatformError> {
        Ok(self.make_location(mark, location).await?)
    }

    async fn ensure_user(
        &self,
        mark: &Mark,
        user: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, PlatformError> {
        Ok(self.make_user(mark, user, password).await?)
    }

    async fn remove_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Undone, PlatformError> {
        Ok(self.undo_customer(mark, customer).await?)
    }

    async fn remove_location(
        &self,
        mark: &Mark,
        location: &NewLocation,
    ) -> Result<Undone, PlatformError> {
        Ok(self.undo_location(mark, location).await?)
    }

    async fn remove_user(&self, mark: &Mark, user: &NewUser) -> Result<Undone, PlatformError> {
        Ok(self.undo_user(mark, user).await?)
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>, PlatformError> {
        Ok(self.read_profile(user.as_str()).await?)
    }

    async fn update_profile(
        &self,
        user: &UserId,
        change: &ProfileChange,
    ) -> Result<bool, PlatformError> {
        Ok(self.write_profile(user.as_str(), change).await?)
    }

    async fn update_roles(
        &self,
        user: &UserId,
        change: &RoleChange,
    ) -> Result<bool, PlatformError> {
        Ok(self.change_roles(user.as_str(), change).await?)
    }

    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, PlatformError> {
        Ok(self.try_password(email, password).await?)
    }

    async fn set_password(&self, _: &UserId, _: &SecretString) -> Result<bool, PlatformError> {
        Ok(false)
    }

    async fn password_rules(&self) -> Result<Option<PasswordRules>, PlatformError> {
        Ok(Some(self.published_rules().await?))
    }

    async fn user_token(&self, account: &Account) -> Result<Option<Token>, PlatformError> {
        Ok(self.token_of(account).await?)
    }

    async fn revoke_token(&self, token: &SecretString) -> Result<(), PlatformError> {
        Ok(self.end_token(token).await?)
    }
}

/// Whether a text is an id of ThingsBoard's; nothing else is put into a path.
fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}
