//! Robots are kept from asking for letters: a proof of work in the page, and fewer letters for
//! browsers without scripts, which are never turned away for that alone.

use std::net::IpAddr;

use super::Pages;
use super::submission::Fields;
use super::views::WorkView;
use super::visit::Visit;
use crate::captcha;
use crate::onboarding::OnboardingError;
use crate::policy::signup_form::Captcha;
use crate::session::StoreDown;

/// The field with the sealed challenge.
const TOKEN: &str = "captcha_token";
/// The field with what the browser found; empty without a script.
const FOUND: &str = "captcha";

/// Why a form is not taken.
#[derive(Debug)]
pub(super) enum NotAPerson {
    /// What was found is wrong, used or too old.
    Wrong,
    /// Too many forms came from this network without a check.
    TooMany,
    /// It cannot be told.
    Down(OnboardingError),
    /// It cannot be told.
    StoreDown(StoreDown),
}

impl Pages {
    /// The work for a page, where the form of the host asks for one.
    pub(super) fn work_view(&self, visit: &Visit) -> Option<WorkView> {
        if self.captcha(visit) == Captcha::None {
            return None;
        }
        let (host, now) = (&visit.client.host, self.parts.clock.now());
        let challenge = captcha::challenge(&self.parts.keys, host, now);
        Some(WorkView {
            token: challenge.token,
            salt: challenge.salt,
            target: challenge.target,
            bound: challenge.bound.to_string(),
        })
    }

    /// Whether a form may have been sent by a person.
    pub(super) async fn check_captcha(
        &self,
        visit: &Visit,
        fields: &Fields,
    ) -> Result<(), NotAPerson> {
        if self.captcha(visit) == Captcha::None {
            return Ok(());
        }
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field(FOUND).is_empty() {
            return self.count_unchecked(visit).await;
        }
        let (host, now) = (&visit.client.host, self.parts.clock.now());
        let answer = (field(TOKEN), field(FOUND));
        let solved = captcha::judge(&self.parts.keys, host, answer, now);
        let solved = solved.map_err(|_| NotAPerson::Wrong)?;
        let sessions = &self.parts.sessions;
        let first = sessions.consume_attempt(&solved.id, solved.ends_at).await;
        let first = first.map_err(NotAPerson::StoreDown)?;
        first.then_some(()).ok_or(NotAPerson::Wrong)
    }

    async fn count_unchecked(&self, visit: &Visit) -> Result<(), NotAPerson> {
        let network = network_of(visit.client.client);
        let onboarding = &self.parts.onboarding;
        let counted = onboarding.count_unchecked(&network).await;
        let counted = counted.map_err(NotAPerson::Down)?;
        counted.then_some(()).ok_or(NotAPerson::TooMany)
    }

    fn captcha(&self, visit: &Visit) -> Captcha {
        let policy = self.parts.policy.current();
        policy.forms.of(&visit.client.host).captcha
    }
}

/// An IPv4 address, or the /64 that one customer of an IPv6 network has.
fn network_of(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x?}", &address.segments().first_chunk::<4>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_customer_has() {
        let of = |address: &str| network_of(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
