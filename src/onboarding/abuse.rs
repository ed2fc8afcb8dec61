//! Holds back those who would have us bother others: letters, links, codes and forms of strangers.
//!
//! It is asked before anything is looked up, so that its answer tells nothing about an address.
//! Nodes count together where they share a Redis, and else in memory, which is bounded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::LinkStep;
use crate::identity::{EmailAddress, VerifiedIdentity};
use crate::policy::PolicySource;
use crate::policy::abuse::AbuseLanes;
use crate::policy::addresses::Unwelcome;
use crate::rate_limit::{Limit, Network, RateLimiter};
use crate::seal;
use crate::telemetry::metrics::Metrics;

/// Too much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// When another try can succeed.
    pub retry_after: Duration,
}

/// What the limits are drawn from, and by whom they are set.
pub struct Abuse {
    limiter: Arc<dyn RateLimiter>,
    policy: Arc<dyn PolicySource>,
    metrics: Metrics,
}

impl std::fmt::Debug for Abuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Abuse(…)")
    }
}

/// What a letter to an address that nobody has proven is for. What is used up for one of them is
/// there for the others, so that a flood of sign-ups keeps nobody from a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterFor {
    /// The link to the registration.
    Registration,
    /// The link to a new password.
    NewPassword,
    /// The code that proves an account.
    Proof,
}

impl From<LinkStep> for LetterFor {
    fn from(step: LinkStep) -> Self {
        match step {
            LinkStep::Registration => Self::Registration,
            LinkStep::NewPassword => Self::NewPassword,
        }
    }
}

impl LetterFor {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::NewPassword => "new-password",
            Self::Proof => "proof",
        }
    }
}

/// Who asks for what; whatever is known of it.
#[derive(Debug, Clone, Copy, Default)]
struct Asked<'a> {
    client: Option<IpAddr>,
    address: Option<&'a EmailAddress>,
    subject: Option<&'a str>,
    letter: Option<LetterFor>,
}

impl Abuse {
    /// Draws from these limits, as the policy in force sets them.
    pub fn new(
        limiter: Arc<dyn RateLimiter>,
        policy: Arc<dyn PolicySource>,
        metrics: Metrics,
    ) -> Self {
        Self {
            limiter,
            policy,
            metrics,
        }
    }

    /// Whether somebody may register with an address at all.
    pub fn welcomes(&self, address: &EmailAddress) -> Result<(), Unwelcome> {
        self.policy.current().onboarding.addresses.judge(address)
    }

    /// Before a letter with a link or a code goes to an address that is not proven yet.
    pub async fn may_mail(
        &self,
        client: IpAddr,
        (letter, address): (LetterFor, &EmailAddress),
    ) -> Result<(), HeldBack> {
        let asked = Asked {
            client: Some(client),
            address: Some(address),
            letter: Some(letter),
            ..Asked::default()
        };
        let policy = self.policy.current();
        self.draw("mail", &policy.limits.abuse.mail, asked).await
    }

    /// Before a mailed link is looked at.
    pub async fn may_open_link(&self, client: IpAddr) -> Result<(), HeldBack> {
        let asked = Asked {
            client: Some(client),
            ..Asked::default()
        };
        let policy = self.policy.current();
        self.draw("link", &policy.limits.abuse.link, asked).await
    }

    /// Before a code is compared: a mailed one, or that of a partner. The subject is whatever says
    /// who tries: an identity, a proven address.
    pub async fn may_try_code(
        &self,
        client: IpAddr,
        subject: Option<&str>,
    ) -> Result<(), HeldBack> {
        let asked = Asked {
            client: Some(client),
            subject,
            ..Asked::default()
        };
        let policy = self.policy.current();
        self.draw("code", &policy.limits.abuse.code, asked).await
    }

