//! Health for supervisors and metrics for Prometheus.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::telemetry::Readiness;
use crate::telemetry::metrics::render;

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

/// The metrics in `OpenMetrics` text.
pub(super) async fn metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], render(&registry))
}
