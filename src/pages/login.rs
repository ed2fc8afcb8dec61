//! Signing in: the choice of a provider, the trip there, and the way back.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Method, Response, StatusCode};
use serde::Deserialize;

use super::Pages;
use super::local_login::{Typed, problem_links};
use super::stop::{Stop, go_on, see_other, show, with_cookies};
use super::views::{GoingPage, LocalLoginView, LoginPage, ProblemLink, Way};
use super::visit::Visit;
use super::way_back;
use crate::access::ReturnTo;
use crate::identity::ProviderId;
use crate::login::{CallbackQuery, LoginError, ProviderChoice};
use crate::paths;
use crate::session::{SessionStanding, cookie};

/// What the login page is asked with; all of it untrusted.
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    /// Where to go afterwards.
    return_to: Option<String>,
    /// The part of the address after `#`, which only the browser knows.
    fragment: Option<String>,
    /// Whether another account is wanted.
    another: Option<String>,
    /// The rule for which somebody who is signed in signs in once more.
    step_up: Option<String>,
    /// Whether a new password was chosen a moment ago; it changes only what is shown.
    new_password: Option<String>,
}

/// A query that does not parse is as good as none: login still works, and leads home.
pub(super) type AnyQuery = Result<Query<LoginQuery>, axum::extract::rejection::QueryRejection>;

impl LoginQuery {
    pub(super) fn of(query: AnyQuery) -> Self {
        query.map(|Query(query)| query).unwrap_or_default()
    }

    /// The rule for which somebody signs in once more.
    pub(super) fn step_up(&self) -> Option<&str> {
        self.step_up.as_deref()
    }

