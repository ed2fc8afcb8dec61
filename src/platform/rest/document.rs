//! The shape of `rest.toml`. Every field's documentation is also its entry in the JSON Schema and
//! in `docs/configuration.md`.

use std::collections::BTreeMap;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::template::Template;
use crate::expression::{Condition, Expression};
use crate::operator_file::{At, Parsed};

/// How a platform is spoken to by its REST API (`[platform] kind = "rest"`).
///
/// Texts may hold expressions in braces (`/users/{id}`); expressions are CEL. `secret` is everywhere
/// what `[platform.secrets]` gives. See docs/platforms/rest.md.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "rest.toml")]
pub struct RestFile {
    /// Fields that every request is sent with.
    #[serde(default)]
    pub headers: BTreeMap<String, Parsed<Template>>,
    /// What lets the gateway in.
    pub authentication: At<AuthenticationTable>,
    /// What answers mean, for every operation whose own rules say nothing.
    #[serde(default)]
    pub outcome: Vec<OutcomeTable>,
    /// Where in the platform's records things stand.
    pub read: ReadTable,
    /// What the gateway asks for, and how.
    pub operation: At<OperationTables>,
}

/// What lets the gateway in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationTable {
    /// How.
    pub kind: At<AuthenticationWord>,
    /// With `header` and `login`: the field that carries it. Default: `Authorization`.
    pub header: Option<Parsed<HeaderName>>,
    /// With `header` and `bearer`: the key or token, such as `{secret.api_key}`. With `login`: what
    /// is sent, of `token`. Default: `Bearer {token}`.
    pub value: Option<Parsed<Template>>,
    /// With `basic`: the user; with `client_credentials`: the client id.
    pub user: Option<Parsed<Template>>,
    /// With `basic`: the password; with `client_credentials`: the client secret.
    pub password: Option<Parsed<Template>>,
    /// With `client_credentials`: where tokens are given (RFC 6749, section 4.4).
    pub token_url: Option<Parsed<Url>>,
    /// With `client_credentials`: the scope that is asked for.
    pub scope: Option<String>,
    /// With `client_credentials`: whether id and secret are sent in the body, not by Basic.
    /// Default: `false`.
    pub in_body: Option<bool>,
    /// With `login`: the call that gives a token.
    pub login: Option<At<OperationTable>>,
    /// With `login`: the call that gives a new token for an old one; `login` is what was answered
    /// last. Where it fails, `login` is called again.
    pub renew: Option<At<OperationTable>>,
    /// With `login`: the token in the answer. Default: `answer.token`.
    pub token: Option<Parsed<Expression>>,
    /// With `login`: for how many seconds the token is good, of `answer` and `now` (seconds since
    /// 1970). Default: five minutes; one that is refused earlier is replaced anyway.
    pub expires_in: Option<Parsed<Expression>>,
}

/// How the gateway is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationWord {
    /// By nothing but the `headers` of every request.
    None,
    /// By a key in a field of its own.
    Header,
    /// By a token that does not change (RFC 6750).
    Bearer,
    /// By user and password in each request (RFC 7617).
    Basic,
    /// By a token of an `OAuth2` server (RFC 6749, section 4.4).
    ClientCredentials,
    /// By a token that a call gives.
    Login,
}

/// One call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationTable {
    /// The method. Default: `GET`.
    pub method: Option<At<MethodWord>>,
    /// The path, behind that of `[platform] url`.
    pub path: Parsed<Template>,
    /// The query. An expression that gives null leaves its parameter out.
    #[serde(default)]
    pub query: BTreeMap<String, Parsed<Template>>,
    /// Further fields.
    #[serde(default)]
    pub headers: BTreeMap<String, Parsed<Template>>,
    /// The body. Members that are null are left out.
    pub body: Option<Parsed<Expression>>,
    /// How the body is written. Default: `json`.
    pub encoding: Option<At<EncodingWord>>,
    /// The records in an answer: one, a list, or null for none. Default: `answer`.
    pub items: Option<Parsed<Expression>>,
    /// How further pages are asked for.
    pub paging: Option<PagingTable>,
    /// Whether doing it twice is doing it once, so that it is repeated when a reply is lost.
    /// Default: for `GET`, `PUT` and `DELETE`.
    pub repeatable: Option<bool>,
    /// Whether it is sent with the authentication. Default: `true`.
    pub authenticated: Option<bool>,
    /// What answers mean. The first rule that holds says it.
    #[serde(default)]
    pub outcome: Vec<OutcomeTable>,
}

