//! What happens to a request: its facts, the decision, and whether it is forwarded or answered.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, header};
use ipnet::IpNet;
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::answer::{Answer, ErrorPage, PlainErrorPages, Problem, explain};
use super::bridge::{self, announced_length};
use super::challenge::challenge;
use super::connection::Connection;
use super::context::{Outcome, References, RequestContext};
use super::counters::Counters;
use super::facts;
use super::grpc;
use super::hand_off::forget_spellings;
use super::head::HeadProblem;
use super::limits;
use super::main_runtime::MainRuntime;
use super::respond::send;
use super::settings::{DoorLimits, HostSettings, Hosts};
use super::site::Site;
use super::thingsboard::in_its_words;
use super::upstreams::Upstreams;
use crate::access::{
    ClientContext, Permit, Refusal, RequestFacts, RequestKind, Standing, Verdict, decide, rule_for,
};
use crate::clock::SharedClock;
use crate::paths;
use crate::policy::{Limits, Policy};
use crate::rate_limit::Network;
use crate::session::SessionStanding;
use crate::session::cookie::{self, SESSION_COOKIE};
use crate::telemetry::traces::{self, Step};

/// Door 1: every request of every connection.
pub(super) struct Gateway {
    pub(super) hosts: Hosts,
    pub(super) trusted: Vec<IpNet>,
    pub(super) limits: DoorLimits,
    pub(super) sites: Vec<Site>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) counters: Arc<Counters>,
    pub(super) references: References,
    pub(super) clock: SharedClock,
    /// Where sessions are looked up in the store.
    pub(super) lookups: MainRuntime,
    /// Where bearer tokens are judged: whoever vouches for them may be slow.
    pub(super) proving: MainRuntime,
    /// Where tokens for upstreams are fetched: whoever makes them may be slow.
    pub(super) fetching: MainRuntime,
}

/// What happens to a request.
pub(super) enum Next {
    /// It goes to the upstream; the permit is in the context.
    Forward,
    /// One of our own pages answers it.
    Page(Box<ClientContext>, String),
    /// It is answered right here.
    Answer(Answer),
}

impl Gateway {
    /// Begins a request.
    pub(super) fn begin(&self) -> RequestContext {
        RequestContext::begin(self.references.next(), Arc::clone(&self.counters))
    }

