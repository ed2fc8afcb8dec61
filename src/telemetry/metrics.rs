//! Prometheus metrics: names are part of the interface, see `docs/metrics.md`.

use std::path::Path;
use std::sync::Arc;

use prometheus_client::encoding::text;
pub use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use super::durations::Durations;
use super::labels::{
    BuildLabels, CertificateLabels, CheckLabels, ClockLabels, DeliveryLabels, PlatformLabels,
    PolicyLabels, RegistrationLabels,
};
pub use super::labels::{Outcomes, RequestLabels, VerdictLabels};
use super::readiness::Finding;
use super::upstreams::UpstreamMetrics;
use crate::clock::Timestamp;

type Counters<L> = Family<L, Counter>;
type Gauges<L> = Family<L, Gauge>;

/// All metrics of a gateway, and of which platform it counts; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    platform: Arc<str>,
    /// Requests by verdict and status class.
    pub requests: Counters<RequestLabels>,
    /// From a request's complete header to its end.
    pub request_seconds: Family<VerdictLabels, Durations>,
    /// Requests that are being answered.
    pub in_flight: Gauge,
    /// Open client connections.
    pub connections: Gauge,
    /// Connections refused by the guard.
    pub connections_refused: Counter,
    /// Until the upstream's response header.
    upstream_seconds: Family<PlatformLabels, Durations>,
    /// Draws that a limit refused: which limit.
    pub rate_limited: Outcomes,
    cluster_limits: Gauges<PlatformLabels>,
    /// What Redis said to questions for cells: `granted`, `refused`, `unanswered`.
    pub limit_asks: Outcomes,
    /// Streams closed because their session ended.
    pub streams_cut: Counter,
    /// Questions to the store of sessions: `found`, `none`, `down`.
    pub session_lookups: Outcomes,
    session_seconds: Family<PlatformLabels, Durations>,
    sessions_cached: Gauges<PlatformLabels>,
    sessions_covered: Gauges<PlatformLabels>,
    /// Audit events by kind: `logged_in`, `registration_completed` and so on.
    pub events: Outcomes,
    deliveries: Counters<DeliveryLabels>,
    deliveries_kept: Gauges<DeliveryLabels>,
    registrations: Counters<RegistrationLabels>,
    /// What the operator's hook answered: `continue`, `set`, `refuse`, `block`, `failed`.
    pub hooks: Outcomes,
    /// What became of checks for robots: `solved`, `unchecked`, `doubtful`, `wrong`, `spent`,
    /// `down`, `held_back`.
    pub captchas: Outcomes,
    /// Writes of what claims say about users: `written`, `failed`.
    pub attributes: Outcomes,
    /// Servers of upstreams.
    pub upstreams: UpstreamMetrics,
    policy_loads: Outcomes,
    /// Reloads of certificates: `loaded`, `refused`.
    pub certificate_loads: Outcomes,
    certificate_ends: Gauges<CertificateLabels>,
    policies: Gauges<PolicyLabels>,
    policy_is_current: Gauges<PlatformLabels>,
    checks: Gauges<CheckLabels>,
    clock_skew: Gauges<ClockLabels>,
}

impl Metrics {
    /// The same metrics, counting for a platform.
    #[must_use]
    pub fn of_platform(&self, platform: &str) -> Self {
        let platform: Arc<str> = platform.into();
        let all = self.clone();
        Self {
            rate_limited: all.rate_limited.of(&platform),
            limit_asks: all.limit_asks.of(&platform),
            session_lookups: all.session_lookups.of(&platform),
            events: all.events.of(&platform),
            hooks: all.hooks.of(&platform),
            captchas: all.captchas.of(&platform),
            attributes: all.attributes.of(&platform),
            policy_loads: all.policy_loads.of(&platform),
            platform,
            ..all
        }
    }

    /// For which platform it counts; empty where for none.
    pub fn platform(&self) -> &Arc<str> {
        &self.platform
    }

    fn own(&self) -> PlatformLabels {
        PlatformLabels {
            platform: Arc::clone(&self.platform),
        }
    }

    /// How long the upstreams take.
    pub fn upstream_seconds(&self) -> Durations {
        self.upstream_seconds.get_or_create_owned(&self.own())
    }

    /// How long the store of sessions takes.
    pub fn session_seconds(&self) -> Durations {
        self.session_seconds.get_or_create_owned(&self.own())
    }

