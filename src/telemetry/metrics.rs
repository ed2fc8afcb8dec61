//! Prometheus metrics: names are part of the interface, see `docs/operating.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::{EncodeLabelSet, text};
pub use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::upstreams::UpstreamMetrics;

/// Labels of `vestibule_requests_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// What was decided: `forward`, `log_in`, `challenge`, `onboard`, `forbid`, `refuse`,
    /// `slow_down`, `page`, `redirect`, `malformed`.
    pub verdict: &'static str,
    /// `1xx` to `5xx`.
    pub status: &'static str,
}

/// Labels of counters that tell outcomes apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// The outcome, one of a closed set.
    pub outcome: &'static str,
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
}

/// Labels of what is delivered: letters and webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// `letter`, `webhook` or `attributes`.
    pub kind: &'static str,
    /// `taken`, `not_taken`, `delivered`, `postponed`, `failed`; of those kept, `waiting` or
    /// `failed`.
    pub outcome: &'static str,
}

/// All metrics of a gateway; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Requests by verdict and status class.
    pub requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    /// Requests that are being answered.
    pub in_flight: Gauge<i64, AtomicI64>,
    /// Open client connections.
    pub connections: Gauge<i64, AtomicI64>,
    /// Connections refused by the guard.
    pub connections_refused: Counter<u64, AtomicU64>,
    /// Seconds until the upstream's response header.
    pub upstream_seconds: UpstreamSeconds,
    /// Draws that a limit refused: the limit's lane.
    pub rate_limited: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// 1 while limits are counted for all nodes in Redis; 0 while this node counts alone.
    pub cluster_limits: Gauge<i64, AtomicI64>,
    /// What Redis said to questions for cells: `granted`, `refused`, `unanswered`.
    pub limit_asks: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// Streams closed because their session ended.
    pub streams_cut: Counter<u64, AtomicU64>,
    /// Audit events by kind: `logged_in`, `registration_completed` and so on.
    pub events: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// What happened to letters and webhooks.
    pub deliveries: Family<DeliveryLabels, Counter<u64, AtomicU64>>,
    /// Letters and webhooks that are kept, of all nodes.
    pub deliveries_kept: Family<DeliveryLabels, Gauge<i64, AtomicI64>>,
    /// How far applicants come.
    pub registrations: Family<RegistrationLabels, Counter<u64, AtomicU64>>,
    /// What the operator's hook answered: `continue`, `set`, `refuse`, `block`, `failed`.
    pub hooks: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// What became of checks for robots: `solved`, `unchecked`, `doubtful`, `wrong`, `spent`,
    /// `down`, `held_back`.
    pub captchas: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// Writes of what claims say about users: `written`, `failed`.
    pub attributes: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// Servers of upstreams.
    pub upstreams: UpstreamMetrics,
    /// Policy loads: `loaded`, `refused`.
    pub policy_loads: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    /// Reloads of certificates: `loaded`, `refused`.
    pub certificate_loads: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
}

/// The histogram of upstream times, 1 ms to 30 s.
#[derive(Debug, Clone)]
pub struct UpstreamSeconds(pub Histogram);

impl Default for UpstreamSeconds {
    fn default() -> Self {
        Self(Histogram::new([
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ]))
    }
}

