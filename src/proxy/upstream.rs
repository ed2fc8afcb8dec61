//! An upstream: its servers in turn, and what it is told and not told about a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::net::lookup_host;

use super::authorities::Authorities;
use super::settings::{HandoffSettings, HostSettings, UpstreamServer, UpstreamSettings};
use crate::access::Permit;
use crate::access::header_hygiene::{
    ForwardedCookies, ManagedNames, UnfitValue, claim_value, clean_response, forwarded_cookies,
};
use crate::clock::SharedClock;
use crate::platform::handoff::{Assertions, Bearer, CannotSign, FRESH_FOR};
use crate::session::cookie::SESSION_COOKIE;
use crate::session::{self, Assertion, HandoffFields, OpenSession};

/// How often server names are looked up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// How many fields a hand-off adds at most.
const MOST_HANDED_OFF: usize = 8;

/// What the assertion is called where the operator says nothing; clients never send it.
const ASSERTION: HeaderName = HeaderName::from_static("x-vestibule-assertion");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// An upstream: its servers, and what it is told.
pub(super) struct Upstream {
    settings: UpstreamSettings,
    handoff: Handoff,
    authorities: Option<Arc<CaType>>,
    peers: ArcSwap<Vec<HttpPeer>>,
    next: AtomicUsize,
}

impl Upstream {
    /// Servers that are not looked up yet.
    pub(super) fn new(settings: UpstreamSettings, handoff: Handoff) -> Self {
        let authorities = settings.authorities.as_ref();
        Self {
            authorities: authorities.map(Authorities::for_peers),
            settings,
            handoff,
            peers: ArcSwap::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// The next server in turn; none while no name could be looked up.
    pub(super) fn next_peer(&self, is_tunnel: bool) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut peer = Box::new(peers.get(turn.checked_rem(peers.len())?)?.clone());
        if is_tunnel {
            peer.options.read_timeout = Some(self.settings.tunnel_timeout);
            peer.options.write_timeout = Some(self.settings.tunnel_timeout);
        }
        Some(peer)
    }

    /// What it is told about requests.
    pub(super) fn handoff(&self) -> &Handoff {
        &self.handoff
    }

    /// How many servers there are.
    pub(super) fn count(&self) -> usize {
        self.peers.load().len()
    }

    /// Between two pieces of an upgraded connection.
    pub(super) fn tunnel_timeout(&self) -> Duration {
        self.settings.tunnel_timeout
    }

    /// Looks all names up; servers whose names cannot be found keep their last addresses.
    pub(super) async fn look_up(&self) {
        let mut peers = Vec::new();
        for server in &self.settings.servers {
            match lookup_host((server.host.as_str(), server.port)).await {
                Ok(addresses) => peers.extend(addresses.map(|address| self.peer(server, address))),
                Err(cause) => {
                    tracing::warn!(server = server.host, %cause, "an upstream cannot be looked up");
                }
            }
        }
        if !peers.is_empty() {
            self.peers.store(Arc::new(peers));
        }
    }

    /// Looks names up again and again, where there are any.
    pub(super) async fn keep_looking_up(&self) {
        let has_names = self
            .settings
            .servers
            .iter()
            .any(|server| server.host.parse::<std::net::IpAddr>().is_err());
        if !has_names {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_UP_EVERY).await;
            self.look_up().await;
        }
    }

    fn peer(&self, server: &UpstreamServer, address: SocketAddr) -> HttpPeer {
        // Without a name the library would not check the certificate at all.
        let name = server.tls_name.clone().unwrap_or_default();
        let mut peer = HttpPeer::new(address, server.tls_name.is_some(), name);
        let options = &mut peer.options;
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout);
        options.read_timeout = Some(self.settings.read_timeout);
        options.write_timeout = Some(self.settings.write_timeout);
        options.idle_timeout = Some(self.settings.idle_timeout);
        options.ca.clone_from(&self.authorities);
        peer
    }
}

/// What an upstream is told about a request.
pub(super) struct Handoff {
    names: HandoffSettings,
    /// Its number among so many upstreams.
    number: (usize, usize),
    managed: Arc<ManagedNames>,
    assertions: Option<Arc<Assertions>>,
    clock: SharedClock,
}

