//! Users of customers.
//!
//! There is no question for one address: the search takes it as a pattern, in any case, over the
//! whole tenant, so that what it finds is compared again. Addresses are unique over all tenants and
//! by case (`A@x` and `a@x` are two); those of other tenants are invisible, and show only as a
//! refusal.
//!
//! A user may change their own address and `additionalInfo` without proving anything. Nothing of
//! that is believed: an address proves something only as long as the user has never been let in
//! ([`PlatformUser::email_proves`]), and of two spellings of one address neither gets anybody in. In
//! the Professional Edition no address proves anything, because customers make users themselves and
//! put down whatever address they like.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::Call;
use super::customers::id_of;
use super::entity::{Entity, FIELDS, MARK, reference};
use super::groups::Seat;
use super::trouble::Trouble;
use super::{ThingsBoard, is_id};
use crate::identity::{CustomerId, DefaultDashboard, EmailAddress, HomeDashboard, UserId};
use crate::platform::{BelongsTo, Made, Mark, NewUser, PlatformError, PlatformUser, Undone};

/// The only authority that is ever an account.
pub(super) const CUSTOMER_USER: &str = "CUSTOMER_USER";

impl ThingsBoard {
    /// The user with this id, with what ThingsBoard fills in when one alone is asked for.
    pub(super) async fn user_entity(&self, id: &str) -> Result<Option<Entity>, Trouble> {
        if !is_id(id) {
            return Ok(None);
        }
        self.client.find(Call::get(&["user", id])).await
    }

