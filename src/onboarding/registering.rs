//! Taking a submission, and saying how it stands.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use secrecy::SecretString;

use super::answers::{Acceptance, Answers, Refusal, judge};
use super::draft::Draft;
use super::funnel::Stage;
use super::hooking::{Heard, Sent};
use super::letters::language_of;
use super::password::{self, PASSWORD, PasswordProblem};
use super::plan::{Plan, PlanBasis};
use super::resolve::Outcome;
use super::store::{NewRegistration, Opened, Receipt, Registration};
use super::{
    FieldProblem, FieldProblemKind, NextStep, Onboarding, OnboardingError, ProgressReport,
    ProgressStanding, RegistrationForm, RegistrationId, SubmitError, TurnedAway,
};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::identity::{Account, AccountType, EmailAddress, VerifiedIdentity};
use crate::language::Language;
use crate::onboarding::progress::State;
use crate::policy::Policy;
use crate::seal;

/// What takes longer is called slow, and its end is told by mail.
pub(super) const USUALLY_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// A submission on its way into the store.
struct Submission<'a> {
    identity: &'a VerifiedIdentity,
    policy: Arc<Policy>,
    form: RegistrationForm,
    stale_link: Option<Account>,
    host: &'a str,
    language: Language,
    client: IpAddr,
    /// What was typed, without the password.
    input: BTreeMap<String, String>,
    password: Option<SecretString>,
}

impl Onboarding {
    /// Takes a submission. While it is under way, and after it is done, submitting again gives the
    /// same registration.
    pub async fn submit(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        language: Language,
        input: &BTreeMap<String, String>,
    ) -> Result<RegistrationId, SubmitError> {
        let policy = self.parts.policy.current();
        let resolution = self.resolve_by(&policy, identity, &client.host).await?;
        match resolution.outcome {
            Outcome::Register(form) => {
                let (input, password) = without_password(&form, input);
                let submission = Submission {
                    identity,
                    policy,
                    form,
                    stale_link: resolution.stale_link,
                    host: &client.host,
                    language,
                    client: client.client,
                    input,
                    password,
                };
                self.take(submission).await
            }
            Outcome::UnderWay(id) => Ok(id),
            other => {
                let step = self.as_step(other);
                match self.earlier(identity).await? {
                    Some(done) if matches!(step, NextStep::SignedIn(_)) => Ok(done),
                    _ => Err(SubmitError::Elsewhere(Box::new(step))),
                }
            }
        }
    }

