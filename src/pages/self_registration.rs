//! Registering without an identity provider: the address is asked for, a link is mailed to it, and
//! whoever follows the link and confirms goes on to the registration page.
//!
//! What is answered is the same whether or not the address is known; what differs happens later.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;

use super::Pages;
use super::captcha::NotAPerson;
use super::held_back;
use super::local_login::problem_links;
use super::login::{LoginQuery, page_link};
use super::stop::{Stop, ask_to_wait, go_on, see_other, show};
use super::submission::{self, Fields};
use super::views::{EmailPage, LinkPage, MessagePage, Way};
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::EmailAddress;
use crate::language::Texts;
use crate::login::{LocalLoginError, LoginError};
use crate::onboarding::{HeldBack, LetterFor, LinkError, LinkRequest, LinkStep};
use crate::paths;
use crate::policy::addresses::Unwelcome;
use crate::session::SessionStanding;

/// Marks the page that follows a letter; it changes only what is shown.
pub(super) const SENT: &str = "sent";

/// The query of a mailed link.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LinkQuery {
    /// Its token.
    #[serde(default)]
    pub(super) token: String,
}

/// A query that does not parse holds no token.
pub(super) type AnyLink = Result<Query<LinkQuery>, axum::extract::rejection::QueryRejection>;

type AnyQuery = Result<Query<LoginQuery>, axum::extract::rejection::QueryRejection>;

/// Asks for the address.
pub async fn ask(State(pages): State<Arc<Pages>>, visit: Visit, query: AnyQuery) -> Response<Body> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let outcome = pages.ask_for_address(&visit, &query.return_to(&visit));
    pages.answer(&visit, outcome)
}