    /// What the login page says before it asks, by its key.
    fn notice(&self) -> Option<&'static str> {
        if self.step_up.is_some() {
            return Some("step-up-password");
        }
        self.new_password.as_ref().map(|_| "login-password-changed")
    }

    /// The query of a login page that leads there.
    pub(super) fn leading_to(return_to: &ReturnTo) -> Self {
        Self {
            return_to: Some(return_to.as_str().to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn return_to(&self, visit: &Visit) -> ReturnTo {
        let origin = &visit.client.own_origin;
        let target = self.return_to.as_deref().unwrap_or("/");
        let fragment = self.fragment.as_deref().unwrap_or_default();
        ReturnTo::parse(target, origin).with_fragment(fragment, origin)
    }
}

/// The login page: leads on by itself where there is one provider.
pub async fn choose(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    query: AnyQuery,
) -> Response<Body> {
    let mut query = LoginQuery::of(query);
    let has_left = has_left(&visit);
    if has_left {
        query.another = Some("yes".to_owned());
    }
    let outcome = pages.login_page(&visit, &query).await;
    let response = pages.answer(&visit, outcome);
    let forget = has_left.then(|| cookie::clear_cookie(cookie::LEFT_COOKIE));
    with_cookies(response, forget.as_slice())
}

/// Whether somebody signed out of the platform's own pages in this browser: they could not lead to
/// the identity provider to sign out there, so that it asks who it is, and nobody comes in as
/// whoever has just left.
fn has_left(visit: &Visit) -> bool {
    let found = visit.cookies.starting_with(cookie::LEFT_COOKIE);
    found.iter().any(|(name, _)| *name == cookie::LEFT_COOKIE)
}

/// Starts the trip to a provider.
pub async fn begin(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    Path(provider): Path<String>,
    query: AnyQuery,
) -> Response<Body> {
    let query = LoginQuery::of(query);
    let outcome = pages
        .begin(&visit, &ProviderId::new(provider), &query)
        .await;
    pages.answer(&visit, outcome)
}

/// The way back from a provider.
pub async fn finish(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    uri: axum::http::Uri,
) -> Response<Body> {
    let outcome = pages.finish(&visit, uri.query()).await;
    pages.answer(&visit, outcome)
}

/// The way on from a registration: promotes the session once the account works.
pub async fn carry_on(State(pages): State<Arc<Pages>>, visit: Visit) -> Response<Body> {
    let outcome = pages.carry_on(&visit).await;
    pages.answer(&visit, outcome)
}

impl Pages {
    async fn login_page(&self, visit: &Visit, query: &LoginQuery) -> Result<Response<Body>, Stop> {
        let another = query.another.is_some();
        match self.standing(visit).await {
            SessionStanding::Live(open) | SessionStanding::NeedsRefresh(open) if !another => {
                return self.step_up_page(visit, query, &open);
            }
            SessionStanding::Pending(_) if !another => return Err(Stop::at(paths::REGISTER)),
            _ => {}
        }
        self.show_login(visit, query, &Typed::default(), StatusCode::OK)
    }

    /// The ways in; where there is a single one, and that an identity provider's, it is taken.
    pub(super) fn show_login(
        &self,
        visit: &Visit,
        query: &LoginQuery,
        typed: &Typed,
        status: StatusCode,
    ) -> Result<Response<Body>, Stop> {
        let return_to = &query.return_to(visit);
        let another = query.another.is_some();
        let local = self.local_login_view(visit, return_to, typed);
        let create = self.create_link(return_to);
        match self.parts.login.providers().as_slice() {
            [] if local.is_none() && create.is_none() => Err(Stop::NotFound),
            [only] if local.is_none() && create.is_none() => {
                let href = start_link(&only.id, return_to, another);
                show(status, &self.going_page(visit, only, ("going-text", href)))
            }
            choices => {
                let mut page = self.choosing_page(visit, choices, return_to, another);
                page.notice = query
                    .notice()
                    .map(|key| visit.texts().get(key).into_owned());
                page.problems = problems_of(local.as_ref());
                page.frame.has_problems = !page.problems.is_empty();
                show(
                    status,
                    &LoginPage {
                        local,
                        create,
                        ..page
                    },
                )
            }
        }
    }

    pub(super) fn going_page(
        &self,
        visit: &Visit,
        provider: &ProviderChoice,
        (text, href): (&str, String),
    ) -> GoingPage {
        let texts = visit.texts();
        let values = [("provider", provider.name.as_str())];
        GoingPage {
            frame: self.frame(visit, texts.get_with("going-title", &values)),
            text: texts.get_with(text, &values).into_owned(),
            href,
            action: texts.get_with("going-continue", &values).into_owned(),
            by_itself: true,
        }
    }

    fn choosing_page(
        &self,
        visit: &Visit,
        providers: &[ProviderChoice],
        return_to: &ReturnTo,
        another: bool,
    ) -> LoginPage {
        let choice = |provider: &ProviderChoice| Way {
            href: start_link(&provider.id, return_to, another),
            text: visit
                .texts()
                .get_with("login-with", &[("provider", &provider.name)])
                .into_owned(),
        };
        LoginPage {
            frame: self.titled(visit, "login-title"),
            notice: None,
            choices: providers.iter().map(choice).collect(),
            problems: Vec::new(),
            local: None,
            create: None,
        }
    }

    async fn begin(
        &self,
        visit: &Visit,
        provider: &ProviderId,
        query: &LoginQuery,
    ) -> Result<Response<Body>, Stop> {
        only_get(visit)?;
        let (login, client) = (&self.parts.login, &visit.client);
        let return_to = query.return_to(visit);
        if let Some(rule) = &query.step_up {
            return self.begin_step_up(visit, rule, return_to).await;
        }
        let begun = if query.another.is_some() {
            login
                .begin_as_another(client, provider, return_to, &visit.cookies)
                .await?
        } else {
            login
                .begin(client, provider, return_to, &visit.cookies)
                .await?
        };
        Ok(with_cookies(
            see_other(begun.redirect.as_str()),
            &begun.set_cookies,
        ))
    }

    async fn finish(&self, visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Stop> {
        only_get(visit)?;
        let query = CallbackQuery::parse(query).map_err(LoginError::from)?;
        let finished = self
            .parts
            .login
            .finish(&visit.client, query, &visit.cookies)
            .await?;
        Ok(go_on(&finished))
    }

    async fn carry_on(&self, visit: &Visit) -> Result<Response<Body>, Stop> {
        only_get(visit)?;
        let onward = self
            .parts
            .login
            .carry_on(&visit.client, &visit.cookies)
            .await?;
        Ok(go_on(&onward))
    }
}

fn problems_of(local: Option<&LocalLoginView>) -> Vec<ProblemLink> {
    let problems = local.map(|local| {
        [
            ("email", local.email_problem.clone()),
            ("password", local.password_problem.clone()),
        ]
    });
    problem_links(problems.into_iter().flatten())
}

/// HEAD, as link previews send it, takes no step of a login.
pub(super) fn only_get(visit: &Visit) -> Result<(), Stop> {
    (visit.method == Method::GET)
        .then_some(())
        .ok_or(Stop::WrongMethod)
}

/// Starts a trip to a provider.
pub(super) fn start_link(provider: &ProviderId, return_to: &ReturnTo, another: bool) -> String {
    leading_on(&paths::login_start(provider.as_str()), return_to, another)
}

/// The login page.
pub(super) fn page_link(return_to: &ReturnTo, another: bool) -> String {
    leading_on(paths::LOGIN, return_to, another)
}

fn leading_on(page: &str, return_to: &ReturnTo, another: bool) -> String {
    let mut link = way_back::page_link(page, return_to);
    if another {
        link.push_str("&another=yes");
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_carry_the_whole_destination() {
        let place = ReturnTo::parse("/a?b=c&another=1#d", "https://app.example.com");
        let link = start_link(&ProviderId::new("corp"), &place, true);
        assert_eq!(
            link,
            "/auth/login/corp?return_to=%2Fa%3Fb%3Dc%26another%3D1%23d&another=yes"
        );
        assert_eq!(
            page_link(&ReturnTo::home(), false),
            "/auth/login?return_to=%2F"
        );
    }
}
