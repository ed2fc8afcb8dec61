//! What an upstream is told and not told about a request.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use pingora_http::{RequestHeader, ResponseHeader};
use secrecy::ExposeSecret as _;

use super::rule_fields::set_for;
use super::settings::{ClosedWays, HandoffSettings, HostSettings};
use super::upstream::UpstreamSettings;
use crate::access::header_hygiene::{
    ForwardedCookies, ManagedNames, UnfitValue, claim_value, clean_response, forwarded_cookies,
};
use crate::access::{Caller, Permit};
use crate::clock::SharedClock;
use crate::platform::handoff::{Assertions, Bearer, CannotSign, FRESH_FOR};
use crate::platform::tokens::HeldToken;
use crate::policy::{HandOff, Rule};
use crate::session::cookie::SESSION_COOKIE;
use crate::session::{self, Assertion, HandoffFields};

/// How many fields a hand-off adds at most.
const MOST_HANDED_OFF: usize = 9;

/// What the assertion is called where the operator says nothing; clients never send it.
const ASSERTION: HeaderName = HeaderName::from_static("x-vestibule-assertion");

/// Where ThingsBoard looks for tokens, the first one first.
const TOKEN_FIELDS: [HeaderName; 2] = [X_AUTHORIZATION, header::AUTHORIZATION];
const X_AUTHORIZATION: HeaderName = HeaderName::from_static("x-authorization");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What an upstream is told about a request.
pub(super) struct Handoff {
    names: HandoffSettings,
    /// Its number among so many upstreams.
    number: (usize, usize),
    managed: Managed,
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

/// One request, as the upstream is to be told of it.
pub(super) struct Told<'a> {
    /// What may be forwarded, and as whom.
    pub(super) permit: &'a Permit,
    /// The host that was asked.
    pub(super) host: &'a HostSettings,
    /// The client's address.
    pub(super) client: HeaderValue,
    /// The platform's own token.
    pub(super) user_token: Option<&'a HeldToken>,
    /// The identity provider's access token.
    pub(super) access_token: Option<&'a HeldToken>,
}

/// The names of fields that only the gateway may set, whichever upstream they are for.
#[derive(Clone)]
pub(super) struct Managed {
    always: Arc<ManagedNames>,
    /// The same with those that carry tokens, under rules that hand any over.
    with_tokens: Arc<ManagedNames>,
}

/// What all hand-offs share.
#[derive(Clone)]
pub(super) struct Around {
    /// The names of fields that only the gateway may set.
    pub(super) managed: Managed,
    /// The time.
    pub(super) clock: SharedClock,
}

impl Managed {
    /// All by which any of these upstreams learns who somebody is.
    pub(super) fn of(upstreams: &[UpstreamSettings]) -> Self {
        let (mut names, mut tokens) = (vec![ASSERTION], Vec::new());
        for upstream in upstreams {
            let HandoffSettings {
                user,
                customer,
                email,
                client,
                assertion,
                access_token,
                thingsboard,
            } = &upstream.handoff;
            names.extend([user, customer, email, client].map(HeaderName::clone));
            names.extend(assertion.as_ref().map(|one| one.header.clone()));
            match access_token {
                // What devices and programs send by themselves elsewhere.
                Some(name) if TOKEN_FIELDS.contains(name) => tokens.push(name.clone()),
                other => names.extend(other.clone()),
            }
            tokens.extend(thingsboard.iter().flat_map(|_| TOKEN_FIELDS));
        }
        let always = names.iter().map(HeaderName::as_str);
        let with_tokens = always.clone().chain(tokens.iter().map(HeaderName::as_str));
        Self {
            with_tokens: Arc::new(ManagedNames::new(with_tokens)),
            always: Arc::new(ManagedNames::new(always)),
        }
    }

    /// Those that `Connection` may not name.
    pub(super) fn all(&self) -> &ManagedNames {
        &self.with_tokens
    }
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

    /// What of ThingsBoard's own ways in is closed, where the upstream is one.
    pub(super) fn thingsboard(&self) -> Option<ClosedWays> {
        self.names.thingsboard
    }

    /// Whether the identity provider's access token goes with requests under this rule.
    pub(super) fn wants_access_token(&self, rule: &Rule) -> bool {
        self.token_field(rule).is_some()
    }

    /// The field by which it goes; the bearer token that a program has shown goes by the same.
    fn token_field(&self, rule: &Rule) -> Option<&HeaderName> {
        let field = self.names.access_token.as_ref();
        field.filter(|_| rule.hands_off(HandOff::AccessToken))
    }

