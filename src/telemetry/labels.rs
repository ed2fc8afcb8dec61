//! What tells the series of one metric apart.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Labels of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// What was decided: `forward`, `log_in`, `challenge`, `onboard`, `do_first`, `step_up`,
    /// `forbid`, `refuse`, `slow_down`, `page`, `redirect`, `malformed`.
    pub verdict: &'static str,
    /// `1xx` to `5xx`, or `none` where there was no answer.
    pub status: &'static str,
    /// The platform of the host; empty where the host is none of ours.
    pub platform: Arc<str>,
}

/// Labels of how long requests take.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerdictLabels {
    /// As in [`RequestLabels`].
    pub verdict: &'static str,
    /// As in [`RequestLabels`].
    pub platform: Arc<str>,
}

/// Labels of counters that tell outcomes apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// The outcome, one of a closed set.
    pub outcome: &'static str,
    /// Whose.
    pub platform: Arc<str>,
}

/// Labels of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CertificateLabels {
    /// The file that it is in.
    pub file: String,
}

/// Labels of what each platform has one of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlatformLabels {
    /// Whose.
    pub platform: Arc<str>,
}

/// Labels of how far applicants come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RegistrationLabels {
    /// `started`, `email_proven`, `submitted`, `completed`, `failed`, `abandoned`.
    pub stage: &'static str,
    /// `business`, `personal`, `partner`, or `unknown` before it is chosen.
    pub account_type: &'static str,
    /// One of the hosts that are served, or `other`.
    pub host: String,
    /// Whose.
    pub platform: Arc<str>,
}

/// Labels of what is delivered: letters and webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// `letter`, `webhook` or `attributes`.
    pub kind: &'static str,
    /// `taken`, `not_taken`, `delivered`, `postponed`, `failed`; of those kept, `waiting` or
    /// `failed`.
    pub outcome: &'static str,
    /// Whose.
    pub platform: Arc<str>,
}

/// Labels of the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PolicyLabels {
    /// The digest of its files.
    pub version: String,
    /// Whose.
    pub platform: Arc<str>,
}

/// Labels of what readiness looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CheckLabels {
    /// Its name in `/readyz`.
    pub check: String,
    /// Whether the gateway can serve nobody without it.
    pub vital: bool,
}

/// Labels of clocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClockLabels {
    /// Whose clock: its name in `/readyz`.
    pub check: String,
}

/// Labels of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BuildLabels {
    /// Its version.
    pub version: &'static str,
}

/// Counters of one metric by outcome, of one platform.
#[derive(Debug, Clone, Default)]
pub struct Outcomes {
    pub(super) family: Family<OutcomeLabels, Counter>,
    platform: Arc<str>,
}

impl Outcomes {
    /// The same metric, of another platform.
    pub(super) fn of(&self, platform: &Arc<str>) -> Self {
        Self {
            family: self.family.clone(),
            platform: Arc::clone(platform),
        }
    }

    /// The counter of an outcome.
    pub fn counter(&self, outcome: &'static str) -> Counter {
        let platform = Arc::clone(&self.platform);
        self.family
            .get_or_create_owned(&OutcomeLabels { outcome, platform })
    }

    /// Counts one.
    pub fn count(&self, outcome: &'static str) {
        self.counter(outcome).inc();
    }
}
