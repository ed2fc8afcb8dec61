//! Events that are counted as well as kept, so that operators can alert on them.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Audit, Event};
use crate::database::DatabaseError;
use crate::telemetry::metrics::Metrics;

/// Counts each event by its kind and hands it on.
pub struct CountedAudit {
    inner: Arc<dyn Audit>,
    metrics: Metrics,
}

impl CountedAudit {
    /// Around another audit.
    pub fn new(inner: Arc<dyn Audit>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl Audit for CountedAudit {
    async fn record(&self, event: Event) -> Result<(), DatabaseError> {
        // What happened has happened, also where it cannot be kept.
        self.metrics.events.count(event.kind.as_str());
        self.inner.record(event).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventKind;
    use crate::clock::Timestamp;
    use crate::telemetry::metrics::render;

    struct Nowhere;

    #[async_trait]
    impl Audit for Nowhere {
        async fn record(&self, _: Event) -> Result<(), DatabaseError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_event_is_counted_by_its_kind() {
        let metrics = Metrics::default();
        let audit = CountedAudit::new(Arc::new(Nowhere), metrics.clone());
        for kind in [EventKind::LoggedIn, EventKind::LoggedIn, EventKind::Linked] {
            let event = Event::new(Timestamp::from_millis(0), kind);
            audit.record(event).await.unwrap();
        }
        let text = render(&metrics.registry());
        assert!(
            text.contains("vestibule_events_total{outcome=\"logged_in\",platform=\"\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("vestibule_events_total{outcome=\"linked\",platform=\"\"} 1"),
            "{text}"
        );
    }
}
