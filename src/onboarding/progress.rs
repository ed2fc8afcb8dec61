//! How far a registration is: states and their transitions, which consume the old state. Pure.

use serde::{Deserialize, Serialize};

use crate::identity::{CustomerId, UserId};
use crate::platform::BelongsTo;

crate::identity::text_id! {
    /// A registration: one onboarding from the submitted form to the working account.
    RegistrationId
}

/// What a provisioning step makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The customer.
    CreateCustomer,
    /// The customer's default location.
    CreateLocation,
    /// The user.
    CreateUser,
}

impl StepKind {
    /// All of them, in the order in which they are carried out.
    pub const ALL: [Self; 3] = [Self::CreateCustomer, Self::CreateLocation, Self::CreateUser];

    /// The word used in SQL, logs and audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateCustomer => "create_customer",
            Self::CreateLocation => "create_location",
            Self::CreateUser => "create_user",
        }
    }

    /// The step that `word` names, if any.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Nothing was tried.
    Planned,
    /// It was tried; whether the platform did it is not known yet.
    Begun,
    /// The platform did it.
    Done,
    /// It was undone.
    Undone,
}

impl StepState {
    /// The word used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }

    /// The state that `word` names, if any.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Planned, Self::Begun, Self::Done, Self::Undone]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One step as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedStep {
    /// What it makes.
    pub kind: StepKind,
    /// How it stands.
    pub state: StepState,
    /// The id that the platform gave.
    pub outcome: Option<String>,
}

/// Why a registration failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The platform has another user with this address.
    EmailTaken,
    /// The platform has another customer with this name.
    NameTaken,
    /// The platform has another customer with this organisation code.
    CodeTaken,
    /// The platform refused a field's value.
    Refused {
        /// The field that it named.
        field: String,
    },
    /// The identity was linked to another account meanwhile.
    LinkedElsewhere,
    /// Whoever was asked said no.
    Rejected,
    /// Whoever was asked did not answer in time.
    NotAnswered,
}

impl Failure {
    /// The word kept in SQL, with the field where there is one.
    pub fn to_text(&self) -> String {
        match self {
            Self::EmailTaken => "email_taken".to_owned(),
            Self::NameTaken => "name_taken".to_owned(),
            Self::CodeTaken => "code_taken".to_owned(),
            Self::Refused { field } => format!("refused:{field}"),
            Self::LinkedElsewhere => "linked_elsewhere".to_owned(),
            Self::Rejected => "rejected".to_owned(),
            Self::NotAnswered => "not_answered".to_owned(),
        }
    }

    /// What [`Failure::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "email_taken" => Some(Self::EmailTaken),
            "name_taken" => Some(Self::NameTaken),
            "code_taken" => Some(Self::CodeTaken),
            "linked_elsewhere" => Some(Self::LinkedElsewhere),
            "rejected" => Some(Self::Rejected),
            "not_answered" => Some(Self::NotAnswered),
            other => other.strip_prefix("refused:").map(|field| Self::Refused {
                field: field.to_owned(),
            }),
        }
    }
}

/// How far a registration is, without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody's word is waited for; nothing is made yet.
    AwaitingApproval,
    /// Its steps are being carried out, or wait for their next try.
    Provisioning,
    /// What was made is being undone.
    Undoing,
    /// The account works.
    Completed,
    /// It failed for good; nothing of it is left in the platform.
    Failed,
    /// It was given up.
    Abandoned,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AwaitingApproval,
        Self::Provisioning,
        Self::Undoing,
        Self::Completed,
        Self::Failed,
        Self::Abandoned,
    ];

    /// The word used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Provisioning => "provisioning",
            Self::Undoing => "undoing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }

    /// The state that `word` names, if any.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether work is left to do.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::AwaitingApproval | Self::Provisioning | Self::Undoing
        )
    }
}

/// Steps of a plan, the first ones carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    steps: Vec<RecordedStep>,
    joins: Option<BelongsTo>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// The step at this position is next.
    Next {
        /// Its position, from 0.
        position: usize,
        /// What it makes.
        kind: StepKind,
    },
    /// All steps are done.
    Finished(Finished),
    /// The record is not one that this program wrote: it makes no user, or has no place for it.
    Broken,
}

/// Proof that all steps are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What the user belongs to, made or joined.
    pub belongs_to: BelongsTo,
    /// The user.
    pub user: UserId,
}

impl Provisioning {
    /// The steps as they are recorded, and what is joined where no customer is made.
    pub fn resume(steps: Vec<RecordedStep>, joins: Option<BelongsTo>) -> Self {
        Self { steps, joins }
    }

    /// What is to be done.
    pub fn next(&self) -> Provisioned {
        let open = |step: &RecordedStep| step.state != StepState::Done;
        match self.steps.iter().position(open) {
            Some(position) => self
                .steps
                .get(position)
                .map_or(Provisioned::Broken, |step| Provisioned::Next {
                    position,
                    kind: step.kind,
                }),
            None => self
                .finished()
                .map_or(Provisioned::Broken, Provisioned::Finished),
        }
    }

