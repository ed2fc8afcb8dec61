//! What identity providers say about users is written to the platform at each sign-in, if it
//! changed.
//!
//! [`claimed`] judges claims by policy and [`due`] compares them with what was last written; both
//! are pure. What is due is kept before it is written, with a delivery of the outbox that sees to
//! it should this process not: [`writing`] brings it to the platform under a lease, so that the
//! newest sign-in wins on however many nodes. A login never fails because of any of this, and waits
//! for it only where roles change, and not for long.

mod carrier;
pub mod claimed;
mod due;
#[cfg(test)]
mod tests;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use carrier::AttributeCarrier;
use claimed::{Claimed, judge};
use due::{Due, Written};

use super::attribute_store::{KeptAttributes, NewAttributes, UserKey};
use super::{Onboarding, RegistrationStoreDown, fault_point};
use crate::clock::Timestamp;
use crate::identity::{Account, VerifiedIdentity};
use crate::policy::signup_form::FieldTarget;
use crate::seal::Purpose;

/// How long a login waits for roles to change.
const ROLES_WITHIN: Duration = Duration::from_secs(2);
/// How often it is tried to keep what is due, where others change it at the same time.
const TRIES: usize = 5;

/// How somebody came to be signed in.
#[derive(Debug, Clone, Copy)]
pub enum Arrival<'a> {
    /// By a login.
    SignedIn,
    /// From a registration or a proof on this host.
    Registered {
        /// The host.
        host: &'a str,
        /// When they signed in: claims are as old as that.
        signed_in_at: Timestamp,
    },
}

impl Onboarding {
    /// Writes what claims say about the user of an account, if that changed. Never fails: what
    /// cannot be written now is written later, and says so in log, audit and metrics.
    pub async fn follow_claims(
        self: &Arc<Self>,
        identity: &VerifiedIdentity,
        account: &Account,
        arrival: Arrival<'_>,
    ) {
        let policy = self.parts.policy.current();
        let claimed = Claimed::of(judge(identity, &policy.onboarding.attributes));
        if claimed == Claimed::default() {
            return;
        }
        let of = UserKey {
            platform: account.platform.clone(),
            user: account.user.clone(),
        };
        let kept = self.keep_due(&of, identity, (&claimed, arrival)).await;
        let due = match kept {
            Ok(Some(due)) => due,
            Ok(None) => return,
            Err(error) => return self.not_written("kept", &error),
        };
        fault_point::reach("attributes", "kept");
        let (onboarding, waits) = (Arc::clone(self), !due.roles.is_empty());
        let writing = tokio::spawn(async move { onboarding.write_now(&of, &due.by).await });
        if waits && tokio::time::timeout(ROLES_WITHIN, writing).await.is_err() {
            tracing::warn!("roles follow claims after the login: the platform is slow");
        }
    }

    /// Keeps what is due of a sign-in; none where nothing is, or a later sign-in has said so.
    async fn keep_due(
        &self,
        of: &UserKey,
        identity: &VerifiedIdentity,
        (claimed, arrival): (&Claimed, Arrival<'_>),
    ) -> Result<Option<Due>, RegistrationStoreDown> {
        let at = match arrival {
            Arrival::SignedIn => self.parts.clock.now(),
            Arrival::Registered { signed_in_at, .. } => signed_in_at,
        };
        let given = self.given_in_form(of, identity, arrival).await?;
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        for _ in 0..TRIES {
            let kept = self.parts.attributes.arrived(of, at).await?;
            if kept.signed_in_at > at {
                return Ok(None);
            }
            let (before, due_before) = self.opened(of, &kept);
            let mut written = before.clone();
            written.take_for_written(claimed, &given);
            let by = (identity.issuer().clone(), identity.subject().clone());
            let due = Due::of(claimed, by, &written, due_before.clone());
            if Due::is_same(due.as_ref(), due_before.as_ref()) && written == before {
                return Ok(due);
            }
            if self.put_due(of, &kept, (&written, due.as_ref())).await? {
                return Ok(due);
            }
        }
        tracing::warn!("claims are written by another sign-in of the same user");
        Ok(None)
    }

    async fn put_due(
        &self,
        of: &UserKey,
        kept: &KeptAttributes,
        (written, due): (&Written, Option<&Due>),
    ) -> Result<bool, RegistrationStoreDown> {
        let sealed = due.map(|due| self.sealed(of, due));
        let new = NewAttributes {
            revision: kept.revision,
            written: &self.sealed(of, written),
            due: sealed.as_deref(),
        };
        let delivery = due.map(|_| carrier::delivery(&self.parts.outbox, of));
        let is_put = self
            .parts
            .attributes
            .put(of, &new, delivery.as_ref())
            .await?;
        if let Some(delivery) = delivery.filter(|_| is_put) {
            self.parts.outbox.put_in(&delivery);
        }
        Ok(is_put)
    }

    /// What somebody who was registered a moment ago gave in the form: they have seen what the
    /// claims say, and their word counts until a claim changes.
    async fn given_in_form(
        &self,
        of: &UserKey,
        identity: &VerifiedIdentity,
        arrival: Arrival<'_>,
    ) -> Result<Vec<String>, RegistrationStoreDown> {
        let Arrival::Registered { host, .. } = arrival else {
            return Ok(Vec::new());
        };
        let newest = self.parts.store.newest(&self.who(identity)).await?;
        let made = newest.and_then(|registration| registration.made_user());
        if made.as_ref() != Some(&of.user) {
            return Ok(Vec::new());
        }
        let policy = self.parts.policy.current();
        let fields = policy.forms.of(host).fields.iter();
        let asked = fields.filter(|field| field.goes_to == FieldTarget::User);
        let asked = asked.map(|field| field.name.clone());
        Ok(asked.chain(["name".to_owned()]).collect())
    }

    /// What is kept, opened. What no key opens is nothing: it is then written again.
    fn opened(&self, of: &UserKey, kept: &KeptAttributes) -> (Written, Option<Due>) {
        let written = kept.written.as_deref().and_then(|text| self.open(of, text));
        let due = kept.due.as_deref().and_then(|text| self.open(of, text));
        (written.unwrap_or_default(), due)
    }

    fn open<T: DeserializeOwned>(&self, of: &UserKey, sealed: &str) -> Option<T> {
        let keys = &self.parts.keys;
        let plain = keys.open_text(Purpose::Attributes, &context(of), sealed);
        serde_json::from_slice(&plain.ok()?).ok()
    }

    fn sealed(&self, of: &UserKey, value: &impl Serialize) -> String {
        // Texts and words, which always serialise.
        let plain = serde_json::to_vec(value).unwrap_or_default();
        let keys = &self.parts.keys;
        keys.seal_text(Purpose::Attributes, &context(of), &plain)
    }

    fn not_written(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        self.parts.metrics.attributes.count("failed");
        tracing::error!(error, "what claims say about a user was not {what}");
    }
}

fn context(of: &UserKey) -> Vec<u8> {
    [of.platform.as_str(), of.user.as_str()]
        .join("\0")
        .into_bytes()
}