    /// Before a form is judged.
    pub async fn may_submit(&self, client: IpAddr, subject: Option<&str>) -> Result<(), HeldBack> {
        let asked = Asked {
            client: Some(client),
            subject,
            ..Asked::default()
        };
        let policy = self.policy.current();
        self.draw("form", &policy.limits.abuse.form, asked).await
    }

    /// A network or identity that is over its own limit takes nothing from what is there for all.
    /// The mailbox comes last: whoever tries again while robots use up what is there for all does
    /// not use up their own.
    async fn draw(
        &self,
        lane: &'static str,
        lanes: &AbuseLanes,
        asked: Asked<'_>,
    ) -> Result<(), HeldBack> {
        let network = asked.client.map(|client| Network::of(client).to_string());
        let letter = asked.letter.map_or("", LetterFor::as_str);
        let of_letter = |key: &str| format!("{letter} {key}");
        let address = asked.address.map(|address| of_letter(&mailbox(address)));
        let domain = asked.address.map(|address| of_letter(address.domain()));
        for (limits, key) in [
            (&lanes.network, network.as_deref()),
            (&lanes.subject, asked.subject),
            (&lanes.domain, domain.as_deref()),
            (&lanes.total, Some(letter)),
            (&lanes.address, address.as_deref()),
        ] {
            let Some(key) = key else { continue };
            let drawn = self.draw_all(limits, key).await;
            drawn.inspect_err(|_| self.metrics.rate_limited.count(lane))?;
        }
        Ok(())
    }

    async fn draw_all(&self, limits: &[Arc<Limit>], key: &str) -> Result<(), HeldBack> {
        for limit in limits {
            let drawn = self.limiter.draw(limit, key).outcome().await;
            drawn.map_err(|slow| HeldBack {
                retry_after: slow.retry_after,
            })?;
        }
        Ok(())
    }
}

/// What says who tries: providers number their people alike.
pub fn abuse_key(identity: &VerifiedIdentity) -> String {
    seal::digest_parts(&[identity.issuer().as_str(), identity.subject().as_str()])
}

