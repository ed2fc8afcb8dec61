//! Receipts of accepted agreements, for operators: JSON or CSV, a part at a time.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use crate::onboarding::Onboarding;
use crate::onboarding::duty_store::{KeptReceipt, RECEIPTS_HEAD};
use crate::telemetry::with_causes;

const MOST_IN_A_PART: u32 = 10_000;
const USUAL_PART: u32 = 1000;

/// The routes, without the bearer token that the admin listener asks for.
pub fn router(onboarding: Arc<Onboarding>) -> Router {
    Router::new()
        .route("/onboarding/v1/receipts", get(receipts))
        .with_state(onboarding)
}

/// Which receipts, and how they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    format: Format,
    #[serde(default)]
    after: String,
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Csv,
}

async fn receipts(
    State(onboarding): State<Arc<Onboarding>>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let limit = wanted.limit.unwrap_or(USUAL_PART).clamp(1, MOST_IN_A_PART);
    match onboarding.receipts(&wanted.after, limit).await {
        Ok(receipts) => written(wanted.format, &receipts),
        Err(error) => {
            let error = with_causes(&error);
            tracing::error!(error, "receipts could not be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn written(format: Format, receipts: &[KeptReceipt]) -> Response {
    match format {
        Format::Json => Json(json!({ "items": receipts })).into_response(),
        Format::Csv => {
            let lines = receipts.iter().map(KeptReceipt::to_csv);
            let head = std::iter::once(RECEIPTS_HEAD.to_owned());
            let text: String = head.chain(lines).collect();
            let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
            (kind, text).into_response()
        }
    }
}
