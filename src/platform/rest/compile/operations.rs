//! Checks `[operation]`.

use std::collections::BTreeMap;

use http::Method;

use super::super::description::{Name, Operation, Paging, Turning};
use super::super::document::{
    EncodingWord, MethodWord, OperationTable, OperationTables, PagingTable, PagingWord,
};
use super::super::template::Template;
use super::{Compile, Reported, Sound};
use crate::operator_file::Parsed;

/// How many records a page has where nothing says so.
const USUAL_SIZE: u32 = 100;

impl OperationTables {
    /// Each that is there, by name.
    pub(super) fn all(&self) -> Vec<(Name, &OperationTable)> {
        let needed = [
            (Name::User, &self.user),
            (Name::UserByEmail, &self.user_by_email),
            (Name::UserByMark, &self.user_by_mark),
            (Name::CreateUser, &self.create_user),
            (Name::Customer, &self.customer),
            (Name::CustomerByMark, &self.customer_by_mark),
            (Name::CreateCustomer, &self.create_customer),
        ];
        let optional = [
            (Name::UpdateUser, &self.update_user),
            (Name::DeleteUser, &self.delete_user),
            (Name::UsersOfCustomer, &self.users_of_customer),
            (Name::CheckPassword, &self.check_password),
            (Name::SetPassword, &self.set_password),
            (Name::UpdateRoles, &self.update_roles),
            (Name::PasswordRules, &self.password_rules),
            (Name::CustomerByCode, &self.customer_by_code),
            (Name::UpdateCustomer, &self.update_customer),
            (Name::DeleteCustomer, &self.delete_customer),
            (Name::LocationsOfCustomer, &self.locations_of_customer),
            (Name::LocationByMark, &self.location_by_mark),
            (Name::CreateLocation, &self.create_location),
            (Name::UpdateLocation, &self.update_location),
            (Name::DeleteLocation, &self.delete_location),
            (Name::PartnerByCode, &self.partner_by_code),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, table)| table.as_ref().map(|table| (name, table)));
        needed.into_iter().chain(optional).collect()
    }
}

impl Compile<'_> {
    pub(super) fn operations(
        &mut self,
        tables: &OperationTables,
    ) -> Sound<BTreeMap<Name, Operation>> {
        let tables = tables.all();
        let found: Vec<_> = tables
            .into_iter()
            .map(|(name, table)| Ok((name, self.operation(name, table)?)))
            .collect();
        found.into_iter().collect()
    }

    pub(super) fn operation(&mut self, name: Name, table: &OperationTable) -> Sound<Operation> {
        let OperationTable {
            method,
            path,
            query,
            headers,
            body,
            encoding,
            items,
            paging,
            repeatable,
            authenticated,
            outcome,
        } = table;
        let inputs = name.inputs();
        let method = method_of(method.as_ref().map(|method| method.value));
        let path = self.path(path, inputs);
        let parameters: Vec<_> = query
            .iter()
            .map(|(key, template)| Ok((key.clone(), self.known(template, inputs)?)))
            .collect();
        let headers = self.headers(headers, inputs);
        let body = self.optional(body.as_ref(), inputs);
        let items = self.optional(items.as_ref(), &["answer", "headers"]);
        let paging = paging.as_ref().map(|paging| self.paging(paging));
        let outcome = self.outcome(outcome);
        let encoding = encoding.as_ref().map(|encoding| encoding.value);
        Ok(Operation {
            name,
            is_repeatable: repeatable.unwrap_or_else(|| method.is_idempotent()),
            method,
            path: path?,
            query: parameters.into_iter().collect::<Sound<_>>()?,
            headers: headers?,
            body: body?,
            is_form: encoding == Some(EncodingWord::Form),
            items: items?,
            paging: paging.transpose()?,
            is_authenticated: authenticated.unwrap_or(true),
            outcome: outcome?,
        })
    }

    fn path(&mut self, path: &Parsed<Template>, inputs: &[&str]) -> Sound<Template> {
        let template = self.known(path, inputs)?;
        if template.is_path() {
            return Ok(template);
        }
        let message = "this is no path";
        let advice = "write it like `/users/{id}`, with parameters in `query`";
        self.findings.error(&path.span, message, advice);
        Err(Reported)
    }

    fn paging(&mut self, table: &PagingTable) -> Sound<Paging> {
        let PagingTable {
            by,
            parameter,
            first,
            size_parameter,
            size,
            more,
            next,
        } = table;
        let records = size.as_ref().map_or(USUAL_SIZE, |size| size.value);
        if let Some(size) = size.as_ref().filter(|size| size.value == 0) {
            let message = "a page has one record or more";
            self.findings.error(&size.span, message, "write `100`");
            return Err(Reported);
        }
        let more = self.optional(more.as_ref(), &["answer", "headers"])?;
        let next = self.optional(next.as_ref(), &["answer", "headers"])?;
        let counted = |step| Turning::Counted {
            first: first.unwrap_or_default(),
            step,
            full: records as usize,
            more,
        };
        let turning = match (by.value, next) {
            (PagingWord::Page, None) => counted(1),
            (PagingWord::Offset, None) => counted(records),
            (PagingWord::Cursor, Some(next)) => Turning::Cursor(next),
            (PagingWord::Cursor, None) => {
                let advice = "write where the next page is named: `next = \"answer.next\"`";
                self.missing(&by.span, "next", advice);
                return Err(Reported);
            }
            (PagingWord::Page | PagingWord::Offset, Some(_)) => {
                let message = "`next` is for pages by cursor";
                let advice = "take it out, or write `by = \"cursor\"`";
                self.findings.error(&by.span, message, advice);
                return Err(Reported);
            }
        };
        Ok(Paging {
            parameter: parameter.value.clone(),
            size: size_parameter.clone().map(|name| (name, records)),
            turning,
        })
    }
}

fn method_of(word: Option<MethodWord>) -> Method {
    match word.unwrap_or_default() {
        MethodWord::Get => Method::GET,
        MethodWord::Post => Method::POST,
        MethodWord::Put => Method::PUT,
        MethodWord::Patch => Method::PATCH,
        MethodWord::Delete => Method::DELETE,
    }
}