/// Mail systems deliver `anna+x@…` to `anna@…`, so that all of these share a bucket. It is not that
/// of `anna@…`: else strangers could use that up with letters to addresses that are not hers.
fn mailbox(address: &EmailAddress) -> String {
    let folded = address.folded();
    let (local, domain) = folded.split_once('@').unwrap_or((&folded, ""));
    match local.split_once('+') {
        Some((local, _)) => format!("{local}+@{domain}"),
        None => folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    use crate::policy::{Policy, Surroundings, compile};
    use crate::rate_limit::NodeLimits;

    struct Shipped(Arc<Policy>);

    impl PolicySource for Shipped {
        fn current(&self) -> Arc<Policy> {
            Arc::clone(&self.0)
        }
    }

    /// By the limits that ship.
    fn abuse() -> Abuse {
        let folder = tempfile::tempdir().unwrap();
        let mut problems = crate::operator_file::Problems::default();
        let policy = compile(folder.path(), &Surroundings::default(), &mut problems);
        let policy = Arc::new(Shipped(Arc::new(policy.expect("the shipped policy"))));
        Abuse::new(Arc::new(NodeLimits::default()), policy, Metrics::default())
    }

    fn network(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + number))
    }

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn mail(abuse: &Abuse, client: IpAddr, to: &str) -> Result<(), HeldBack> {
        at_once(abuse.may_mail(client, (LetterFor::Registration, &address(to))))
    }

    /// A node alone asks nobody.
    fn at_once<T>(asking: impl Future<Output = T>) -> T {
        asking.now_or_never().expect("an answer at once")
    }

    /// How many of so many are let through.
    fn passed(of: u32, ask: impl Fn(u32) -> Result<(), HeldBack>) -> usize {
        (0..of).filter(|number| ask(*number).is_ok()).count()
    }

    #[test]
    fn one_network_mails_a_few_and_others_are_not_held_up() {
        let abuse = abuse();
        let sent = passed(1000, |n| {
            mail(&abuse, network(1), &format!("a{n}@x{n}.example"))
        });
        assert_eq!(sent, 10);
        assert_eq!(mail(&abuse, network(2), "b@x.example"), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one() {
        let abuse = abuse();
        let client = |n: u32| {
            IpAddr::V6(std::net::Ipv6Addr::from(
                (0x2001_0db8 << 96) | u128::from(n),
            ))
        };
        let sent = passed(100, |n| {
            mail(&abuse, client(n), &format!("a{n}@x{n}.example"))
        });
        assert_eq!(sent, 10);
    }

    #[test]
    fn one_mailbox_gets_few_letters_whoever_asks_and_however_it_is_spelled() {
        let abuse = abuse();
        for (n, (spelling, is_sent)) in (0..).zip([
            ("anna+1@x.example", true),
            ("Anna+2@x.example", true),
            ("anna+3@X.example", false),
            ("anna@x.example", true),
            ("ANNA@X.example", true),
            ("Anna@x.example", false),
        ]) {
            let sent = mail(&abuse, network(n), spelling).is_ok();
            assert_eq!(sent, is_sent, "{spelling}");
        }
    }

    #[test]
    fn a_flood_of_sign_ups_keeps_nobody_from_a_new_password() {
        let abuse = abuse();
        let anna = address("anna@x.example");
        let used_up = passed(5000, |n| {
            at_once(abuse.may_mail(network(n), (LetterFor::Registration, &anna)))
        });
        assert_eq!(used_up, 2);
        passed(5000, |n| {
            mail(&abuse, network(n), &format!("a{n}@x.example"))
        });
        for letter in [LetterFor::NewPassword, LetterFor::Proof] {
            let sent = at_once(abuse.may_mail(network(9999), (letter, &anna)));
            assert_eq!(sent, Ok(()), "{letter:?}");
        }
    }

    #[test]
    fn one_domain_and_all_together_have_a_bound() {
        let one_domain = abuse();
        let sent = passed(2000, |n| {
            mail(&one_domain, network(n), &format!("a{n}@x.example"))
        });
        assert!((100..=110).contains(&sent), "{sent}");
        let all = abuse();
        let sent = passed(5000, |n| mail(&all, network(n), &format!("a@x{n}.example")));
        assert!((300..=330).contains(&sent), "{sent}");
    }

    #[test]
    fn waiting_for_robots_to_go_uses_up_nothing_of_ones_own() {
        let abuse = abuse();
        let ask = |n, text: &str| mail(&abuse, network(n), text);
        passed(5000, |n| ask(n, &format!("a@x{n}.example")));
        let held_back = passed(9, |_| ask(9999, "anna@home.example"));
        assert!(held_back <= 1);
        let pause = ask(9999, "anna@home.example").unwrap_err().retry_after;
        assert!(pause < std::time::Duration::from_secs(7), "{pause:?}");
    }

    #[test]
    fn codes_are_not_guessed() {
        let abuse = abuse();
        assert_eq!(
            passed(100, |n| at_once(
                abuse.may_try_code(network(n), Some("mario"))
            )),
            10
        );
        assert_eq!(
            passed(100, |_| at_once(abuse.may_try_code(network(777), None))),
            10
        );
    }

    #[test]
    fn forms_and_links_have_limits_of_their_own() {
        let abuse = abuse();
        assert_eq!(
            passed(100, |_| at_once(abuse.may_submit(network(1), None))),
            60
        );
        assert_eq!(
            passed(100, |_| at_once(abuse.may_open_link(network(1)))),
            30
        );
    }

    #[test]
    fn disposable_addresses_are_refused_as_shipped() {
        let abuse = abuse();
        assert_eq!(
            abuse.welcomes(&address("a@mailinator.com")),
            Err(Unwelcome::Disposable)
        );
        assert_eq!(abuse.welcomes(&address("info@acme.example")), Ok(()));
    }
}
