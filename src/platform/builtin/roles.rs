//! Giving users roles and taking them away: `options` of the user, changed only if nobody else
//! changed it since it was read. A role that is about one group of things is another role.

use super::profile::{Contended, TRIES};
use super::{BuiltinPlatform, garbled, unreachable};
use crate::identity::{Role, UserId, UserOptions};
use crate::platform::{PlatformError, RoleChange};
use crate::{sql_execute, sql_fetch_optional};

impl BuiltinPlatform {
    /// Changes a user's roles; `false` when there is no such user.
    pub(super) async fn write_roles(
        &self,
        id: &UserId,
        change: &RoleChange,
    ) -> Result<bool, PlatformError> {
        let select = "SELECT options FROM builtin_users WHERE id = $1";
        let update = "UPDATE builtin_users SET options = $1 WHERE id = $2 AND options = $3";
        for _ in 0..TRIES {
            let found = sql_fetch_optional!(&self.database, (String,), select, id.as_str());
            let Some((before,)) = found.map_err(unreachable)? else {
                return Ok(false);
            };
            let options: UserOptions = serde_json::from_str(&before).map_err(garbled)?;
            let changed = with_roles(options.clone(), change);
            if changed == options {
                return Ok(true);
            }
            let after = serde_json::to_string(&changed).map_err(garbled)?;
            let written = sql_execute!(&self.database, update, after, id.as_str(), &before);
            if written.map_err(unreachable)? > 0 {
                return Ok(true);
            }
        }
        Err(garbled(Contended))
    }
}

fn with_roles(mut options: UserOptions, change: &RoleChange) -> UserOptions {
    let is = |role: &Role, name: &str| role.name == name && role.entity_group.is_none();
    options
        .roles
        .retain(|role| !change.take.iter().any(|name| is(role, name)));
    for name in &change.give {
        if !options.roles.iter().any(|role| is(role, name)) {
            options.roles.push(Role {
                name: name.clone(),
                entity_group: None,
            });
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_that_are_named_change() {
        let options = |names: &[(&str, Option<&str>)]| UserOptions {
            roles: names
                .iter()
                .map(|(name, about)| Role {
                    name: (*name).to_owned(),
                    entity_group: about.map(str::to_owned),
                })
                .collect(),
            ..UserOptions::default()
        };
        let before = options(&[
            ("viewer", None),
            ("operator", Some("Pumps")),
            ("guest", None),
        ]);
        let change = RoleChange {
            give: ["auditor".to_owned(), "viewer".to_owned()].into(),
            take: ["operator".to_owned(), "guest".to_owned()].into(),
        };
        let after = with_roles(before, &change);
        let expected = [
            ("viewer", None),
            ("operator", Some("Pumps")),
            ("auditor", None),
        ];
        assert_eq!(after, options(&expected));
        assert_eq!(with_roles(after.clone(), &change), after);
    }
}