/// The method of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MethodWord {
    /// Reads.
    #[default]
    Get,
    /// Makes or does.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingWord {
    /// As JSON.
    #[default]
    Json,
    /// As a form, from a map of texts.
    Form,
}

/// How further pages are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagingTable {
    /// How pages are told apart.
    pub by: At<PagingWord>,
    /// The parameter of the query that says which page.
    pub parameter: At<String>,
    /// The number of the first page. Default: 0.
    pub first: Option<u32>,
    /// The parameter that says how many records a page has.
    pub size_parameter: Option<String>,
    /// How many records a page has. Default: 100.
    pub size: Option<At<u32>>,
    /// With `page` and `offset`: whether there are more, of `answer`. Default: when a page is full.
    pub more: Option<Parsed<Condition>>,
    /// With `cursor`: what the parameter is for the next page, of `answer` and `headers`; null at
    /// the end.
    pub next: Option<Parsed<Expression>>,
}

/// How pages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PagingWord {
    /// By their number.
    Page,
    /// By the number of records before.
    Offset,
    /// By what the page before says.
    Cursor,
}

/// What an answer means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeTable {
    /// When: over `status`, `answer` (the JSON of the body, or null) and `headers` (by names in
    /// lower case). A rule that cannot be evaluated does not hold.
    pub when: Parsed<Condition>,
    /// What it means.
    pub means: At<Meaning>,
    /// With `refused`: the field of the form that is wrong; with `full` and `not_set_up`: of what
    /// there is no more, or none. An expression over the same.
    pub field: Option<Parsed<Expression>>,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It was done, or this is what was asked for.
    Done,
    /// There is no such record.
    NotFound,
    /// A record with this mark is there already.
    Already,
    /// Another user has this address.
    EmailTaken,
    /// Another customer has this name.
    NameTaken,
    /// Another customer has this code.
    CodeTaken,
    /// It cannot be removed, because others use it.
    InUse,
    /// The password is wrong, or the user is not let in.
    Wrong,
    /// The data is not taken; waiting does not help.
    Refused,
    /// The platform lacks something that the sign-up form names.
    NotSetUp,
    /// The platform takes no more of these.
    Full,
    /// It is to be tried again later.
    Busy,
    /// The gateway's own credentials are refused.
    NotAllowed,
    /// The gateway's token is not good any more: another one is fetched, and it is asked again. 401
    /// means that anyway.
    Expired,
}

/// Where in the platform's records things stand. Expressions over `item`, one record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTable {
    /// In users.
    pub user: ReadUser,
    /// In customers.
    pub customer: ReadCustomer,
    /// In locations.
    pub location: Option<ReadLocation>,
    /// In partners.
    pub partner: Option<ReadPartner>,
}

/// Where in a user things stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadUser {
    /// Its id.
    pub id: Parsed<Expression>,
    /// The address.
    pub email: Parsed<Expression>,
    /// The mark of the registration that made it.
    pub mark: Parsed<Expression>,
    /// Whether the platform lets it in. A record of which that cannot be said is not used.
    pub enabled: Parsed<Condition>,
    /// The id of its customer; null for partner users and staff.
    pub customer: Parsed<Expression>,
    /// The name to show.
    pub name: Option<Parsed<Expression>>,
    /// `business`, `personal` or `partner`.
    pub account_type: Option<Parsed<Expression>>,
    /// The language tag.
    pub language: Option<Parsed<Expression>>,
    /// Whether it decides who belongs to its customer. Default: nobody does.
    pub administrator: Option<Parsed<Condition>>,
    /// Whether it has a password with which it can prove itself. Default: where `check_password`
    /// is there.
    pub has_password: Option<Parsed<Condition>>,
    /// Whether a letter to its address reaches nobody else. False where users put down addresses
    /// without proving them. Default: `false`.
    pub email_proves: Option<Parsed<Condition>>,
    /// The names of its roles, a list.
    pub roles: Option<Parsed<Expression>>,
    /// Further fields by name, for what users confirm and change.
    pub fields: Option<Parsed<Expression>>,
}

