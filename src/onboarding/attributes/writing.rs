//! Brings what is due to the platform, under a lease, and keeps what was written.

use std::time::Duration;

use serde_json::json;

use super::due::{Due, Written};
use crate::audit::{Event, EventKind};
use crate::identity::{Account, Issuer, Subject};
use crate::onboarding::attribute_store::{KeptAttributes, NewAttributes, Taken, UserKey};
use crate::onboarding::store::Lease;
use crate::onboarding::{Onboarding, RegistrationStoreDown, fault_point};
use crate::platform::{PlatformError, ProfileChange};
use crate::telemetry::with_causes;

/// How long one try may take.
const TRY_WITHIN: Duration = Duration::from_secs(15);
/// How long a sign-in stays with it, its turn included.
const STAYS_FOR: Duration = Duration::from_secs(30);
/// How long a lease lasts: a try is long over when somebody else takes over.
const LEASE: Duration = Duration::from_secs(45);
/// How often it is looked whether somebody else is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often newer sign-ins are followed in a row.
const TRIES: usize = 5;

/// Why what is due was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    /// Somebody else is writing.
    #[error("somebody else is writing")]
    Held,
    /// What is due cannot be opened.
    #[error("no key in force opens what is due")]
    Sealed,
    /// The platform does not answer in time.
    #[error("the platform does not answer in time")]
    Late,
    /// The platform does not do it.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] RegistrationStoreDown),
}

impl NotWritten {
    /// Whether another try can help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Platform(error) => error.is_passing(),
            Self::Held | Self::Sealed | Self::Late | Self::Store(_) => true,
        }
    }
}

impl Onboarding {
    /// Writes what is due at a sign-in, when it is its turn. What fails is left to the outbox.
    pub(super) async fn write_now(&self, of: &UserKey, by: &(Issuer, Subject)) {
        let in_turn = async {
            loop {
                match self.write_due(of).await {
                    Err(NotWritten::Held) => tokio::time::sleep(LOOK_EVERY).await,
                    outcome => return outcome,
                }
            }
        };
        let outcome = tokio::time::timeout(STAYS_FOR, in_turn).await;
        if let Err(error) = outcome.unwrap_or(Err(NotWritten::Held)) {
            let reason = with_causes(&error);
            self.not_written("written yet", &error);
            self.note_attributes(
                of,
                by,
                EventKind::AttributesNotWritten,
                json!({ "reason": reason }),
            )
            .await;
        }
    }

    /// Writes what is due, and what becomes due meanwhile.
    pub(super) async fn write_due(&self, of: &UserKey) -> Result<(), NotWritten> {
        for _ in 0..TRIES {
            let now = self.parts.clock.now();
            let lease = Lease {
                owner: self.parts.node.new_lease(),
                until: now.plus(LEASE),
            };
            let kept = match self.parts.attributes.take(of, &lease, now).await? {
                Taken::Nothing => return Ok(()),
                Taken::Held => return Err(NotWritten::Held),
                Taken::Mine(kept) => kept,
            };
            let outcome = self.write_under(of, &lease, &kept).await;
            if !matches!(outcome, Ok(true)) {
                self.parts.attributes.give_back(of, &lease).await?;
            }
            outcome?;
        }
        Err(NotWritten::Held)
    }

    /// Writes and keeps what was written; `false` where it has changed meanwhile.
    async fn write_under(
        &self,
        of: &UserKey,
        lease: &Lease,
        kept: &KeptAttributes,
    ) -> Result<bool, NotWritten> {
        let (mut written, due) = self.opened(of, kept);
        let mut due = due.ok_or(NotWritten::Sealed)?;
        let whole = due.clone();
        let carried = self.carry_out(of, &mut due, &mut written);
        let outcome = match tokio::time::timeout(TRY_WITHIN, carried).await {
            Ok(outcome) => outcome.map_err(NotWritten::from),
            Err(_) => Err(NotWritten::Late),
        };
        fault_point::reach("attributes", "written");
        let rest = (!due.is_done()).then(|| self.sealed(of, &due));
        let new = NewAttributes {
            revision: kept.revision,
            written: &self.sealed(of, &written),
            due: rest.as_deref(),
        };
        if !self.parts.attributes.wrote(of, lease, &new).await? {
            return outcome.map(|()| false);
        }
        fault_point::reach("attributes", "recorded");
        self.note_written(of, &whole, &due).await;
        outcome.map(|()| true)
    }

    /// Roles first, and each by itself: what the platform refuses does not hold up the rest.
    async fn carry_out(
        &self,
        of: &UserKey,
        due: &mut Due,
        written: &mut Written,
    ) -> Result<(), PlatformError> {
        let platform = &self.parts.platform;
        // What was due may have waited for days; a rule that is gone neither gives nor takes.
        let policy = self.parts.policy.current();
        let declared = &policy.onboarding.attributes.roles;
        due.roles
            .retain(|role, _| declared.iter().any(|one| one.role == *role));
        let change = due.role_change();
        let mut roles = Ok(());
        if !change.is_empty() {
            match platform.update_roles(&of.user, &change).await {
                Ok(done) => {
                    warn_unless(done);
                    written.roles_written(due);
                    due.roles.clear();
                }
                Err(error) => roles = Err(error),
            }
        }
        if !due.values.is_empty() {
            let known = if due.asks_first() {
                platform.profile(&of.user).await?
            } else {
                None
            };
            let change = due.profile_change(known.as_ref());
            if change != ProfileChange::default() {
                warn_unless(platform.update_profile(&of.user, &change).await?);
            }
            written.values_written(due);
            due.values.clear();
        }
        roles
    }

    /// Keeps what was written of what was due, by name.
    async fn note_written(&self, of: &UserKey, whole: &Due, rest: &Due) {
        let done = whole.without(rest);
        if done.is_done() {
            return;
        }
        self.parts.metrics.attributes.count("written");
        let fields: Vec<&String> = done.values.keys().collect();
        let roles = done.role_change();
        let detail = json!({ "fields": fields, "given": roles.give, "taken": roles.take });
        self.note_attributes(of, &whole.by, EventKind::AttributesWritten, detail)
            .await;
    }

    async fn note_attributes(
        &self,
        of: &UserKey,
        by: &(Issuer, Subject),
        kind: EventKind,
        detail: serde_json::Value,
    ) {
        let mut event = Event::new(self.parts.clock.now(), kind);
        event.who = Some(by.clone());
        event.account = Some(Account {
            platform: of.platform.clone(),
            user: of.user.clone(),
            customer: None,
            account_type: None,
        });
        event.detail = detail;
        self.keep(event).await;
    }
}

fn warn_unless(done: bool) {
    if !done {
        tracing::warn!("the platform has no such user, or no place for what claims say");
    }
}
