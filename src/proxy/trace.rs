//! A request as a span: what it was, what became of it, and what the upstream was asked.

use std::sync::Arc;

use http::HeaderMap;
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};

use super::context::{Outcome, RequestContext};
use super::upstream::Server;
use crate::telemetry::traces::{self, FIELDS, Span, Step};

impl RequestContext {
    /// Begins the trace, where traces are on.
    pub(super) fn begin_trace(&mut self, headers: &HeaderMap) {
        let scope = self.scope.as_ref();
        let is_from_proxy = scope.is_some_and(|scope| scope.connection().is_trusted);
        self.span = traces::of_request(headers, is_from_proxy);
    }

    /// This server is asked. What was asked before had no answer.
    pub(super) fn asks(&mut self, server: Arc<Server>) {
        let address = server.address;
        self.server = Some(server);
        let Some(span) = &self.span else { return };
        self.asking = span.step("upstream", Step::Elsewhere);
        if let Some(asking) = &self.asking {
            asking.says("server.address", address.ip().to_string());
            asking.says("server.port", i64::from(address.port()));
        }
    }

    /// The server that is asked could not be connected to, or broke off.
    pub(super) fn was_not_heard(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.failed();
        }
    }

    /// Tells the upstream of the trace; what the client said of one is gone.
    pub(super) fn tell_trace(&self, request: &mut RequestHeader) -> Result<()> {
        let Some(span) = self.asking.as_ref().or(self.span.as_ref()) else {
            return Ok(());
        };
        for name in &FIELDS {
            request.remove_header(name);
        }
        for (name, value) in span.fields() {
            request.insert_header(name, value)?;
        }
        Ok(())
    }

    /// The upstream's head is there; the rest of its answer is still to come.
    pub(super) fn was_answered(&self, response: &ResponseHeader) {
        if let Some(asking) = &self.asking {
            let status = response.status;
            asking.says("http.response.status_code", i64::from(status.as_u16()));
            if status.is_server_error() {
                asking.failed();
            }
        }
    }

    /// Says what the request was, and what became of it.
    pub(super) fn end_trace(&mut self) {
        self.asking = None;
        if let Some(span) = self.span.take().filter(Span::is_kept) {
            self.describe(&span);
        }
    }

    fn describe(&self, span: &Span) {
        let rule = self.rule.as_ref().map(|rule| &rule.name);
        let outcome = self.outcome.as_str();
        let place = rule.map_or(outcome, |rule| rule.as_str());
        span.rename(format!("{} {place}", self.method));
        span.says("http.request.method", self.method.to_string());
        span.says("url.path", self.logged_path().to_owned());
        if let Some(host) = &self.host {
            span.says("server.address", host.name.to_string());
            span.says(
                "url.scheme",
                host.scheme.to_str().unwrap_or_default().to_owned(),
            );
        }
        if let Some(client) = self.client {
            span.says("client.address", client.to_string());
        }
        if let Some(rule) = rule {
            span.says("vestibule.rule", rule.clone());
        }
        if let Some(policy) = &self.policy {
            span.says("vestibule.policy", policy.to_string());
        }
        span.says("vestibule.outcome", outcome);
        span.says("vestibule.caller", self.caller());
        span.says("vestibule.reference", self.reference.to_string());
        span.says("http.response.status_code", i64::from(self.status));
        if self.status >= 500 || (self.status == 0 && self.outcome == Outcome::Forward) {
            span.failed();
        }
    }
}
