//! What the data plane is made of: pages, errors, what upstreams are told.

use std::sync::Arc;

use bytes::Bytes;

use super::error_pages::PagesOfErrors;
use super::foundation::Foundation;
use super::{AssemblyProblem, use_cases};
use crate::captcha::CaptchaSettings;
use crate::login::Login;
use crate::onboarding::Onboarding;
use crate::pages::{self, Pages, PagesParts};
use crate::platform::UserTokens;
use crate::platform::handoff::{self, Assertions, CannotSign};
use crate::proxy::{AssertionsByUpstream, ProxyParts, ProxySettings, UpstreamSettings};
use crate::session::Sessions;

/// Everything, as the settings want it.
pub(super) fn proxy_parts(
    base: &Foundation,
    (settings, captchas): (ProxySettings, Vec<CaptchaSettings>),
    login: &Arc<Login>,
    (sessions, onboarding, user_tokens): (
        &Arc<Sessions>,
        &Arc<Onboarding>,
        Option<Arc<UserTokens>>,
    ),
) -> Result<ProxyParts, AssemblyProblem> {
    let assertions = assertions(base, &settings.upstreams)?;
    let wants_access = |one: &UpstreamSettings| one.handoff.access_token.is_some();
    let wants_access = settings.upstreams.iter().any(wants_access);
    let access_tokens = wants_access.then(|| Arc::new(login.access_tokens()));
    let pages = Arc::new(Pages::new(PagesParts {
        login: Arc::clone(login),
        onboarding: Arc::clone(onboarding),
        sessions: Arc::clone(sessions),
        policy: base.policy(),
        captchas: use_cases::captchas(captchas)?,
        keys: Arc::clone(&base.keys),
        key_set: key_set_of(&assertions),
        user_tokens: user_tokens.clone(),
        clock: base.clock(),
        metrics: base.metrics.clone(),
    }));
    Ok(ProxyParts {
        settings,
        policy: base.policy(),
        sessions: Arc::clone(sessions),
        pages: pages::router(Arc::clone(&pages)),
        error_pages: Arc::new(PagesOfErrors(pages)),
        limiter: base.limiter(),
        assertions,
        user_tokens,
        access_tokens,
        clock: base.clock(),
        metrics: base.metrics.clone(),
    })
}

/// What signs for upstreams, where the operator wants that.
fn assertions(
    base: &Foundation,
    upstreams: &[UpstreamSettings],
) -> Result<AssertionsByUpstream, CannotSign> {
    let signing = upstreams.iter().filter_map(|upstream| {
        let settings = upstream.handoff.assertion.clone()?;
        let made = Assertions::new(settings, &base.keys);
        Some(made.map(|made| (upstream.name.clone(), Arc::new(made))))
    });
    signing.collect()
}

/// The keys of all assertions, where there are any.
fn key_set_of(assertions: &AssertionsByUpstream) -> Option<Bytes> {
    let all = assertions.values().map(AsRef::as_ref);
    (!assertions.is_empty()).then(|| handoff::key_set(all))
}
