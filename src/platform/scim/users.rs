//! Users, found again by mark and address.
//!
//! A user name is unique on a server in any case (RFC 7643, section 4.1.1); other addresses are not.
//! Whether users may put down addresses without proving them is the operator's to know: unless the
//! operator says that they prove something, they do not.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::change::{Change, Place};
use super::client::Call;
use super::resource::{ENTERPRISE, Kind, Resource};
use super::trouble::{Oddity, Trouble};
use super::user_record::{account_type, addresses, has_address, is_active, record};
use super::{Scim, customers, filter};
use crate::identity::{CustomerId, EmailAddress, UserId};
use crate::platform::{BelongsTo, Made, Mark, NewUser, PlatformError, PlatformUser, Undone};

impl Scim {
    /// The user with this id.
    pub(super) async fn user_with_id(&self, id: &str) -> Result<Option<PlatformUser>, Trouble> {
        match self.client.find(Kind::User, id).await? {
            Some(user) => Ok(Some(self.standing(&user).await?)),
            None => Ok(None),
        }
    }

    /// The user with this address, in any spelling. Of several none is believed.
    pub(super) async fn user_addressed(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, Trouble> {
        let found = self.users_addressed(email).await?;
        let by_name = found.iter().find(|user| is_named(user, email));
        let Some(user) = by_name.or(found.first()) else {
            return Ok(None);
        };
        let mut standing = self.standing(user).await?;
        if found.len() > 1 {
            tracing::warn!(
                user = standing.id.as_str(),
                "several users of the SCIM server have one address: none is linked by mail"
            );
            standing.email_proves = false;
        }
        Ok(Some(standing))
    }

    async fn users_addressed(&self, email: &EmailAddress) -> Result<Vec<Resource>, Trouble> {
        let spellings = BTreeSet::from([email.as_str().to_owned(), email.folded()]);
        let mut found: Vec<Resource> = Vec::new();
        for attribute in ["userName", "emails.value"] {
            for spelling in &spellings {
                let listed = match self
                    .listed(Kind::User, &filter::equal(attribute, spelling))
                    .await
                {
                    // Some servers look for users by few attributes only.
                    Err(trouble) if attribute != "userName" && trouble.is_about_filter() => {
                        continue;
                    }
                    listed => listed?,
                };
                for user in listed.into_iter().filter(|user| has_address(user, email)) {
                    if !found
                        .iter()
                        .any(|known| known.text("id") == user.text("id"))
                    {
                        found.push(user);
                    }
                }
            }
        }
        Ok(found)
    }

    /// A user in the words of the seam.
    pub(super) async fn standing(&self, user: &Resource) -> Result<PlatformUser, Trouble> {
        let email = addresses(user)
            .into_iter()
            .next()
            .ok_or(Oddity::NoAddress)?;
        let (customer, type_of_customer) = self.customer_of(user).await?;
        Ok(PlatformUser {
            id: UserId::new(user.id()?),
            email,
            customer,
            account_type: type_of_customer.or_else(|| account_type(user)),
            enabled: is_active(user),
            has_password: false,
            email_proves: self.settings.email_proves,
        })
    }

    /// The customer that a user belongs to, with its type.
    async fn customer_of(
        &self,
        user: &Resource,
    ) -> Result<(Option<CustomerId>, Option<crate::identity::AccountType>), Trouble> {
        if !self.has_groups() {
            let organization = user.extended_text(ENTERPRISE, "organization");
            let customer = (!organization.is_empty()).then(|| CustomerId::new(organization));
            return Ok((customer, None));
        }
        let Some(group) = self.group_of(user).await? else {
            return Ok((None, None));
        };
        let customer = customers::as_customer(&group)?;
        Ok((Some(customer.id), Some(customer.account_type)))
    }

    /// Makes the user and puts them into their customer.
    pub(super) async fn make_user(
        &self,
        mark: &Mark,
        new: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, Trouble> {
        let BelongsTo::Customer(customer) = &new.belongs_to else {
            return Err(refused("partner"));
        };
        if self.has_groups() && self.customer_group(customer.as_str()).await?.is_none() {
            return Err(refused("customer"));
        }
        warn_of_options(new);
        let made = self.found_or_made(mark, new, password).await?;
        if self.has_groups() {
            let (Made::Created(id) | Made::Found(id)) = &made;
            self.let_in(customer.as_str(), id, new.administrator)
                .await?;
        }
        Ok(made.map(UserId::new))
    }

    async fn found_or_made(
        &self,
        mark: &Mark,
        new: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<String>, Trouble> {
        if let Some(found) = self.marked_user(mark, new).await? {
            return Ok(Made::Found(found.id()?.to_owned()));
        }
        if !self.users_addressed(&new.email).await?.is_empty() {
            return Err(PlatformError::EmailTaken.into());
        }
        let organization = match &new.belongs_to {
            BelongsTo::Customer(customer) if !self.has_groups() => Some(customer.as_str()),
            _ => None,
        };
        let offer = self.offer().await?;
        let record = record(mark, new, (offer, organization), password);
        let call = Call::post(&[Kind::User.path()]);
        match self.client.resource(call.with(&record.0.into())).await {
            Ok(made) => Ok(Made::Created(made.id()?.to_owned())),
            Err(trouble) if trouble.is_taken() => {
                // Another node may have made it a moment ago.
                let found = self.marked_user(mark, new).await?;
                let found = found.ok_or(PlatformError::EmailTaken)?;
                Ok(Made::Found(found.id()?.to_owned()))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The user that this mark made.
    async fn marked_user(&self, mark: &Mark, new: &NewUser) -> Result<Option<Resource>, Trouble> {
        let filter = filter::equal("externalId", mark.as_str());
        let listed = self.listed(Kind::User, &filter).await?;
        let is_ours = |user: &Resource| {
            user.text("externalId") == mark.as_str() && has_address(user, &new.email)
        };
        Ok(listed.into_iter().find(is_ours))
    }

    /// Takes the user out of the customer first: not every server does that by itself.
    pub(super) async fn undo_user(&self, mark: &Mark, new: &NewUser) -> Result<Undone, Trouble> {
        let Some(ours) = self.marked_user(mark, new).await? else {
            return Ok(Undone::Absent);
        };
        let id = ours.id()?.to_owned();
        if let (BelongsTo::Customer(customer), true) = (&new.belongs_to, self.has_groups()) {
            self.let_out(customer.as_str(), &id).await?;
        }
        match self.client.find(Kind::User, &id).await? {
            Some(ours) => {
                let removed = self.delete(Kind::User, &ours).await?;
                Ok(removed.ok_or(PlatformError::Busy { retry_after: None })?)
            }
            None => Ok(Undone::Removed),
        }
    }

    pub(super) async fn give_password(
        &self,
        user: &str,
        password: &SecretString,
    ) -> Result<bool, Trouble> {
        if !self.offer().await?.passwords {
            return Ok(false);
        }
        let is_out = self.client.find(Kind::User, user).await?;
        if is_out.is_none_or(|user| !is_active(&user)) {
            return Ok(false);
        }
        let change = Change::Replace(Place::core("password"), json!(password.expose_secret()));
        self.change((Kind::User, user), |_| vec![change.clone()])
            .await
    }
}

fn is_named(user: &Resource, email: &EmailAddress) -> bool {
    let name = EmailAddress::parse(user.text("userName"));
    name.is_ok_and(|name| name.folded() == email.folded())
}

/// Data that the server would not take.
fn refused(field: &str) -> Trouble {
    PlatformError::Refused {
        field: field.to_owned(),
    }
    .into()
}

/// Says what of a sign-up form has no place here.
fn warn_of_options(new: &NewUser) {
    let options = &new.options;
    let is_shown = options.default_dashboard.is_some() || options.home_dashboard.is_some();
    let has_groups = options.roles.iter().any(|role| role.entity_group.is_some());
    if is_shown || options.menu.is_some() || has_groups {
        tracing::warn!(
            "the sign-up form names dashboards, a menu or a role's group: SCIM has none of these"
        );
    }
}