    /// Makes a client's request the gateway's: exactly the permitted target, none of what only
    /// the gateway may say, then what it says.
    pub(super) fn apply(
        &self,
        request: &mut RequestHeader,
        told: Told<'_>,
    ) -> Result<(), HandoffProblem> {
        let target = told.permit.target().as_bytes();
        if request.raw_path() != target {
            request.set_raw_path(target)?;
        }
        let mut parts = Parts::from(std::mem::replace(request, blank()));
        let outcome = self.hand_off(&mut parts.headers, told);
        *request = parts.into();
        outcome
    }

    fn hand_off(&self, headers: &mut HeaderMap, told: Told<'_>) -> Result<(), HandoffProblem> {
        let Told {
            permit,
            host,
            client,
            user_token,
            access_token,
        } = told;
        let rule = permit.rule();
        let is_thingsboard =
            self.names.thingsboard.is_some() && rule.hands_off(HandOff::ThingsBoard);
        let managed = if is_thingsboard || self.wants_access_token(rule) {
            &self.managed.with_tokens
        } else {
            &self.managed.always
        };
        let shown = match permit.who() {
            Some(Caller::Client(_)) => headers.remove(header::AUTHORIZATION),
            Some(Caller::Session(_)) | None => None,
        };
        for name in managed.found_in(headers) {
            headers.remove(&name);
        }
        if let (Some(shown), Some(name)) = (shown, self.token_field(rule)) {
            headers.insert(name, as_shown(name, shown)?);
        }
        forward_cookies(headers)?;
        headers.reserve(MOST_HANDED_OFF + rule.headers.request.len());
        set_for(rule, headers);
        if headers.get(header::HOST) != Some(&host.authority) {
            headers.insert(header::HOST, host.authority.clone());
        }
        headers.insert(FORWARDED_FOR, client);
        headers.insert(FORWARDED_PROTO, host.scheme.clone());
        headers.insert(FORWARDED_HOST, host.authority.clone());
        if is_thingsboard {
            headers.insert(FORWARDED_PORT, host.port.clone());
        }
        if let Some(token) = user_token {
            headers.insert(X_AUTHORIZATION, token.bearer().clone());
        }
        if let (Some(token), Some(name)) = (access_token, &self.names.access_token) {
            headers.insert(name, as_field(name, token)?);
        }
        if let Some(caller) = permit.who() {
            self.introduce(caller, headers, (host, rule))?;
        }
        Ok(())
    }

    /// Says who the user is, by what the rule wants said.
    fn introduce(
        &self,
        caller: &Caller,
        headers: &mut HeaderMap,
        (host, rule): (&HostSettings, &Rule),
    ) -> Result<(), HandoffProblem> {
        let (number, count) = self.number;
        let Some(kept) = caller.handoffs().of(number, count) else {
            return Ok(());
        };
        if rule.hands_off(HandOff::Headers) {
            let fields = if let Some(ready) = kept.fields.get() {
                ready
            } else {
                let made = self.fields_of(caller)?;
                kept.fields.get_or_init(|| made)
            };
            for (name, value) in fields {
                headers.insert(name, value.clone());
            }
        }
        if rule.hands_off(HandOff::Assertion)
            && let Some(assertions) = &self.assertions
            && let Some(value) = self.assertion_of(caller, kept, assertions, host)?
        {
            headers.insert(assertions.field(), value);
        }
        Ok(())
    }

    /// By which fields the upstream learns who it is.
    fn fields_of(&self, caller: &Caller) -> Result<HandoffFields, UnfitValue> {
        let names = &self.names;
        let mut fields = Vec::new();
        if let Caller::Client(client) = caller {
            fields.push((names.client.clone(), claim_value(client.name())?));
        }
        let Some(account) = caller.account() else {
            return Ok(fields.into());
        };
        fields.push((names.user.clone(), claim_value(account.user.as_str())?));
        if let Some(customer) = &account.customer {
            fields.push((names.customer.clone(), claim_value(customer.as_str())?));
        }
        if let Some(email) = caller.identity().text("email") {
            fields.push((names.email.clone(), claim_value(email)?));
        }
        Ok(fields.into())
    }

