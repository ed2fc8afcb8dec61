//! What is to be written of what claims say, given what was last written. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::claimed::Claimed;
use crate::identity::{Issuer, Subject};
use crate::platform::{Profile, ProfileChange, RoleChange};
use crate::policy::attributes::Write;
use crate::seal;

/// What was last written: digests of values, and roles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) values: BTreeMap<String, String>,
    pub(super) roles: BTreeMap<String, bool>,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Due {
    /// Whose claims say so.
    pub(super) by: (Issuer, Subject),
    pub(super) values: BTreeMap<String, DueValue>,
    pub(super) roles: BTreeMap<String, bool>,
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DueValue {
    pub(super) value: Value,
    /// Whether it is written only where the platform has nothing.
    pub(super) if_empty: bool,
}

impl Written {
    /// Takes values for written, as far as claims say something about these.
    pub(super) fn take_for_written(&mut self, claimed: &Claimed, given: &[&str]) {
        for slot in given {
            if let Some(said) = claimed.values.get(*slot) {
                let written = self.values.entry((*slot).to_owned());
                written.or_insert_with(|| digest(&said.value));
            }
        }
    }

    /// Values that were written.
    pub(super) fn values_written(&mut self, due: &Due) {
        let values = due.values.iter();
        let digests = values.map(|(slot, due)| (slot.clone(), digest(&due.value)));
        self.values.extend(digests);
    }

    /// Roles that were written.
    pub(super) fn roles_written(&mut self, due: &Due) {
        self.roles.extend(due.roles.clone());
    }
}

impl Due {
    /// What is to be written now; none where nothing is. What was to be written before and may or
    /// may not have been, is written again, with what is said now.
    pub(super) fn of(
        claimed: &Claimed,
        by: (Issuer, Subject),
        written: &Written,
        before: Option<Self>,
    ) -> Option<Self> {
        let (mut values, mut roles) =
            before.map_or_else(Default::default, |due| (due.values, due.roles));
        for (slot, said) in &claimed.values {
            let last = written.values.get(slot);
            let is_new = match said.write {
                Write::Always => last != Some(&digest(&said.value)),
                Write::Once => last.is_none(),
            };
            if is_new || values.contains_key(slot) {
                let due = DueValue {
                    value: said.value.clone(),
                    if_empty: said.write == Write::Once,
                };
                values.insert(slot.clone(), due);
            }
        }
        for (role, has) in &claimed.roles {
            if written.roles.get(role) != Some(has) || roles.contains_key(role) {
                roles.insert(role.clone(), *has);
            }
        }
        let due = Self { by, values, roles };
        (!due.is_done()).then_some(due)
    }

    /// Whether two are the same to the platform, whoever said so.
    pub(super) fn is_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        let content = |due: &Self| (due.values.clone(), due.roles.clone());
        one.map(content) == other.map(content)
    }

    /// Whether nothing is to be written.
    pub(super) fn is_done(&self) -> bool {
        self.values.is_empty() && self.roles.is_empty()
    }

    /// All but what is left.
    pub(super) fn without(&self, rest: &Self) -> Self {
        let mut done = self.clone();
        done.values
            .retain(|slot, _| !rest.values.contains_key(slot));
        done.roles.retain(|role, _| !rest.roles.contains_key(role));
        done
    }

    /// Whether it has to be known what the platform has.
    pub(super) fn asks_first(&self) -> bool {
        self.values.values().any(|due| due.if_empty)
    }

    /// The roles.
    pub(super) fn role_change(&self) -> RoleChange {
        let named = |wanted: bool| {
            let roles = self.roles.iter().filter(move |(_, has)| **has == wanted);
            roles.map(|(role, _)| role.clone()).collect()
        };
        RoleChange {
            give: named(true),
            take: named(false),
        }
    }

    /// The values, without those for which the platform has something already.
    pub(super) fn profile_change(&self, known: Option<&Profile>) -> ProfileChange {
        let mut change = ProfileChange::default();
        for (slot, due) in &self.values {
            if due.if_empty && known.is_some_and(|known| has(known, slot)) {
                continue;
            }
            let text = || due.value.as_str().map(str::to_owned);
            match slot.as_str() {
                "name" => change.user_name = text(),
                "language" => change.language = text(),
                _ => _ = change.user.insert(slot.clone(), due.value.clone()),
            }
        }
        change
    }
}

fn has(known: &Profile, slot: &str) -> bool {
    match slot {
        "name" => !known.user_name.trim().is_empty(),
        "language" => known.language.is_some(),
        _ => known
            .user
            .get(slot)
            .is_some_and(|value| !value.is_null() && value != ""),
    }
}

fn digest(value: &Value) -> String {
    seal::digest(value.to_string().as_bytes())
}
