//! A platform in which other things are: whatever a test names gets a tag on the way there, which
//! it loses on the way back. So every test has the platform for itself, and what a run made is known.

use async_trait::async_trait;
use secrecy::SecretString;
use vestibule::identity::{CustomerId, EmailAddress, LocationId, PlatformId, UserId};
use vestibule::platform::{
    Administrator, Capabilities, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck,
    PasswordRules, Platform, PlatformCustomer, PlatformError, PlatformPartner, PlatformUser,
    Profile, ProfileChange, RoleChange, Undone,
};

use crate::harness::thingsboard::Tag;

type Answer<T> = Result<T, PlatformError>;

/// A platform, and what its customers, codes and addresses are told apart by.
pub struct Tagged<P> {
    pub platform: P,
    pub tag: Tag,
}

impl<P> Tagged<P> {
    fn address(&self, plain: &EmailAddress) -> EmailAddress {
        EmailAddress::parse(&self.tag.address(plain.as_str())).expect("an address")
    }

    fn plain_address(&self, tagged: &EmailAddress) -> EmailAddress {
        EmailAddress::parse(&self.tag.without(tagged.as_str())).expect("an address")
    }

    /// An empty code stays one.
    fn code(&self, plain: &str) -> String {
        if plain.is_empty() {
            return String::new();
        }
        self.tag.name(plain)
    }

    fn customer_to_be(&self, new: &NewCustomer) -> NewCustomer {
        NewCustomer {
            name: self.tag.name(&new.name),
            code: new.code.as_deref().map(|code| self.code(code)),
            ..new.clone()
        }
    }

    fn user_to_be(&self, new: &NewUser) -> NewUser {
        NewUser {
            email: self.address(&new.email),
            ..new.clone()
        }
    }

    fn plain_user(&self, user: PlatformUser) -> PlatformUser {
        PlatformUser {
            email: self.plain_address(&user.email),
            ..user
        }
    }

    fn plain_customer(&self, customer: PlatformCustomer) -> PlatformCustomer {
        PlatformCustomer {
            name: self.tag.without(&customer.name),
            ..customer
        }
    }
}

#[async_trait]
impl<P: Platform> Platform for Tagged<P> {
    fn id(&self) -> &PlatformId {
        self.platform.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.platform.capabilities()
    }

    fn takes_email(&self, email: &EmailAddress) -> bool {
        self.platform.takes_email(&self.address(email))
    }

    async fn user(&self, id: &UserId) -> Answer<Option<PlatformUser>> {
        let found = self.platform.user(id).await?;
        Ok(found.map(|user| self.plain_user(user)))
    }

    async fn user_by_email(&self, email: &EmailAddress) -> Answer<Option<PlatformUser>> {
        let found = self.platform.user_by_email(&self.address(email)).await?;
        Ok(found.map(|user| self.plain_user(user)))
    }

    async fn customer_by_code(&self, code: &str) -> Answer<Option<PlatformCustomer>> {
        let found = self.platform.customer_by_code(&self.code(code)).await?;
        Ok(found.map(|customer| self.plain_customer(customer)))
    }

    async fn customer(&self, id: &CustomerId) -> Answer<Option<PlatformCustomer>> {
        let found = self.platform.customer(id).await?;
        Ok(found.map(|customer| self.plain_customer(customer)))
    }

    async fn partner_by_code(&self, code: &str) -> Answer<Option<PlatformPartner>> {
        self.platform.partner_by_code(&self.code(code)).await
    }

    async fn administrators(&self, customer: &CustomerId) -> Answer<Vec<Administrator>> {
        let mut found = self.platform.administrators(customer).await?;
        for one in &mut found {
            one.email = self.plain_address(&one.email);
        }
        Ok(found)
    }

    async fn ensure_customer(&self, mark: &Mark, new: &NewCustomer) -> Answer<Made<CustomerId>> {
        let new = self.customer_to_be(new);
        self.platform.ensure_customer(mark, &new).await
    }

    async fn ensure_location(&self, mark: &Mark, new: &NewLocation) -> Answer<Made<LocationId>> {
        self.platform.ensure_location(mark, new).await
    }

    async fn ensure_user(
        &self,
        mark: &Mark,
        new: &NewUser,
        password: Option<&SecretString>,
    ) -> Answer<Made<UserId>> {
        let new = self.user_to_be(new);
        self.platform.ensure_user(mark, &new, password).await
    }

    async fn remove_customer(&self, mark: &Mark, new: &NewCustomer) -> Answer<Undone> {
        let new = self.customer_to_be(new);
        self.platform.remove_customer(mark, &new).await
    }

    async fn remove_location(&self, mark: &Mark, new: &NewLocation) -> Answer<Undone> {
        self.platform.remove_location(mark, new).await
    }

    async fn remove_user(&self, mark: &Mark, new: &NewUser) -> Answer<Undone> {
        self.platform.remove_user(mark, &self.user_to_be(new)).await
    }

    async fn profile(&self, user: &UserId) -> Answer<Option<Profile>> {
        let mut found = self.platform.profile(user).await?;
        if let Some(customer) = found.as_mut().and_then(|found| found.customer.as_mut()) {
            customer.name = self.tag.without(&customer.name);
        }
        Ok(found)
    }

    async fn update_profile(&self, user: &UserId, change: &ProfileChange) -> Answer<bool> {
        let change = ProfileChange {
            customer_name: change
                .customer_name
                .as_deref()
                .map(|name| self.tag.name(name)),
            ..change.clone()
        };
        self.platform.update_profile(user, &change).await
    }

    async fn update_roles(&self, user: &UserId, change: &RoleChange) -> Answer<bool> {
        self.platform.update_roles(user, change).await
    }

    async fn check_password(
        &self,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Answer<PasswordCheck> {
        let checked = self
            .platform
            .check_password(&self.address(email), password)
            .await?;
        Ok(match checked {
            PasswordCheck::Right(user) => PasswordCheck::Right(self.plain_user(user)),
            other => other,
        })
    }

    async fn set_password(&self, user: &UserId, password: &SecretString) -> Answer<bool> {
        self.platform.set_password(user, password).await
    }

    async fn password_rules(&self) -> Answer<Option<PasswordRules>> {
        self.platform.password_rules().await
    }
}
