//! What people see: the gateway's own pages.
//!
//! Handlers are thin: they read the request, ask one use case of `login` or `onboarding`, and
//! show a view. What stops them early is a `stop::Stop`, turned into an answer in one place.

mod accept;
mod agreement_text;
mod agreements;
mod approval;
pub mod assets;
mod autocomplete;
mod brand;
mod captcha;
pub mod error_page;
mod form_token;
mod hand_off;
mod held_back;
mod invitation;
mod key_set;
mod language_choice;
mod link_request;
mod local_login;
mod login;
mod logout;
mod looks;
mod new_password;
mod password_view;
mod problem;
mod progress;
mod prove;
mod registration;
mod registration_view;
mod response_headers;
mod self_registration;
mod sentences;
mod step_up;
mod stop;
mod submission;
#[cfg(test)]
mod tests;
mod verify;
mod views;
mod visit;
mod way_back;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{get, post};
use bytes::Bytes;

use crate::captcha::Captchas;
use crate::clock::SharedClock;
use crate::login::Login;
use crate::onboarding::Onboarding;
use crate::paths;
use crate::platform::UserTokens;
use crate::policy::PolicySource;
use crate::seal::KeyRing;
use crate::session::Sessions;
use crate::telemetry::metrics::Metrics;

/// The largest form, octets.
const MAX_FORM: usize = 64 * 1024;

/// What the pages are made of.
pub struct PagesParts {
    /// Proving who one is.
    pub login: Arc<Login>,
    /// Becoming a customer.
    pub onboarding: Arc<Onboarding>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// What the operator decided.
    pub policy: Arc<dyn PolicySource>,
    /// The captchas of vendors that forms can name.
    pub captchas: Captchas,
    /// Seals the tokens of forms.
    pub keys: Arc<KeyRing>,
    /// The keys that upstreams believe assertions by (a JWK Set), where there are any.
    pub key_set: Option<Bytes>,
    /// The platform's own tokens, where an upstream wants them.
    pub user_tokens: Option<Arc<UserTokens>>,
    /// The time.
    pub clock: SharedClock,
    /// What is counted.
    pub metrics: Metrics,
}

/// The gateway's own pages.
pub struct Pages {
    parts: PagesParts,
    looks: looks::CurrentLooks,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages(…)")
    }
}

impl Pages {
    /// Puts the parts together.
    pub fn new(parts: PagesParts) -> Self {
        Self {
            parts,
            looks: looks::CurrentLooks::default(),
        }
    }
}

/// All pages. The door in front puts a [`crate::access::ClientContext`] into each request's
/// extensions, and has drawn from the limit on logins.
pub fn router(pages: Arc<Pages>) -> Router {
    Router::new()
        .route(paths::LOGIN, get(login::choose).post(local_login::submit))
        .route(paths::LOGIN_START, get(login::begin))
        .route(paths::CALLBACK, get(login::finish))
        .route(paths::CONTINUE, get(login::carry_on))
        .route(
            paths::REGISTER,
            get(registration::show).post(registration::submit),
        )
        .route(
            paths::REGISTER_EMAIL,
            get(self_registration::ask).post(self_registration::send),
        )
        .route(
            paths::REGISTER_LINK,
            get(self_registration::look).post(self_registration::confirm),
        )
        .route(
            paths::PASSWORD,
            get(new_password::ask).post(new_password::send),
        )
        .route(
            paths::NEW_PASSWORD,
            get(new_password::look).post(new_password::set),
        )
        .route(paths::PROGRESS, get(progress::show))
        .route(paths::PROVE, get(prove::show).post(prove::submit))
        .route(paths::APPROVAL, get(approval::show).post(approval::decide))
        .route(paths::INVITATION, get(invitation::show))
        .route(paths::AGREEMENT, get(agreements::show))
        .route(paths::AGREEMENT_VERSION, get(agreements::show_version))
        .route(paths::ACCEPT, get(accept::show).post(accept::submit))
        .route(paths::VERIFY, get(verify::show).post(verify::submit))
        .route(paths::LOGOUT, get(logout::ask).post(logout::log_out))
        .route(paths::LOGGED_OUT, get(logout::logged_out))
        .route(paths::LANGUAGE, post(language_choice::choose))
        .route(paths::KEY_SET, get(key_set::show))
        .route(paths::HAND_OFF, get(hand_off::show))
        .route(paths::HAND_OFF_TOKEN, post(hand_off::token))
        .route(
            paths::HAND_OFF_WAYS,
            get(hand_off::ways).post(hand_off::ways),
        )
        .route(paths::HAND_OFF_LOGOUT, post(hand_off::log_out))
        .route(paths::ASSETS, get(looks::serve))
        .fallback(error_page::not_found)
        .method_not_allowed_fallback(error_page::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(map_response(response_headers::protect))
        .with_state(pages)
}
