//! Taking a submission, and saying how it stands.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::answers::{Answers, Refusal};
use super::approval::{Asked, Asking};
use super::draft::Draft;
use super::form::{PARTNER_CODE, Scope};
use super::funnel::Stage;
use super::hooking::{Heard, Sent};
use super::letters::language_of;
use super::partner::CodeSays;
use super::password::{self};
use super::resolve::Outcome;
use super::submission::{Submission, without_password};

use super::abuse_key;
use super::store::{NewRegistration, Opened, Registration};
use super::{
    Failure, FieldProblem, FieldProblemKind, NextStep, Onboarding, OnboardingError, ProgressReport,
    ProgressStanding, RegistrationForm, RegistrationId, SubmitError, TurnedAway,
};
use crate::access::ClientContext;
use crate::audit::EventKind;
use crate::identity::{Account, AccountType, PartnerId, VerifiedIdentity};
use crate::language::Language;
use crate::onboarding::progress::State;
use crate::seal;

/// What takes longer is called slow, and its end is told by mail.
pub(super) const USUALLY_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

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
                standing: match newest.state {
                    State::AwaitingApproval => ProgressStanding::Waiting(self.asked(&newest)),
                    _ => standing(&newest, now.since(newest.created_at) > USUALLY_WITHIN)?,
                },
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
            Err(
                SubmitError::Invalid { .. } | SubmitError::UnknownField | SubmitError::HeldBack(_),
            ) => Ok(NextStep::Register(Box::new(form))),
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
        if !self.parts.platform.takes_email(&answers.email) {
            let field = submission.form.email_field().to_owned();
            let problem = FieldProblemKind::Refused;
            return Err(submission.invalid(vec![FieldProblem { field, problem }]));
        }
        let by_email = self.parts.platform.user_by_email(&answers.email).await;
        let is_taken = by_email.map_err(OnboardingError::from)?.is_some();
        if is_taken {
            return self.earlier_or_taken(submission).await;
        }
        let partner = match self.partner(&submission, answers).await? {
            Some(CodeSays::Nothing) => {
                self.refuse_code(&submission).await;
                return Err(submission.invalid(vec![FieldProblem {
                    field: PARTNER_CODE.to_owned(),
                    problem: FieldProblemKind::NotAPartnerCode,
                }]));
            }
            Some(CodeSays::Belongs(partner)) => Some(partner),
            None => None,
        };
        let id = RegistrationId::new(uuid::Uuid::now_v7().to_string());
        let new = self.new_registration(&id, &submission, (answers, partner.as_ref()))?;
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

    /// The partner of a partner's user.
    async fn partner(
        &self,
        submission: &Submission<'_>,
        answers: &Answers,
    ) -> Result<Option<CodeSays>, SubmitError> {
        if answers.account_type != AccountType::Partner {
            return Ok(None);
        }
        if answers.partner_code.is_some() {
            let subject = abuse_key(submission.identity);
            let tried = self.abuse().may_try_code(submission.client, Some(&subject));
            tried.await.map_err(SubmitError::HeldBack)?;
        }
        let policy = &submission.policy.onboarding.partner;
        Ok(Some(self.partner_of(answers, policy).await?))
    }

    async fn refuse_code(&self, submission: &Submission<'_>) {
        let mut event = self.event(EventKind::PartnerCodeWrong, &self.who(submission.identity));
        event.host = Some(submission.host.to_owned());
        event.client_address = Some(submission.client);
        self.keep(event).await;
    }

    /// Whose word a registration waits for.
    fn asked(&self, registration: &Registration) -> Asked {
        let draft = Draft::open(&self.parts.keys, &registration.id, &registration.sealed);
        let asked = draft.ok().and_then(|draft| draft.asked);
        asked.unwrap_or(Asked::BackOffice)
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
        (answers, partner): (&Answers, Option<&PartnerId>),
    ) -> Result<NewRegistration, OnboardingError> {
        let has_locations = self.parts.platform.capabilities().locations;
        let draft = submission.draft((answers, partner), has_locations);
        let now = self.parts.clock.now();
        let approval = &submission.policy.onboarding.approval;
        let asked = draft.asked.clone();
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
            policy_version: submission.policy.version.to_string(),
            steps: draft.plan.kinds().collect(),
            receipts: submission.receipts(answers),
            stale_link: submission.stale_link.clone(),
            asking: asked.map(|asked| (asked, Asking::begin(approval, now))),
            invitation: match &submission.form.scope {
                Scope::Invited(invited) => Some(invited.invitation.clone()),
                _ => None,
            },
            at: now,
        })
    }
}

fn standing(newest: &Registration, is_slow: bool) -> Option<ProgressStanding> {
    match newest.state {
        State::Undoing if newest.failure == Some(Failure::Rejected) => {
            Some(ProgressStanding::Failed(Failure::Rejected))
        }
        State::AwaitingApproval | State::Provisioning | State::Undoing if is_slow => {
            Some(ProgressStanding::Slow)
        }
        State::AwaitingApproval | State::Provisioning | State::Undoing => {
            Some(ProgressStanding::Working)
        }
        State::Completed => Some(ProgressStanding::Completed),
        State::Failed => newest.failure.clone().map(ProgressStanding::Failed),
        State::Abandoned => None,
    }
}
