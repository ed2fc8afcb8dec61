//! Asking for a link by mail: to the registration, or to a new password.
//!
//! What is answered is the same whether or not the address is known; what differs happens later.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{Response, StatusCode};
use serde::Deserialize;

use super::Pages;
use super::captcha::NotAPerson;
use super::held_back;
use super::local_login::problem_links;
use super::login::page_link;
use super::stop::{Stop, ask_to_wait, see_other, show};
use super::submission::{self, Fields};
use super::views::{EmailPage, MessagePage, Way};
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::EmailAddress;
use crate::language::Texts;
use crate::login::LoginError;
use crate::onboarding::{HeldBack, LinkRequest, LinkStep};
use crate::paths;
use crate::policy::addresses::Unwelcome;
use crate::session::SessionStanding;

/// Marks the page that follows a letter; it changes only what is shown.
const SENT: &str = "sent";

/// The query of a mailed link.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LinkQuery {
    /// Its token.
    #[serde(default)]
    pub(super) token: String,
}

/// A query that does not parse holds no token.
pub(super) type AnyLink = Result<Query<LinkQuery>, axum::extract::rejection::QueryRejection>;

impl LinkQuery {
    pub(super) fn of(query: AnyLink) -> Self {
        query.map(|Query(query)| query).unwrap_or_default()
    }
}

/// Where a link is asked for, and in which words.
struct Asking {
    page: &'static str,
    title: &'static str,
    lead: &'static str,
    hint: Option<&'static str>,
    send: &'static str,
}

impl Asking {
    fn of(step: LinkStep) -> Self {
        match step {
            LinkStep::Registration => Self {
                page: paths::REGISTER_EMAIL,
                title: "signup-title",
                lead: "signup-lead",
                hint: Some("signup-email-hint"),
                send: "signup-send",
            },
            LinkStep::NewPassword => Self {
                page: paths::PASSWORD,
                title: "password-title",
                lead: "password-lead",
                hint: None,
                send: "password-send",
            },
        }
    }
}