    /// How the newest registration of an identity stands.
    pub async fn progress(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<ProgressReport>, OnboardingError> {
        let newest = self.parts.store.newest(&self.who(identity)).await?;
        let now = self.parts.clock.now();
        Ok(newest.and_then(|newest| {
            Some(ProgressReport {
                standing: standing(&newest, now.since(newest.created_at) > USUALLY_WITHIN)?,
                steps: newest
                    .steps
                    .iter()
                    .map(|step| (step.kind, step.state))
                    .collect(),
                id: newest.id,
            })
        }))
    }

    /// Registers somebody of whom nothing has to be asked.
    pub(super) async fn join_at_once(
        &self,
        identity: &VerifiedIdentity,
        host: &str,
        (form, stale_link): (RegistrationForm, Option<Account>),
    ) -> Result<NextStep, OnboardingError> {
        let submission = Submission {
            identity,
            policy: self.parts.policy.current(),
            form: form.clone(),
            stale_link,
            host,
            language: language_of(identity),
            client: Ipv6Addr::UNSPECIFIED.into(),
            input: BTreeMap::new(),
            password: None,
        };
        match self.take(submission).await {
            Ok(id) => Ok(NextStep::UnderWay(id)),
            Err(SubmitError::Down(error)) => Err(error),
            Err(SubmitError::Elsewhere(step)) => Ok(*step),
            Err(SubmitError::Blocked { message }) => {
                Ok(NextStep::TurnedAway(TurnedAway::Excluded { message }))
            }
            Err(SubmitError::Invalid { .. } | SubmitError::UnknownField) => {
                Ok(NextStep::Register(form))
            }
        }
    }

    /// The form with what was typed into the registration that failed, if one did.
    pub(super) async fn with_what_failed(
        &self,
        identity: &VerifiedIdentity,
        form: RegistrationForm,
    ) -> Result<RegistrationForm, OnboardingError> {
        let newest = self.parts.store.newest(&self.who(identity)).await?;
        let Some(failed) = newest.filter(|newest| newest.state == State::Failed) else {
            return Ok(form);
        };
        Ok(
            match Draft::open(&self.parts.keys, &failed.id, &failed.sealed) {
                Ok(draft) => form.with_submitted(&draft.typed),
                Err(_) => form,
            },
        )
    }

    async fn take(&self, submission: Submission<'_>) -> Result<RegistrationId, SubmitError> {
        let answers = match submission.answers() {
            Ok(answers) => answers,
            Err(Refusal::UnknownField(_)) => return Err(SubmitError::UnknownField),
            Err(Refusal::Invalid(problems)) => return Err(submission.invalid(problems)),
        };
        let sent = Sent {
            identity: submission.identity,
            host: submission.host,
            client: submission.client,
            language: submission.language,
            form: &submission.form,
            input: &submission.input,
        };
        match self.heard(&sent).await? {
            Heard::AsSent => self.take_judged(submission, &answers).await,
            Heard::Refused(problems) => Err(submission.invalid(problems)),
            Heard::Changed { input, answers } => {
                let changed = Submission {
                    input,
                    ..submission
                };
                self.take_judged(changed, &answers).await
            }
        }
    }

    async fn take_judged(
        &self,
        submission: Submission<'_>,
        answers: &Answers,
    ) -> Result<RegistrationId, SubmitError> {
        let by_email = self.parts.platform.user_by_email(&answers.email).await;
        let is_taken = by_email.map_err(OnboardingError::from)?.is_some();
        if is_taken {
            return self.earlier_or_taken(submission).await;
        }
        let id = RegistrationId::new(uuid::Uuid::now_v7().to_string());
        let new = self.new_registration(&id, &submission, answers)?;
        match self
            .parts
            .store
            .open(&new)
            .await
            .map_err(OnboardingError::from)?
        {
            Opened::Opened => {
                self.submitted(&new, answers.account_type).await;
                Ok(id)
            }
            Opened::UnderWay(earlier) => Ok(earlier),
            Opened::Linked | Opened::EmailBusy => self.earlier_or_taken(submission).await,
        }
    }

    async fn submitted(&self, new: &NewRegistration, account_type: AccountType) {
        self.work.notify_one();
        self.count_stage(Stage::Submitted, Some(account_type), &new.host);
        self.went_on(&new.who).await;
        let mut event = self.event(EventKind::RegistrationSubmitted, &new.who);
        event.registration = Some(new.id.as_str().to_owned());
        event.host = Some(new.host.clone());
        event.client_address = new.receipts.first().map(|receipt| receipt.client);
        self.keep(event).await;
        tracing::info!(registration = %new.id, "a registration was submitted");
    }

    /// The address may be taken by this identity's own registration, submitted a moment ago.
    async fn earlier_or_taken(
        &self,
        submission: Submission<'_>,
    ) -> Result<RegistrationId, SubmitError> {
        let earlier = self.earlier(submission.identity).await?;
        if let Some(earlier) = earlier.filter(|_| submission.stale_link.is_none()) {
            return Ok(earlier);
        }
        let field = submission.form.email_field().to_owned();
        Err(submission.invalid(vec![FieldProblem {
            field,
            problem: FieldProblemKind::EmailTaken,
        }]))
    }

    /// The identity's registration that is under way, or done and linked.
    async fn earlier(
        &self,
        identity: &VerifiedIdentity,
    ) -> Result<Option<RegistrationId>, OnboardingError> {
        let newest = self.parts.store.newest(&self.who(identity)).await?;
        let is_linked = self.link_of(identity).await?.is_some();
        let counts = |newest: &Registration| {
            newest.state.is_open() || (newest.state == State::Completed && is_linked)
        };
        Ok(newest.filter(counts).map(|newest| newest.id))
    }

    fn new_registration(
        &self,
        id: &RegistrationId,
        submission: &Submission<'_>,
        answers: &Answers,
    ) -> Result<NewRegistration, OnboardingError> {
        let draft = submission.draft(answers, self.parts.platform.capabilities().locations);
        Ok(NewRegistration {
            id: id.clone(),
            who: self.who(submission.identity),
            email_digest: seal::digest(answers.email.folded().as_bytes()),
            host: submission.host.to_owned(),
            language: submission.language.tag(),
            sealed: draft.seal(&self.parts.keys, id)?,
            sealed_password: submission
                .password
                .as_ref()
                .map(|chosen| password::seal(&self.parts.keys, id, chosen)),
            policy_version: submission.policy.version.clone(),
            steps: draft.plan.kinds().collect(),
            receipts: submission.receipts(answers),
            stale_link: submission.stale_link.clone(),
            at: self.parts.clock.now(),
        })
    }
}

impl Submission<'_> {
    /// The fields and the password, judged together, so that one look at the page is enough.
    fn answers(&self) -> Result<Answers, Refusal> {
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

    fn invalid(self, problems: Vec<FieldProblem>) -> SubmitError {
        SubmitError::Invalid {
            form: Box::new(self.form.with_submitted(&self.input)),
            problems,
        }
    }

    fn draft(&self, answers: &Answers, has_locations: bool) -> Draft {
        let entrance = self.policy.onboarding.entrance_of(self.identity);
        let with_location = has_locations && entrance.add_default_location;
        let location_name = self.language.texts().get(match answers.account_type {
            AccountType::Personal => "default-location-personal",
            AccountType::Business | AccountType::Partner => "default-location-business",
        });
        let declared = self.policy.forms.of(self.host);
        let basis = PlanBasis {
            scope: &self.form.scope,
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
            plan: Plan::of(answers, basis),
        }
    }

    fn receipts(&self, answers: &Answers) -> Vec<Receipt> {
        let receipt = |accepted: &Acceptance| {
            let agreements = &self.form.agreements;
            let agreement = agreements.iter().find(|one| one.id == accepted.agreement)?;
            Receipt::of(agreement, accepted.clone(), self.client)
        };
        answers.acceptances.iter().filter_map(receipt).collect()
    }
}

/// What was typed, and the password apart: it is kept in another place, and never shown again.
fn without_password(
    form: &RegistrationForm,
    input: &BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Option<SecretString>) {
    let mut input = input.clone();
    let password = form.password.and_then(|_| input.remove(PASSWORD));
    (input, password.map(SecretString::from))
}

fn standing(newest: &Registration, is_slow: bool) -> Option<ProgressStanding> {
    match newest.state {
        State::Provisioning | State::Undoing if is_slow => Some(ProgressStanding::Slow),
        State::Provisioning | State::Undoing => Some(ProgressStanding::Working),
        State::Completed => Some(ProgressStanding::Completed),
        State::Failed => newest.failure.clone().map(ProgressStanding::Failed),
        State::Abandoned => None,
    }
}
