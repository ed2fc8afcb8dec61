//! Which fields are asked, and must be filled in, given what was filled in so far. Pure.
//!
//! Conditions see `form`: the text of every field by its name, empty where nothing is asked or
//! given, and `account_type`; and `identity`: what is known of the applicant. One that cannot be
//! evaluated asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::form::{ACCOUNT_TYPE, FormField, RegistrationForm};
use crate::expression::Condition;
use crate::identity::AccountType;

/// What was filled in, and which fields are asked because of it.
#[derive(Debug, Clone)]
pub struct Filled<'a> {
    form: &'a RegistrationForm,
    values: Value,
    asked: BTreeSet<&'a str>,
}

impl<'a> Filled<'a> {
    /// Judges conditions in page order, so that a field that is not asked counts as empty for
    /// those after it. `input` is what was sent, if anything was.
    pub fn of(
        form: &'a RegistrationForm,
        input: Option<&BTreeMap<String, String>>,
        account_type: Option<AccountType>,
    ) -> Self {
        let mut values: Map<String, Value> = form
            .fields
            .iter()
            .map(|field| (field.declared.name.clone(), value_of(field, input)))
            .collect();
        let chosen = account_type.map_or("", AccountType::as_str);
        values.insert(ACCOUNT_TYPE.to_owned(), chosen.into());
        let mut filled = Self {
            form,
            values: Value::Object(values),
            asked: BTreeSet::new(),
        };
        for field in &form.fields {
            filled.judge(field, account_type);
        }
        filled
    }

    /// [`Filled::of`] for showing the page, on which fields of every account type are.
    pub fn on_page(
        form: &'a RegistrationForm,
        input: Option<&BTreeMap<String, String>>,
        account_type: Option<AccountType>,
    ) -> Self {
        let mut filled = Self::of(form, input, account_type);
        let of_other_types = form.fields.iter().filter(|field| {
            let declared = &field.declared;
            declared.when.is_none() && account_type.is_some_and(|kind| !declared.is_asked_for(kind))
        });
        filled
            .asked
            .extend(of_other_types.map(|field| field.declared.name.as_str()));
        filled
    }

    fn judge(&mut self, field: &'a FormField, account_type: Option<AccountType>) {
        let declared = &field.declared;
        let is_of_type = account_type.is_none_or(|kind| declared.is_asked_for(kind));
        let holds = declared.when.as_ref().is_none_or(|when| self.holds(when));
        if is_of_type && holds {
            self.asked.insert(&declared.name);
        } else if let Some(values) = self.values.as_object_mut() {
            values.insert(declared.name.clone(), "".into());
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        let variables = [("form", &self.values), ("identity", &self.form.identity)];
        condition.holds(&variables).unwrap_or(true)
    }

    /// Whether a field is asked.
    pub fn asks(&self, field: &FormField) -> bool {
        self.asked.contains(field.declared.name.as_str())
    }

    /// Whether a field that is asked must be filled in.
    pub fn requires(&self, field: &FormField) -> bool {
        let declared = &field.declared;
        let by_condition = declared.required_when.as_ref();
        declared.required || by_condition.is_some_and(|when| self.holds(when))
    }

    /// The customer's name as the operator composes it; none where that is not so, or nothing
    /// comes of it.
    pub fn customer_title(&self) -> Option<String> {
        let expression = self.form.customer_title.as_ref()?;
        let variables = [("form", &self.values), ("identity", &self.form.identity)];
        let title = expression.evaluate(&variables).ok()?;
        title.as_str().map(str::to_owned)
    }
}

/// What stands in a field: what is vouched for, what was sent, else what is known.
fn value_of(field: &FormField, input: Option<&BTreeMap<String, String>>) -> Value {
    let known = field.value.clone().unwrap_or_default();
    let text = match input {
        Some(input) if !field.locked => input
            .get(&field.declared.name)
            .map(|sent| sent.trim().to_owned())
            .unwrap_or_default(),
        _ => known,
    };
    text.into()
}
