//! What `rest.toml` says, checked: operations, and where things stand in records.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use url::Url;

use super::document::Meaning;
use super::evaluation::Names as _;
use super::template::Template;
use crate::expression::{Condition, Expression};

/// How one platform is spoken to.
#[derive(Debug, Clone)]
pub struct Description {
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) authentication: Authentication,
    pub(super) outcome: Vec<Rule>,
    pub(super) user: UserReading,
    pub(super) customer: CustomerReading,
    pub(super) location: Option<LocationReading>,
    pub(super) partner: Option<PartnerReading>,
    pub(super) operations: BTreeMap<Name, Operation>,
}

/// What an operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    User,
    UserByEmail,
    UserByMark,
    CreateUser,
    UpdateUser,
    DeleteUser,
    UsersOfCustomer,
    CheckPassword,
    SetPassword,
    UpdateRoles,
    PasswordRules,
    Customer,
    CustomerByCode,
    CustomerByMark,
    CreateCustomer,
    UpdateCustomer,
    DeleteCustomer,
    LocationsOfCustomer,
    LocationByMark,
    CreateLocation,
    UpdateLocation,
    DeleteLocation,
    PartnerByCode,
    Login,
    Renew,
}

impl Name {
    /// As it is written.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserByEmail => "user_by_email",
            Self::UserByMark => "user_by_mark",
            Self::CreateUser => "create_user",
            Self::UpdateUser => "update_user",
            Self::DeleteUser => "delete_user",
            Self::UsersOfCustomer => "users_of_customer",
            Self::CheckPassword => "check_password",
            Self::SetPassword => "set_password",
            Self::UpdateRoles => "update_roles",
            Self::PasswordRules => "password_rules",
            Self::Customer => "customer",
            Self::CustomerByCode => "customer_by_code",
            Self::CustomerByMark => "customer_by_mark",
            Self::CreateCustomer => "create_customer",
            Self::UpdateCustomer => "update_customer",
            Self::DeleteCustomer => "delete_customer",
            Self::LocationsOfCustomer => "locations_of_customer",
            Self::LocationByMark => "location_by_mark",
            Self::CreateLocation => "create_location",
            Self::UpdateLocation => "update_location",
            Self::DeleteLocation => "delete_location",
            Self::PartnerByCode => "partner_by_code",
            Self::Login => "login",
            Self::Renew => "renew",
        }
    }

    /// What its expressions can speak of, besides `secret`.
    pub(super) const fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::User | Self::Customer | Self::UsersOfCustomer | Self::LocationsOfCustomer => {
                &["id"]
            }
            Self::UserByEmail => &["email"],
            Self::UserByMark => &["mark", "user"],
            Self::CreateUser => &["mark", "user", "password"],
            Self::CustomerByMark | Self::CreateCustomer => &["mark", "customer"],
            Self::LocationByMark | Self::CreateLocation => &["mark", "location"],
            Self::UpdateUser | Self::UpdateCustomer | Self::UpdateLocation => &[
                "id",
                "record",
                "name",
                "first_name",
                "last_name",
                "language",
                "fields",
                "changed",
            ],
            Self::DeleteUser | Self::DeleteCustomer | Self::DeleteLocation => &["id", "record"],
            Self::UpdateRoles => &["id", "record", "give", "take", "roles"],
            Self::CheckPassword => &["email", "password"],
            Self::SetPassword => &["id", "record", "password"],
            Self::CustomerByCode | Self::PartnerByCode => &["code"],
            Self::PasswordRules | Self::Login => &[],
            Self::Renew => &["login"],
        }
    }
}

/// Members of the records that are made, for those who write expressions over them.
pub(super) const MEMBERS: [(&str, &[&str]); 4] = [
    (
        "user",
        &[
            "email",
            "name",
            "first_name",
            "last_name",
            "account_type",
            "language",
            "administrator",
            "customer",
            "partner",
            "fields",
            "options",
        ],
    ),
    (
        "customer",
        &["account_type", "name", "code", "fields", "options"],
    ),
    ("location", &["customer", "name", "fields"]),
    ("changed", &["name", "language", "fields"]),
];

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) name: Name,
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Option<Expression>,
    pub(super) is_form: bool,
    pub(super) items: Option<Expression>,
    pub(super) paging: Option<Paging>,
    pub(super) is_repeatable: bool,
    pub(super) is_authenticated: bool,
    pub(super) outcome: Vec<Rule>,
}

