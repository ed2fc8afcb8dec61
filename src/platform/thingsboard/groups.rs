//! Groups and roles of the Professional Edition. There, what a user may do comes from the groups
//! that they are in: without roles in the sign-up form those that every customer has, otherwise
//! one group of the customer's for each role.

use serde_json::json;

use super::ThingsBoard;
use super::client::Call;
use super::customers::{id_of, not_set_up};
use super::entity::{Entity, reference};
use super::trouble::{Oddity, Trouble};
use super::users::is_customers;
use crate::identity::Role;
use crate::platform::{NewUser, RoleChange};

/// Groups that every customer has.
pub(super) const ADMINISTRATORS: &str = "Customer Administrators";
const USERS: &str = "Customer Users";

/// A group that a new user is put into. There is none in the Community Edition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) group: String,
}

/// Who owns a group: kind and id.
type Owner<'a> = (&'static str, &'a str);

impl ThingsBoard {
    /// The groups that a new user of a customer is to be in, made where they are missing.
    pub(super) async fn seats(&self, customer: &str, new: &NewUser) -> Result<Vec<Seat>, Trouble> {
        let options = &new.options;
        if options.menu.is_some() {
            tracing::warn!("a menu is named in the sign-up form: ThingsBoard users get none");
        }
        if !self.is_professional().await? {
            if !options.roles.is_empty() {
                tracing::warn!("ThingsBoard Community Edition has no roles: they are left out");
            }
            return Ok(Vec::new());
        }
        let owner = ("CUSTOMER", customer);
        if options.roles.is_empty() {
            let name = if new.administrator {
                ADMINISTRATORS
            } else {
                USERS
            };
            let group = self.ensured_group(owner, "USER", name).await?;
            return Ok(vec![Seat { group }]);
        }
        let mut seats = Vec::new();
        for role in &options.roles {
            seats.push(self.seat_for(owner, role).await?);
        }
        Ok(seats)
    }

    /// Puts a user into groups; doing it twice is doing it once.
    pub(super) async fn seat(&self, user: &str, seats: &[Seat]) -> Result<(), Trouble> {
        for seat in seats {
            self.put_into(&seat.group, user).await?;
        }
        Ok(())
    }

    /// Puts a user into the customer's groups of these names, and takes them out of others; groups
    /// are not made. There are none in the Community Edition.
    pub(super) async fn change_roles(
        &self,
        user: &str,
        change: &RoleChange,
    ) -> Result<bool, Trouble> {
        if !self.is_professional().await? {
            tracing::warn!("ThingsBoard Community Edition has no roles: none is given or taken");
            return Ok(false);
        }
        let Some(entity) = self.user_entity(user).await?.filter(is_customers) else {
            return Ok(false);
        };
        let owner = (
            "CUSTOMER",
            entity.referenced("customerId").unwrap_or_default(),
        );
        for name in &change.take {
            if let Some(group) = self.group(owner, "USER", name).await? {
                self.take_out_of(&group, user).await?;
            }
        }
        for name in &change.give {
            let group = self.group(owner, "USER", name).await?;
            let group = group.ok_or_else(|| not_set_up("group", name))?;
            self.put_into(&group, user).await?;
        }
        Ok(true)
    }

    /// The customer's group for a role.
    async fn seat_for(&self, owner: Owner<'_>, role: &Role) -> Result<Seat, Trouble> {
        let search = Call::get(&["roles"]).by("textSearch", role.name.as_str());
        let listed = self.listing(&search).await?;
        let found = listed.iter().find(|one| one.text("name") == role.name);
        let id = id_of(found.ok_or_else(|| not_set_up("role", &role.name))?)?;
        let (name, about) = match &role.entity_group {
            None => (role.name.clone(), None),
            Some(about) => {
                let group = self.group_anywhere(about).await?;
                (format!("{}: {about}", role.name), Some(group))
            }
        };
        let group = self.ensured_group(owner, "USER", &name).await?;
        self.permit(&group, &id, about.as_deref()).await?;
        Ok(Seat { group })
    }

