//! The metrics of the data plane, looked up once so that no request waits for a lock.

use std::sync::Arc;
use std::time::Duration;

use super::context::Outcome;
use crate::telemetry::metrics::{Counter, Durations, Gauge, Metrics, RequestLabels, VerdictLabels};

/// Status classes by their first digit; the first is for requests that got no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of the data plane.
#[derive(Debug)]
pub(super) struct Counters {
    /// Of each site, and of requests for none.
    sites: Vec<OfSite>,
    astray: OfSite,
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
    pub(super) streams_cut: Counter,
}

/// The metrics of the hosts of one platform, by what became of a request.
#[derive(Debug)]
struct OfSite {
    outcomes: Vec<OfOutcome>,
    upstream_seconds: Durations,
}

#[derive(Debug)]
struct OfOutcome {
    classes: [Counter; CLASSES.len()],
    seconds: Durations,
}

/// A finished request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// The place of its host's site, where it has one.
    pub(super) site: Option<usize>,
    pub(super) outcome: Outcome,
    /// 0 where there was no answer.
    pub(super) status: u16,
    pub(super) took: Duration,
    /// How long the upstream took, where it answered.
    pub(super) upstream: Option<Duration>,
}

impl Counters {
    /// Looks them up, for the sites and as a whole.
    pub(super) fn of<'a>(
        metrics: &'a Metrics,
        sites: impl IntoIterator<Item = &'a Metrics>,
    ) -> Self {
        Self {
            sites: sites.into_iter().map(OfSite::of).collect(),
            astray: OfSite::of(metrics),
            in_flight: metrics.in_flight.clone(),
            connections: metrics.connections.clone(),
            connections_refused: metrics.connections_refused.clone(),
            streams_cut: metrics.streams_cut.clone(),
        }
    }

    /// Counts a finished request.
    pub(super) fn count(&self, finished: Finished) {
        let site = finished.site.and_then(|place| self.sites.get(place));
        let site = site.unwrap_or(&self.astray);
        if let Some(time) = finished.upstream {
            site.upstream_seconds.observe(time);
        }
        let place = (Outcome::ALL.iter()).position(|own| *own == finished.outcome);
        let Some(of) = place.and_then(|place| site.outcomes.get(place)) else {
            return;
        };
        of.seconds.observe(finished.took);
        let class = usize::from(finished.status / 100).min(CLASSES.len() - 1);
        if let Some(counter) = of.classes.get(class) {
            counter.inc();
        }
    }
}

impl OfSite {
    fn of(metrics: &Metrics) -> Self {
        let platform = metrics.platform();
        let of_outcome = |outcome: Outcome| {
            let verdict = outcome.as_str();
            let counter = |status| {
                let labels = RequestLabels {
                    verdict,
                    status,
                    platform: Arc::clone(platform),
                };
                metrics.requests.get_or_create_owned(&labels)
            };
            let seconds = VerdictLabels {
                verdict,
                platform: Arc::clone(platform),
            };
            OfOutcome {
                classes: CLASSES.map(counter),
                seconds: metrics.request_seconds.get_or_create_owned(&seconds),
            }
        };
        Self {
            outcomes: Outcome::ALL.map(of_outcome).into(),
            upstream_seconds: metrics.upstream_seconds(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::render;

    #[test]
    fn a_finished_request_shows_in_the_metrics() {
        let metrics = Metrics::default();
        let registry = metrics.registry();
        let main = metrics.of_platform("main");
        let counters = Counters::of(&metrics, [&main]);
        let forwarded = Finished {
            site: Some(0),
            outcome: Outcome::Forward,
            status: 204,
            took: Duration::from_millis(3),
            upstream: Some(Duration::from_millis(2)),
        };
        counters.count(forwarded);
        counters.count(Finished {
            site: None,
            outcome: Outcome::Malformed,
            status: 0,
            upstream: None,
            ..forwarded
        });
        let text = render(&registry);
        for line in [
            "vestibule_requests_total{verdict=\"forward\",status=\"2xx\",platform=\"main\"} 1",
            "vestibule_requests_total{verdict=\"malformed\",status=\"none\",platform=\"\"} 1",
            "vestibule_request_seconds_bucket{le=\"0.005\",verdict=\"forward\",platform=\"main\"} 1",
            "vestibule_upstream_seconds_count{platform=\"main\"} 1",
            "vestibule_upstream_seconds_count{platform=\"\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
