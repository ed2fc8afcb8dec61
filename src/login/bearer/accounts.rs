//! Whose user the subject of a token is: the account that is linked to it, if the platform and the
//! subject's identity provider let them in.

use std::sync::Arc;

use moka::sync::Cache;

use crate::access::ClientAccount;
use crate::clock::Timestamp;
use crate::identity::{Account, Issuer, Subject, VerifiedIdentity};
use crate::onboarding::{AccountStanding, Onboarding, OnboardingError};
use crate::policy::PolicySource;
use crate::roster::{Roster, RosterError};

/// Of how many subjects it is remembered what the platform said.
const MOST: u64 = 50_000;

/// Why it is not known whose user a subject is.
#[derive(Debug, thiserror::Error)]
pub enum NotKnown {
    /// The database or the platform does not answer.
    #[error("the account cannot be looked up")]
    Account(#[from] OnboardingError),
    /// The database does not answer.
    #[error("whether somebody is deactivated cannot be looked up")]
    Roster(#[from] RosterError),
}

/// Knows whose user a subject is.
pub struct Accounts {
    onboarding: Arc<Onboarding>,
    roster: Arc<Roster>,
    policy: Arc<dyn PolicySource>,
    /// What the platform said of linked users, and when.
    asked: Cache<(Issuer, Subject), (Account, Timestamp)>,
}

impl Accounts {
    pub fn new(
        onboarding: Arc<Onboarding>,
        roster: Arc<Roster>,
        policy: Arc<dyn PolicySource>,
    ) -> Self {
        Self {
            onboarding,
            roster,
            policy,
            asked: Cache::new(MOST),
        }
    }

    /// Whose user they are. The link is looked up each time; the platform is asked as often as for
    /// sessions.
    pub async fn of(
        &self,
        identity: &VerifiedIdentity,
        now: Timestamp,
    ) -> Result<ClientAccount, NotKnown> {
        if is_by_itself(identity) {
            return Ok(ClientAccount::None);
        }
        if self.roster.blocks(identity).await? {
            return Ok(ClientAccount::Closed);
        }
        let Some(linked) = self.onboarding.linked_account(identity).await? else {
            return Ok(ClientAccount::None);
        };
        let who = (identity.issuer().clone(), identity.subject().clone());
        let before = self.asked.get(&who);
        let before = before.filter(|(account, _)| account.user == linked.user);
        let every = self.policy.current().onboarding.recheck_account_every;
        if let Some((account, at)) = &before
            && now >= *at
            && now.since(*at) < every
        {
            return Ok(ClientAccount::Live(account.clone()));
        }
        let standing = self.onboarding.account_standing((&who.0, &who.1), &linked);
        match standing.await {
            Ok(AccountStanding::Active(account)) => {
                self.asked.insert(who, (account.clone(), now));
                Ok(ClientAccount::Live(account))
            }
            Ok(AccountStanding::Disabled | AccountStanding::Gone) => {
                self.asked.invalidate(&who);
                Ok(ClientAccount::Closed)
            }
            // While the platform does not answer, those whom it has let in stay in.
            Err(error) => match before {
                Some((account, _)) => Ok(ClientAccount::Live(account)),
                None => Err(error.into()),
            },
        }
    }
}

/// Whether a program acts for itself and for no user: then its subject is its client id (RFC 9068,
/// section 2.2), and an account of that name is somebody else's.
fn is_by_itself(identity: &VerifiedIdentity) -> bool {
    identity.program() == Some(identity.subject().as_str())
}