impl Operation {
    /// Whether a request of it speaks of this input.
    pub(super) fn speaks_of(&self, input: &str) -> bool {
        let others = self.name.inputs().iter().copied();
        let others = others.filter(|name| *name != input).chain(["secret"]);
        let others: Vec<&str> = others.collect();
        let headers = self.headers.iter().map(|(_, template)| template);
        let mut templates = self.query.iter().map(|(_, template)| template);
        self.path.unknown_variable(&others).is_some()
            || templates.any(|one| one.unknown_variable(&others).is_some())
            || headers
                .into_iter()
                .any(|one| one.unknown_variable(&others).is_some())
            || self
                .body
                .as_ref()
                .is_some_and(|body| body.unknown_variable(&others).is_some())
    }
}

/// What an answer means, if it is the one that is meant.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) when: Condition,
    pub(super) means: Meaning,
    pub(super) field: Option<Expression>,
}

/// How further pages are asked for.
#[derive(Debug, Clone)]
pub(super) struct Paging {
    pub(super) parameter: String,
    pub(super) size: Option<(String, u32)>,
    pub(super) turning: Turning,
}

/// How pages are told apart.
#[derive(Debug, Clone)]
pub(super) enum Turning {
    /// By numbers that grow by `step` a page.
    Counted {
        first: u32,
        step: u32,
        /// How many records a full page has.
        full: usize,
        more: Option<Condition>,
    },
    /// By what the page before says.
    Cursor(Expression),
}

/// What lets the gateway in.
#[derive(Debug, Clone)]
pub(super) enum Authentication {
    None,
    /// The same field with every request.
    Fixed {
        header: HeaderName,
        value: Template,
    },
    Basic {
        user: Template,
        password: Template,
    },
    ClientCredentials(Box<ClientCredentials>),
    Login(Box<Login>),
}

/// How an `OAuth2` server is asked for a token.
#[derive(Debug, Clone)]
pub(super) struct ClientCredentials {
    pub(super) url: Url,
    pub(super) id: Template,
    pub(super) secret: Template,
    pub(super) scope: Option<String>,
    pub(super) in_body: bool,
}

/// How the platform is asked for a token.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) first: Operation,
    pub(super) renew: Option<Operation>,
    pub(super) token: Expression,
    pub(super) expires_in: Option<Expression>,
    pub(super) header: HeaderName,
    pub(super) value: Template,
}

#[derive(Debug, Clone)]
pub(super) struct UserReading {
    pub(super) id: Expression,
    pub(super) email: Expression,
    pub(super) mark: Expression,
    pub(super) enabled: Condition,
    pub(super) customer: Expression,
    pub(super) name: Option<Expression>,
    pub(super) account_type: Option<Expression>,
    pub(super) language: Option<Expression>,
    pub(super) administrator: Option<Condition>,
    pub(super) has_password: Option<Condition>,
    pub(super) email_proves: Option<Condition>,
    pub(super) roles: Option<Expression>,
    pub(super) fields: Option<Expression>,
}

#[derive(Debug, Clone)]
pub(super) struct CustomerReading {
    pub(super) id: Expression,
    pub(super) name: Expression,
    pub(super) account_type: Expression,
    pub(super) mark: Expression,
    pub(super) code: Option<Expression>,
    pub(super) fields: Option<Expression>,
}

#[derive(Debug, Clone)]
pub(super) struct LocationReading {
    pub(super) id: Expression,
    pub(super) mark: Expression,
    pub(super) name: Option<Expression>,
    pub(super) fields: Option<Expression>,
}

#[derive(Debug, Clone)]
pub(super) struct PartnerReading {
    pub(super) id: Expression,
    pub(super) name: Expression,
    pub(super) code: Expression,
}

impl Description {
    /// The call of this name, if the platform has it.
    pub(super) fn operation(&self, name: Name) -> Option<&Operation> {
        self.operations.get(&name)
    }

    /// Whether it says how roles are given and taken away.
    pub fn gives_roles(&self) -> bool {
        self.has(Name::UpdateRoles)
    }

    /// Whether the platform can do it.
    pub(super) fn has(&self, name: Name) -> bool {
        self.operations.contains_key(&name)
    }
}
