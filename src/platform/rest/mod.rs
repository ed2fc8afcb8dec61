//! Any platform with a REST API, as `rest.toml` describes it: each operation is a call whose path,
//! query, fields and body are filled in from what it is about, and whose answer is read by
//! expressions.
//!
//! The file says how to ask; what is believed is decided here. Searches are compared again, letter
//! by letter; what an answer does not say for sure is an error; what can be done follows from the
//! operations that are there. Nothing is kept here: what was made is found again by its mark.

mod by_hand;
mod client;
mod compile;
mod description;
mod document;
mod evaluation;
mod making;
mod people;
mod profiles;
mod records;
mod session;
mod template;
mod trouble;

use async_trait::async_trait;
use secrecy::SecretString;

pub use by_hand::{CannotCall, Exchange};
pub use compile::read;
pub use description::Description;
pub use document::RestFile;

use super::{
    Administrator, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck,
    PasswordRules, Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser,
    Profile, ProfileChange, RestSettings, RoleChange, Undone,
};
use crate::clock::SharedClock;
use crate::identity::{CustomerId, EmailAddress, LocationId, PlatformId, UserId};
use crate::outbound::{Outbound, OutboundError};
use client::Client;
use description::Name;

/// One platform, by its REST API.
pub struct RestPlatform {
    id: PlatformId,
    description: Description,
    client: Client,
}

impl RestPlatform {
    /// Sets the client up; nothing is asked yet.
    pub fn new(
        id: PlatformId,
        settings: RestSettings,
        clock: SharedClock,
    ) -> Result<Self, OutboundError> {
        let outbound =
            Outbound::trusting(&settings.roots)?.speaking_plain_http(settings.plain_http);
        Ok(Self {
            id,
            client: Client::new(&settings, outbound, clock),
            description: settings.description,
        })
    }
}

#[async_trait]
impl Platform for RestPlatform {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            passwords: self.description.has(Name::CheckPassword),
            new_passwords: self.description.has(Name::SetPassword),
            locations: self.description.has(Name::CreateLocation),
            partners: self.description.has(Name::PartnerByCode),
            roles: self.description.has(Name::UpdateRoles),
        }
    }

    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError> {
        match self.user_record(id.as_str()).await? {
            Some(item) => Ok(Some(self.as_user(&item)?)),
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
        match self.customer_record(id.as_str()).await? {
            Some(item) => Ok(Some(self.as_customer(&item)?)),
            None => Ok(None),
        }
    }

    async fn partner_by_code(&self, code: &str) -> Result<Option<PlatformPartner>, PlatformError> {
        Ok(self.partner_coded(code).await?)
    }

    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError> {
        Ok(self.administrators_of(customer).await?)
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
        Ok(self.change_roles(user, change).await?)
    }

    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<PasswordCheck, PlatformError> {
        Ok(self.try_password(email, password).await?)
    }

    async fn set_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, PlatformError> {
        Ok(self.give_password(user, password).await?)
    }

    async fn password_rules(&self) -> Result<Option<PasswordRules>, PlatformError> {
        Ok(self.published_rules().await?)
    }
}