    /// What the user belongs to, once it is known.
    pub fn belongs_to(&self) -> Option<BelongsTo> {
        let made = || self.outcome(StepKind::CreateCustomer).map(CustomerId::new);
        self.joins
            .clone()
            .or_else(|| made().map(BelongsTo::Customer))
    }

    /// The next step is done, with the id that the platform gave.
    #[must_use]
    pub fn step_done(mut self, outcome: &str) -> Self {
        let next = self
            .steps
            .iter_mut()
            .find(|step| step.state != StepState::Done);
        if let Some(step) = next {
            step.state = StepState::Done;
            step.outcome = Some(outcome.to_owned());
        }
        self
    }

    /// The next step failed for good: everything that may have taken effect is undone.
    pub fn fail(self) -> Undoing {
        Undoing::resume(self.steps)
    }

    fn finished(&self) -> Option<Finished> {
        Some(Finished {
            belongs_to: self.belongs_to()?,
            user: UserId::new(self.outcome(StepKind::CreateUser)?),
        })
    }

    fn outcome(&self, kind: StepKind) -> Option<&str> {
        self.steps
            .iter()
            .find(|step| step.kind == kind)?
            .outcome
            .as_deref()
    }
}

/// Steps being undone, the last first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    steps: Vec<RecordedStep>,
}

impl Undoing {
    /// The steps as they are recorded.
    pub fn resume(steps: Vec<RecordedStep>) -> Self {
        Self { steps }
    }

    /// The step to undo next: the last that was begun and is not undone.
    pub fn next(&self) -> Option<(usize, StepKind)> {
        let position = self
            .steps
            .iter()
            .rposition(|step| matches!(step.state, StepState::Begun | StepState::Done))?;
        self.steps.get(position).map(|step| (position, step.kind))
    }

    /// The step that [`Undoing::next`] named is undone.
    #[must_use]
    pub fn step_undone(mut self) -> Self {
        if let Some((position, _)) = self.next()
            && let Some(step) = self.steps.get_mut(position)
        {
            step.state = StepState::Undone;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(kinds: &[StepKind]) -> Vec<RecordedStep> {
        kinds
            .iter()
            .map(|kind| RecordedStep {
                kind: *kind,
                state: StepState::Planned,
                outcome: None,
            })
            .collect()
    }

    #[test]
    fn steps_are_carried_out_in_order_and_the_outcome_is_customer_and_user() {
        let mut provisioning = Provisioning::resume(planned(&StepKind::ALL), None);
        let mut carried_out = Vec::new();
        while let Provisioned::Next { kind, .. } = provisioning.next() {
            carried_out.push(kind);
            provisioning = provisioning.step_done(&format!("id of {}", kind.as_str()));
        }
        assert_eq!(carried_out, StepKind::ALL);
        assert_eq!(
            provisioning.next(),
            Provisioned::Finished(Finished {
                belongs_to: BelongsTo::Customer(CustomerId::new("id of create_customer")),
                user: UserId::new("id of create_user"),
            })
        );
    }

    #[test]
    fn who_joins_a_customer_gets_that_customer() {
        let joined = BelongsTo::Customer(CustomerId::new("c-1"));
        let provisioning =
            Provisioning::resume(planned(&[StepKind::CreateUser]), Some(joined.clone()));
        assert_eq!(provisioning.belongs_to(), Some(joined.clone()));
        assert_eq!(
            provisioning.step_done("u-1").next(),
            Provisioned::Finished(Finished {
                belongs_to: joined,
                user: UserId::new("u-1")
            })
        );
    }

    #[test]
    fn a_plan_without_a_user_never_finishes() {
        let provisioning = Provisioning::resume(planned(&[StepKind::CreateCustomer]), None);
        assert_eq!(provisioning.step_done("c").next(), Provisioned::Broken);
        assert_eq!(
            Provisioning::resume(vec![], None).next(),
            Provisioned::Broken
        );
    }

    #[test]
    fn what_may_have_taken_effect_is_undone_in_reverse() {
        let mut steps = planned(&StepKind::ALL);
        steps[0].state = StepState::Done;
        steps[1].state = StepState::Begun;
        let mut undoing = Provisioning::resume(steps, None).fail();
        let mut undone = Vec::new();
        while let Some((_, kind)) = undoing.next() {
            undone.push(kind);
            undoing = undoing.step_undone();
        }
        assert_eq!(undone, [StepKind::CreateLocation, StepKind::CreateCustomer]);
    }

    #[test]
    fn words_are_read_back() {
        for kind in StepKind::ALL {
            assert_eq!(StepKind::from_word(kind.as_str()), Some(kind));
        }
        for failure in [
            Failure::EmailTaken,
            Failure::NameTaken,
            Failure::CodeTaken,
            Failure::LinkedElsewhere,
            Failure::Rejected,
            Failure::NotAnswered,
            Failure::Refused {
                field: "vat:number".to_owned(),
            },
        ] {
            assert_eq!(Failure::from_text(&failure.to_text()), Some(failure));
        }
        assert_eq!(State::from_word("completed"), Some(State::Completed));
        assert_eq!(State::from_word("done"), None);
    }
}
