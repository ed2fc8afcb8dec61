//! Door 3: operators and their tools, on the admin listener.
//!
//! Health and metrics are open there; everything else needs a bearer token: one of the operator's,
//! or, for SCIM, one of an identity provider's.

mod bearer;
mod health;
pub mod operator_api;
pub mod outbox_api;
pub mod platform_api;
mod problem;
pub mod receipts;
pub mod scim;
pub mod sessions_api;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Readiness;

pub use bearer::AdminTokens;
pub use health::Shown;

/// What the admin listener serves from.
#[derive(Clone)]
pub struct AdminParts {
    /// What `/readyz` asks.
    pub readiness: Readiness,
    /// What `/metrics` shows.
    pub metrics: Shown,
    /// Who may use everything else.
    pub tokens: AdminTokens,
    /// What identity providers use, with tokens of their own.
    pub scim: Router,
}

/// A part of the admin API.
pub type Api = Router;

/// All parts as one: each at the root, or below `/platforms/<name>` where it has a name.
pub fn together<'a>(parts: impl IntoIterator<Item = (Option<&'a str>, Api)>) -> Api {
    let mut whole = Api::new();
    for (name, part) in parts {
        whole = match name {
            None => whole.merge(part),
            Some(name) => whole.nest(&format!("/platforms/{name}"), part),
        };
    }
    whole
}

/// The admin listener's routes; `guarded` holds what needs a bearer token.
pub fn router(parts: AdminParts, guarded: Router) -> Router {
    let AdminParts {
        readiness,
        metrics,
        tokens,
        scim,
    } = parts;
    let open = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz).with_state(readiness.clone()))
        .route(
            "/metrics",
            get(health::metrics).with_state((readiness, metrics)),
        );
    let guarded = guarded.layer(middleware::from_fn_with_state(tokens, bearer::require));
    open.merge(guarded).merge(scim)
}

/// Serves the admin listener until stopped; what is in flight then is finished.
pub async fn serve(
    listener: TcpListener,
    (parts, guarded): (AdminParts, Router),
    stop: CancellationToken,
) {
    let door = axum::serve(listener, router(parts, guarded));
    // Errors of accepting are retried inside, so that this ends by being stopped only.
    let _ = door.with_graceful_shutdown(stop.cancelled_owned()).await;
}
