//! Which limits a request draws from, whose bucket it is, and what clients are told of it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use pingora_http::ResponseHeader;

use crate::access::Permit;
use crate::paths;
use crate::policy::Limits;
use crate::rate_limit::{HeldBackNetworks, Limit, Network, Per, RateLimiter, SlowDown};
use crate::telemetry::metrics::Metrics;

/// The limits that a request drew from, and how much of each is left
/// (draft-ietf-httpapi-ratelimit-headers-11).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Draws from the limits of the policy.
pub(super) struct Lanes {
    limiter: Arc<dyn RateLimiter>,
    metrics: Metrics,
    /// Networks that showed too many bad tokens.
    held_back: HeldBackNetworks,
}

/// A limit that a request drew from.
#[derive(Debug)]
pub(super) struct Counted {
    limit: Arc<Limit>,
    /// How many requests may follow at once.
    left: u32,
}

impl Lanes {
    pub(super) fn new(limiter: Arc<dyn RateLimiter>, metrics: Metrics) -> Self {
        Self {
            limiter,
            metrics,
            held_back: HeldBackNetworks::default(),
        }
    }

    /// For a bearer token that has to be judged: whether its network has not shown too many bad ones.
    pub(super) fn may_show_token(&self, client: IpAddr) -> Result<(), SlowDown> {
        let checked = self.held_back.check(Network::of(client));
        checked.inspect_err(|_| self.metrics.rate_limited.count("token"))
    }

    /// For a bearer token that was judged, and is bad.
    pub(super) async fn draw_bad_token(&self, limits: &Limits, client: IpAddr) {
        let Some(limit) = &limits.bad_token else {
            return;
        };
        let key = bucket(Per::Ip, None, client);
        let outcome = self.limiter.draw(limit, &key).outcome().await;
        if let Err(slow_down) = outcome {
            self.held_back.hold(Network::of(client), slow_down);
        }
    }

    /// For a request that may be forwarded: the rule's limit, then those of all traffic. What was
    /// drawn from is added to `counted`.
    pub(super) async fn draw_forwarded(
        &self,
        permit: &Permit,
        (limits, client): (&Limits, IpAddr),
        counted: &mut Vec<Counted>,
    ) -> Result<(), SlowDown> {
        if let Some(limit) = &permit.rule().limit {
            let key = bucket(limit.per, Some(permit), client);
            self.count("rule", (limit, &key), counted).await?;
        }
        if let Some(limit) = &limits.forwarded_per_network {
            let key = bucket(Per::Ip, None, client);
            self.count("network", (limit, &key), counted).await?;
        }
        if let Some(limit) = &limits.forwarded_per_user
            && permit.who().is_some()
        {
            let key = bucket(Per::User, Some(permit), client);
            self.count("user", (limit, &key), counted).await?;
        }
        Ok(())
    }

    /// For a request to the gateway's own pages: those of logins. The forms of strangers draw from
    /// limits of their own, when their page is reached.
    pub(super) async fn draw_page(
        &self,
        (path, is_submit): (&str, bool),
        limits: &Limits,
        client: IpAddr,
    ) -> Result<(), SlowDown> {
        match &limits.login {
            Some(limit) if is_login(path, is_submit) => {
                let key = bucket(Per::Ip, None, client);
                self.count("login", (limit, &key), &mut Vec::new()).await
            }
            _ => Ok(()),
        }
    }

    async fn count(
        &self,
        lane: &'static str,
        (limit, bucket): (&Arc<Limit>, &str),
        counted: &mut Vec<Counted>,
    ) -> Result<(), SlowDown> {
        let outcome = self.limiter.draw(limit, bucket).outcome().await;
        counted.push(Counted {
            limit: Arc::clone(limit),
            left: outcome.map_or(0, |drawn| drawn.left),
        });
        outcome
            .map(drop)
            .inspect_err(|_| self.metrics.rate_limited.count(lane))
    }
}

