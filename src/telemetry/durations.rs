//! A histogram of durations that nobody waits for: adding to it takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper ends of the buckets, microseconds; beyond the last one there is one more bucket.
const ENDS: [u32; 17] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// A histogram of durations, half a millisecond to five minutes; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Durations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    buckets: [AtomicU64; ENDS.len() + 1],
    /// Of all of them, nanoseconds.
    sum: AtomicU64,
}

impl Durations {
    /// Adds one.
    pub fn observe(&self, span: Duration) {
        let place = ENDS.partition_point(|end| Duration::from_micros((*end).into()) < span);
        if let Some(bucket) = self.0.buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum.fetch_add(nanos, Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let ends = ENDS.iter().map(|end| f64::from(*end) / 1e6);
        let ends = ends.chain([f64::INFINITY]);
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<(f64, u64)> = ends.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.sum.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn each_span_is_in_all_buckets_that_reach_it() {
        let durations = Durations::default();
        for span in [500, 501, 1_000_000, 400_000_000] {
            durations.observe(Duration::from_micros(span));
        }
        let mut registry = Registry::default();
        registry.register("wait", "How long", durations);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "wait_sum 401.001001",
            "wait_count 4",
            "wait_bucket{le=\"0.0005\"} 1",
            "wait_bucket{le=\"0.001\"} 2",
            "wait_bucket{le=\"0.5\"} 2",
            "wait_bucket{le=\"1.0\"} 3",
            "wait_bucket{le=\"300.0\"} 3",
            "wait_bucket{le=\"+Inf\"} 4",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
