//! Why a handler stops early, and the one place that turns this into an answer.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
};
use axum::http::{Response, StatusCode};

use super::Pages;
use super::error_page::ErrorText;
use super::form_token::FormRefusal;
use super::held_back::Waiting;
use super::problem::Problem;
use super::views::Way;
use super::visit::Visit;
use crate::login::{Finished, LoginError, ProviderRefusal, Retry, StepUpProblem};
use crate::onboarding::{OnboardingError, TurnedAway};
use crate::paths;
use crate::policy::step_up::Shortfall;
use crate::telemetry::with_causes;

/// After how long to ask again where a store or the platform is down.
pub(super) const PAUSE: Duration = Duration::from_secs(3);

/// Why a handler stops early.
#[derive(Debug)]
pub enum Stop {
    /// Another page is the right one.
    GoTo(String),
    /// The operator lets nobody in this way, and says why.
    Blocked(String),
    /// The form does not come from our page.
    Form(FormRefusal),
    /// Too much was asked for at once.
    HeldBack(Waiting),
    /// What was sent has not the form of what our pages send.
    Malformed,
    /// What was sent is too large.
    TooLarge,
    /// There is no such page.
    NotFound,
    /// There is such a page, but not by this method.
    WrongMethod,
    /// The session store does not answer.
    StoreDown,
    /// The platform does not answer.
    PlatformDown,
    /// A login got nowhere.
    Login(LoginError),
    /// Onboarding does not answer.
    Onboarding(OnboardingError),
    /// A template does not render.
    Template(askama::Error),
}

impl From<FormRefusal> for Stop {
    fn from(refusal: FormRefusal) -> Self {
        Self::Form(refusal)
    }
}

impl From<LoginError> for Stop {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::StoreDown(_) | LoginError::Roster(_) => Self::StoreDown,
            LoginError::Onboarding(error) => Self::Onboarding(error),
            error => Self::Login(error),
        }
    }
}

impl From<OnboardingError> for Stop {
    fn from(error: OnboardingError) -> Self {
        Self::Onboarding(error)
    }
}

impl From<askama::Error> for Stop {
    fn from(error: askama::Error) -> Self {
        Self::Template(error)
    }
}

