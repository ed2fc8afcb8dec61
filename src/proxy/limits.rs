//! Which limits a request draws from, and whose bucket it is.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::Permit;
use crate::paths;
use crate::policy::Limits;
use crate::rate_limit::{Limit, Network, Per, RateLimiter, SlowDown};
use crate::session::OpenSession;
use crate::telemetry::metrics::Metrics;

/// Draws from the limits of the policy.
pub(super) struct Lanes {
    pub(super) limiter: Arc<dyn RateLimiter>,
    pub(super) metrics: Metrics,
}

impl Lanes {
    /// For a request that may be forwarded: the rule's limit, then those of all traffic.
    pub(super) fn draw_forwarded(
        &self,
        permit: &Permit,
        limits: &Limits,
        client: IpAddr,
    ) -> Result<(), SlowDown> {
        if let Some(limit) = &permit.rule().limit {
            self.draw("rule", limit, &bucket(limit.per, permit.who(), client))?;
        }
        if let Some(limit) = &limits.forwarded_per_network {
            self.draw("network", limit, &bucket(Per::Ip, None, client))?;
        }
        if let (Some(limit), Some(who)) = (&limits.forwarded_per_user, permit.who()) {
            self.draw("user", limit, &bucket(Per::User, Some(who), client))?;
        }
        Ok(())
    }

    /// For a request to the gateway's own pages.
    pub(super) fn draw_page(
        &self,
        path: &str,
        is_submit: bool,
        limits: &Limits,
        client: IpAddr,
    ) -> Result<(), SlowDown> {
        let (lane, limit) = match lane_of(path, is_submit) {
            Some(PageLane::Login) => ("login", &limits.login),
            Some(PageLane::Registration) => ("registration", &limits.registration),
            None => return Ok(()),
        };
        match limit {
            Some(limit) => self.draw(lane, limit, &bucket(Per::Ip, None, client)),
            None => Ok(()),
        }
    }

    fn draw(&self, lane: &'static str, limit: &Limit, bucket: &str) -> Result<(), SlowDown> {
        self.limiter
            .draw(limit, bucket)
            .inspect_err(|_| Metrics::count(&self.metrics.rate_limited, lane))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum PageLane {
    Login,
    Registration,
}

/// Looking at a page is free; starting and finishing logins, and sending forms, is not.
fn lane_of(path: &str, is_submit: bool) -> Option<PageLane> {
    let begins_login = path
        .strip_prefix(paths::LOGIN)
        .is_some_and(|rest| !rest.is_empty());
    if begins_login || path == paths::CALLBACK || (path == paths::LOGIN && is_submit) {
        return Some(PageLane::Login);
    }
    let is_form = [paths::REGISTER, paths::PASSWORD]
        .iter()
        .any(|form| path.starts_with(form))
        && path != paths::PROGRESS;
    (is_form && is_submit).then_some(PageLane::Registration)
}

/// Whose bucket; the first letter keeps kinds apart.
fn bucket(per: Per, who: Option<&OpenSession>, client: IpAddr) -> String {
    let network = || format!("n {}", Network::of(client));
    let Some(session) = who else {
        return network();
    };
    match (per, session.record.account()) {
        (Per::Session, _) => format!("s {}", session.key.as_str()),
        (Per::User, Some(account)) => format!("u {} {}", account.platform, account.user),
        (Per::Customer, Some(account)) => match &account.customer {
            Some(customer) => format!("c {} {customer}", account.platform),
            None => network(),
        },
        (Per::Ip, _) | (_, None) => network(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_is_free_and_doing_is_not() {
        assert_eq!(lane_of("/auth/login", false), None);
        assert_eq!(lane_of("/auth/login/corp", false), Some(PageLane::Login));
        assert_eq!(lane_of("/auth/callback", false), Some(PageLane::Login));
        assert_eq!(lane_of("/auth/register", false), None);
        assert_eq!(
            lane_of("/auth/register", true),
            Some(PageLane::Registration)
        );
        assert_eq!(
            lane_of("/auth/register/prove", true),
            Some(PageLane::Registration)
        );
        assert_eq!(lane_of("/auth/register/progress", false), None);
        assert_eq!(lane_of("/auth/assets/x.css", false), None);
    }

    #[test]
    fn an_ipv6_network_shares_a_bucket() {
        let of = |address: &str| bucket(Per::Ip, None, address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
