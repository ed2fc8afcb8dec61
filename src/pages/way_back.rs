//! Where somebody wanted to go, carried from page to page.

use url::form_urlencoded::{self, Serializer};

use super::submission::Fields;
use super::visit::Visit;
use crate::access::ReturnTo;

/// The field of forms and the key of queries that says so.
const RETURN_TO: &str = "return_to";

/// A page of ours that leads back; what follows it is one more `&key=value`.
pub(super) fn page_link(page: &str, return_to: &ReturnTo) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair(RETURN_TO, return_to.as_str());
    format!("{page}?{}", query.finish())
}

/// [`page_link`] with one more word, which changes only what is shown.
pub(super) fn page_link_with(page: &str, return_to: &ReturnTo, word: &str) -> String {
    format!("{}&{word}", page_link(page, return_to))
}

/// Whether the query has that word.
pub(super) fn says(visit: &Visit, word: &str) -> bool {
    let query = visit.here.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|part| part == word)
}

/// Where the query says.
pub(super) fn asked(visit: &Visit) -> ReturnTo {
    let query = visit.here.split_once('?').map_or("", |(_, query)| query);
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == RETURN_TO);
    asked.map_or_else(ReturnTo::home, |(_, place)| {
        ReturnTo::parse(&place, &visit.client.own_origin)
    })
}

/// Where the form says.
pub(super) fn sent(visit: &Visit, fields: &Fields) -> ReturnTo {
    let place = fields.get(RETURN_TO).map_or("/", String::as_str);
    ReturnTo::parse(place, &visit.client.own_origin)
}

/// [`sent`], which is then none of the fields any more that the form is about.
pub(super) fn take(visit: &Visit, fields: &mut Fields) -> ReturnTo {
    let place = sent(visit, fields);
    fields.remove(RETURN_TO);
    place
}
