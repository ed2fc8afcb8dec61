//! Signing in, tokens, activation, and what is open to everybody.

use axum::http::Method;
use serde_json::json;

use super::door::{Answer, Question};
use super::refusal::Refusal;
use super::state::{State, new_id, now};

impl State {
    /// What needs no token.
    pub fn account_question(
        &mut self,
        path: &[&str],
        question: &Question,
    ) -> Option<Result<Answer, Refusal>> {
        Some(match (&question.method, path) {
            (&Method::POST, ["auth", "login"]) => self.log_in(question),
            (&Method::POST, ["auth", "token"]) => self.refresh(question),
            (&Method::POST, ["noauth", "oauth2Clients"]) => Ok(Answer::Json(json!([]))),
            (&Method::POST, ["v1", _, "telemetry"] | ["v1", "provision"]) => Ok(Answer::Nothing),
            (&Method::GET, ["noauth", "userPasswordPolicy"]) => {
                Ok(Answer::Json(self.password_policy.clone()))
            }
            (&Method::POST, ["noauth", "activate"]) => self.activate(question),
            _ => return None,
        })
    }

    /// What everybody who is signed in may ask about themselves.
    pub fn own_account_question(
        &mut self,
        path: &[&str],
        question: &Question,
    ) -> Option<Result<Answer, Refusal>> {
        let who = question.who.as_deref().unwrap_or_default();
        Some(Ok(match (&question.method, path) {
            (&Method::GET, ["auth", "user"]) => Answer::Json(self.users[who].record.clone()),
            (&Method::GET, ["user", id]) if *id == who => self.shown(who),
            (&Method::POST, ["auth", "logout"]) => {
                if let Some(session) = question.session.clone() {
                    self.outdate(&session);
                }
                Answer::Nothing
            }
            (&Method::GET, ["system", "params"]) => {
                Answer::Json(json!({ "maxDatapointsLimit": 50000, "edqsEnabled": false }))
            }
            (&Method::GET, ["system", "info"]) => Answer::Json(json!({
                "version": self.version, "artifact": "application",
                "name": "ThingsBoard Server Application",
                "type": if self.is_professional() { "PE" } else { "CE" },
            })),
            _ => return None,
        }))
    }

    /// All that a customer's user may do here: read and change their own record.
    pub fn own_question(&mut self, path: &[&str], question: &Question) -> Result<Answer, Refusal> {
        if let Some(answered) = self.own_account_question(path, question) {
            return answered;
        }
        let is_own = question.body["id"]["id"].as_str() == question.who.as_deref();
        match (&question.method, path) {
            (&Method::POST, ["user"]) if is_own => self.save_user(question),
            (&Method::GET, ["dashboard", id]) => self.own_dashboard(question, id),
            _ => Err(Refusal::forbidden()),
        }
    }

    /// The tenant administrator.
    pub fn administrator(&self) -> String {
        let mut users = self.users.iter();
        let found = users.find(|(_, user)| user.record["email"] == super::ADMINISTRATOR);
        found.expect("there always is one").0.clone()
    }

    fn log_in(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let wrong = || Refusal::unauthorized("Invalid username or password");
        let (name, password) = (&question.body["username"], &question.body["password"]);
        // Addresses are compared as they are written.
        let found = self
            .users
            .iter()
            .find(|(_, user)| user.record["email"] == *name);
        let (id, user) = found.ok_or_else(wrong)?;
        // Said before the password is looked at.
        if !user.enabled {
            return Err(Refusal::unauthorized("User account is not active"));
        }
        if user.password.as_deref() != password.as_str() {
            return Err(wrong());
        }
        let wants_more = name
            .as_str()
            .is_some_and(|name| self.second_factor.contains(name));
        let id = id.clone();
        self.note_login(&id);
        let mut pair = self.token_pair(&id);
        if wants_more {
            pair = json!({ "token": pair["token"], "scope": "PRE_VERIFICATION_TOKEN" });
        }
        Ok(Answer::Json(pair))
    }

    fn refresh(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let token = question.body["refreshToken"].as_str().unwrap_or_default();
        let token = self.tokens.get(token).filter(|token| token.is_refresh);
        let token = token.cloned();
        let token = token.ok_or_else(|| Refusal::unauthorized("Token is outdated"))?;
        if !self.users.get(&token.user).is_some_and(|user| user.enabled) {
            return Err(Refusal::unauthorized("User account is not active"));
        }
        if token.expires <= now() {
            return Err(Refusal::unauthorized("Token is outdated"));
        }
        Ok(Answer::Json(self.token_pair(&token.user)))
    }

