//! Users, as the tenant's administrator sees and makes them.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::door::{Answer, Question};
use super::refusal::Refusal;
use super::state::{NO_CUSTOMER, State, User, is_like, new_id, now, page, reference};

/// The object in a place, made where there is none.
pub fn object(place: &mut Value) -> &mut Map<String, Value> {
    if !place.is_object() {
        *place = json!({});
    }
    place.as_object_mut().expect("an object")
}

/// The id in a path, which must be a UUID.
pub fn id_in(text: &str) -> Result<&str, Refusal> {
    match uuid::Uuid::parse_str(text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Refusal::bad(&format!("Invalid UUID string: {text}"))),
    }
}

/// The address that it takes.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let Some((rest, last)) = domain.rsplit_once('.') else {
        return false;
    };
    let extra = |c: char| c.is_ascii_alphanumeric() || "_!#$%&'*+/=?`{|}~^.-".contains(c);
    !local.is_empty()
        && local.chars().all(extra)
        && !rest.is_empty()
        && rest
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
        && last.len() > 1
        && last.chars().all(|c| c.is_ascii_alphabetic())
}

impl State {
    pub fn people_question(
        &mut self,
        path: &[&str],
        question: &Question,
    ) -> Option<Result<Answer, Refusal>> {
        let (get, post, delete) = (&Method::GET, &Method::POST, &Method::DELETE);
        let community = !self.is_professional();
        Some(match (&question.method, path) {
            (m, ["user"]) if m == post => self.save_user(question),
            (m, ["user", "tokenAccessEnabled"]) if m == get => {
                Ok(Answer::Json(json!(self.makes_tokens)))
            }
            (m, ["users"]) if m == get && community => self.search(None, question),
            (m, ["userInfos", "all"]) if m == get && !community => self.search(None, question),
            (m, ["customer", id, "users"]) if m == get => id_in(id)
                .and_then(|id| {
                    let is_there = self.customers.contains_key(id);
                    is_there
                        .then_some(id)
                        .ok_or_else(|| Refusal::none("Customer", id))
                })
                .and_then(|id| self.search(Some(id), question)),
            (m, ["user", id]) if m == get => self.found_user(id).map(|id| self.shown(&id)),
            (m, ["user", id]) if m == delete => self.found_user(id).map(|id| {
                self.users.remove(&id);
                self.leave_groups(&id);
                Answer::Nothing
            }),
            (m, ["user", id, "activationLink"]) if m == get => {
                self.activation_link(id).map(Answer::Text)
            }
            (m, ["user", id, "activationLinkInfo"]) if m == get && self.is_at_least(3, 8) => self
                .activation_link(id)
                .map(|link| Answer::Json(json!({ "value": link, "ttlMs": 86_400_000 }))),
            // Whether the user is blocked is not looked at.
            (m, ["user", _, "token"]) if m == get && !self.makes_tokens => {
                Err(Refusal::forbidden())
            }
            (m, ["user", id, "token"]) if m == get => self
                .found_user(id)
                .map(|id| Answer::Json(self.token_pair(&id))),
            (m, ["user", id, "userCredentialsEnabled"]) if m == post => {
                let enabled = question.query.get("userCredentialsEnabled");
                let enabled = enabled.is_none_or(|value| value == "true");
                self.found_user(id)
                    .and_then(|id| self.staff_sets_enabled(&id, enabled))
            }
            _ => return None,
        })
    }

    fn found_user(&self, id: &str) -> Result<String, Refusal> {
        let found = self.users.contains_key(id_in(id)?);
        found
            .then(|| id.to_owned())
            .ok_or_else(|| Refusal::none("User", id))
    }

    /// A user with what is filled in when one alone is asked for.
    pub fn shown(&self, id: &str) -> Answer {
        let user = &self.users[id];
        let mut record = user.record.clone();
        if self.is_at_least(3, 9) {
            let info = object(&mut record["additionalInfo"]);
            info.insert("userCredentialsEnabled".to_owned(), json!(user.enabled));
            info.insert(
                "userActivated".to_owned(),
                json!(user.activate_token.is_none()),
            );
            info.insert("lastLoginTs".to_owned(), json!(user.last_login));
        } else if let Some(info) = record["additionalInfo"].as_object_mut()
            && user.enabled
            && !info.contains_key("userCredentialsEnabled")
        {
            info.insert("userCredentialsEnabled".to_owned(), json!(true));
        }
        Answer::Json(record)
    }

    fn search(&self, customer: Option<&str>, question: &Question) -> Result<Answer, Refusal> {
        let text = question.query.get("textSearch").map_or("", String::as_str);
        let users = self.users.values().map(|user| &user.record);
        let users = users
            .filter(|user| customer.is_none_or(|customer| user["customerId"]["id"] == customer))
            .filter(|user| is_like(user["email"].as_str().unwrap_or_default(), text));
        page(users.cloned().collect(), &question.query).map(Answer::Json)
    }

