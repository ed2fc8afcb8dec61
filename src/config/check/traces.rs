//! Checks where traces go.

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::platform::is_true;
use super::{Check, Sound};
use crate::config::file::{SecretReference, Traces};
use crate::operator_file::{At, Parsed};
use crate::outbound::is_secure;
use crate::telemetry::traces::TraceSettings;

/// One trace in ten: enough to see what is slow, and little to store.
const SAMPLE: f64 = 0.1;

impl Check<'_> {
    /// `Some(None)` where no traces are wanted.
    pub(super) fn traces(&mut self, traces: Option<&At<Traces>>) -> Sound<Option<TraceSettings>> {
        let Some(traces) = traces else {
            return Some(None);
        };
        let Traces {
            endpoint,
            plain_http,
            headers,
            ca,
            sample,
            service,
            from_anyone,
        } = &traces.value;
        let plain_http = is_true(plain_http.as_ref());
        let endpoint = self.collector(endpoint, plain_http);
        let headers: Vec<_> = (headers.iter())
            .map(|(name, value)| self.collector_field(name, value))
            .collect();
        let roots = self.further_roots(ca.as_ref());
        let sample = self.share(sample.as_ref());
        let service = service.as_ref();
        if let Some(empty) = service.filter(|name| name.value.trim().is_empty()) {
            let advice = "write a name, or leave it out";
            self.findings
                .error(&empty.span, "the name is empty", advice);
        }
        Some(Some(TraceSettings {
            endpoint: endpoint?,
            plain_http,
            headers: headers.into_iter().collect::<Option<_>>()?,
            roots: roots?,
            sample: sample?,
            service: service.map_or_else(|| "vestibule".to_owned(), |name| name.value.clone()),
            from_anyone: is_true(from_anyone.as_ref()),
        }))
    }

    fn collector(&mut self, written: &Parsed<Url>, plain_http: bool) -> Sound<Url> {
        let url = self.findings.take(written)?;
        let is_allowed = is_secure(&url) || (plain_http && url.scheme() == "http");
        let is_plain = url.username().is_empty() && url.password().is_none();
        let (message, advice) = if !is_allowed {
            (
                "traces would travel in the open",
                "write `https://…`; or, on a network of your own, add `plain_http = true`",
            )
        } else if !is_plain || url.query().is_some() || url.fragment().is_some() {
            (
                "this is not the address of a collector",
                "write it like `https://otel.example.com/v1/traces`; a token goes into `headers`",
            )
        } else if url.path() == "/" {
            (
                "the path is missing",
                "add `/v1/traces`, where collectors take traces",
            )
        } else {
            return Some(url);
        };
        self.findings.error(&written.span, message, advice);
        None
    }

    fn collector_field(
        &mut self,
        name: &str,
        value: &At<SecretReference>,
    ) -> Sound<(String, SecretString)> {
        let secret = self.secret(value, 1)?;
        let is_field = HeaderName::try_from(name).is_ok()
            && HeaderValue::try_from(secret.expose_secret()).is_ok();
        if !is_field {
            let message = format!("`{name}` with this value is no header field");
            let advice = "write it like `headers = { authorization = { file = \"otel-token\" } }`";
            self.findings.error(&value.span, message, advice);
            return None;
        }
        Some((name.to_owned(), secret))
    }

    fn share(&mut self, sample: Option<&At<f64>>) -> Sound<f64> {
        let Some(sample) = sample else {
            return Some(SAMPLE);
        };
        if (0.0..=1.0).contains(&sample.value) {
            return Some(sample.value);
        }
        let message = "a share is between 0 and 1";
        let advice = "write `1.0` to keep every trace, `0.01` to keep one in a hundred";
        self.findings.error(&sample.span, message, advice);
        None
    }
}
