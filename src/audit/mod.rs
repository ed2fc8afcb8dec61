//! Events that last, in SQL: who logged in, was linked, registered, and what was made.

pub mod counted;
pub mod sql;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::identity::{Account, Issuer, Subject};
use crate::telemetry::with_causes;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A session began.
    LoggedIn,
    /// A login was refused.
    LoginRefused,
    /// A session was ended by its user.
    LoggedOut,
    /// An identity was linked to an account.
    Linked,
    /// A linked account is no longer on the platform.
    AccountGone,
    /// A linked account is disabled on the platform.
    AccountDisabled,
    /// A linked account belongs to another customer, or is of another type, than its session says.
    AccountChanged,
    /// A person was deactivated by their identity provider.
    Deactivated,
    /// A person was activated again.
    Reactivated,
    /// Somebody came to the form through an identity provider.
    RegistrationStarted,
    /// Somebody came to the form by a mailed link.
    EmailProven,
    /// Somebody came to the form and did not send it within a day.
    RegistrationAbandoned,
    /// A registration was submitted.
    RegistrationSubmitted,
    /// A provisioning step was carried out.
    StepDone,
    /// A provisioning step was undone.
    StepUndone,
    /// A registration was completed.
    RegistrationCompleted,
    /// A registration failed for good.
    RegistrationFailed,
    /// Somebody's word about a registration was given.
    RegistrationDecided,
    /// A partner code was not valid, or one too many.
    PartnerCodeWrong,
    /// Somebody was invited, or an invitation was taken back.
    Invitation,
    /// Proof of an existing account was asked for or given.
    Proof,
    /// Agreements were accepted by somebody who is signed in.
    AgreementsAccepted,
    /// Data was confirmed by somebody whom the back office made.
    CustomerVerified,
    /// What claims say about a user was written to the platform.
    AttributesWritten,
    /// What claims say about a user could not be written at the sign-in; it is tried again.
    AttributesNotWritten,
    /// An operator did something by the admin API.
    Operator,
}

impl EventKind {
    /// The word that is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::LoginRefused => "login_refused",
            Self::LoggedOut => "logged_out",
            Self::Linked => "linked",
            Self::AccountGone => "account_gone",
            Self::AccountDisabled => "account_disabled",
            Self::AccountChanged => "account_changed",
            Self::Deactivated => "deactivated",
            Self::Reactivated => "reactivated",
            Self::RegistrationStarted => "registration_started",
            Self::EmailProven => "email_proven",
            Self::RegistrationAbandoned => "registration_abandoned",
            Self::RegistrationSubmitted => "registration_submitted",
            Self::StepDone => "step_done",
            Self::StepUndone => "step_undone",
            Self::RegistrationCompleted => "registration_completed",
            Self::RegistrationFailed => "registration_failed",
            Self::RegistrationDecided => "registration_decided",
            Self::PartnerCodeWrong => "partner_code_wrong",
            Self::Invitation => "invitation",
            Self::Proof => "proof",
            Self::AgreementsAccepted => "agreements_accepted",
            Self::CustomerVerified => "customer_verified",
            Self::AttributesWritten => "attributes_written",
            Self::AttributesNotWritten => "attributes_not_written",
            Self::Operator => "operator",
        }
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whose identity.
    pub who: Option<(Issuer, Subject)>,
    /// Which account.
    pub account: Option<Account>,
    /// Which registration.
    pub registration: Option<String>,
    /// On which host.
    pub host: Option<String>,
    /// From where.
    pub client_address: Option<std::net::IpAddr>,
    /// The reference of the request, also in its log line and error page.
    pub reference: Option<String>,
    /// Further facts; never a token, password or code.
    pub detail: Value,
}

impl Event {
    /// An event without particulars.
    pub fn new(at: Timestamp, kind: EventKind) -> Self {
        Self {
            at,
            kind,
            who: None,
            account: None,
            registration: None,
            host: None,
            client_address: None,
            reference: None,
            detail: Value::Null,
        }
    }
}

/// Keeps events.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Keeps one event.
    async fn record(&self, event: Event) -> Result<(), DatabaseError>;

    /// Keeps one event of what has happened already, so that a failure is logged and no more.
    async fn keep(&self, event: Event) {
        let (kind, reference) = (event.kind.as_str(), event.reference.clone());
        if let Err(error) = self.record(event).await {
            let error = with_causes(&error);
            tracing::error!(kind, reference, error, "an audit event was not kept");
        }
    }
}