    /// Shows how many sessions are in memory, and whether their ends are told at once.
    pub fn show_sessions(&self, cached: i64, is_covered: bool) {
        let own = self.own();
        self.sessions_cached.get_or_create(&own).set(cached);
        self.sessions_covered
            .get_or_create(&own)
            .set(is_covered.into());
    }

    /// 1 while limits are counted for all nodes in Redis; 0 while this node counts alone.
    pub fn cluster_limits(&self) -> Gauge {
        self.cluster_limits.get_or_create_owned(&self.own())
    }

    /// A policy is in force, in place of the one of that version.
    pub fn policy_is_loaded(&self, version: &str, instead_of: Option<&str>) {
        self.policy_loads.count("loaded");
        let labels = |version: &str| PolicyLabels {
            version: version.to_owned(),
            platform: Arc::clone(&self.platform),
        };
        if let Some(old) = instead_of {
            self.policies.remove(&labels(old));
        }
        self.policies.get_or_create(&labels(version)).set(1);
        self.policy_is_current.get_or_create(&self.own()).set(1);
    }

    /// The policy files are broken; what was in force still is.
    pub fn policy_is_refused(&self) {
        self.policy_loads.count("refused");
        self.policy_is_current.get_or_create(&self.own()).set(0);
    }

    /// Shows until when a certificate of the listener is good, by its file.
    pub fn show_certificate(&self, file: &Path, end: Timestamp) {
        let labels = CertificateLabels {
            file: file.display().to_string(),
        };
        let shown = self.certificate_ends.get_or_create(&labels);
        shown.set(end.seconds());
    }

    /// Shows what readiness found.
    pub fn show_checks(&self, findings: &[Finding]) {
        for finding in findings {
            let labels = CheckLabels {
                check: finding.name.clone(),
                vital: finding.vital,
            };
            self.checks.get_or_create(&labels).set(finding.ok.into());
            if let Some(seconds) = finding.clock_skew {
                let check = finding.name.clone();
                let skew = self.clock_skew.get_or_create_owned(&ClockLabels { check });
                skew.set(seconds);
            }
        }
    }

    /// Counts how far an applicant came.
    pub fn count_registration(&self, stage: &'static str, account_type: &'static str, host: &str) {
        let labels = RegistrationLabels {
            stage,
            account_type,
            host: host.to_owned(),
            platform: Arc::clone(&self.platform),
        };
        self.registrations.get_or_create(&labels).inc();
    }

