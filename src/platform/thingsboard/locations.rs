//! Locations: assets of a customer.
//!
//! The name of an asset is unique in the whole tenant, so that it has the customer's title in it;
//! what people see is its label. It is found again among the customer's assets, by the mark.

use serde_json::json;

use super::ThingsBoard;
use super::client::Call;
use super::customers::id_of;
use super::entity::{Entity, FIELDS, MARK, Page, names, reference};
use super::trouble::{Oddity, Trouble};
use crate::identity::{AccountType, LocationId};
use crate::platform::{Made, Mark, NewLocation, PlatformError, Undone};

/// Pages of a listing, and how many of them are read before it is too many.
pub(super) const PAGE_SIZE: &str = "100";
pub(super) const MOST_PAGES: u32 = 20;

impl ThingsBoard {
    pub(super) async fn make_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Made<LocationId>, Trouble> {
        let Some(customer) = self.customer_entity(new.customer.as_str()).await? else {
            let field = "customer".to_owned();
            return Err(PlatformError::Refused { field }.into());
        };
        if let Some(found) = self.marked_location(mark, new).await? {
            return Ok(Made::Found(LocationId::new(id_of(&found)?)));
        }
        let profile = match customer.account_type() {
            AccountType::Personal => "Home",
            AccountType::Business | AccountType::Partner => "Location",
        };
        let mut record = Entity::of(json!({
            "label": new.name,
            "type": profile,
            "customerId": reference("CUSTOMER", new.customer.as_str()),
            "additionalInfo": { MARK: mark.as_str(), FIELDS: new.fields },
        }));
        for name in names(&format!("{} / {}", customer.text("title"), new.name), mark) {
            record.set("name", name);
            match self
                .client
                .ask::<Entity>(Call::post(&["asset"]).with(&record))
                .await
            {
                Ok(made) => return Ok(Made::Created(LocationId::new(id_of(&made)?))),
                Err(trouble) if trouble.says("name already exists") => {
                    if let Some(found) = self.marked_location(mark, new).await? {
                        return Ok(Made::Found(LocationId::new(id_of(&found)?)));
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let field = "location".to_owned();
        Err(PlatformError::Refused { field }.into())
    }

    async fn marked_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Option<Entity>, Trouble> {
        let assets = self.assets_of(new.customer.as_str()).await?;
        Ok(assets.into_iter().find(|asset| asset.was_made_by(mark)))
    }

    /// A customer's assets, none where there is no such customer.
    async fn assets_of(&self, customer: &str) -> Result<Vec<Entity>, Trouble> {
        if !super::is_id(customer) {
            return Ok(Vec::new());
        }
        self.listing(&Call::get(&["customer", customer, "assets"]))
            .await
    }

    /// The customer's first location that the gateway made.
    pub(super) async fn first_location(&self, customer: &str) -> Result<Option<Entity>, Trouble> {
        let assets = self.assets_of(customer).await?;
        let ours = assets
            .into_iter()
            .filter(|asset| asset.info(MARK).is_some());
        Ok(ours.min_by_key(|asset| (asset.created(), asset.id().map(str::to_owned))))
    }

    pub(super) async fn undo_location(
        &self,
        mark: &Mark,
        new: &NewLocation,
    ) -> Result<Undone, Trouble> {
        match self.marked_location(mark, new).await? {
            Some(ours) => self.delete(&["asset", &id_of(&ours)?]).await,
            None => Ok(Undone::Absent),
        }
    }

    /// All pages of a listing; more than anybody has is an error, not a part.
    pub(super) async fn listing(&self, call: &Call) -> Result<Vec<Entity>, Trouble> {
        let mut all = Vec::new();
        for number in 0..MOST_PAGES {
            let call = call.clone().by("pageSize", PAGE_SIZE);
            let page: Option<Page<Entity>> = self
                .client
                .find(call.by("page", number.to_string()))
                .await?;
            let Some(page) = page else {
                return Ok(all);
            };
            all.extend(page.data);
            if !page.has_next {
                return Ok(all);
            }
        }
        Err(Oddity::TooMany.into())
    }
}
