//! All that the decision may look at, and what pages learn about a client.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::path::CanonicalPath;
use crate::clock::Timestamp;
use crate::policy::Access;

/// What kind of answer a request expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A person's browser goes to a page: GET or HEAD, `Sec-Fetch-Mode: navigate` with
    /// `Sec-Fetch-Dest: document` (or no such header and `Accept` has `text/html`), and no
    /// prefetch or prerender.
    Page,
    /// A WebSocket handshake.
    WebSocket,
    /// A browser asks what another origin may send (CORS preflight): `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. It never carries a session.
    Preflight,
    /// A call by gRPC, whose errors are told in its own way.
    Grpc,
    /// Everything else.
    Api,
}

impl RequestKind {
    /// The kind under a rule with this access: where programs are expected, nobody looks at a page.
    #[must_use]
    pub fn under(self, access: Access) -> Self {
        match (self, access) {
            (Self::Page, Access::Api) => Self::Api,
            _ => self,
        }
    }
}

/// All that the decision may look at.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    /// The configured host that the request is for, lower case, without port.
    pub host: Arc<str>,
    /// That host's origin, as configured: `https://app.example.com`.
    pub own_origin: Arc<str>,
    /// The method, as sent.
    pub method: http::Method,
    /// The one canonical path; policy and upstream get the same octets.
    pub path: CanonicalPath,
    /// The query without the `?`, as sent.
    pub query: Option<String>,
    /// What kind of answer is expected.
    pub kind: RequestKind,
    /// The client: the peer, or what a trusted proxy says.
    pub client: IpAddr,
    /// When it came.
    pub at: Timestamp,
    /// The `Origin` header, if any.
    pub origin: Option<String>,
}

impl RequestFacts {
    /// What CEL sees as `request`.
    pub fn as_value(&self) -> Value {
        json!({
            "host": &*self.host,
            "method": self.method.as_str(),
            "path": self.path.as_str(),
            "client": self.client.to_string(),
        })
    }
}

/// What the gateway's own pages learn about a request; put into the request's extensions by the
/// door through which it came.
#[derive(Debug, Clone)]
pub struct ClientContext {
    /// The configured host, lower case, without port.
    pub host: String,
    /// That host's origin, as configured.
    pub own_origin: String,
    /// The client: the peer, or what a trusted proxy says.
    pub client: IpAddr,
    /// What kind of answer is expected.
    pub kind: RequestKind,
    /// The reference of the request: also in its log line, audit events and error pages.
    pub reference: String,
    /// A coarse word for the device, by [`super::device_word`].
    pub device: String,
}