/// Why no link is mailed.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// The address is not one to write to: a key of the language files.
    Address(&'static str),
    /// The check for robots says no: a key of the language files.
    Check(&'static str),
    /// Too many came from there without a check.
    Unchecked,
    /// Too many letters were asked for.
    HeldBack(HeldBack),
    /// Too many letters are being written.
    Busy,
}

impl Refusal {
    /// What the page says at the address, and at the check for robots.
    fn sentences(refusal: Option<Self>, texts: Texts) -> (Option<String>, Option<String>) {
        let Some(refusal) = refusal else {
            return (None, None);
        };
        let say = |key: &str| Some(texts.get(key).into_owned());
        match refusal {
            Self::Address(key) => (say(key), None),
            Self::Check(key) => (None, say(key)),
            Self::Unchecked => (None, say("captcha-slow")),
            Self::HeldBack(held_back) => (Some(held_back::when(texts, held_back)), None),
            Self::Busy => (say("mail-busy"), None),
        }
    }

    /// After how long another try can succeed, where that is known.
    fn pause(self) -> Option<Duration> {
        match self {
            Self::HeldBack(held_back) => Some(held_back.retry_after),
            Self::Busy => Some(Duration::from_mins(1)),
            Self::Address(_) | Self::Check(_) | Self::Unchecked => None,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unchecked | Self::HeldBack(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Address(_) | Self::Check(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl From<Unwelcome> for Refusal {
    fn from(unwelcome: Unwelcome) -> Self {
        Self::Address(match unwelcome {
            Unwelcome::Disposable => "signup-disposable",
            Unwelcome::Role => "signup-role",
        })
    }
}

impl Pages {
    /// The page that asks for an address, or the one that follows the letter.
    pub(super) fn asked_for_link(
        &self,
        visit: &Visit,
        step: LinkStep,
        return_to: &ReturnTo,
    ) -> Result<Response<Body>, Stop> {
        self.mails_links(step)?;
        if way_back::says(visit, SENT) {
            let again = way_back::page_link(Asking::of(step).page, return_to);
            return self.sent_page(visit, again);
        }
        self.address_page(visit, (step, return_to), ("", None))
    }

    /// Takes an address, and has a link mailed to it.
    pub(super) async fn send_link(
        &self,
        visit: &Visit,
        step: LinkStep,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let fields = self.stranger_form(visit, body).await?;
        self.mails_links(step)?;
        let (page, return_to) = (Asking::of(step).page, way_back::sent(visit, &fields));
        let Err(refusal) = self.mail_link(visit, step, &fields).await? else {
            let sent = way_back::page_link_with(page, &return_to, SENT);
            return Ok(see_other(&sent));
        };
        let typed = fields.get("email").map_or("", String::as_str);
        let visit = Visit {
            here: way_back::page_link(page, &return_to),
            ..visit.clone()
        };
        self.address_page(&visit, (step, &return_to), (typed, Some(refusal)))
    }

    fn mails_links(&self, step: LinkStep) -> Result<(), Stop> {
        let onboarding = &self.parts.onboarding;
        let mails = match step {
            LinkStep::Registration => onboarding.has_self_registration(),
            LinkStep::NewPassword => onboarding.gives_new_passwords(),
        };
        mails.then_some(()).ok_or(Stop::NotFound)
    }

    fn address_page(
        &self,
        visit: &Visit,
        (step, return_to): (LinkStep, &ReturnTo),
        (typed, refusal): (&str, Option<Refusal>),
    ) -> Result<Response<Body>, Stop> {
        let (texts, asking) = (visit.texts(), Asking::of(step));
        let say = |key: &str| texts.get(key).into_owned();
        let (problem, captcha_problem) = Refusal::sentences(refusal, texts);
        let mut frame = self.titled(visit, asking.title);
        frame.has_problems = refusal.is_some();
        let page = EmailPage {
            frame,
            lead: say(asking.lead),
            action: asking.page,
            form_token: self.stranger_token(visit),
            return_to: return_to.as_str().to_owned(),
            email: typed.to_owned(),
            hint: asking.hint.map(say),
            problems: problem_links([
                ("email", problem.clone()),
                ("captcha", captcha_problem.clone()),
            ]),
            problem,
            captcha: self.captcha_view(visit, captcha_problem),
            send: say(asking.send),
            sign_in: Way {
                href: page_link(return_to, false),
                text: say("signup-sign-in"),
            },
        };
        Ok(self.with_captcha(visit, show_refused(refusal, &page)?))
    }

    /// Has a link mailed to the address of a form.
    async fn mail_link(
        &self,
        visit: &Visit,
        step: LinkStep,
        fields: &Fields,
    ) -> Result<Result<(), Refusal>, Stop> {
        let typed = fields.get("email").map_or("", String::as_str);
        let Ok(email) = EmailAddress::parse(typed) else {
            return Ok(Err(Refusal::Address("login-email-missing")));
        };
        let onboarding = &self.parts.onboarding;
        if step == LinkStep::Registration
            && let Err(unwelcome) = onboarding.abuse().welcomes(&email)
        {
            return Ok(Err(unwelcome.into()));
        }
        match self.check_captcha(visit, fields).await {
            Ok(()) => {}
            Err(NotAPerson::Wrong) => return Ok(Err(Refusal::Check("captcha-wrong"))),
            Err(NotAPerson::Spent) => return Ok(Err(Refusal::Check("captcha-spent"))),
            Err(NotAPerson::TooMany) => return Ok(Err(Refusal::Unchecked)),
            Err(NotAPerson::Down(error)) => return Err(error.into()),
            Err(NotAPerson::StoreDown(down)) => return Err(LoginError::from(down).into()),
        }
        // Only those who passed the check draw from what there is for an address, and for all.
        let abuse = onboarding.abuse();
        match abuse
            .may_mail(visit.client.client, (step.into(), &email))
            .await
        {
            Ok(()) => {}
            Err(held_back) if visit.wants_page => return Ok(Err(Refusal::HeldBack(held_back))),
            Err(held_back) => return Err(held_back.into()),
        }
        let request = LinkRequest {
            step,
            email,
            host: visit.client.host.clone(),
            language: visit.language,
            return_to: way_back::sent(visit, fields).as_str().to_owned(),
        };
        let sent = onboarding.send_link(request);
        Ok(sent.map_err(|_| Refusal::Busy))
    }

    /// The same page for everybody who asked for a link.
    fn sent_page(&self, visit: &Visit, again: String) -> Result<Response<Body>, Stop> {
        let frame = self.titled(visit, "sent-title");
        let texts = visit.texts();
        let values = [("operator", frame.operator.as_str())];
        let paragraphs = vec![
            texts.get_with("sent-text", &values).into_owned(),
            texts.get("sent-nothing").into_owned(),
        ];
        let page = MessagePage {
            frame,
            who: None,
            paragraphs,
            reference: None,
            way_on: Some(Way {
                href: again,
                text: texts.get("sent-again").into_owned(),
            }),
            other_way: None,
        };
        show(StatusCode::OK, &page)
    }

    /// A link that does not count: there is a way on to a new one, or with the registration that
    /// it began in this browser.
    pub(super) async fn dead_link(
        &self,
        visit: &Visit,
        step: LinkStep,
    ) -> Result<Response<Body>, Stop> {
        let (texts, again) = (visit.texts(), Asking::of(step).page);
        let (href, on, why) = match self.standing(visit).await {
            SessionStanding::Pending(_) if step == LinkStep::Registration => {
                (paths::REGISTER, "link-dead-on", "link-dead-on-text")
            }
            _ => (again, "link-dead-again", "link-dead-text"),
        };
        let visit = Visit {
            here: again.to_owned(),
            ..visit.clone()
        };
        let page = MessagePage {
            frame: self.titled(&visit, "link-dead-title"),
            who: None,
            paragraphs: vec![texts.get(why).into_owned()],
            reference: None,
            way_on: Some(Way {
                href: href.to_owned(),
                text: texts.get(on).into_owned(),
            }),
            other_way: None,
        };
        show(StatusCode::GONE, &page)
    }
}

/// Shows the page that asks for an address, again for this reason.
fn show_refused(refusal: Option<Refusal>, page: &EmailPage) -> Result<Response<Body>, Stop> {
    let status = refusal.map_or(StatusCode::OK, Refusal::status);
    let mut response = show(status, page)?;
    if let Some(pause) = refusal.and_then(Refusal::pause) {
        ask_to_wait(&mut response, pause);
    }
    Ok(response)
}
