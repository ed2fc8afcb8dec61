//! A span: a piece of work with a beginning, an end, and what is to be known of it.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use opentelemetry::trace::{FutureExt as _, Status, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue, Value};

use super::{Step, TRACING, context};

/// A span; it ends when the last copy of it is dropped.
#[derive(Debug, Clone)]
pub struct Span(Context);

/// The name of a trace, as it is written: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceName(TraceId);

impl std::fmt::Display for TraceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Span {
    pub(super) fn new(context: Context) -> Self {
        Self(context)
    }

    /// Whether it is told to the collector; what nobody will see need not be found out.
    pub fn is_kept(&self) -> bool {
        self.0.span().is_recording()
    }

    /// The trace that it is of.
    pub fn trace(&self) -> TraceName {
        TraceName(self.0.span().span_context().trace_id())
    }

    /// Gives it the name that it is listed under.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        self.0.span().update_name(name);
    }

    /// Says something about it, in the words of OpenTelemetry's semantic conventions where there
    /// are any.
    pub fn says(&self, key: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(key, value));
    }

    /// It did not do what it is for.
    pub fn failed(&self) {
        self.0.span().set_status(Status::error(""));
    }

    /// Begins a step of it; none while it is not kept.
    pub fn step(&self, name: impl Into<Cow<'static, str>>, step: Step) -> Option<Span> {
        let tracing = TRACING.get()?;
        self.is_kept()
            .then(|| tracing.begin(name.into(), step.kind(), &self.0))
    }

    /// Does work with it as the current span.
    pub async fn around<F: Future>(self, work: F) -> F::Output {
        work.with_context(self.0).await
    }

    /// The fields that tell whoever is asked next of it.
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        context::fields(self.0.span().span_context())
    }
}
