//! SCIM 2.0 (RFC 7643 and 7644) for identity providers: by it a provider tells which of its people
//! may come in. Whoever is deactivated or deleted has their sessions ended on every node and is
//! turned away until the provider says otherwise.
//!
//! Each provider has a token of its own, which opens nothing but its own people. A person who is
//! told of before their first login is kept, so that a block holds from the start; nothing is made
//! on the platform. Of what providers send, name, external id and `active` are kept.

mod dialect;
mod discovery;
mod filter;
mod people;
mod problem;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http::{HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::bearer::bearer_token;
use crate::audit::Audit;
use crate::clock::SharedClock;
use crate::identity::Issuer;
use crate::roster::{MatchBy, Roster};
use crate::seal;
use crate::session::Sessions;
use problem::ScimProblem;

/// The largest body, octets.
const LARGEST_BODY: usize = 256 * 1024;

/// A provider that tells of its people.
#[derive(Debug, Clone)]
pub struct ScimSource {
    /// Whose people.
    pub issuer: Issuer,
    /// What opens them.
    pub token: SecretString,
    /// By what they are told.
    pub match_by: MatchBy,
}

/// What the endpoint works with.
pub struct ScimParts {
    /// The providers.
    pub sources: Vec<ScimSource>,
    /// Where people are kept.
    pub roster: Arc<Roster>,
    /// Where sessions are ended, all of them.
    pub sessions: Vec<Arc<Sessions>>,
    /// Where it is kept what was done.
    pub audit: Arc<dyn Audit>,
    /// Where the time comes from.
    pub clock: SharedClock,
}

struct Desk {
    /// Digests of tokens, and whose they are.
    callers: Vec<(String, Caller)>,
    roster: Arc<Roster>,
    sessions: Vec<Arc<Sessions>>,
    audit: Arc<dyn Audit>,
    clock: SharedClock,
}

/// The provider whose token a request carries.
#[derive(Debug, Clone)]
struct Caller {
    issuer: Issuer,
    match_by: MatchBy,
}

/// The routes, with the tokens that open them; none without a provider.
pub fn router(parts: ScimParts) -> Router {
    if parts.sources.is_empty() {
        return Router::new();
    }
    let desk = Arc::new(Desk::new(parts));
    Router::new()
        .route("/scim/v2/Users", get(people::list).post(people::create))
        .route("/scim/v2/Users/.search", post(people::search))
        .route("/scim/v2/.search", post(people::search))
        .route(
            "/scim/v2/Users/{id}",
            get(people::read)
                .put(people::replace)
                .patch(people::patch)
                .delete(people::delete),
        )
        .route("/scim/v2/ServiceProviderConfig", get(discovery::config))
        .route("/scim/v2/ResourceTypes", get(discovery::resource_types))
        .route("/scim/v2/ResourceTypes/{id}", get(discovery::resource_type))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
        .route("/scim/v2/{*other}", any(nothing_here))
        .method_not_allowed_fallback(not_this_way)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&desk), require))
        .with_state(desk)
}

impl Desk {
    fn new(parts: ScimParts) -> Self {
        let caller = |source: ScimSource| {
            let digest = seal::digest(source.token.expose_secret().as_bytes());
            let caller = Caller {
                issuer: source.issuer,
                match_by: source.match_by,
            };
            (digest, caller)
        };
        Self {
            callers: parts.sources.into_iter().map(caller).collect(),
            roster: parts.roster,
            sessions: parts.sessions,
            audit: parts.audit,
            clock: parts.clock,
        }
    }

    /// Whose token it is. All are compared, so that the time does not tell which one came close.
    fn caller(&self, token: &str) -> Option<&Caller> {
        let digest = seal::digest(token.as_bytes());
        let is_it = |own: &String| seal::equal(own.as_bytes(), digest.as_bytes());
        let mut found = None;
        for (own, caller) in &self.callers {
            if is_it(own) {
                found = Some(caller);
            }
        }
        found
    }
}

/// Lets a request pass that carries a provider's token, as that provider's.
async fn require(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let token = bearer_token(request.headers());
    let Some(caller) = token.and_then(|token| desk.caller(token)) else {
        let challenge = HeaderValue::from_static("Bearer");
        let refusal = ScimProblem::NotAllowed;
        return ([(header::WWW_AUTHENTICATE, challenge)], refusal).into_response();
    };
    request.extensions_mut().insert(caller.clone());
    next.run(request).await
}

async fn nothing_here() -> ScimProblem {
    ScimProblem::NotFound
}

async fn not_this_way() -> ScimProblem {
    ScimProblem::NotThisWay
}

/// What handlers take of the caller, and what they work with.
type WithCaller = Extension<Caller>;
type WithDesk = State<Arc<Desk>>;