    /// The user with this address, in any spelling.
    pub(super) async fn user_addressed(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<PlatformUser>, Trouble> {
        let found = self.users_addressed(email).await?;
        let exact = found
            .iter()
            .find(|user| user.text("email") == email.as_str());
        let Some(user) = exact.or(found.first()) else {
            return Ok(None);
        };
        let mut standing = self.standing(user).await?;
        if found.len() > 1 {
            tracing::warn!(
                user = user.id(),
                "two users in ThingsBoard differ in the case of one address: neither is linked"
            );
            standing.email_proves = false;
            standing.has_password = false;
        }
        Ok(Some(standing))
    }

    /// Every user whose address is this one in any spelling, each as if asked for alone.
    pub(super) async fn users_addressed(
        &self,
        email: &EmailAddress,
    ) -> Result<Vec<Entity>, Trouble> {
        let call = if self.is_professional().await? {
            Call::get(&["userInfos", "all"]).by("includeCustomers", "true")
        } else {
            Call::get(&["users"])
        };
        let listed = self.listing(&call.by("textSearch", email.as_str())).await?;
        let mut found = Vec::new();
        for user in listed.iter().filter(|user| has_address(user, email)) {
            let user = self.user_entity(&id_of(user)?).await?;
            found.extend(user.filter(|user| has_address(user, email)));
        }
        Ok(found)
    }

    /// A user in the words of the seam. Whoever is no customer's user is never let in.
    pub(super) async fn standing(&self, user: &Entity) -> Result<PlatformUser, Trouble> {
        let email = EmailAddress::parse(user.text("email"));
        let email = email.map_err(|error| PlatformError::Garbled(Box::new(error)))?;
        let customer = user.referenced("customerId").filter(|_| is_customers(user));
        let Some(customer) = customer else {
            return Ok(PlatformUser {
                id: UserId::new(id_of(user)?),
                email,
                customer: None,
                account_type: None,
                enabled: false,
                has_password: false,
                email_proves: false,
            });
        };
        let access = self.access(user).await?;
        Ok(PlatformUser {
            id: UserId::new(id_of(user)?),
            email,
            account_type: self.account_type_of(customer).await?,
            customer: Some(CustomerId::new(customer)),
            enabled: access != Access::Blocked,
            has_password: access == Access::Open,
            email_proves: access == Access::NeverOpened && !self.is_professional().await?,
        })
    }

    /// How a user stands. Versions before 3.9 keep it in `additionalInfo`, where a user can have
    /// written `userActivated` before staff blocked them: that somebody was never let in is believed
    /// of the activation link alone, which is ThingsBoard's own.
    async fn access(&self, user: &Entity) -> Result<Access, Trouble> {
        let says = |key: &str| user.info(key).and_then(Value::as_bool);
        let enabled = says("userCredentialsEnabled");
        match (enabled, says("userActivated")) {
            (Some(true), _) => return Ok(Access::Open),
            (Some(false), Some(true) | None) => return Ok(Access::Blocked),
            (Some(false), Some(false)) | (None, _) => {}
        }
        let has_link = self.activation_token(&id_of(user)?).await?.is_some();
        Ok(match (has_link, enabled) {
            (true, _) => Access::NeverOpened,
            (false, None) => Access::Open,
            (false, Some(_)) => Access::Blocked,
        })
    }

    /// Makes the user, in the order that leaves nobody before a closed door: dashboards first, then
    /// the user, what they may do, and last the password that lets them in.
    pub(super) async fn make_user(
        &self,
        mark: &Mark,
        new: &NewUser,
        password: Option<&SecretString>,
    ) -> Result<Made<UserId>, Trouble> {
        let BelongsTo::Customer(customer) = &new.belongs_to else {
            let field = "partner".to_owned();
            return Err(PlatformError::Refused { field }.into());
        };
        if self.account_type_of(customer.as_str()).await?.is_none() {
            let field = "customer".to_owned();
            return Err(PlatformError::Refused { field }.into());
        }
        let seats = self.seats(customer.as_str(), new).await?;
        let record = self.user_record(mark, new, (customer, &seats)).await?;
        let made = self.found_or_made(mark, new, record).await?;
        let (Made::Created(id) | Made::Found(id)) = &made;
        self.seat(id, &seats).await?;
        if new.administrator {
            self.appoint(customer.as_str(), id).await?;
        }
        self.activate(id, password).await?;
        Ok(made.map(UserId::new))
    }

    async fn found_or_made(
        &self,
        mark: &Mark,
        new: &NewUser,
        record: Entity,
    ) -> Result<Made<String>, Trouble> {
        if let Some(found) = self.marked_user(mark, new).await? {
            return Ok(Made::Found(found));
        }
        // Never with ThingsBoard's own letter: it comes from another sender, and when it cannot be
        // sent the user is deleted.
        let call = Call::post(&["user"]).by("sendActivationMail", "false");
        match self.client.ask::<Entity>(call.with(&record)).await {
            Ok(made) => Ok(Made::Created(id_of(&made)?)),
            Err(trouble) if trouble.says("already present in database") => {
                // Another node may have made it a moment ago; or it is another tenant's.
                let found = self.marked_user(mark, new).await?;
                found
                    .map(Made::Found)
                    .ok_or(PlatformError::EmailTaken.into())
            }
            Err(trouble) if trouble.says("Invalid email address") => {
                let field = "email".to_owned();
                Err(PlatformError::Refused { field }.into())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The user that this mark made; `EmailTaken` where the address is somebody else's.
    async fn marked_user(&self, mark: &Mark, new: &NewUser) -> Result<Option<String>, Trouble> {
        let found = self.users_addressed(&new.email).await?;
        let ours = found.iter().find(|user| is_ours(user, mark, new));
        match ours {
            Some(ours) => id_of(ours).map(Some),
            None if found.is_empty() => Ok(None),
            None => Err(PlatformError::EmailTaken.into()),
        }
    }

    async fn user_record(
        &self,
        mark: &Mark,
        new: &NewUser,
        (customer, seats): (&CustomerId, &[Seat]),
    ) -> Result<Entity, Trouble> {
        let (first, last) = split_name(&new.name);
        let mut fields = new.fields.clone();
        let phone = fields.remove("phone");
        let mut record = Entity::of(json!({
            "email": new.email.as_str(),
            "authority": CUSTOMER_USER,
            "firstName": first,
            "lastName": last,
            "phone": phone,
            "customerId": reference("CUSTOMER", customer.as_str()),
            "additionalInfo": {
                MARK: mark.as_str(),
                FIELDS: fields,
                "lang": locale(&new.language),
            },
        }));
        let place = (customer.as_str(), seats);
        if let Some(DefaultDashboard { title, full_screen }) = &new.options.default_dashboard {
            let id = self.shown_dashboard(title, place).await?;
            record.set_info("defaultDashboardId", id);
            record.set_info("defaultDashboardFullscreen", *full_screen);
        }
        if let Some(home) = &new.options.home_dashboard {
            let HomeDashboard {
                title,
                hide_toolbar,
            } = home;
            let id = self.shown_dashboard(title, place).await?;
            record.set_info("homeDashboardId", id);
            record.set_info("homeDashboardHideToolbar", *hide_toolbar);
        }
        Ok(record)
    }

    pub(super) async fn undo_user(&self, mark: &Mark, new: &NewUser) -> Result<Undone, Trouble> {
        let found = self.users_addressed(&new.email).await?;
        match found.iter().find(|user| is_ours(user, mark, new)) {
            Some(ours) => self.delete(&["user", &id_of(ours)?]).await,
            None => Ok(Undone::Absent),
        }
    }
}

/// Whether a user may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// With a password.
    Open,
    /// They have never had a password; so nobody can have changed anything as them.
    NeverOpened,
    /// Staff has closed it.
    Blocked,
}

/// Whether it is a customer's user; administrators of any kind never are accounts.
pub(super) fn is_customers(user: &Entity) -> bool {
    user.text("authority") == CUSTOMER_USER
}

/// Whether a registration made this user: by the mark, in the customer that it is about.
fn is_ours(user: &Entity, mark: &Mark, new: &NewUser) -> bool {
    let BelongsTo::Customer(customer) = &new.belongs_to else {
        return false;
    };
    is_customers(user)
        && user.referenced("customerId") == Some(customer.as_str())
        && user.was_made_by(mark)
}

fn has_address(user: &Entity, email: &EmailAddress) -> bool {
    let theirs = EmailAddress::parse(user.text("email"));
    theirs.is_ok_and(|theirs| theirs.folded() == email.folded())
}

/// First and last names; the last word is the last name.
pub(super) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.trim().rsplit_once(' ') {
        Some((first, last)) => (Some(first.trim_end()), last),
        None => (None, name.trim()),
    }
}

/// First and last names as one.
pub(super) fn whole_name(user: &Entity) -> String {
    let parts = [user.text("firstName"), user.text("lastName")];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// A language tag as ThingsBoard writes it: `it_IT`.
pub(super) fn locale(language: &str) -> String {
    let known = [
        ("ar", "ar_AE"),
        ("ca", "ca_ES"),
        ("cs", "cs_CZ"),
        ("da", "da_DK"),
        ("el", "el_GR"),
        ("en", "en_US"),
        ("fa", "fa_IR"),
        ("ja", "ja_JP"),
        ("ka", "ka_GE"),
        ("ko", "ko_KR"),
        ("pt", "pt_BR"),
        ("sl", "sl_SI"),
        ("sv", "sv_SE"),
        ("uk", "uk_UA"),
        ("zh", "zh_CN"),
    ];
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    let found = known.iter().find(|(tag, _)| *tag == primary);
    found.map_or_else(
        || format!("{primary}_{}", primary.to_ascii_uppercase()),
        |(_, locale)| (*locale).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_last_word() {
        assert_eq!(split_name("Mario Rossi"), (Some("Mario"), "Rossi"));
        assert_eq!(
            split_name(" Maria Grazia  Rossi "),
            (Some("Maria Grazia"), "Rossi")
        );
        assert_eq!(split_name("Acme"), (None, "Acme"));
    }

    #[test]
    fn languages_are_written_its_way() {
        assert_eq!(locale("it"), "it_IT");
        assert_eq!(locale("en"), "en_US");
        assert_eq!(locale("de-AT"), "de_DE");
    }
}
