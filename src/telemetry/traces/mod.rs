//! Traces: what a request waited for, told to a collector in OTLP over HTTP.
//!
//! Off by default. While they are off nothing is measured, and asking whether they are on costs one
//! read. A request is one [`Span`]; the steps below it find it as the span that is current where
//! they run. Spans tell no person, token, query or body: what the access log may say, they may.

mod context;
mod span;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::trace::{
    FutureExt as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _, WithContext,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub use context::FIELDS;
pub use span::{Span, TraceName};

/// How many spans wait to be sent; while the collector is slower than that, new ones are dropped.
const MOST_WAITING: usize = 4096;

/// How long spans wait at most before they are sent.
const SENT_EVERY: Duration = Duration::from_secs(1);

/// How long one sending may take, and how long the last one may at the end.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// What is told to whom.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// Where spans are posted to.
    pub endpoint: Url,
    /// Whether that may be plain HTTP to another machine.
    pub plain_http: bool,
    /// What is sent along, such as a token.
    pub headers: Vec<(String, SecretString)>,
    /// Authorities of the collector's certificate besides the public ones, PEM.
    pub roots: Vec<u8>,
    /// Which share of the traces that begin here is kept, 0 to 1.
    pub sample: f64,
    /// What the gateway calls itself.
    pub service: String,
    /// Whether anybody's trace is carried on; else only that of the configured proxies.
    pub from_anyone: bool,
}

/// Traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TraceProblem {
    /// The exporter does not take its settings.
    #[error("the exporter of traces cannot be set up")]
    Exporter(#[from] ExporterBuildError),
}

/// What a step is to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its own work.
    Inside,
    /// It waits for somebody else.
    Elsewhere,
}

impl Step {
    fn kind(self) -> SpanKind {
        match self {
            Self::Inside => SpanKind::Internal,
            Self::Elsewhere => SpanKind::Client,
        }
    }
}

struct Tracing {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    from_anyone: bool,
}

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// Turns traces on for the whole process, once; a second call changes nothing.
pub fn start(
    settings: &TraceSettings,
    client: impl HttpClient + 'static,
) -> Result<(), TraceProblem> {
    let headers = settings.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.as_str())
        .with_headers(headers.collect::<HashMap<_, _>>())
        .with_timeout(SENT_WITHIN)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_WAITING)
        .with_scheduled_delay(SENT_EVERY);
    let sending = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder_empty()
        .with_service_name(settings.service.clone())
        .with_attribute(version);
    let begun_here = Sampler::TraceIdRatioBased(settings.sample);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(sending.build())
        .with_sampler(Sampler::ParentBased(Box::new(begun_here)))
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("vestibule");
    // Whoever was first stays.
    let _ = TRACING.set(Tracing {
        provider,
        tracer,
        from_anyone: settings.from_anyone,
    });
    Ok(())
}

/// Sends what is left, and stops. Waits for the collector, though not for long.
pub fn stop() {
    if let Some(tracing) = TRACING.get()
        && let Err(error) = tracing.provider.shutdown_with_timeout(SENT_WITHIN)
    {
        tracing::warn!(%error, "the last traces were not sent");
    }
}

/// Begins the span of a request; none while traces are off. The caller's trace is carried on if
/// its word counts.
pub fn of_request(headers: &HeaderMap, is_from_proxy: bool) -> Option<Span> {
    let tracing = TRACING.get()?;
    let caller = (tracing.from_anyone || is_from_proxy).then(|| context::read(headers));
    let before = Context::new();
    let before = match caller.flatten() {
        Some(caller) => before.with_remote_span_context(caller),
        None => before,
    };
    Some(tracing.begin("request".into(), SpanKind::Server, &before))
}

/// Does work that no request waits for as a trace of its own.
pub async fn of_work<F: Future>(name: &'static str, work: F) -> F::Output {
    let Some(tracing) = TRACING.get() else {
        return work.await;
    };
    let span = tracing.begin(name.into(), SpanKind::Internal, &Context::new());
    span.around(work).await
}

/// Begins a step of the current span; it ends when it is dropped. None while nothing is kept.
pub fn step(name: impl Into<Cow<'static, str>>, step: Step) -> Option<Span> {
    let tracing = TRACING.get()?;
    let here = Context::current();
    here.span()
        .is_recording()
        .then(|| tracing.begin(name.into(), step.kind(), &here))
}

/// Does work as a step of the current span; steps of the work are below it.
pub async fn during<F: Future>(name: &'static str, kind: Step, work: F) -> F::Output {
    match step(name, kind) {
        Some(span) => span.around(work).await,
        None => work.await,
    }
}

/// The same work, which belongs to the current span wherever it is done.
pub fn carried<F: Future>(work: F) -> WithContext<F> {
    work.with_current_context()
}

impl Tracing {
    fn begin(&self, name: Cow<'static, str>, kind: SpanKind, before: &Context) -> Span {
        let builder = self.tracer.span_builder(name).with_kind(kind);
        let span = self.tracer.build_with_context(builder, before);
        Span::new(before.with_span(span))
    }
}