/// A request that cannot be told to the upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoffProblem {
    /// A claim is no field value.
    #[error("a claim cannot be handed to the upstream")]
    Claim(#[from] UnfitValue),
    /// A field or the target is refused by the library.
    #[error("the request cannot be written")]
    Unwritable(#[from] Box<pingora_core::Error>),
    /// Who it is cannot be proven to the upstream.
    #[error("the assertion cannot be made")]
    Unsigned(#[from] CannotSign),
}

/// What all hand-offs share.
#[derive(Clone)]
pub(super) struct Around {
    /// The names of fields that only the gateway may set, whichever upstream they are for.
    pub(super) managed: Arc<ManagedNames>,
    /// The time.
    pub(super) clock: SharedClock,
}

/// The names of fields by which any of these upstreams learns who somebody is.
pub(super) fn managed_names(upstreams: &[UpstreamSettings]) -> ManagedNames {
    let mut names = vec![ASSERTION];
    for upstream in upstreams {
        let HandoffSettings {
            user,
            customer,
            email,
            assertion,
        } = &upstream.handoff;
        names.extend([user, customer, email].map(HeaderName::clone));
        names.extend(assertion.as_ref().map(|one| one.header.clone()));
    }
    ManagedNames::new(names.iter().map(HeaderName::as_str))
}

impl Handoff {
    /// Fields by these names, and assertions where they are signed, for one of so many upstreams.
    pub(super) fn new(
        names: HandoffSettings,
        number: (usize, usize),
        around: Around,
        assertions: Option<Arc<Assertions>>,
    ) -> Self {
        Self {
            names,
            number,
            managed: around.managed,
            assertions,
            clock: around.clock,
        }
    }

    /// Makes a client's request the gateway's: exactly the permitted target, none of what only
    /// the gateway may say, then what it says. `client` is the client's address.
    ///
    /// The library's own header operations keep the spelling of every name in a second map, at
    /// several times the cost; names go upstream as the standard spells them, others in lower case.
    pub(super) fn apply(
        &self,
        request: &mut RequestHeader,
        permit: &Permit,
        host: &HostSettings,
        client: HeaderValue,
    ) -> Result<(), HandoffProblem> {
        if request.raw_path() != permit.target().as_bytes() {
            request.set_raw_path(permit.target().as_bytes())?;
        }
        let mut parts = Parts::from(std::mem::replace(request, blank()));
        let outcome = self.hand_off(&mut parts.headers, permit, host, client);
        *request = parts.into();
        outcome
    }

    fn hand_off(
        &self,
        headers: &mut HeaderMap,
        permit: &Permit,
        host: &HostSettings,
        client: HeaderValue,
    ) -> Result<(), HandoffProblem> {
        for name in self.managed.found_in(headers) {
            headers.remove(&name);
        }
        forward_cookies(headers)?;
        headers.reserve(MOST_HANDED_OFF);
        if headers.get(header::HOST) != Some(&host.authority) {
            headers.insert(header::HOST, host.authority.clone());
        }
        headers.insert(FORWARDED_FOR, client);
        headers.insert(FORWARDED_PROTO, host.scheme.clone());
        headers.insert(FORWARDED_HOST, host.authority.clone());
        if let Some(session) = permit.who() {
            self.introduce(session, headers, host)?;
        }
        Ok(())
    }

    /// Says who the user is.
    fn introduce(
        &self,
        session: &OpenSession,
        headers: &mut HeaderMap,
        host: &HostSettings,
    ) -> Result<(), HandoffProblem> {
        let (number, count) = self.number;
        let Some(kept) = session.handoffs.of(number, count) else {
            return Ok(());
        };
        let fields = if let Some(ready) = kept.fields.get() {
            ready
        } else {
            let made = self.fields_of(session)?;
            kept.fields.get_or_init(|| made)
        };
        for (name, value) in fields {
            headers.insert(name, value.clone());
        }
        if let Some(assertions) = &self.assertions
            && let Some(value) = self.assertion_of(session, kept, assertions, host)?
        {
            headers.insert(assertions.field(), value);
        }
        Ok(())
    }

    /// By which fields the upstream learns who a session's user is.
    fn fields_of(&self, session: &OpenSession) -> Result<HandoffFields, UnfitValue> {
        let Some(account) = session.record.account() else {
            return Ok(HandoffFields::new());
        };
        let mut fields = vec![(self.names.user.clone(), claim_value(account.user.as_str())?)];
        if let Some(customer) = &account.customer {
            fields.push((self.names.customer.clone(), claim_value(customer.as_str())?));
        }
        if let Some(email) = session.record.identity.text("email") {
            fields.push((self.names.email.clone(), claim_value(email)?));
        }
        Ok(fields)
    }

    /// What says and proves who a session's user is, made anew once a minute.
    fn assertion_of(
        &self,
        session: &OpenSession,
        kept: &session::Handoff,
        assertions: &Assertions,
        host: &HostSettings,
    ) -> Result<Option<HeaderValue>, HandoffProblem> {
        let Some(account) = session.record.account() else {
            return Ok(None);
        };
        let (now, newest) = (self.clock.now(), &kept.assertion);
        if let Some(fresh) = &*newest.load()
            && now.since(fresh.made_at) < FRESH_FOR
            && now >= fresh.made_at
        {
            return Ok(Some(fresh.value.clone()));
        }
        let bearer = Bearer {
            origin: &host.origin,
            account,
            identity: &session.record.identity,
        };
        let signed = assertions.sign(bearer, now)?;
        let value = HeaderValue::try_from(signed).map_err(|_| UnfitValue::Control)?;
        newest.store(Some(Arc::new(Assertion {
            made_at: now,
            value: value.clone(),
        })));
        Ok(Some(value))
    }
}

/// A request that is about to be replaced.
fn blank() -> RequestHeader {
    Request::new(()).into_parts().0.into()
}

fn forward_cookies(headers: &mut HeaderMap) -> Result<(), UnfitValue> {
    match forwarded_cookies(headers, SESSION_COOKIE.as_bytes()) {
        ForwardedCookies::AsTheyAre => {}
        ForwardedCookies::None => {
            headers.remove(header::COOKIE);
        }
        ForwardedCookies::Merged(octets) => {
            let value = HeaderValue::from_bytes(&octets).map_err(|_| UnfitValue::Control)?;
            headers.insert(header::COOKIE, value);
        }
    }
    Ok(())
}

/// Takes out of a response what ends at this hop, and cookies that carry the gateway's names.
pub(super) fn clean(response: &mut ResponseHeader) -> Result<(), Box<pingora_core::Error>> {
    let cleaning = clean_response(&response.headers, SESSION_COOKIE.as_bytes());
    for name in &cleaning.dropped {
        response.remove_header(name);
    }
    if let Some(cookies) = cleaning.cookies {
        response.remove_header(&header::SET_COOKIE);
        for cookie in cookies {
            response.append_header(header::SET_COOKIE, cookie)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{FrozenClock, Timestamp};
    use crate::identity::{
        Account, Cleared, CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId,
        VerifiedClaims, VerifiedIdentity,
    };
    use crate::platform::handoff::{AssertionAlgorithm, AssertionSettings};
    use crate::seal::{KeyRing, SealKey};
    use crate::session::{SessionKey, SessionRecord, Stage};

    fn session() -> OpenSession {
        let at = Timestamp::from_millis(0);
        let identity = VerifiedIdentity::from_verified(VerifiedClaims {
            provider: ProviderId::new("corp"),
            issuer: Issuer::new("https://idp.example"),
            subject: Subject::new("mario"),
            claims: serde_json::Map::new(),
            email_trusted: false,
            authenticated_at: at,
        });
        let record = SessionRecord {
            identity,
            stage: Stage::Live(Account {
                platform: PlatformId::new("main"),
                user: UserId::new("u-1"),
                customer: Some(CustomerId::new("c-1")),
                account_type: None,
            }),
            cleared: Cleared::default(),
            host: "app.example".to_owned(),
            created_at: at,
            ends_at: Timestamp::from_millis(i64::MAX),
        };
        OpenSession {
            key: SessionKey::from_store("key"),
            record: Arc::new(record),
            handoffs: Arc::default(),
        }
    }

    #[test]
    fn an_assertion_is_made_anew_once_a_minute() {
        let clock = Arc::new(FrozenClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let settings = AssertionSettings {
            header: ASSERTION,
            audience: "https://things.internal".to_owned(),
            algorithm: AssertionAlgorithm::Es256,
            valid_for: Duration::from_mins(5),
        };
        let ring = KeyRing::new(SealKey::random(), Vec::new());
        let assertions = Arc::new(Assertions::new(settings, &ring).unwrap());
        let around = Around {
            managed: Arc::new(managed_names(&[])),
            clock: Arc::clone(&clock) as _,
        };
        let signing = Some(Arc::clone(&assertions));
        let handoff = Handoff::new(HandoffSettings::default(), (0, 1), around, signing);
        let host = HostSettings::from_origin("https://app.example").unwrap();
        let (one, other) = (session(), session());
        let of = |session: &OpenSession| {
            let kept = session.handoffs.of(0, 1).unwrap();
            let made = handoff.assertion_of(session, kept, &assertions, &host);
            made.unwrap()
        };
        let first = of(&one);
        assert!(first.is_some());
        clock.advance(Duration::from_secs(59));
        assert_eq!(of(&one), first);
        assert_ne!(of(&other), first, "each session has its own");
        clock.advance(Duration::from_secs(1));
        let second = of(&one);
        assert_ne!(second, first);
    }
}
