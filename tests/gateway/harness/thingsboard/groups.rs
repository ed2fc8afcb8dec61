//! Groups, roles and permissions of the Professional Edition.

use axum::http::Method;
use serde_json::{Value, json};

use super::door::{Answer, Question};
use super::people::id_in;
use super::refusal::Refusal;
use super::state::{Group, State, is_like, new_id, now, page, reference};

impl State {
    pub fn group_question(
        &mut self,
        path: &[&str],
        question: &Question,
    ) -> Option<Result<Answer, Refusal>> {
        if !self.is_professional() {
            return None;
        }
        let (get, post) = (&Method::GET, &Method::POST);
        Some(match (&question.method, path) {
            (m, ["entityGroup", owner_kind, owner, kind, name]) if m == get => {
                self.group_named(kind, name, (*owner_kind, *owner))
            }
            (m, ["entityGroup"]) if m == post => self.save_group(&question.body),
            (m, ["entityGroup", id, "addEntities"]) if m == post => {
                let ids = question.body.as_array().cloned().unwrap_or_default();
                let all = ids
                    .iter()
                    .map(|one| self.enter_group(id, one.as_str().unwrap_or("")));
                all.collect::<Result<Vec<()>, _>>().map(|_| Answer::Nothing)
            }
            (m, ["entityGroup", id, "deleteEntities"]) if m == post => {
                let ids = question.body.as_array().cloned().unwrap_or_default();
                let all = ids
                    .iter()
                    .map(|one| self.leave_group(id, one.as_str().unwrap_or("")));
                all.collect::<Result<Vec<()>, _>>().map(|_| Answer::Nothing)
            }
            (m, ["entityGroup", id, "users"]) if m == get => {
                let members = self.groups.get(*id).map(|group| group.members.clone());
                let users = members.into_iter().flatten();
                let users = users.filter_map(|user| self.users.get(&user));
                page(
                    users.map(|user| user.record.clone()).collect(),
                    &question.query,
                )
                .map(Answer::Json)
            }
            (m, ["entityGroup", id, "share"]) if m == post => self.share(id, &question.body),
            (m, ["roles"]) if m == get => {
                let text = question.query.get("textSearch").map_or("", String::as_str);
                let all = self.roles.values();
                let found = all.filter(|one| is_like(one["name"].as_str().unwrap_or(""), text));
                page(found.cloned().collect(), &question.query).map(Answer::Json)
            }
            (m, ["userGroup", id, "groupPermissions"]) if m == get => {
                let all = self.permissions.iter();
                let found = all.filter(|one| one["userGroupId"]["id"] == *id);
                Ok(Answer::Json(found.cloned().collect()))
            }
            (m, ["groupPermission"]) if m == post => self.save_permission(&question.body),
            _ => return None,
        })
    }

    pub fn add_group(
        &mut self,
        kind: &str,
        name: &str,
        (owner_kind, owner): (&str, &str),
    ) -> String {
        let id = new_id();
        let record = json!({
            "id": reference("ENTITY_GROUP", &id), "type": kind, "name": name,
            "createdTime": now(), "ownerId": reference(owner_kind, owner),
        });
        let members = vec![];
        self.groups.insert(id.clone(), Group { record, members });
        id
    }

    /// What every customer has from the start.
    pub fn make_groups_of(&mut self, customer: &str) {
        if self.is_professional() {
            for name in ["All", "Customer Users", "Customer Administrators"] {
                self.add_group("USER", name, ("CUSTOMER", customer));
            }
        }
    }

    pub fn add_role(&mut self, name: &str, is_generic: bool) -> String {
        let id = new_id();
        let kind = if is_generic { "GENERIC" } else { "GROUP" };
        let record = json!({ "id": reference("ROLE", &id), "name": name, "type": kind });
        self.roles.insert(id.clone(), record);
        id
    }

    pub fn enter_group(&mut self, group: &str, member: &str) -> Result<(), Refusal> {
        let group = self.groups.get_mut(group).ok_or_else(Refusal::nothing)?;
        if !group.members.iter().any(|one| one == member) {
            group.members.push(member.to_owned());
        }
        Ok(())
    }

    fn leave_group(&mut self, group: &str, member: &str) -> Result<(), Refusal> {
        let group = self.groups.get_mut(group).ok_or_else(Refusal::nothing)?;
        group.members.retain(|one| one != member);
        Ok(())
    }

    pub fn leave_groups(&mut self, member: &str) {
        for group in self.groups.values_mut() {
            group.members.retain(|one| one != member);
        }
    }