/// Where in a customer things stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadCustomer {
    /// Its id.
    pub id: Parsed<Expression>,
    /// Its name.
    pub name: Parsed<Expression>,
    /// `business` or `personal`.
    pub account_type: Parsed<Expression>,
    /// The mark of the registration that made it.
    pub mark: Parsed<Expression>,
    /// Its organisation code.
    pub code: Option<Parsed<Expression>>,
    /// Further fields by name.
    pub fields: Option<Parsed<Expression>>,
}

/// Where in a location things stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadLocation {
    /// Its id.
    pub id: Parsed<Expression>,
    /// The mark of the registration that made it.
    pub mark: Parsed<Expression>,
    /// Its name.
    pub name: Option<Parsed<Expression>>,
    /// Further fields by name.
    pub fields: Option<Parsed<Expression>>,
}

/// Where in a partner things stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadPartner {
    /// Its id.
    pub id: Parsed<Expression>,
    /// Its name.
    pub name: Parsed<Expression>,
    /// Its code.
    pub code: Parsed<Expression>,
}

/// What the gateway asks for, and how. What is not there the platform cannot do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationTables {
    /// The user with the id `id`.
    pub user: OperationTable,
    /// Users who may have the address `email`; it is compared again here.
    pub user_by_email: OperationTable,
    /// Users who may have the mark `mark`, of which `user` was made; it is compared again here.
    pub user_by_mark: OperationTable,
    /// Makes a user: `mark`, `user`, `password` (null where none was chosen).
    pub create_user: OperationTable,
    /// Changes a user: `id`, `record` (as read), `name`, `first_name`, `last_name`, `language` and
    /// `fields` (with all changes), `changed` (the changes alone).
    pub update_user: Option<OperationTable>,
    /// Removes a user: `id`, `record` (as read).
    pub delete_user: Option<OperationTable>,
    /// The users of the customer `id`.
    pub users_of_customer: Option<OperationTable>,
    /// Whether `password` is that of the user with the address `email`.
    pub check_password: Option<OperationTable>,
    /// Gives a user a new `password`: `id`, `record` (as read).
    pub set_password: Option<OperationTable>,
    /// Gives a user roles and takes others away: `id`, `record` (as read), `give`, `take`, and `roles`
    /// (all that it then has).
    pub update_roles: Option<OperationTable>,
    /// What is demanded of passwords: `items` gives a map of `min_length`, `max_length`,
    /// `uppercase`, `lowercase`, `digits`, `specials` and `spaces`.
    pub password_rules: Option<OperationTable>,
    /// The customer with the id `id`.
    pub customer: OperationTable,
    /// Customers that may have the organisation code `code`; it is compared again here.
    pub customer_by_code: Option<OperationTable>,
    /// Customers that may have the mark `mark`, of which `customer` was made; it is compared again
    /// here.
    pub customer_by_mark: OperationTable,
    /// Makes a customer: `mark`, `customer`.
    pub create_customer: OperationTable,
    /// Changes a customer, as `update_user` a user.
    pub update_customer: Option<OperationTable>,
    /// Removes a customer that has no users and locations: `id`, `record` (as read).
    pub delete_customer: Option<OperationTable>,
    /// The locations of the customer `id`, the first one first.
    pub locations_of_customer: Option<OperationTable>,
    /// Locations that may have the mark `mark`, of which `location` was made; it is compared again
    /// here.
    pub location_by_mark: Option<OperationTable>,
    /// Makes a location: `mark`, `location`.
    pub create_location: Option<OperationTable>,
    /// Changes a location, as `update_user` a user.
    pub update_location: Option<OperationTable>,
    /// Removes a location: `id`, `record` (as read).
    pub delete_location: Option<OperationTable>,
    /// Partners that may have the code `code`; it is compared again here.
    pub partner_by_code: Option<OperationTable>,
}
