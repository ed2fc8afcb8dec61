//! Where the operator's hooks come into a registration: filling in and blocking before the form is
//! shown, changing, refusing and blocking when it was sent, and hearing of what was completed.

use std::collections::BTreeMap;

use super::answers::{Answers, FieldProblem, FieldProblemKind, judge};
use super::draft::Draft;
use super::form::{ACCOUNT_TYPE, RegistrationForm};
use super::progress::RegistrationId;
use super::{Onboarding, OnboardingError, SubmitError};
use crate::access::ClientContext;
use crate::hooks::contract::{Applicant, Moment};
use crate::hooks::webhook::RegistrationCompleted;
use crate::hooks::{Answer, HookDown, Patience, Question};
use crate::identity::{Account, AccountType, CustomerId, VerifiedIdentity};
use crate::language::Language;
use crate::outbox::Prepared;
use crate::policy::hooks::HookPolicy;
use crate::telemetry::with_causes;

/// What a form is asked about with.
pub(super) struct Sent<'a> {
    pub(super) identity: &'a VerifiedIdentity,
    pub(super) host: &'a str,
    pub(super) client: std::net::IpAddr,
    pub(super) language: Language,
    pub(super) form: &'a RegistrationForm,
    pub(super) input: &'a BTreeMap<String, String>,
}

/// What becomes of a form after the hook was asked.
pub(super) enum Heard {
    /// It stays as it was sent.
    AsSent,
    /// The hook changed it.
    Changed {
        input: BTreeMap<String, String>,
        answers: Box<Answers>,
    },
    /// The hook refused fields.
    Refused(Vec<FieldProblem>),
}

/// The form before it is shown, or why it is not.
#[derive(Debug)]
pub enum Prefilled {
    /// The form, perhaps filled in.
    Form(Box<RegistrationForm>),
    /// The operator lets nobody in this way.
    Blocked {
        /// What the page says.
        message: String,
    },
}

impl Onboarding {
    /// The form as the operator's hook fills it in, before it is first shown.
    pub async fn prefilled(
        &self,
        identity: &VerifiedIdentity,
        client: &ClientContext,
        language: Language,
        form: RegistrationForm,
    ) -> Result<Prefilled, OnboardingError> {
        let policy = self.parts.policy.current().onboarding.hooks;
        let nothing = BTreeMap::new();
        let sent = Sent {
            identity,
            host: &client.host,
            client: client.client,
            language,
            form: &form,
            input: &nothing,
        };
        if !policy.at_start {
            return Ok(Prefilled::Form(Box::new(form)));
        }
        match self.ask_hook(&sent, Moment::Start, policy).await? {
            Answer::Set(values) => Ok(Prefilled::Form(Box::new(form.prefilled(&values)))),
            Answer::Block(message) => Ok(Prefilled::Blocked { message }),
            Answer::Continue | Answer::Refuse(_) => Ok(Prefilled::Form(Box::new(form))),
        }
    }

    /// What the hook says about a valid form. What it changes is judged like what was typed.
    pub(super) async fn heard(&self, sent: &Sent<'_>) -> Result<Heard, SubmitError> {
        let policy = self.parts.policy.current().onboarding.hooks;
        if !policy.at_submit {
            return Ok(Heard::AsSent);
        }
        match self.ask_hook(sent, Moment::Submit, policy).await? {
            Answer::Continue => Ok(Heard::AsSent),
            Answer::Block(message) => Err(SubmitError::Blocked { message }),
            Answer::Refuse(fields) => sent.refused(fields).map_or_else(
                || self.without_hook(policy, &unfit("`refuse` names no field of the form")),
                |problems| Ok(Heard::Refused(problems)),
            ),
            Answer::Set(values) => {
                let mut input = sent.input.clone();
                input.extend(values);
                match judge(sent.form, &input) {
                    Ok(answers) => Ok(Heard::Changed {
                        input,
                        answers: Box::new(answers),
                    }),
                    Err(_) => self.without_hook(policy, &unfit("`set` has values that do not fit")),
                }
            }
        }
    }