    fn activate(&mut self, question: &Question) -> Result<Answer, Refusal> {
        if question
            .query
            .get("sendActivationMail")
            .is_none_or(|send| send != "false")
        {
            self.letters += 1;
        }
        let password = question.body["password"].as_str().unwrap_or_default();
        self.check_password(password)?;
        let token = question.body["activateToken"].as_str().unwrap_or_default();
        let mut users = self.users.iter_mut();
        let found = users.find(|(_, user)| user.activate_token.as_deref() == Some(token));
        let Some((id, user)) = found else {
            let message = format!("Unable to find user credentials by activateToken [{token}]");
            return Err(Refusal::bad(&message));
        };
        user.activate_token = None;
        user.password = Some(password.to_owned());
        let id = id.clone();
        self.set_enabled(&id, true);
        self.note_login(&id);
        Ok(Answer::Json(self.token_pair(&id)))
    }

    fn check_password(&self, password: &str) -> Result<(), Refusal> {
        let rule = |name: &str| {
            let count = self.password_policy[name].as_u64().unwrap_or(0);
            usize::try_from(count).unwrap()
        };
        let count = |test: fn(&char) -> bool| password.chars().filter(test).count();
        let mut wrong = Vec::new();
        let mut demand = |is_met: bool, message: String| {
            if !is_met {
                wrong.push(message);
            }
        };
        let (least, most) = (rule("minimumLength"), rule("maximumLength"));
        let length = password.chars().count();
        demand(
            length >= least,
            format!("Password must be {least} or more characters in length."),
        );
        demand(
            length <= most,
            format!("Password must be no more than {most} characters in length."),
        );
        for (name, what, have) in [
            (
                "minimumUppercaseLetters",
                "uppercase",
                count(char::is_ascii_uppercase),
            ),
            (
                "minimumLowercaseLetters",
                "lowercase",
                count(char::is_ascii_lowercase),
            ),
            ("minimumDigits", "digit", count(char::is_ascii_digit)),
            (
                "minimumSpecialCharacters",
                "special",
                count(char::is_ascii_punctuation),
            ),
        ] {
            let least = rule(name);
            demand(
                have >= least,
                format!("Password must contain {least} or more {what} characters."),
            );
        }
        demand(
            self.password_policy["allowWhitespaces"] != false
                || !password.contains(char::is_whitespace),
            "Password contains a whitespace character.".to_owned(),
        );
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Refusal::bad(&wrong.join("\n")))
        }
    }

    /// Blocks a user or lets them in; versions before 3.9 keep it in the record itself.
    pub fn set_enabled(&mut self, id: &str, enabled: bool) {
        let in_record = !self.is_at_least(3, 9);
        let user = self.users.get_mut(id).expect("a user");
        user.enabled = enabled;
        if in_record {
            super::people::object(&mut user.record["additionalInfo"])
                .insert("userCredentialsEnabled".to_owned(), json!(enabled));
        }
        // What is issued afterwards counts, and who is blocked is not asked.
        if !enabled {
            for token in self.tokens.values_mut().filter(|token| token.user == id) {
                token.expires = 0;
            }
        }
    }

    /// As in the web interface: a user who was never activated stays closed.
    pub fn staff_sets_enabled(&mut self, id: &str, enabled: bool) -> Result<Answer, Refusal> {
        if self.users[id].password.is_none() {
            let message = "Enabled user credentials should have password!";
            return if enabled {
                Err(Refusal::bad(message))
            } else {
                Ok(Answer::Nothing)
            };
        }
        self.set_enabled(id, enabled);
        Ok(Answer::Nothing)
    }

    fn note_login(&mut self, id: &str) {
        let in_record = !self.is_at_least(3, 9);
        let user = self.users.get_mut(id).expect("a user");
        user.last_login = Some(now());
        if in_record {
            super::people::object(&mut user.record["additionalInfo"])
                .insert("lastLoginTs".to_owned(), json!(now()));
        }
    }

    pub fn new_activate_token() -> String {
        new_id().replace('-', "")
    }
}
