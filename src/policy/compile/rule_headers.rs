//! The `headers` of a rule to [`RuleHeaders`].

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use super::Surroundings;
use crate::operator_file::{At, Findings};
use crate::policy::document::RuleHeadersShape;
use crate::policy::route::{RuleHeaders, SetField};

/// What frames a message, or ends at the next hop (RFC 9110, section 7.6.1).
const FRAMING: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the gateway tells the upstream of a request by itself.
const TOLD: [&str; 6] = [
    "cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// How the gateway's own fields begin.
const OWN_PREFIX: &str = "x-vestibule-";

pub(super) fn compile(
    shape: &RuleHeadersShape,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> RuleHeaders {
    let RuleHeadersShape { request, response } = shape;
    let hand_off: Vec<&str> = around
        .hand_off_fields
        .iter()
        .map(HeaderName::as_str)
        .collect();
    let is_told = |name: &str| {
        TOLD.contains(&name) || name.starts_with(OWN_PREFIX) || hand_off.contains(&name)
    };
    RuleHeaders {
        request: fields(request, &is_told, findings),
        response: fields(response, &|name| name == "set-cookie", findings),
    }
}

fn fields(
    given: &BTreeMap<String, At<String>>,
    is_ours: &dyn Fn(&str) -> bool,
    findings: &mut Findings<'_>,
) -> Vec<SetField> {
    let one = |(name, value): (&String, &At<String>)| field(name, value, is_ours, findings);
    given.iter().filter_map(one).collect()
}

fn field(
    name: &str,
    value: &At<String>,
    is_ours: &dyn Fn(&str) -> bool,
    findings: &mut Findings<'_>,
) -> Option<SetField> {
    let Ok(parsed) = HeaderName::try_from(name) else {
        let message = format!("`{name}` is not a header name");
        findings.error(&value.span, message, "write one such as `X-Tenant`");
        return None;
    };
    // Servers read `_` as `-`.
    let folded = parsed.as_str().replace('_', "-");
    if FRAMING.contains(&folded.as_str()) || is_ours(&folded) {
        let message = format!("`{name}` is set by the gateway alone");
        findings.error(&value.span, message, "take it out");
        return None;
    }
    if value.is_empty() {
        return Some((parsed, None));
    }
    let text = HeaderValue::from_str(value).ok();
    if text.is_none() {
        let message = format!("the value of `{name}` is not one that headers have");
        findings.error(
            &value.span,
            message,
            "write it in one line of ASCII characters",
        );
    }
    text.map(|text| (parsed, Some(text)))
}
