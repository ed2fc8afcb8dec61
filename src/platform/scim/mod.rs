//! Any server that speaks SCIM 2.0 (RFC 7643 and 7644).
//!
//! A user is a User whose `externalId` is the mark of the registration that made it, for good. A
//! customer is a Group with the customer's users as members, or, where the operator says so, the
//! `organization` that users have. What a server offers is asked for at the start, and what it lacks
//! is done without: no changes by PATCH, no filters, no versions, no extension of ours.
//!
//! SCIM tells nobody whether a password is right, so that nobody signs in with one; whoever is made
//! here signs in at an identity provider.

mod change;
mod client;
mod credentials;
mod customers;
mod filter;
mod locations;
mod organizations;
mod profiles;
mod resource;
mod search;
mod server;
mod trouble;
mod user_record;
mod users;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::OnceCell;

pub use server::{CannotUse, Offer};

use super::{
    Administrator, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck,
    Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser, Profile,
    ProfileChange, RoleChange, ScimCustomers, ScimSettings, Undone,
};
use crate::identity::{CustomerId, EmailAddress, LocationId, PlatformId, UserId};
use crate::outbound::{Outbound, OutboundError};
use client::Client;

/// One SCIM server.
pub struct Scim {
    id: PlatformId,
    settings: ScimSettings,
    client: Client,
    offer: OnceCell<Offer>,
}

impl Scim {
    /// Sets the client up; nothing is asked yet.
    pub fn new(id: PlatformId, settings: ScimSettings) -> Result<Self, OutboundError> {
        let outbound =
            Outbound::trusting(&settings.roots)?.speaking_plain_http(settings.plain_http);
        Ok(Self {
            id,
            client: Client::new(&settings, outbound),
            settings,
            offer: OnceCell::new(),
        })
    }

    /// Whether customers are groups.
    fn has_groups(&self) -> bool {
        self.settings.customers == ScimCustomers::Groups
    }
}

#[async_trait]
impl Platform for Scim {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    /// As far as the server has said what it offers.
    fn capabilities(&self) -> Capabilities {
        let offer = self.offer.get();
        Capabilities {
            passwords: false,
            new_passwords: offer.is_some_and(|offer| offer.passwords),
            locations: self.has_groups() && offer.is_some_and(|offer| offer.customers),
            partners: false,
            roles: true,
        }
    }

    async fn user(&self, id: &UserId) -> Result<Option<PlatformUser>, PlatformError> {
        Ok(self.user_with_id(id.as_str()).await?)
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
        Ok(if self.has_groups() {
            self.customer_coded(code).await?
        } else {
            self.organization(code).await?
        })
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<PlatformCustomer>, PlatformError> {
        Ok(if self.has_groups() {
            let found = self.customer_group(id.as_str()).await?;
            found.as_ref().map(customers::as_customer).transpose()?
        } else {
            self.organization(id.as_str()).await?
        })
    }

    async fn partner_by_code(&self, _: &str) -> Result<Option<PlatformPartner>, PlatformError> {
        Ok(None)
    }

    async fn administrators(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<Administrator>, PlatformError> {
        if !self.has_groups() {
            return Ok(Vec::new());
        }
        Ok(self.administrators_of(customer.as_str()).await?)
    }

    async fn ensure_customer(
        &self,
        mark: &Mark,
        customer: &NewCustomer,
    ) -> Result<Made<CustomerId>, PlatformError> {
        Ok(if self.has_groups() {
            self.make_customer(mark, customer).await?
        } else {
            self.name_organization(mark, customer).await?
        })
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
        Ok(if self.has_groups() {
            self.undo_customer(mark, customer).await?
        } else {
            self.undo_organization(mark, customer).await?
        })
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
        Ok(self.write_roles(user.as_str(), change).await?)
    }

    async fn check_password(
        &self,
        _: &EmailAddress,
        _: &SecretString,
    ) -> Result<PasswordCheck, PlatformError> {
        Ok(PasswordCheck::Unsupported)
    }

    async fn set_password(
        &self,
        user: &UserId,
        password: &SecretString,
    ) -> Result<bool, PlatformError> {
        Ok(self.give_password(user.as_str(), password).await?)
    }
}