    /// Whether a peer is a configured proxy.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&peer))
    }

    /// The site of a host.
    pub(super) fn site(&self, host: &HostSettings) -> Result<&Site, Problem> {
        self.sites.get(host.site).ok_or(Problem::Internal)
    }

    /// How the bearer of a session cookie stands; asks the store only when it must. Whoever asks
    /// for too many unknown sessions at once is told that the store does not answer.
    pub(super) async fn standing(
        &self,
        cookie: Option<&str>,
        host: &HostSettings,
        network: Option<Network>,
    ) -> SessionStanding {
        let Ok(site) = self.site(host) else {
            return SessionStanding::StoreDown;
        };
        if let Some(standing) = site.sessions.cached_standing(cookie, &host.name) {
            return standing;
        }
        let (sessions, name) = (Arc::clone(&site.sessions), Arc::clone(&host.name));
        let cookie = cookie.map(str::to_owned);
        let asking = async move { sessions.standing(cookie.as_deref(), &name).await };
        let asked = self.lookups.run(network, asking).await;
        asked.unwrap_or(SessionStanding::StoreDown)
    }

    /// Counts a stream that was closed because its session ended.
    pub(super) fn stream_was_cut(&self) {
        self.counters.streams_cut.inc();
        tracing::info!("closed a stream because its session ended");
    }

    /// The raw answer to a head that is not understood; logged and counted as any other.
    pub(super) fn malformed(&self, problem: HeadProblem, connection: &Connection) -> Vec<u8> {
        let mut ctx = self.begin();
        ctx.client = Some(connection.peer);
        ctx.status = problem.status();
        tracing::info!(reference = %ctx.reference, cause = %problem, "refused a malformed request");
        let told = match problem.status() {
            414 => Problem::TargetTooLong,
            431 => Problem::HeadTooLarge,
            _ => Problem::Malformed,
        };
        let reference = ctx.reference.to_string();
        let page = ErrorPage {
            problem: &told,
            host: None,
            languages: None,
            reference: &reference,
        };
        explain(&page, RequestKind::Api, &PlainErrorPages).to_http1_closing()
    }

    /// Answers a request that is not forwarded; says whether it did.
    pub(super) async fn answer_unless_forwarded(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
    ) -> Result<bool> {
        match self.next(session, ctx).await {
            Ok(Next::Forward) => {
                forget_spellings(session.req_header_mut());
                return Ok(false);
            }
            Ok(Next::Page(context, target)) => {
                self.answer_page(session, ctx, *context, &target).await?;
            }
            Ok(Next::Answer(answer)) => send(session, answer, ctx).await?,
            Err(problem) => {
                ctx.outcome = problem.outcome();
                let answer = self.error_answer(&problem, session, ctx);
                send(session, answer, ctx).await?;
            }
        }
        Ok(true)
    }

    async fn next(&self, session: &Session, ctx: &mut RequestContext) -> Result<Next, Problem> {
        let request = session.req_header();
        let (mut facts, host) = self.take_facts(request, ctx)?;
        if ctx.is_redirected() {
            return to_https(&facts, &host, ctx);
        }
        let site = self.site(&host)?;
        if paths::is_ours(facts.path.as_str()) {
            return site.page(request, (&facts, facts.path.as_str()), ctx).await;
        }
        ctx.upstream = self
            .upstreams
            .choose(&facts.host, facts.path.as_str())
            .cloned();
        let policy = site.policy.current();
        ctx.policy = Some(Arc::clone(&policy.version));
        if let Some(told) = site.told_of_tokens(&facts, &policy) {
            ctx.outcome = Outcome::Page;
            return told;
        }
        let rule = rule_for(&facts, &policy).map_err(|refusal| refused(refusal, ctx))?;
        ctx.rule = Some(Arc::clone(rule));
        facts.kind = facts.kind.under(rule.access);
        ctx.kind = facts.kind;
        if let Some(answered) = site.in_its_place(request, (&facts, rule), ctx).await {
            return answered;
        }
        let cookie = cookie::find(request.headers.get_all(header::COOKIE), SESSION_COOKIE);
        let looking = (site, &**rule, &policy.limits);
        let bearer = self.bearer(request, looking, ctx).await;
        let bearer = bearer.map_err(|slow_down| Problem::SlowDown(slow_down.retry_after))?;
        let standing = if let Some(bearer) = bearer {
            Standing::Bearer(bearer)
        } else {
            let asking = self.standing(cookie, &host, ctx.network());
            Standing::Session(traces::during("session", Step::Inside, asking).await)
        };
        let deciding = traces::step("decide", Step::Inside);
        let verdict = decide(&facts, rule, &standing, &policy);
        drop(deciding);
        if let (Verdict::Forward(permit), Some(scope)) = (&verdict, &ctx.scope) {
            scope.depends_on(permit, cookie, &host);
        }
        match self.act_on(verdict, (site, &policy), request, ctx).await? {
            Next::Forward => {
                self.with_access_token(site, cookie, ctx).await?;
                self.with_its_token(request, (site, &facts), ctx).await
            }
            answered => Ok(answered),
        }
    }

    fn take_facts(
        &self,
        request: &RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<(RequestFacts, Arc<HostSettings>), Problem> {
        let scope = ctx.scope.as_ref().ok_or(Problem::Internal)?;
        let connection = scope.connection();
        let client = if connection.is_trusted {
            facts::client(connection.peer, &request.headers, &self.trusted)
        } else {
            connection.peer
        };
        ctx.client = Some(client);
        ctx.method.clone_from(&request.method);
        ctx.kind = facts::kind(request);
        facts::check_fields(&request.headers, self.limits.fields)?;
        let asked = (client, ctx.kind, self.clock.now());
        let (facts, host) = facts::take(request, &self.hosts, asked)?;
        let host = Arc::clone(host);
        ctx.host = Some(Arc::clone(&host));
        if request.method == Method::TRACE {
            return Err(Problem::Method);
        }
        if self.upstreams.managed().nominated_in(&request.headers) {
            return Err(Problem::Nomination);
        }
        Ok((facts, host))
    }

    /// Draws from the limits, and keeps the permit.
    async fn forward(
        &self,
        permit: Permit,
        (site, limits): (&Site, &Limits),
        request: &RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<Next, Problem> {
        ctx.body_limit = permit.rule().max_body.unwrap_or(self.limits.body);
        let client = ctx.client.ok_or(Problem::Internal)?;
        let drawing = (limits, client);
        let drawn = site
            .lanes
            .draw_forwarded(&permit, drawing, &mut ctx.counted)
            .await;
        ctx.permit = Some(permit);
        drawn.map_err(|slow_down| Problem::SlowDown(slow_down.retry_after))?;
        if announced_length(&request.headers) > ctx.body_limit {
            return Err(Problem::BodyTooLarge);
        }
        ctx.outcome = Outcome::Forward;
        Ok(Next::Forward)
    }

    async fn act_on(
        &self,
        verdict: Verdict,
        (site, policy): (&Site, &Policy),
        request: &RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<Next, Problem> {
        match verdict {
            Verdict::Forward(permit) => {
                let site = (site, &policy.limits);
                self.forward(permit, site, request, ctx).await
            }
            Verdict::LogIn(return_to) => {
                ctx.outcome = Outcome::LogIn;
                Ok(Next::Answer(Answer::log_in(&return_to)))
            }
            Verdict::Onboard(_) if ctx.kind == RequestKind::Page => {
                ctx.outcome = Outcome::Onboard;
                Ok(Next::Answer(Answer::see_other(paths::REGISTER)))
            }
            Verdict::Onboard(_) => Err(Problem::RegistrationRequired),
            Verdict::DoFirst(duty, return_to) if ctx.kind == RequestKind::Page => {
                ctx.outcome = Outcome::DoFirst;
                Ok(Next::Answer(Answer::do_first(duty, &return_to)))
            }
            Verdict::DoFirst(duty, _) => Err(Problem::DutyFirst(duty)),
            Verdict::StepUp(demand, return_to) if ctx.kind == RequestKind::Page => {
                ctx.outcome = Outcome::StepUp;
                Ok(Next::Answer(Answer::step_up(&demand.rule, &return_to)))
            }
            Verdict::StepUp(demand, _) => Err(Problem::StepUpRequired(demand)),
            Verdict::Challenge => Err(Problem::LoginRequired),
            Verdict::RefuseToken => Err(Problem::BadToken),
            Verdict::WidenScope(rule) => Err(Problem::ScopeMissing(rule.tokens.scopes.clone())),
            Verdict::Forbid { rule } => {
                tracing::info!(reference = %ctx.reference, rule, "a rule forbids the request");
                Err(Problem::Forbidden)
            }
            Verdict::Refuse(refusal) => Err(refused(refusal, ctx)),
        }
    }

    pub(super) fn error_answer(
        &self,
        problem: &Problem,
        session: &Session,
        ctx: &RequestContext,
    ) -> Answer {
        let languages = session.req_header().headers.get(header::ACCEPT_LANGUAGE);
        let page = ErrorPage {
            problem,
            host: ctx.host.as_ref().map(|host| &*host.name),
            languages: languages.and_then(|languages| languages.to_str().ok()),
            reference: &ctx.reference.to_string(),
        };
        let site = ctx.host.as_ref().and_then(|host| self.site(host).ok());
        let pages = site.or(self.sites.first()).map(|site| &*site.error_pages);
        let mut answer = explain(&page, ctx.kind, pages.unwrap_or(&PlainErrorPages));
        let origin = site.filter(|site| site.bearers.is_some());
        let origin = origin.and(ctx.host.as_ref()).map(|host| &*host.origin);
        if let Some(value) = challenge(problem, origin) {
            answer.headers.push((header::WWW_AUTHENTICATE, value));
        }
        if ctx.speaks_thingsboard {
            in_its_words(&mut answer, problem);
        }
        if ctx.kind == RequestKind::Grpc {
            grpc::in_its_words(&mut answer, problem);
        }
        answer
            .headers
            .extend(limits::fields(&ctx.counted).into_iter().flatten());
        answer
    }

    pub(super) async fn answer_page(
        &self,
        session: &mut Session,
        ctx: &mut RequestContext,
        context: ClientContext,
        target: &str,
    ) -> Result<()> {
        let site = ctx.host.as_ref().ok_or(Problem::Internal);
        let answered = match site.and_then(|host| self.site(host)) {
            Ok(site) => {
                let network = ctx.network();
                site.bridge.call(session, target, context, network).await
            }
            Err(problem) => Err(problem),
        };
        match answered {
            Ok(mut response) => {
                if let Some(value) = ctx.transport_security() {
                    let headers = response.headers_mut();
                    headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
                }
                bridge::write(session, response).await
            }
            Err(problem) => {
                if problem == Problem::Internal {
                    tracing::error!(reference = %ctx.reference, "a page panicked");
                }
                let answer = self.error_answer(&problem, session, ctx);
                send(session, answer, ctx).await
            }
        }
    }
}

/// Sends a request that came in by plain HTTP to the same place of the same host by https.
fn to_https(
    facts: &RequestFacts,
    host: &HostSettings,
    ctx: &mut RequestContext,
) -> Result<Next, Problem> {
    if host.scheme != "https" {
        return Err(Problem::UnknownHost);
    }
    ctx.outcome = Outcome::Redirect;
    let (origin, path) = (&host.origin, facts.path.as_str());
    let place = match &facts.query {
        Some(query) => format!("{origin}{path}?{query}"),
        None => format!("{origin}{path}"),
    };
    Ok(Next::Answer(Answer::moved(&place)))
}

fn refused(refusal: Refusal, ctx: &RequestContext) -> Problem {
    let cause = match &refusal {
        Refusal::RuleFailed { cause, .. } => format!("{refusal}: {}", cause.message()),
        other => other.to_string(),
    };
    tracing::info!(reference = %ctx.reference, cause, "refused a request");
    Problem::Refused(refusal)
}
