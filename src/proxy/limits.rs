//! Which limits a request draws from, and whose bucket it is.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{Caller, Permit};
use crate::paths;
use crate::policy::Limits;
use crate::rate_limit::{Limit, Network, Per, RateLimiter, SlowDown};
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

    /// For a request to the gateway's own pages: those of logins. The forms of strangers draw from
    /// limits of their own, when their page is reached.
    pub(super) fn draw_page(
        &self,
        path: &str,
        is_submit: bool,
        limits: &Limits,
        client: IpAddr,
    ) -> Result<(), SlowDown> {
        match &limits.login {
            Some(limit) if is_login(path, is_submit) => {
                self.draw("login", limit, &bucket(Per::Ip, None, client))
            }
            _ => Ok(()),
        }
    }

    fn draw(&self, lane: &'static str, limit: &Limit, bucket: &str) -> Result<(), SlowDown> {
        self.limiter
            .draw(limit, bucket)
            .inspect_err(|_| Metrics::count(&self.metrics.rate_limited, lane))
    }
}

/// Looking at a page is free; starting and finishing logins is not.
fn is_login(path: &str, is_submit: bool) -> bool {
    let begins_login = path
        .strip_prefix(paths::LOGIN)
        .is_some_and(|rest| !rest.is_empty());
    begins_login || path == paths::CALLBACK || (path == paths::LOGIN && is_submit)
}

/// Whose bucket; the first letter keeps kinds apart.
fn bucket(per: Per, who: Option<&Caller>, client: IpAddr) -> String {
    let network = || format!("n {}", Network::of(client));
    let Some(caller) = who else {
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
        (Per::Ip, _) | (_, None) => network(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
