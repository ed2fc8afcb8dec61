//! A collector of traces, as a real server: it takes OTLP over HTTP (protobuf) and keeps every span.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle};

use super::wait_until_async;

/// One collector, gone with the value.
pub struct Collector {
    port: u16,
    desk: Arc<Desk>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    is_broken: AtomicBool,
    spans: Mutex<Vec<ToldSpan>>,
}

/// A span as it was told.
#[derive(Debug, Clone)]
pub struct ToldSpan {
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The span that it is a step of; empty where there is none.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    pub failed: bool,
    /// Nanoseconds.
    pub begin: u64,
    pub end: u64,
    /// What the teller calls itself.
    pub service: String,
    /// The `authorization` that came along.
    pub token: Option<String>,
}

impl ToldSpan {
    pub fn says(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let desk = Arc::<Desk>::default();
        let router = Router::new().route("/v1/traces", post(take));
        let router = router.with_state(Arc::clone(&desk));
        let listening = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a listener");
        });
        Self {
            port,
            desk,
            listening,
        }
    }

    /// `[traces]` with this collector, and further keys.
    pub fn table(&self, further: &str) -> String {
        let port = self.port;
        format!("[traces]\nendpoint = \"http://127.0.0.1:{port}/v1/traces\"\n{further}\n")
    }

    /// From here on it takes nothing, or takes everything again.
    pub fn is_broken(&self, is_broken: bool) {
        self.desk.is_broken.store(is_broken, Ordering::Relaxed);
    }

    /// All that was told so far.
    pub fn spans(&self) -> Vec<ToldSpan> {
        let spans = self.desk.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a span like this.
    pub async fn waits_for(&self, what: &str, is_it: impl Fn(&ToldSpan) -> bool) -> ToldSpan {
        wait_until_async(what, async || self.spans().iter().any(&is_it)).await;
        let found = self.spans().into_iter().find(is_it);
        found.expect("it was there a moment ago")
    }

    /// The steps of a span, in their order.
    pub fn steps_of(&self, span: &ToldSpan) -> Vec<ToldSpan> {
        let mut steps = self.spans();
        steps.retain(|step| step.parent == span.id);
        steps.sort_by_key(|step| step.begin);
        steps
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if desk.is_broken.load(Ordering::Relaxed) {
        return StatusCode::FORBIDDEN;
    }
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let told = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let token = headers.get("authorization");
    let token = token.map(|token| token.to_str().expect("text").to_owned());
    let mut spans = desk.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_service in told.resource_spans {
        let service = of_service.resource.map(|one| texts(one.attributes));
        let service = service.unwrap_or_default().remove("service.name");
        let all = of_service.scope_spans.into_iter().flat_map(|of| of.spans);
        spans.extend(all.map(|span| ToldSpan {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            attributes: texts(span.attributes),
            failed: span.status.is_some_and(|status| status.code == 2),
            begin: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            service: service.clone().unwrap_or_default(),
            token: token.clone(),
        }));
    }
    StatusCode::OK
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |one: KeyValue| {
        let value = match one.value?.value? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((one.key, value))
    };
    attributes.into_iter().filter_map(text).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
