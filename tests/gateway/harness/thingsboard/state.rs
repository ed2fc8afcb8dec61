//! What it knows: one tenant's entities, credentials and tokens.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use vestibule::clock::{Clock as _, SystemClock};

use super::Asked;
use super::faults::Faults;
use super::refusal::Refusal;

/// Which edition it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    Community,
    Professional,
}

/// A user with credentials.
#[derive(Debug, Clone)]
pub struct User {
    pub record: Value,
    pub enabled: bool,
    pub activate_token: Option<String>,
    pub password: Option<String>,
    pub last_login: Option<i64>,
}

/// An issued token.
#[derive(Debug, Clone)]
pub struct Token {
    pub user: String,
    pub is_refresh: bool,
    pub issued: i64,
    pub expires: i64,
    /// Which of its user's sessions it is of.
    pub session: String,
}

/// A group of entities (Professional).
#[derive(Debug, Clone)]
pub struct Group {
    pub record: Value,
    pub members: Vec<String>,
}

/// Everything.
pub struct State {
    pub edition: Edition,
    pub version: String,
    pub tenant: String,
    pub users: BTreeMap<String, User>,
    pub customers: BTreeMap<String, Value>,
    pub assets: BTreeMap<String, Value>,
    pub dashboards: BTreeMap<String, Value>,
    pub groups: BTreeMap<String, Group>,
    pub roles: BTreeMap<String, Value>,
    pub permissions: Vec<Value>,
    pub attributes: HashMap<String, Map<String, Value>>,
    pub tokens: HashMap<String, Token>,
    pub elsewhere: HashSet<String>,
    pub limits: HashMap<String, usize>,
    pub password_policy: Value,
    pub second_factor: HashSet<String>,
    pub letters: usize,
    /// Whether it makes tokens for users (`security.user_token_access_enabled`).
    pub makes_tokens: bool,
    /// Users and sessions whose older tokens are not taken any more, and since when.
    pub outdated: HashMap<String, i64>,
    pub faults: Faults,
    pub asked: Vec<Asked>,
}

pub fn now() -> i64 {
    SystemClock.now().millis()
}

pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// An id as it is written: `{"entityType": …, "id": …}`.
pub fn reference(kind: &str, id: &str) -> Value {
    json!({ "entityType": kind, "id": id })
}

/// The customer that stands for none.
pub const NO_CUSTOMER: &str = "13814000-1dd2-11b2-8080-808080808080";

impl State {
    pub fn new(edition: Edition, version: &str) -> Self {
        let mut state = Self {
            edition,
            version: version.to_owned(),
            tenant: new_id(),
            users: BTreeMap::new(),
            customers: BTreeMap::new(),
            assets: BTreeMap::new(),
            dashboards: BTreeMap::new(),
            groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            permissions: vec![],
            attributes: HashMap::new(),
            tokens: HashMap::new(),
            elsewhere: HashSet::new(),
            limits: HashMap::new(),
            password_policy: json!({
                "minimumLength": 6, "maximumLength": 72, "minimumUppercaseLetters": null,
                "minimumLowercaseLetters": null, "minimumDigits": null,
                "minimumSpecialCharacters": null, "allowWhitespaces": true,
                "forceUserToResetPasswordIfNotValid": false, "passwordExpirationPeriodDays": null,
                "passwordReuseFrequencyDays": null,
            }),
            second_factor: HashSet::new(),
            letters: 0,
            makes_tokens: true,
            outdated: HashMap::new(),
            faults: Faults::default(),
            asked: vec![],
        };
        let id = new_id();
        state.users.insert(
            id.clone(),
            User {
                record: json!({
                    "id": reference("USER", &id), "createdTime": now(),
                    "tenantId": reference("TENANT", &state.tenant),
                    "customerId": reference("CUSTOMER", NO_CUSTOMER),
                    "email": super::ADMINISTRATOR, "authority": "TENANT_ADMIN",
                    "firstName": null, "lastName": null, "phone": null, "additionalInfo": {},
                }),
                enabled: true,
                activate_token: None,
                password: Some(super::PASSWORD.to_owned()),
                last_login: None,
            },
        );
        state
    }