    async fn permit(
        &self,
        user_group: &str,
        role: &str,
        about: Option<&str>,
    ) -> Result<(), Trouble> {
        let is_it = |one: &Entity| {
            one.referenced("roleId") == Some(role) && one.referenced("entityGroupId") == about
        };
        if self.permissions(user_group).await?.iter().any(is_it) {
            return Ok(());
        }
        let record = Entity::of(json!({
            "userGroupId": reference("ENTITY_GROUP", user_group),
            "roleId": reference("ROLE", role),
            "entityGroupId": about.map(|group| reference("ENTITY_GROUP", group)),
        }));
        match self
            .client
            .tell(Call::post(&["groupPermission"]).with(&record))
            .await
        {
            Err(trouble) if trouble.says("already exists") => Ok(()),
            outcome => outcome,
        }
    }

    /// What a user group may do with which groups.
    pub(super) async fn permissions(&self, user_group: &str) -> Result<Vec<Entity>, Trouble> {
        let call = Call::get(&["userGroup", user_group, "groupPermissions"]);
        self.client.ask(call).await
    }

    /// The users in a group of a customer's.
    pub(super) async fn members(&self, customer: &str, name: &str) -> Result<Vec<Entity>, Trouble> {
        match self.group(("CUSTOMER", customer), "USER", name).await? {
            Some(group) => {
                self.listing(&Call::get(&["entityGroup", &group, "users"]))
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    /// Puts something into a group; doing it twice is doing it once.
    pub(super) async fn put_into(&self, group: &str, member: &str) -> Result<(), Trouble> {
        let call = Call::post(&["entityGroup", group, "addEntities"]);
        self.client.tell(call.repeatable().with(&[member])).await
    }

    /// Takes something out of a group; doing it twice is doing it once.
    async fn take_out_of(&self, group: &str, member: &str) -> Result<(), Trouble> {
        let call = Call::post(&["entityGroup", group, "deleteEntities"]);
        self.client.tell(call.repeatable().with(&[member])).await
    }

    /// A group of the tenant's that the operator has made.
    pub(super) async fn tenant_group(&self, kind: &str, name: &str) -> Result<String, Trouble> {
        let tenant = self.tenant().await?;
        let found = self.group(("TENANT", &tenant), kind, name).await?;
        found.ok_or_else(|| not_set_up("group", name))
    }

    /// A group of the tenant's for the gateway's own use.
    pub(super) async fn own_group(&self, kind: &str, name: &str) -> Result<String, Trouble> {
        let tenant = self.tenant().await?;
        self.ensured_group(("TENANT", &tenant), kind, name).await
    }

    /// A group of the tenant's, whatever is in it.
    async fn group_anywhere(&self, name: &str) -> Result<String, Trouble> {
        let tenant = self.tenant().await?;
        for kind in [
            "DEVICE",
            "ASSET",
            "DASHBOARD",
            "ENTITY_VIEW",
            "CUSTOMER",
            "USER",
        ] {
            if let Some(found) = self.group(("TENANT", &tenant), kind, name).await? {
                return Ok(found);
            }
        }
        Err(not_set_up("group", name))
    }

    async fn group(
        &self,
        (owner_kind, owner): Owner<'_>,
        kind: &str,
        name: &str,
    ) -> Result<Option<String>, Trouble> {
        let call = Call::get(&["entityGroup", owner_kind, owner, kind, name]);
        let found: Option<Entity> = self.client.find(call).await?;
        found.as_ref().map(id_of).transpose()
    }

    async fn ensured_group(
        &self,
        owner: Owner<'_>,
        kind: &str,
        name: &str,
    ) -> Result<String, Trouble> {
        if let Some(found) = self.group(owner, kind, name).await? {
            return Ok(found);
        }
        let (owner_kind, owner_id) = owner;
        let record = json!({
            "type": kind, "name": name, "ownerId": reference(owner_kind, owner_id),
        });
        match self
            .client
            .ask::<Entity>(Call::post(&["entityGroup"]).with(&record))
            .await
        {
            Ok(made) => id_of(&made),
            // Another node may have made it a moment ago.
            Err(trouble) => self.group(owner, kind, name).await?.ok_or(trouble),
        }
    }

    async fn tenant(&self) -> Result<String, Trouble> {
        let me: Entity = self.client.ask(Call::get(&["auth", "user"])).await?;
        let tenant = me.referenced("tenantId").map(str::to_owned);
        tenant.ok_or_else(|| Oddity::Missing("tenantId").into())
    }
}