/// Takes the address, and has a link mailed.
pub async fn send(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.send_registration_link(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// Where the link leads: nothing happens yet.
pub async fn look(State(pages): State<Arc<Pages>>, visit: Visit, query: AnyLink) -> Response<Body> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let outcome = pages.look_at_link(&visit, query).await;
    pages.answer(&visit, outcome)
}

/// Confirms.
pub async fn confirm(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    body: submission::Body,
) -> Response<Body> {
    let outcome = pages.confirm_address(&visit, body).await;
    pages.answer(&visit, outcome)
}

/// Why no link is mailed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// What was sent is not to be taken: a key of the language files.
    Problem(&'static str),
    /// Too many letters were asked for.
    HeldBack(HeldBack),
}

impl Refusal {
    /// What the page says at the address, and at the check for robots.
    pub(super) fn sentences(
        refusal: Option<Self>,
        texts: Texts,
    ) -> (Option<String>, Option<String>) {
        let said = refusal.map(|refusal| refusal.sentence(texts));
        match refusal {
            Some(Self::Problem(key)) if key.starts_with("captcha-") => (None, said),
            _ => (said, None),
        }
    }

    fn sentence(self, texts: Texts) -> String {
        match self {
            Self::Problem(key) => texts.get(key).into_owned(),
            Self::HeldBack(held_back) => held_back::when(texts, held_back),
        }
    }

    /// After how long another try can succeed, where that is known.
    fn pause(self) -> Option<Duration> {
        match self {
            Self::HeldBack(held_back) => Some(held_back.retry_after),
            Self::Problem("mail-busy") => Some(Duration::from_mins(1)),
            Self::Problem(_) => None,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Problem("mail-busy") => StatusCode::SERVICE_UNAVAILABLE,
            Self::Problem("captcha-slow") | Self::HeldBack(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Problem(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl From<Unwelcome> for Refusal {
    fn from(unwelcome: Unwelcome) -> Self {
        Self::Problem(match unwelcome {
            Unwelcome::Disposable => "signup-disposable",
            Unwelcome::Role => "signup-role",
        })
    }
}

impl Pages {
    /// Where an account is created without an identity provider.
    pub(super) fn create_link(&self, return_to: &ReturnTo) -> Option<String> {
        let link = || way_back::page_link(paths::REGISTER_EMAIL, return_to);
        let onboarding = &self.parts.onboarding;
        onboarding.has_self_registration().then(link)
    }

    fn ask_for_address(&self, visit: &Visit, return_to: &ReturnTo) -> Result<Response<Body>, Stop> {
        if !self.parts.onboarding.has_self_registration() {
            return Err(Stop::NotFound);
        }
        if way_back::says(visit, SENT) {
            let again = way_back::page_link(paths::REGISTER_EMAIL, return_to);
            return self.sent_page(visit, again);
        }
        self.address_page(visit, return_to, ("", None))
    }

    fn address_page(
        &self,
        visit: &Visit,
        return_to: &ReturnTo,
        (typed, refusal): (&str, Option<Refusal>),
    ) -> Result<Response<Body>, Stop> {
        let texts = visit.texts();
        let say = |key: &str| texts.get(key).into_owned();
        let (problem, captcha_problem) = Refusal::sentences(refusal, texts);
        let mut frame = self.titled(visit, "signup-title");
        frame.has_problems = refusal.is_some();
        let page = EmailPage {
            frame,
            lead: say("signup-lead"),
            action: paths::REGISTER_EMAIL,
            form_token: self.stranger_token(visit),
            return_to: return_to.as_str().to_owned(),
            email: typed.to_owned(),
            hint: Some(say("signup-email-hint")),
            problems: problem_links([
                ("email", problem.clone()),
                ("captcha", captcha_problem.clone()),
            ]),
            problem,
            captcha: self.captcha_view(visit, captcha_problem),
            send: say("signup-send"),
            sign_in: Way {
                href: page_link(return_to, false),
                text: say("signup-sign-in"),
            },
        };
        Ok(self.with_captcha(visit, show_refused(refusal, &page)?))
    }

    async fn send_registration_link(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let fields = self.stranger_form(visit, body)?;
        if !self.parts.onboarding.has_self_registration() {
            return Err(Stop::NotFound);
        }
        let return_to = way_back::sent(visit, &fields);
        match self
            .mail_link(visit, LinkStep::Registration, &fields)
            .await?
        {
            Ok(()) => Ok(see_other(&way_back::page_link_with(
                paths::REGISTER_EMAIL,
                &return_to,
                SENT,
            ))),
            Err(refusal) => {
                let typed = fields.get("email").map_or("", String::as_str);
                let visit = Visit {
                    here: self.create_link(&return_to).unwrap_or_default(),
                    ..visit.clone()
                };
                self.address_page(&visit, &return_to, (typed, Some(refusal)))
            }
        }
    }

    /// Has a link mailed to the address of a form.
    pub(super) async fn mail_link(
        &self,
        visit: &Visit,
        step: LinkStep,
        fields: &Fields,
    ) -> Result<Result<(), Refusal>, Stop> {
        let typed = fields.get("email").map_or("", String::as_str);
        let Ok(email) = EmailAddress::parse(typed) else {
            return Ok(Err(Refusal::Problem("login-email-missing")));
        };
        let onboarding = &self.parts.onboarding;
        if step == LinkStep::Registration
            && let Err(unwelcome) = onboarding.abuse().welcomes(&email)
        {
            return Ok(Err(unwelcome.into()));
        }
        match self.check_captcha(visit, fields).await {
            Ok(()) => {}
            Err(NotAPerson::Wrong) => return Ok(Err(Refusal::Problem("captcha-wrong"))),
            Err(NotAPerson::Spent) => return Ok(Err(Refusal::Problem("captcha-spent"))),
            Err(NotAPerson::TooMany) => return Ok(Err(Refusal::Problem("captcha-slow"))),
            Err(NotAPerson::Down(error)) => return Err(error.into()),
            Err(NotAPerson::StoreDown(down)) => return Err(LoginError::from(down).into()),
        }
        // Only those who passed the check draw from what there is for an address, and for all.
        let letter = match step {
            LinkStep::Registration => LetterFor::Registration,
            LinkStep::NewPassword => LetterFor::NewPassword,
        };
        let abuse = onboarding.abuse();
        match abuse.may_mail(visit.client.client, (letter, &email)) {
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
        Ok(sent.map_err(|_| Refusal::Problem("mail-busy")))
    }

    /// The same page for everybody who asked for a link.
    pub(super) fn sent_page(&self, visit: &Visit, again: String) -> Result<Response<Body>, Stop> {
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

    async fn look_at_link(&self, visit: &Visit, query: LinkQuery) -> Result<Response<Body>, Stop> {
        self.may_open_link(visit)?;
        let (onboarding, host) = (&self.parts.onboarding, &visit.client.host);
        let looked = onboarding.look_at_link(LinkStep::Registration, host, &query.token);
        let link = match looked.await {
            Ok(link) => link,
            Err(LinkError::Dead) => return self.dead_link(visit, paths::REGISTER_EMAIL).await,
            Err(LinkError::Down(error)) => return Err(error.into()),
        };
        let frame = self.titled(visit, "link-title");
        let texts = visit.texts();
        let values = [
            ("email", link.email.as_str()),
            ("operator", frame.operator.as_str()),
        ];
        let is_signed_in = matches!(
            self.standing(visit).await,
            SessionStanding::Live(_) | SessionStanding::NeedsRefresh(_)
        );
        let page = LinkPage {
            text: texts.get_with("link-text", &values).into_owned(),
            notice: is_signed_in.then(|| texts.get("link-signed-in").into_owned()),
            form_token: self.stranger_token(visit),
            token: query.token,
            frame,
        };
        show(StatusCode::OK, &page)
    }

    async fn confirm_address(
        &self,
        visit: &Visit,
        body: submission::Body,
    ) -> Result<Response<Body>, Stop> {
        let fields = self.stranger_form(visit, body)?;
        let token = fields.get("token").map_or("", String::as_str);
        let (login, client) = (&self.parts.login, &visit.client);
        match login.by_mailed_link(client, token, &visit.cookies).await {
            Ok(finished) => Ok(go_on(&finished)),
            Err(LocalLoginError::Link(LinkError::Dead)) => {
                self.dead_link(visit, paths::REGISTER_EMAIL).await
            }
            Err(LocalLoginError::Link(LinkError::Down(error))) => Err(error.into()),
            Err(LocalLoginError::Login(error)) => Err(error.into()),
            Err(LocalLoginError::Password(_)) => Err(Stop::NotFound),
        }
    }

    /// A link that does not count: there is a way on to a new one, or with the registration that
    /// it began in this browser.
    pub(super) async fn dead_link(
        &self,
        visit: &Visit,
        again: &'static str,
    ) -> Result<Response<Body>, Stop> {
        let texts = visit.texts();
        let (href, on, why) = match self.standing(visit).await {
            SessionStanding::Pending(_) if again == paths::REGISTER_EMAIL => {
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
pub(super) fn show_refused(
    refusal: Option<Refusal>,
    page: &EmailPage,
) -> Result<Response<Body>, Stop> {
    let status = refusal.map_or(StatusCode::OK, Refusal::status);
    let mut response = show(status, page)?;
    if let Some(pause) = refusal.and_then(Refusal::pause) {
        ask_to_wait(&mut response, pause);
    }
    Ok(response)
}
