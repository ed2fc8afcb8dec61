//! How far applicants come: started, address proven, submitted, completed, failed, abandoned.
//!
//! Each stage is counted by account type and host and kept as an audit event. Hosts are those of
//! the installation, so that nothing a client sends makes a new series.

use std::time::Duration;

use async_trait::async_trait;

use super::store::Who;
use super::{Onboarding, RegistrationStoreDown};
use crate::audit::{Event, EventKind};
use crate::clock::Timestamp;
use crate::identity::{AccountType, VerifiedIdentity};
use crate::seal;

/// Whoever has not sent the form by then has abandoned it.
const PATIENCE: Duration = Duration::from_hours(24);

/// How far an applicant has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Came through an identity provider, or asked for a link.
    Started,
    /// Followed the mailed link.
    EmailProven,
    /// Sent the form.
    Submitted,
    /// Has an account.
    Completed,
    /// It failed for good.
    Failed,
    /// Came to the form and did not send it.
    Abandoned,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::EmailProven => "email_proven",
            Self::Submitted => "submitted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Keeps who came to the form and has not sent it.
#[async_trait]
pub trait FunnelStore: Send + Sync {
    /// Notes that an applicant came; `Ok(false)` when that is noted already.
    async fn came(
        &self,
        applicant: &str,
        host: &str,
        at: Timestamp,
    ) -> Result<bool, RegistrationStoreDown>;

    /// Forgets an applicant who went on.
    async fn went_on(&self, applicant: &str) -> Result<(), RegistrationStoreDown>;

    /// Forgets those who came before a moment, and gives the host of each, to one node alone.
    async fn left(&self, before: Timestamp) -> Result<Vec<String>, RegistrationStoreDown>;
}

impl Onboarding {
    /// A link was asked for. That is only counted: anybody can ask for any number.
    pub(super) fn link_asked_for(&self, host: &str) {
        self.count_stage(Stage::Started, None, host);
    }

    pub(super) fn count_stage(&self, stage: Stage, kind: Option<AccountType>, host: &str) {
        let host = if self.parts.origins.contains_key(host) {
            host
        } else {
            "other"
        };
        let kind = kind.map_or("unknown", AccountType::as_str);
        let metrics = &self.parts.metrics;
        metrics.count_registration(stage.as_str(), kind, host);
    }

    /// An applicant is shown the form; the first time counts.
    pub(super) async fn came_to_the_form(&self, identity: &VerifiedIdentity, host: &str) {
        let who = self.who(identity);
        let now = self.parts.clock.now();
        match self.parts.funnel.came(&applicant(&who), host, now).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return log_down(&error),
        }
        let (stage, kind) = if identity.is_by_mail() {
            (Stage::EmailProven, EventKind::EmailProven)
        } else {
            (Stage::Started, EventKind::RegistrationStarted)
        };
        self.count_stage(stage, None, host);
        let mut event = self.event(kind, &who);
        event.host = Some(host.to_owned());
        self.keep(event).await;
    }

    /// An applicant has sent the form.
    pub(super) async fn went_on(&self, who: &Who) {
        if let Err(error) = self.parts.funnel.went_on(&applicant(who)).await {
            log_down(&error);
        }
    }

    /// Counts those who came to the form a day ago and never sent it.
    pub async fn sweep_funnel(&self) {
        let now = self.parts.clock.now();
        if let Err(error) = self.parts.proofs.forget_before(now.minus(PATIENCE)).await {
            return log_down(&error);
        }
        let left = match self.parts.funnel.left(now.minus(PATIENCE)).await {
            Ok(left) => left,
            Err(error) => return log_down(&error),
        };
        for host in left {
            self.count_stage(Stage::Abandoned, None, &host);
            let mut event = Event::new(now, EventKind::RegistrationAbandoned);
            event.host = Some(host);
            self.keep(event).await;
        }
    }
}

fn applicant(who: &Who) -> String {
    let parts = [
        who.platform.as_str(),
        who.issuer.as_str(),
        who.subject.as_str(),
    ];
    let lengths = parts.iter().map(|part| format!("{}:{part}", part.len()));
    seal::digest(lengths.collect::<String>().as_bytes())
}

fn log_down(error: &RegistrationStoreDown) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, "an applicant's progress could not be counted");
}
