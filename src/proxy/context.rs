//! What is remembered of one request while it is under way, and its access-log line at the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method};
use tokio::time::Instant;

use super::counters::{Counters, Finished};
use super::limits::Counted;
use super::settings::HostSettings;
use super::streams::RequestScope;
use super::upstream::{Server, Upstream, mix};
use crate::access::{Caller, Permit, RequestKind};
use crate::platform::tokens::HeldToken;
use crate::policy::Rule;
use crate::rate_limit::Network;
use crate::telemetry::traces::Span;

/// What became of a request, as metrics and the log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Forward,
    LogIn,
    Challenge,
    Onboard,
    DoFirst,
    StepUp,
    Forbid,
    Refuse,
    SlowDown,
    Page,
    Redirect,
    Malformed,
}

impl Outcome {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::Forward,
        Self::LogIn,
        Self::Challenge,
        Self::Onboard,
        Self::DoFirst,
        Self::StepUp,
        Self::Forbid,
        Self::Refuse,
        Self::SlowDown,
        Self::Page,
        Self::Redirect,
        Self::Malformed,
    ];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::LogIn => "log_in",
            Self::Challenge => "challenge",
            Self::Onboard => "onboard",
            Self::DoFirst => "do_first",
            Self::StepUp => "step_up",
            Self::Forbid => "forbid",
            Self::Refuse => "refuse",
            Self::SlowDown => "slow_down",
            Self::Page => "page",
            Self::Redirect => "redirect",
            Self::Malformed => "malformed",
        }
    }
}

/// The reference of a request: unique for this process and its start, told to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference(u64);

/// Makes references.
#[derive(Debug)]
pub(super) struct References {
    next: AtomicU64,
    start: u64,
}

impl References {
    /// References that begin at a random place.
    pub(super) fn from_start(start: u64) -> Self {
        Self {
            next: AtomicU64::new(0),
            start,
        }
    }

