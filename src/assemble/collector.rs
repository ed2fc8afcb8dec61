//! Posts traces to their collector by the outgoing client that everything uses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use super::AssemblyProblem;
use crate::outbound::{AnswerLimits, Outbound, OutboundError};
use crate::telemetry::traces::{self, TraceSettings};

const LIMITS: AnswerLimits = AnswerLimits {
    time: Duration::from_secs(5),
    size: 64 * 1024,
};

/// Turns traces on, where they go anywhere. To be called on the runtime that sends them.
pub fn start_traces(settings: Option<&TraceSettings>) -> Result<(), AssemblyProblem> {
    let Some(settings) = settings else {
        return Ok(());
    };
    let collector = Collector {
        outbound: Outbound::trusting(&settings.roots)?.speaking_plain_http(settings.plain_http),
        runtime: Handle::current(),
        is_down: AtomicBool::new(false),
    };
    tracing::info!(endpoint = %settings.endpoint, sample = settings.sample, "traces are on");
    Ok(traces::start(settings, collector)?)
}

/// The collector; whoever calls it is a thread of the exporter's, outside of any runtime.
#[derive(Debug)]
struct Collector {
    outbound: Outbound,
    runtime: Handle,
    is_down: AtomicBool,
}

impl Collector {
    /// An outage is told once, and so is its end.
    fn tell(&self, outcome: &Result<Response<Vec<u8>>, OutboundError>) {
        let problem = match outcome {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(crate::telemetry::with_causes(error)),
        };
        let was_down = self.is_down.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(cause) if !was_down => {
                tracing::warn!(cause, "the collector does not take traces; they are lost");
            }
            None if was_down => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (outbound, request) = (self.outbound.clone(), request.map(|body| body.to_vec()));
        let sending = async move { outbound.call(request, LIMITS).await };
        let outcome = self.runtime.spawn(sending).await?;
        self.tell(&outcome);
        Ok(outcome?.map(Bytes::from))
    }
}
