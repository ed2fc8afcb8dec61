//! Whose word a registration waits for, and how far the asking is. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::form::Scope;
use crate::clock::Timestamp;
use crate::identity::AccountType;
use crate::platform::PlatformCustomer;
use crate::policy::ApprovalPolicy;

/// After how long an asking is looked at again where nothing happens at a set time.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Whose word a registration waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The administrators of the customer that somebody wants to join.
    Administrators(PlatformCustomer),
    /// The operator's back office.
    BackOffice,
}

impl Asked {
    /// Whose word a registration needs; none where it can go on by itself.
    pub fn for_registration(
        scope: &Scope,
        account_type: AccountType,
        policy: &ApprovalPolicy,
    ) -> Option<Self> {
        match scope {
            Scope::AskToJoin(customer) => Some(Self::Administrators(customer.clone())),
            Scope::Invited(_) => None,
            Scope::NewCustomer { .. } | Scope::Join(_) => policy
                .account_types
                .contains(&account_type)
                .then_some(Self::BackOffice),
        }
    }

    /// The word used in SQL and by the operator API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Administrators(_) => "administrators",
            Self::BackOffice => "back_office",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
}

impl Decision {
    /// The word used in SQL and by the operator API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// The decision that `word` names, if any.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Approved, Self::Rejected, Self::Expired]
            .into_iter()
            .find(|decision| decision.as_str() == word)
    }
}

/// How far the asking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// How many rounds of letters were sent.
    pub letters: u32,
    /// When they are sent once more.
    pub remind_at: Timestamp,
    /// When the request is over.
    pub expires_at: Timestamp,
    /// What became of it, once something did.
    pub decision: Option<Decision>,
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The first letters go out.
    Ask,
    /// The letters go out once more.
    Remind,
    /// Nothing before that time.
    Wait(Timestamp),
    /// Its time is over.
    Expire,
}

impl Asking {
    /// A request that begins now.
    pub fn begin(policy: &ApprovalPolicy, now: Timestamp) -> Self {
        Self {
            letters: 0,
            remind_at: now.plus(policy.remind_after),
            expires_at: now.plus(policy.expires_after),
            decision: None,
        }
    }

    /// What is to be done now.
    pub fn next(&self, now: Timestamp) -> Move {
        if self.decision.is_some() {
            return Move::Wait(now.plus(LOOK_AGAIN));
        }
        if now >= self.expires_at {
            return Move::Expire;
        }
        match self.letters {
            0 => Move::Ask,
            1 if now >= self.remind_at => Move::Remind,
            1 => Move::Wait(self.remind_at.min(self.expires_at)),
            _ => Move::Wait(self.expires_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_asked_reminded_once_and_then_it_is_over() {
        let start = Timestamp::from_millis(0);
        let policy = ApprovalPolicy::default();
        let at = |days: u64| start.plus(Duration::from_hours(24 * days));
        let mut asking = Asking::begin(&policy, start);
        assert_eq!(asking.next(start), Move::Ask);
        asking.letters = 1;
        assert_eq!(asking.next(start), Move::Wait(at(3)));
        assert_eq!(asking.next(at(3)), Move::Remind);
        asking.letters = 2;
        assert_eq!(asking.next(at(4)), Move::Wait(at(14)));
        assert_eq!(asking.next(at(14)), Move::Expire);
        asking.decision = Some(Decision::Approved);
        assert!(matches!(asking.next(at(15)), Move::Wait(_)));
    }

    #[test]
    fn decisions_are_read_back() {
        for decision in [Decision::Approved, Decision::Rejected, Decision::Expired] {
            assert_eq!(Decision::from_word(decision.as_str()), Some(decision));
        }
        assert_eq!(Decision::from_word("maybe"), None);
    }
}