    fn find_group(&self, kind: &str, name: &str, owner: &str) -> Option<&Group> {
        self.groups.values().find(|group| {
            group.record["type"] == kind
                && group.record["name"] == name
                && group.record["ownerId"]["id"] == owner
        })
    }

    fn group_named(
        &self,
        kind: &str,
        name: &str,
        (_, owner): (&str, &str),
    ) -> Result<Answer, Refusal> {
        let found = self.find_group(kind, name, id_in(owner)?);
        let found = found.ok_or_else(Refusal::nothing)?;
        Ok(Answer::Json(found.record.clone()))
    }

    fn save_group(&mut self, body: &Value) -> Result<Answer, Refusal> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text("type"), text("name"));
        let tenant = reference("TENANT", &self.tenant);
        let owner = if body["ownerId"].is_object() {
            &body["ownerId"]
        } else {
            &tenant
        };
        let owner_of = |name: &str| owner[name].as_str().unwrap_or_default().to_owned();
        let (owner_kind, owner) = (owner_of("entityType"), owner_of("id"));
        if self.find_group(&kind, &name, &owner).is_some() {
            return Err(Refusal::bad("Entity Group with such name already exists!"));
        }
        let id = self.add_group(&kind, &name, (&owner_kind, &owner));
        Ok(Answer::Json(self.groups[&id].record.clone()))
    }

    /// Shares a group with a user group, by a role that is made if need be.
    fn share(&mut self, group: &str, body: &Value) -> Result<Answer, Refusal> {
        self.groups.get(group).ok_or_else(Refusal::nothing)?;
        let name = "Entity Group Read-only User";
        let known = self.roles.iter().find(|(_, role)| role["name"] == name);
        let known = known.map(|(id, _)| id.clone());
        let role = known.unwrap_or_else(|| self.add_role(name, false));
        self.save_permission(&json!({
            "userGroupId": body["userGroupId"], "roleId": reference("ROLE", &role),
            "entityGroupId": reference("ENTITY_GROUP", group),
        }))?;
        Ok(Answer::Nothing)
    }

    fn save_permission(&mut self, body: &Value) -> Result<Answer, Refusal> {
        let role = body["roleId"]["id"].as_str().unwrap_or_default();
        let role = self.roles.get(role).ok_or_else(Refusal::nothing)?;
        let has_group = body["entityGroupId"].is_object();
        if (role["type"] == "GENERIC") == has_group {
            return Err(Refusal::bad("Group permission does not fit its role"));
        }
        let same = |one: &Value| {
            ["userGroupId", "roleId", "entityGroupId"]
                .iter()
                .all(|key| one[key] == body[key])
        };
        if self.permissions.iter().any(same) {
            return Err(Refusal::bad(
                "Group Permission with such roleId, userGroupId, entityGroupId already exists!",
            ));
        }
        let mut record = body.clone();
        record["id"] = reference("GROUP_PERMISSION", &new_id());
        self.permissions.push(record.clone());
        Ok(Answer::Json(record))
    }

    pub fn groups_of(&self, member: &str) -> Vec<String> {
        let groups = self.groups.values();
        let groups = groups.filter(|group| group.members.iter().any(|one| one == member));
        groups
            .filter_map(|group| group.record["name"].as_str().map(str::to_owned))
            .collect()
    }

    pub fn permissions_of(&self, user_group: &str) -> Vec<(String, Option<String>)> {
        let name_of = |id: &Value| self.groups.get(id.as_str()?)?.record["name"].as_str();
        let role_of = |id: &Value| self.roles.get(id.as_str()?)?["name"].as_str();
        let all = self.permissions.iter();
        let all = all.filter(|one| name_of(&one["userGroupId"]["id"]) == Some(user_group));
        let pair = |one: &Value| {
            let role = role_of(&one["roleId"]["id"])?.to_owned();
            Some((
                role,
                name_of(&one["entityGroupId"]["id"]).map(str::to_owned),
            ))
        };
        all.filter_map(pair).collect()
    }

    /// Whether one of the user's groups has a role on a group with the dashboard in it.
    pub fn shares(&self, user: &str, dashboard: &str) -> bool {
        let has = |group: &Value, member: &str| {
            let group = group.as_str().and_then(|id| self.groups.get(id));
            group.is_some_and(|group| group.members.iter().any(|one| one == member))
        };
        self.permissions.iter().any(|one| {
            has(&one["userGroupId"]["id"], user) && has(&one["entityGroupId"]["id"], dashboard)
        })
    }
}