    /// Counts what happened to a letter or webhook.
    pub fn count_delivery(&self, kind: &'static str, outcome: &'static str) {
        let labels = self.delivery(kind, outcome);
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Shows how many letters or webhooks wait, and how many were given up.
    pub fn show_deliveries(&self, kind: &'static str, waiting: i64, failed: i64) {
        for (outcome, count) in [("waiting", waiting), ("failed", failed)] {
            let labels = self.delivery(kind, outcome);
            self.deliveries_kept.get_or_create(&labels).set(count);
        }
    }

    fn delivery(&self, kind: &'static str, outcome: &'static str) -> DeliveryLabels {
        DeliveryLabels {
            kind,
            outcome,
            platform: Arc::clone(&self.platform),
        }
    }

    /// Makes the registry that `/metrics` shows.
    pub fn registry(&self) -> Arc<Registry> {
        let mut registry = Registry::with_prefix("vestibule");
        self.register_traffic(&mut registry);
        self.register_sessions(&mut registry);
        self.register_onboarding(&mut registry);
        self.register_state(&mut registry);
        Arc::new(registry)
    }

    fn register_traffic(&self, of: &mut Registry) {
        let help = "Requests by verdict and status class";
        of.register("requests", help, self.requests.clone());
        let help = "From a request's complete header to its end";
        of.register_with_unit("request", help, Unit::Seconds, self.request_seconds.clone());
        let help = "Requests being answered";
        of.register("requests_in_flight", help, self.in_flight.clone());
        let help = "Open client connections";
        of.register("connections", help, self.connections.clone());
        let help = "Connections refused by the guard";
        of.register(
            "connections_refused",
            help,
            self.connections_refused.clone(),
        );
        let help = "Time until the upstream's response header";
        let seconds = self.upstream_seconds.clone();
        of.register_with_unit("upstream", help, Unit::Seconds, seconds);
        let help = "Requests that a limit refused, by which limit";
        of.register("rate_limited", help, self.rate_limited.family.clone());
        let help = "Whether limits are counted for all nodes, in Redis";
        of.register("cluster_limits", help, self.cluster_limits.clone());
        let help = "Questions to Redis about limits, by its answer";
        of.register("limit_asks", help, self.limit_asks.family.clone());
        self.upstreams.register(of);
        let help = "Streams closed because their session ended";
        of.register("streams_cut", help, self.streams_cut.clone());
    }

    fn register_sessions(&self, of: &mut Registry) {
        let help = "Questions to the store of sessions, by what it answered";
        of.register("session_lookups", help, self.session_lookups.family.clone());
        let help = "Time until the store of sessions answered";
        let seconds = self.session_seconds.clone();
        of.register_with_unit("session_store", help, Unit::Seconds, seconds);
        let help = "Sessions in this node's memory";
        of.register("sessions_cached", help, self.sessions_cached.clone());
        let help = "Whether the end of a session is told to this node at once";
        of.register("sessions_push_up", help, self.sessions_covered.clone());
    }

    /// What is about people on their way to an account.
    fn register_onboarding(&self, of: &mut Registry) {
        let help = "Audit events by kind";
        of.register("events", help, self.events.family.clone());
        let help = "What happened to letters and webhooks";
        of.register("deliveries", help, self.deliveries.clone());
        let help = "Letters and webhooks in the outbox, of all nodes";
        of.register("deliveries_kept", help, self.deliveries_kept.clone());
        let help = "How far applicants come, by account type and host";
        of.register("registrations", help, self.registrations.clone());
        let help = "Writes of what claims say about users";
        of.register("attributes", help, self.attributes.family.clone());
        let help = "Answers of the operator's hook";
        of.register("hooks", help, self.hooks.family.clone());
        let help = "Forms of strangers by the check for robots";
        of.register("captchas", help, self.captchas.family.clone());
    }

    fn register_state(&self, of: &mut Registry) {
        let help = "Policy loads by outcome";
        of.register("policy_loads", help, self.policy_loads.family.clone());
        let help = "Reloads of certificates by outcome";
        let loads = self.certificate_loads.family.clone();
        of.register("certificate_loads", help, loads);
        let help = "Until when a certificate of the listener is good, since 1970";
        let ends = self.certificate_ends.clone();
        of.register_with_unit("certificate_expires_timestamp", help, Unit::Seconds, ends);
        let help = "The policy in force, by the digest of its files";
        of.register("policy", help, self.policies.clone());
        let help = "Whether the policy in force is what the files say";
        of.register("policy_current", help, self.policy_is_current.clone());
        let help = "Whether what readiness looks at works";
        of.register("check_ok", help, self.checks.clone());
        let help = "How far this machine's clock is ahead of an issuer's";
        let skew = self.clock_skew.clone();
        of.register_with_unit("clock_skew", help, Unit::Seconds, skew);
        let version = env!("CARGO_PKG_VERSION");
        of.register("build", "The program", Info::new(BuildLabels { version }));
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
    use std::collections::{BTreeMap, BTreeSet};

    use std::time::Duration;

    use super::*;
    use crate::telemetry::upstreams::ServerLabels;

    /// Every metric with a series.
    fn all() -> String {
        let gateway = Metrics::default();
        let metrics = gateway.of_platform("main");
        let platform = || Arc::clone(metrics.platform());
        let (verdict, status) = ("forward", "2xx");
        let labels = RequestLabels {
            verdict,
            status,
            platform: platform(),
        };
        gateway.requests.get_or_create(&labels).inc();
        let labels = VerdictLabels {
            verdict,
            platform: platform(),
        };
        let took = Duration::from_millis(20);
        gateway.request_seconds.get_or_create(&labels).observe(took);
        metrics.upstream_seconds().observe(took);
        metrics.session_seconds().observe(took);
        for outcomes in [
            &metrics.rate_limited,
            &metrics.limit_asks,
            &gateway.certificate_loads,
            &metrics.session_lookups,
            &metrics.events,
            &metrics.hooks,
            &metrics.captchas,
            &metrics.attributes,
        ] {
            outcomes.count("x");
        }
        metrics.show_sessions(7, true);
        metrics.cluster_limits().set(1);
        let server = ServerLabels {
            upstream: "main".to_owned(),
            server: "10.0.0.5:8080".to_owned(),
        };
        gateway.upstreams.show(&server, true);
        gateway.upstreams.set_aside(&server);
        gateway.upstreams.sent_again("main");
        metrics.policy_is_loaded("sha256:a", None);
        gateway.show_certificate(Path::new("tls.crt"), Timestamp::from_millis(1500));
        metrics.count_delivery("letter", "taken");
        metrics.show_deliveries("letter", 1, 0);
        metrics.count_registration("started", "unknown", "app.example.com");
        gateway.show_checks(&[Finding {
            name: "database".to_owned(),
            ok: true,
            reason: None,
            vital: true,
            clock_skew: Some(-3),
        }]);
        render(&gateway.registry())
    }

    #[test]
    fn what_was_counted_shows() {
        let text = all();
        for line in [
            "vestibule_requests_total{verdict=\"forward\",status=\"2xx\",platform=\"main\"} 1",
            "vestibule_events_total{outcome=\"x\",platform=\"main\"} 1",
            "vestibule_upstream_seconds_bucket{le=\"0.025\",platform=\"main\"} 1",
            "vestibule_sessions_cached{platform=\"main\"} 7",
            "vestibule_certificate_expires_timestamp_seconds{file=\"tls.crt\"} 1",
            "vestibule_check_ok{check=\"database\",vital=\"true\"} 1",
            "vestibule_clock_skew_seconds{check=\"database\"} -3",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn platforms_are_told_apart() {
        let gateway = Metrics::default();
        let [main, shop] = ["main", "shop"].map(|name| gateway.of_platform(name));
        main.show_deliveries("letter", 3, 0);
        shop.show_deliveries("letter", 0, 0);
        shop.events.count("logged_in");
        let text = render(&gateway.registry());
        let waiting = |platform: &str| {
            let labels = format!("kind=\"letter\",outcome=\"waiting\",platform=\"{platform}\"");
            format!("vestibule_deliveries_kept{{{labels}}}")
        };
        assert!(text.contains(&format!("{} 3", waiting("main"))), "{text}");
        assert!(text.contains(&format!("{} 0", waiting("shop"))), "{text}");
        assert!(text.contains("{outcome=\"logged_in\",platform=\"shop\"} 1"));
    }

    #[test]
    fn one_policy_is_in_force_whatever_the_files_become() {
        let metrics = Metrics::default().of_platform("main");
        metrics.policy_is_loaded("one", None);
        metrics.policy_is_loaded("two", Some("one"));
        metrics.policy_is_refused();
        let text = render(&metrics.registry());
        assert!(text.contains("vestibule_policy{version=\"two\",platform=\"main\"} 1"));
        assert!(!text.contains("version=\"one\""), "{text}");
        assert!(text.contains("vestibule_policy_current{platform=\"main\"} 0"));
        metrics.policy_is_loaded("two", Some("two"));
        let text = render(&metrics.registry());
        assert!(text.contains("vestibule_policy{version=\"two\",platform=\"main\"} 1"));
        assert!(text.contains("vestibule_policy_current{platform=\"main\"} 1"));
    }

    /// Names with their labels: of counters with `_total`, of histograms without their endings.
    fn shown(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            let of = shown.entry(name.to_owned()).or_default();
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'));
            for label in labels.map_or("", |(labels, _)| labels).split("\",") {
                let label = label.split('=').next().unwrap();
                if !label.is_empty() && label != "le" {
                    of.insert(label.to_owned());
                }
            }
        }
        shown
    }

    /// The same of the page that operators read.
    fn documented() -> BTreeMap<String, BTreeSet<String>> {
        let page = include_str!("../../docs/metrics.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `vestibule_"));
        let row = |line: &str| {
            let mut cells = line.split('|').skip(1);
            let name = cells.next().unwrap().trim().trim_matches('`').to_owned();
            let labels = cells.nth(1).unwrap().split('`').skip(1).step_by(2);
            (name, labels.map(str::to_owned).collect())
        };
        rows.map(row).collect()
    }

    #[test]
    fn every_metric_is_documented_with_its_labels() {
        assert_eq!(shown(&all()), documented());
    }
}