    /// Whether it is at least this version.
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let own = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        own >= (major, minor)
    }

    pub fn is_professional(&self) -> bool {
        self.edition == Edition::Professional
    }

    pub fn make_room(&self, kind: &str, count: usize) -> Result<(), Refusal> {
        match self.limits.get(kind) {
            // 0 is no limit.
            Some(limit) if *limit > 0 && count >= *limit => Err(Refusal::full(kind, *limit)),
            _ => Ok(()),
        }
    }

    pub fn expire_tokens(&mut self) {
        for token in self.tokens.values_mut().filter(|token| !token.is_refresh) {
            token.expires = 0;
        }
    }

    /// From now on the older tokens of a user or of a session are not taken any more.
    pub fn outdate(&mut self, id: &str) {
        self.outdated.insert(id.to_owned(), now());
    }

    /// Whether a token is older than that, by whole seconds (`DefaultTokenOutdatingService`).
    pub fn is_outdated(&self, token: &Token) -> bool {
        [&token.user, &token.session].into_iter().any(|id| {
            let since = self.outdated.get(id);
            since.is_some_and(|since| token.issued / 1000 < since / 1000)
        })
    }

    /// A token pair as after a login.
    pub fn token_pair(&mut self, user: &str) -> Value {
        let session = new_id();
        let pair = [false, true].map(|is_refresh| {
            let life = if is_refresh { 604_800 } else { 9_000 };
            let record = &self.users[user].record;
            let mut claims = json!({
                "sub": record["email"], "userId": user, "scopes": [record["authority"]],
                "sessionId": session, "exp": now() / 1000 + life, "iss": "thingsboard.io",
                "iat": now() / 1000, "isPublic": false,
            });
            if is_refresh {
                claims["scopes"] = json!(["REFRESH_TOKEN"]);
                claims["jti"] = json!(new_id());
            } else {
                claims["firstName"] = record["firstName"].clone();
                claims["lastName"] = record["lastName"].clone();
                claims["enabled"] = json!(self.users[user].enabled);
                claims["tenantId"] = record["tenantId"]["id"].clone();
                claims["customerId"] = record["customerId"]["id"].clone();
            }
            let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
            let signature = new_id().replace('-', "");
            let token = format!("eyJhbGciOiJIUzUxMiJ9.{payload}.{signature}");
            let expires = now() + life * 1000;
            self.tokens.insert(
                token.clone(),
                Token {
                    user: user.to_owned(),
                    is_refresh,
                    issued: now(),
                    expires,
                    session: session.clone(),
                },
            );
            token
        });
        json!({ "token": pair[0], "refreshToken": pair[1] })
    }

    /// Attributes as its own interface writes them: texts that look like numbers become numbers.
    pub fn write_attributes(&mut self, id: &str, values: &Value) {
        let kept = self.attributes.entry(id.to_owned()).or_default();
        for (key, value) in values.as_object().into_iter().flatten() {
            let cast = value.as_str().filter(|text| is_parsable(text));
            kept.insert(key.clone(), cast.map_or_else(|| value.clone(), as_number));
        }
    }
}

fn is_parsable(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && !digits.ends_with('.')
        && digits.matches('.').count() < 2
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// The number that a text becomes; one too long for 64 bits stays a text, without zeros before it.
fn as_number(text: &str) -> Value {
    let plain = without_zeros(text);
    let is_whole = !plain.contains('.');
    if is_whole && plain.parse::<i64>().is_err() {
        return Value::String(plain);
    }
    serde_json::from_str(&plain).unwrap_or(Value::String(plain))
}

fn without_zeros(text: &str) -> String {
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() || trimmed.starts_with('.') {
        format!("0{trimmed}")
    } else {
        trimmed.to_owned()
    }
}

/// One page of what is given, as every listing answers.
pub fn page(found: Vec<Value>, query: &HashMap<String, String>) -> Result<Value, Refusal> {
    let number = |name: &str| -> Result<usize, Refusal> {
        let message = format!(
            "Required request parameter '{name}' for method parameter type int is not present"
        );
        let text = query.get(name).ok_or_else(|| Refusal::broken(&message))?;
        text.parse().map_err(|_| Refusal::broken(&message))
    };
    let (size, number) = (number("pageSize")?, number("page")?);
    if size == 0 {
        return Err(Refusal::bad(
            "Incorrect page link page size '0'. Page size must be greater than zero.",
        ));
    }
    let total = found.len();
    let data: Vec<Value> = found.into_iter().skip(size * number).take(size).collect();
    Ok(json!({
        "data": data, "totalPages": total.div_ceil(size), "totalElements": total,
        "hasNext": size * (number + 1) < total,
    }))
}

/// PostgreSQL's `ILIKE '%text%'`: `%` and `_` are wildcards.
pub fn is_like(value: &str, text: &str) -> bool {
    let value: Vec<char> = value.to_lowercase().chars().collect();
    let pattern: Vec<char> = format!("%{}%", text.to_lowercase()).chars().collect();
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    for sign in pattern {
        let mut next = vec![false; value.len() + 1];
        if sign == '%' {
            let mut any = false;
            for (index, is_reached) in reached.iter().enumerate() {
                any |= is_reached;
                next[index] = any;
            }
        } else {
            for index in 0..value.len() {
                next[index + 1] = reached[index] && (sign == '_' || sign == value[index]);
            }
        }
        reached = next;
    }
    reached[value.len()]
}
