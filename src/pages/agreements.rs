//! The texts that people accept.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};

use super::Pages;
use super::agreement_text::AgreementHtml;
use super::stop::{self, Stop};
use super::views::AgreementPage;
use super::visit::Visit;

/// The page of an agreement.
pub async fn show(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response<Body> {
    let outcome = agreement_page(&pages, &visit, &id);
    pages.answer(&visit, outcome)
}

/// An agreement's text, in the visitor's language where there is one.
fn agreement_page(pages: &Pages, visit: &Visit, id: &str) -> Result<Response<Body>, Stop> {
    let policy = pages.parts.policy.current();
    let form = policy.forms.of(&visit.client.host);
    let agreement = form.agreements.iter().find(|agreement| agreement.id == id);
    let (language, text) = agreement
        .and_then(|agreement| agreement.text_for(visit.language.tag()))
        .ok_or(Stop::NotFound)?;
    let page = AgreementPage {
        frame: pages.frame(visit, text.title.clone()),
        language: language.to_owned(),
        text: AgreementHtml::from_markdown(&text.markdown),
    };
    stop::show(StatusCode::OK, &page)
}