    /// What says and proves who it is, made anew once a minute.
    fn assertion_of(
        &self,
        caller: &Caller,
        kept: &session::Handoff,
        assertions: &Assertions,
        host: &HostSettings,
    ) -> Result<Option<HeaderValue>, HandoffProblem> {
        let (now, newest) = (self.clock.now(), &kept.assertion);
        if let Some(fresh) = &*newest.load()
            && now.since(fresh.made_at) < FRESH_FOR
            && now >= fresh.made_at
            && fresh.origin == host.origin
        {
            return Ok(Some(fresh.value.clone()));
        }
        let Some(bearer) = spoken_of(caller, host) else {
            return Ok(None);
        };
        let signed = assertions.sign(bearer, now)?;
        let value = HeaderValue::try_from(signed).map_err(|_| UnfitValue::Control)?;
        newest.store(Some(Arc::new(Assertion {
            made_at: now,
            origin: Arc::clone(&host.origin),
            value: value.clone(),
        })));
        Ok(Some(value))
    }
}

/// Whom an assertion speaks of; of nobody while a registration is not complete.
fn spoken_of<'a>(caller: &'a Caller, host: &'a HostSettings) -> Option<Bearer<'a>> {
    let client = match caller {
        Caller::Client(client) => Some(client.name()),
        Caller::Session(session) => {
            session.record.account()?;
            None
        }
    };
    Some(Bearer {
        origin: &host.origin,
        account: caller.account(),
        client,
        identity: caller.identity(),
    })
}

/// A program's own token as its field has it.
fn as_shown(name: &HeaderName, shown: HeaderValue) -> Result<HeaderValue, UnfitValue> {
    let mut value = if *name == header::AUTHORIZATION {
        shown
    } else {
        let token = shown.as_bytes().get("Bearer ".len()..).unwrap_or_default();
        HeaderValue::from_bytes(token.trim_ascii()).map_err(|_| UnfitValue::Control)?
    };
    value.set_sensitive(true);
    Ok(value)
}

/// A token as its field has it: `Authorization` says what it is (RFC 6750, section 2.1), others
/// hold it alone.
fn as_field(name: &HeaderName, token: &HeldToken) -> Result<HeaderValue, UnfitValue> {
    if *name == header::AUTHORIZATION {
        return Ok(token.bearer().clone());
    }
    let value = HeaderValue::from_str(token.value().expose_secret());
    let mut value = value.map_err(|_| UnfitValue::Control)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Forgets how the client spelled the names of fields: the library keeps that in a second map, and
/// would copy and search it for every request to an upstream. Names go there as the standard spells
/// them, others in lower case.
pub(super) fn forget_spellings(request: &mut RequestHeader) {
    let parts = Parts::from(std::mem::replace(request, blank()));
    *request = parts.into();
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
    use std::time::Duration;

    use super::*;
    use crate::clock::{FrozenClock, Timestamp};
    use crate::identity::{
        Account, Cleared, CustomerId, Issuer, PlatformId, ProviderId, Subject, UserId,
        VerifiedClaims, VerifiedIdentity,
    };
    use crate::platform::handoff::{AssertionAlgorithm, AssertionSettings};
    use crate::seal::{KeyRing, SealKey};
    use crate::session::{OpenSession, SessionKey, SessionRecord, Stage};

    fn session() -> Caller {
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
            host: "app.example".into(),
            created_at: at,
            ends_at: Timestamp::from_millis(i64::MAX),
        };
        Caller::Session(OpenSession {
            key: SessionKey::from_store("key"),
            record: Arc::new(record),
            handoffs: Arc::default(),
        })
    }

    #[test]
    fn a_field_of_ones_own_for_access_tokens_is_never_a_clients() {
        let mut upstream = UpstreamSettings::to(Vec::new());
        let own = HeaderName::from_static("x-access-token");
        upstream.handoff.access_token = Some(own.clone());
        let managed = Managed::of(&[upstream.clone()]);
        assert!(managed.always.contains(own.as_str()));
        upstream.handoff.access_token = Some(header::AUTHORIZATION);
        let managed = Managed::of(&[upstream]);
        assert!(
            !managed.always.contains("authorization"),
            "programs send it themselves"
        );
        assert!(managed.with_tokens.contains("authorization"));
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
            managed: Managed::of(&[]),
            clock: Arc::clone(&clock) as _,
        };
        let signing = Some(Arc::clone(&assertions));
        let handoff = Handoff::new(HandoffSettings::default(), (0, 1), around, signing);
        let host = HostSettings::from_origin("https://app.example").unwrap();
        let (one, other) = (session(), session());
        let of = |session: &Caller| {
            let kept = session.handoffs().of(0, 1).unwrap();
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