/// The fields that tell a client of limits; none where it drew from none.
pub(super) fn fields(counted: &[Counted]) -> Option<[(HeaderName, HeaderValue); 2]> {
    if counted.is_empty() {
        return None;
    }
    let (mut policy, mut state) = (String::new(), String::new());
    for (place, Counted { limit, left }) in counted.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let (name, quota, left) = (&limit.name, limit.burst, (*left).min(limit.burst));
        let window = whole_seconds(limit.time_for(quota));
        let full_in = whole_seconds(limit.time_for(quota - left));
        // Writing into a string does not fail.
        let _ = write!(policy, "{comma}\"{name}\";q={quota};w={window}");
        let _ = write!(state, "{comma}\"{name}\";r={left};t={full_in}");
    }
    let [policy, state] = [policy, state].map(HeaderValue::try_from);
    Some([(POLICY, policy.ok()?), (STATE, state.ok()?)])
}

/// Tells a client of the limits that its request drew from, in the upstream's answer.
pub(super) fn tell(response: &mut ResponseHeader, counted: &[Counted]) -> pingora_core::Result<()> {
    if response.status.is_informational() {
        return Ok(());
    }
    for (name, value) in fields(counted).into_iter().flatten() {
        response.append_header(name, value)?;
    }
    Ok(())
}

fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// Looking at a page is free; starting and finishing logins is not.
fn is_login(path: &str, is_submit: bool) -> bool {
    let begins_login = path
        .strip_prefix(paths::LOGIN)
        .is_some_and(|rest| !rest.is_empty());
    begins_login || path == paths::CALLBACK || (path == paths::LOGIN && is_submit)
}

/// Whose bucket; the first letter keeps kinds apart.
fn bucket(per: Per, permit: Option<&Permit>, client: IpAddr) -> String {
    let network = || format!("n {}", Network::of(client));
    let Some(permit) = permit else {
        return network();
    };
    if per == Per::Route {
        return format!("r {}", permit.rule().name);
    }
    let Some(caller) = permit.who() else {
        return network();
    };
    match (per, caller.account()) {
        (Per::Session, _) => format!("s {}", caller.key()),
        (Per::User, Some(account)) => format!("u {} {}", account.platform, account.user),
        (Per::Customer, Some(account)) => match &account.customer {
            Some(customer) => format!("c {} {customer}", account.platform),
            None => network(),
        },
        (Per::User | Per::Customer, None) if caller.session().is_none() => {
            let identity = caller.identity();
            format!("i {} {}", identity.issuer(), identity.subject())
        }
        (Per::Ip | Per::Route, _) | (_, None) => network(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Scope;

    #[test]
    fn looking_is_free_and_doing_is_not() {
        assert!(!is_login("/auth/login", false));
        assert!(is_login("/auth/login", true));
        assert!(is_login("/auth/login/corp", false));
        assert!(is_login("/auth/callback", false));
        assert!(!is_login("/auth/register", true));
        assert!(!is_login("/auth/assets/x.css", false));
    }

    #[test]
    fn an_ipv6_network_shares_a_bucket() {
        let of = |address: &str| bucket(Per::Ip, None, address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn clients_are_told_of_every_limit_that_they_drew_from() {
        let counted = |name: &str, (requests, burst), left| Counted {
            limit: Arc::new(Limit {
                name: name.to_owned(),
                requests,
                period: Duration::from_mins(1),
                burst,
                per: Per::Ip,
                scope: Scope::Node,
            }),
            left,
        };
        let told = fields(&[
            counted("careful", (100, 100), 99),
            counted("all", (3, 10), 0),
        ]);
        let told = told.expect("fields").map(|(name, value)| {
            let value = value.to_str().expect("text").to_owned();
            (name.as_str().to_owned(), value)
        });
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            told,
            [
                field(
                    "ratelimit-policy",
                    "\"careful\";q=100;w=60, \"all\";q=10;w=200"
                ),
                field("ratelimit", "\"careful\";r=99;t=1, \"all\";r=0;t=200"),
            ]
        );
        assert!(fields(&[]).is_none());
    }
}
