//! The pages that the data plane shows where it refuses a request.

use std::sync::Arc;

use crate::pages::Pages;
use crate::pages::error_page::RefusedRequest;
use crate::proxy::{ErrorPage, ErrorPages};

/// Errors of the data plane in the looks of the pages.
pub(super) struct PagesOfErrors(pub(super) Arc<Pages>);

impl ErrorPages for PagesOfErrors {
    fn render(&self, page: &ErrorPage<'_>) -> String {
        self.0.refused_request(&RefusedRequest {
            status: page.problem.status(),
            code: page.problem.code(),
            host: page.host.unwrap_or_default(),
            accept_language: page.languages,
            reference: page.reference,
        })
    }
}
