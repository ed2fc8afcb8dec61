//! The metrics of the data plane, looked up once so that no request waits for a lock.

use super::context::Outcome;
use crate::telemetry::metrics::{Counter, Gauge, Histogram, Metrics, RequestLabels};

/// Status classes by their first digit; the first is for requests that got no answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of the data plane.
#[derive(Debug)]
pub(super) struct Counters {
    requests: Vec<[Counter; CLASSES.len()]>,
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
    pub(super) connections_refused: Counter,
    pub(super) upstream_seconds: Histogram,
    pub(super) streams_cut: Counter,
}

impl Counters {
    /// Looks them up.
    pub(super) fn of(metrics: &Metrics) -> Self {
        let of_outcome = |outcome: Outcome| {
            CLASSES.map(|status| {
                let labels = RequestLabels {
                    verdict: outcome.as_str(),
                    status,
                };
                metrics.requests.get_or_create(&labels).clone()
            })
        };
        Self {
            requests: Outcome::ALL.map(of_outcome).into(),
            in_flight: metrics.in_flight.clone(),
            connections: metrics.connections.clone(),
            connections_refused: metrics.connections_refused.clone(),
            upstream_seconds: metrics.upstream_seconds.0.clone(),
            streams_cut: metrics.streams_cut.clone(),
        }
    }

    /// Counts a finished request.
    pub(super) fn count(&self, outcome: Outcome, status: u16) {
        let class = usize::from(status / 100).min(CLASSES.len() - 1);
        let index = Outcome::ALL.iter().position(|own| *own == outcome);
        if let Some(counter) = index
            .and_then(|index| self.requests.get(index))
            .and_then(|row| row.get(class))
        {
            counter.inc();
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
        let counters = Counters::of(&metrics);
        counters.count(Outcome::Forward, 204);
        counters.count(Outcome::Malformed, 0);
        let text = render(&registry);
        for line in [
            "vestibule_requests_total{verdict=\"forward\",status=\"2xx\"} 1",
            "vestibule_requests_total{verdict=\"malformed\",status=\"none\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
