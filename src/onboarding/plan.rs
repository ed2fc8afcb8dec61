//! From a valid submission to the steps that make it real in the platform. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answers::Answers;
use super::form::Scope;
use super::invitation::Invited;
use super::progress::StepKind;
use crate::identity::{AccountType, CustomerOptions, EmailAddress, PartnerId, UserOptions};
use crate::platform::{BelongsTo, NewCustomer, NewLocation, NewUser};

/// The steps of one registration, with all that they need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the user is made in, where no customer is made.
    pub joins: Option<BelongsTo>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Makes the customer.
    CreateCustomer(NewCustomer),
    /// Makes the customer's default location.
    CreateLocation(PlannedLocation),
    /// Makes the user.
    CreateUser(PlannedUser),
}

/// A location of a customer that may not exist yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLocation {
    /// "Home" or "Location", in the user's language.
    pub name: String,
    /// Further fields.
    pub fields: Map<String, Value>,
}

/// A user of a customer that may not exist yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedUser {
    /// The address.
    pub email: EmailAddress,
    /// The name to show.
    pub name: String,
    /// The account type.
    pub account_type: AccountType,
    /// The language tag.
    pub language: String,
    /// Whether the user administers the customer.
    pub administrator: bool,
    /// Further fields.
    pub fields: Map<String, Value>,
    /// Roles, dashboards and the like.
    #[serde(default)]
    pub options: UserOptions,
}

/// What a step makes, with what the steps before it made.
#[derive(Debug, Clone)]
pub enum Making<'a> {
    /// A customer.
    Customer(&'a NewCustomer),
    /// A location.
    Location(NewLocation),
    /// A user.
    User(NewUser),
}

impl Step {
    /// What it makes, in what is there already; none where that is missing.
    pub fn making(&self, belongs_to: Option<BelongsTo>) -> Option<Making<'_>> {
        Some(match self {
            Self::CreateCustomer(new) => Making::Customer(new),
            Self::CreateLocation(planned) => match belongs_to? {
                BelongsTo::Customer(customer) => Making::Location(NewLocation {
                    customer,
                    name: planned.name.clone(),
                    fields: planned.fields.clone(),
                }),
                BelongsTo::Partner(_) => return None,
            },
            Self::CreateUser(planned) => Making::User(NewUser {
                belongs_to: belongs_to?,
                email: planned.email.clone(),
                name: planned.name.clone(),
                account_type: planned.account_type,
                language: planned.language.clone(),
                administrator: planned.administrator,
                fields: planned.fields.clone(),
                options: planned.options.clone(),
            }),
        })
    }

    /// What it makes.
    pub const fn kind(&self) -> StepKind {
        match self {
            Self::CreateCustomer(_) => StepKind::CreateCustomer,
            Self::CreateLocation(_) => StepKind::CreateLocation,
            Self::CreateUser(_) => StepKind::CreateUser,
        }
    }
}

/// The surroundings of a submission that the plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanBasis<'a> {
    /// What somebody registers for.
    pub scope: &'a Scope,
    /// The partner that takes a partner's user in.
    pub partner: Option<&'a PartnerId>,
    /// The name of the default location; none where none is made.
    pub location_name: Option<&'a str>,
    /// The language tag of the user.
    pub language: &'a str,
    /// What is made of the customer besides.
    pub customer_options: &'a CustomerOptions,
    /// What is made of the user besides.
    pub user_options: &'a UserOptions,
}

impl Plan {
    /// The steps for a valid submission.
    pub fn of(answers: &Answers, basis: PlanBasis<'_>) -> Self {
        let user = Step::CreateUser(PlannedUser {
            email: answers.email.clone(),
            name: answers.name.clone(),
            account_type: answers.account_type,
            language: basis.language.to_owned(),
            administrator: administers(basis),
            fields: answers.user.clone(),
            options: basis.user_options.clone(),
        });
        match (basis.partner, basis.scope) {
            (Some(partner), _) => Self {
                joins: Some(BelongsTo::Partner(partner.clone())),
                steps: vec![user],
            },
            (
                None,
                Scope::Join(customer)
                | Scope::AskToJoin(customer)
                | Scope::Invited(Invited { customer, .. }),
            ) => Self {
                joins: Some(BelongsTo::Customer(customer.id.clone())),
                steps: vec![user],
            },
            (None, Scope::NewCustomer { code }) => {
                let location = basis.location_name.map(|name| {
                    Step::CreateLocation(PlannedLocation {
                        name: name.to_owned(),
                        fields: answers.location.clone(),
                    })
                });
                let customer = Step::CreateCustomer(new_customer(answers, code.clone(), basis));
                Self {
                    joins: None,
                    steps: [Some(customer), location, Some(user)]
                        .into_iter()
                        .flatten()
                        .collect(),
                }
            }
        }
    }

    /// What the steps make, in order.
    pub fn kinds(&self) -> impl Iterator<Item = StepKind> {
        self.steps.iter().map(Step::kind)
    }
}

/// Whoever founds a customer administers it, and whoever is invited to.
fn administers(basis: PlanBasis<'_>) -> bool {
    match basis.scope {
        Scope::NewCustomer { .. } => basis.partner.is_none(),
        Scope::Invited(invited) => invited.administrator,
        Scope::Join(_) | Scope::AskToJoin(_) => false,
    }
}

fn new_customer(answers: &Answers, code: Option<String>, basis: PlanBasis<'_>) -> NewCustomer {
    let name = answers.customer_name.as_ref().unwrap_or(&answers.name);
    NewCustomer {
        account_type: answers.account_type,
        name: name.clone(),
        // A person's own account must not be found by that person's colleagues.
        code: code.filter(|_| answers.account_type == AccountType::Business),
        fields: answers.customer.clone(),
        options: basis.customer_options.clone(),
    }
}
