//! What a rule sets in the heads of requests and responses, or takes out.

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_http::ResponseHeader;

use crate::access::header_hygiene::are_alike;
use crate::policy::Rule;

/// Sets in a request what the rule wants set.
pub(super) fn set_for(rule: &Rule, headers: &mut HeaderMap) {
    for (name, value) in &rule.headers.request {
        set(headers, name, value.as_ref());
    }
}

/// Sets a field, or takes it out, in whatever spelling it came.
fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<&HeaderValue>) {
    let spellings: Vec<HeaderName> = headers
        .keys()
        .filter(|own| are_alike(own.as_str(), name.as_str()))
        .cloned()
        .collect();
    for spelling in spellings {
        headers.remove(&spelling);
    }
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

/// Sets in a final response what the rule wants set.
pub(super) fn dress(
    response: &mut ResponseHeader,
    rule: &Rule,
) -> Result<(), Box<pingora_core::Error>> {
    if response.status.is_informational() {
        return Ok(());
    }
    for (name, value) in &rule.headers.response {
        match value {
            Some(value) => response.insert_header(name, value)?,
            None => drop(response.remove_header(name)),
        }
    }
    Ok(())
}
