//! Says whose bearer tokens are taken here (RFC 9728): public, and the same for everybody.

use std::collections::BTreeSet;

use http::{HeaderValue, Method, header};
use serde_json::json;

use super::answer::{Answer, Problem};
use super::gateway::Next;
use super::site::Site;
use crate::access::RequestFacts;
use crate::paths;
use crate::policy::{Access, Policy};

/// How long programs may keep it, seconds.
const KEPT: &str = "public, max-age=300";

impl Site {
    /// The answer to whoever asks whose tokens are taken; none for other paths, and where none are.
    pub(super) fn told_of_tokens(
        &self,
        facts: &RequestFacts,
        policy: &Policy,
    ) -> Option<Result<Next, Problem>> {
        let bearers = self.bearers.as_ref()?;
        if facts.path.as_str() != paths::RESOURCE_METADATA {
            return None;
        }
        if !matches!(facts.method, Method::GET | Method::HEAD) {
            return Some(Err(Problem::Method));
        }
        let issuers = bearers.issuers().iter();
        let issuers: Vec<&str> = issuers.map(|one| one.issuer().as_str()).collect();
        let document = json!({
            "resource": &*facts.own_origin,
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
            "scopes_supported": scopes(&facts.host, policy),
        });
        let mut answer = Answer::json(document.to_string());
        let public = [
            (header::CACHE_CONTROL, HeaderValue::from_static(KEPT)),
            (
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            ),
        ];
        answer
            .headers
            .retain(|(name, _)| *name != header::CACHE_CONTROL);
        answer.headers.extend(public);
        Some(Ok(Next::Answer(answer)))
    }
}

/// All scopes that rules for a host ask for.
fn scopes<'a>(host: &str, policy: &'a Policy) -> BTreeSet<&'a str> {
    let rules = policy.rules.all().iter();
    let own = rules.filter(|rule| {
        rule.access == Access::Api && rule.host.as_deref().is_none_or(|named| named == host)
    });
    let scopes = own.flat_map(|rule| &rule.tokens.scopes);
    scopes.map(String::as_str).collect()
}