impl Metrics {
    /// Counts one outcome of a family.
    pub fn count(family: &Family<OutcomeLabels, Counter<u64, AtomicU64>>, outcome: &'static str) {
        family.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts how far an applicant came.
    pub fn count_registration(&self, stage: &'static str, account_type: &'static str, host: &str) {
        let labels = RegistrationLabels {
            stage,
            account_type,
            host: host.to_owned(),
        };
        self.registrations.get_or_create(&labels).inc();
    }

    /// Counts what the operator's hook answered.
    pub fn count_hook(&self, outcome: &'static str) {
        Self::count(&self.hooks, outcome);
    }

    /// Counts what came of writing what claims say about a user.
    pub fn count_attributes(&self, outcome: &'static str) {
        Self::count(&self.attributes, outcome);
    }

    /// Counts what happened to a letter or webhook.
    pub fn count_delivery(&self, kind: &'static str, outcome: &'static str) {
        let labels = DeliveryLabels { kind, outcome };
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Shows how many letters or webhooks wait, and how many were given up.
    pub fn show_deliveries(&self, kind: &'static str, waiting: i64, failed: i64) {
        for (outcome, count) in [("waiting", waiting), ("failed", failed)] {
            let labels = DeliveryLabels { kind, outcome };
            self.deliveries_kept.get_or_create(&labels).set(count);
        }
    }

    /// Makes the registry that `/metrics` shows.
    pub fn registry(&self) -> Arc<Registry> {
        let mut registry = Registry::with_prefix("vestibule");
        let of = &mut registry;
        of.register(
            "requests",
            "Requests by verdict and status class",
            self.requests.clone(),
        );
        of.register(
            "requests_in_flight",
            "Requests being answered",
            self.in_flight.clone(),
        );
        of.register(
            "connections",
            "Open client connections",
            self.connections.clone(),
        );
        of.register(
            "connections_refused",
            "Connections refused by the guard",
            self.connections_refused.clone(),
        );
        of.register_with_unit(
            "upstream",
            "Time until the upstream's response header",
            Unit::Seconds,
            self.upstream_seconds.0.clone(),
        );
        of.register(
            "rate_limited",
            "Requests that a limit refused, by lane",
            self.rate_limited.clone(),
        );
        of.register(
            "cluster_limits",
            "1 while limits are counted for all nodes in Redis",
            self.cluster_limits.clone(),
        );
        of.register(
            "limit_asks",
            "Questions to Redis about limits, by its answer",
            self.limit_asks.clone(),
        );
        of.register(
            "streams_cut",
            "Streams closed because their session ended",
            self.streams_cut.clone(),
        );
        of.register("events", "Audit events by kind", self.events.clone());
        self.upstreams.register(of);
        self.register_onboarding(of);
        of.register(
            "policy_loads",
            "Policy loads by outcome",
            self.policy_loads.clone(),
        );
        of.register(
            "certificate_loads",
            "Reloads of certificates by outcome",
            self.certificate_loads.clone(),
        );
        Arc::new(registry)
    }

    /// What is about people on their way to an account.
    fn register_onboarding(&self, of: &mut Registry) {
        of.register(
            "deliveries",
            "What happened to letters and webhooks",
            self.deliveries.clone(),
        );
        of.register(
            "deliveries_kept",
            "Letters and webhooks in the outbox, of all nodes",
            self.deliveries_kept.clone(),
        );
        of.register(
            "registrations",
            "How far applicants come, by account type and host",
            self.registrations.clone(),
        );
        of.register(
            "attributes",
            "Writes of what claims say about users",
            self.attributes.clone(),
        );
        of.register(
            "hooks",
            "Answers of the operator's hook",
            self.hooks.clone(),
        );
        of.register(
            "captchas",
            "Forms of strangers by the check for robots",
            self.captchas.clone(),
        );
    }
}

/// The `OpenMetrics` text of a registry.
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let outcome = text::encode(&mut text, registry);
    debug_assert!(outcome.is_ok());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_shows() {
        let metrics = Metrics::default();
        let registry = metrics.registry();
        metrics
            .requests
            .get_or_create(&RequestLabels {
                verdict: "forward",
                status: "2xx",
            })
            .inc();
        Metrics::count(&metrics.events, "logged_in");
        metrics.upstream_seconds.0.observe(0.02);
        let text = render(&registry);
        for line in [
            "vestibule_requests_total{verdict=\"forward\",status=\"2xx\"} 1",
            "vestibule_events_total{outcome=\"logged_in\"} 1",
            "vestibule_upstream_seconds_bucket{le=\"0.025\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
