//! The addresses of our own pages to which the data plane leads.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::access::ReturnTo;
use crate::paths;
use crate::policy::duties::Duty;

/// What stays unescaped in a query's values.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// The page where something is done that comes first.
pub(super) fn page_of(duty: Duty) -> &'static str {
    match duty {
        Duty::Accept => paths::ACCEPT,
        Duty::Verify => paths::VERIFY,
    }
}

/// The page where one signs in as a rule asks; what follows it is one more `&key=value`.
pub(super) fn step_up_page(rule: &str) -> String {
    let rule = utf8_percent_encode(rule, IN_QUERY);
    format!("{}?step_up={rule}", paths::LOGIN)
}

/// [`step_up_page`], and back to where one wanted to go.
pub(super) fn step_up_page_back_to(rule: &str, return_to: &ReturnTo) -> String {
    let place = utf8_percent_encode(return_to.as_str(), IN_QUERY);
    format!("{}&return_to={place}", step_up_page(rule))
}

/// A page's URL that leads back to where one wanted to go.
pub(super) fn url_back_to(page: &str, return_to: &ReturnTo) -> String {
    format!(
        "{page}?return_to={}",
        utf8_percent_encode(return_to.as_str(), IN_QUERY)
    )
}
