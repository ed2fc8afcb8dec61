//! Proof that an existing account is one's own: a mailed code, or the platform's password.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use secrecy::SecretString;

use super::Pages;
use super::registration::page_of;
use super::stop::{self, Stop, see_other};
use super::submission::{self, Fields};
use super::views::{CodeProof, PasswordProof, ProblemLink, ProvePage};
use super::visit::Visit;
use crate::onboarding::{
    CODE_DIGITS, NextStep, OnboardingError, ProofError, ProofOffer, code_digits,
};
use crate::paths;
use crate::session::OpenSession;
use crate::telemetry::with_causes;

/// Marks the page that follows a letter; it changes only what is shown.
const SENT: &str = "sent";

/// What was tried, and what is wrong with it.
#[derive(Debug, Clone, Copy, Default)]
struct Tried {
    is_sent: bool,
    code_problem: Option<&'static str>,
    password_problem: Option<&'static str>,
}

/// Shows how one can prove it.
pub async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.proof(&visit).await;
    pages.answer(&visit, outcome)
}

/// Sends a code, or takes a proof.
pub async fn submit(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.submit_proof(&visit, body).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn proof(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        let open = self.pending(visit).await?;
        let query = visit.here.split_once('?').map(|(_, query)| query);
        let tried = Tried {
            is_sent: query == Some(SENT),
            ..Tried::default()
        };
        self.proof_page(visit, &open, tried, StatusCode::OK).await
    }

    async fn submit_proof(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let (open, mut fields) = self.pending_form(visit, body).await?;
        self.check_token(visit, &open, &mut fields)?;
        self.applicant_may_submit(visit, &open, &fields).await?;
        match fields.get("do").map(String::as_str) {
            Some("send") => self.send_code(visit, &open, &fields).await,
            Some("code") => self.redeem_code(visit, &open, &fields).await,
            Some("password") => self.prove_by_password(visit, &open, &mut fields).await,
            _ => Err(Stop::Malformed),
        }
    }

    async fn send_code(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &Fields,
    ) -> Result<Response<Body>, Stop> {
        let (onboarding, identity) = (&self.parts.onboarding, &open.record.identity);
        match onboarding
            .send_code(identity, &visit.client, visit.language)
            .await
        {
            Ok(_) => Ok(see_other(&format!("{}?{SENT}", paths::PROVE))),
            Err(ProofError::HeldBack(held_back)) => Err(self
                .applicant_waits(visit, open, (held_back, fields))
                .into()),
            Err(error) => {
                let is_sent = matches!(error, ProofError::TooOften);
                self.not_proven(visit, open, error, |problem| Tried {
                    is_sent,
                    code_problem: Some(problem),
                    ..Tried::default()
                })
                .await
            }
        }
    }

    async fn redeem_code(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &Fields,
    ) -> Result<Response<Body>, Stop> {
        let tried = |problem| Tried {
            is_sent: true,
            code_problem: Some(problem),
            ..Tried::default()
        };
        let code = code_digits(fields.get("code").map(String::as_str).unwrap_or_default());
        // What cannot be a code takes no try from the one that was sent.
        let problem = match code.len() {
            0 => Some("prove-code-missing"),
            CODE_DIGITS => None,
            _ => Some("prove-code-length"),
        };
        if let Some(problem) = problem {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return self.proof_page(visit, open, tried(problem), status).await;
        }
        let (onboarding, identity) = (&self.parts.onboarding, &open.record.identity);
        match onboarding.redeem_code(identity, &visit.client, &code).await {
            Ok(_) => Err(Stop::at(paths::CONTINUE)),
            Err(ProofError::HeldBack(held_back)) => Err(self
                .applicant_waits(visit, open, (held_back, fields))
                .into()),
            Err(error) => self.not_proven(visit, open, error, tried).await,
        }
    }

    async fn prove_by_password(
        &self,
        visit: &Visit,
        open: &OpenSession,
        fields: &mut Fields,
    ) -> Result<Response<Body>, Stop> {
        let tried = |problem| Tried {
            password_problem: Some(problem),
            ..Tried::default()
        };
        let password: SecretString = fields.remove("password").unwrap_or_default().into();
        if secrecy::ExposeSecret::expose_secret(&password).is_empty() {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return self
                .proof_page(visit, open, tried("prove-password-missing"), status)
                .await;
        }
        let (onboarding, identity) = (&self.parts.onboarding, &open.record.identity);
        match onboarding
            .prove_by_password(identity, &visit.client, &password)
            .await
        {
            Ok(_) => Err(Stop::at(paths::CONTINUE)),
            Err(ProofError::Wrong) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                self.proof_page(visit, open, tried("prove-password-wrong"), status)
                    .await
            }
            Err(error) => self.not_proven(visit, open, error, tried).await,
        }
    }

    /// The one match over why a proof was not taken.
    async fn not_proven(
        &self,
        visit: &Visit,
        open: &OpenSession,
        error: ProofError,
        tried: impl Fn(&'static str) -> Tried,
    ) -> Result<Response<Body>, Stop> {
        let (problem, status) = match error {
            ProofError::Wrong => ("prove-code-wrong", StatusCode::UNPROCESSABLE_ENTITY),
            ProofError::NoCode => ("prove-code-expired", StatusCode::UNPROCESSABLE_ENTITY),
            ProofError::TooOften => ("prove-too-often", StatusCode::TOO_MANY_REQUESTS),
            ProofError::HeldBack(held_back) => return Err(held_back.into()),
            ProofError::Elsewhere(next) => return Err(Stop::at(page_of(&next))),
            ProofError::Down(error) => return Err(OnboardingError::into(error)),
            ProofError::Mail(error) => {
                let cause = with_causes(&error);
                let reference = visit.client.reference.as_str();
                tracing::error!(reference, cause, "a code could not be mailed");
                ("prove-mail-failed", StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        self.proof_page(visit, open, tried(problem), status).await
    }

    async fn proof_page(
        &self,
        visit: &Visit,
        open: &OpenSession,
        tried: Tried,
        status: StatusCode,
    ) -> Result<Response<Body>, Stop> {
        let offer = match self.next_step(visit, open).await? {
            NextStep::Prove(offer) => offer,
            elsewhere => return Err(Stop::at(page_of(&elsewhere))),
        };
        let texts = visit.texts();
        let digits = offer.digits.to_string();
        let values = [("digits", digits.as_str())];
        let sentence = |key: &'static str| texts.get_with(key, &values).into_owned();
        let mut frame = self.titled(visit, "prove-title");
        let problems = problems(tried, sentence);
        frame.has_problems = !problems.is_empty();
        let page = ProvePage {
            frame,
            who: self.who(visit, open),
            problems,
            code: code_proof(&offer, tried, sentence),
            password: offer.by_password.then(|| PasswordProof {
                open: tried.password_problem.is_some() || !offer.by_mail,
                problem: tried.password_problem.map(sentence),
            }),
            email: offer.masked_email,
        };
        stop::show(status, &page)
    }
}

fn problems(tried: Tried, sentence: impl Fn(&'static str) -> String) -> Vec<ProblemLink> {
    let code = tried.code_problem.map(|key| ("code", key));
    let password = tried.password_problem.map(|key| ("password", key));
    let link = |(target, key): (&str, &'static str)| ProblemLink {
        target: target.to_owned(),
        sentence: sentence(key),
    };
    code.into_iter().chain(password).map(link).collect()
}

fn code_proof(
    offer: &ProofOffer,
    tried: Tried,
    sentence: impl Fn(&'static str) -> String,
) -> CodeProof {
    if !offer.by_mail {
        CodeProof::Never
    } else if tried.is_sent {
        let problem = tried.code_problem.map(sentence);
        CodeProof::Sent {
            digits: offer.digits.to_string(),
            problem,
        }
    } else {
        CodeProof::NotSent {
            minutes: offer.minutes.to_string(),
        }
    }
}
