//! Checks `[read]`.

use super::super::description::{CustomerReading, LocationReading, PartnerReading, UserReading};
use super::super::document::{ReadCustomer, ReadLocation, ReadPartner, ReadUser};
use super::{Compile, Sound};

/// What an expression about a record can speak of.
const ITEM: [&str; 1] = ["item"];

impl Compile<'_> {
    pub(super) fn user(&mut self, read: &ReadUser) -> Sound<UserReading> {
        let ReadUser {
            id,
            email,
            mark,
            enabled,
            customer,
            name,
            account_type,
            language,
            administrator,
            has_password,
            email_proves,
            roles,
            fields,
        } = read;
        let id = self.known(id, &ITEM);
        let email = self.known(email, &ITEM);
        let mark = self.known(mark, &ITEM);
        let enabled = self.known(enabled, &ITEM);
        let customer = self.known(customer, &ITEM);
        let name = self.optional(name.as_ref(), &ITEM);
        let account_type = self.optional(account_type.as_ref(), &ITEM);
        let language = self.optional(language.as_ref(), &ITEM);
        let administrator = self.optional(administrator.as_ref(), &ITEM);
        let has_password = self.optional(has_password.as_ref(), &ITEM);
        let email_proves = self.optional(email_proves.as_ref(), &ITEM);
        let roles = self.optional(roles.as_ref(), &ITEM);
        let fields = self.optional(fields.as_ref(), &ITEM);
        Ok(UserReading {
            id: id?,
            email: email?,
            mark: mark?,
            enabled: enabled?,
            customer: customer?,
            name: name?,
            account_type: account_type?,
            language: language?,
            administrator: administrator?,
            has_password: has_password?,
            email_proves: email_proves?,
            roles: roles?,
            fields: fields?,
        })
    }

    pub(super) fn customer(&mut self, read: &ReadCustomer) -> Sound<CustomerReading> {
        let ReadCustomer {
            id,
            name,
            account_type,
            mark,
            code,
            fields,
        } = read;
        let id = self.known(id, &ITEM);
        let name = self.known(name, &ITEM);
        let account_type = self.known(account_type, &ITEM);
        let mark = self.known(mark, &ITEM);
        let code = self.optional(code.as_ref(), &ITEM);
        let fields = self.optional(fields.as_ref(), &ITEM);
        Ok(CustomerReading {
            id: id?,
            name: name?,
            account_type: account_type?,
            mark: mark?,
            code: code?,
            fields: fields?,
        })
    }

    pub(super) fn location(&mut self, read: &ReadLocation) -> Sound<LocationReading> {
        let ReadLocation {
            id,
            mark,
            name,
            fields,
        } = read;
        let id = self.known(id, &ITEM);
        let mark = self.known(mark, &ITEM);
        let name = self.optional(name.as_ref(), &ITEM);
        let fields = self.optional(fields.as_ref(), &ITEM);
        Ok(LocationReading {
            id: id?,
            mark: mark?,
            name: name?,
            fields: fields?,
        })
    }

    pub(super) fn partner(&mut self, read: &ReadPartner) -> Sound<PartnerReading> {
        let ReadPartner { id, name, code } = read;
        let id = self.known(id, &ITEM);
        let name = self.known(name, &ITEM);
        let code = self.known(code, &ITEM);
        Ok(PartnerReading {
            id: id?,
            name: name?,
            code: code?,
        })
    }
}
