//! Metrics of upstream servers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of what is counted for each server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServerLabels {
    /// The `name` of the upstream.
    pub upstream: String,
    /// Address and port.
    pub server: String,
}

/// Labels of what is counted for each upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    /// Its `name`.
    upstream: String,
}

/// Metrics of upstream servers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UpstreamMetrics {
    up: Family<ServerLabels, Gauge>,
    set_aside: Family<ServerLabels, Counter>,
    sent_again: Family<UpstreamLabels, Counter>,
}

impl UpstreamMetrics {
    /// Shows whether checks find a server well.
    pub fn show(&self, server: &ServerLabels, is_up: bool) {
        self.up.get_or_create(server).set(i64::from(is_up));
    }

    /// Shows nothing more of a server that is gone.
    pub fn forget(&self, server: &ServerLabels) {
        self.up.remove(server);
    }

    /// Counts that a server is passed over for a while.
    pub fn set_aside(&self, server: &ServerLabels) {
        self.set_aside.get_or_create(server).inc();
    }

    /// Counts a request that was sent a second time.
    pub fn sent_again(&self, upstream: &str) {
        let upstream = upstream.to_owned();
        self.sent_again
            .get_or_create(&UpstreamLabels { upstream })
            .inc();
    }

    /// Makes them seen.
    pub(super) fn register(&self, of: &mut Registry) {
        of.register(
            "upstream_up",
            "Whether health checks find a server of an upstream well",
            self.up.clone(),
        );
        of.register(
            "upstream_set_aside",
            "Times that a server was passed over for failed connections",
            self.set_aside.clone(),
        );
        of.register(
            "upstream_sent_again",
            "Requests sent a second time because the connection broke before an answer",
            self.sent_again.clone(),
        );
    }
}
