//! Signing in once more, because a rule asks for a stronger or a newer sign-in.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::Pages;
use super::local_login::Typed;
use super::login::{LoginQuery, start_link};
use super::stop::{Stop, see_other, show, with_cookies};
use super::visit::Visit;
use crate::access::ReturnTo;
use crate::identity::VerifiedIdentity;
use crate::login::{LoginError, Retry, StepUpProblem};
use crate::policy::StepUp;
use crate::policy::step_up::SignIn;
use crate::session::{OpenSession, SessionStanding};

impl Pages {
    /// The login page of somebody who is signed in: where no rule asks for more, it leads on.
    pub(super) fn step_up_page(
        &self,
        visit: &Visit,
        query: &LoginQuery,
        open: &OpenSession,
    ) -> Result<Response<Body>, Stop> {
        let return_to = query.return_to(visit);
        let who = &open.record.identity;
        let rule = query.step_up().unwrap_or_default();
        let Some(wanted) = self.lacking(rule, who) else {
            return Err(Stop::at(return_to.as_str()));
        };
        let Some(provider) = who.provider() else {
            return self.password_again(visit, query, &wanted);
        };
        let known = self.parts.login.providers();
        let provider = known.iter().find(|choice| choice.id == *provider);
        let provider = provider.ok_or(Stop::Login(LoginError::UnknownProvider))?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let named = query.append_pair("step_up", rule).finish();
        let href = format!("{}&{named}", start_link(&provider.id, &return_to, false));
        let page = self.going_page(visit, provider, ("step-up-going", href));
        show(StatusCode::OK, &page)
    }

    /// Starts the trip to the provider by which somebody has signed in.
    pub(super) async fn begin_step_up(
        &self,
        visit: &Visit,
        rule: &str,
        return_to: ReturnTo,
    ) -> Result<Response<Body>, Stop> {
        let (SessionStanding::Live(open) | SessionStanding::NeedsRefresh(open)) =
            self.standing(visit).await
        else {
            return Err(Stop::at(return_to.as_str()));
        };
        let who = &open.record.identity;
        let Some(wanted) = self.lacking(rule, who) else {
            return Err(Stop::at(return_to.as_str()));
        };
        let (login, client) = (&self.parts.login, &visit.client);
        let begun = login.begin_step_up(client, (who, &wanted), return_to, &visit.cookies);
        let begun = begun.await?;
        let onward = see_other(begun.redirect.as_str());
        Ok(with_cookies(onward, &begun.set_cookies))
    }

    /// What a rule asks of a sign-in, where somebody's lacks it.
    fn lacking(&self, rule: &str, who: &VerifiedIdentity) -> Option<StepUp> {
        let policy = self.parts.policy.current();
        let wanted = policy.rules.named(rule)?.step_up.clone()?;
        let now = self.parts.clock.now();
        let lacks = wanted.shortfall(&SignIn::of_identity(who), now);
        lacks.map(|_| wanted)
    }

    /// Whoever signed in by password gives it again, which makes the sign-in newer, not stronger.
    fn password_again(
        &self,
        visit: &Visit,
        query: &LoginQuery,
        wanted: &StepUp,
    ) -> Result<Response<Body>, Stop> {
        if wanted.acr.is_empty() {
            return self.show_login(visit, query, &Typed::default(), StatusCode::OK);
        }
        Err(Stop::Login(LoginError::NotSteppedUp {
            problem: StepUpProblem::NoProvider,
            retry: Retry {
                provider: None,
                return_to: query.return_to(visit),
            },
        }))
    }
}
