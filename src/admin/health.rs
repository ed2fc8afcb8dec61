//! Health for supervisors and metrics for Prometheus.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::session::Sessions;
use crate::telemetry::Readiness;
use crate::telemetry::metrics::{Metrics, render};

/// The process runs and answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// 200 when everything vital works, else 503; both with what each probe found.
pub(super) async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let findings = readiness.findings().await;
    let ready = findings.iter().all(|finding| finding.ok || !finding.vital);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": ready, "checks": findings })))
}

/// What `/metrics` shows.
#[derive(Clone)]
pub struct Shown {
    registry: Arc<Registry>,
    metrics: Metrics,
    sessions: Vec<Arc<Sessions>>,
}

impl Shown {
    /// These metrics, and what these sessions are when they are shown.
    pub fn new(metrics: Metrics, sessions: Vec<Arc<Sessions>>) -> Self {
        Self {
            registry: metrics.registry(),
            metrics,
            sessions,
        }
    }
}

/// The metrics in `OpenMetrics` text. What works is looked at when they are asked for.
pub(super) async fn metrics(
    State((readiness, shown)): State<(Readiness, Shown)>,
) -> impl IntoResponse {
    shown.metrics.show_checks(&readiness.findings().await);
    shown.sessions.iter().for_each(|sessions| sessions.show());
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = render(&shown.registry);
    ([(header::CONTENT_TYPE, media_type)], text)
}
