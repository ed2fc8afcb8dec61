//! The texts that people accept.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};

use super::Pages;
use super::agreement_text::AgreementHtml;
use super::stop::{self, Stop};
use super::views::{AgreementPage, Way};
use super::visit::Visit;
use crate::paths;
use crate::policy::Agreement;
use crate::policy::signup_form::AgreementText;

/// The page of an agreement.
pub async fn show(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response<Body> {
    let outcome = agreement_page(&pages, &visit, &id);
    pages.answer(&visit, outcome)
}

/// The page of one version of an agreement.
pub async fn show_version(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    Path((id, version)): Path<(String, String)>,
) -> Response<Body> {
    let outcome = pages.version_page(&visit, &id, &version).await;
    pages.answer(&visit, outcome)
}

/// An agreement's text, in the visitor's language where there is one.
fn agreement_page(pages: &Pages, visit: &Visit, id: &str) -> Result<Response<Body>, Stop> {
    let agreement = pages.agreement(visit, id).ok_or(Stop::NotFound)?;
    let (language, text) = agreement
        .text_for(visit.language.tag())
        .ok_or(Stop::NotFound)?;
    pages.text_page(visit, (id, language, text), None)
}

impl Pages {
    /// The agreement of that id on the visitor's host.
    fn agreement(&self, visit: &Visit, id: &str) -> Option<Arc<Agreement>> {
        let policy = self.parts.policy.current();
        let form = policy.forms.of(&visit.client.host);
        let agreements = form.agreements.iter();
        agreements
            .clone()
            .find(|agreement| agreement.id == id)
            .cloned()
    }

    /// A version that is in force, or that somebody accepted once.
    async fn version_page(
        &self,
        visit: &Visit,
        id: &str,
        version: &str,
    ) -> Result<Response<Body>, Stop> {
        let agreement = self.agreement(visit, id);
        let found = agreement.as_ref().and_then(|one| one.text_of(version));
        if let Some((language, text)) = found {
            return self.text_page(visit, (id, language, text), None);
        }
        let kept = self.parts.onboarding.accepted_text(id, version).await?;
        let kept = kept.ok_or(Stop::NotFound)?;
        let text = AgreementText {
            title: AgreementText::title_of(&kept.markdown)
                .unwrap_or(id)
                .to_owned(),
            markdown: kept.markdown,
            version: version.to_owned(),
        };
        let in_force = agreement.map(|agreement| Way {
            href: paths::agreement(&agreement.id),
            text: visit.texts().get("agreement-current").into_owned(),
        });
        self.text_page(visit, (id, &kept.language, &text), in_force)
    }

    fn text_page(
        &self,
        visit: &Visit,
        (id, language, text): (&str, &str, &AgreementText),
        in_force: Option<Way>,
    ) -> Result<Response<Body>, Stop> {
        let short: String = text.version.chars().take(12).collect();
        let page = AgreementPage {
            frame: self.frame(visit, text.title.clone()),
            language: language.to_owned(),
            version: Way {
                href: paths::agreement_version(id, &text.version),
                text: visit
                    .texts()
                    .get_with("agreement-version", &[("version", &short)])
                    .into_owned(),
            },
            in_force,
            text: AgreementHtml::from_markdown(&text.markdown),
        };
        stop::show(StatusCode::OK, &page)
    }
}
