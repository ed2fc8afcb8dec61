//! What somebody sent: its judgement, and what is kept of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

use super::answers::{Acceptance, Answers, Refusal, judge};
use super::approval::Asked;
use super::draft::Draft;
use super::password::{PASSWORD, PasswordProblem};
use super::plan::{Plan, PlanBasis};
use super::store::Receipt;
use super::{FieldProblem, FieldProblemKind, RegistrationForm, SubmitError};
use crate::identity::{Account, AccountType, EmailAddress, PartnerId, VerifiedIdentity};
use crate::language::Language;
use crate::policy::Policy;

/// A submission on its way into the store.
pub(super) struct Submission<'a> {
    /// Who.
    pub(super) identity: &'a VerifiedIdentity,
    /// What judges it.
    pub(super) policy: Arc<Policy>,
    /// What was asked.
    pub(super) form: RegistrationForm,
    /// A link that goes with it.
    pub(super) stale_link: Option<Account>,
    /// On which host.
    pub(super) host: &'a str,
    /// In which language.
    pub(super) language: Language,
    /// From where.
    pub(super) client: IpAddr,
    /// What was typed, without the password.
    pub(super) input: BTreeMap<String, String>,
    /// The chosen password.
    pub(super) password: Option<SecretString>,
}

impl Submission<'_> {
    /// The fields and the password, judged together, so that one look at the page is enough.
    pub(super) fn answers(&self) -> Result<Answers, Refusal> {
        let judged = judge(&self.form, &self.input);
        let Some(problem) = self.password_problem() else {
            return judged;
        };
        let mut problems = match judged {
            Ok(_) => Vec::new(),
            Err(Refusal::Invalid(problems)) => problems,
            Err(unknown @ Refusal::UnknownField(_)) => return Err(unknown),
        };
        problems.push(FieldProblem {
            field: PASSWORD.to_owned(),
            problem: FieldProblemKind::Password(problem),
        });
        Err(Refusal::Invalid(problems))
    }

    fn password_problem(&self) -> Option<PasswordProblem> {
        let demand = self.form.password?;
        let Some(chosen) = &self.password else {
            return Some(PasswordProblem::Missing);
        };
        let email = self.identity.email();
        let known = email.iter().map(EmailAddress::as_str);
        let known: Vec<_> = known
            .chain(self.input.values().map(String::as_str))
            .collect();
        demand.judge(chosen, &known).err()
    }

    pub(super) fn invalid(self, problems: Vec<FieldProblem>) -> SubmitError {
        SubmitError::Invalid {
            form: Box::new(self.form.with_submitted(&self.input)),
            problems,
        }
    }

    pub(super) fn draft(
        &self,
        (answers, partner): (&Answers, Option<&PartnerId>),
        has_locations: bool,
    ) -> Draft {
        let entrance = self.policy.onboarding.entrance_of(self.identity);
        let with_location = has_locations && entrance.add_default_location;
        let location_name = self.language.texts().get(match answers.account_type {
            AccountType::Personal => "default-location-personal",
            AccountType::Business | AccountType::Partner => "default-location-business",
        });
        let declared = self.policy.forms.of(self.host);
        let basis = PlanBasis {
            scope: &self.form.scope,
            partner,
            location_name: with_location.then_some(location_name.as_ref()),
            language: self.language.tag(),
            customer_options: &declared.customer_options,
            user_options: &declared.user_options,
        };
        Draft {
            identity: self.identity.clone(),
            account_type: answers.account_type,
            email: answers.email.clone(),
            name: answers.name.clone(),
            language: self.language,
            host: self.host.to_owned(),
            typed: self.input.clone(),
            asked: Asked::for_registration(
                &self.form.scope,
                answers.account_type,
                &self.policy.onboarding.approval,
            ),
            plan: Plan::of(answers, basis),
        }
    }

    pub(super) fn receipts(&self, answers: &Answers) -> Vec<Receipt> {
        let receipt = |accepted: &Acceptance| {
            let agreements = &self.form.agreements;
            let agreement = agreements.iter().find(|one| one.id == accepted.agreement)?;
            Receipt::of(agreement, accepted.clone(), self.client)
        };
        answers.acceptances.iter().filter_map(receipt).collect()
    }
}

/// What was typed, and the password apart: it is kept in another place, and never shown again.
pub(super) fn without_password(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Option<SecretString>) {
    let mut input = input.clone();
    let password = form.password.and_then(|_| input.remove(PASSWORD));
    (input, password.map(SecretString::from))
}
