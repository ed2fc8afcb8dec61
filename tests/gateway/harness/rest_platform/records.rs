//! What such a platform holds, and its rules: marks, addresses and codes are unique, customers with
//! users stay, users belong to somebody.

use serde_json::{Map, Value, json};

/// All records, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Records {
    pub customers: Vec<Value>,
    pub locations: Vec<Value>,
    pub users: Vec<Value>,
    pub partners: Vec<Value>,
    /// Whether no two customers have one name.
    unique_names: bool,
    made: usize,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    NotFound,
    Taken(&'static str),
    Invalid(&'static str),
    InUse,
    WrongPassword,
    NotLetIn,
    TooMany,
}

impl Records {
    pub fn new(unique_names: bool) -> Self {
        let partner = json!({ "id": "p-1", "name": "Termoidraulica Rossi", "code": "TR-1" });
        Self {
            partners: vec![partner],
            unique_names,
            ..Self::default()
        }
    }

    pub fn of(&mut self, kind: &str) -> &mut Vec<Value> {
        match kind {
            "customer" => &mut self.customers,
            "location" => &mut self.locations,
            "user" => &mut self.users,
            _ => &mut self.partners,
        }
    }

    pub fn get_mut(&mut self, kind: &str, id: &str) -> Result<&mut Value, No> {
        let mut all = self.of(kind).iter_mut();
        all.find(|record| record["id"] == id).ok_or(No::NotFound)
    }

    pub fn add(&mut self, kind: &str, mut record: Value) -> Result<Value, No> {
        for unique in ["email", "code", "name", "mark"] {
            let is_unique = match unique {
                "name" => kind == "customer" && self.unique_names,
                _ => true,
            };
            let wanted = folded(&record[unique]);
            let mut all = self.of(kind).iter();
            if is_unique && wanted.is_some() && all.any(|one| folded(&one[unique]) == wanted) {
                return Err(No::Taken(unique));
            }
        }
        if let Some(customer) = record["customer"].as_str().map(str::to_owned)
            && self.get_mut("customer", &customer).is_err()
        {
            return Err(No::Invalid("customer"));
        }
        if let Some(password) = record["password"].as_str()
            && password.len() < 8
        {
            return Err(No::Invalid("password"));
        }
        self.made += 1;
        record["id"] = json!(format!("{}-{}", &kind[..1], self.made));
        if kind == "user" {
            record["enabled"] = json!(true);
        }
        self.of(kind).push(record.clone());
        Ok(record)
    }

    /// Members that are named change; maps are replaced.
    pub fn change(
        &mut self,
        kind: &str,
        id: &str,
        change: &Map<String, Value>,
    ) -> Result<Value, No> {
        let record = self.get_mut(kind, id)?;
        for (key, value) in change {
            record[key] = value.clone();
        }
        Ok(record.clone())
    }

    pub fn remove(&mut self, kind: &str, id: &str) -> Result<(), No> {
        self.get_mut(kind, id)?;
        let inside = self.users.iter().chain(&self.locations);
        if kind == "customer" && inside.into_iter().any(|one| one["customer"] == id) {
            return Err(No::InUse);
        }
        self.of(kind).retain(|record| record["id"] != id);
        Ok(())
    }

    /// The user who may sign in so.
    pub fn signed_in(&self, email: &str, password: &str) -> Result<Value, No> {
        let mut users = self.users.iter();
        let wanted = Some(email.to_lowercase());
        let user = users.find(|user| folded(&user["email"]) == wanted);
        let user = user.filter(|user| user["password"] == password && user["enabled"] == true);
        user.cloned().ok_or(No::WrongPassword)
    }
}

pub fn folded(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}
