//! What belongs together: an operation that needs another one, or a place in records.

use std::collections::BTreeMap;

use super::super::description::{Name, Operation};
use super::super::document::{Meaning, OperationTables, RestFile};
use super::Compile;

/// An operation, and those without which it does not work, with the reason.
const NEEDED: [(Name, &[Name], &str); 6] = [
    (
        Name::CreateLocation,
        &[Name::LocationByMark],
        "without it a lost reply would make a second location",
    ),
    (
        Name::DeleteLocation,
        &[Name::LocationByMark],
        "without it nobody knows which location is to be removed",
    ),
    (
        Name::DeleteCustomer,
        &[Name::UsersOfCustomer],
        "without it a customer could be removed that others have come into",
    ),
    (
        Name::UpdateLocation,
        &[Name::LocationsOfCustomer],
        "without it the location of a customer is not known",
    ),
    (
        Name::SetPassword,
        &[Name::CheckPassword],
        "without it nobody can sign in with the new password",
    ),
    (
        Name::PasswordRules,
        &[Name::CheckPassword],
        "without it no passwords are asked for",
    ),
];

impl Compile<'_> {
    pub(super) fn is_complete(&mut self, file: &RestFile, operations: &BTreeMap<Name, Operation>) {
        let there: Vec<Name> = operations.keys().copied().collect();
        for (name, needed, why) in NEEDED {
            for lacking in needed.iter().filter(|one| !there.contains(one)) {
                if there.contains(&name) {
                    let message =
                        format!("there is `{}`, but no `{}`", name.word(), lacking.word());
                    self.findings.error(&file.operation.span, message, why);
                }
            }
        }
        self.reads_what_it_asks_for(file, &there);
        self.values_arrive(&file.operation, operations);
        self.outcomes_are_said(file, operations);
        if there.contains(&Name::UpdateRoles) && file.read.user.roles.is_none() {
            let why = "`update_roles` has to know which roles a user has";
            self.missing(&file.operation.span, "read.user.roles", why);
        }
        if there.contains(&Name::CustomerByCode) && file.read.customer.code.is_none() {
            let why = "`customer_by_code` compares codes exactly: say where the code stands";
            self.missing(&file.operation.span, "read.customer.code", why);
        }
    }

    fn reads_what_it_asks_for(&mut self, file: &RestFile, there: &[Name]) {
        let locations = [
            Name::CreateLocation,
            Name::LocationByMark,
            Name::LocationsOfCustomer,
        ];
        let asks = |names: &[Name]| names.iter().any(|name| there.contains(name));
        let span = &file.operation.span;
        if asks(&locations) && file.read.location.is_none() {
            let why = "say where in locations things stand";
            self.missing(span, "read.location", why);
        }
        if asks(&[Name::PartnerByCode]) && file.read.partner.is_none() {
            let why = "say where in partners things stand";
            self.missing(span, "read.partner", why);
        }
    }

    /// Answers that mean nothing without a rule.
    fn outcomes_are_said(&mut self, file: &RestFile, operations: &BTreeMap<Name, Operation>) {
        let says = |name: Name, means: Meaning| {
            let own = operations.get(&name).map(|one| one.outcome.as_slice());
            let own = own.unwrap_or_default().iter().map(|rule| rule.means);
            let all = file.outcome.iter().map(|rule| rule.means.value);
            own.chain(all).any(|said| said == means)
        };
        let span = &file.operation.span;
        if operations.contains_key(&Name::CheckPassword)
            && !says(Name::CheckPassword, Meaning::Wrong)
        {
            let message = "nothing says how `check_password` is answered to a wrong password";
            let advice = "write [[operation.check_password.outcome]] with `means = \"wrong\"`";
            self.findings.error(span, message, advice);
        }
        if !says(Name::User, Meaning::NotFound) {
            let message = "nothing says how the platform answers that there is no such user";
            let advice = "write [[outcome]] with `means = \"not_found\"`: a 404 alone may be of \
                          something in front of it";
            self.findings.warning(span, message, advice);
        }
    }

    /// What people chose and by what things are found again is sent on.
    fn values_arrive(&mut self, tables: &OperationTables, operations: &BTreeMap<Name, Operation>) {
        let checks_passwords = operations.contains_key(&Name::CheckPassword);
        for (name, table) in tables.all() {
            let Some(operation) = operations.get(&name) else {
                continue;
            };
            let needed: &[&str] = match name {
                Name::CreateUser if checks_passwords => &["mark", "password"],
                Name::CreateUser | Name::CreateCustomer | Name::CreateLocation => &["mark"],
                _ => &[],
            };
            for value in needed.iter().filter(|value| !operation.speaks_of(value)) {
                let message = format!("`{}` never sends `{value}`", name.word());
                let advice = match *value {
                    "mark" => "keep it in the record: by it a record is found again",
                    _ => "write `password` into its body, or take `check_password` out",
                };
                self.findings.error(&table.path.span, message, advice);
            }
        }
    }
}