    fn activation_link(&mut self, id: &str) -> Result<String, Refusal> {
        let user = &self.users[&self.found_user(id)?];
        match &user.activate_token {
            Some(token) if !user.enabled => {
                let base = "http://platform.internal:8080";
                Ok(format!("{base}/api/noauth/activate?activateToken={token}"))
            }
            _ => Err(Refusal::bad("User is already activated!")),
        }
    }

    pub fn save_user(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let mails = question.query.get("sendActivationMail");
        let mails = mails.is_none_or(|send| send != "false");
        let record = question.body.clone();
        let email = record["email"].as_str().unwrap_or_default().to_owned();
        if !is_email(&email) {
            let message = format!("Invalid email address format '{email}'!");
            return Err(Refusal::bad(&message));
        }
        if let Some(id) = record["id"]["id"].as_str().map(str::to_owned) {
            return self.change_user(&id, record);
        }
        self.make_room("USER", self.users.len())?;
        self.check_new(&record)?;
        self.letters += usize::from(mails);
        let record = self.insert_user(record);
        if let Some(group) = question.query.get("entityGroupId") {
            let id = record["id"]["id"].as_str().expect("an id");
            self.enter_group(group, id)?;
        }
        Ok(Answer::Json(record))
    }

    /// Addresses are unique over all tenants, as they are written.
    fn check_address(&self, email: &Value, own: Option<&str>) -> Result<(), Refusal> {
        let text = email.as_str().unwrap_or_default();
        let mut others = self.users.iter();
        let is_taken = self.elsewhere.contains(text)
            || others.any(|(id, user)| user.record["email"] == *email && Some(&**id) != own);
        let message = format!("User with email '{text}' already present in database!");
        if is_taken {
            Err(Refusal::bad(&message))
        } else {
            Ok(())
        }
    }

    fn change_user(&mut self, id: &str, mut record: Value) -> Result<Answer, Refusal> {
        let old = self
            .users
            .get(id)
            .ok_or_else(Refusal::nothing)?
            .record
            .clone();
        if old["customerId"]["id"] != record["customerId"]["id"] {
            return Err(Refusal::bad("Can't update user customer id!"));
        }
        if old["authority"] != record["authority"] {
            return Err(Refusal::bad("Can't update user authority!"));
        }
        self.check_address(&record["email"], Some(id))?;
        super::entities::take_version("User", &old, &mut record)?;
        record["createdTime"] = old["createdTime"].clone();
        self.users.get_mut(id).expect("a user").record = record.clone();
        Ok(Answer::Json(record))
    }

    fn check_new(&self, record: &Value) -> Result<(), Refusal> {
        let customer = record["customerId"]["id"].as_str().unwrap_or(NO_CUSTOMER);
        if record["authority"] == "CUSTOMER_USER" {
            if customer == NO_CUSTOMER {
                return Err(Refusal::bad(
                    "Customer user should be assigned to customer!",
                ));
            }
            if !self.customers.contains_key(customer) {
                return Err(Refusal::bad(
                    "User is referencing to non-existent customer!",
                ));
            }
        }
        self.check_address(&record["email"], None)
    }

    fn insert_user(&mut self, mut record: Value) -> Value {
        let id = new_id();
        record["id"] = reference("USER", &id);
        record["createdTime"] = json!(now());
        record["version"] = json!(1);
        record["tenantId"] = reference("TENANT", &self.tenant);
        record["name"] = record["email"].clone();
        let user = User {
            record: record.clone(),
            enabled: false,
            activate_token: Some(Self::new_activate_token()),
            password: None,
            last_login: None,
        };
        self.users.insert(id, user);
        record
    }

    pub fn staff_makes_user(
        &mut self,
        customer: &str,
        email: &str,
        password: Option<&str>,
    ) -> String {
        let question = Question {
            method: Method::POST,
            path: vec![],
            query: [("sendActivationMail".to_owned(), "false".to_owned())].into(),
            body: json!({
                "email": email, "authority": "CUSTOMER_USER", "additionalInfo": null,
                "customerId": reference("CUSTOMER", customer),
            }),
            who: None,
            session: None,
        };
        let Ok(Answer::Json(made)) = self.save_user(&question) else {
            panic!("the user is taken")
        };
        let id = made["id"]["id"].as_str().expect("an id").to_owned();
        if let Some(password) = password {
            let user = self.users.get_mut(&id).expect("a user");
            user.activate_token = None;
            user.password = Some(password.to_owned());
            self.set_enabled(&id, true);
        }
        id
    }
}
