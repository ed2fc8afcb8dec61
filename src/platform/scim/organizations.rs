//! Customers as the `organization` of users (RFC 7643, section 4.3): a customer is there as soon as
//! a user has it.
//!
//! Nothing keeps two companies from having one name, so that the customer's id is its organisation
//! code, or else its name with a few letters of the mark behind it: whoever writes the name of
//! somebody else's company into a form does not come into that company.

use super::Scim;
use super::filter;
use super::resource::{ENTERPRISE, Kind, Resource};
use super::trouble::Trouble;
use super::user_record::account_type;
use crate::identity::{AccountType, CustomerId};
use crate::platform::{Made, Mark, NewCustomer, PlatformCustomer, PlatformError, Undone};
use crate::seal;

/// So many letters tell customers of one name apart.
const TAG: usize = 8;

impl Scim {
    /// The customer with this id, or this code, which is the same.
    pub(super) async fn organization(&self, id: &str) -> Result<Option<PlatformCustomer>, Trouble> {
        let users = self.users_in(id).await?;
        Ok(users.first().map(|user| PlatformCustomer {
            id: CustomerId::new(id),
            name: id.to_owned(),
            account_type: account_type(user).unwrap_or(AccountType::Business),
        }))
    }

    async fn users_in(&self, organization: &str) -> Result<Vec<Resource>, Trouble> {
        if organization.is_empty() {
            return Ok(Vec::new());
        }
        let attribute = format!("{ENTERPRISE}:organization");
        let filter = filter::equal(&attribute, organization);
        let listed = self.listed(Kind::User, &filter).await?;
        let is_in =
            |user: &Resource| user.extended_text(ENTERPRISE, "organization") == organization;
        Ok(listed.into_iter().filter(is_in).collect())
    }

    /// What the customer is called from now on; there is nothing to be made yet.
    pub(super) async fn name_organization(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Made<CustomerId>, Trouble> {
        let id = id_for(mark, new);
        let users = self.users_in(&id).await?;
        if users.is_empty() {
            return Ok(Made::Created(CustomerId::new(id)));
        }
        let is_ours = |user: &Resource| user.text("externalId") == mark.as_str();
        if users.iter().any(is_ours) {
            return Ok(Made::Found(CustomerId::new(id)));
        }
        Err(PlatformError::CodeTaken.into())
    }

    /// Nothing was made, and nothing is left once the user is gone.
    pub(super) async fn undo_organization(
        &self,
        mark: &Mark,
        new: &NewCustomer,
    ) -> Result<Undone, Trouble> {
        let users = self.users_in(&id_for(mark, new)).await?;
        Ok(if users.is_empty() {
            Undone::Absent
        } else {
            Undone::Kept
        })
    }
}

fn id_for(mark: &Mark, new: &NewCustomer) -> String {
    let code = new.code.as_ref().filter(|code| !code.is_empty());
    code.cloned().unwrap_or_else(|| tagged(&new.name, mark))
}

/// A name that nobody else's registration comes to.
pub(super) fn tagged(name: &str, mark: &Mark) -> String {
    let tag = seal::digest(mark.as_str().as_bytes());
    let tag = tag.chars().filter(char::is_ascii_alphanumeric).take(TAG);
    format!("{name} ({})", tag.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_themselves_into_a_company() {
        let [one, other] = ["a", "b"].map(|mark| tagged("Acme", &Mark::new(mark)));
        assert_ne!(one, other);
        assert!(one.starts_with("Acme (") && one.len() == "Acme ()".len() + TAG);
    }
}
