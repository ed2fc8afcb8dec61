//! The bearer token of a request (RFC 6750): found in the head, and judged where a rule looks at
//! tokens. Tokens in queries and bodies are nobody's (RFC 9700, section 4.3.2).

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use pingora_http::RequestHeader;
use secrecy::SecretString;
use tracing::Instrument as _;

use super::context::RequestContext;
use super::gateway::Gateway;
use super::settings::HostSettings;
use super::site::Site;
use crate::access::{ApiClient, BearerStanding};
use crate::login::bearer::MAX_TOKEN;
use crate::policy::{Access, Limits, Rule};
use crate::rate_limit::{Network, SlowDown};
use crate::telemetry::traces::{self, Step};

/// A request does not show its token as it should.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The token, if there is one: exactly one `Authorization` field, whose scheme is `Bearer` in any
/// case, with one token of the right octets (RFC 6750, section 2.1).
pub(super) fn token(headers: &HeaderMap) -> Option<Result<&str, Unreadable>> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let first = fields.next()?;
    if fields.next().is_some() {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        return all
            .any(|field| after_scheme(field).is_some())
            .then_some(Err(Unreadable));
    }
    let rest = after_scheme(first)?;
    let token = rest.trim_ascii();
    let is_sound =
        !token.is_empty() && token.len() <= MAX_TOKEN && token.iter().copied().all(is_octet);
    let text = std::str::from_utf8(token).ok().filter(|_| is_sound);
    Some(text.ok_or(Unreadable))
}

/// What follows `Bearer`.
fn after_scheme(field: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = field.as_bytes().split_at_checked(6)?;
    let is_whole = rest
        .first()
        .is_none_or(|octet| *octet == b' ' || *octet == b'\t');
    (scheme.eq_ignore_ascii_case(b"Bearer") && is_whole).then_some(rest)
}

fn is_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet)
}

impl Gateway {
    /// How the request's bearer token stands; none where it has none, or the rule looks at none. From
    /// a network that showed too many bad ones, only tokens that were good are looked at.
    pub(super) async fn bearer(
        &self,
        request: &RequestHeader,
        (site, rule, limits): (&Site, &Rule, &Limits),
        ctx: &RequestContext,
    ) -> Result<Option<BearerStanding>, SlowDown> {
        if rule.access != Access::Api {
            return Ok(None);
        }
        let token = match token(&request.headers) {
            None => return Ok(None),
            Some(Ok(token)) => token,
            Some(Err(Unreadable)) => return Ok(Some(BearerStanding::Bad)),
        };
        let (Some(bearers), Some(client), Some(host)) = (&site.bearers, ctx.client, &ctx.host)
        else {
            return Ok(Some(BearerStanding::Bad));
        };
        let asked = bearers.asked(&rule.tokens);
        if let Some(standing) = bearers.ready(token, asked) {
            return Ok(Some(on(host, standing)));
        }
        if !bearers.was_good(token, asked) {
            site.lanes.may_show_token(client)?;
        }
        let (bearers, token) = (Arc::clone(bearers), SecretString::from(token));
        let said_of = tracing::info_span!("request", reference = %ctx.reference);
        let judging = async move { bearers.standing(&token, asked).await };
        let judging = judging.instrument(said_of);
        let judging = self.proven(judging, ctx.network());
        let standing = traces::during("token", Step::Inside, judging).await;
        if matches!(standing, BearerStanding::Bad) {
            site.lanes.draw_bad_token(limits, client).await;
        }
        Ok(Some(on(host, standing)))
    }

    /// How the token of a program stands whose request is under way.
    pub(super) async fn still(&self, site: &Site, client: &Arc<ApiClient>) -> BearerStanding {
        let Some(bearers) = site.bearers.clone() else {
            return BearerStanding::Bad;
        };
        let client = Arc::clone(client);
        // It was let in once; the network's caps are for those who are not yet.
        self.proven(async move { bearers.again(&client).await }, None)
            .await
    }

    /// Judges a token where it may take a while. Whoever shows too many at once is told that nobody
    /// answers.
    async fn proven(
        &self,
        judging: impl Future<Output = BearerStanding> + Send + 'static,
        network: Option<Network>,
    ) -> BearerStanding {
        let judged = self.proving.run(network, judging).await;
        judged.unwrap_or(BearerStanding::Unknown)
    }
}

/// A good token is bad on a host that it is not for.
pub(super) fn on(host: &HostSettings, standing: BearerStanding) -> BearerStanding {
    match &standing {
        BearerStanding::Good(client) if !client.is_for(&host.origin) => BearerStanding::Bad,
        _ => standing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[&str]) -> Option<Result<String, Unreadable>> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, field.parse().unwrap());
        }
        token(&headers).map(|found| found.map(str::to_owned))
    }

    #[test]
    fn one_token_in_one_field_is_read_whatever_the_case_of_its_scheme() {
        for field in [
            "Bearer a.b-c_d~+/=",
            "bearer a.b-c_d~+/=",
            "BEARER  a.b-c_d~+/=",
        ] {
            assert_eq!(
                found(&[field]),
                Some(Ok("a.b-c_d~+/=".to_owned())),
                "{field}"
            );
        }
    }

    #[test]
    fn other_schemes_are_none_of_ours() {
        for fields in [
            &[][..],
            &["Basic dTpw"],
            &["Bearertoken"],
            &["DPoP abc"],
            &["B"],
        ] {
            assert_eq!(found(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_single_token_is_not_read() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for fields in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a,b"],
            &["Bearer \"a\""],
            &["Bearer a", "Bearer a"],
            &["Basic dTpw", "bearer a"],
            &[long.as_str()],
        ] {
            assert_eq!(found(fields), Some(Err(Unreadable)), "{fields:?}");
        }
    }
    #[test]
    fn fuzzed_fields_hold_one_token_that_is_sent_as_it_is_read() {
        let fuzz = crate::fuzz::Fuzz {
            name: "authorization",
            corpus: include_str!("../../tests/fuzz/corpus/authorization.txt"),
            words: &["Bearer ", "bearer\t", "Basic ", "DPoP ", "a.b.c", "~+/="],
        };
        fuzz.run(|octets| {
            let lines = octets.split(|octet| *octet == b'\n');
            let fields: Vec<_> = lines.flat_map(HeaderValue::from_bytes).collect();
            let headers = |fields: &[HeaderValue]| -> HeaderMap {
                let named = fields
                    .iter()
                    .map(|field| (header::AUTHORIZATION, field.clone()));
                named.collect()
            };
            let all = headers(&fields);
            let found = token(&all);
            // Whoever reads one field only, of several, never sees a token that is not seen here.
            let is_shown = fields
                .iter()
                .any(|one| token(&headers(std::slice::from_ref(one))).is_some());
            assert_eq!(found.is_some(), is_shown);
            if let Some(Ok(text)) = found {
                let [only] = &fields[..] else {
                    panic!("one of several")
                };
                let (scheme, rest) = only.to_str().unwrap().split_at(6);
                assert!(scheme.eq_ignore_ascii_case("bearer"));
                assert_eq!(rest.trim_matches([' ', '\t']), text);
                assert!(!text.is_empty() && !text.contains([' ', '\t', ',', '"']));
            }
            (found.map(|found| found.is_ok()), fields.len().min(3))
        });
    }
}