impl Stop {
    /// To another page of ours.
    pub fn at(place: &str) -> Self {
        Self::GoTo(place.to_owned())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::GoTo(_) => StatusCode::SEE_OTHER,
            Self::Form(_) | Self::Blocked(_) => StatusCode::FORBIDDEN,
            Self::HeldBack(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::StoreDown | Self::PlatformDown | Self::Onboarding(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Login(error) => {
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What went wrong inside, for the log.
    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Form(refusal) => Some(refusal),
            Self::Login(error) => Some(error),
            Self::Onboarding(error) => Some(error),
            Self::Template(error) => Some(error),
            _ => None,
        }
    }
}

impl Pages {
    /// The answer to what a handler came to.
    pub(super) fn answer(
        &self,
        visit: &Visit,
        outcome: Result<Response<Body>, Stop>,
    ) -> Response<Body> {
        outcome.unwrap_or_else(|stop| self.stopped(visit, stop))
    }

    /// The answer of a handler that stopped.
    pub(super) fn stopped(&self, visit: &Visit, stop: Stop) -> Response<Body> {
        if let Stop::GoTo(place) = stop {
            return see_other(&place);
        }
        log(&stop, visit);
        if let Stop::HeldBack(waiting) = &stop {
            return self.asks_to_wait(visit, waiting);
        }
        let status = stop.status();
        let mut response = if visit.wants_page {
            let text = self.text_of(&stop, visit);
            self.error_response(visit, status, text)
        } else {
            problem_of(&stop, visit).into_response()
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            ask_to_wait(&mut response, PAUSE);
        }
        response
    }

    fn text_of(&self, stop: &Stop, visit: &Visit) -> ErrorText {
        match stop {
            Stop::Login(error) => self.login_text(error, visit),
            Stop::Blocked(words) => ErrorText::written("refused-denied-title", words.clone()),
            other => ErrorText::of(other.status()),
        }
    }

    /// The one match over what can go wrong with a login.
    fn login_text(&self, error: &LoginError, visit: &Visit) -> ErrorText {
        let text = match error {
            LoginError::TurnedAway { reason, .. } => turned_away(reason, visit),
            LoginError::NotSteppedUp { problem, .. } => not_stepped_up(*problem),
            LoginError::AttemptLost { .. } | LoginError::UnknownState | LoginError::Callback(_) => {
                ErrorText::keyed("refused-cancelled-title", "login-again")
            }
            LoginError::ProviderRefused { refusal, .. } => match refusal {
                ProviderRefusal::AccessDenied | ProviderRefusal::NeedsInteraction => {
                    ErrorText::keyed("refused-cancelled-title", "refused-cancelled-text")
                }
                ProviderRefusal::Unavailable
                | ProviderRefusal::BadRequest
                | ProviderRefusal::Unnamed => {
                    ErrorText::keyed("error-login-title", "error-login-text")
                }
            },
            LoginError::NotProven { .. } => {
                ErrorText::keyed("error-login-title", "error-login-text")
            }
            LoginError::UnknownProvider
            | LoginError::NotANavigation
            | LoginError::StoreDown(_)
            | LoginError::Roster(_)
            | LoginError::Onboarding(_)
            | LoginError::OwnOrigin(_) => {
                return ErrorText::of(Stop::status_of(error));
            }
        };
        let provider = error
            .retry()
            .and_then(|retry| self.name_of(retry.provider.as_ref()?));
        text.leading_on(provider, way_on(error, visit))
    }
}

impl Stop {
    fn status_of(error: &LoginError) -> StatusCode {
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn way_on(error: &LoginError, visit: &Visit) -> Way {
    let is_turned_away = matches!(
        error,
        LoginError::TurnedAway { .. }
            | LoginError::NotSteppedUp {
                problem: StepUpProblem::NoProvider,
                ..
            }
    );
    let key = if is_turned_away {
        "refused-other-account"
    } else {
        "error-try-again"
    };
    let href = match error.retry() {
        Some(Retry {
            provider: Some(provider),
            return_to,
        }) if is_turned_away => super::login::start_link(provider, return_to, true),
        Some(Retry { return_to, .. }) => super::login::page_link(return_to, is_turned_away),
        None => paths::LOGIN.to_owned(),
    };
    Way {
        href,
        text: visit.texts().get(key).into_owned(),
    }
}

/// Says after how long it may work again (RFC 9110, section 10.2.3).
pub(super) fn ask_to_wait(response: &mut Response<Body>, pause: Duration) {
    let pause = HeaderValue::from(whole_seconds(pause));
    response.headers_mut().insert(RETRY_AFTER, pause);
}

/// Seconds, rounded up.
pub(super) const fn whole_seconds(pause: Duration) -> u64 {
    pause.as_secs() + (pause.subsec_nanos() > 0) as u64
}

/// The texts for somebody who is not let in. An exclusion's message is a word of ours (`staff`)
/// or the operator's own sentence.
fn turned_away(reason: &TurnedAway, visit: &Visit) -> ErrorText {
    match reason {
        TurnedAway::Disabled => ErrorText::keyed("refused-disabled-title", "refused-disabled-text"),
        TurnedAway::Denied => ErrorText::keyed("refused-denied-title", "refused-denied-text"),
        TurnedAway::HasAccount => {
            ErrorText::keyed("refused-has-account-title", "refused-has-account-text")
        }
        TurnedAway::Excluded { message } => {
            let (title, text) = (
                format!("refused-{message}-title"),
                format!("refused-{message}-text"),
            );
            if visit.texts().has(&title) {
                ErrorText::keyed(title, text)
            } else {
                ErrorText::written("refused-staff-title", message.clone())
            }
        }
    }
}

/// The texts for somebody who has not signed in as a rule asks.
fn not_stepped_up(problem: StepUpProblem) -> ErrorText {
    let text = match problem {
        StepUpProblem::Lacking(Shortfall::Class) => "step-up-class",
        StepUpProblem::Lacking(Shortfall::Age) => "step-up-age",
        StepUpProblem::SomebodyElse => "step-up-somebody-else",
        StepUpProblem::NoProvider => "step-up-no-provider",
    };
    ErrorText::keyed("step-up-title", text)
}

fn problem_of(stop: &Stop, visit: &Visit) -> Problem {
    let problem = Problem::of(stop.status(), &visit.client.reference);
    match stop {
        Stop::Login(LoginError::NotANavigation) => problem
            .with_code("login_required")
            .with_way_on(paths::LOGIN),
        Stop::Form(_) => problem.with_code("form_refused"),
        _ => problem,
    }
}

/// Faults of ours, of providers, and refusals; what a stranger mistypes is in the access log.
fn log(stop: &Stop, visit: &Visit) {
    match stop {
        Stop::Login(LoginError::NotProven { .. }) => log_fault_of_provider(stop, visit),
        Stop::StoreDown | Stop::PlatformDown | Stop::Onboarding(_) | Stop::Template(_) => {
            log_fault(stop, visit);
        }
        Stop::Login(_) | Stop::Form(_) | Stop::Blocked(_) => log_refusal(stop, visit),
        Stop::GoTo(_)
        | Stop::HeldBack(_)
        | Stop::Malformed
        | Stop::TooLarge
        | Stop::NotFound
        | Stop::WrongMethod => {}
    }
}

fn log_fault(stop: &Stop, visit: &Visit) {
    let (reference, status) = (visit.client.reference.as_str(), stop.status().as_u16());
    let cause = stop.cause().map(with_causes);
    tracing::error!(reference, status, cause, "a page could not be shown");
}

/// A provider that is down, and one that refuses the gateway's own client, look alike to people.
fn log_fault_of_provider(stop: &Stop, visit: &Visit) {
    let (reference, status) = (visit.client.reference.as_str(), stop.status().as_u16());
    let cause = stop.cause().map(with_causes);
    tracing::warn!(reference, status, cause, "a login could not be finished");
}

fn log_refusal(stop: &Stop, visit: &Visit) {
    let (reference, status) = (visit.client.reference.as_str(), stop.status().as_u16());
    let cause = stop.cause().map(with_causes);
    tracing::info!(reference, status, cause, "a page was refused");
}

/// Sends a browser to a page by GET.
pub fn see_other(place: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    match HeaderValue::from_str(place) {
        Ok(place) => {
            let headers = response.headers_mut();
            headers.insert(LOCATION, place);
            // The address that is left may hold a code and a state.
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// To where a login leads, with the cookies that it sets.
pub(super) fn go_on(finished: &Finished) -> Response<Body> {
    with_cookies(see_other(&finished.go_to), &finished.set_cookies)
}

/// The status of a page that holds a form.
pub(super) const fn status_of_form(has_problems: bool) -> StatusCode {
    if has_problems {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    }
}

/// Shows a page.
pub fn show(status: StatusCode, page: &impl Template) -> Result<Response<Body>, Stop> {
    let mut response = Response::new(Body::from(page.render()?));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}

/// Adds cookies to an answer.
pub fn with_cookies(mut response: Response<Body>, cookies: &[String]) -> Response<Body> {
    for cookie in cookies
        .iter()
        .filter_map(|text| HeaderValue::from_str(text).ok())
    {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