    /// The next one.
    pub(super) fn next(&self) -> Reference {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        // One step of SplitMix64: every count gives another number, and they do not look alike.
        let step = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Reference(mix(self.start.wrapping_add(step)))
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is remembered of one request.
pub(super) struct RequestContext {
    /// Where it came from.
    pub(super) scope: Option<Arc<RequestScope>>,
    /// Its reference.
    pub(super) reference: Reference,
    /// When its head was complete.
    pub(super) began: Instant,
    /// The client, once known.
    pub(super) client: Option<IpAddr>,
    /// The configured host, once known.
    pub(super) host: Option<Arc<HostSettings>>,
    /// What answer is expected, once known.
    pub(super) kind: RequestKind,
    /// The method.
    pub(super) method: Method,
    /// The path as sent, without query, of what is not forwarded.
    pub(super) path: String,
    /// The version of the policy that is asked, once it is.
    pub(super) policy: Option<Arc<str>>,
    /// The rule that decides, once it is chosen.
    pub(super) rule: Option<Arc<Rule>>,
    /// The proof that it may be forwarded.
    pub(super) permit: Option<Permit>,
    /// The limits that it drew from.
    pub(super) counted: Vec<Counted>,
    /// Where to.
    pub(super) upstream: Option<Arc<Upstream>>,
    /// The platform's own token for it, where the upstream wants one.
    pub(super) user_token: Option<Arc<HeldToken>>,
    /// The identity provider's, where the upstream wants that.
    pub(super) access_token: Option<Arc<HeldToken>>,
    /// Whether pages of ThingsBoard's read what is answered.
    pub(super) speaks_thingsboard: bool,
    /// What became of it.
    pub(super) outcome: Outcome,
    /// The status that the client got; 0 when it got none.
    pub(super) status: u16,
    /// Octets of the request body that have come so far, and how many may.
    pub(super) body_seen: u64,
    pub(super) body_limit: u64,
    /// How long the upstream may take to answer once it has all of the body, where the proxy library
    /// does not see to that.
    pub(super) answer_within: Option<Duration>,
    /// When it was sent to the upstream, and how long that took to answer.
    pub(super) asked_upstream: Option<Instant>,
    pub(super) upstream_time: Option<Duration>,
    /// Octets of the answer's body.
    pub(super) octets_sent: usize,
    /// The span of the request, and of what the upstream is asked; none while traces are off.
    pub(super) span: Option<Span>,
    pub(super) asking: Option<Span>,
    /// The server that it went to last.
    pub(super) server: Option<Arc<Server>>,
    /// Servers that could not be connected to, or broke off.
    pub(super) tried: Vec<Arc<Server>>,
    /// Whether it was sent a second time.
    pub(super) is_sent_again: bool,
    pub(super) counters: Arc<Counters>,
}

impl RequestContext {
    /// A request whose head is complete.
    pub(super) fn begin(reference: Reference, counters: Arc<Counters>) -> Self {
        counters.in_flight.inc();
        Self {
            scope: RequestScope::current(),
            reference,
            began: Instant::now(),
            client: None,
            host: None,
            kind: RequestKind::Api,
            method: Method::GET,
            path: String::new(),
            policy: None,
            rule: None,
            permit: None,
            counted: Vec::new(),
            upstream: None,
            user_token: None,
            access_token: None,
            speaks_thingsboard: false,
            outcome: Outcome::Malformed,
            status: 0,
            body_seen: 0,
            body_limit: u64::MAX,
            answer_within: None,
            asked_upstream: None,
            upstream_time: None,
            octets_sent: 0,
            span: None,
            asking: None,
            server: None,
            tried: Vec::new(),
            is_sent_again: false,
            counters,
        }
    }

    /// Whose caps the request draws from.
    pub(super) fn network(&self) -> Option<Network> {
        let connection = self.scope.as_ref()?.connection();
        connection.network_of(self.client.unwrap_or(connection.peer))
    }

    /// Whether it came in where everybody is sent on to https.
    pub(super) fn is_redirected(&self) -> bool {
        let scope = self.scope.as_ref();
        scope.is_some_and(|scope| scope.connection().is_redirected)
    }

    /// What answers say for their host to be asked by https only, where that is wanted; plain
    /// answers may not say it (RFC 6797, section 7.2).
    pub(super) fn transport_security(&self) -> Option<&HeaderValue> {
        let host = self.host.as_ref()?;
        let said = host.transport_security.as_ref();
        said.filter(|_| !self.is_redirected())
    }

    /// The server that it went to did not take the connection, or broke it off.
    pub(super) fn server_failed(&mut self) {
        if let (Some(upstream), Some(server)) = (&self.upstream, self.server.clone()) {
            upstream.failed(&server);
            self.tried.push(server);
            self.was_not_heard();
        }
    }

    /// The path without query, as decided on or, where nothing was permitted, as sent.
    pub(super) fn logged_path(&self) -> &str {
        let target = self
            .permit
            .as_ref()
            .map_or(self.path.as_str(), Permit::target);
        target.split('?').next().unwrap_or_default()
    }

    /// As what whoever asks was let pass.
    pub(super) fn caller(&self) -> &'static str {
        match self.permit.as_ref().map(Permit::who) {
            Some(Some(Caller::Session(_))) => "session",
            Some(Some(Caller::Client(_))) => "client",
            Some(None) => "anonymous",
            None => "-",
        }
    }

    fn log(&self) {
        tracing::info!(
            target: "access",
            method = self.method.as_str(),
            host = self.host.as_ref().map_or("-", |host| &*host.name),
            path = self.logged_path(),
            status = self.status,
            outcome = self.outcome.as_str(),
            rule = self.rule.as_ref().map_or("-", |rule| rule.name.as_str()),
            policy = self.policy.as_deref(),
            caller = self.caller(),
            client = self.client.map(tracing::field::display),
            octets = self.octets_sent,
            ms = millis(self.began.elapsed()),
            upstream_ms = self.upstream_time.map(millis),
            server = self.server.as_ref().map(|server| display(server.address)),
            trace = self.span.as_ref().map(|span| tracing::field::display(span.trace())),
            reference = %self.reference,
            "request"
        );
    }
}

/// A request ends when its context goes, also where the task was cut off or panicked.
impl Drop for RequestContext {
    fn drop(&mut self) {
        self.counters.in_flight.dec();
        self.counters.count(Finished {
            site: self.host.as_ref().map(|host| host.site),
            outcome: self.outcome,
            status: self.status,
            took: self.began.elapsed(),
            upstream: self.upstream_time,
        });
        self.log();
        self.end_trace();
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn references_do_not_repeat() {
        let references = References::from_start(7);
        let seen: HashSet<String> = (0..10_000).map(|_| references.next().to_string()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|reference| reference.len() == 16));
    }
}
