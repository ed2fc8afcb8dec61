//! The registration page: shown, and sent.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::form_token::FormRefusal;
use super::language_choice;
use super::registration_view::FormView;
use super::stop::{self, Stop};
use super::submission::{self, Fields};
use super::views::{ProblemLink, RegistrationPage, ResendPage};
use super::visit::Visit;
use crate::identity::{AccountType, VerifiedIdentity};
use crate::language::{Country, Language, Texts};
use crate::onboarding::{
    FieldProblem, NextStep, OnboardingError, Prefilled, RegistrationForm, Scope, SubmitError,
};
use crate::paths;
use crate::session::OpenSession;

/// Shows what comes next: the form, most often.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.registration_page(&visit).await;
    pages.answer(&visit, outcome)
}

/// Takes the form.
pub async fn submit(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.submit_registration(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// What a registration page is shown with.
struct Shown<'a> {
    form: &'a RegistrationForm,
    sent: Option<&'a Fields>,
    problems: &'a [FieldProblem],
    /// A problem of the whole page rather than of a field.
    notice: Option<&'static str>,
    status: StatusCode,
}

impl Pages {
    async fn registration_page(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let open = self.pending(visit).await?;
        let form = match self.next_step(visit, &open).await? {
            NextStep::Register(form) => form,
            elsewhere => return Err(Stop::at(page_of(&elsewhere))),
        };
        let form = self.prefilled(visit, &open, *form).await?;
        let shown = Shown {
            form: &form,
            sent: None,
            problems: &[],
            notice: None,
            status: StatusCode::OK,
        };
        self.show_form(visit, &open, &shown)
    }

    async fn prefilled(
        &self,
        visit: &Visit,
        open: &OpenSession,
        form: RegistrationForm,
    ) -> Result<RegistrationForm, Stop> {
        let (onboarding, identity) = (&self.parts.onboarding, &open.record.identity);
        let asked = onboarding.prefilled(identity, &visit.client, visit.language, form);
        match asked.await? {
            Prefilled::Form(form) => Ok(*form),
            Prefilled::Blocked { message } => Err(Stop::Blocked(message)),
        }
    }

    async fn submit_registration(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let (open, mut fields) = self.pending_form(visit, body).await?;
        match self.check_token(visit, &open, &mut fields) {
            Ok(()) => {}
            Err(FormRefusal::Expired) => {
                let notice = Some("error-form-expired");
                return self.show_again(visit, &open, &fields, notice).await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
        self.applicant_may_submit(visit, &open, &fields).await?;
        if let Some(language) = wanted_language(visit) {
            return self.translate(visit, &open, &fields, language).await;
        }
        let sent = self.submit(visit, &open, &fields).await;
        self.submitted(visit, &open, sent, &fields)
    }

    async fn submit(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &Fields,
    ) -> Result<(), SubmitError> {
        let identity = &open.record.identity;
        let onboarding = &self.parts.onboarding;
        onboarding
            .submit(identity, &visit.client, visit.language, fields)
            .await
            .map(|_| ())
    }

    /// The one match over what becomes of a submission.
    fn submitted(
        &self,
        visit: &Visit,
        open: &OpenSession,
        outcome: Result<(), SubmitError>,
        fields: &Fields,
    ) -> Result<Response<Body>, Stop> {
        match outcome {
            Ok(()) => Err(Stop::at(paths::PROGRESS)),
            Err(SubmitError::Invalid { form, problems }) => {
                let shown = Shown {
                    form: &form,
                    sent: Some(fields),
                    problems: &problems,
                    notice: None,
                    status: StatusCode::UNPROCESSABLE_ENTITY,
                };
                self.show_form(visit, open, &shown)
            }
            Err(SubmitError::UnknownField) => Err(Stop::Malformed),
            Err(SubmitError::HeldBack(held_back)) => Err(self
                .applicant_waits(visit, open, (held_back, fields))
                .into()),
            Err(SubmitError::Blocked { message }) => Err(Stop::Blocked(message)),
            Err(SubmitError::Elsewhere(next)) => Err(Stop::at(page_of(&next))),
            Err(SubmitError::Down(error)) => self.resend_page(visit, open, &error, fields),
        }
    }

    /// Shows what was typed again: in another language, or with a fresh token because the page
    /// was open for too long.
    async fn show_again(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &Fields,
        notice: Option<&'static str>,
    ) -> Result<Response<Body>, Stop> {
        let form = match self.next_step(visit, open).await? {
            NextStep::Register(form) => form.with_submitted(fields),
            elsewhere => return Err(Stop::at(page_of(&elsewhere))),
        };
        let is_refused = notice.is_some();
        let shown = Shown {
            form: &form,
            sent: Some(fields),
            problems: &[],
            notice,
            status: if is_refused {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::OK
            },
        };
        self.show_form(visit, open, &shown)
    }

    async fn translate(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &Fields,
        language: Language,
    ) -> Result<Response<Body>, Stop> {
        let visit = Visit {
            language,
            here: paths::REGISTER.to_owned(),
            ..visit.clone()
        };
        let page = self.show_again(&visit, open, fields, None).await?;
        Ok(stop::with_cookies(
            page,
            &[language_choice::remember(language)],
        ))
    }

    fn show_form(
        &self,
        visit: &Visit,
        open: &OpenSession,
        shown: &Shown<'_>,
    ) -> Result<Response<Body>, Stop> {
        let texts = visit.texts();
        let mut frame = self.titled(visit, "registration-title");
        let policy = self.parts.policy.current();
        let declared = policy.forms.of(&visit.client.host);
        if let Some(title) = visit.language.pick(&declared.title) {
            title.clone_into(&mut frame.title);
        }
        let intro = visit.language.pick(&declared.intro);
        let why = || why(texts, &open.record.identity, &frame.operator);
        let intro = intro.map_or_else(why, str::to_owned);
        let accept_language = visit.accept_language.as_deref();
        let view = FormView {
            form: shown.form,
            sent: shown.sent,
            problems: shown.problems,
            texts,
            country: accept_language.and_then(Country::from_accept_language),
            operator: &frame.operator.clone(),
            account_types: &declared.account_types,
        };
        let notice = shown.notice.map(|key| ProblemLink {
            target: "registration".to_owned(),
            sentence: texts.get(key).into_owned(),
        });
        let problems: Vec<_> = notice.into_iter().chain(view.problem_links()).collect();
        frame.has_problems = !problems.is_empty();
        frame.keeps_form = Some("registration");
        let keys = WhatFor::of(shown.form, &policy.onboarding.approval.account_types);
        let customer = shown.form.scope.joined();
        let customer = customer.map_or("", |customer| customer.name.as_str());
        let known = [
            ("customer", customer),
            ("operator", &frame.operator.clone()),
        ];
        let text = |key| texts.get_with(key, &known).into_owned();
        let page = RegistrationPage {
            frame,
            who: self.who(visit, open),
            problems,
            joins: keys.note.map(text),
            next: text(keys.next),
            submit: text(keys.submit),
            known: view.known(),
            known_source: match self.provider_name(&open.record.identity) {
                Some(provider) => texts
                    .get_with("registration-known-source", &[("provider", &provider)])
                    .into_owned(),
                None => texts.get("registration-known-by-mail").into_owned(),
            },
            account_types: view.account_types(),
            account_type_problem: view.problem_of("account_type"),
            intro,
            fields: view.fields(),
            asked: view.asked_by_condition(),
            password: view.password(),
            agreements: view.agreements(),
        };
        stop::show(shown.status, &page)
    }

    /// Nothing could be saved: what was typed travels in the page, to be sent again.
    fn resend_page(
        &self,
        visit: &Visit,
        open: &OpenSession,
        error: &OnboardingError,
        fields: &Fields,
    ) -> Result<Response<Body>, Stop> {
        let cause: &dyn std::error::Error = error;
        let reference = visit.client.reference.as_str();
        tracing::error!(reference, cause, "a registration could not be saved");
        let page = ResendPage {
            frame: self.titled(visit, "resend-title"),
            lead: visit.texts().get("resend-text").into_owned(),
            action: paths::REGISTER.to_owned(),
            form_token: self.form_token(visit, open),
            fields: submission::to_send_again(fields),
            reference: reference.to_owned(),
        };
        let mut response = stop::show(StatusCode::SERVICE_UNAVAILABLE, &page)?;
        stop::ask_to_wait(&mut response, stop::PAUSE);
        Ok(response)
    }

    /// What comes next for whoever has this session.
    pub(super) async fn next_step(
        &self,
        visit: &Visit,
        open: &OpenSession,
    ) -> Result<NextStep, Stop> {
        let onboarding = &self.parts.onboarding;
        Ok(onboarding
            .next_step(&open.record.identity, &visit.client.host)
            .await?)
    }
}

/// Why something is asked.
fn why(texts: Texts, identity: &VerifiedIdentity, operator: &str) -> String {
    let key = if identity.is_by_mail() {
        "registration-why-mail"
    } else {
        "registration-why"
    };
    texts.get_with(key, &[("operator", operator)]).into_owned()
}

/// The language that was asked for with the form.
fn wanted_language(visit: &Visit) -> Option<Language> {
    let (_, query) = visit.here.split_once('?')?;
    Language::from_tag(query.strip_prefix("language=")?)
}

/// The keys of what a form says about what it is for.
struct WhatFor {
    note: Option<&'static str>,
    next: &'static str,
    submit: &'static str,
}

impl WhatFor {
    /// The back office looks at registrations of some account types first.
    fn of(form: &RegistrationForm, looked_at: &[AccountType]) -> Self {
        let waits = |kind| looked_at.contains(kind);
        let usual = Self {
            note: None,
            next: "registration-next",
            submit: "registration-submit",
        };
        match &form.scope {
            Scope::NewCustomer { .. } if form.account_types.iter().all(waits) => Self {
                next: "registration-next-looked-at",
                ..usual
            },
            Scope::NewCustomer { .. } if form.account_types.iter().any(waits) => Self {
                next: "registration-next-some-looked-at",
                ..usual
            },
            Scope::NewCustomer { .. } => usual,
            Scope::Join(_) => Self {
                note: Some("registration-join"),
                ..usual
            },
            Scope::Invited(_) => Self {
                note: Some("registration-invited"),
                ..usual
            },
            Scope::AskToJoin(_) => Self {
                note: Some("registration-ask"),
                next: "registration-next-ask",
                submit: "registration-submit-ask",
            },
        }
    }
}

/// The page on which a step is taken. Whoever is signed in or turned away by now goes through
/// [`paths::CONTINUE`], which promotes or ends the session.
pub(super) fn page_of(step: &NextStep) -> &'static str {
    match step {
        NextStep::SignedIn(_) | NextStep::TurnedAway(_) => paths::CONTINUE,
        NextStep::Register(_) => paths::REGISTER,
        NextStep::Prove(_) => paths::PROVE,
        NextStep::UnderWay(_) => paths::PROGRESS,
    }
}