    /// An answer that does not fit the form counts as none.
    fn without_hook(&self, policy: HookPolicy, down: &HookDown) -> Result<Heard, SubmitError> {
        self.parts.metrics.hooks.count("failed");
        tracing::error!(error = %down, "the hook's answer does not fit the form");
        if policy.allows_when_down {
            return Ok(Heard::AsSent);
        }
        Err(SubmitError::Down(OnboardingError::Hook))
    }

    async fn ask_hook(
        &self,
        sent: &Sent<'_>,
        moment: Moment,
        policy: HookPolicy,
    ) -> Result<Answer, OnboardingError> {
        let Some(hook) = &self.parts.hook else {
            return Ok(Answer::Continue);
        };
        let patience = Patience {
            timeout: policy.timeout,
            retries: policy.retries,
        };
        match hook.ask(&sent.question(moment), patience).await {
            Ok(answer) => {
                self.parts.metrics.hooks.count(word(&answer));
                Ok(answer)
            }
            Err(error) => {
                self.parts.metrics.hooks.count("failed");
                let error = with_causes(&error);
                let allowed = policy.allows_when_down;
                tracing::error!(error, allowed, "the hook has no say in a registration");
                if allowed {
                    Ok(Answer::Continue)
                } else {
                    Err(OnboardingError::Hook)
                }
            }
        }
    }

    /// The webhook about a registration that is being completed; none where nobody wants it.
    pub(super) fn announcement(
        &self,
        id: &RegistrationId,
        draft: &Draft,
        account: &Account,
    ) -> Option<Prepared> {
        let outbox = self.parts.webhooks.as_ref()?;
        let completed = RegistrationCompleted {
            registration: id.as_str().to_owned(),
            host: draft.host.clone(),
            language: draft.language.tag(),
            account_type: draft.account_type.as_str(),
            user: account.user.as_str().to_owned(),
            customer: account
                .customer
                .as_ref()
                .map(|id: &CustomerId| id.as_str().to_owned()),
            email: draft.email.as_str().to_owned(),
            name: draft.name.clone(),
        };
        Some(outbox.prepare(&completed.delivery(&self.parts.clock)))
    }
}

impl Sent<'_> {
    fn question(&self, moment: Moment) -> Question {
        let fields = &self.form.fields;
        let chosen = self.input.get(ACCOUNT_TYPE);
        let chosen = chosen.and_then(|word| AccountType::from_word(word));
        let types = &self.form.account_types;
        let values = fields.iter().filter_map(|field| {
            let name = &field.declared.name;
            // What is vouched for stands in the form; the rest is what was typed, if it was sent.
            let value = match self.input.get(name).filter(|_| !field.locked) {
                Some(sent) => Some(sent),
                None => field.value.as_ref(),
            };
            Some((name.clone(), value?.clone()))
        });
        Question {
            moment,
            host: self.host.to_owned(),
            language: self.language.tag(),
            client_address: self.client.to_string(),
            applicant: Applicant {
                issuer: self.identity.issuer().as_str().to_owned(),
                subject: self.identity.subject().as_str().to_owned(),
                claims: self.identity.claims().to_object(),
            },
            account_types: match chosen {
                Some(kind) => vec![kind.as_str()],
                None => types.iter().map(|kind| kind.as_str()).collect(),
            },
            values: values.collect(),
            locked: fields
                .iter()
                .filter(|field| field.locked)
                .map(|field| field.declared.name.clone())
                .collect(),
        }
    }

    /// The problems at the fields of the form; none where the answer names no such field.
    fn refused(&self, mut messages: BTreeMap<String, String>) -> Option<Vec<FieldProblem>> {
        let problems: Vec<FieldProblem> = self
            .form
            .fields
            .iter()
            .filter_map(|field| {
                let field = field.declared.name.clone();
                let said = messages.remove(&field)?;
                let problem = FieldProblemKind::Said(said);
                Some(FieldProblem { field, problem })
            })
            .collect();
        (!problems.is_empty() && messages.is_empty()).then_some(problems)
    }
}

fn unfit(why: &str) -> HookDown {
    HookDown::Garbled(why.to_owned())
}

const fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Continue => "continue",
        Answer::Set(_) => "set",
        Answer::Refuse(_) => "refuse",
        Answer::Block(_) => "block",
    }
}
