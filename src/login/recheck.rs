//! Looks at the accounts in use now and then: whoever the platform has disabled or no longer has
//! is signed out, on every node.
//!
//! Nothing of this is on the way of a request: the sessions in this node's memory are looked
//! through beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Login;
use crate::audit::{Event, EventKind};
use crate::clock::Timestamp;
use crate::identity::{Account, Issuer, Subject, VerifiedIdentity};
use crate::onboarding::{AccountStanding, OnboardingError};
use crate::policy::PolicySource;
use crate::telemetry::with_causes;

/// The longest pause between two looks; a session in use stays in memory for a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

type Who = (Issuer, Subject);

impl Login {
    /// Looks for as long as the gateway runs. Never ends; to be spawned and aborted.
    pub async fn keep_checking_accounts(self: Arc<Self>, policy: Arc<dyn PolicySource>) {
        let mut checked = HashMap::new();
        loop {
            let every = policy.current().onboarding.recheck_account_every;
            tokio::time::sleep((every / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
            self.check_accounts(every, &mut checked).await;
        }
    }

    async fn check_accounts(&self, every: Duration, checked: &mut HashMap<Who, Timestamp>) {
        let now = self.parts.clock.now();
        checked.retain(|_, at| now.since(*at) < every);
        for session in self.parts.sessions.in_use() {
            let record = &session.record;
            let who = (
                record.identity.issuer().clone(),
                record.identity.subject().clone(),
            );
            let Some(account) = record.account() else {
                continue;
            };
            if now.since(record.created_at) < every || checked.contains_key(&who) {
                continue;
            }
            if self.check_account((&who, &record.identity), account).await {
                checked.insert(who, now);
            }
        }
    }

    /// Whether the platform answered; while it does not, sessions live on.
    async fn check_account(
        &self,
        (who, identity): (&Who, &VerifiedIdentity),
        account: &Account,
    ) -> bool {
        match self.parts.roster.blocks(identity).await {
            Ok(false) => {}
            Ok(true) => return self.sign_out(EventKind::Deactivated, who, account).await,
            Err(error) => {
                warn(
                    "whether a person is deactivated could not be checked",
                    &error,
                );
                return false;
            }
        }
        match self.why_out(who, account).await {
            Ok(None) => true,
            Ok(Some(kind)) => self.sign_out(kind, who, account).await,
            Err(error) => {
                warn("an account in use could not be checked again", &error);
                false
            }
        }
    }

    async fn why_out(
        &self,
        who: &Who,
        account: &Account,
    ) -> Result<Option<EventKind>, OnboardingError> {
        Ok(
            match self
                .parts
                .onboarding
                .account_standing((&who.0, &who.1), account)
                .await?
            {
                AccountStanding::Active(today) if today == *account => None,
                // Its sessions say what is no longer so; the next login says what is.
                AccountStanding::Active(_) => Some(EventKind::AccountChanged),
                AccountStanding::Disabled => Some(EventKind::AccountDisabled),
                AccountStanding::Gone => Some(EventKind::AccountGone),
            },
        )
    }

    async fn sign_out(&self, kind: EventKind, who: &Who, account: &Account) -> bool {
        let ended = self.parts.sessions.end_of(&who.0, &who.1, None).await;
        if let Err(error) = &ended {
            warn(
                "sessions of an account that is out could not be ended",
                error,
            );
            return false;
        }
        self.record_account_out(kind, who, account).await;
        true
    }

    async fn record_account_out(&self, kind: EventKind, who: &Who, account: &Account) {
        let mut event = Event::new(self.parts.clock.now(), kind);
        event.who = Some(who.clone());
        event.account = Some(account.clone());
        self.parts.audit.keep(event).await;
    }
}

fn warn(what: &str, error: &dyn std::error::Error) {
    tracing::warn!(error = with_causes(error), "{what}");
}
